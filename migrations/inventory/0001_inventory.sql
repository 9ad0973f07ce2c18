-- What is sold. Changes seldom, so it is kept apart from the counts of pieces, which change with every order.
CREATE TABLE product (
    -- "C": compared byte by byte, so that pages, locks and clients agree on one order, whatever the server's locale
    sku TEXT COLLATE "C" PRIMARY KEY,
    name TEXT NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    -- 100 lines of 10,000 pieces at this price still fit into 64 bits, so no total can overflow
    price_minor BIGINT NOT NULL CHECK (price_minor BETWEEN 0 AND 1000000000000),
    currency TEXT NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- counts changes of name and price
    version BIGINT NOT NULL DEFAULT 1 CHECK (version > 0)
);

-- Where every piece that was ever received is now. No index holds a count, so with half of each page free a new version
-- of a row stays on its page (HOT): no index is touched, and the next write clears the old versions without a vacuum.
CREATE TABLE stock (
    sku TEXT COLLATE "C" PRIMARY KEY REFERENCES product,
    available BIGINT NOT NULL DEFAULT 0 CHECK (available >= 0),
    reserved BIGINT NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    sold BIGINT NOT NULL DEFAULT 0 CHECK (sold >= 0),
    received BIGINT NOT NULL DEFAULT 0 CHECK (received >= 0),
    CONSTRAINT stock_adds_up CHECK (available + reserved + sold = received)
) WITH (fillfactor = 50);

-- What inventory answered for each order, for ever: a refusal is kept as well, so that asking again never turns it into
-- a hold, and a release that came first is kept as a row that was never held.
CREATE TABLE reservation (
    order_id UUID PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('HELD', 'REFUSED', 'RELEASED')),
    -- [{"sku", "quantity", "unit_price_minor"}]: read and written as a whole. Never changes, so it may be read without
    -- a lock. Unpriced when refused, empty when released before it was reserved.
    lines JSONB NOT NULL,
    -- of all prices; null when nothing was priced
    currency TEXT,
    refusal TEXT CHECK (refusal IN ('OUT_OF_STOCK', 'UNKNOWN_SKU', 'MIXED_CURRENCIES')),
    -- the SKUs that the refusal is about
    refused_skus TEXT[] NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT reservation_refused_for_a_reason CHECK ((state = 'REFUSED') = (refusal IS NOT NULL)),
    CONSTRAINT reservation_held_is_priced CHECK (state <> 'HELD' OR currency IS NOT NULL)
);

-- Deliveries of stock that were counted, each once by its key.
CREATE TABLE restock_receipt (
    idempotency_key TEXT PRIMARY KEY,
    sku TEXT COLLATE "C" NOT NULL REFERENCES product,
    quantity BIGINT NOT NULL CHECK (quantity BETWEEN 1 AND 1000000000),
    received_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

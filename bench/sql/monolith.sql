-- All that an order needs, in one database: the tables of the services with their keys and rules, and the prices beside the stock.

CREATE TABLE stock (
    sku TEXT COLLATE "C" PRIMARY KEY,
    price_minor BIGINT NOT NULL CHECK (price_minor >= 0),
    available BIGINT NOT NULL CHECK (available >= 0),
    reserved BIGINT NOT NULL DEFAULT 0 CHECK (reserved >= 0)
) WITH (fillfactor = 50);

CREATE TABLE orders (
    order_id UUID PRIMARY KEY,
    customer_id UUID NOT NULL,
    idempotency_key TEXT NOT NULL,
    -- what was asked for: a key that is used for something else is told apart
    fingerprint BYTEA NOT NULL,
    -- null until it is decided, which is before anybody else sees it
    answer TEXT,
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'COMPLETED')),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (customer_id, idempotency_key)
) WITH (fillfactor = 70);

-- a customer's orders, newest first
CREATE INDEX orders_of_customer ON orders (customer_id, order_id);

CREATE TABLE reservation (
    order_id UUID PRIMARY KEY,
    lines JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE payment (
    order_id UUID PRIMARY KEY,
    amount_minor BIGINT NOT NULL CHECK (amount_minor >= 0),
    currency TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- the catalogue `bench`
INSERT INTO stock (sku, price_minor, available)
SELECT 'sku-' || to_char(sku, 'FM0000'), 1000, 1000000000 FROM generate_series(0, 1999) AS sku;

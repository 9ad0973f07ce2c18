-- Every table holds nothing but what the letters say: no clock and no counter of this database is in them, so the same
-- letters make the same rows again.

-- Every letter that was heard, once. That it is here means that it is counted.
CREATE TABLE timeline (
    -- the letter's own name: a letter that comes again finds it
    event_id UUID PRIMARY KEY,
    order_id UUID NOT NULL,
    event_type TEXT NOT NULL,
    source TEXT NOT NULL,
    -- when it happened, as the letter says
    occurred_at TIMESTAMPTZ NOT NULL,
    sequence BIGINT NOT NULL CHECK (sequence > 0),
    -- JSON and not JSONB: it is only ever given out, with its fields in the order in which they were written
    data JSON NOT NULL
);

-- the letters of one order, in the order in which they are told
CREATE INDEX timeline_order ON timeline (order_id, occurred_at, sequence);

-- What happened in each minute, by the letters' own time. Adding too much fails (22003) and never wraps around.
CREATE TABLE sales_minute (
    -- its start
    minute TIMESTAMPTZ NOT NULL,
    currency TEXT NOT NULL,
    -- completed orders and what they were sold for
    orders BIGINT NOT NULL DEFAULT 0 CHECK (orders >= 0),
    revenue_minor BIGINT NOT NULL DEFAULT 0 CHECK (revenue_minor >= 0),
    -- completed orders that were cancelled in this minute, whenever they were sold, and what was given back for them
    cancelled_orders BIGINT NOT NULL DEFAULT 0 CHECK (cancelled_orders >= 0),
    refunded_minor BIGINT NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
    PRIMARY KEY (minute, currency)
    -- the present minute's row changes all the time; with room on its page that touches no index
) WITH (fillfactor = 25);

-- What was sold of each product in each minute.
CREATE TABLE product_minute (
    minute TIMESTAMPTZ NOT NULL,
    sku TEXT NOT NULL,
    currency TEXT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity >= 0),
    revenue_minor BIGINT NOT NULL CHECK (revenue_minor >= 0),
    PRIMARY KEY (minute, sku, currency)
) WITH (fillfactor = 50);

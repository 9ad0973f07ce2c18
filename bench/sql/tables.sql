-- What an order is kept in, pared down: no index but the keys, no check but the one that forbids overselling. Whatever our
-- own tables have beyond it is to our cost: the comparison is with the least that an order can be.

-- as in inventory: half of each page is free, so that a new version of a row stays on its page
CREATE TABLE stock (
    sku INTEGER PRIMARY KEY,
    available BIGINT NOT NULL CHECK (available >= 0),
    reserved BIGINT NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE reservation (
    order_id BIGINT PRIMARY KEY,
    lines JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE payment (
    order_id BIGINT PRIMARY KEY,
    state TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE orders (
    order_id BIGINT PRIMARY KEY,
    customer_id BIGINT NOT NULL,
    state TEXT NOT NULL,
    lines JSONB NOT NULL,
    total_minor BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic TEXT NOT NULL,
    key BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    inserted_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- as many products as the catalogue of the bench has, with as many pieces
INSERT INTO stock (sku, available, reserved)
SELECT sku, 1000000000, 0 FROM generate_series(0, 1999) AS sku;

-- What a follower keeps that writes down every letter, pared down in the same way, and how far it has come.
CREATE TABLE timeline (
    event_id UUID PRIMARY KEY,
    order_id BIGINT NOT NULL,
    event_type TEXT NOT NULL,
    source TEXT NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    sequence BIGINT NOT NULL,
    data JSON NOT NULL
);
CREATE INDEX timeline_order ON timeline (order_id, occurred_at, sequence);

CREATE TABLE position (
    partition INTEGER PRIMARY KEY,
    next BIGINT NOT NULL
) WITH (fillfactor = 10);
INSERT INTO position (partition, next) VALUES (0, 0);

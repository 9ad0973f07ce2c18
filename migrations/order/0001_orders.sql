-- One row per order. It is written before anybody is called, and alone decides the order.
CREATE TABLE orders (
    order_id UUID PRIMARY KEY,
    customer_id UUID NOT NULL,
    idempotency_key TEXT NOT NULL,
    -- SHA-256 of what was asked for, so that a key used for something else is told apart
    fingerprint BYTEA NOT NULL,
    -- the trace of the request that placed the order; it is part of a refusal, which is given again word for word
    trace_id TEXT NOT NULL,
    saga_state TEXT NOT NULL CHECK (saga_state IN
        ('AWAITING_STOCK', 'AWAITING_PAYMENT', 'COMPLETED', 'VOIDING', 'RELEASING', 'REJECTED')),
    -- why the order ended, or is being unwound
    reason TEXT CHECK (reason IN ('OUT_OF_STOCK', 'PAYMENT_DECLINED', 'EXPIRED', 'UNKNOWN_SKU', 'UNKNOWN_CARD',
        'MIXED_CURRENCIES')),
    -- counts this order's letters; each change of the row is one letter and is made by compare-and-set on it
    version BIGINT NOT NULL CHECK (version > 0),
    placed_by TEXT NOT NULL CHECK (placed_by IN ('TELEPHONE', 'LETTER')),
    -- lines are read and written with their order only: one column, not a table
    lines JSONB NOT NULL,
    -- null until priced
    total_minor BIGINT CHECK (total_minor >= 0),
    currency TEXT,
    -- what the card network knows the card by; forgotten as soon as the order is terminal
    card_token TEXT,
    -- the last that shipping told, and the version of the shipment that told it
    shipment_status TEXT CHECK (shipment_status IN
        ('AWAITING_ADDRESS', 'PREPARING', 'DISPATCHED', 'DELIVERED', 'CANCELLED')),
    tracking_number TEXT NOT NULL DEFAULT '',
    shipment_version BIGINT NOT NULL DEFAULT 0,
    -- the answer as it was given, once decided (protobuf order.v1.DecidedAnswer)
    answer BYTEA,
    -- past it, an order that is not decided is unwound
    decide_by TIMESTAMPTZ NOT NULL,
    -- when recovery may take the order up; null once nothing is left to do
    attempt_at TIMESTAMPTZ,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT order_idempotency_key UNIQUE (customer_id, idempotency_key),
    CONSTRAINT order_reason_when_refused CHECK ((saga_state IN ('VOIDING', 'RELEASING', 'REJECTED')) = (reason IS NOT NULL)),
    CONSTRAINT order_answer_when_decided CHECK ((saga_state IN ('COMPLETED', 'REJECTED')) = (answer IS NOT NULL)),
    CONSTRAINT order_card_until_terminal CHECK (saga_state NOT IN ('COMPLETED', 'REJECTED') OR card_token IS NULL),
    CONSTRAINT order_total_has_currency CHECK ((total_minor IS NULL) = (currency IS NULL))
);

-- recovery asks for what is due; most orders are decided and are not in it
CREATE INDEX orders_due ON orders (attempt_at) WHERE attempt_at IS NOT NULL;

-- a customer's orders, newest first (ids are UUIDv7)
CREATE INDEX orders_of_customer ON orders (customer_id, order_id);

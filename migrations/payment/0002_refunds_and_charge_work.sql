-- Refunds: a captured charge is given back whole, once. Each check allows all that the one before it allowed.
ALTER TABLE payments
    DROP CONSTRAINT payments_state_check,
    ADD CONSTRAINT payments_state_check CHECK (state IN
        ('ATTEMPTING', 'CAPTURED', 'DECLINED', 'UNKNOWN_CARD', 'VOIDING', 'VOIDED', 'REFUNDING', 'REFUNDED')),
    ADD CONSTRAINT payment_captured_at_when_refunded CHECK (
        captured_at IS NOT NULL OR state NOT IN ('REFUNDING', 'REFUNDED')),
    -- when an order that was placed by letter was done with: its letter was written in the same transaction, or it was
    -- given up and gets none. Null: placed by telephone, or not done yet
    ADD COLUMN answered_at TIMESTAMPTZ;

ALTER TABLE transfers
    DROP CONSTRAINT transfers_kind_check,
    ADD CONSTRAINT transfers_kind_check CHECK (kind IN ('CAPTURE', 'VOID', 'REFUND'));

-- Orders by letter whose stock is held and that are to be charged: one row each, from the letter that told it until the
-- order is answered. A row is claimed by pushing `attempt_at` into the future: who dies over it, loses it.
CREATE TABLE charge_work (
    order_id UUID PRIMARY KEY,
    -- inventory.v1.Reserved as it came: the lines with their prices, and the sum that is to be charged
    reserved BYTEA NOT NULL,
    -- not before, by this database's clock
    attempt_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    attempts INTEGER NOT NULL DEFAULT 0,
    -- the trace of the letter
    traceparent TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- new work and repeated work are claimed apart, each in the order in which it is due. (A number, not `attempts = 0`, whose
-- negation the planner would turn into an expression that the index does not have.)
CREATE INDEX charge_work_due ON charge_work (least(attempts, 1), attempt_at);

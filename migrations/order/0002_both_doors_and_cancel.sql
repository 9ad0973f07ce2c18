-- Orders by letter, and orders that are cancelled. Every rule becomes wider; rows from before keep it.
ALTER TABLE orders
    DROP CONSTRAINT orders_saga_state_check,
    ADD CONSTRAINT orders_saga_state_check CHECK (saga_state IN
        ('AWAITING_STOCK', 'AWAITING_PAYMENT', 'COMPLETED', 'VOIDING', 'RELEASING', 'REJECTED', 'CANCELLED',
            'STOPPING', 'REFUNDING', 'REFUNDED')),
    DROP CONSTRAINT orders_reason_check,
    ADD CONSTRAINT orders_reason_check CHECK (reason IN
        ('OUT_OF_STOCK', 'PAYMENT_DECLINED', 'EXPIRED', 'UNKNOWN_SKU', 'UNKNOWN_CARD', 'MIXED_CURRENCIES',
            'CUSTOMER_REQUEST')),
    DROP CONSTRAINT order_reason_when_refused,
    ADD CONSTRAINT order_reason_when_undone CHECK (
        (saga_state IN ('AWAITING_STOCK', 'AWAITING_PAYMENT', 'COMPLETED')) = (reason IS NULL)),
    -- by letter the answer is that the order was accepted, from the first
    DROP CONSTRAINT order_answer_when_decided,
    ADD CONSTRAINT order_answer_when_decided CHECK (
        CASE placed_by WHEN 'LETTER' THEN answer IS NOT NULL
        ELSE (saga_state IN ('AWAITING_STOCK', 'AWAITING_PAYMENT', 'VOIDING', 'RELEASING')) = (answer IS NULL) END),
    DROP CONSTRAINT order_card_until_terminal,
    ADD CONSTRAINT order_card_until_decided CHECK (
        saga_state IN ('AWAITING_STOCK', 'AWAITING_PAYMENT', 'VOIDING', 'RELEASING') OR card_token IS NULL);

-- Recovery asks for what is due lane by lane, so that one lane that is stuck holds up no other: parcels that are to be
-- stopped are the business of a follower, and what was tried in vain before comes apart from what is new.
DROP INDEX orders_due;
CREATE INDEX orders_due ON orders (
    (CASE WHEN saga_state = 'STOPPING' THEN 'PARCEL' WHEN attempts = 0 THEN 'FRESH' ELSE 'REPEATED' END), attempt_at)
WHERE attempt_at IS NOT NULL;

-- One row per request to cancel, so that the same key is given the same answer. Forgotten after a day.
CREATE TABLE cancel_request (
    order_id UUID NOT NULL,
    -- the account of the customer or operator who asked
    requester UUID NOT NULL,
    idempotency_key TEXT NOT NULL,
    -- protobuf order.v1.CancelOrderResponse, once it is decided; written by whoever decides it
    answer BYTEA,
    -- until then the first request may still be waiting for its answer
    in_flight_until TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, requester, idempotency_key)
);

-- what is old enough to be forgotten
CREATE INDEX cancel_request_age ON cancel_request (created_at);

-- Whose parcel it is. Null in rows from before this column.
ALTER TABLE shipment ADD COLUMN customer_id UUID;

ALTER TABLE shipment
    DROP CONSTRAINT shipment_status_check,
    ADD CONSTRAINT shipment_status_check
        CHECK (status IN ('AWAITING_ADDRESS', 'PREPARING', 'DISPATCHED', 'DELIVERED', 'CANCELLED')),
    DROP CONSTRAINT shipment_moves_on_until_delivered,
    -- the others wait for somebody, or are final
    ADD CONSTRAINT shipment_moves_on_in_time CHECK ((status IN ('PREPARING', 'DISPATCHED')) = (due_at IS NOT NULL));

-- For each completed order: does its customer have an address? The row goes when the parcel is prepared or stopped. The
-- address itself is never kept here.
CREATE TABLE address_question (
    order_id UUID PRIMARY KEY,
    customer_id UUID NOT NULL,
    -- each letter that the address changed makes it one more; an answer to what was asked before is then out of date
    version BIGINT NOT NULL DEFAULT 1,
    -- when it is asked next, by this database's clock; null: there is no address, so a letter is waited for
    attempt_at TIMESTAMPTZ DEFAULT now(),
    attempts INTEGER NOT NULL DEFAULT 0,
    -- of the letter that the order is completed
    traceparent TEXT
);

-- what is to be asked is looked for all the time; what waits for a letter is not in it
CREATE INDEX address_question_due ON address_question (attempt_at) WHERE attempt_at IS NOT NULL;

-- a letter from accounts names the customer
CREATE INDEX address_question_customer ON address_question (customer_id);

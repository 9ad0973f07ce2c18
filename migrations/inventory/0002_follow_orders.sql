-- Inventory follows its orders: what a completed order held is sold (SETTLED), and comes back when the order is
-- cancelled (RETURNED). The rules only become wider, so the version before this one goes on serving meanwhile.
ALTER TABLE reservation
    DROP CONSTRAINT reservation_state_check,
    ADD CONSTRAINT reservation_state_check
        CHECK (state IN ('HELD', 'REFUSED', 'RELEASED', 'SETTLED', 'RETURNED')),
    DROP CONSTRAINT reservation_held_is_priced,
    ADD CONSTRAINT reservation_held_is_priced
        CHECK (state NOT IN ('HELD', 'SETTLED', 'RETURNED') OR currency IS NOT NULL);

-- Keys of deliveries are forgotten by age; the old ones are found without reading the others.
CREATE INDEX restock_receipt_received_at ON restock_receipt (received_at);

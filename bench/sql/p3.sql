-- P3: an order in three statements, each its own commit, one after another: what it costs at the least to keep stock, money
-- and orders apart without letting orders share a commit.
\set order random(1, 4611686018427387903)
\set customer random(1, 32)
\set first random(0, 999)
\set second random(1000, 1999)
-- stock
WITH taken AS (
    UPDATE stock SET available = available - 1, reserved = reserved + 1
    WHERE sku IN (:first, :second) AND available >= 1
    RETURNING sku
)
INSERT INTO reservation (order_id, lines)
SELECT :order, jsonb_agg(jsonb_build_object('sku', sku, 'quantity', 1)) FROM taken
HAVING count(*) = 2;
-- money
INSERT INTO payment (order_id, state, amount_minor) VALUES (:order, 'CAPTURED', 2000);
-- the order and its letter
WITH placed AS (
    INSERT INTO orders (order_id, customer_id, state, lines, total_minor)
    VALUES (:order, :customer, 'COMPLETED', jsonb_build_array(
        jsonb_build_object('sku', :first::integer, 'quantity', 1),
        jsonb_build_object('sku', :second::integer, 'quantity', 1)
    ), 2000)
    RETURNING order_id
)
INSERT INTO outbox (topic, key, payload)
SELECT 'orders', order_id, decode(repeat('0a24', 45), 'hex') FROM placed;

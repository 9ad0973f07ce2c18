-- P1: an order in one statement and one commit, as if nothing were apart. The most that this server can do one by one.
\set order random(1, 4611686018427387903)
\set customer random(1, 32)
\set first random(0, 999)
\set second random(1000, 1999)
WITH taken AS (
    UPDATE stock SET available = available - 1, reserved = reserved + 1
    WHERE sku IN (:first, :second) AND available >= 1
    RETURNING sku
), held AS (
    INSERT INTO reservation (order_id, lines)
    SELECT :order, jsonb_agg(jsonb_build_object('sku', sku, 'quantity', 1)) FROM taken
    HAVING count(*) = 2
    RETURNING order_id, lines
), paid AS (
    INSERT INTO payment (order_id, state, amount_minor)
    SELECT order_id, 'CAPTURED', 2000 FROM held
), placed AS (
    INSERT INTO orders (order_id, customer_id, state, lines, total_minor)
    SELECT order_id, :customer, 'COMPLETED', lines, 2000 FROM held
)
INSERT INTO outbox (topic, key, payload)
SELECT 'orders', order_id, decode(repeat('0a24', 45), 'hex') FROM held;

-- What a follower does about one letter, in a commit of its own: its position moves, and the letter has its row.
\set order random(1, 4611686018427387903)
\set sequence random(1, 9)
WITH moved AS (
    UPDATE position SET next = next + 1 WHERE partition = 0 RETURNING next
)
INSERT INTO timeline (event_id, order_id, event_type, source, occurred_at, sequence, data)
SELECT gen_random_uuid(), :order, 'order.completed', '/order', now(), :sequence,
    json_build_object('status', 'COMPLETED', 'first', 'sku-0000', 'second', 'sku-0001', 'total_minor', 2000) FROM moved;

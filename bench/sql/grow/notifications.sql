INSERT INTO message (message_id, customer_id, order_id, event_type, subject, body, state, attempt_at, attempts, created_at, sent_at)
SELECT pg_temp.id(number), pg_temp.customer(number), pg_temp.id(number), 'order.completed', 'Your order is complete',
    'Thank you. Your order ' || number || ' is complete and will leave soon.', 'SENT', NULL, 1, pg_temp.moment(number),
    pg_temp.moment(number)
FROM generate_series(1, current_setting('bench.rows')::bigint) AS number;

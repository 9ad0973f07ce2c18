INSERT INTO timeline (event_id, order_id, event_type, source, occurred_at, sequence, data)
SELECT pg_temp.id(number), pg_temp.id(number), 'order.completed', '/order', pg_temp.moment(number), 2,
    '{"status":"COMPLETED","total":{"amount_minor":1000,"currency":"EUR"}}'
FROM generate_series(1, current_setting('bench.rows')::bigint) AS number;

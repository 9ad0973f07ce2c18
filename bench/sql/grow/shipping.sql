INSERT INTO shipment (order_id, shipment_id, status, version, customer_id, created_at, updated_at)
SELECT pg_temp.id(number), pg_temp.id(number), 'DELIVERED', 3, pg_temp.customer(number), pg_temp.moment(number),
    pg_temp.moment(number)
FROM generate_series(1, current_setting('bench.rows')::bigint) AS number;

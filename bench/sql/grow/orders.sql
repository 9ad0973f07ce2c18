INSERT INTO orders (order_id, customer_id, idempotency_key, fingerprint, trace_id, saga_state, version, placed_by, lines,
    total_minor, currency, shipment_status, tracking_number, shipment_version, answer, decide_by, created_at, updated_at)
SELECT pg_temp.id(number), pg_temp.customer(number), 'grown-' || number, sha256(int8send(number)), md5(number::text), 'COMPLETED',
    3, 'TELEPHONE', jsonb_build_array(jsonb_build_object('sku', 'sku-' || to_char(number % 2000, 'FM0000'), 'quantity', 1,
        'unit_price_minor', 1000)),
    1000, 'EUR', 'DELIVERED', 'T' || number, 3, repeat('answer', 20)::bytea, pg_temp.moment(number) + interval '30 s',
    pg_temp.moment(number), pg_temp.moment(number)
FROM generate_series(1, current_setting('bench.rows')::bigint) AS number;

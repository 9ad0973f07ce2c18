INSERT INTO reservation (order_id, state, lines, currency, created_at, updated_at)
SELECT pg_temp.id(number), 'SETTLED', jsonb_build_array(jsonb_build_object('sku', 'sku-' || to_char(number % 2000, 'FM0000'),
        'quantity', 1, 'unit_price_minor', 1000)),
    'EUR', pg_temp.moment(number), pg_temp.moment(number)
FROM generate_series(1, current_setting('bench.rows')::bigint) AS number;

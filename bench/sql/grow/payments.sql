INSERT INTO payments (order_id, state, version, amount_minor, currency, card_fingerprint, captured_at, created_at, updated_at)
SELECT pg_temp.id(number), 'CAPTURED', 2, 1000, 'EUR', sha256(int8send(number)), pg_temp.moment(number), pg_temp.moment(number),
    pg_temp.moment(number)
FROM generate_series(1, current_setting('bench.rows')::bigint) AS number;

INSERT INTO transfers (order_id, kind, debit_account, credit_account, amount_minor, currency, created_at)
SELECT pg_temp.id(number), 'CAPTURE', 'card_network', 'sales', 1000, 'EUR', pg_temp.moment(number)
FROM generate_series(1, current_setting('bench.rows')::bigint) AS number;

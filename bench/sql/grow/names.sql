-- The names of what never happened: the order with this number and its customer, the same in every database. Like all ids of
-- orders they grow with time, and these lie before all real ones. There are a hundred orders for each customer.
CREATE FUNCTION pg_temp.moment(number BIGINT) RETURNS TIMESTAMPTZ LANGUAGE sql STABLE AS $$
    SELECT now() - interval '1 day' - (current_setting('bench.rows')::bigint - number) * interval '100 milliseconds'
$$;
CREATE FUNCTION pg_temp.id(number BIGINT) RETURNS UUID LANGUAGE sql STABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM pg_temp.moment(number)) * 1000)::bigint), 12, '0')
        || '7000' || '8000' || lpad(to_hex(number), 12, '0'))::uuid
$$;
CREATE FUNCTION pg_temp.customer(number BIGINT) RETURNS UUID LANGUAGE sql IMMUTABLE AS $$
    SELECT ('0000000000007000b000' || lpad(to_hex(number / 100), 12, '0'))::uuid
$$;

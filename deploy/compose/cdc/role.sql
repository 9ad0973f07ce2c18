-- Who reads the log of the database orders for the profile cdc, and what of it. Doing it again changes nothing.
SELECT 'CREATE ROLE orders_cdc LOGIN REPLICATION'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'orders_cdc') \gexec
ALTER ROLE orders_cdc PASSWORD :'password';
GRANT CONNECT ON DATABASE orders TO orders_cdc;
GRANT USAGE ON SCHEMA public TO orders_cdc;
GRANT SELECT ON outbox TO orders_cdc;
SELECT 'CREATE PUBLICATION cdc_outbox FOR TABLE outbox WITH (publish = ''insert'', publish_via_partition_root = true)'
WHERE NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'cdc_outbox') \gexec

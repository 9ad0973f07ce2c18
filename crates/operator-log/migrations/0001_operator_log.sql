-- What operators have done in this database: one row for each action, written in the transaction of the change. Kept for ever.
CREATE TABLE operator_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- the moment of the insert, not of the transaction's start: of two actions on one object the later has the later time,
    -- for it waited until the earlier was over
    done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- the id of an account; or how somebody came who has shown none: `ops`, `command line`, `unnamed`
    operator text NOT NULL CHECK (octet_length(operator) BETWEEN 1 AND 64),
    -- one word
    action text NOT NULL CHECK (action ~ '^[a-z][a-z-]{0,39}$'),
    -- kind and name: `product/mug`
    object text NOT NULL CHECK (octet_length(object) BETWEEN 1 AND 300),
    -- what is known of it; of what has changed `{"price": {"before": …, "after": …}}`
    detail jsonb NOT NULL CHECK (jsonb_typeof(detail) = 'object' AND octet_length(detail::text) <= 8192),
    -- of the request; null where none brought it
    trace_id text CHECK (trace_id ~ '^[0-9a-f]{32}$')
);

-- The log is read from its newest entry back, of everybody or of one operator.
CREATE INDEX operator_log_done_at ON operator_log (done_at, id);
CREATE INDEX operator_log_operator ON operator_log (operator, done_at, id);

-- Whoever may write every table of this database (by default privileges: the login that serves) may here do no more than add an entry,
-- and cannot choose its number or its time. Entries are altered or deleted by the owner alone.
DO $$
DECLARE
    writer record;
BEGIN
    FOR writer IN
        SELECT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END AS name,
            bool_or(acl.privilege_type = 'INSERT') AS inserts
        FROM pg_class AS log CROSS JOIN LATERAL aclexplode(log.relacl) AS acl
        WHERE log.oid = 'operator_log'::regclass AND acl.grantee <> log.relowner
        GROUP BY acl.grantee
    LOOP
        EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON operator_log FROM %s', writer.name);
        IF writer.inserts THEN
            EXECUTE format('GRANT INSERT (operator, action, object, detail, trace_id) ON operator_log TO %s', writer.name);
        END IF;
    END LOOP;
END $$;

-- One database and its three roles, or what exists brought to the present rules: an owner that migrates, a login that serves
-- and may not change tables, a reader for the audit. For psql, as a superuser, on Postgres 17:
--
--   psql -v ON_ERROR_STOP=1 -v database=orders -v owner_password=… -v app_password=… -v audit_password=… -f database.sql
--
-- The rules are those of crates/local-servers/src/provision.rs; make k8s-check compares.
\set owner :database _owner
\set app :database _app
\set audit :database _audit

SELECT format('CREATE ROLE %I LOGIN', role)
FROM unnest(ARRAY[:'owner', :'app', :'audit']) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
ALTER ROLE :"owner" PASSWORD :'owner_password';
ALTER ROLE :"app" PASSWORD :'app_password';
ALTER ROLE :"audit" PASSWORD :'audit_password';

-- a transaction that outlives these would hold up recovery, and past twice the first the outbox takes an unseen id for a gap
ALTER ROLE :"app" SET transaction_timeout = '10s';
ALTER ROLE :"app" SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE :"app" SET lock_timeout = '5s';

-- who is no superuser, as with a managed Postgres, can give away only what is his role's too
SELECT format('GRANT %I TO CURRENT_USER', :'owner')
WHERE NOT pg_has_role(:'owner', 'SET') \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'owner')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec

-- default privileges belong to one database. They open what the owner will make, so a migration never grants anything
\connect :"database"
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO :"app", :"audit";
GRANT USAGE ON SCHEMA public TO :"app", :"audit";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT SELECT ON TABLES TO :"audit";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT SELECT ON SEQUENCES TO :"audit";

//! A service's database and its three roles: an owner that migrates, a login that serves, a reader for the audit.
//!
//! The grants are default privileges of the owner, so whatever a migration creates is at once open to the other two and
//! a migration never grants anything.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use std::str::FromStr;

use crate::Error;

/// A database whose roles are made. The URLs hold passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioned {
    /// The database's name.
    pub database: String,
    /// Of `<database>_owner`, which owns the database and migrates it.
    pub owner_url: String,
    /// Of `<database>_app`, which serves: SELECT, INSERT, UPDATE and DELETE, and no DDL.
    pub app_url: String,
    /// Of `<database>_audit`, which only reads.
    pub audit_url: String,
}

/// Limits on the role that serves. A transaction that outlives them would hold up recovery, and the outbox relies on the
/// first: past twice its length an unseen id is a gap for good.
const APP_LIMITS: [&str; 3] =
    ["transaction_timeout = '10s'", "idle_in_transaction_session_timeout = '10s'", "lock_timeout = '5s'"];

/// Makes `database` and its roles on the server of `superuser_url`, or brings those that exist to the present rules. All
/// roles get the superuser's password: on this machine they keep services honest, not people out.
///
/// `database` is a plain lower-case name such as `orders`; nothing else is accepted.
pub async fn database(superuser_url: &str, database: &str) -> Result<Provisioned, Error> {
    check_name(database)?;
    let server = PgConnectOptions::from_str(superuser_url).map_err(Error::sql("read the superuser's URL"))?;
    let mut connection = connect(&server).await?;
    for role in ["owner", "app", "audit"] {
        make_role(&mut connection, superuser_url, &format!("{database}_{role}")).await?;
    }
    for limit in APP_LIMITS {
        execute(&mut connection, format!("ALTER ROLE {database}_app SET {limit}")).await?;
    }
    make_database(&mut connection, database).await?;
    let mut inside = connect(&server.clone().database(database)).await?;
    grant(&mut inside, database).await?;
    Ok(Provisioned {
        database: database.to_owned(),
        owner_url: url(superuser_url, database, "owner"),
        app_url: url(superuser_url, database, "app"),
        audit_url: url(superuser_url, database, "audit"),
    })
}

async fn make_role(connection: &mut PgConnection, superuser_url: &str, role: &str) -> Result<(), Error> {
    let password = password(superuser_url);
    // CREATE ROLE knows no IF NOT EXISTS
    execute(
        connection,
        format!(
            "DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
             ALTER ROLE {role} PASSWORD '{password}'"
        ),
    )
    .await
}

async fn make_database(connection: &mut PgConnection, database: &str) -> Result<(), Error> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(database)
        .fetch_one(&mut *connection)
        .await
        .map_err(Error::sql(format!("look for the database {database}")))?;
    if exists {
        return Ok(());
    }
    execute(connection, format!("CREATE DATABASE {database} OWNER {database}_owner")).await
}

/// Runs inside the database: default privileges and the schema `public` belong to one database.
async fn grant(connection: &mut PgConnection, database: &str) -> Result<(), Error> {
    let (owner, app, audit) = (format!("{database}_owner"), format!("{database}_app"), format!("{database}_audit"));
    execute(
        connection,
        format!(
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC;
             GRANT CONNECT ON DATABASE {database} TO {app}, {audit};
             GRANT USAGE ON SCHEMA public TO {app}, {audit};
             ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public
                 GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};
             ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {app};
             ALTER DEFAULT PRIVILEGES FOR ROLE {owner} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
             ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO {app};
             ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT ON TABLES TO {audit};
             ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT ON SEQUENCES TO {audit}"
        ),
    )
    .await
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Error> {
    options.connect().await.map_err(Error::sql("open a connection"))
}

/// Runs statements built from checked names only.
async fn execute(connection: &mut PgConnection, sql: String) -> Result<(), Error> {
    let summary = sql.lines().next().unwrap_or_default().to_owned();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop).map_err(Error::sql(summary))
}

fn check_name(name: &str) -> Result<(), Error> {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
        // PostgreSQL cuts names at 63 bytes, and the longest suffix of a role takes 6
        && name.len() <= 57;
    if plain {
        return Ok(());
    }
    let reason = format!("`{name}` is not a plain lower-case name of at most 57 characters");
    Err(Error::Sql { doing: "make a database".to_owned(), source: sqlx::Error::Configuration(reason.into()) })
}

/// The URL of one of the database's roles, on the server of `superuser_url`.
fn url(superuser_url: &str, database: &str, role: &str) -> String {
    let (password, server) = (password(superuser_url), server(superuser_url));
    format!("postgres://{database}_{role}:{password}@{server}/{database}")
}

/// `secret` of `postgres://user:secret@host:port/database`.
fn password(url: &str) -> &str {
    let user_info = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map_or("", |(info, _)| info);
    user_info.split_once(':').map_or("", |(_, password)| password)
}

/// `host:port` of `postgres://user:secret@host:port/database`.
fn server(url: &str) -> &str {
    url.rsplit_once('@').map_or("", |(_, rest)| rest.split('/').next().unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_gets_the_superusers_server_and_password() {
        let superuser = "postgres://postgres:secret@127.0.0.1:15432/postgres";
        assert_eq!(url(superuser, "orders", "app"), "postgres://orders_app:secret@127.0.0.1:15432/orders");
    }

    #[test]
    fn only_plain_names_reach_a_statement() {
        assert!(check_name("t3f2a_orders").is_ok());
        for name in ["", "Orders", "1orders", "orders;drop", "orders\"", &"o".repeat(58)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}

//! The service's own Postgres database.

use std::{io, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::Instant;
use tracing::info;

use crate::{
    Error,
    config::{DatabaseConfig, MigrateConfig},
};

/// How long a start waits for the database to answer.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// The pause before a database that did not answer is tried again.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Opens the pool that a service serves from, once Postgres answers. It is waited for: what starts together comes up in any
/// order.
pub async fn connect(config: &DatabaseConfig) -> Result<PgPool, Error> {
    let options = by_key(options(&config.database_url)?);
    close(first_connection(&options).await?).await?;
    Ok(PgPoolOptions::new()
        .max_connections(config.database_connections)
        .acquire_timeout(config.acquire_timeout())
        // a ping on each acquire costs a round trip; a broken connection shows at its first statement as well
        .test_before_acquire(false)
        .connect_lazy_with(options))
}

/// Sessions in which every plan finds rows by an index where there is one. A connection keeps the plans of its statements; one
/// that was made while a table was small would read all of it for ever, more with each row, until somebody analyses the table. And
/// a page that is looked up costs hardly more than one that is read in turn: those that matter are in memory.
///
/// An index can be read from its beginning as well: that is how a small table is joined with rows that were given, and where keys grow it is
/// all of the table. So a statement with such a join says besides that the key is one of those given: `AND thing.id = ANY ($1)`.
pub fn by_key(options: PgConnectOptions) -> PgConnectOptions {
    options.options([("enable_seqscan", "off"), ("random_page_cost", "1.1")])
}

/// Waits until the database has the tables that this version expects, `migrators` being those of [`migrate`]. A newer shape
/// will do: migrations only expand. What starts together is migrated in any order; what is never migrated is given up.
pub async fn migrated(pool: &PgPool, migrators: &[&Migrator]) -> Result<(), Error> {
    let deadline = Instant::now() + CONNECT_DEADLINE;
    for migrator in migrators {
        while !is_migrated(pool, migrator).await? {
            if Instant::now() > deadline {
                let waited = CONNECT_DEADLINE.as_secs();
                return Err(Error::Unreachable(format!(
                    "DATABASE_URL: the database is not migrated, for {waited} s; run `migrate` as its owner"
                )));
            }
            tokio::time::sleep(CONNECT_PAUSE).await;
        }
    }
    Ok(())
}

/// Whether the newest migration of one migrator was made, or a newer one.
async fn is_migrated(pool: &PgPool, migrator: &Migrator) -> Result<bool, Error> {
    let Some(newest) = migrator.iter().map(|migration| migration.version).max() else { return Ok(true) };
    let record = format!("SELECT COALESCE(MAX(version), 0) FROM {} WHERE success", migrator.table_name);
    match sqlx::query_scalar::<_, i64>(AssertSqlSafe(record)).fetch_one(pool).await {
        Ok(made) => Ok(made >= newest),
        // undefined_table
        Err(error) if has_state(&error, "42P01") => Ok(false),
        Err(error) => Err(Error::Unreachable(format!("DATABASE_URL: {error}, asked for its migrations"))),
    }
}

/// Brings the database to the shape that this version expects, as its owner: the tables of each mechanism that the
/// service uses, then the service's own. Each migrator keeps its own record. Running it again changes nothing.
pub async fn migrate(config: &MigrateConfig, migrators: &[&Migrator]) -> Result<(), Error> {
    let options = options(&config.database_url)?;
    let mut connection = first_connection(&options).await?;
    for migrator in migrators {
        migrator.run_direct(None, &mut connection, false).await.map_err(|error| Error::other("migrating", error))?;
    }
    info!("the database is up to date");
    close(connection).await
}

/// Connects; while there is no Postgres or it is still starting, again and again until the deadline.
async fn first_connection(options: &PgConnectOptions) -> Result<PgConnection, Error> {
    let mut last = "no answer".to_owned();
    let trying = async {
        loop {
            match PgConnection::connect_with(options).await {
                Err(error) if is_passing(&error) => last = error.to_string(),
                other => return other,
            }
            tokio::time::sleep(CONNECT_PAUSE).await;
        }
    };
    match tokio::time::timeout(CONNECT_DEADLINE, trying).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(Error::Unreachable(format!("DATABASE_URL: {error}; does the role exist?"))),
        Err(_) => Err(Error::Unreachable(format!(
            "DATABASE_URL: {last}, for {} s; is Postgres up?",
            CONNECT_DEADLINE.as_secs()
        ))),
    }
}

/// Whether a database that cannot be connected to may answer a moment later.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        // a wrong certificate does not get better
        sqlx::Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
        // SQLSTATE: 57P03 cannot connect now (it starts or stops), 53300 too many connections
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| code == "57P03" || code == "53300"),
        _ => false,
    }
}

/// Whether a statement failed of what it was to write, so that it would fail again: a rule of the table, or a value that does not
/// fit. Everything else (no connection, a deadlock, a time limit, a missing table) passes, or is repaired.
pub fn is_of_the_data(error: &sqlx::Error) -> bool {
    match error {
        // SQLSTATE: class 22 data exception, class 23 integrity constraint violation
        sqlx::Error::Database(refusal) => {
            refusal.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
        }
        sqlx::Error::RowNotFound | sqlx::Error::Encode(_) => true,
        _ => false,
    }
}

/// What a statement failed of that had no answer in its time: nobody knows whether it was done.
pub fn no_answer() -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time").into()
}

/// Whether what was written together failed of one of its parts, so that the others may be written without it: of its data, or
/// because two transactions waited for each other and this one was chosen to end.
pub fn is_of_one_part(error: &sqlx::Error) -> bool {
    // deadlock_detected
    is_of_the_data(error) || has_state(error, "40P01")
}

/// Whether the server refused with this SQLSTATE.
pub fn has_state(error: &sqlx::Error, state: &str) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == state)
}

async fn close(connection: PgConnection) -> Result<(), Error> {
    connection.close().await.map_err(|error| Error::other("closing the connection", error))
}

fn options(url: &SecretString) -> Result<PgConnectOptions, Error> {
    // the error is not shown: it may repeat the password
    PgConnectOptions::from_str(url.expose_secret()).map_err(|_| {
        Error::Config("DATABASE_URL is no URL like postgres://user:password@host:5432/database".to_owned())
    })
}

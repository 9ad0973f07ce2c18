//! The service's own Postgres database.

use std::{str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tracing::info;

use crate::{
    Error,
    config::{DatabaseConfig, MigrateConfig},
};

/// How long a start waits for the database to answer.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Opens the pool that a service serves from, and sees one connection work.
pub async fn connect(config: &DatabaseConfig) -> Result<PgPool, Error> {
    let options = options(&config.database_url)?;
    let pool = PgPoolOptions::new()
        .max_connections(config.database_connections)
        .acquire_timeout(config.acquire_timeout())
        // a ping on each acquire costs a round trip; a broken connection shows at its first statement as well
        .test_before_acquire(false)
        .connect_lazy_with(options);
    // spawned and awaited whole: see `Shutdown::spawn_work`
    let asking = pool.clone();
    let first = tokio::spawn(async move { sqlx::query("SELECT 1").execute(&asking).await });
    match tokio::time::timeout(CONNECT_DEADLINE, first).await {
        Ok(Ok(Ok(_))) => Ok(pool),
        Ok(Ok(Err(error))) => Err(unreachable(&error)),
        Ok(Err(error)) => Err(Error::other("connecting to the database", error)),
        Err(_) => Err(Error::Unreachable(format!("DATABASE_URL: no answer in {CONNECT_DEADLINE:?}; is Postgres up?"))),
    }
}

/// Brings the database to the shape that this version expects, as its owner: the tables of each mechanism that the
/// service uses, then the service's own. Each migrator keeps its own record. Running it again changes nothing.
pub async fn migrate(config: &MigrateConfig, migrators: &[&Migrator]) -> Result<(), Error> {
    let options = options(&config.database_url)?;
    let connecting = tokio::time::timeout(CONNECT_DEADLINE, PgConnection::connect_with(&options)).await;
    let mut connection = connecting
        .map_err(|_| Error::Unreachable(format!("DATABASE_URL: no answer in {CONNECT_DEADLINE:?}; is Postgres up?")))?
        .map_err(|error| unreachable(&error))?;
    for migrator in migrators {
        migrator.run_direct(None, &mut connection, false).await.map_err(|error| Error::other("migrating", error))?;
    }
    info!("the database is up to date");
    connection.close().await.map_err(|error| Error::other("closing the connection", error))
}

fn options(url: &SecretString) -> Result<PgConnectOptions, Error> {
    // the error is not shown: it may repeat the password
    PgConnectOptions::from_str(url.expose_secret()).map_err(|_| {
        Error::Config("DATABASE_URL is no URL like postgres://user:password@host:5432/database".to_owned())
    })
}

fn unreachable(error: &sqlx::Error) -> Error {
    Error::Unreachable(format!("DATABASE_URL: {error}; is Postgres up, and does the role exist?"))
}

//! A database of a test's own on the shared PostgreSQL server.

use local_servers::provision::{self, Provisioned};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use crate::shared;

/// A fresh, migrated database with the three roles that a service's database has in production.
///
/// It is left to the end of the server: a failed test can be looked into, and dropping would cost every test a
/// checkpoint.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    /// Its name: the hint with a unique prefix.
    pub name: String,
    /// As the owner, who may do everything: for preparing and looking.
    pub owner: PgPool,
    /// As the service serves: DML only.
    pub app: PgPool,
    /// The owner's URL.
    pub owner_url: String,
    /// The serving role's URL: `DATABASE_URL` of a service under test.
    pub app_url: String,
    /// The read-only role's URL.
    pub audit_url: String,
}

/// Makes a database named after `hint` (a plain lower-case word) and runs `migrators` in their order, as the owner.
pub async fn database(hint: &str, migrators: &[&Migrator]) -> TestDatabase {
    let name = format!("{}_{hint}", shared::unique_prefix());
    let provisioned = provision::database(&shared::postgres_url(), &name).await;
    let Provisioned { owner_url, app_url, audit_url, .. } = provisioned.unwrap_or_else(|error| panic!("{error}"));
    let owner = pool(&owner_url);
    for migrator in migrators {
        migrator.run(&owner).await.unwrap_or_else(|error| panic!("{name} could not be migrated: {error}"));
    }
    TestDatabase { app: pool(&app_url), name, owner, owner_url, app_url, audit_url }
}

/// Drops databases of the shared server that a test has made by itself and is done with, soon and in the background. Only
/// where they take memory: dropping costs a checkpoint, and disk there is.
pub fn drop_soon(databases: Vec<String>) {
    if std::env::var("TEST_POSTGRES_IN_MEMORY").as_deref() != Ok("yes") {
        return;
    }
    let url = shared::postgres_url();
    // a thread of its own, because the runtime of a test ends with it; if the process is quicker, the server's end deletes all
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&url).await?;
            for database in databases {
                let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
                sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await?;
            }
            anyhow::Ok(())
        })
    });
}

/// Small: many tests share one server. Connections are opened when needed, and not checked again: the server is near.
fn pool(url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(8)
        .test_before_acquire(false)
        .connect_lazy(url)
        .expect("provisioning returns valid URLs")
}

//! A database of a test's own on the shared PostgreSQL server.

use local_servers::provision::{self, Provisioned};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;

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

/// Small: many tests share one server. Connections are opened when needed, and not checked again: the server is near.
fn pool(url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(8)
        .test_before_acquire(false)
        .connect_lazy(url)
        .expect("provisioning returns valid URLs")
}

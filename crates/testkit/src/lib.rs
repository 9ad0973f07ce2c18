//! For tests: fresh databases and namespaces on real servers, and waiting for conditions.
//!
//! The servers are shared by a whole run of tests and found through two variables that the `with-servers` program sets:
//!
//! ```text
//! cargo run -q -p testkit --bin with-servers -- cargo test
//! ```
//!
//! ```no_run
//! # async fn test(migrator: &sqlx::migrate::Migrator) {
//! let database = testkit::database("orders", &[migrator]).await;
//! let kafka = testkit::kafka();
//! kafka.create_topic("orders.order.v1", 6).await;
//! testkit::eventually(testkit::SOON, "the letter is published", async || database.app.size() > 0).await;
//! # }
//! ```
//!
//! Everything here panics instead of returning errors: a test has nothing else to do with them.

mod addresses;
mod collector;
mod database;
mod eventually;
mod kafka;
mod own_servers;
mod places;
mod routes;
mod shared;

pub use addresses::free_addresses;
pub use collector::{CollectedSpan, Collector, SpanKind};
pub use database::{TestDatabase, database, drop_soon};
pub use eventually::{SOON, eventually, eventually_some};
pub use kafka::{TestKafka, kafka};
pub use own_servers::{OwnKafka, OwnPostgres, own_kafka, own_postgres};
pub use places::places_with;
pub use routes::ask;

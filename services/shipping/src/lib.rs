//! Shipping sends one parcel for each completed order, and tells where it is.
//!
//! It is the first follower: order does not know it. Start at [`consumers`], where a letter makes a shipment; then
//! [`shipment`], the table of what can happen to one; then the two that make it happen, [`dispatch()`] (an operator asks)
//! and [`timed_moves`] (time passes).

pub mod consumers;
pub mod shipment;
pub mod timed_moves;

mod advance;
mod config;
mod dispatch;
mod error;
mod events;
mod grpc;
mod store;

pub use config::Config;
pub use dispatch::dispatch;
pub use error::ShippingError;

use std::time::Duration;

use contracts::shipping::v1::shipping_service_server::ShippingServiceServer;
use outbox::{Relay, RelayConfig, Waker};
use service_runtime::{
    Error, Shutdown, database,
    ops::{self, Readiness},
};
use sqlx::{PgPool, migrate::Migrator};
use tonic::service::Routes;

/// The tables of shipping, beside those of the outbox and the consumer.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/shipping");

/// What the use cases work with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The database of shipping.
    pub pool: PgPool,
    /// Told after each commit that wrote a letter.
    pub relay: Waker,
    /// How long a parcel is prepared, and how long it then travels.
    pub dispatch_after: Duration,
    /// The end of the process, and the work that must not be cut short before it.
    pub shutdown: Shutdown,
}

/// Serves until the end is requested.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let pool = database::connect(&config.database).await?;
    ops::serve(&config.ops, Readiness::Database(pool.clone()), &shutdown).await?;
    let routes = start(&config, pool, &shutdown)?;
    rpc::server::serve(config.listen_addr, routes, &shutdown).await
}

/// Starts all parts that go on by themselves, and gives the calls that shipping answers.
pub fn start(config: &Config, pool: PgPool, shutdown: &Shutdown) -> Result<Routes, Error> {
    let relay = Relay::new(RelayConfig {
        database_url: config.database.database_url.clone(),
        kafka_bootstrap_servers: config.kafka.kafka_bootstrap_servers.clone(),
        kafka_namespace: config.kafka.kafka_namespace.clone(),
        retention_days: RelayConfig::RETENTION_DAYS,
    })
    .map_err(|error| Error::Config(format!("DATABASE_URL: {error}")))?;
    let deps = Deps { pool, relay: relay.waker(), dispatch_after: config.dispatch_after(), shutdown: shutdown.clone() };
    shutdown.spawn_part("relay", relay.run(shutdown.token()));
    shutdown.spawn_part("consumers", consumers::run(config.kafka.clone(), deps.clone()));
    shutdown.spawn_part("timed moves", timed_moves::run(deps.clone()));
    Ok(Routes::new(ShippingServiceServer::new(grpc::Shipping::new(deps))))
}

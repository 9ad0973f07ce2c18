//! Shipping sends one parcel for each completed order, and tells where it is.
//!
//! It is the first follower: order does not know it. Start at [`consumers`], where a letter notes that an order wants a
//! parcel; then [`questions`], which asks whether its customer has an address, and so makes the shipment. [`shipment`] is the
//! table of what can happen to one; [`dispatch()`] (an operator asks), [`stop()`] (order asks) and [`timed_moves`] (time
//! passes) make it happen.

pub mod consumers;
pub mod questions;
pub mod shipment;
pub mod timed_moves;

mod answers;
mod changes;
mod config;
mod dispatch;
mod error;
mod events;
mod grpc;
mod stop;
mod store;

pub use config::Config;
pub use dispatch::dispatch;
pub use error::ShippingError;
pub use stop::{Stopped, stop};

use std::{sync::Arc, time::Duration};

use contracts::{
    accounts::v1::accounts_service_client::AccountsServiceClient,
    shipping::v1::shipping_service_server::ShippingServiceServer,
};
use outbox::{Relay, Waker};
use rpc::{Channel, MESSAGE_BYTES_MAX, Served, Tls};
use service_runtime::{Error, Shutdown, database, ops};
use sqlx::{PgPool, migrate::Migrator};
use tokio::sync::Notify;

/// All that makes the database of this service, in this sequence.
pub static MIGRATORS: [&Migrator; 4] = [&outbox::MIGRATOR, &consumer::MIGRATOR, &operator_log::MIGRATOR, &MIGRATOR];

/// The tables of this service alone.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/shipping");

/// What the use cases work with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The database of shipping.
    pub pool: PgPool,
    /// Knows whether a customer has an address.
    pub accounts: AccountsServiceClient<Channel>,
    /// Told after each commit that wrote a letter.
    pub relay: Waker,
    /// Told after each commit that noted a question for accounts.
    pub new_questions: Arc<Notify>,
    /// How long a parcel is prepared, and how long it then travels.
    pub dispatch_after: Duration,
    /// The end of the process, and the work that must not be cut short before it.
    pub shutdown: Shutdown,
}

/// Serves until the end is requested.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let tls = Tls::open(&config.tls)?;
    let pool = database::connect(&config.database).await?;
    database::migrated(&pool, &MIGRATORS).await?;
    let relay = Relay::of_service(&config.database, &config.kafka)?;
    let deps = Deps {
        pool: pool.clone(),
        accounts: AccountsServiceClient::new(tls.channel(&config.accounts_url)?)
            .max_decoding_message_size(MESSAGE_BYTES_MAX),
        relay: relay.waker(),
        new_questions: Arc::default(),
        dispatch_after: config.dispatch_after(),
        shutdown: shutdown.clone(),
    };
    shutdown.spawn_part("relay", relay.run(shutdown.token()));
    shutdown.spawn_part("consumers", consumers::run(config.kafka.clone(), deps.clone()));
    shutdown.spawn_part("questions", questions::run(deps.clone()));
    shutdown.spawn_part("timed moves", timed_moves::run(deps.clone()));
    let operators = consumer::admin::routes(pool.clone(), &config.kafka)
        .merge(outbox::admin::routes(pool.clone()))
        .merge(operator_log::admin::routes(pool.clone()));
    ops::serve(&config.ops, outbox::readiness(pool).and_kafka(&config.kafka), operators, &shutdown).await?;
    tls.serve(config.listen_addr, routes(deps), &shutdown).await
}

/// The calls that shipping answers.
pub fn routes(deps: Deps) -> Served {
    let server = ShippingServiceServer::new(grpc::Shipping::new(deps));
    Served::new(server.max_decoding_message_size(MESSAGE_BYTES_MAX))
}

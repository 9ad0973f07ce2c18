//! Inventory owns what is sold, how many pieces there are, and what is reserved of them.
//!
//! Start at [`Reservations`]: all lines of an order or none, and the same order gets the same answer for ever. The rule for
//! who gets what is the pure function `decide` in `reservation`; what becomes of a reservation then is the table in
//! `life`. `consumers` is the second door: orders that were placed by letter reserve there, by the same rule.
//!
//! Invariant: inventory never ends a reservation by itself; only the order's owner decides an order.
//! Invariant: locks are taken on stock first, by SKU, and on the reservation last, so that no two calls wait for each
//! other. (A batch of letters holds several orders' stock, so it waits but shortly and then goes letter by letter.)

mod config;
mod consumers;
mod encode;
mod error;
mod events;
mod forget_keys;
mod grpc;
mod life;
mod product;
mod put_product;
mod release;
mod reservation;
mod reserve;
mod restock;
mod seed;
mod settle;
mod store;
mod take_back;

pub use config::Config;
pub use consumers::{FollowOrders, handlers};
pub use error::InventoryError;
pub use life::Applied;
pub use product::{PRICE_MINOR_MAX, Product, ProductDetails};
pub use release::release;
pub use reservation::{Answer, Decision, LINES_MAX, Line, Offer, PricedLine, Refusal, Reserve, decide};
pub use reserve::Reservations;
pub use restock::{Delivery, Restocked, restock};
pub use seed::{Catalogue, seed};
pub use settle::settle_in_tx;
pub use take_back::take_back_in_tx;

use contracts::inventory::v1::inventory_service_server::InventoryServiceServer;
use outbox::Relay;
use rpc::{MESSAGE_BYTES_MAX, Served, Tls};
use service_runtime::{Error, Shutdown, config::BatchConfig, database, ops};
use sqlx::{PgPool, migrate::Migrator};

/// All that makes the database of this service, in this sequence.
pub static MIGRATORS: [&Migrator; 4] = [&outbox::MIGRATOR, &consumer::MIGRATOR, &operator_log::MIGRATOR, &MIGRATOR];

/// The tables of this service alone.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/inventory");

/// Serves until the end is requested.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let tls = Tls::open(&config.tls)?;
    let pool = database::connect(&config.database).await?;
    database::migrated(&pool, &MIGRATORS).await?;
    let operators = consumer::admin::routes(pool.clone(), &config.kafka)
        .merge(outbox::admin::routes(pool.clone()))
        .merge(operator_log::admin::routes(pool.clone()));
    ops::serve(&config.ops, outbox::readiness(pool.clone()).and_kafka(&config.kafka), operators, &shutdown).await?;
    let routes = start(&config, pool, &shutdown)?;
    tls.serve(config.listen_addr, routes, &shutdown).await
}

/// Starts all parts that go on by themselves, and gives the calls that inventory answers.
pub fn start(config: &Config, pool: PgPool, shutdown: &Shutdown) -> Result<Served, Error> {
    let relay = Relay::of_service(&config.database, &config.kafka)?;
    let consumers = consumers::run(config.kafka.clone(), pool.clone(), relay.waker(), shutdown.clone());
    shutdown.spawn_part("relay", relay.run(shutdown.token()));
    shutdown.spawn_part("consumers", consumers);
    shutdown.spawn_part("old keys", forget_keys::run(pool.clone(), shutdown.clone()));
    Ok(routes(pool, config.batches, shutdown))
}

/// The calls that inventory answers.
pub fn routes(pool: PgPool, batches: BatchConfig, shutdown: &Shutdown) -> Served {
    let server = InventoryServiceServer::new(grpc::Inventory::new(pool, batches, shutdown.clone()));
    Served::new(server.max_decoding_message_size(MESSAGE_BYTES_MAX))
}

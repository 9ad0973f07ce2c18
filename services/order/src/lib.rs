//! Order owns the life of an order.
//!
//! Start at [`grpc`], where the order path begins, then [`place_order`](mod@place_order), then [`carry_on`](mod@carry_on).
//! What each answer means is the table in [`saga`]; what a crash left behind is picked up by [`recovery`]. Orders by letter
//! are carried on by [`consumers`] instead, with the same table. What operators can do about an order that waits is
//! [`stuck`].

pub mod answer;
pub mod backlog;
pub mod cancel_order;
pub mod carry_on;
pub mod config;
pub mod consumers;
pub mod encode;
pub mod error;
pub mod events;
pub mod grpc;
pub mod hear;
pub mod keep;
mod kill_points;
pub mod order;
pub mod payment_instruction;
pub mod place_order;
pub mod recovery;
pub mod saga;
pub mod store;
pub mod stuck;
pub mod telephone;
pub mod watch;
pub mod writer;

use std::{sync::Arc, time::Duration};

use contracts::order::v1::order_service_server::OrderServiceServer;
use outbox::{Relay, Waker};
use rpc::{MESSAGE_BYTES_MAX, Served, Tls};
use service_runtime::{Error, Shutdown, clock::Clock, database, ops};
use sqlx::{PgPool, migrate::Migrator};
use tokio::sync::Notify;

use crate::{config::Config, grpc::OrderApi, store::Lane, telephone::Telephone, watch::Watches, writer::Writer};

/// All that makes the database of this service, in this sequence.
pub static MIGRATORS: [&Migrator; 4] = [&outbox::MIGRATOR, &consumer::MIGRATOR, &operator_log::MIGRATOR, &MIGRATOR];

/// The tables of this service alone.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/order");

/// What the use cases work with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The database of order.
    pub pool: PgPool,
    /// The writer of orders.
    pub writer: Writer,
    /// Inventory, payment and shipping.
    pub telephone: Telephone,
    /// Told after each commit that wrote a letter.
    pub relay: Waker,
    /// Told when an order may be due, so that recovery need not be waited for.
    pub recovery: Arc<Notify>,
    /// Where those are handed in who watch orders.
    pub watches: Watches,
    /// How long an order by letter may take to be decided.
    pub letters_decide_within: Duration,
    /// Stamps changes and letters. Whether an order has expired, the database decides.
    pub clock: Clock,
    /// Runs work that must not be cut short.
    pub shutdown: Shutdown,
}

/// Serves until the end is requested.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let tls = Tls::open(&config.tls)?;
    let pool = database::connect(&config.database).await?;
    database::migrated(&pool, &MIGRATORS).await?;
    let relay = Relay::of_service(&config.database, &config.kafka)?;
    let (watches, new_watches) = watch::watches();
    let deps = Deps {
        pool: pool.clone(),
        writer: Writer::start(&pool, config.batches, &relay.waker()),
        telephone: Telephone::new(
            tls.channel(&config.inventory_url)?,
            tls.channel(&config.payment_url)?,
            tls.channel(&config.shipping_url)?,
        ),
        relay: relay.waker(),
        recovery: Arc::new(Notify::new()),
        watches,
        letters_decide_within: Duration::from_secs(config.decide_letters_within.into()),
        clock: Clock::System,
        shutdown: shutdown.clone(),
    };
    shutdown.spawn_part("relay", relay.run(shutdown.token()));
    for lane in Lane::ALL {
        shutdown.spawn_part("recovery", recovery::run(deps.clone(), lane));
    }
    shutdown.spawn_part("backlog", backlog::run(deps.clone()));
    shutdown.spawn_part("watches", watch::run(deps.clone(), new_watches));
    shutdown.spawn_part("old keys", cancel_order::forget_old_keys(deps.clone()));
    shutdown.spawn_part("consumers", consumers::run(config.kafka.clone(), deps.clone()));
    let operators = consumer::admin::routes(pool.clone(), &config.kafka)
        .merge(outbox::admin::routes(pool.clone()))
        .merge(operator_log::admin::routes(pool.clone()))
        .merge(stuck::routes(deps.clone()));
    ops::serve(&config.ops, outbox::readiness(pool).and_kafka(&config.kafka), operators, &shutdown).await?;
    let server = OrderServiceServer::new(OrderApi::new(deps)).max_decoding_message_size(MESSAGE_BYTES_MAX);
    tls.serve(config.listen_addr, Served::new(server), &shutdown).await
}

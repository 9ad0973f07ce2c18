//! Payment charges orders through the card network, at most once each, and undoes charges.
//!
//! Start at [`grpc`], then [`charge`](mod@charge), [`void`](mod@void) and [`refund`](mod@refund). What each answer of the
//! network means is the table in [`payment`]; it is committed by [`record`].
//!
//! The other door is [`consumers`]: an order by letter whose stock is held is written down, and [`worker`] charges it
//! ([`by_letter`]) through the same use case.

pub mod backlog;
pub mod books;
pub mod by_letter;
pub mod charge;
pub mod config;
pub mod consumers;
pub mod encode;
pub mod error;
pub mod events;
pub mod grpc;
pub mod instruction;
mod kill_points;
pub mod ledger;
pub mod patience;
pub mod payment;
pub mod psp_client;
pub mod record;
pub mod refund;
pub mod store;
pub mod void;
pub mod work;
pub mod worker;

use std::sync::Arc;

use contracts::payment::v1::payment_service_server::PaymentServiceServer;
use outbox::{Relay, Waker};
use rpc::{MESSAGE_BYTES_MAX, Served, Tls};
use service_runtime::{Error, Shutdown, clock::Clock, database, ops};
use sqlx::{PgPool, migrate::Migrator};
use tokio::sync::Notify;

use crate::{books::Books, config::Config, grpc::PaymentApi, instruction::OrderDesk, psp_client::PspClient};

/// All that makes the database of this service, in this sequence.
pub static MIGRATORS: [&Migrator; 4] = [&outbox::MIGRATOR, &consumer::MIGRATOR, &operator_log::MIGRATOR, &MIGRATOR];

/// The tables of this service alone.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/payment");

/// What the use cases work with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The database of payment.
    pub pool: PgPool,
    /// The writer of payments.
    pub books: Books,
    /// The card network.
    pub psp: PspClient,
    /// Order, who knows the cards of orders that are placed by letter.
    pub order: OrderDesk,
    /// Told after each commit that wrote a letter.
    pub relay: Waker,
    /// Stamps letters.
    pub clock: Clock,
    /// Runs work that must not be cut short.
    pub shutdown: Shutdown,
}

/// Serves until the end is requested.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let tls = Tls::open(&config.tls)?;
    let psp = PspClient::new(&config.psp_url)?;
    let order = OrderDesk::new(tls.channel(&config.order_url)?);
    let relay = Relay::of_service(&config.database, &config.kafka)?;
    let pool = database::connect(&config.database).await?;
    database::migrated(&pool, &MIGRATORS).await?;
    let operators = consumer::admin::routes(pool.clone(), &config.kafka)
        .merge(outbox::admin::routes(pool.clone()))
        .merge(operator_log::admin::routes(pool.clone()));
    ops::serve(&config.ops, outbox::readiness(pool.clone()).and_kafka(&config.kafka), operators, &shutdown).await?;
    let deps = Deps {
        pool: pool.clone(),
        books: Books::open(pool.clone(), config.batches),
        psp,
        order,
        relay: relay.waker(),
        clock: Clock::System,
        shutdown: shutdown.clone(),
    };
    let new_work = Arc::new(Notify::new());
    shutdown.spawn_part("relay", relay.run(shutdown.token()));
    shutdown.spawn_part("consumers", consumers::run(config.kafka, deps.clone(), new_work.clone()));
    shutdown.spawn_part("new charge work", worker::attempt_new(deps.clone(), new_work));
    shutdown.spawn_part("repeated charge work", worker::attempt_again(deps.clone()));
    shutdown.spawn_part("backlog", backlog::run(pool, shutdown.clone()));
    let server = PaymentServiceServer::new(PaymentApi::new(deps)).max_decoding_message_size(MESSAGE_BYTES_MAX);
    tls.serve(config.listen_addr, Served::new(server), &shutdown).await
}

//! Notification tells customers what becomes of their orders.
//!
//! It is a follower: nobody waits for it. Start at [`consumers`], where a letter becomes a message ([`text`] has the words);
//! then [`delivery`], which sends what is due through [`mailer`].

pub mod backlog;
pub mod consumers;
pub mod delivery;
pub mod mailer;
pub mod text;

mod config;
mod contact;
mod error;
mod grpc;
mod message;
mod store;

pub use config::Config;
pub use error::NotificationError;

use std::sync::Arc;

use contracts::{
    accounts::v1::accounts_service_client::AccountsServiceClient,
    notification::v1::notification_service_server::NotificationServiceServer,
};
use rpc::{Channel, MESSAGE_BYTES_MAX, Served, Tls};
use service_runtime::{
    Error, Shutdown, database,
    ops::{self, Readiness},
};
use sqlx::{PgPool, migrate::Migrator};
use tokio::sync::Notify;

use mailer::Mailer;

/// All that makes the database of this service, in this sequence.
pub static MIGRATORS: [&Migrator; 3] = [&consumer::MIGRATOR, &operator_log::MIGRATOR, &MIGRATOR];

/// The tables of this service alone.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/notification");

/// What the use cases work with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The database of notification.
    pub pool: PgPool,
    /// Whom a customer's messages go to.
    pub accounts: AccountsServiceClient<Channel>,
    /// Takes messages away.
    pub mailer: Arc<Mailer>,
    /// Told after each commit that wrote a message.
    pub written: Arc<Notify>,
    /// The end of the process, and the work that must not be cut short before it.
    pub shutdown: Shutdown,
}

/// Serves until the end is requested.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    // settings first: what is wrong with them is told even while the database is away
    let mailer = Mailer::new(&config)?;
    let tls = Tls::open(&config.tls)?;
    let pool = database::connect(&config.database).await?;
    database::migrated(&pool, &MIGRATORS).await?;
    let operators =
        consumer::admin::routes(pool.clone(), &config.kafka).merge(operator_log::admin::routes(pool.clone()));
    ops::serve(&config.ops, Readiness::Database(pool.clone()).and_kafka(&config.kafka), operators, &shutdown).await?;
    let routes = start(&config, &tls, mailer, pool, &shutdown)?;
    tls.serve(config.listen_addr, routes, &shutdown).await
}

/// Starts all parts that go on by themselves, and gives the calls that notification answers.
pub fn start(config: &Config, tls: &Tls, mailer: Mailer, pool: PgPool, shutdown: &Shutdown) -> Result<Served, Error> {
    let deps = Deps {
        pool,
        accounts: AccountsServiceClient::new(tls.channel(&config.accounts_url)?)
            .max_decoding_message_size(MESSAGE_BYTES_MAX),
        mailer: Arc::new(mailer),
        written: Arc::default(),
        shutdown: shutdown.clone(),
    };
    shutdown.spawn_part("consumers", consumers::run(config.kafka.clone(), deps.clone()));
    shutdown.spawn_part("delivery", delivery::run(deps.clone()));
    shutdown.spawn_part("backlog", backlog::run(deps.clone()));
    let server = NotificationServiceServer::new(grpc::Notification::new(deps));
    Ok(Served::new(server.max_decoding_message_size(MESSAGE_BYTES_MAX)))
}

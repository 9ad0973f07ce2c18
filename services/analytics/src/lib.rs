//! Analytics counts what the letters say, and keeps each of them for the timeline of its order.
//!
//! It is a projection: its tables can be thrown away and built again from the topics. Start at [`consumers`], where a letter
//! becomes rows; then [`letter`], which says what a letter counts for; then [`span`], the windows that figures are asked in;
//! then [`watch`](mod@watch), which tells them as they change. Apart from all that is [`high_value`]: letters in, letters out, no table.

pub mod consumers;
pub mod high_value;
pub mod letter;
pub mod span;
pub mod watch;

mod config;
mod encode;
mod error;
mod grpc;
mod letter_json;
mod store;

pub use config::Config;
pub use error::AnalyticsError;
pub use store::Position;

use consumer::admin::Stream;
use contracts::{analytics::v1::analytics_service_server::AnalyticsServiceServer, topics};
use rpc::{MESSAGE_BYTES_MAX, Served, Tls};
use service_runtime::{
    Error, Shutdown,
    clock::Clock,
    database,
    ops::{self, Readiness},
};
use sqlx::{PgPool, migrate::Migrator};

/// All that makes the database of this service, in this sequence.
pub static MIGRATORS: [&Migrator; 3] = [&consumer::MIGRATOR, &operator_log::MIGRATOR, &MIGRATOR];

/// The tables of this service alone.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/analytics");

/// What answers are made with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The database of analytics.
    pub pool: PgPool,
    /// Says what "now" is in a question; what is counted goes by the letters' own time.
    pub clock: Clock,
    /// The end of the process, and the work that must not be cut short before it.
    pub shutdown: Shutdown,
}

/// Serves until the end is requested.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let tls = Tls::open(&config.tls)?;
    let pool = database::connect(&config.database).await?;
    database::migrated(&pool, &MIGRATORS).await?;
    let high_value = Stream { group: high_value::GROUP, topic: topics::ORDERS };
    let operators = consumer::admin::routes_with_streams(pool.clone(), &config.kafka, &[high_value])
        .merge(operator_log::admin::routes(pool.clone()));
    ops::serve(&config.ops, Readiness::Database(pool.clone()).and_kafka(&config.kafka), operators, &shutdown).await?;
    let routes = start(&config, Deps { pool, clock: Clock::System, shutdown: shutdown.clone() });
    tls.serve(config.listen_addr, routes, &shutdown).await
}

/// Starts to read letters and to look for watchers, and gives the calls that analytics answers.
pub fn start(config: &Config, deps: Deps) -> Served {
    deps.shutdown.spawn_part("consumers", consumers::run(config.kafka.clone(), deps.clone()));
    let settings =
        high_value::Settings { kafka: config.kafka.clone(), threshold: config.high_value_from_minor.clone() };
    deps.shutdown.spawn_part("high-value orders", high_value::run(settings, deps.shutdown.token()));
    let (watches, new_watches) = watch::watches();
    deps.shutdown.spawn_part("watches", watch::run(deps.clone(), new_watches));
    let server = AnalyticsServiceServer::new(grpc::Analytics::new(deps, watches));
    Served::new(server.max_decoding_message_size(MESSAGE_BYTES_MAX))
}

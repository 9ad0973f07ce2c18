//! The wiring of a follower: a service that lives on letters alone, with a database of its own, called by nobody.
//!
//! Such a service is a manifest, a migration and handlers; [`run`] is its `main`. `docs/tour/a-new-follower.md` makes one, step
//! by step. A service that answers calls, or has workers of its own, does its wiring itself: `services/shipping` shows how.
//!
//! ```no_run
//! # use follower::{EventHandler, HandlerError, Kind};
//! # struct AwardPoints;
//! # impl EventHandler for AwardPoints {
//! #     const GROUP: &'static str = "loyalty.award-points";
//! #     const KIND: Kind = Kind::Effect;
//! #     async fn handle(&self, _: &mut sqlx::PgConnection, _: &contracts::event::Event) -> Result<(), HandlerError> {
//! #         Ok(())
//! #     }
//! # }
//! fn main() -> std::process::ExitCode {
//!     // in a service: include_str!("../service.toml"), sqlx::migrate!("../../migrations/loyalty")
//!     let (manifest, migrator) = ("name = \"loyalty\"\nops_port = 9070", sqlx::migrate::Migrator::DEFAULT);
//!     follower::run(manifest, migrator, |letters| letters.on(contracts::topics::ORDERS, AwardPoints))
//! }
//! ```

mod cli;
mod manifest;

use std::process::ExitCode;

use consumer::{ConsumerConfig, replay};
use outbox::Relay;
use service_runtime::{
    Error, Shutdown,
    config::KafkaConfig,
    database,
    ops::{self, Readiness},
};
use sqlx::migrate::Migrator;

pub use consumer::{ConsumerService, EventHandler, HandlerError, Kind};

use cli::{Cli, Serve};
use manifest::Manifest;

/// The `main` of a follower: the sub-commands `migrate`, `serve`, `replay` and `fail-over`, with the settings that all services share.
///
/// `manifest` is the text of its `service.toml`, from which it takes its name, the default of `OPS_ADDR` (`ops_port` on
/// loopback), and whether it publishes: with `topics` it gets an outbox and a relay. `migrator` makes its own tables, after
/// those of the mechanism. `handlers` gives each topic its handler, with [`ConsumerService::on`].
///
/// The exit codes are those of [`service_runtime::start()`]; a manifest that cannot be read is a bad configuration.
pub fn run(
    manifest: &'static str,
    migrator: Migrator,
    handlers: impl FnOnce(ConsumerService) -> ConsumerService + Send,
) -> ExitCode {
    let manifest = match Manifest::read(manifest) {
        Ok(manifest) => manifest,
        Err(error) => {
            eprintln!("{error}");
            return error.exit_code();
        }
    };
    service_runtime::start_parsed(manifest.name, Cli::parse(&manifest), async move |cli, shutdown| match cli {
        Cli::Migrate(config) => database::migrate(&config, &migrators(&manifest, &migrator)).await,
        Cli::Serve(config) => serve(&manifest, config, &migrator, handlers, shutdown).await,
        Cli::Replay(config) => {
            let handlers = |config, pool| handlers(ConsumerService::new(config, pool));
            replay::run(config, manifest.name, handlers, &shutdown).await
        }
        Cli::FailOver(config) => fail_over::run(config, manifest.name).await,
    })
}

/// All that makes the database.
fn migrators<'a>(manifest: &Manifest<'_>, migrator: &'a Migrator) -> Vec<&'a Migrator> {
    let of_outbox = manifest.publishes().then_some(&outbox::MIGRATOR);
    of_outbox.into_iter().chain([&consumer::MIGRATOR, &operator_log::MIGRATOR, migrator]).collect()
}

/// Reads letters, and publishes its own, until the end is requested.
async fn serve(
    manifest: &Manifest<'_>,
    config: Serve,
    migrator: &Migrator,
    handlers: impl FnOnce(ConsumerService) -> ConsumerService,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let pool = database::connect(&config.database).await?;
    database::migrated(&pool, &migrators(manifest, migrator)).await?;
    let mut operators =
        consumer::admin::routes(pool.clone(), &config.kafka).merge(operator_log::admin::routes(pool.clone()));
    if manifest.publishes() {
        operators = operators.merge(outbox::admin::routes(pool.clone()));
    }
    ops::serve(&config.ops, Readiness::Database(pool.clone()).and_kafka(&config.kafka), operators, &shutdown).await?;
    let KafkaConfig { kafka_bootstrap_servers, kafka_namespace } = config.kafka.clone();
    let settings = ConsumerConfig::new(kafka_bootstrap_servers, kafka_namespace, manifest.name);
    let mut letters = ConsumerService::new(settings, pool);
    if manifest.publishes() {
        let relay = Relay::of_service(&config.database, &config.kafka)?;
        let relay_waker = relay.waker();
        letters = letters.after_commit(move || relay_waker.wake());
        shutdown.spawn_part("relay", relay.run(shutdown.token()));
    }
    shutdown.spawn_part("consumers", handlers(letters).run(shutdown.token()));
    shutdown.requested().await;
    Ok(())
}

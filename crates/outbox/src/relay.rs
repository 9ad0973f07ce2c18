//! The relay as a service sees it: started once, it stands by or leads for as long as the service lives.

use std::{str::FromStr, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use service_runtime::config::{DatabaseConfig, KafkaConfig};
use sqlx::postgres::PgConnectOptions;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{interruption::Interruption, leader::Leader, lease::Lease, metrics};

/// The wait before the relay starts anew after an interruption, …
const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// … which doubles to this while it keeps failing.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// [`Relay::run`] ends at most this long after it was cancelled, whatever database and broker do.
pub const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// What a relay needs to know.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// The service's database as the login that serves, leading to Postgres itself, not to a pooler: the relay's
    /// right to publish is a lock of its session.
    pub database_url: SecretString,
    /// `host:port` of brokers, separated by commas.
    pub kafka_bootstrap_servers: String,
    /// Put before the name of each topic.
    pub kafka_namespace: String,
    /// Days that letters are kept as history after they were published; at least 1. See
    /// [`RelayConfig::RETENTION_DAYS`].
    pub retention_days: u16,
}

impl RelayConfig {
    /// The usual retention, that of the topics.
    pub const RETENTION_DAYS: u16 = 30;
}

/// The database URL cannot be read. The message does not repeat it: it holds a password.
#[derive(Debug, thiserror::Error)]
#[error("the relay's database URL is none like postgres://user:password@host:5432/database")]
pub struct InvalidDatabaseUrl;

/// Publishes the letters of one database. Every replica of a service runs one; one of them leads.
pub struct Relay {
    config: RelayConfig,
    database: PgConnectOptions,
    waker: Waker,
}

impl Relay {
    /// A relay that does nothing yet.
    pub fn new(config: RelayConfig) -> Result<Self, InvalidDatabaseUrl> {
        let database =
            PgConnectOptions::from_str(config.database_url.expose_secret()).map_err(|_| InvalidDatabaseUrl)?;
        Ok(Self { config, database, waker: Waker::default() })
    }

    /// The relay of a service with these settings and the usual retention.
    pub fn of_service(database: &DatabaseConfig, kafka: &KafkaConfig) -> Result<Self, service_runtime::Error> {
        Self::new(RelayConfig {
            database_url: database.database_url.clone(),
            kafka_bootstrap_servers: kafka.kafka_bootstrap_servers.clone(),
            kafka_namespace: kafka.kafka_namespace.clone(),
            retention_days: RelayConfig::RETENTION_DAYS,
        })
        .map_err(|error| service_runtime::Error::Config(format!("DATABASE_URL: {error}")))
    }

    /// A handle to be used after each commit that wrote a letter.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Publishes until cancelled. Whatever fails is tried again for ever, with a growing pause; what waits meanwhile
    /// shows in the metrics.
    ///
    /// After the cancellation it waits a moment for letters that are on their way, marks them and gives the lock back,
    /// within [`STOP_DEADLINE`].
    pub async fn run(self, cancel: CancellationToken) {
        metrics::describe();
        let overdue = async {
            cancel.cancelled().await;
            sleep(STOP_DEADLINE).await;
        };
        tokio::select! {
            () = self.lead_again_and_again(&cancel) => {}
            () = overdue => warn!("the relay did not stop in {STOP_DEADLINE:?} and was dropped; some letters repeat"),
        }
        metrics::set_leader(false);
    }

    async fn lead_again_and_again(&self, cancel: &CancellationToken) {
        let mut backoff = BACKOFF_MIN;
        let mut complaint = String::new();
        loop {
            let started = Instant::now();
            let Err(interruption) = self.lead_once(cancel).await else { return };
            metrics::set_leader(false);
            if started.elapsed() > BACKOFF_MAX {
                backoff = BACKOFF_MIN;
            }
            let text = interruption.to_string();
            if text == complaint {
                debug!(error = text, "the relay was interrupted again");
            } else {
                warn!(error = text, "the relay was interrupted and starts anew from the oldest letter");
                complaint = text;
            }
            tokio::select! {
                () = sleep(backoff) => {}
                () = cancel.cancelled() => return,
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Stands by until this relay is the leader, then leads. `Ok` when cancelled.
    async fn lead_once(&self, cancel: &CancellationToken) -> Result<(), Interruption> {
        let Some((lease, progress)) = Lease::obtain(&self.database, cancel).await? else { return Ok(()) };
        info!(floor = progress.floor(), "this relay publishes now");
        metrics::set_leader(true);
        Leader::new(&self.config, &self.waker, lease, progress).await?.lead(cancel).await
    }
}

/// Tells the relay of this process that a letter was committed, so that it need not wait for its next look.
#[derive(Debug, Clone, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Call it after the commit. Cheap; calls add up to one look.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.0.notified().await;
    }
}

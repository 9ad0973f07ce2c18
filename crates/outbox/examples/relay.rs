//! A relay in a process of its own, which the tests stop and kill. Services run theirs inside.
//!
//! Takes `DATABASE_URL`, `KAFKA_BOOTSTRAP_SERVERS` and `KAFKA_NAMESPACE` from the environment, and `RUST_LOG` if it is to
//! say what it does; SIGTERM ends it.

use anyhow::Context;
use outbox::{Relay, RelayConfig};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_writer(std::io::stderr).init();
    let relay = Relay::new(RelayConfig {
        database_url: variable("DATABASE_URL")?.into(),
        kafka_bootstrap_servers: variable("KAFKA_BOOTSTRAP_SERVERS")?,
        kafka_namespace: variable("KAFKA_NAMESPACE")?,
        retention_days: RelayConfig::RETENTION_DAYS,
    })?;
    let mut terminate = signal(SignalKind::terminate())?;
    let cancel = CancellationToken::new();
    let running = tokio::spawn(relay.run(cancel.clone()));
    terminate.recv().await;
    cancel.cancel();
    running.await.context("the relay panicked")
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}

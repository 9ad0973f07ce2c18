//! A member in a process of its own, which the tests kill. Services run theirs inside.
//!
//! Takes `DATABASE_URL`, `KAFKA_BOOTSTRAP_SERVERS` and `KAFKA_NAMESPACE` from the environment, `RUST_LOG` if it is to say
//! what it does, and `POLL_INTERVAL_MAX_SECONDS` if it has to poll more often than usual. Writes a row of table `effect` for
//! each letter.

use std::time::Duration;

use anyhow::Context;
use consumer::{ConsumerConfig, ConsumerService, EventHandler, HandlerError, Kind};
use contracts::{event::Event, topics::ORDERS};
use sqlx::{PgConnection, postgres::PgPoolOptions};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

struct WriteDown;

impl EventHandler for WriteDown {
    const GROUP: &'static str = "test.recorder";
    const KIND: Kind = Kind::Effect;

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        sqlx::query("INSERT INTO effect (event_id, key, sequence) VALUES ($1, $2, $3)")
            .bind(event.id)
            .bind(&event.subject)
            .bind(event.sequence)
            .execute(conn)
            .await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_writer(std::io::stderr).init();
    let pool = PgPoolOptions::new().max_connections(4).connect(&variable("DATABASE_URL")?).await?;
    let mut config =
        ConsumerConfig::new(variable("KAFKA_BOOTSTRAP_SERVERS")?, variable("KAFKA_NAMESPACE")?, "test-member");
    // small batches: more moments to be killed in
    config.batch_events_max = 20;
    if let Ok(seconds) = variable("POLL_INTERVAL_MAX_SECONDS") {
        config.poll_interval_max = Duration::from_secs(seconds.parse()?);
    }
    ConsumerService::new(config, pool).on(ORDERS, WriteDown).run(CancellationToken::new()).await;
    Ok(())
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}

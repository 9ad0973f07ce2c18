//! The consumer that all of Postbox uses, with the same effect as the two others: a row that nothing protects.

use consumer::{ConsumerConfig, ConsumerService, EventHandler, HandlerError, Kind};
use contracts::{event::Event, topics::ORDERS};
use sqlx::{PgConnection, postgres::PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::{Cli, Moment, STOP_AT, wait_to_be_killed};

/// Several transactions for the ten letters.
const BATCH: usize = 3;

struct WriteDown {
    stop: Option<Moment>,
}

impl EventHandler for WriteDown {
    const GROUP: &'static str = "delivery";
    const KIND: Kind = Kind::Effect;

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        sqlx::query("INSERT INTO effect (letter) VALUES ($1)").bind(&event.subject).execute(conn).await?;
        if self.stop == Some(Moment::Between) && event.subject == STOP_AT.to_string() {
            wait_to_be_killed();
        }
        Ok(())
    }
}

/// Does letters until it is killed.
pub async fn run(cli: &Cli) -> anyhow::Result<()> {
    let pool = PgPoolOptions::new().max_connections(4).connect(&cli.database_url).await?;
    let kafka = &cli.kafka;
    let mut config = ConsumerConfig::new(&kafka.kafka_bootstrap_servers, &kafka.kafka_namespace, "delivery-member");
    config.batch_events_max = BATCH;
    let stop = cli.stop;
    let service = ConsumerService::new(config, pool).on(ORDERS, WriteDown { stop }).after_commit(move || {
        if stop == Some(Moment::AfterCommit) {
            wait_to_be_killed();
        }
    });
    service.run(CancellationToken::new()).await;
    Ok(())
}

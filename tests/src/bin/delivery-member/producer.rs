//! A producer that writes all letters in one transaction.

use std::time::Duration;

use contracts::topics::ORDERS;
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};

use crate::{Cli, LETTERS, Moment, wait_to_be_killed};

/// How long the brokers may take for each step.
const BROKERS: Duration = Duration::from_secs(20);

/// Ends what a former process of the same name left open, then writes.
pub async fn run(cli: &Cli) -> anyhow::Result<()> {
    let (cli_stop, topic) = (cli.stop, cli.kafka.on_the_wire(ORDERS.name()));
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &cli.kafka.kafka_bootstrap_servers)
        .set("transactional.id", cli.kafka.on_the_wire("delivery"))
        .create()?;
    let writing = tokio::task::spawn_blocking(move || {
        producer.init_transactions(BROKERS)?;
        producer.begin_transaction()?;
        for letter in 1..=LETTERS {
            let key = letter.to_string();
            producer.send(BaseRecord::to(&topic).key(&key).payload("")).map_err(|(error, _)| error)?;
        }
        producer.flush(BROKERS)?;
        if cli_stop == Some(Moment::Between) {
            wait_to_be_killed();
        }
        producer.commit_transaction(BROKERS)?;
        Ok(())
    });
    writing.await?
}

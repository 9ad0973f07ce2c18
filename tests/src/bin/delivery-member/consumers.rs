//! Two steps, one after the other: the effect in Postgres, the position in Kafka. Which of them comes first makes all the
//! difference.

use std::time::Duration;

use anyhow::Context;
use contracts::topics::ORDERS;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
};
use sqlx::{Connection, PgConnection};

use crate::{Cli, LETTERS, Moment, Role, STOP_AT, wait_to_be_killed};

/// How long the brokers may take to bring a letter.
const BROKERS: Duration = Duration::from_secs(20);

/// Does what is left of the letters, from the position that Kafka knows.
pub async fn run(cli: &Cli) -> anyhow::Result<()> {
    let mut database = PgConnection::connect(&cli.database_url).await?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &cli.kafka.kafka_bootstrap_servers)
        .set("group.id", cli.kafka.on_the_wire("delivery"))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(&cli.kafka.on_the_wire(ORDERS.name()), 0, Offset::Stored)?;
    // there is one partition and one member: nothing to share out, and nobody who would be waited for when it is dead
    consumer.assign(&place)?;
    loop {
        let message = consumer.poll(BROKERS).context("no letter came")??;
        let stops = cli.stop == Some(Moment::Between) && message.offset() + 1 == STOP_AT;
        if cli.role == Role::AtMostOnce {
            consumer.commit_message(&message, CommitMode::Sync)?;
        } else {
            write_down(&mut database, message.key()).await?;
        }
        if stops {
            wait_to_be_killed();
        }
        if cli.role == Role::AtMostOnce {
            write_down(&mut database, message.key()).await?;
        } else {
            consumer.commit_message(&message, CommitMode::Sync)?;
        }
        if message.offset() + 1 == LETTERS {
            return Ok(());
        }
    }
}

/// The effect: a row more. Nothing about it shows that it was made before.
async fn write_down(database: &mut PgConnection, key: Option<&[u8]>) -> anyhow::Result<()> {
    let letter = std::str::from_utf8(key.context("a letter has a key")?)?;
    sqlx::query("INSERT INTO effect (letter) VALUES ($1)").bind(letter).execute(database).await?;
    Ok(())
}

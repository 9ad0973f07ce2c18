//! Copies of dead letters, for those who watch the dead-letter topic. The letter itself stays in the database.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    dead_letter_copy::{DeadLetterCopy, dead_letter_topic, make_dead_letter_topic},
    group::Group,
    parked::{self, Parked},
    uncut::uncut_query,
};

/// How long the broker has to take a copy, or to make the topic.
const SEND_DEADLINE: Duration = Duration::from_secs(5);

/// For so long no other member sends the same copy: longer than the topic and the copy together may take.
const LEASE: Duration = Duration::from_secs(30);

/// Sends the copies that are due, one after another. A copy whose sending fails, or is not noted, is sent again after
/// the lease: the topic may have it twice.
pub(crate) async fn send_due(group: &Arc<Group>, cancel: &CancellationToken) -> Result<(), String> {
    while !cancel.is_cancelled() {
        let claim = |group: Arc<Group>| async move { parked::claim_copy(&group.pool, &group, LEASE).await };
        let Some(dead) = uncut_query(group, claim).await? else { return Ok(()) };
        send(group, &dead)
            .await
            .map_err(|error| format!("the copy of dead letter {} was not sent: {error}", dead.id))?;
        uncut_query(group, |group| async move { parked::copied(&group.pool, dead.id).await }).await?;
    }
    Ok(())
}

async fn send(group: &Group, dead: &Parked) -> Result<(), String> {
    let from = group.on_the_wire(dead.partition.topic);
    let topic = dead_letter_topic(&from, group.name);
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &group.config.bootstrap_servers)
        .set("client.id", &group.config.service_name)
        .set("acks", "all")
        // a copy may be given up: it is sent again
        .set("message.timeout.ms", SEND_DEADLINE.as_millis().to_string());
    make_dead_letter_topic(&client, &topic, SEND_DEADLINE).await?;
    // letters die seldom, so a producer is made for each rather than kept
    let producer: FutureProducer = client.create().map_err(|error| error.to_string())?;
    let letter = &dead.letter;
    let copy = DeadLetterCopy {
        letter,
        topic: &from,
        partition: dead.partition.number,
        group: &group.on_the_wire(group.name),
        error: &dead.error,
        retry_count: dead.retry_count,
    };
    let mut record = FutureRecord::<[u8], [u8]>::to(&topic).headers(copy.headers());
    if let Some(key) = letter.key() {
        record = record.key(key);
    }
    if let Some(payload) = letter.payload() {
        record = record.payload(payload);
    }
    let sent = producer.send(record, SEND_DEADLINE).await;
    // letting go of a producer waits for its threads
    tokio::task::spawn_blocking(move || drop(producer));
    sent.map_err(|(error, _)| error.to_string())?;
    info!(group = group.name, topic, parked.id = dead.id, "a dead letter was copied");
    Ok(())
}

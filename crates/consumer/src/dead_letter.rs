//! Copies of dead letters, for those who watch the dead-letter topic. The letter itself stays in the database.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
    types::RDKafkaErrorCode,
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
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
    let topic = group.on_the_wire(&format!("{}.{}.dlt", dead.partition.topic, group.name));
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &group.config.bootstrap_servers)
        .set("client.id", &group.config.service_name)
        .set("acks", "all")
        // a copy may be given up: it is sent again
        .set("message.timeout.ms", SEND_DEADLINE.as_millis().to_string());
    make_topic(&client, &topic).await?;
    // letters die seldom, so a producer is made for each rather than kept
    let producer: FutureProducer = client.create().map_err(|error| error.to_string())?;
    let letter = &dead.letter;
    let mut record = FutureRecord::<[u8], [u8]>::to(&topic).headers(headers(group, dead));
    if let Some(key) = &letter.key {
        record = record.key(key);
    }
    if let Some(payload) = &letter.payload {
        record = record.payload(payload);
    }
    let sent = producer.send(record, SEND_DEADLINE).await;
    // letting go of a producer waits for its threads
    tokio::task::spawn_blocking(move || drop(producer));
    sent.map_err(|(error, _)| error.to_string())?;
    info!(group = group.name, topic, parked.id = dead.id, "a dead letter was copied");
    Ok(())
}

/// One partition: dead letters are few, and read in the order in which they died.
async fn make_topic(client: &ClientConfig, topic: &str) -> Result<(), String> {
    let admin: AdminClient<DefaultClientContext> = client.create().map_err(|error| error.to_string())?;
    // -1: as many replicas as the broker gives by default
    let wanted = NewTopic::new(topic, 1, TopicReplication::Fixed(-1));
    let options = AdminOptions::new().request_timeout(Some(SEND_DEADLINE)).operation_timeout(Some(SEND_DEADLINE));
    let outcome = admin.create_topics([&wanted], &options).await;
    tokio::task::spawn_blocking(move || drop(admin));
    match outcome.map_err(|error| error.to_string())?.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => Err(format!("{topic}: {code}")),
        _ => Ok(()),
    }
}

/// The letter's own headers, its `traceparent` among them, and those that Spring adds: names and binary forms as in
/// Spring for Apache Kafka 3, `KafkaHeaders` and `DeadLetterPublishingRecoverer` (numbers are big-endian, 4 bytes for a
/// partition and 8 for an offset) and `RetryTopicHeaders` (attempts, 4 bytes).
fn headers(group: &Group, dead: &Parked) -> OwnedHeaders {
    let letter = &dead.letter;
    let added: [(&str, Vec<u8>); 6] = [
        ("kafka_dlt-original-topic", group.on_the_wire(dead.partition.topic).into_bytes()),
        ("kafka_dlt-original-partition", dead.partition.number.to_be_bytes().to_vec()),
        ("kafka_dlt-original-offset", letter.offset.to_be_bytes().to_vec()),
        ("kafka_dlt-original-consumer-group", group.on_the_wire(group.name).into_bytes()),
        ("kafka_dlt-exception-message", dead.error.clone().into_bytes()),
        ("retry_topic-attempts", dead.retry_count.to_be_bytes().to_vec()),
    ];
    let own = letter.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
    own.chain(added.iter().map(|(name, value)| (*name, Some(value.as_slice()))))
        .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value }))
}

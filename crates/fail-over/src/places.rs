//! Where a time is on the topics of the other Kafka.

use std::{collections::BTreeMap, time::Duration};

use consumer::another_kafka::Partition;
use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use service_runtime::{Error, config::KafkaConfig};

/// How long the brokers may take for one question.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// For each of these partitions the offset of the first letter that was put into Kafka at `since` or later, or that of its end.
/// A copy of a letter has the time of the original.
pub(crate) async fn at(
    kafka: &KafkaConfig,
    partitions: Vec<Partition>,
    since: Timestamp,
) -> Result<Vec<(String, i32, i64)>, Error> {
    let kafka = kafka.clone();
    // the client blocks
    let asking = tokio::task::spawn_blocking(move || ask(&kafka, partitions, since));
    asking.await.map_err(|panic| Error::other("asking Kafka", panic))?
}

fn ask(kafka: &KafkaConfig, partitions: Vec<Partition>, since: Timestamp) -> Result<Vec<(String, i32, i64)>, Error> {
    let away = |error: KafkaError| Error::Unreachable(format!("KAFKA_BOOTSTRAP_SERVERS: {error}; is that Kafka up?"));
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.kafka_bootstrap_servers)
        // the client demands one; it never joins it, and nothing is stored under it
        .set("group.id", kafka.on_the_wire("fail-over"))
        .create()
        .map_err(away)?;
    let metadata = consumer.fetch_metadata(None, ANSWER_DEADLINE).map_err(away)?;
    let known: BTreeMap<&str, usize> =
        metadata.topics().iter().map(|topic| (topic.name(), topic.partitions().len())).collect();
    let mut asked = TopicPartitionList::new();
    for (topic, number) in &partitions {
        let topic = kafka.on_the_wire(topic);
        let is_there =
            known.get(topic.as_str()).is_some_and(|&count| usize::try_from(*number).is_ok_and(|it| it < count));
        if !is_there {
            return Err(Error::Unreachable(format!(
                "KAFKA_BOOTSTRAP_SERVERS: there is no partition {number} of {topic}: is that the Kafka with the copies?"
            )));
        }
        let time = Offset::Offset(since.as_millisecond().max(0));
        asked.add_partition_offset(&topic, *number, time).map_err(away)?;
    }
    // an empty list would be all that the consumer has, which is nothing
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let found = consumer.offsets_for_times(asked, ANSWER_DEADLINE).map_err(away)?;
    let mut places = Vec::with_capacity(partitions.len());
    for (topic, number) in partitions {
        let on_the_wire = kafka.on_the_wire(&topic);
        let element = found.find_partition(&on_the_wire, number);
        let offset = match element.map(|element| element.offset()) {
            Some(Offset::Offset(offset)) => offset,
            // nothing is so new: the end
            _ => consumer.fetch_watermarks(&on_the_wire, number, ANSWER_DEADLINE).map_err(away)?.1,
        };
        places.push((topic, number, offset));
    }
    Ok(places)
}

//! How far the groups are behind: what lies in Kafka after their positions.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::extract::State;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    metadata::MetadataTopic,
};
use serde::Serialize;
use service_runtime::{
    clock::Clock,
    config::KafkaConfig,
    operator::{Answer, Page, Refusal, uncut},
};
use sqlx::PgPool;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::Stream;
use crate::parked;

/// How long a look at Kafka may take, from the question to the answer.
const LOOK_DEADLINE: Duration = Duration::from_secs(8);

/// How long the broker may take for one question.
const BROKER_DEADLINE: Duration = Duration::from_secs(3);

/// The group that lag is read in; nothing is stored under it.
const LAG: &str = "lag";

/// How long one wait for a letter may last before the time is looked at.
const POLL: Duration = Duration::from_millis(100);

/// What a look needs.
#[derive(Debug, Clone)]
pub(super) struct Lag {
    pool: PgPool,
    streams: Vec<Stream>,
    brokers: Brokers,
    /// One look at a time: each has consumers of its own, and one that hangs must not gather others around it.
    looking: Arc<Semaphore>,
}

#[derive(Debug, Clone)]
struct Brokers(KafkaConfig);

/// How far a group is behind on one of its topics.
#[derive(Debug, Serialize)]
pub(super) struct GroupLag {
    group: String,
    topic: String,
    /// Letters from the position to the end, in all partitions. Those that are parked are before the position.
    lag_messages: i64,
    /// How long ago Kafka took the oldest of them; 0 when there is none.
    lag_seconds: f64,
    /// Letters that wait to be tried again, and those that wait behind them. 0 for a stream: it parks none.
    parked: i64,
    /// Letters that wait for redrive or discard.
    dead: i64,
}

/// Where the groups are: by group and topic, the next offset of each partition that has had a member.
type Positions = BTreeMap<(String, String), BTreeMap<i32, i64>>;

impl Lag {
    pub fn new(pool: PgPool, kafka: &KafkaConfig, streams: &[Stream]) -> Self {
        Self { pool, streams: streams.to_vec(), brokers: Brokers(kafka.clone()), looking: Arc::new(Semaphore::new(1)) }
    }
}

pub(super) async fn of_consumers(State(lag): State<Lag>) -> Answer<Page<GroupLag>> {
    uncut(async move {
        let positions = positions(&lag.pool).await?;
        let aside = parked::count_all(&lag.pool).await?;
        let until = Instant::now() + LOOK_DEADLINE;
        let bootstrap = lag.brokers.0.kafka_bootstrap_servers.clone();
        let looking = async {
            let permit = lag.looking.acquire_owned().await.expect("nobody closes it");
            let look = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                lag.brokers.look(positions, &aside, &lag.streams, until)
            });
            look.await.unwrap_or_else(|panic| Err(panic.to_string()))
        };
        let looked = timeout(LOOK_DEADLINE, looking).await;
        let looked = looked.unwrap_or_else(|_| Err(format!("no answer within {} s", LOOK_DEADLINE.as_secs())));
        looked
            .map(Page::whole)
            .map_err(|reason| Refusal::unavailable(format!("Kafka at {bootstrap} does not tell the lag: {reason}")))
    })
    .await
}

/// The positions of the groups that live on letters as they come; a replay has its own in a schema of its own.
async fn positions(pool: &PgPool) -> Result<Positions, sqlx::Error> {
    let query = r#"SELECT "group", topic, partition, next FROM consumer_position"#;
    let rows: Vec<(String, String, i32, i64)> = sqlx::query_as(query).fetch_all(pool).await?;
    let mut positions = Positions::new();
    for (group, topic, partition, next) in rows {
        positions.entry((group, topic)).or_default().insert(partition, next);
    }
    Ok(positions)
}

impl Brokers {
    fn look(
        &self,
        mut positions: Positions,
        aside: &parked::Counts,
        streams: &[Stream],
        until: Instant,
    ) -> Result<Vec<GroupLag>, String> {
        let watermarks = self.reader(LAG).map_err(|error| error.to_string())?;
        for &Stream { group, topic } in streams {
            let next = self.committed(group, topic.name())?;
            positions.insert((group.to_owned(), topic.name().to_owned()), next);
        }
        let mut ends: BTreeMap<String, BTreeMap<i32, (i64, i64)>> = BTreeMap::new();
        let mut lags = Vec::with_capacity(positions.len());
        for ((group, topic), next) in positions {
            let ends = match ends.entry(topic.clone()) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(unknown) => unknown.insert(self.ends(&watermarks, &topic)?),
            };
            // what no member has had yet is to be read from its beginning
            let behind = ends.iter().filter_map(|(&partition, &(low, high))| {
                let next = next.get(&partition).copied().unwrap_or(0).max(low);
                (next < high).then_some((partition, Behind { next, letters: high - next }))
            });
            let behind: BTreeMap<i32, Behind> = behind.collect();
            let (lag_messages, lag_seconds) =
                if behind.is_empty() { (0, 0.0) } else { self.oldest(&topic, behind, until)? };
            let (parked, dead) = aside.get(&(group.clone(), topic.clone())).copied().unwrap_or_default();
            lags.push(GroupLag { group, topic, lag_messages, lag_seconds, parked, dead });
        }
        Ok(lags)
    }

    /// The offsets that a group has committed to Kafka.
    fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>, String> {
        let told = |error: KafkaError| error.to_string();
        let member = self.reader(group).map_err(told)?;
        let topic = self.0.on_the_wire(topic);
        let metadata = member.fetch_metadata(Some(&topic), BROKER_DEADLINE).map_err(told)?;
        let mut asked = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
            asked.add_partition(&topic, partition.id());
        }
        let committed = member.committed_offsets(asked, BROKER_DEADLINE).map_err(told)?;
        let committed = committed.elements().into_iter().filter_map(|element| match element.offset() {
            Offset::Offset(next) => Some((element.partition(), next)),
            _ => None,
        });
        Ok(committed.collect())
    }

    /// The first offset and the one after the last, of each partition.
    fn ends(&self, reader: &BaseConsumer, topic: &str) -> Result<BTreeMap<i32, (i64, i64)>, String> {
        let topic = self.0.on_the_wire(topic);
        let told = |error: KafkaError| error.to_string();
        let metadata = reader.fetch_metadata(Some(&topic), BROKER_DEADLINE).map_err(told)?;
        let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
        let ends = partitions.map(|partition| {
            let ends = reader.fetch_watermarks(&topic, partition.id(), BROKER_DEADLINE).map_err(told)?;
            Ok((partition.id(), ends))
        });
        ends.collect()
    }

    /// How many letters lie there, and the age of the oldest in seconds. Reads the first of each partition: what lies at the
    /// end of a partition may be no letter but the mark of a transaction.
    fn oldest(&self, topic: &str, mut behind: BTreeMap<i32, Behind>, until: Instant) -> Result<(i64, f64), String> {
        let told = |error: KafkaError| error.to_string();
        // of its own, so that nothing comes that was asked for before
        let reader = self.reader(LAG).map_err(told)?;
        let topic = self.0.on_the_wire(topic);
        let mut places = TopicPartitionList::new();
        for (&partition, Behind { next, .. }) in &behind {
            places.add_partition_offset(&topic, partition, Offset::Offset(*next)).map_err(told)?;
        }
        reader.assign(&places).map_err(told)?;
        let (mut letters, mut oldest_ms) = (0, None);
        while !behind.is_empty() {
            if Instant::now() >= until {
                return Err(format!("the first letter after the position of {topic} did not come in time"));
            }
            match reader.poll(POLL) {
                Some(Ok(letter)) => {
                    let Some(lag) = behind.remove(&letter.partition()) else { continue };
                    letters += lag.letters;
                    oldest_ms = letter.timestamp().to_millis().into_iter().chain(oldest_ms).min();
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    behind.remove(&partition);
                }
                // librdkafka goes on trying by itself
                Some(Err(_)) | None => {}
            }
        }
        let age_ms = oldest_ms.map_or(0, |ms| (Clock::System.now().as_millisecond() - ms).max(0));
        Ok((letters, Duration::from_millis(age_ms.unsigned_abs()).as_secs_f64()))
    }

    /// A consumer that fetches little. It never joins the group: librdkafka demands one all the same.
    fn reader(&self, group: &str) -> Result<BaseConsumer, KafkaError> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.0.kafka_bootstrap_servers)
            .set("group.id", self.0.on_the_wire(group))
            .set("enable.auto.commit", "false")
            // the letter at the position may have been deleted meanwhile
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true")
            .set("queued.min.messages", "1")
            .set("fetch.message.max.bytes", "65536")
            .set("fetch.wait.max.ms", "100")
            .create()
    }
}

/// What lies after a position.
struct Behind {
    next: i64,
    letters: i64,
}

//! Where the stream reads: a member of the group.

use std::{sync::Mutex, time::Duration};

use consumer::Letter;
use contracts::topics::ORDERS;
use metrics::gauge;
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata, Rebalance},
    error::{KafkaError, KafkaResult},
    topic_partition_list::TopicPartitionListElem,
    types::RDKafkaErrorCode,
};
use tracing::debug;

use crate::high_value::{GROUP, Settings, batch::Batch, let_go};

/// What the group gave to this member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Share {
    /// Changes whenever the group gives or takes, also when the share is the same as before.
    pub number: u64,
    /// The lowest of its partitions, if it has any.
    pub lowest: Option<i32>,
}

/// What comes when a letter is waited for.
#[derive(Debug)]
pub(crate) enum Received {
    Letter(i32, Letter),
    /// No letter; perhaps trouble, which librdkafka looks after by itself.
    Nothing,
    /// The consumer is of no further use.
    Broken(KafkaError),
}

/// A consumer that has joined its group, or tries to.
pub(crate) struct Reader {
    topic: String,
    /// Taken out when it is dropped.
    consumer: Option<BaseConsumer<Context>>,
}

impl Reader {
    /// Joins the group. Fails only on settings that librdkafka refuses.
    pub fn open(settings: &Settings) -> KafkaResult<Self> {
        let consumer: BaseConsumer<Context> = ClientConfig::new()
            .set("bootstrap.servers", &settings.kafka.kafka_bootstrap_servers)
            .set("client.id", "analytics")
            .set("group.id", settings.kafka.on_the_wire(GROUP))
            // nothing of a transaction that is open or was aborted
            .set("isolation.level", "read_committed")
            // a member that was killed is missed after this time; the least that brokers take by default
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "1000")
            // all is given back before it is given anew, so no two members ever have the same lowest partition
            .set("partition.assignment.strategy", "range")
            // a new group starts with the oldest letter
            .set("auto.offset.reset", "earliest")
            // the position is committed with what was written, or when there was nothing to write
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // a topic that is made after its readers is found in this time
            .set("topic.metadata.refresh.interval.ms", "5000")
            // memory: so much is fetched ahead
            .set("queued.max.messages.kbytes", "1024")
            .set("fetch.max.bytes", "1048576")
            .set("fetch.queue.backoff.ms", "10")
            // back at work within a second or so of the broker
            .set("reconnect.backoff.max.ms", "1000")
            .set("statistics.interval.ms", "5000")
            .create_with_context(Context::default())?;
        let topic = settings.kafka.on_the_wire(ORDERS.name());
        consumer.subscribe(&[&topic])?;
        Ok(Self { topic, consumer: Some(consumer) })
    }

    /// Waits for a letter, not longer than this. Whether what was read before is still this member's, only
    /// [`Reader::share`] tells afterwards.
    pub fn receive(&self, wait: Duration) -> Received {
        match self.consumer().poll(wait) {
            Some(Ok(message)) => Received::Letter(message.partition(), Letter::from_kafka(&message)),
            // it has left its group because it did not poll for long, and does not always come back by itself
            // (rust-rdkafka #433)
            Some(Err(
                error @ (KafkaError::MessageConsumption(RDKafkaErrorCode::PollExceeded)
                | KafkaError::MessageConsumptionFatal(_)),
            )) => Received::Broken(error),
            Some(Err(error)) => {
                debug!(group = GROUP, %error, "the consumer goes on trying");
                Received::Nothing
            }
            None => Received::Nothing,
        }
    }

    /// What this member has, as of the last [`Reader::receive`].
    pub fn share(&self) -> Share {
        self.consumer().context().share.lock().map_or_else(|poisoned| *poisoned.into_inner(), |share| *share)
    }

    /// Who this member is: what a transaction says to Kafka, so that offsets of an older generation are refused.
    pub fn membership(&self) -> KafkaResult<ConsumerGroupMetadata> {
        let membership = self.consumer().group_metadata();
        membership.ok_or_else(|| KafkaError::Subscription("it is in no group".to_owned()))
    }

    /// Moves the group on past letters of which nothing was written, and waits until Kafka has it: a position that came late could
    /// otherwise follow that of a transaction, and take it back. Refused when this member's generation is over.
    pub fn commit(&self, position: &TopicPartitionList) -> KafkaResult<()> {
        self.consumer().commit(position, CommitMode::Sync)
    }

    /// The position after the batch.
    pub fn position_after(&self, batch: &Batch) -> KafkaResult<TopicPartitionList> {
        let mut position = TopicPartitionList::new();
        for (&partition, &next) in &batch.next {
            position.add_partition_offset(&self.topic, partition, Offset::Offset(next))?;
        }
        Ok(position)
    }

    fn consumer(&self) -> &BaseConsumer<Context> {
        self.consumer.as_ref().expect("taken out only when the reader goes")
    }
}

impl Drop for Reader {
    /// Leaves the group, so that others take over at once.
    fn drop(&mut self) {
        let_go(self.consumer.take());
    }
}

/// What librdkafka calls back.
#[derive(Debug, Default)]
struct Context {
    share: Mutex<Share>,
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        // librdkafka repeats itself for as long as a broker is away; the stream says once that it is
        debug!(group = GROUP, facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(group = GROUP, %error, "librdkafka: {reason}");
    }

    /// The same figures as those of the consumers with a database.
    #[expect(clippy::cast_precision_loss, reason = "a lag of 2^52 letters may be off by one")]
    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        // -1: not of this member, or not known yet
        let lags: Vec<i64> = partitions.map(|partition| partition.consumer_lag).filter(|&lag| lag >= 0).collect();
        gauge!("consumer_partitions", "group" => GROUP).set(lags.len() as f64);
        let lag = lags.iter().sum::<i64>() as f64;
        gauge!("consumer_lag_messages", "group" => GROUP, "topic" => ORDERS.name()).set(lag);
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let lowest = match rebalance {
            Rebalance::Assign(given) => given.elements().iter().map(TopicPartitionListElem::partition).min(),
            Rebalance::Revoke(_) | Rebalance::Error(_) => None,
        };
        if let Ok(mut share) = self.share.lock() {
            *share = Share { number: share.number + 1, lowest };
        }
    }
}

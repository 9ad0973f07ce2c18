//! A member's Kafka consumer, and what of librdkafka the member must not notice.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, StreamConsumer},
    error::{KafkaError, KafkaResult},
    types::{RDKafkaErrorCode, RDKafkaRespErr},
};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use crate::{
    group::{Group, Partition},
    letter::Letter,
    watchdog::Fetched,
};

/// How long [`Connection::close`] waits until the member has left its group.
const CLOSE_DEADLINE: Duration = Duration::from_secs(3);

/// What the group wants of this member.
#[derive(Debug)]
pub(crate) enum Rebalance {
    /// To take these partitions. Answered with [`Connection::assign`].
    Assigned(Vec<Partition>),
    /// To give these up. Answered with [`Connection::unassign`].
    Revoked(Vec<Partition>),
}

/// What comes from Kafka.
#[derive(Debug)]
pub(crate) enum Received {
    Letter(Partition, Letter),
    /// Nothing to act on: librdkafka goes on trying by itself.
    Trouble(KafkaError),
    /// The consumer is of no further use.
    Broken(KafkaError),
}

/// A consumer that has joined its group, or tries to.
pub(crate) struct Connection {
    group: Arc<Group>,
    /// Taken out when it is closed.
    consumer: Option<StreamConsumer<Context>>,
}

impl Connection {
    /// Joins the group. Fails only on settings that librdkafka refuses. Librdkafka sends no second rebalance before the
    /// first is answered, so the channel needs no bound.
    pub fn open(group: &Arc<Group>) -> KafkaResult<(Self, mpsc::UnboundedReceiver<Rebalance>)> {
        let (rebalances, received) = mpsc::unbounded_channel();
        let context =
            Context { group: group.clone(), rebalances, closing: AtomicBool::new(false), told: Mutex::default() };
        let consumer: StreamConsumer<Context> = ClientConfig::new()
            .set("bootstrap.servers", &group.config.bootstrap_servers)
            .set("client.id", &group.config.service_name)
            .set("group.id", group.on_the_wire(group.name))
            // a member that was killed is missed after this time; the least that brokers take by default
            .set("session.timeout.ms", "6000")
            .set("max.poll.interval.ms", group.config.poll_interval_max.as_millis().to_string())
            // and how soon the others hear of it
            .set("heartbeat.interval.ms", "1000")
            // partitions that stay where they are go on during a rebalance
            .set("partition.assignment.strategy", "cooperative-sticky")
            // a group that has no position starts with the oldest letter
            .set("auto.offset.reset", "earliest")
            // committed from time to time for lag tools, and never read
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // a topic that is made after its readers is found in this time
            .set("topic.metadata.refresh.interval.ms", "5000")
            // the broker keeps letters back for this time, unless there are many: without it every letter wakes every group that
            // reads its topic, which costs more than all that is done about it. A partition that is resumed or sought waits
            // as long for the fetch under way
            .set("fetch.wait.max.ms", "50")
            .set("fetch.min.bytes", "65536")
            // memory: so much is fetched ahead, for the group, and fetching goes on as soon as there is room
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.queue.backoff.ms", "10")
            // back at work within a second or so of the broker
            .set("reconnect.backoff.max.ms", "1000")
            .set("statistics.interval.ms", "5000")
            .create_with_context(context)?;
        let topics: Vec<String> = group.topics().map(|topic| group.on_the_wire(topic)).collect();
        consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok((Self { group: group.clone(), consumer: Some(consumer) }, received))
    }

    /// The next thing that comes. Waiting for it is what keeps the membership alive; cancelling the wait loses nothing.
    pub async fn receive(&self) -> Received {
        match self.consumer().recv().await {
            Ok(message) => match self.group.partition(message.topic(), message.partition()) {
                Some(partition) => {
                    let is_wanted = |event_type: &str| self.group.wants(partition.topic, event_type);
                    Received::Letter(partition, Letter::from_kafka_if(&message, is_wanted))
                }
                None => Received::Broken(KafkaError::Subscription(format!("a letter of {}", message.topic()))),
            },
            // the member has left its group because it did not poll for long, and does not always come back by itself
            // (rust-rdkafka #433)
            Err(
                error @ (KafkaError::MessageConsumption(RDKafkaErrorCode::PollExceeded)
                | KafkaError::MessageConsumptionFatal(_)),
            ) => Received::Broken(error),
            Err(error) => Received::Trouble(error),
        }
    }

    /// Takes partitions, from these positions on.
    pub fn assign(&self, positions: &BTreeMap<Partition, i64>) -> KafkaResult<()> {
        let list = self.list(positions.iter().map(|(&partition, &next)| (partition, offset(next))))?;
        self.consumer().incremental_assign(&list)?;
        // librdkafka keeps a pause over a reassignment
        self.consumer().resume(&list)
    }

    /// Gives partitions up.
    pub fn unassign(&self, partitions: &[Partition]) -> KafkaResult<()> {
        self.consumer().incremental_unassign(&self.names(partitions)?)
    }

    /// Goes to a position. It is not said whether that worked; the offset of the next letter tells.
    pub fn seek(&self, partition: Partition, next: i64) -> KafkaResult<()> {
        let topic = self.group.on_the_wire(partition.topic);
        self.consumer().seek(&topic, partition.number, offset(next), Duration::ZERO)
    }

    /// Brings no more letters of a partition.
    pub fn pause(&self, partition: Partition) -> KafkaResult<()> {
        self.consumer().pause(&self.names(&[partition])?)
    }

    /// Brings letters again, from the one after the last that was received or the position that was sought.
    pub fn resume(&self, partition: Partition) -> KafkaResult<()> {
        self.consumer().resume(&self.names(&[partition])?)
    }

    /// Tells Kafka where the group is, for lag tools. It is not said whether that worked.
    pub fn commit(&self, positions: impl Iterator<Item = (Partition, i64)>) -> KafkaResult<()> {
        let list = self.list(positions.map(|(partition, next)| (partition, Offset::Offset(next))))?;
        if list.count() == 0 { Ok(()) } else { self.consumer().commit(&list, CommitMode::Async) }
    }

    /// How far librdkafka was in the partitions a few seconds ago.
    pub fn fetched(&self) -> BTreeMap<Partition, Fetched> {
        self.consumer().context().told.lock().map(|told| told.fetched.clone()).unwrap_or_default()
    }

    /// Whether there was a broker a few seconds ago.
    pub fn has_broker(&self) -> bool {
        self.consumer().context().told.lock().is_ok_and(|told| told.has_broker)
    }

    /// Leaves the group, so that others take over at once, and waits a moment until it has.
    pub async fn close(mut self) {
        if let Some(closed) = self.discard()
            && tokio::time::timeout(CLOSE_DEADLINE, closed).await.is_err()
        {
            warn!(group = self.group.name, "leaving the group takes long, going without");
        }
    }

    /// Lets librdkafka go on a thread of its own: dropping a consumer polls until it is closed, which may take long
    /// (rust-rdkafka #453, #611).
    fn discard(&mut self) -> Option<oneshot::Receiver<()>> {
        let consumer = self.consumer.take()?;
        consumer.context().closing.store(true, Ordering::Release);
        let (done, closed) = oneshot::channel();
        thread::spawn(move || {
            // a rebalance that was not answered would be waited for
            let _ = consumer.incremental_assign(&TopicPartitionList::new());
            let _ = consumer.assignment().and_then(|all| consumer.incremental_unassign(&all));
            drop(consumer);
            // nobody waits when the member was dropped
            let _ = done.send(());
        });
        Some(closed)
    }

    fn list(&self, offsets: impl Iterator<Item = (Partition, Offset)>) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.group.on_the_wire(partition.topic), partition.number, offset)?;
        }
        Ok(list)
    }

    fn names(&self, partitions: &[Partition]) -> KafkaResult<TopicPartitionList> {
        self.list(partitions.iter().map(|&partition| (partition, Offset::Invalid)))
    }

    fn consumer(&self) -> &StreamConsumer<Context> {
        self.consumer.as_ref().expect("taken out only when the connection goes")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.discard();
    }
}

/// 0 is where a group starts that has no position: at the oldest letter, whatever its offset is.
fn offset(next: i64) -> Offset {
    if next == 0 { Offset::Beginning } else { Offset::Offset(next) }
}

/// What librdkafka calls back. It holds nothing that holds the consumer, which would then never be dropped
/// (rust-rdkafka #636).
struct Context {
    group: Arc<Group>,
    rebalances: mpsc::UnboundedSender<Rebalance>,
    closing: AtomicBool,
    told: Mutex<Told>,
}

/// What librdkafka tells every few seconds.
#[derive(Debug, Default)]
struct Told {
    fetched: BTreeMap<Partition, Fetched>,
    has_broker: bool,
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        // librdkafka repeats itself for as long as a broker is away; the member says once that it is
        debug!(group = self.group.name, facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(group = self.group.name, %error, "librdkafka: {reason}");
    }

    fn stats(&self, statistics: Statistics) {
        let Ok(mut told) = self.told.lock() else { return };
        // brokers that are only known by their addresses have negative ids
        told.has_broker = statistics.brokers.values().any(|broker| broker.nodeid >= 0 && broker.state == "UP");
        for (name, topic) in &statistics.topics {
            for (&number, known) in &topic.partitions {
                if let Some(partition) = self.group.partition(name, number)
                    && known.ls_offset >= 0
                {
                    let fetched = Fetched { next: known.next_offset, end: known.ls_offset, ready: known.fetchq_cnt };
                    told.fetched.insert(partition, fetched);
                }
            }
        }
    }
}

impl ConsumerContext for Context {
    /// Passes the rebalance on instead of doing it here, in the middle of a poll: the member first reads positions, or
    /// finishes what it does with the partitions. Librdkafka waits for its answer.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let is_assignment = kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let partitions = self.partitions(list);
        let rebalance = if is_assignment { Rebalance::Assigned(partitions) } else { Rebalance::Revoked(partitions) };
        let is_passed_on = !self.closing.load(Ordering::Acquire) && self.rebalances.send(rebalance).is_ok();
        if !is_passed_on {
            let answered = if is_assignment {
                consumer.incremental_assign(&TopicPartitionList::new())
            } else {
                consumer.incremental_unassign(list)
            };
            if let Err(error) = answered {
                debug!(group = self.group.name, %error, "a rebalance at the end");
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            debug!(group = self.group.name, %error, "lag tools do not know the position");
        }
    }
}

impl Context {
    fn partitions(&self, list: &TopicPartitionList) -> Vec<Partition> {
        list.elements()
            .iter()
            .filter_map(|element| self.group.partition(element.topic(), element.partition()))
            .collect()
    }
}

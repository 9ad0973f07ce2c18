//! The letters of some partitions, from given offsets on, read without being a member of the group.

use std::{collections::BTreeMap, sync::Arc, thread, time::Duration};

use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
    error::KafkaResult,
};
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::Failure;
use crate::{
    batch::Slice,
    group::{Group, Partition},
    lane::{Arrival, Lane},
    letter::Letter,
};

/// How long the brokers have to answer a question.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// How long no letter may come although there are more.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long nothing is waited for, so that the end of the process is noticed.
const MOMENT: Duration = Duration::from_millis(100);

/// How long a batch that is not full waits for one letter more.
const GATHER: Duration = Duration::from_millis(5);

/// Reads letters.
pub(crate) struct Source {
    group: Arc<Group>,
    /// Taken out when it goes.
    consumer: Option<Arc<StreamConsumer>>,
    tracks: BTreeMap<Partition, Track>,
    /// When the last letter came.
    silent_since: Instant,
}

/// A partition: [`Lane`] has the replay's position and the letters that wait.
struct Track {
    lane: Lane,
    /// Letters before this offset are wanted, up to now.
    target: i64,
    /// The first offset that was not received yet.
    read: i64,
    is_paused: bool,
    /// The first offset that did not come, and later ones did.
    gap: Option<i64>,
}

impl Track {
    fn is_read(&self) -> bool {
        self.read >= self.target
    }

    /// How many letters may be handled.
    fn ready(&self) -> usize {
        self.lane.queue.iter().take_while(|letter| letter.offset < self.target).count()
    }
}

/// What Kafka has of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The oldest offset that is still there.
    pub low: i64,
    /// The offset of the next letter that will be written.
    pub high: i64,
}

impl Source {
    /// Connects.
    pub fn open(group: &Arc<Group>) -> Result<Self, Failure> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", &group.config.bootstrap_servers)
            .set("client.id", &group.config.service_name)
            // the client demands one; it never joins it, and nothing is stored under it
            .set("group.id", format!("{}@replay", group.on_the_wire(group.name)))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "100")
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.queue.backoff.ms", "10")
            .create()
            .map_err(|error| Failure::Kafka(error.to_string()))?;
        Ok(Self {
            group: group.clone(),
            consumer: Some(Arc::new(consumer)),
            tracks: BTreeMap::new(),
            silent_since: Instant::now(),
        })
    }

    /// Every partition of the group's topics, and how far it reaches.
    pub async fn extents(&self) -> Result<BTreeMap<Partition, Extent>, Failure> {
        let group = self.group.clone();
        self.ask(move |consumer| {
            let mut extents = BTreeMap::new();
            for topic in group.topics() {
                let name = group.on_the_wire(topic);
                let metadata = consumer.fetch_metadata(Some(&name), ANSWER_DEADLINE)?;
                for partition in metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions) {
                    let (low, high) = consumer.fetch_watermarks(&name, partition.id(), ANSWER_DEADLINE)?;
                    extents.insert(Partition { topic, number: partition.id() }, Extent { low, high });
                }
            }
            Ok(extents)
        })
        .await
    }

    /// The offsets of the first letters that were put into Kafka at `time` or later; of a partition without one, its end.
    pub async fn offsets_at(
        &self,
        time: Timestamp,
        extents: &BTreeMap<Partition, Extent>,
    ) -> Result<BTreeMap<Partition, i64>, Failure> {
        let (group, extents) = (self.group.clone(), extents.clone());
        self.ask(move |consumer| {
            let mut times = TopicPartitionList::new();
            for partition in extents.keys() {
                let millisecond = Offset::Offset(time.as_millisecond().max(0));
                times.add_partition_offset(&group.on_the_wire(partition.topic), partition.number, millisecond)?;
            }
            let found = consumer.offsets_for_times(times, ANSWER_DEADLINE)?;
            let mut offsets: BTreeMap<Partition, i64> = extents.iter().map(|(&it, extent)| (it, extent.high)).collect();
            for element in found.elements() {
                if let (Some(partition), Offset::Offset(offset)) =
                    (group.partition(element.topic(), element.partition()), element.offset())
                {
                    offsets.insert(partition, offset);
                }
            }
            Ok(offsets)
        })
        .await
    }

    /// Begins to read at these offsets.
    pub fn start_at(&mut self, starts: &BTreeMap<Partition, i64>) -> Result<(), Failure> {
        let mut list = TopicPartitionList::new();
        for (partition, &start) in starts {
            let topic = self.group.on_the_wire(partition.topic);
            list.add_partition_offset(&topic, partition.number, Offset::Offset(start)).map_err(Failure::kafka)?;
        }
        self.consumer().assign(&list).map_err(Failure::kafka)?;
        let track = |start| Track { lane: Lane::new(start), target: start, read: start, is_paused: false, gap: None };
        self.tracks = starts.iter().map(|(&partition, &start)| (partition, track(start))).collect();
        Ok(())
    }

    /// Reads on, up to these offsets.
    pub fn go_on_to(&mut self, targets: &BTreeMap<Partition, i64>) -> Result<(), Failure> {
        for (&partition, &target) in targets {
            let track = self.tracks.get_mut(&partition).ok_or_else(|| {
                Failure::Other(format!(
                    "partition {} of {} has appeared: begin again",
                    partition.number, partition.topic
                ))
            })?;
            track.target = track.target.max(target);
        }
        self.silent_since = Instant::now();
        let resumed: Vec<Partition> = self
            .tracks
            .iter()
            .filter(|(_, it)| it.is_paused && !it.is_read())
            .map(|(&partition, _)| partition)
            .collect();
        for partition in resumed {
            self.consumer().resume(&self.list(partition)?).map_err(Failure::kafka)?;
            self.track(partition).is_paused = false;
        }
        Ok(())
    }

    /// The next letters, at most a batch. Empty when none came within a moment, or all are read.
    pub async fn next_batch(&mut self) -> Result<Vec<Slice>, Failure> {
        let events_max = self.group.config.batch_events_max;
        let mut ready: usize = self.tracks.values().map(Track::ready).sum();
        while ready < events_max && !self.tracks.values().all(Track::is_read) {
            let consumer = self.consumer().clone();
            match timeout(if ready == 0 { MOMENT } else { GATHER }, consumer.recv()).await {
                Ok(Ok(message)) => {
                    self.silent_since = Instant::now();
                    let letter = Letter::from_kafka(&message);
                    ready += usize::from(self.accept(message.topic(), message.partition(), letter)?);
                }
                // librdkafka goes on trying by itself
                Ok(Err(error)) => debug!(group = self.group.name, %error, "Kafka is in trouble"),
                Err(_) => break,
            }
        }
        if ready == 0 && self.silent_since.elapsed() >= SILENCE_MAX {
            let seconds = SILENCE_MAX.as_secs();
            return Err(Failure::Kafka(format!("no letter came for {seconds} s, and {} should", self.missing())));
        }
        Ok(self.take(events_max))
    }

    /// Whether every letter before the targets was given out.
    pub fn is_at_its_targets(&self) -> bool {
        self.tracks.values().all(|track| track.is_read() && track.ready() == 0)
    }

    /// Where the replay is in each partition, as it last noted.
    pub fn positions(&self) -> BTreeMap<Partition, i64> {
        self.tracks.iter().map(|(&partition, track)| (partition, track.lane.next)).collect()
    }

    /// Notes how far the replay came.
    pub fn moved_to(&mut self, partition: Partition, next: i64) {
        self.track(partition).lane.next = next;
    }

    /// Takes a letter in. Says whether it may be handled now.
    fn accept(&mut self, topic: &str, number: i32, letter: Letter) -> Result<bool, Failure> {
        let Some(partition) = self.group.partition(topic, number) else { return Ok(false) };
        let offset = letter.offset;
        let track = self.track(partition);
        if offset < track.read {
            return Ok(false);
        }
        match track.lane.accept(letter) {
            Arrival::Queued | Arrival::QueuedAfterGap { .. } => {}
            Arrival::Dropped => return Ok(false),
            Arrival::Doubted { expected } => {
                let seek = self.consumer().seek(topic, number, Offset::Offset(expected), Duration::ZERO);
                return seek.map(|()| false).map_err(Failure::kafka);
            }
        }
        // a transaction's mark takes an offset; so does a letter that was deleted
        track.gap = track.gap.or((offset > track.read).then_some(track.read));
        track.read = offset + 1;
        let is_wanted = offset < track.target;
        if !is_wanted && !track.is_paused {
            // the group has not come so far yet; more would only fill the memory
            track.is_paused = true;
            self.consumer().pause(&self.list(partition)?).map_err(Failure::kafka)?;
        }
        Ok(is_wanted)
    }

    /// Fails when letters were deleted before they were read.
    pub async fn has_read_all(&self) -> Result<(), Failure> {
        if self.tracks.values().all(|track| track.gap.is_none()) {
            return Ok(());
        }
        let extents = self.extents().await?;
        for (partition, track) in &self.tracks {
            if let (Some(gap), Some(extent)) = (track.gap, extents.get(partition))
                && gap < extent.low
            {
                let Partition { topic, number } = partition;
                return Err(Failure::Other(format!(
                    "letters of {topic}, partition {number} were deleted from offset {gap} on before they were read"
                )));
            }
        }
        Ok(())
    }

    fn take(&mut self, events_max: usize) -> Vec<Slice> {
        let mut room = events_max;
        let mut slices = Vec::new();
        for (&partition, track) in &mut self.tracks {
            let letters: Vec<_> = track.lane.queue.drain(..track.ready().min(room)).collect();
            room -= letters.len();
            if !letters.is_empty() {
                slices.push(Slice { partition, from: track.lane.next, letters });
            }
        }
        slices
    }

    /// The first letter that does not come, in words.
    fn missing(&self) -> String {
        let behind = self.tracks.iter().find(|(_, track)| !track.is_read());
        behind.map_or_else(String::new, |(partition, track)| {
            format!("offset {} of {}, partition {}", track.read, partition.topic, partition.number)
        })
    }

    /// Asks the brokers, which blocks.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&StreamConsumer) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let consumer = self.consumer().clone();
        let answer = tokio::task::spawn_blocking(move || question(&consumer)).await;
        answer.expect("asking does not panic").map_err(Failure::kafka)
    }

    fn list(&self, partition: Partition) -> Result<TopicPartitionList, Failure> {
        let mut list = TopicPartitionList::new();
        let topic = self.group.on_the_wire(partition.topic);
        list.add_partition_offset(&topic, partition.number, Offset::Invalid).map_err(Failure::kafka)?;
        Ok(list)
    }

    fn track(&mut self, partition: Partition) -> &mut Track {
        self.tracks.get_mut(&partition).expect("letters come of assigned partitions only")
    }

    fn consumer(&self) -> &Arc<StreamConsumer> {
        self.consumer.as_ref().expect("taken out only when the source goes")
    }
}

/// Dropping a consumer polls until it is closed, which may take long (rust-rdkafka #453, #611).
impl Drop for Source {
    fn drop(&mut self) {
        let consumer = self.consumer.take();
        thread::spawn(move || drop(consumer));
    }
}

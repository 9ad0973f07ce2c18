//! A consumer's patience: how long the broker keeps letters back until there are many, how soon letters are there then, and what
//! that saves the broker.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use local_servers::{Kafka, topics::TopicSpec};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
};
use tokio::time::{Instant, timeout};

use super::{cell::Cell, letter::Letters, writing::Writer};
use crate::{
    figure::Figures,
    processor,
    slice::{Tally, due_after},
};

/// Letters a second: few, or it would never be patience that decides.
const STEADY: u32 = 1_000;

/// How long letters are written.
const LENGTH: Duration = Duration::from_millis(1_500);

/// A letter that takes longer is lost.
const LETTER: Duration = Duration::from_secs(10);

/// How patient a consumer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// `fetch.wait.max.ms`: the broker answers after this time …
    pub wait_ms: u16,
    /// `fetch.min.bytes`: … or when it has so many bytes.
    pub bytes: u32,
}

impl Patience {
    /// As the platform's consumers are set (`crates/consumer/src/kafka.rs`).
    pub const CONSUMER: Self = Self { wait_ms: 50, bytes: 65_536 };

    /// At the first letter, whatever the longest wait is; then ever more patient.
    pub fn all() -> [Self; 4] {
        let patient = |wait_ms| Self { wait_ms, ..Self::CONSUMER };
        [Self { wait_ms: 500, bytes: 1 }, patient(10), Self::CONSUMER, patient(250)]
    }

    /// What its figures' names begin with.
    pub fn name(self) -> String {
        let Self { wait_ms, bytes } = self;
        format!("kafka read, at {bytes} B or after {wait_ms} ms")
    }
}

/// What a consumer came to.
pub struct Read {
    waits: Tally,
    broker: Duration,
    letters: u32,
}

impl Read {
    /// Adds it to the figures.
    pub fn note(mut self, patience: Patience, figures: &mut Figures) {
        let name = patience.name();
        let [p50, p99] = self.waits.quantiles([0.5, 0.99]);
        figures.milliseconds(format!("{name}: letter there p50"), p50);
        figures.milliseconds(format!("{name}: letter there p99"), p99);
        figures.microseconds(format!("{name}: processor time of the broker for a letter"), self.broker / self.letters);
    }
}

/// One reads what another writes as the relay does. A letter is there after the time from when it was due to be written.
pub async fn measure(patience: Patience, kafka: &Kafka, topics: &[TopicSpec], letters: &Letters) -> Result<Read> {
    let relay = Cell::relay(1);
    let topic =
        topics.iter().find(|topic| topic.partitions == relay.partitions).context("no topic of so many partitions")?;
    let mut writer = Writer::connect(relay, &kafka.bootstrap(), topic.name.clone())?;
    let consumer = consumer(patience, &kafka.bootstrap(), topic)?;
    // the consumer is at the end of every partition when it has read what was written after it came
    writer.round(letters, 0..letters.count()).await?;
    for _ in 0..letters.count() {
        next(&consumer).await?;
    }
    let used = || kafka.pids().into_iter().map(processor::of).sum::<Result<Duration>>();
    let before = used()?;
    let (began, mut of_the_writer, mut waits) = (Instant::now(), Tally::default(), Tally::default());
    let numbers = letters.numbers();
    let count = u64::from(STEADY) * u64::try_from(LENGTH.as_millis()).expect("seconds") / 1_000;
    let writing = writer.steadily(letters, STEADY, LENGTH, &mut of_the_writer);
    let reading = async {
        for _ in 0..count {
            let number = numbers[&next(&consumer).await?];
            waits.waited(began.elapsed().saturating_sub(due_after(number, STEADY)));
        }
        anyhow::Ok(())
    };
    tokio::try_join!(writing, reading)?;
    let broker = used()?.saturating_sub(before);
    writer.close();
    std::thread::spawn(move || drop(consumer));
    Ok(Read { broker, letters: waits.orders(), waits })
}

/// A consumer at the end of every partition, set as the platform's are but for its patience.
fn consumer(patience: Patience, bootstrap: &str, topic: &TopicSpec) -> Result<StreamConsumer> {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        // it is in no group; librdkafka wants a name all the same
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", patience.wait_ms.to_string())
        .set("fetch.min.bytes", patience.bytes.to_string())
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.queue.backoff.ms", "10")
        .create()
        .context("a consumer's settings")?;
    let mut ends = TopicPartitionList::new();
    for partition in 0..topic.partitions {
        let (_, end) = consumer.fetch_watermarks(&topic.name, partition, LETTER)?;
        ends.add_partition_offset(&topic.name, partition, Offset::Offset(end))?;
    }
    consumer.assign(&ends)?;
    Ok(consumer)
}

/// The key of the next letter.
async fn next(consumer: &StreamConsumer) -> Result<Vec<u8>> {
    let received = timeout(LETTER, consumer.recv()).await;
    let message = received.map_err(|_| anyhow!("no letter came for {LETTER:?}"))??;
    Ok(message.key().context("a letter without a key")?.to_vec())
}

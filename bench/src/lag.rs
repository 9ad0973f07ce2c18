//! How long Kafka takes: to acknowledge a message by itself, and with a relay before it until a letter can be read.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, DeliveryResult},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};
use service_runtime::clock::Clock;

use crate::figure::Figures;

/// How often Kafka is asked by itself.
const PROBES_PER_SECOND: u32 = 100;

/// As large as a letter about an order of two lines.
const PROBE_BYTES: usize = 250;

/// How long the last acknowledgement may take.
const LAST: Duration = Duration::from_secs(10);

/// How long a reader waits for a message before it looks whether it is to end.
const POLL: Duration = Duration::from_millis(20);

/// Reads a topic from its end, on a thread of its own, and notes how old each letter is when it comes.
#[derive(Debug)]
pub struct Listener {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Duration>>>,
}

impl Listener {
    /// Begins to read. `written_at` tells of a letter when it was written, in microseconds since 1970.
    pub fn start(
        bootstrap: &str,
        topic: &str,
        partitions: i32,
        written_at: fn(&BorrowedMessage<'_>) -> Option<i64>,
    ) -> Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .create()?;
        let mut from = TopicPartitionList::new();
        for partition in 0..partitions {
            // as it is now: the thread may begin a moment later
            let (_, end) = consumer.fetch_watermarks(topic, partition, LAST)?;
            from.add_partition_offset(topic, partition, Offset::Offset(end))?;
        }
        consumer.assign(&from)?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = stop.clone();
            move || {
                let mut lags = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let Some(message) = consumer.poll(POLL) else { continue };
                    let message = message?;
                    let written_at = written_at(&message).context("a letter that does not tell its time")?;
                    let lag = Clock::System.now().as_microsecond() - written_at;
                    lags.push(Duration::from_micros(lag.try_into().unwrap_or(0)));
                }
                Ok(lags)
            }
        });
        Ok(Self { stop, thread })
    }

    /// Ends. Gives how old the letters were that came.
    pub fn stop(self) -> Result<Vec<Duration>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the reader panicked"))?
    }
}

/// Lags of many letters.
#[derive(Debug)]
pub struct Lags {
    p50: Duration,
    /// The one that is compared.
    pub p99: Duration,
}

impl Lags {
    /// Of these; of none: 0.
    pub fn of(mut lags: Vec<Duration>) -> Self {
        lags.sort_unstable();
        let at =
            |percent: usize| lags.get((lags.len() * percent).div_ceil(100).max(1) - 1).copied().unwrap_or_default();
        Self { p50: at(50), p99: at(99) }
    }

    /// Notes both.
    pub fn note(&self, name: &str, figures: &mut Figures) {
        figures.milliseconds(format!("{name}: p50"), self.p50);
        figures.milliseconds(format!("{name}: p99"), self.p99);
    }
}

/// How long Kafka itself takes to acknowledge a message to a producer with the settings of the relay, now and then for so long.
pub async fn of_kafka_alone(bootstrap: &str, topic: String, length: Duration) -> Result<Vec<Duration>> {
    let (sender, acknowledged) = mpsc::channel();
    let producer: ThreadedProducer<Acknowledged> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .set("compression.type", "lz4")
        .create_with_context(Acknowledged(Mutex::new(sender)))?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PROBES_PER_SECOND);
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < length {
        ticks.tick().await;
        let record =
            BaseRecord::with_opaque_to(&topic, Box::new(Instant::now())).key("probe").payload(&[0; PROBE_BYTES]);
        producer.send(record).map_err(|(error, _)| error)?;
        sent += 1;
    }
    tokio::task::spawn_blocking(move || {
        producer.flush(LAST)?;
        let took: Vec<Duration> = acknowledged.try_iter().collect::<Result<_, _>>()?;
        ensure!(took.len() == sent, "{} of {sent} probes were acknowledged", took.len());
        Ok(took)
    })
    .await?
}

/// Passes on how long each message took, from librdkafka's thread: nobody else's work is in that time.
struct Acknowledged(Mutex<mpsc::Sender<Result<Duration, rdkafka::error::KafkaError>>>);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = Box<Instant>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent_at: Box<Instant>) {
        let took = result.as_ref().map(|_| sent_at.elapsed()).map_err(|(error, _)| error.clone());
        // nobody listens any more when the probing has failed
        let _ = self.0.lock().expect("nobody panicked").send(took);
    }
}

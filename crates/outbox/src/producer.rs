//! The way to Kafka: one producer, which is thrown away at the first letter that it cannot deliver.

use std::{sync::Mutex, thread, time::Duration};

use contracts::event::Event;
use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::RDKafkaLogLevel,
    error::KafkaError,
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer},
};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use crate::letter::{ROUND_BYTES, ROUND_LETTERS_MAX};

/// How long [`Producer::close`] waits for librdkafka to let go.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// What became of one letter.
#[derive(Debug)]
pub(crate) struct Report {
    /// The number given to [`Producer::send`].
    pub number: usize,
    pub outcome: Result<(), KafkaError>,
}

/// An idempotent producer that delivers or fails, and never gives up by time.
pub(crate) struct Producer {
    /// Taken out when it is closed.
    client: Option<ThreadedProducer<Context>>,
    reports: mpsc::Receiver<Report>,
}

impl Producer {
    pub fn connect(bootstrap_servers: &str) -> Result<Self, KafkaError> {
        let (sender, reports) = mpsc::channel(ROUND_LETTERS_MAX);
        let client = ClientConfig::new()
            .set("bootstrap.servers", bootstrap_servers)
            .set("client.id", "outbox-relay")
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // after a letter that the broker refuses, none of its partition gets through, so none overtakes it
            .set("enable.gapless.guarantee", "true")
            // never give up: a letter that timed out here may be stored all the same, and its successors would pass it
            .set("message.timeout.ms", "0")
            // the partition of a key is the same as for Java clients
            .set("partitioner", "murmur2_random")
            // a round is handed over as a whole, there is nothing to wait for
            .set("linger.ms", "0")
            // cheap in CPU; a round has many letters alike, and they stay on the broker's disk for a month
            .set("compression.type", "lz4")
            // at most one round is in here, so the queue is never full
            .set("queue.buffering.max.messages", (2 * ROUND_LETTERS_MAX).to_string())
            .set("queue.buffering.max.kbytes", (4 * ROUND_BYTES / 1024).to_string())
            // back at work within a second or so of the broker
            .set("reconnect.backoff.max.ms", "1000")
            .create_with_context(Context { reports: sender, trouble: Mutex::default() })?;
        Ok(Self { client: Some(client), reports })
    }

    /// Hands over one letter. A [`Report`] with its `number` follows, unless this fails. After a failure of either
    /// kind the producer is not to be used further.
    pub fn send(&self, topic: &str, event: &Event, number: usize) -> Result<(), KafkaError> {
        let headers = event.to_headers();
        let headers = headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |all, (key, value)| {
            all.insert(Header { key, value: Some(value) })
        });
        let record = BaseRecord::with_opaque_to(topic, number)
            .key(event.subject.as_str())
            .payload(event.payload.as_slice())
            .headers(headers);
        self.client().send(record).map_err(|(error, _)| error)
    }

    /// The next report. Cancelling the wait loses none.
    pub async fn report(&mut self) -> Report {
        self.reports.recv().await.expect("the producer owns the sender")
    }

    /// What librdkafka last complained about: the reason why reports stay away.
    pub fn trouble(&self) -> String {
        self.client().context().trouble.lock().map_or_else(|_| String::new(), |trouble| trouble.clone())
    }

    /// Drops what is not delivered, and waits a moment until the threads are gone.
    pub async fn close(mut self) {
        if let Some(closed) = self.discard() {
            // late or not, there is nothing to be done about it
            let _ = tokio::time::timeout(CLOSE_DEADLINE, closed).await;
        }
    }

    /// Lets librdkafka go on a thread of its own, since that may block, and not on one that the runtime would wait for.
    fn discard(&mut self) -> Option<oneshot::Receiver<()>> {
        let client = self.client.take()?;
        // the polling thread may wait for room
        self.reports.close();
        let (done, closed) = oneshot::channel();
        thread::spawn(move || {
            client.purge(PurgeConfig::default().queue().inflight());
            drop(client);
            // nobody waits when the relay was dropped
            let _ = done.send(());
        });
        Some(closed)
    }

    fn client(&self) -> &ThreadedProducer<Context> {
        self.client.as_ref().expect("taken out only when the producer goes")
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.discard();
    }
}

/// Passes the delivery reports on from librdkafka's thread.
struct Context {
    reports: mpsc::Sender<Report>,
    trouble: Mutex<String>,
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        // librdkafka repeats itself for as long as a broker is away; the relay says once that it is
        debug!(facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, "librdkafka: {reason}");
        if let Ok(mut trouble) = self.trouble.lock() {
            reason.clone_into(&mut trouble);
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let outcome = match result {
            Ok(_) => Ok(()),
            Err((error, message)) => {
                debug!(topic = message.topic(), %error, "a letter was not delivered");
                Err(error.clone())
            }
        };
        // nobody listens any more when the producer was discarded
        let _ = self.reports.blocking_send(Report { number, outcome });
    }
}

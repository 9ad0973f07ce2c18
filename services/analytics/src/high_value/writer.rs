//! Where the stream writes: a producer with transactions.

use std::time::Duration;

use rdkafka::{
    ClientConfig, ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::ConsumerGroupMetadata,
    error::{KafkaError, KafkaResult},
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
};
use service_runtime::kill_point;
use tokio::time::Instant;
use tracing::debug;

use crate::high_value::{GROUP, Settings, batch::Batch, let_go};

/// How long a transaction, or the taking over of an id, may take before it is given up.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long is tried to tell Kafka that a transaction is given up. If that fails, the next producer or the time limit ends it.
const ABORT_DEADLINE: Duration = Duration::from_secs(1);

/// After so long Kafka itself aborts what a producer left open and nobody took over. Readers with `read_committed` wait for it.
const TRANSACTION_TIMEOUT_MS: &str = "10000";

/// A producer that has taken over its transactional id.
pub(crate) struct Writer {
    /// Taken out when it is dropped.
    producer: Option<BaseProducer<Context>>,
}

impl Writer {
    /// Takes over the transactional id of a member whose lowest partition is this one. What the former owner of the id left
    /// open is ended, and what it still sends is refused.
    pub fn open(settings: &Settings, lowest_partition: i32) -> KafkaResult<Self> {
        let producer: BaseProducer<Context> = ClientConfig::new()
            .set("bootstrap.servers", &settings.kafka.kafka_bootstrap_servers)
            .set("client.id", "analytics")
            // idempotence and acks=all come with it
            .set("transactional.id", format!("{}.{lowest_partition}", settings.kafka.on_the_wire(GROUP)))
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)
            // the partition of a key is the same as for Java clients, and so the same as on the topic that is read
            .set("partitioner", "murmur2_random")
            // a batch is handed over as a whole, there is nothing to wait for
            .set("linger.ms", "0")
            .set("compression.type", "lz4")
            // back at work within a second or so of the broker
            .set("reconnect.backoff.max.ms", "1000")
            .create_with_context(Context)?;
        let writer = Self { producer: Some(producer) };
        writer.producer().init_transactions(DEADLINE)?;
        Ok(writer)
    }

    /// Writes the batch and the position after it: both or nothing. When it fails the outcome may be unknown, and writer and
    /// reader are not to be used further: new ones begin at what was committed.
    pub fn write(
        &self,
        batch: &Batch,
        position: &TopicPartitionList,
        membership: &ConsumerGroupMetadata,
    ) -> KafkaResult<()> {
        let written = self.try_write(batch, position, membership);
        if written.is_err()
            && let Err(error) = self.producer().abort_transaction(ABORT_DEADLINE)
        {
            debug!(group = GROUP, %error, "the transaction is left to its time limit");
        }
        written
    }

    fn try_write(
        &self,
        batch: &Batch,
        position: &TopicPartitionList,
        membership: &ConsumerGroupMetadata,
    ) -> KafkaResult<()> {
        let until = Instant::now() + DEADLINE;
        let left = || until.saturating_duration_since(Instant::now());
        let producer = self.producer();
        producer.begin_transaction()?;
        for record in &batch.records {
            let sent = BaseRecord::<[u8], [u8]>::to(&record.topic).headers(record.headers.clone());
            let sent = BaseRecord { key: record.key.as_deref(), payload: record.payload.as_deref(), ..sent };
            producer.send(sent).map_err(|(error, _)| error)?;
        }
        // a letter that is not delivered fails the commit
        producer.flush(left())?;
        producer.send_offsets_to_transaction(position, membership, left())?;
        kill_point!("analytics.picked.before-commit");
        producer.commit_transaction(left())?;
        kill_point!("analytics.picked.after-commit");
        Ok(())
    }

    fn producer(&self) -> &BaseProducer<Context> {
        self.producer.as_ref().expect("taken out only when the writer goes")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let_go(self.producer.take());
    }
}

/// What librdkafka calls back.
struct Context;

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!(group = GROUP, facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(group = GROUP, %error, "librdkafka: {reason}");
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::message::DeliveryResult<'_>, (): ()) {}
}

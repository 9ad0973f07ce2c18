//! The loop: read, pick, write. It blocks, so it has a thread of its own.

use std::time::Duration;

use consumer::{dead_letter_topic, make_dead_letter_topic};
use contracts::topics::ORDERS;
use rdkafka::{ClientConfig, error::KafkaError};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::high_value::{
    GROUP, Settings,
    batch::Batch,
    reader::{Reader, Received, Share},
    writer::Writer,
};

/// How long a letter is waited for before the loop looks whether it should end.
const IDLE: Duration = Duration::from_millis(100);

/// The wait before the stream begins anew.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the broker may take to make the dead-letter topic.
const TOPIC_DEADLINE: Duration = Duration::from_secs(5);

/// Why the stream broke off.
#[derive(Debug, thiserror::Error)]
enum BrokenOff {
    #[error("{0}")]
    Kafka(#[from] KafkaError),
    #[error("the dead-letter topic cannot be made: {0}")]
    DeadLetterTopic(String),
}

/// Picks until it is cancelled. Whatever breaks it off, it begins anew, where Kafka says that the group is.
pub(crate) fn run(settings: &Settings, runtime: &Handle, cancel: &CancellationToken) {
    let mut stream = Stream { settings, runtime, cancel, is_in_trouble: false, has_dead_letter_topic: false };
    while !cancel.is_cancelled() {
        if let Err(error) = stream.serve() {
            if !stream.is_in_trouble {
                warn!(group = GROUP, %error, "the stream broke off, beginning anew until it works");
            }
            stream.is_in_trouble = true;
            // either the pause is over or it was cancelled; the timer must be made inside the runtime
            let _ = runtime.block_on(async { timeout(PAUSE, cancel.cancelled()).await });
        }
    }
}

struct Stream<'a> {
    settings: &'a Settings,
    runtime: &'a Handle,
    cancel: &'a CancellationToken,
    /// It broke off, and has written nothing since.
    is_in_trouble: bool,
    has_dead_letter_topic: bool,
}

impl Stream<'_> {
    /// Returns when it is cancelled. No transaction is open while it waits for letters, so a rebalance, which comes then, meets
    /// none; letters that were read and not yet written are left to whoever has their partitions next.
    fn serve(&mut self) -> Result<(), BrokenOff> {
        let reader = Reader::open(self.settings)?;
        let (mut share, mut writer, mut batch) = (Share::default(), None, Batch::new());
        while !self.cancel.is_cancelled() {
            let Some(wait) = batch.wait(IDLE) else {
                let writer = writer.as_ref().expect("letters come only to whoever has a share");
                self.write(&reader, writer, &batch)?;
                batch = Batch::new();
                continue;
            };
            let received = reader.receive(wait);
            if reader.share() != share {
                share = reader.share();
                batch = Batch::new();
                writer = share.lowest.map(|lowest| Writer::open(self.settings, lowest)).transpose()?;
                info!(group = GROUP, lowest_partition = share.lowest, "the group has shared out its partitions");
            }
            match received {
                Received::Letter(partition, letter) => batch.add(self.settings, partition, &letter),
                Received::Nothing => {}
                Received::Broken(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn write(&mut self, reader: &Reader, writer: &Writer, batch: &Batch) -> Result<(), BrokenOff> {
        if batch.has_dead_letters() && !self.has_dead_letter_topic {
            self.make_dead_letter_topic()?;
        }
        let position = reader.position_after(batch)?;
        if batch.records.is_empty() {
            // a transaction would cost the broker six requests and a record on every partition
            reader.commit(&position)?;
        } else {
            writer.write(batch, &position, &reader.membership()?)?;
        }
        batch.count();
        if std::mem::take(&mut self.is_in_trouble) {
            info!(group = GROUP, "the stream goes on");
        }
        Ok(())
    }

    fn make_dead_letter_topic(&mut self) -> Result<(), BrokenOff> {
        let topic = dead_letter_topic(&self.settings.kafka.on_the_wire(ORDERS.name()), GROUP);
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.settings.kafka.kafka_bootstrap_servers).set("client.id", "analytics");
        let making = make_dead_letter_topic(&client, &topic, TOPIC_DEADLINE);
        self.runtime.block_on(making).map_err(BrokenOff::DeadLetterTopic)?;
        self.has_dead_letter_topic = true;
        Ok(())
    }
}

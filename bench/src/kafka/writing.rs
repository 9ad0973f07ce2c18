//! A cell measured: rounds of letters, each handed over as a whole when the one before is acknowledged, as the relay does.

use std::{ops::Range, thread, time::Duration};

use anyhow::{Context, Result, anyhow};
use local_servers::topics::TopicSpec;
use rdkafka::{
    ClientContext,
    producer::{DeliveryResult, ProducerContext, ThreadedProducer},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{cell::Cell, letter::Letters};
use crate::{
    figure::Figures,
    slice::{Tally, due_after},
};

/// Letters a second, where it is measured how soon each is acknowledged: of two thousand orders.
const STEADY: u32 = 4_000;

/// A round that takes longer has failed.
const ROUND: Duration = Duration::from_secs(10);

/// What a cell came to.
pub struct Written {
    letters: u32,
    took: Duration,
    waits: Tally,
}

impl Written {
    /// Adds it to the figures.
    pub fn note(mut self, cell: Cell, figures: &mut Figures) {
        let name = cell.name();
        figures.per_second(format!("{name}: letters"), self.letters, self.took);
        let [p50, p99] = self.waits.quantiles([0.5, 0.99]);
        figures.milliseconds(format!("{name}: acknowledged p50"), p50);
        figures.milliseconds(format!("{name}: acknowledged p99"), p99);
    }
}

/// Writes for so long as fast as it goes, and then for as long at a steady rate.
pub async fn measure(
    cell: Cell,
    bootstrap: &str,
    topics: &[TopicSpec],
    letters: &Letters,
    length: Duration,
) -> Result<Written> {
    let topic =
        topics.iter().find(|topic| topic.partitions == cell.partitions).context("no topic of so many partitions")?;
    let mut writer = Writer::connect(cell, bootstrap, topic.name.clone())?;
    // connections, and the producer's id
    writer.round(letters, 0..letters.count()).await?;
    let mut written = Written { letters: 0, took: Duration::ZERO, waits: Tally::default() };
    let began = Instant::now();
    while began.elapsed() < length {
        writer.round(letters, 0..letters.count()).await?;
        written.letters += u32::try_from(letters.count()).expect("a round is small");
    }
    written.took = began.elapsed();
    writer.steadily(letters, STEADY, length, &mut written.waits).await?;
    writer.close();
    Ok(written)
}

/// A producer, and what it tells of letters.
pub struct Writer {
    producer: ThreadedProducer<Reports>,
    reports: mpsc::UnboundedReceiver<Report>,
    topic: String,
}

/// The number of a letter and when it was acknowledged, or why not.
type Report = Result<(usize, Instant), String>;

impl Writer {
    /// With the settings of a cell.
    pub fn connect(cell: Cell, bootstrap: &str, topic: String) -> Result<Self> {
        let (sender, reports) = mpsc::unbounded_channel();
        let producer = cell.config(bootstrap).create_with_context(Reports(sender)).context("a producer's settings")?;
        Ok(Self { producer, reports, topic })
    }

    /// Writes letters at this rate for so long. A letter waits from when it was due, whether or not those before are acknowledged.
    pub async fn steadily(&mut self, letters: &Letters, rate: u32, length: Duration, waits: &mut Tally) -> Result<()> {
        let began = Instant::now();
        let (mut sent, mut due) = (0, 0);
        while due_after(sent, rate) < length {
            sleep_until(began + due_after(sent, rate)).await;
            // all that is due by now goes together
            while due_after(due, rate) <= began.elapsed() {
                due += 1;
            }
            let round = number(sent)..number(due);
            sent = due;
            for (number, at) in self.round(letters, round).await? {
                waits.waited(at - (began + due_after(number as u64, rate)));
            }
        }
        Ok(())
    }

    /// Hands these letters over, and waits until each is acknowledged. Gives their numbers, and when that was.
    pub async fn round(&mut self, letters: &Letters, numbers: Range<usize>) -> Result<Vec<(usize, Instant)>> {
        for number in numbers.clone() {
            let record = letters.record(&self.topic, number);
            self.producer.send(record).map_err(|(error, _)| error).context("a letter is not taken")?;
        }
        let mut acknowledged = Vec::with_capacity(numbers.len());
        let all = async {
            while acknowledged.len() < numbers.len() {
                let report = self.reports.recv().await.context("the producer owns the sender")?;
                acknowledged.push(report.map_err(anyhow::Error::msg)?);
            }
            anyhow::Ok(())
        };
        timeout(ROUND, all).await.map_err(|_| anyhow!("a round is not acknowledged after {ROUND:?}"))??;
        Ok(acknowledged)
    }

    /// Lets librdkafka go on a thread of its own: its polling thread takes a moment to notice.
    pub fn close(self) {
        thread::spawn(move || drop(self.producer));
    }
}

/// Passes the delivery reports on from librdkafka's thread.
struct Reports(mpsc::UnboundedSender<Report>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let report = match result {
            Ok(_) => Ok((number, Instant::now())),
            Err((error, _)) => Err(format!("a letter is not delivered: {error}")),
        };
        // nobody listens any more when the cell has failed
        let _ = self.0.send(report);
    }
}

fn number(count: u64) -> usize {
    usize::try_from(count).expect("64 bits fit")
}

//! One leadership: round after round, until something fails or the relay is told to stop.

use std::{pin::pin, time::Duration};

use contracts::event::Event;
use service_runtime::{kill_point, rest::Rest, telemetry};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    gap_rule::GapRule,
    interruption::{Interruption, answered},
    lease::Lease,
    letter::{self, LetterRow, ROUND_LETTERS_MAX},
    metrics, partitions,
    producer::Producer,
    progress::Progress,
    relay::{RelayConfig, Waker},
    spans,
};

/// Between two rounds: every one wakes every group that reads the topic.
const REST: Rest = Rest { times: 4, min: Duration::from_millis(10), max: Duration::from_millis(100) };

/// Without a wake-up the outbox is looked at after this pause, …
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// … which doubles to this while nothing comes.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// How often the progress is written down at most. A crash repeats the letters of so long a time; and while an old
/// snapshot keeps the row's old versions alive, they gather more slowly.
const SAVE_INTERVAL: Duration = Duration::from_millis(100);

/// How often the leader does what is not publishing. It keeps the session alive while Kafka is waited for, so it is
/// well below the silence that the server allows.
const CHORES_INTERVAL: Duration = Duration::from_secs(3);

/// How often partitions are looked after.
const PARTITIONS_INTERVAL: Duration = Duration::from_mins(10);

/// How long a stop waits for the reports of letters that are on their way.
const REPORTS_DEADLINE: Duration = Duration::from_secs(3);

/// The relay that publishes.
pub(crate) struct Leader<'a> {
    config: &'a RelayConfig,
    waker: &'a Waker,
    lease: Lease,
    progress: Progress,
    saved: Progress,
    saved_at: Instant,
    gap_rule: Option<GapRule>,
    /// No letter will appear below this id, save those that the next read finds.
    settled: Option<i64>,
    producer: Producer,
    chores: Interval,
    partitions_due: Instant,
}

impl<'a> Leader<'a> {
    /// Takes up the work where the leader before has left it: at the oldest letter that is not marked.
    pub async fn new(
        config: &'a RelayConfig,
        waker: &'a Waker,
        mut lease: Lease,
        progress: Progress,
    ) -> Result<Self, Interruption> {
        let gap_rule = answered(GapRule::for_role(&mut lease.connection)).await?;
        if gap_rule.is_none() {
            warn!("transaction_timeout is 0: ids of rolled back letters are kept for ever; set it on the role");
        }
        let producer = Producer::connect(&config.kafka_bootstrap_servers)?;
        let mut chores = interval(CHORES_INTERVAL);
        chores.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        Ok(Self {
            config,
            waker,
            lease,
            saved: progress.clone(),
            progress,
            saved_at: now,
            gap_rule,
            settled: None,
            producer,
            chores,
            partitions_due: now,
        })
    }

    /// Publishes until cancelled (`Ok`) or interrupted, then marks what is published and gives the lock back.
    pub async fn lead(mut self, cancel: &CancellationToken) -> Result<(), Interruption> {
        let outcome = self.rounds(cancel).await;
        let left = match outcome {
            // the session may be in the middle of something
            Err(Interruption::Database(_) | Interruption::NoAnswer | Interruption::Deposed) => Ok(()),
            Ok(()) | Err(Interruption::Producer(_) | Interruption::Undeliverable { .. }) => self.leave().await,
        };
        outcome.and(left)
    }

    async fn leave(mut self) -> Result<(), Interruption> {
        self.save().await?;
        self.lease.release().await?;
        self.producer.close().await;
        Ok(())
    }

    async fn rounds(&mut self, cancel: &CancellationToken) -> Result<(), Interruption> {
        let mut pause = PAUSE_MIN;
        while !cancel.is_cancelled() {
            let began = Instant::now();
            let letters = answered(letter::unpublished(&mut self.lease.connection, &self.progress)).await?;
            self.pass_settled_gaps(&letters);
            let full = letters.len() == ROUND_LETTERS_MAX;
            if letters.is_empty() {
                pause = (pause * 2).min(PAUSE_MAX);
            } else {
                pause = PAUSE_MIN;
                let spans = spans::of_round(&letters);
                let published = self.publish(letters, cancel).await;
                if let Err(interruption) = &published {
                    for span in &spans {
                        telemetry::failed(span, interruption.to_string());
                    }
                }
                published?;
            }
            if self.saved_at.elapsed() >= SAVE_INTERVAL {
                self.save().await?;
            }
            if full {
                continue;
            }
            let rested = REST.until(began);
            tokio::select! {
                // what is committed in quick succession shares a round
                () = self.waker.woken() => sleep_until(rested).await,
                () = sleep(pause) => {}
                () = cancel.cancelled() => {}
                _ = self.chores.tick() => self.do_chores().await?,
            }
        }
        Ok(())
    }

    /// Sends the letters and waits until Kafka has all of them. Then, and not before, the next round is read: so a
    /// failed letter holds back its successors, and a round is all that is ever on its way.
    async fn publish(&mut self, letters: Vec<LetterRow>, cancel: &CancellationToken) -> Result<(), Interruption> {
        let mut sent = Vec::with_capacity(letters.len());
        for row in letters {
            let (id, written_at) = (row.id, row.occurred_at.to_jiff());
            let topic = format!("{}{}", self.config.kafka_namespace, row.topic);
            match self.producer.send(&topic, &Event::from(row), sent.len()) {
                Ok(()) => sent.push((id, topic, written_at)),
                Err(error) => return Err(Interruption::Undeliverable { topic, error }),
            }
        }

        let mut overdue = pin!(async {
            cancel.cancelled().await;
            sleep(REPORTS_DEADLINE).await;
        });
        let started = Instant::now();
        let mut waiting = sent.len();
        let mut stalled = false;
        while waiting > 0 {
            tokio::select! {
                report = self.producer.report() => {
                    let (id, topic, written_at) = &sent[report.number];
                    if let Err(error) = report.outcome {
                        return Err(Interruption::Undeliverable { topic: topic.clone(), error });
                    }
                    self.progress.insert(*id);
                    metrics::count_published(*written_at);
                    waiting -= 1;
                }
                _ = self.chores.tick() => {
                    self.do_chores().await?;
                    if !stalled && started.elapsed() >= CHORES_INTERVAL / 2 {
                        warn!(trouble = self.producer.trouble(), "kafka is slow to take letters, they wait in the outbox");
                        stalled = true;
                    }
                }
                () = &mut overdue => return Ok(()),
            }
        }
        if stalled {
            info!("kafka takes letters again");
        }
        Ok(())
    }

    /// The letters were read after `settled` was found, so what they do not show below it will never be seen.
    fn pass_settled_gaps(&mut self, letters: &[LetterRow]) {
        if let Some(settled) = self.settled.take() {
            self.progress.pass_gaps_below(letters.first().map_or(settled, |first| settled.min(first.id)));
        }
    }

    async fn save(&mut self) -> Result<(), Interruption> {
        if self.progress != self.saved {
            // Kafka has the letters: dying here repeats them
            kill_point!("outbox.marked.before-commit");
            self.lease.save(&self.progress).await?;
            kill_point!("outbox.marked.after-commit");
            self.saved = self.progress.clone();
            self.saved_at = Instant::now();
        }
        Ok(())
    }

    async fn do_chores(&mut self) -> Result<(), Interruption> {
        let connection = &mut self.lease.connection;
        metrics::set_backlog(&answered(letter::backlog(connection, &self.progress)).await?);
        if let Some(rule) = &mut self.gap_rule {
            self.settled = answered(rule.settled(connection, &self.progress)).await?.or(self.settled);
        }
        if self.partitions_due <= Instant::now() {
            answered(partitions::maintain(connection, self.config.retention_days)).await?;
            self.partitions_due = Instant::now() + PARTITIONS_INTERVAL;
        }
        Ok(())
    }
}

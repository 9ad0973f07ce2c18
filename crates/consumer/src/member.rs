//! A member of a consumer group: polls Kafka without pause, gathers letters, and runs one batch at a time.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use rdkafka::error::{KafkaError, KafkaResult};
use service_runtime::rest::Rest;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    backoff::Pause,
    batch::{self, Progress, Stop},
    group::{Group, Partition},
    kafka::{Connection, Rebalance, Received},
    lane::Arrival,
    lanes::Lanes,
    letter::Letter,
    metrics, position,
    uncut::uncut_query,
    watchdog::{Stall, Watchdog},
};

/// The wait before a consumer that broke is replaced.
const REJOIN_WAIT: Duration = Duration::from_secs(1);

/// How often the member looks around when nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// Between two batches; never less than the group's own [`crate::ConsumerConfig::batch_pause`].
const REST: Rest = Rest { times: 4, min: Duration::ZERO, max: Duration::from_millis(100) };

/// How often lag tools and metrics are told where the group is.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Is a member of the group until it is cancelled. A consumer that broke is replaced by a new one.
pub(crate) async fn run(group: Arc<Group>, cancel: CancellationToken) {
    while !cancel.is_cancelled() {
        let outcome = match Connection::open(&group) {
            Ok((kafka, rebalances)) => {
                let mut member = Member::new(group.clone(), kafka, rebalances);
                let outcome = member.serve(&cancel).await;
                member.leave().await;
                outcome
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = outcome {
            error!(group = group.name, %error, "the consumer broke, joining the group anew");
            tokio::select! {
                () = cancel.cancelled() => {}
                () = sleep(REJOIN_WAIT) => {}
            }
        }
    }
}

/// Why a member is replaced by a new one.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error(transparent)]
    Stalled(#[from] Stall),
}

struct Member {
    group: Arc<Group>,
    kafka: Connection,
    rebalances: mpsc::UnboundedReceiver<Rebalance>,
    lanes: Lanes,
    /// What the group wants, to be answered one after another.
    changes: VecDeque<Change>,
    reading: Option<Reading>,
    /// Reading failed: when to try again.
    reading_pause: Option<Pause>,
    running: Option<Running>,
    batch_began: Instant,
    /// When the next batch may begin, however few letters it has.
    batch_at: Instant,
    watchdog: Watchdog,
    /// Kafka has said that something is wrong, and nothing good since.
    is_in_trouble: bool,
    report_at: Instant,
}

enum Change {
    /// Read the positions, then take the partitions.
    Take(Vec<Partition>),
    /// Let the batch that runs come to an end, but not for longer than this, then give the partitions up.
    GiveUp(Vec<Partition>, Instant),
}

/// Positions that are being read.
struct Reading {
    positions: JoinHandle<Result<BTreeMap<Partition, i64>, String>>,
    /// For the first change; else for partitions that were fenced.
    is_for_taking: bool,
}

struct Running {
    batch: JoinHandle<Vec<Progress>>,
    /// Those whose progress this member is still interested in.
    partitions: Vec<Partition>,
    interrupt: CancellationToken,
}

enum Happening {
    Cancelled,
    Received(Received),
    Rebalance(Rebalance),
    BatchEnded(Vec<Progress>),
    PositionsRead(Result<BTreeMap<Partition, i64>, String>),
    Nothing,
}

impl Member {
    fn new(group: Arc<Group>, kafka: Connection, rebalances: mpsc::UnboundedReceiver<Rebalance>) -> Self {
        let watchdog = Watchdog::new(group.config.poll_interval_max, Instant::now());
        Self {
            group,
            kafka,
            rebalances,
            lanes: Lanes::default(),
            changes: VecDeque::new(),
            reading: None,
            reading_pause: None,
            running: None,
            batch_began: Instant::now(),
            batch_at: Instant::now(),
            watchdog,
            is_in_trouble: false,
            report_at: Instant::now(),
        }
    }

    /// Returns when it is cancelled, or with an error when the consumer is of no further use.
    async fn serve(&mut self, cancel: &CancellationToken) -> Result<(), Broken> {
        loop {
            self.give_up_what_is_revoked()?;
            self.read_positions();
            self.start_batch();
            self.report()?;
            let has_room = self.has_room();
            if has_room {
                self.watchdog.polls(Instant::now())?;
            }
            let look_at = self.look_at();
            let happening = tokio::select! {
                // what ends goes before what begins
                biased;
                () = cancel.cancelled() => Happening::Cancelled,
                Some(rebalance) = self.rebalances.recv() => Happening::Rebalance(rebalance),
                progress = ended(self.running.as_mut().map(|running| &mut running.batch)) => Happening::BatchEnded(progress),
                positions = ended(self.reading.as_mut().map(|reading| &mut reading.positions)) => Happening::PositionsRead(positions),
                // polled whether a batch runs or not: the membership rests on it. Only a full buffer waits for the batch,
                // which is bounded
                received = self.kafka.receive(), if has_room => Happening::Received(received),
                () = sleep_until(look_at) => Happening::Nothing,
            };
            match happening {
                Happening::Cancelled => return Ok(()),
                Happening::Received(received) => self.receive(received)?,
                Happening::Rebalance(rebalance) => self.note(rebalance),
                Happening::BatchEnded(progress) => self.end_batch(progress)?,
                Happening::PositionsRead(positions) => self.go_to(positions)?,
                Happening::Nothing => {}
            }
        }
    }

    /// Ends in order: the batch that runs, the position for lag tools, the membership.
    async fn leave(mut self) {
        if let Some(mut running) = self.running.take() {
            running.interrupt.cancel();
            match timeout(self.group.config.handover_deadline, &mut running.batch).await {
                Ok(progress) => {
                    for progress in progress.expect("a batch does not panic") {
                        if let Some(lane) = self.lanes.get_mut(progress.partition) {
                            lane.next = progress.next;
                        }
                    }
                }
                Err(late) => {
                    warn!(group = self.group.name, %late, "leaving while a batch runs; the position fences it");
                }
            }
        }
        self.commit(&self.lanes.partitions());
        self.kafka.close().await;
    }

    fn has_room(&self) -> bool {
        self.lanes.count_waiting() < self.group.config.batch_events_max
    }

    /// Takes what has come, and whatever else is there already.
    fn receive(&mut self, received: Received) -> KafkaResult<()> {
        let mut next = Some(received);
        while let Some(received) = next {
            match received {
                Received::Letter(partition, letter) => self.accept(partition, letter)?,
                Received::Broken(error) => return Err(error),
                Received::Trouble(error) if self.is_in_trouble => debug!(group = self.group.name, %error, "Kafka"),
                Received::Trouble(error) => {
                    self.is_in_trouble = true;
                    warn!(group = self.group.name, %error, "Kafka is in trouble, the consumer goes on trying");
                }
            }
            next = if self.has_room() { self.kafka.receive().now_or_never() } else { None };
        }
        Ok(())
    }

    fn accept(&mut self, partition: Partition, letter: Letter) -> KafkaResult<()> {
        if std::mem::take(&mut self.is_in_trouble) {
            info!(group = self.group.name, "Kafka is well again");
        }
        // none: of a partition that was given up
        let Some(lane) = self.lanes.get_mut(partition) else { return Ok(()) };
        let offset = letter.offset;
        match lane.accept(letter) {
            Arrival::Queued | Arrival::Dropped => {}
            Arrival::Doubted { expected } => self.kafka.seek(partition, expected)?,
            Arrival::QueuedAfterGap { expected } => error!(
                group = self.group.name,
                topic = partition.topic,
                partition = partition.number,
                expected,
                offset,
                "letters are missing: deleted before they were read, or the topic was made anew"
            ),
        }
        Ok(())
    }

    fn note(&mut self, rebalance: Rebalance) {
        self.is_in_trouble = false;
        self.changes.push_back(match rebalance {
            Rebalance::Assigned(partitions) => Change::Take(partitions),
            Rebalance::Revoked(partitions) => {
                Change::GiveUp(partitions, Instant::now() + self.group.config.handover_deadline)
            }
        });
    }

    /// Gives up the partitions that the group wants back, once no batch runs on them, or the deadline has passed.
    fn give_up_what_is_revoked(&mut self) -> KafkaResult<()> {
        while let Some(Change::GiveUp(partitions, deadline)) = self.changes.front() {
            if let Some(running) = &mut self.running
                && running.partitions.iter().any(|partition| partitions.contains(partition))
            {
                running.interrupt.cancel();
                if Instant::now() < *deadline {
                    return Ok(());
                }
                running.partitions.retain(|partition| !partitions.contains(partition));
                warn!(group = self.group.name, "giving up partitions while a batch runs; the position fences it");
            }
            let partitions = partitions.clone();
            self.changes.pop_front();
            self.commit(&partitions);
            self.lanes.remove(&partitions);
            self.kafka.unassign(&partitions)?;
            info!(group = self.group.name, partitions = partitions.len(), "partitions given up");
        }
        Ok(())
    }

    /// Starts to read the positions of partitions to be taken, or of those that were fenced.
    fn read_positions(&mut self) {
        if self.reading.is_some() || self.reading_pause.as_ref().is_some_and(|pause| !pause.is_over()) {
            return;
        }
        let (partitions, is_for_taking) = match self.changes.front() {
            Some(Change::Take(partitions)) => (partitions.clone(), true),
            _ => (self.lanes.rewinding(), false),
        };
        if partitions.is_empty() && !is_for_taking {
            return;
        }
        let group = self.group.clone();
        let positions = tokio::spawn(async move {
            let read = |group: Arc<Group>| async move { position::read(&group.pool, &group, &partitions).await };
            uncut_query(&group, read).await
        });
        self.reading = Some(Reading { positions, is_for_taking });
    }

    /// The positions were read: takes the partitions, or goes there.
    fn go_to(&mut self, read: Result<BTreeMap<Partition, i64>, String>) -> KafkaResult<()> {
        let reading = self.reading.take().expect("it was this one that ended");
        let positions = match read {
            Ok(positions) => positions,
            Err(reason) => {
                if self.reading_pause.is_none() {
                    warn!(group = self.group.name, reason, "the positions cannot be read, trying until they can");
                }
                let max = self.group.config.outage_backoff_max;
                self.reading_pause = Some(Pause::begin(self.reading_pause.as_ref(), max));
                return Ok(());
            }
        };
        self.reading_pause = None;
        if reading.is_for_taking {
            self.changes.pop_front();
            self.kafka.assign(&positions)?;
            info!(group = self.group.name, partitions = positions.len(), "partitions taken");
            self.lanes.add(positions);
            return Ok(());
        }
        for (partition, next) in positions {
            // it may have been given up since, and even taken again
            if let Some(lane) = self.lanes.get_mut(partition).filter(|lane| lane.is_rewinding) {
                lane.rewind(next);
                self.kafka.seek(partition, next)?;
                self.kafka.resume(partition)?;
            }
        }
        Ok(())
    }

    /// When to look around if nothing happens until then.
    fn look_at(&self) -> Instant {
        let tick = Instant::now() + TICK;
        if self.running.is_none() && self.lanes.count_waiting() > 0 { tick.min(self.batch_at) } else { tick }
    }

    fn start_batch(&mut self) {
        let is_full = || self.lanes.count_waiting() >= self.group.pace.letters();
        if self.running.is_some() || Instant::now() < self.batch_at && !is_full() {
            return;
        }
        let slices = self.lanes.next_batch();
        if slices.is_empty() {
            return;
        }
        self.batch_began = Instant::now();
        let partitions = slices.iter().map(|slice| slice.partition).collect();
        let interrupt = CancellationToken::new();
        let batch = tokio::spawn(batch::process(self.group.clone(), slices, interrupt.clone()));
        self.running = Some(Running { batch, partitions, interrupt });
    }

    fn end_batch(&mut self, progress: Vec<Progress>) -> KafkaResult<()> {
        let running = self.running.take().expect("it was this one that ended");
        let earliest = self.batch_began + self.group.config.batch_pause;
        self.batch_at = REST.until(self.batch_began).max(earliest);
        for Progress { partition, next, left, stop } in progress {
            if !running.partitions.contains(&partition) {
                continue;
            }
            let lane = self.lanes.get_mut(partition).expect("what is given up is taken out of the running batch");
            lane.next = next;
            lane.in_hand = None;
            for letter in left.into_iter().rev() {
                lane.queue.push_front(letter);
            }
            match stop {
                None | Some(Stop::Interrupted) => {
                    if lane.stopped.take().is_some() {
                        let Partition { topic, number } = partition;
                        info!(group = self.group.name, topic, partition = number, "a partition goes on");
                        self.kafka.resume(partition)?;
                    }
                }
                Some(Stop::Fenced) => {
                    lane.is_rewinding = true;
                    lane.queue.clear();
                }
                Some(Stop::Outage(reason)) => self.stop(partition, &reason)?,
                Some(Stop::Full) => {
                    self.stop(partition, "too many letters are parked; redrive or discard dead ones")?;
                }
            }
        }
        Ok(())
    }

    /// Lets a partition wait before it is tried again.
    fn stop(&mut self, partition: Partition, reason: &str) -> KafkaResult<()> {
        let lane = self.lanes.get_mut(partition).expect("the caller has seen it");
        let pause = Pause::begin(lane.stopped.as_ref(), self.group.config.outage_backoff_max);
        if lane.stopped.replace(pause).is_none() {
            let Partition { topic, number } = partition;
            error!(group = self.group.name, topic, partition = number, offset = lane.next, reason, "a partition stops");
            self.kafka.pause(partition)?;
        }
        Ok(())
    }

    /// Tells lag tools, metrics and the watchdog where the group is, once in a while.
    fn report(&mut self) -> Result<(), Stall> {
        let now = Instant::now();
        if now < self.report_at {
            return Ok(());
        }
        self.report_at = now + REPORT_INTERVAL;
        let partitions = self.lanes.partitions();
        self.commit(&partitions);
        metrics::set_partitions(&self.group, partitions.len(), self.lanes.count_stopped());
        let fetched = self.kafka.fetched();
        for topic in self.group.topics() {
            metrics::set_lag(&self.group, topic, self.lanes.lag(topic, &fetched), self.lanes.oldest(topic));
        }
        let may_come = self.has_room() && self.kafka.has_broker();
        let expected = if may_come { self.lanes.expecting(fetched) } else { BTreeMap::new() };
        self.watchdog.look(&expected, now)
    }

    /// Tells Kafka the positions of these partitions, where they have changed.
    fn commit(&mut self, partitions: &[Partition]) {
        let positions = self.lanes.take_uncommitted(partitions);
        if let Err(error) = self.kafka.commit(positions.into_iter()) {
            debug!(group = self.group.name, %error, "lag tools do not know the position");
        }
    }
}

/// Waits for a task's end; for ever when there is none.
async fn ended<T>(task: Option<&mut JoinHandle<T>>) -> T {
    match task {
        Some(task) => task.await.expect("the task does not panic and nobody aborts it"),
        None => std::future::pending().await,
    }
}

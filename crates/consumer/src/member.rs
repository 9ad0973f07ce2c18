//! A member of a consumer group: polls Kafka without pause, gathers letters, and runs one batch at a time.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use rdkafka::error::KafkaResult;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    backoff::Backoff,
    batch::{self, Progress, Slice, Stop},
    group::{Group, Partition},
    kafka::{Connection, Rebalance, Received},
    lane::{Arrival, Lane, Stopped},
    letter::Letter,
    metrics, position,
    retry::uncut_on,
};

/// The first wait after something went wrong.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// How often the member looks around when nothing comes.
const TICK: Duration = Duration::from_millis(100);

/// How often lag tools and metrics are told where the group is.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Is a member of the group until it is cancelled. A consumer that broke is replaced by a new one.
pub(crate) async fn run(group: Arc<Group>, cancel: CancellationToken) {
    let mut backoff = Backoff::new(FIRST_WAIT, group.config.outage_backoff_max);
    while !cancel.is_cancelled() {
        let broken = match Connection::open(&group) {
            Ok((kafka, rebalances)) => {
                let mut member = Member::new(group.clone(), kafka, rebalances);
                let outcome = member.serve(&cancel).await;
                member.leave().await;
                outcome.err()
            }
            Err(error) => Some(error),
        };
        if let Some(error) = broken {
            warn!(group = group.name, %error, "the consumer broke, joining the group anew");
            tokio::select! {
                () = cancel.cancelled() => {}
                () = sleep(backoff.wait()) => {}
            }
        }
    }
}

struct Member {
    group: Arc<Group>,
    kafka: Connection,
    rebalances: mpsc::UnboundedReceiver<Rebalance>,
    lanes: BTreeMap<Partition, Lane>,
    /// What is to be done about partitions, one after another.
    changes: VecDeque<Change>,
    /// The positions that the first change needs, being read.
    reading: Option<JoinHandle<Result<BTreeMap<Partition, i64>, String>>>,
    /// Reading failed: when to try again.
    reading_failed: Option<Stopped>,
    running: Option<Running>,
    /// Kafka has said that something is wrong, and nothing good since.
    is_in_trouble: bool,
    report_at: Instant,
}

enum Change {
    /// Read the positions, then take the partitions.
    Take(Vec<Partition>),
    /// Let the batch that runs come to an end, but not for longer than this, then give the partitions up.
    GiveUp(Vec<Partition>, Instant),
    /// Read the positions, then go there.
    Rewind(Vec<Partition>),
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
        Self {
            group,
            kafka,
            rebalances,
            lanes: BTreeMap::new(),
            changes: VecDeque::new(),
            reading: None,
            reading_failed: None,
            running: None,
            is_in_trouble: false,
            report_at: Instant::now(),
        }
    }

    /// Returns when it is cancelled, or with an error when the consumer is of no further use.
    async fn serve(&mut self, cancel: &CancellationToken) -> KafkaResult<()> {
        loop {
            self.follow_changes()?;
            self.start_batch();
            self.report();
            // polled again and again while a batch runs, or nothing can be done: the membership rests on it. Only a full
            // buffer waits for the batch, which is bounded.
            let has_room = self.has_room();
            let happening = tokio::select! {
                // what ends goes before what begins
                biased;
                () = cancel.cancelled() => Happening::Cancelled,
                Some(rebalance) = self.rebalances.recv() => Happening::Rebalance(rebalance),
                progress = ended(self.running.as_mut().map(|running| &mut running.batch)) => Happening::BatchEnded(progress),
                positions = ended(self.reading.as_mut()) => Happening::PositionsRead(positions),
                received = self.kafka.receive(), if has_room => Happening::Received(received),
                () = sleep(TICK) => Happening::Nothing,
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
            let Ok(progress) = timeout(self.group.config.handover_deadline, &mut running.batch).await else {
                warn!(group = self.group.name, "leaving while a batch runs; the position fences it");
                return self.kafka.close().await;
            };
            for progress in progress.expect("a batch does not panic") {
                if let Some(lane) = self.lanes.get_mut(&progress.partition) {
                    lane.next = progress.next;
                }
            }
        }
        let all: Vec<Partition> = self.lanes.keys().copied().collect();
        self.commit(&all);
        self.kafka.close().await;
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
        // a letter of a partition that was given up
        let Some(lane) = self.lanes.get_mut(&partition) else { return Ok(()) };
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

    fn has_room(&self) -> bool {
        // letters of a stopped partition do not count: it is paused, so there are no more of them than one batch
        let waiting: usize = self.lanes.values().filter(|lane| lane.is_flowing()).map(|lane| lane.queue.len()).sum();
        waiting < self.group.config.batch_events_max
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

    /// Does what can be done about the first changes.
    fn follow_changes(&mut self) -> KafkaResult<()> {
        loop {
            match self.changes.front() {
                Some(Change::Take(partitions) | Change::Rewind(partitions)) => {
                    let is_time = self.reading_failed.as_ref().is_none_or(|failed| failed.retry_at <= Instant::now());
                    if self.reading.is_none() && is_time {
                        self.reading = Some(read_positions(self.group.clone(), partitions.clone()));
                    }
                    return Ok(());
                }
                Some(Change::GiveUp(partitions, deadline)) => {
                    if let Some(running) = &mut self.running
                        && running.partitions.iter().any(|partition| partitions.contains(partition))
                    {
                        running.interrupt.cancel();
                        if Instant::now() < *deadline {
                            return Ok(());
                        }
                        running.partitions.retain(|partition| !partitions.contains(partition));
                        warn!(
                            group = self.group.name,
                            "giving up partitions while a batch runs; the position fences it"
                        );
                    }
                    let partitions = partitions.clone();
                    self.changes.pop_front();
                    self.give_up(&partitions)?;
                }
                None => return Ok(()),
            }
        }
    }

    fn give_up(&mut self, partitions: &[Partition]) -> KafkaResult<()> {
        self.commit(partitions);
        self.lanes.retain(|partition, _| !partitions.contains(partition));
        info!(group = self.group.name, partitions = partitions.len(), "partitions given up");
        self.kafka.unassign(partitions)
    }

    /// The positions of the first change were read: takes or rewinds its partitions.
    fn go_to(&mut self, read: Result<BTreeMap<Partition, i64>, String>) -> KafkaResult<()> {
        self.reading = None;
        let positions = match read {
            Ok(positions) => positions,
            Err(reason) => {
                let (first, max) = (FIRST_WAIT, self.group.config.outage_backoff_max);
                if self.reading_failed.is_none() {
                    warn!(group = self.group.name, reason, "the positions cannot be read, trying until they can");
                }
                let mut backoff =
                    self.reading_failed.take().map_or_else(|| Backoff::new(first, max), |failed| failed.backoff);
                self.reading_failed = Some(Stopped { retry_at: Instant::now() + backoff.wait(), backoff });
                return Ok(());
            }
        };
        self.reading_failed = None;
        match self.changes.pop_front().expect("the change stays until its positions are read") {
            Change::Take(_) => {
                self.kafka.assign(&positions)?;
                info!(group = self.group.name, partitions = positions.len(), "partitions taken");
                self.lanes.extend(positions.into_iter().map(|(partition, next)| (partition, Lane::new(next))));
            }
            Change::Rewind(_) => {
                for (partition, next) in positions {
                    // it may have been given up, and even taken again, since
                    if let Some(lane) = self.lanes.get_mut(&partition).filter(|lane| lane.is_rewinding) {
                        lane.rewind(next);
                        self.kafka.seek(partition, next)?;
                        self.kafka.resume(partition)?;
                    }
                }
            }
            Change::GiveUp(..) => unreachable!("it needs no positions"),
        }
        Ok(())
    }

    /// Starts the next batch, if none runs: of a partition that is tried again, alone, so that it holds up no other; else
    /// of all that flow.
    fn start_batch(&mut self) {
        if self.running.is_some() {
            return;
        }
        let now = Instant::now();
        let due = self.lanes.iter().find(|(_, lane)| lane.is_due(now)).map(|(&partition, _)| partition);
        let slices: Vec<Slice> = self
            .lanes
            .iter_mut()
            .filter(|&(&partition, ref lane)| due.map_or(lane.is_flowing(), |due| due == partition))
            .filter(|(_, lane)| !lane.queue.is_empty())
            .map(|(&partition, lane)| Slice { partition, from: lane.next, letters: lane.queue.drain(..).collect() })
            .collect();
        if slices.is_empty() {
            return;
        }
        let partitions = slices.iter().map(|slice| slice.partition).collect();
        let interrupt = CancellationToken::new();
        let batch = tokio::spawn(batch::process(self.group.clone(), slices, interrupt.clone()));
        self.running = Some(Running { batch, partitions, interrupt });
    }

    fn end_batch(&mut self, progress: Vec<Progress>) -> KafkaResult<()> {
        let running = self.running.take().expect("it was this one that ended");
        for progress in progress {
            let partition = progress.partition;
            if !running.partitions.contains(&partition) {
                continue;
            }
            let lane = self.lanes.get_mut(&partition).expect("a partition of a batch is given up only with it");
            lane.next = progress.next;
            for letter in progress.left.into_iter().rev() {
                lane.queue.push_front(letter);
            }
            match progress.stop {
                None | Some(Stop::Interrupted) => {
                    if lane.stopped.take().is_some() {
                        info!(
                            group = self.group.name,
                            topic = partition.topic,
                            partition = partition.number,
                            "going on"
                        );
                        self.kafka.resume(partition)?;
                    }
                }
                Some(Stop::Fenced) => {
                    lane.is_rewinding = true;
                    lane.queue.clear();
                    self.changes.push_back(Change::Rewind(vec![partition]));
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
        let max = self.group.config.outage_backoff_max;
        let lane = self.lanes.get_mut(&partition).expect("the caller has seen it");
        let is_new = lane.stopped.is_none();
        let mut backoff = lane.stopped.take().map_or_else(|| Backoff::new(FIRST_WAIT, max), |stopped| stopped.backoff);
        lane.stopped = Some(Stopped { retry_at: Instant::now() + backoff.wait(), backoff });
        if is_new {
            let Partition { topic, number } = partition;
            error!(group = self.group.name, topic, partition = number, offset = lane.next, reason, "a partition stops");
            self.kafka.pause(partition)?;
        }
        Ok(())
    }

    /// Tells lag tools and metrics where the group is, once in a while.
    fn report(&mut self) {
        if Instant::now() < self.report_at {
            return;
        }
        self.report_at = Instant::now() + REPORT_INTERVAL;
        let all: Vec<Partition> = self.lanes.keys().copied().collect();
        self.commit(&all);
        metrics::set_partitions(&self.group, all.len(), self.lanes.values().filter(|lane| !lane.is_flowing()).count());
        let ends = self.kafka.ends();
        for topic in self.group.topics() {
            let of_topic = self.lanes.iter().filter(|(partition, _)| partition.topic == topic);
            let lag = of_topic.filter_map(|(partition, lane)| Some((ends.get(partition)? - lane.next).max(0))).sum();
            metrics::set_lag(&self.group, topic, lag);
        }
    }

    /// Tells Kafka the positions of these partitions, where they have changed.
    fn commit(&mut self, partitions: &[Partition]) {
        let mut moved = Vec::new();
        for (&partition, lane) in &mut self.lanes {
            if partitions.contains(&partition) && lane.committed != lane.next {
                lane.committed = lane.next;
                moved.push((partition, lane.next));
            }
        }
        if let Err(error) = self.kafka.commit(moved.into_iter()) {
            debug!(group = self.group.name, %error, "lag tools do not know the position");
        }
    }
}

fn read_positions(
    group: Arc<Group>,
    partitions: Vec<Partition>,
) -> JoinHandle<Result<BTreeMap<Partition, i64>, String>> {
    tokio::spawn(async move {
        uncut_on(&group, |group| async move { position::read(&group.pool, &group, &partitions).await }).await
    })
}

/// Waits for a task's end; for ever when there is none.
async fn ended<T>(task: Option<&mut JoinHandle<T>>) -> T {
    match task {
        Some(task) => task.await.expect("the task does not panic and nobody aborts it"),
        None => std::future::pending().await,
    }
}

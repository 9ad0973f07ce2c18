//! Many callers, one transaction.
//!
//! A commit costs a write to disk whatever is in it. So the requests that come while one batch is written make the next one: alone,
//! a request waits for nobody; under load the batches grow by themselves, and nothing is timed.
//!
//! | what | how |
//! |---|---|
//! | order | first come, first written; a caller is overtaken by nobody |
//! | bound | a queue of so many requests; who finds it full is refused at once |
//! | size | a batch takes requests up to a number, and up to a weight, so that a heavy one does not hold up many others; a single one may be heavier |
//! | size 1 | nothing is shared: each request is a batch of its own, and several are written at the same time |
//! | failure | a batch that fails by what is in it is split in halves until the one at fault is alone, and it alone fails |
//! | outage | an error that no request is the cause of is told to all of the batch |
//! | a batch that hangs | after 15 s its callers are told that nobody knows what became of it, and the next one begins |
//! | a caller that goes away | before its turn: its request is left out; after that it is written all the same |
//!
//! # Metrics
//! | name | what |
//! |---|---|
//! | `batches_total{batch}` | batches that were written or failed |
//! | `batched_requests_total{batch}` | requests in them: over `batches_total`, how many share a commit |
//! | `batch_refused_total{batch}` | requests that found the queue full |
//! | `batch_splits_total{batch}` | batches that failed by one of their requests |
//! | `batch_seconds{batch}` | how long a batch took |
//! | `batch_wait_seconds{batch}` | how long a request waited for its batch to begin |

use std::{fmt, fmt::Display, future::Future, sync::Arc, time::Duration};

use metrics::{counter, describe_counter, describe_histogram, histogram};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, timeout},
};
use tracing::{debug, error};

/// How long a batch may take before the next one begins: longer than the `transaction_timeout` of the roles that serve, so that
/// Postgres gives up first.
const WRITE_TIME_MAX: Duration = Duration::from_secs(15);

/// So many are written at the same time when none shares its batch: as many as a service has connections, unless told otherwise.
const ALONE_AT_ONCE: usize = 8;

/// What is done with a batch.
pub trait Batch: Send + Sync + 'static {
    /// What a caller wants.
    type Request: Send + Sync + 'static;
    /// What the caller is told.
    type Answer: Send + 'static;
    /// Why nothing was written.
    type Error: Clone + Display + Send + 'static;

    /// Writes all of them or none, in one transaction. Answers each, in their order. Is never dropped in the middle.
    fn write(&self, requests: &[Self::Request]) -> impl Future<Output = Result<Vec<Self::Answer>, Self::Error>> + Send;

    /// Whether a batch without one of its requests might not fail so. An outage is nobody's fault.
    fn is_of_one_request(error: &Self::Error) -> bool;

    /// How much of a batch a request takes, from 1.
    fn weight(_request: &Self::Request) -> usize {
        1
    }
}

/// What a batcher may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests that wait.
    pub queue_max: usize,
    /// The weight of a batch.
    pub weight_max: usize,
    /// Requests in a batch; with 1 there is no order among them.
    pub requests_max: usize,
}

/// Why a request was not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refused<E> {
    /// Too many wait. Nothing was written.
    #[error("too many requests wait to be written")]
    Full,
    /// What the batch failed of. Nothing was written, unless it is a commit whose reply was lost.
    #[error("{0}")]
    Failed(E),
    /// The batch ended in a panic.
    #[error("writing a batch ended in a panic")]
    Lost,
    /// The batch did not end in its time: nobody knows whether it was written.
    #[error("a batch was not written in its time")]
    Late,
}

/// Where callers bring their requests. Clones share one writer, which ends with the last of them.
pub struct Batcher<B: Batch> {
    name: &'static str,
    queue: mpsc::Sender<Waiting<B>>,
}

impl<B: Batch> Clone for Batcher<B> {
    fn clone(&self) -> Self {
        Self { name: self.name, queue: self.queue.clone() }
    }
}

impl<B: Batch> fmt::Debug for Batcher<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Batcher").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A request in the queue.
struct Waiting<B: Batch> {
    request: B::Request,
    since: Instant,
    answer: Answer<B>,
}

impl<B: Batch> Waiting<B> {
    fn new(request: B::Request) -> (Self, Answered<B>) {
        let (answer, answered) = oneshot::channel();
        (Self { request, since: Instant::now(), answer }, answered)
    }
}

type Answered<B> = oneshot::Receiver<Result<<B as Batch>::Answer, Refused<<B as Batch>::Error>>>;

type Answer<B> = oneshot::Sender<Result<<B as Batch>::Answer, Refused<<B as Batch>::Error>>>;

impl<B: Batch> Batcher<B> {
    /// Begins to write; `name` is for metrics and the log. Must be called where tasks can be spawned.
    pub fn start(name: &'static str, batch: B, limits: Limits) -> Self {
        describe();
        let (queue, waiting) = mpsc::channel(limits.queue_max);
        let pen = Pen { name, batch: Arc::new(batch) };
        tokio::spawn(Writer { pen, limits, waiting, next: None }.run());
        Self { name, queue }
    }

    /// Has a request written, together with others. Refused when the queue is full: for what nobody has accepted yet.
    pub async fn submit(&self, request: B::Request) -> Result<B::Answer, Refused<B::Error>> {
        let (waiting, answered) = Waiting::new(request);
        if self.queue.try_send(waiting).is_err() {
            counter!("batch_refused_total", "batch" => self.name).increment(1);
            return Err(Refused::Full);
        }
        answered.await.unwrap_or(Err(Refused::Lost))
    }

    /// As [`Self::submit`], but waits for a place in the queue: for what goes on with something that was accepted. The caller
    /// sees to it that it does not wait for ever, and that not too many do.
    pub async fn queue_up(&self, request: B::Request) -> Result<B::Answer, Refused<B::Error>> {
        let (waiting, answered) = Waiting::new(request);
        if self.queue.send(waiting).await.is_err() {
            return Err(Refused::Lost);
        }
        answered.await.unwrap_or(Err(Refused::Lost))
    }
}

struct Writer<B: Batch> {
    pen: Pen<B>,
    limits: Limits,
    waiting: mpsc::Receiver<Waiting<B>>,
    /// Came out of the queue and was too heavy for the batch before.
    next: Option<Waiting<B>>,
}

impl<B: Batch> Writer<B> {
    async fn run(mut self) {
        if self.limits.requests_max > 1 {
            while let Some((requests, answers)) = self.gather().await {
                self.pen.write(requests, answers).await;
            }
            return;
        }
        let places = Arc::new(Semaphore::new(ALONE_AT_ONCE));
        while let Ok(place) = places.clone().acquire_owned().await
            && let Some((requests, answers)) = self.gather().await
        {
            let pen = self.pen.clone();
            tokio::spawn(async move {
                pen.write(requests, answers).await;
                drop(place);
            });
        }
    }

    /// What waits, from the first on, as far as it fits. `None` when nobody can come any more.
    async fn gather(&mut self) -> Option<(Vec<B::Request>, Vec<Answer<B>>)> {
        let first = match self.next.take() {
            Some(first) => first,
            None => self.waiting.recv().await?,
        };
        let mut room = self.limits.weight_max.saturating_sub(B::weight(&first.request));
        let mut batch = vec![first];
        while batch.len() < self.limits.requests_max
            && let Ok(waiting) = self.waiting.try_recv()
        {
            let Some(left) = room.checked_sub(B::weight(&waiting.request)) else {
                self.next = Some(waiting);
                break;
            };
            room = left;
            batch.push(waiting);
        }
        let waited = histogram!("batch_wait_seconds", "batch" => self.pen.name);
        let patient = batch.into_iter().filter(|waiting| !waiting.answer.is_closed());
        Some(
            patient
                .inspect(|waiting| waited.record(waiting.since.elapsed()))
                .map(|waiting| (waiting.request, waiting.answer))
                .unzip(),
        )
    }
}

/// Writes a batch, whole or in parts.
struct Pen<B> {
    name: &'static str,
    batch: Arc<B>,
}

impl<B> Clone for Pen<B> {
    fn clone(&self) -> Self {
        Self { name: self.name, batch: self.batch.clone() }
    }
}

impl<B: Batch> Pen<B> {
    async fn write(&self, requests: Vec<B::Request>, answers: Vec<Answer<B>>) {
        // the first half on top
        let mut parts = vec![(requests, answers)];
        while let Some((requests, mut answers)) = parts.pop() {
            if requests.is_empty() {
                continue;
            }
            let requests = Arc::new(requests);
            let refused = match self.write_once(&requests).await {
                Ok(told) => {
                    told.into_iter().zip(answers).for_each(|(told, answer)| tell::<B>(answer, Ok(told)));
                    continue;
                }
                Err(refused) => refused,
            };
            let may_be_of_one = match &refused {
                Refused::Failed(error) => B::is_of_one_request(error),
                Refused::Lost => true,
                Refused::Full | Refused::Late => false,
            };
            // whoever writes them still has them, if they are late
            match Arc::try_unwrap(requests) {
                Ok(mut requests) if requests.len() > 1 && may_be_of_one => {
                    counter!("batch_splits_total", "batch" => self.name).increment(1);
                    debug!(batch = self.name, requests = requests.len(), %refused, "a batch failed, trying its halves");
                    let half = requests.len() / 2;
                    parts.push((requests.split_off(half), answers.split_off(half)));
                    parts.push((requests, answers));
                }
                _ => answers.into_iter().for_each(|answer| tell::<B>(answer, Err(refused.clone()))),
            }
        }
    }

    /// In a task of its own: it is not cut short when it takes too long.
    async fn write_once(&self, requests: &Arc<Vec<B::Request>>) -> Result<Vec<B::Answer>, Refused<B::Error>> {
        let began = Instant::now();
        let writing = tokio::spawn({
            let (batch, requests) = (self.batch.clone(), requests.clone());
            async move { batch.write(&requests).await }
        });
        let outcome = timeout(WRITE_TIME_MAX, writing).await;
        counter!("batches_total", "batch" => self.name).increment(1);
        counter!("batched_requests_total", "batch" => self.name).increment(requests.len() as u64);
        histogram!("batch_seconds", "batch" => self.name).record(began.elapsed());
        match outcome {
            Ok(Ok(Ok(told))) if told.len() == requests.len() => Ok(told),
            Ok(Ok(Ok(told))) => {
                let (requests, answers) = (requests.len(), told.len());
                error!(batch = self.name, requests, answers, "not every request was answered");
                Err(Refused::Late)
            }
            Ok(Ok(Err(error))) => Err(Refused::Failed(error)),
            Ok(Err(panic)) => {
                error!(batch = self.name, requests = requests.len(), %panic, "writing a batch ended in a panic");
                Err(Refused::Lost)
            }
            Err(_) => {
                error!(batch = self.name, requests = requests.len(), "a batch takes too long, going on without it");
                Err(Refused::Late)
            }
        }
    }
}

fn tell<B: Batch>(answer: Answer<B>, told: Result<B::Answer, Refused<B::Error>>) {
    // the caller may have gone away
    let _ = answer.send(told);
}

fn describe() {
    describe_counter!("batches_total", "Batches that were written or failed");
    describe_counter!("batched_requests_total", "Requests in batches");
    describe_counter!("batch_refused_total", "Requests that found the queue full");
    describe_counter!("batch_splits_total", "Batches that failed by one of their requests");
    describe_histogram!("batch_seconds", "How long a batch took");
    describe_histogram!("batch_wait_seconds", "How long a request waited for its batch to begin");
}

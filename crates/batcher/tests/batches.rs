//! What callers may expect of a batcher, with a writer that keeps what it wrote and can be held.

use std::sync::{Arc, Mutex};

use batcher::{Batch, Batcher, Limits, Refused};
use tokio::{sync::Semaphore, task::JoinSet};

/// Writes numbers, and answers each with its double. 13 is refused, 99 panics, 7 is away.
#[derive(Clone)]
struct Desk {
    written: Arc<Mutex<Vec<Vec<u32>>>>,
    /// Each batch waits for one.
    permits: Arc<Semaphore>,
    /// Each batch leaves one when it begins.
    begun: Arc<Semaphore>,
}

impl Desk {
    fn new(permits: usize) -> Self {
        let [permits, begun] = [permits, 0].map(|permits| Arc::new(Semaphore::new(permits)));
        Self { written: Arc::default(), permits, begun }
    }

    fn written(&self) -> Vec<Vec<u32>> {
        self.written.lock().expect("nobody panics with it").clone()
    }

    fn start(&self, queue_max: usize) -> Batcher<Self> {
        self.start_sharing(queue_max, 100)
    }

    fn start_sharing(&self, queue_max: usize, requests_max: usize) -> Batcher<Self> {
        Batcher::start("test", self.clone(), Limits { queue_max, weight_max: 100, requests_max })
    }
}

impl Batch for Desk {
    type Request = u32;
    type Answer = u32;
    type Error = &'static str;

    async fn write(&self, requests: &[u32]) -> Result<Vec<u32>, Self::Error> {
        self.begun.add_permits(1);
        self.permits.acquire().await.expect("it is never closed").forget();
        assert!(!requests.contains(&99), "99");
        if requests.contains(&7) {
            return Err("away");
        }
        if requests.contains(&13) {
            return Err("unlucky");
        }
        self.written.lock().expect("nobody panics with it").push(requests.to_vec());
        Ok(requests.iter().map(|number| 2 * number).collect())
    }

    fn is_of_one_request(error: &Self::Error) -> bool {
        *error == "unlucky"
    }

    fn weight(request: &u32) -> usize {
        if *request >= 1000 { 100 } else { 1 }
    }
}

type Answered = (u32, Result<u32, Refused<&'static str>>);

/// Brings these to a writer that is busy with 0, so that they wait together, in this order.
async fn wait_together(
    desk: &Desk,
    batcher: &Batcher<Desk>,
    numbers: impl IntoIterator<Item = u32>,
) -> JoinSet<Answered> {
    let mut asked = JoinSet::new();
    let submit = |number| {
        let batcher = batcher.clone();
        async move { (number, batcher.submit(number).await) }
    };
    asked.spawn(submit(0));
    desk.begun.acquire().await.expect("it is never closed").forget();
    for number in numbers {
        asked.spawn(submit(number));
        // it comes to its place in the queue before the next one asks
        tokio::task::yield_now().await;
    }
    asked
}

#[tokio::test]
async fn what_comes_while_a_batch_is_written_is_written_together_and_each_is_told_its_own() {
    let desk = Desk::new(0);
    let asked = wait_together(&desk, &desk.start(100), 20..=70).await;
    desk.permits.add_permits(2);
    for (number, answer) in asked.join_all().await {
        assert_eq!(answer.expect("it is written"), 2 * number);
    }
    assert_eq!(desk.written(), [vec![0], (20..=70).collect::<Vec<_>>()]);
}

#[tokio::test]
async fn the_one_at_fault_fails_alone() {
    let desk = Desk::new(0);
    let asked = wait_together(&desk, &desk.start(100), 10..=60).await;
    desk.permits.add_permits(100);
    for (number, answer) in asked.join_all().await {
        assert_eq!(answer.is_err(), number == 13, "{number}: {answer:?}");
    }
    let written: Vec<u32> = desk.written().into_iter().flatten().collect();
    assert_eq!(written, [0].into_iter().chain((10..=60).filter(|&number| number != 13)).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_outage_is_told_to_all_of_the_batch_and_tried_once() {
    let desk = Desk::new(0);
    let asked = wait_together(&desk, &desk.start(100), [5, 7, 9]).await;
    desk.permits.add_permits(2);
    for (number, answer) in asked.join_all().await {
        assert_eq!(answer.is_err(), number != 0, "{number}: {answer:?}");
    }
    assert_eq!(desk.written(), [vec![0]]);
}

#[tokio::test]
async fn who_finds_the_queue_full_is_refused_at_once() {
    let desk = Desk::new(0);
    let batcher = desk.start(3);
    let asked = wait_together(&desk, &batcher, 1..=3).await;
    assert!(matches!(batcher.submit(4).await, Err(Refused::Full)));
    desk.permits.add_permits(2);
    assert!(asked.join_all().await.iter().all(|(_, answer)| answer.is_ok()));
}

#[tokio::test]
async fn a_heavy_request_shares_a_batch_with_none_and_holds_its_place() {
    let desk = Desk::new(0);
    let asked = wait_together(&desk, &desk.start(100), [1, 2, 1000, 3]).await;
    desk.permits.add_permits(10);
    assert!(asked.join_all().await.iter().all(|(_, answer)| answer.is_ok()));
    assert_eq!(desk.written(), [vec![0], vec![1, 2], vec![1000], vec![3]]);
}

#[tokio::test]
async fn a_batch_takes_no_more_requests_than_it_may() {
    let desk = Desk::new(0);
    let asked = wait_together(&desk, &desk.start_sharing(100, 2), [1, 2, 3]).await;
    desk.permits.add_permits(10);
    assert!(asked.join_all().await.iter().all(|(_, answer)| answer.is_ok()));
    assert_eq!(desk.written(), [vec![0], vec![1, 2], vec![3]]);
}

#[tokio::test]
async fn where_none_shares_a_batch_none_waits_for_another() {
    let desk = Desk::new(0);
    let asked = wait_together(&desk, &desk.start_sharing(100, 1), [1, 13]).await;
    // all are begun before one is written
    let begun = desk.begun.acquire_many(2).await;
    begun.expect("it is never closed").forget();
    desk.permits.add_permits(3);
    for (number, answer) in asked.join_all().await {
        assert_eq!(answer.is_err(), number == 13, "{number}: {answer:?}");
    }
    assert!(desk.written().iter().all(|batch| batch.len() == 1));
}

#[tokio::test]
async fn a_caller_that_goes_away_before_its_turn_is_left_out() {
    let desk = Desk::new(0);
    let batcher = desk.start(100);
    let asked = wait_together(&desk, &batcher, [1]).await;
    let impatient = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.submit(2).await }
    });
    tokio::task::yield_now().await;
    impatient.abort();
    assert!(impatient.await.is_err());
    desk.permits.add_permits(10);
    assert!(asked.join_all().await.iter().all(|(_, answer)| answer.is_ok()));
    assert_eq!(desk.written(), [vec![0], vec![1]]);
}

#[tokio::test]
async fn a_panic_is_told_to_its_batch_and_the_next_one_is_written() {
    let desk = Desk::new(10);
    let batcher = desk.start(100);
    assert!(matches!(batcher.submit(99).await, Err(Refused::Lost)));
    assert_eq!(batcher.submit(1).await.expect("it is written"), 2);
}

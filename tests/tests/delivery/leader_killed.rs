//! The leader dies before its followers have what it has.

use std::time::Duration;

use futures::future::join_all;
use nix::sys::signal::Signal;
use rdkafka::producer::FutureProducer;
use testkit::{SOON, TestKafka, eventually};

use crate::{
    cluster::{BROKERS, Cluster, end, found, letters, producer, send},
    count::{self, Row},
};

const MOMENT: &str = "leader killed while its followers stand still";

/// So many letters while all is well, and as many in trouble.
const LETTERS: usize = 50;

/// Longer than a leader holds a follower's question back when it has nothing new (`replica.fetch.wait.max.ms`, 500 ms).
const NOTHING_IS_REPLICATED: Duration = Duration::from_secs(2);

/// A sender, and what it was told of its letters.
struct Sender {
    who: &'static str,
    kafka: TestKafka,
    producer: FutureProducer,
}

impl Sender {
    async fn new(cluster: &Cluster, who: &'static str, namespace: &str, settings: &[(&str, &str)]) -> Self {
        let kafka = cluster.namespace(namespace).await;
        Self { who, producer: producer(&kafka.bootstrap, settings), kafka }
    }

    /// Sends some letters. When it is awaited, tells how many were acknowledged, which must be all.
    fn send(&self, letters: &[String]) -> impl Future<Output = ()> + use<> {
        let acknowledged = join_all(letters.iter().map(|letter| send(&self.producer, &self.kafka, letter)));
        async move { assert!(acknowledged.await.into_iter().all(|is_acknowledged| is_acknowledged)) }
    }

    /// All letters were acknowledged; what of them is found?
    async fn row(&self, letters: &[String]) -> Row {
        let found = found(&self.kafka, "read_committed").await;
        count::sent(self.who, MOMENT, letters.len(), letters, &found)
    }
}

pub async fn play(cluster: &mut Cluster) -> Vec<Row> {
    let none = Sender::new(cluster, "`acks=0`", "acks-none", &[("acks", "0")]).await;
    let one = Sender::new(cluster, "`acks=1`", "acks-one", &[("acks", "1")]).await;
    let all = Sender::new(cluster, "`acks=all`", "acks-all", &[("acks", "all"), ("enable.idempotence", "true")]).await;
    let probe = cluster.namespace("probe").await;
    let probing = producer(&probe.bootstrap, &[("message.timeout.ms", &NOTHING_IS_REPLICATED.as_millis().to_string())]);
    assert!(send(&probing, &probe, "all is well").await);

    let letters = letters(2 * LETTERS);
    let (while_well, in_trouble) = letters.split_at(LETTERS);
    for sender in [&none, &one, &all] {
        sender.send(while_well).await;
        eventually(SOON, "every replica has the letters", async || end(&sender.kafka).await == Some(50)).await;
    }

    cluster.signal_followers(Signal::SIGSTOP);
    // also brings back what the followers had asked before they were stopped
    assert!(!send(&probing, &probe, "nobody else has this").await, "a follower still has what the leader has");
    let mut undecided = Box::pin(all.send(in_trouble));
    none.send(in_trouble).await;
    one.send(in_trouble).await;
    assert!(futures::poll!(&mut undecided).is_pending(), "acks=all acknowledges nothing that only the leader has");
    cluster.kill_leader().await;
    cluster.signal_followers(Signal::SIGCONT);

    // its producer sends to the next leader what the former one has not acknowledged
    tokio::time::timeout(BROKERS, undecided).await.expect("there is a new leader");
    vec![none.row(&letters).await, one.row(&letters).await, all.row(&letters).await]
}

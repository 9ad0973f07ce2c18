//! The broker has the letter, and its answer is lost.

use crate::{
    cluster::{Cluster, found, letters, producer, send},
    count::{self, Row},
    proxy::Proxy,
};

const MOMENT: &str = "the answer to one letter is lost, the producer sends it again";

/// So many letters, one after another.
const LETTERS: usize = 10;

pub async fn play(cluster: &Cluster) -> Vec<Row> {
    let (plain, idempotent) = tokio::join!(
        send_all(cluster, "`acks=all`, not idempotent", "plain", "false"),
        send_all(cluster, "`acks=all`, idempotent", "idempotent", "true")
    );
    vec![plain, idempotent]
}

async fn send_all(cluster: &Cluster, who: &'static str, namespace: &str, is_idempotent: &str) -> Row {
    let kafka = cluster.namespace(namespace).await;
    let proxy = Proxy::start(&kafka.bootstrap).await;
    let producer = producer(proxy.bootstrap(), &[("acks", "all"), ("enable.idempotence", is_idempotent)]);
    let (letters, mut acknowledged) = (letters(LETTERS), Vec::new());
    for (index, letter) in letters.iter().enumerate() {
        if index == LETTERS / 2 {
            proxy.swallow_next_answer();
        }
        if send(&producer, &kafka, letter).await {
            acknowledged.push(letter.clone());
        }
    }
    assert!(proxy.has_swallowed(), "the answer came through");
    count::sent(who, MOMENT, letters.len(), &acknowledged, &found(&kafka, "read_committed").await)
}

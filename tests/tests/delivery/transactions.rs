//! A producer with transactions dies before the commit, and is started again.

use crate::{
    cluster::{Cluster, found, letters},
    count::{self, Row},
    member,
};

const MOMENT: &str = "killed before the commit, then started again";

/// Letters of a transaction: as many as the process writes.
const LETTERS: usize = 10;

pub async fn play(cluster: &Cluster) -> Vec<Row> {
    let kafka = cluster.namespace("transactional").await;
    // it has no use for a database
    let nowhere = "postgres://nobody@127.0.0.1:1/nothing";
    member::kill_at("between", "transactional", &kafka, nowhere).await;
    assert!(found(&kafka, "read_committed").await.is_empty(), "nothing was committed");
    assert_eq!(found(&kafka, "read_uncommitted").await.len(), LETTERS, "all was written");
    member::run("transactional", &kafka, nowhere).await;
    let committed = letters(LETTERS);
    let row = async |who, isolation| count::sent(who, MOMENT, 2 * LETTERS, &committed, &found(&kafka, isolation).await);
    vec![
        row("transactional, read with `read_committed`", "read_committed").await,
        row("transactional, read with `read_uncommitted`", "read_uncommitted").await,
    ]
}

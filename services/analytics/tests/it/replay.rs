//! `analytics replay`: the program, as an operator runs it.

use std::process::{Output, Stdio};

use serde_json::Value;
use testkit::{SOON, TestKafka, eventually};
use tokio::process::Command;

use crate::{desk::Desk, post::Post, rebuild::all_rows, stories};

const DAMAGE: &str =
    "DELETE FROM timeline WHERE sequence = 1; UPDATE sales_minute SET orders = 999; DELETE FROM product_minute";

/// The program, to be started.
pub fn replay(desk: &Desk, kafka: &TestKafka, arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_analytics"));
    program
        .arg("replay")
        .args(arguments)
        .env("DATABASE_URL", &desk.database.owner_url)
        .env("KAFKA_BOOTSTRAP_SERVERS", &kafka.bootstrap)
        .env("KAFKA_NAMESPACE", &kafka.namespace)
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    program
}

#[track_caller]
pub fn ended_with(output: &Output, code: i32, words: &str) {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_figures_are_the_truth_again() {
    let (post, stories) = (Post::open().await, stories::generate(400));
    let desk = Desk::open(&post).await;
    post.send(&stories.three_times_and_mixed()).await;
    desk.has_read(&post).await;
    let truth = all_rows(&desk).await;
    sqlx::raw_sql(DAMAGE).execute(&desk.database.owner).await.unwrap();

    let output =
        replay(&desk, &post.kafka, &["analytics.count", "--from", "beginning", "--json"]).output().await.unwrap();
    ended_with(&output, 0, "\"step\":\"done\"");
    let said = String::from_utf8_lossy(&output.stdout);
    let done: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(done["letters"], post.sent());
    println!("{done}");
    assert_eq!(all_rows(&desk).await, truth);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_has_changed_nothing_and_the_next_leaves_nothing_behind() {
    let (post, stories) = (Post::open().await, stories::generate(50));
    let desk = Desk::open(&post).await;
    post.send(&stories.three_times_and_mixed()).await;
    desk.has_read(&post).await;
    let truth = all_rows(&desk).await;
    sqlx::raw_sql(DAMAGE).execute(&desk.database.owner).await.unwrap();
    let damaged = all_rows(&desk).await;

    // who reads for long keeps the tables from being swapped
    let mut reader = desk.database.owner.begin().await.unwrap();
    sqlx::query("LOCK TABLE timeline IN ACCESS SHARE MODE").execute(&mut *reader).await.unwrap();
    let arguments = ["analytics.count", "--from", "beginning"];
    let mut killed = replay(&desk, &post.kafka, &arguments).spawn().unwrap();
    eventually(SOON, "the new generation waits for the swap", async || {
        let waiting = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted
                       AND relation = 'public.timeline'::regclass";
        desk.number(waiting).await == 1
    })
    .await;
    killed.kill().await.unwrap();
    reader.rollback().await.unwrap();
    assert_eq!(all_rows(&desk).await, damaged);

    let output = eventually_done(&desk, &post.kafka, &arguments).await;
    ended_with(&output, 0, "done: ");
    assert_eq!(all_rows(&desk).await, truth);
    assert_eq!(desk.number("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%replay%'").await, 0);
}

/// Replays once Postgres has noticed that the one before is dead.
async fn eventually_done(desk: &Desk, kafka: &TestKafka, arguments: &[&str]) -> Output {
    testkit::eventually_some(SOON, "the dead one's lock is free", async || {
        let output = replay(desk, kafka, arguments).output().await.unwrap();
        (output.status.code() != Some(75)).then_some(output)
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_replayed_is_refused_with_the_exit_code_that_says_why() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let run = async |arguments: &[&str]| replay(&desk, &post.kafka, arguments).output().await.unwrap();
    let unknown = run(&["analytics.cuont", "--from", "beginning"]).await;
    ended_with(&unknown, 64, "analytics has no consumer group analytics.cuont; it has: analytics.count");
    let bounded = run(&["analytics.count", "--from", "beginning", "--to", "2026-11-21T09:00:00Z"]).await;
    ended_with(&bounded, 64, "--to: analytics.count is a projection");
    ended_with(&run(&["analytics.count", "--from", "yesterday"]).await, 64, "--from yesterday");
    let nowhere = TestKafka { bootstrap: "127.0.0.1:1".to_owned(), namespace: String::new() };
    let away = replay(&desk, &nowhere, &["analytics.count", "--from", "beginning"]).output().await.unwrap();
    ended_with(&away, 69, "KAFKA_BOOTSTRAP_SERVERS");
}

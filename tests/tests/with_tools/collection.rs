//! The collection `docs/postbox.http` works: each of its requests is sent, from the top to the bottom, and does what it is there for.

use std::{collections::BTreeSet, env, process::Stdio, time::Duration};

use journeys::{platform::Platform, repository};
use serde_json::Value;
use tokio::{process::Command, time::timeout};

/// Longer than all requests take, one after the other.
const ALL_SENT: Duration = Duration::from_mins(2);

/// Where the collection says that the gateway is.
const ON_THE_PAGE: &str = "http://127.0.0.1:8080";

fn collection() -> String {
    repository::text(&repository::root().join("docs/postbox.http"))
}

/// The names of the collection's requests, in its order.
fn names(collection: &str) -> Vec<&str> {
    collection.lines().filter_map(|line| line.strip_prefix("### ")).collect()
}

#[test]
fn no_two_requests_of_the_collection_have_one_name() {
    let collection = collection();
    let names = names(&collection);
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

#[tokio::test]
async fn every_request_of_the_collection_is_answered_with_success_on_a_platform_that_nobody_has_used() {
    let httpyac = env::var("HTTPYAC").expect("HTTPYAC names the program: make pages-check");
    let platform = Platform::start().await;
    let collection = collection();
    // it takes no path that leads out of where it is
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let sent = collection.replace(ON_THE_PAGE, platform.url("gateway"));
    std::fs::write(folder.path().join("postbox.http"), sent).expect("it can be written");
    let mut sending = Command::new(httpyac);
    sending.current_dir(folder.path()).args(["send", "postbox.http", "--all", "--json", "--no-color"]);
    let sent = timeout(ALL_SENT, sending.stdin(Stdio::null()).kill_on_drop(true).output());
    let sent = sent.await.expect("it takes too long").expect("httpyac runs");
    let said = String::from_utf8_lossy(&sent.stdout).into_owned();
    let report: Value = serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("{error}: {said}{}", String::from_utf8_lossy(&sent.stderr)));
    let told: Vec<(String, u64)> = report["requests"]
        .as_array()
        .expect("it tells of its requests")
        .iter()
        .map(|request| (request["name"].to_string(), request["response"]["statusCode"].as_u64().unwrap_or(0)))
        .collect();
    assert_eq!(told.len(), names(&collection).len(), "some were not sent: {told:?}");
    let wrong: Vec<_> = told.iter().filter(|(_, status)| !(200..300).contains(status)).collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{report:#}");
}

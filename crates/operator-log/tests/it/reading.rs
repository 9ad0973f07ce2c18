//! What operators are told of the log.

use axum::Router;
use operator_log::Operator;
use serde_json::Value;
use testkit::ask;

use crate::world::{World, resize_in_tx, somebody};

/// The items of a page, and the cursor of the next.
async fn page(routes: &Router, path: &str) -> (Vec<Value>, Option<String>) {
    let (status, page) = ask(routes, "GET", path).await;
    assert_eq!(status, 200, "{page}");
    (page["items"].as_array().unwrap().clone(), page["next_cursor"].as_str().map(str::to_owned))
}

/// The objects of all pages that begin here.
async fn objects(routes: &Router, query: &str) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (items, next) = page(routes, &format!("/operator-log?limit=2{query}{cursor}")).await;
        seen.extend(items.iter().map(|item| item["object"].as_str().unwrap().to_owned()));
        let Some(next) = next else { return seen };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn an_entry_is_told_whole() {
    let world = World::new().await;
    let operator = somebody();
    let mut tx = world.database.app.begin().await.unwrap();
    resize_in_tx(&mut tx, operator, 2).await;
    let routes = operator_log::admin::routes(world.database.app.clone());
    assert_eq!(page(&routes, "/operator-log").await, (vec![], None), "not committed");
    tx.commit().await.unwrap();
    let (items, _) = page(&routes, "/operator-log").await;
    assert_eq!(items.len(), 1);
    let entry = &items[0];
    assert_eq!((&entry["operator"], &entry["action"]), (&operator.to_string().into(), &"resize".into()));
    assert_eq!((&entry["object"], &entry["trace_id"]), (&"thing/the-one".into(), &Value::Null));
    assert_eq!(entry["detail"]["size"]["after"], 2);
    let at = entry["at"].as_str().unwrap();
    assert!(at.len() == "2026-11-21T09:00:00.000001Z".len() && at.ends_with('Z'), "{at}");
}

#[tokio::test]
async fn pages_tell_each_entry_once_the_newest_first() {
    let world = World::new().await;
    let (ann, bob) = (somebody(), somebody());
    world.note(&[ann, bob, ann, Operator::Ops, Operator::CommandLine, ann]).await;
    let routes = operator_log::admin::routes(world.database.app.clone());
    let thing = |numbers: &[usize]| numbers.iter().map(|number| format!("thing/{number}")).collect::<Vec<_>>();
    assert_eq!(objects(&routes, "").await, thing(&[5, 4, 3, 2, 1, 0]));
    assert_eq!(objects(&routes, &format!("&operator={ann}")).await, thing(&[5, 2, 0]));
    assert_eq!(objects(&routes, "&operator=command+line").await, thing(&[4]));
    assert_eq!(objects(&routes, "&operator=unnamed").await, thing(&[]));

    let (items, _) = page(&routes, "/operator-log").await;
    let since = items[3]["at"].as_str().unwrap();
    assert_eq!(objects(&routes, &format!("&since={since}")).await, thing(&[5, 4, 3, 2]));
    assert_eq!(objects(&routes, &format!("&since={since}&operator={ann}")).await, thing(&[5, 2]));
}

#[tokio::test]
async fn entries_of_one_moment_are_told_once_too() {
    let world = World::new().await;
    world.note(&[Operator::Ops; 5]).await;
    sqlx::query("UPDATE operator_log SET done_at = '2026-11-21T09:00:00Z'")
        .execute(&world.database.owner)
        .await
        .unwrap();
    let routes = operator_log::admin::routes(world.database.app.clone());
    assert_eq!(objects(&routes, "").await, ["thing/4", "thing/3", "thing/2", "thing/1", "thing/0"]);
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused() {
    let world = World::new().await;
    let routes = operator_log::admin::routes(world.database.app.clone());
    for wrong in ["since=yesterday", "limit=0", "limit=101", "cursor=x"] {
        let (status, said) = ask(&routes, "GET", &format!("/operator-log?{wrong}")).await;
        assert_eq!(status, 400, "{wrong}: {said}");
    }
}

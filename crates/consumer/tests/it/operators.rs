//! What operators see of dead letters, and do about them.

use axum::Router;
use consumer::{EventHandler, HandlerError, Kind};
use contracts::{event::Event, topics::ORDERS};
use service_runtime::config::KafkaConfig;
use sqlx::PgConnection;
use testkit::{SOON, ask, eventually, eventually_some};

use crate::{
    recorder::{Mood, Moods, record},
    world::{GROUP, Member, World, letter},
};

/// The routes of a process that serves from this world.
pub fn routes(world: &World) -> Router {
    consumer::admin::routes(world.pool().clone(), &brokers(world))
}

/// What tells a service where Kafka is.
pub fn brokers(world: &World) -> KafkaConfig {
    KafkaConfig {
        kafka_bootstrap_servers: world.kafka.bootstrap.clone(),
        kafka_namespace: world.kafka.namespace.clone(),
    }
}

/// Waits until so many letters are dead, and gives them as they are listed.
async fn listed(routes: &Router, letters: usize) -> Vec<serde_json::Value> {
    eventually_some(SOON, "the letters are dead", async || {
        let (status, list) = ask(routes, "GET", "/dead-letters").await;
        assert_eq!(status, 200, "{list}");
        list["items"].as_array().filter(|items| items.len() == letters).cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_told_with_all_that_is_known_of_it() {
    let world = World::new(3).await;
    let moods = Moods::default();
    moods.set("bad", Mood::RejectFirst);
    let member = world.start_recorder(&moods);
    let events = world.send_many(&["bad", "good"], 4).await;
    world.passed(events.len()).await;
    let routes = routes(&world);

    let dead = listed(&routes, 1).await.remove(0);
    let partition: i32 =
        sqlx::query_scalar("SELECT DISTINCT partition FROM consumer_parked").fetch_one(world.pool()).await.unwrap();
    assert_eq!(dead["group"], GROUP);
    assert_eq!(dead["topic"], ORDERS.name());
    assert_eq!((&dead["partition"], &dead["offset"]), (&partition.into(), &0.into()));
    assert_eq!((&dead["key"], &dead["error"]), (&"bad".into(), &"bad is no good".into()));
    assert_eq!((&dead["retry_count"], &dead["waiting_behind"]), (&5.into(), &3.into()));

    let (status, whole) = ask(&routes, "GET", &format!("/dead-letters/{}", dead["id"])).await;
    assert_eq!(status, 200, "{whole}");
    for (field, value) in dead.as_object().unwrap() {
        assert_eq!(&whole[field], value, "{field}");
    }
    assert_eq!(whole["payload"], "AQID");
    assert_eq!(whole["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(whole["state"], "dead");
    assert!(whole["parked_at"].as_str().unwrap().ends_with('Z'), "{whole}");
    let headers = whole["headers"].as_array().unwrap();
    let id = headers.iter().find(|header| header["name"] == "ce_id").unwrap();
    assert_eq!(id["value"], events[0].id.to_string());
    member.stop().await;
}

/// Writes its effects down under another name: a second group in the same database.
struct Other(Moods);

impl EventHandler for Other {
    const GROUP: &'static str = "test.other";
    const KIND: Kind = Kind::Effect;

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        if self.0.of(&event.subject).is_some() {
            return Err(HandlerError::reject("not with us"));
        }
        let mut event = event.clone();
        event.subject = format!("other {}", event.subject);
        Ok(record(conn, &event).await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redrive_does_a_key_in_order_and_for_one_group_alone() {
    let world = World::new(2).await;
    let (moods, others) = (Moods::default(), Moods::default());
    moods.set("bad", Mood::RejectFirst);
    others.set("bad", Mood::Reject);
    let member = world.start_recorder(&moods);
    let other = Member::start(world.service(world.config()).on(ORDERS, Other(others.clone())));
    world.send_many(&["bad"], 5).await;
    let routes = routes(&world);
    let dead = listed(&routes, 2).await;
    world.passed(2 * 5).await;
    moods.accept("bad");
    others.accept("bad");

    let ours = dead.iter().find(|letter| letter["group"] == GROUP).unwrap();
    let (status, redriven) = ask(&routes, "POST", &format!("/dead-letters/{}/redrive", ours["id"])).await;
    assert_eq!((status, &redriven["id"]), (200, &ours["id"]), "{redriven}");
    eventually(SOON, "the key is free", async || world.effects_of("bad").await == [1, 2, 3, 4, 5]).await;
    assert_eq!(world.effects_of("other bad").await, [0; 0]);
    let left = listed(&routes, 1).await.remove(0);
    assert_eq!((&left["group"], &left["waiting_behind"]), (&"test.other".into(), &4.into()));

    let (status, _) = ask(&routes, "POST", &format!("/dead-letters/{}/discard", left["id"])).await;
    assert_eq!(status, 200);
    eventually(SOON, "those behind it go on", async || world.effects_of("other bad").await == [2, 3, 4, 5]).await;
    listed(&routes, 0).await;
    member.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_about_a_dead_letter_is_noted_once_and_tells_which_it_was() {
    let world = World::new(1).await;
    let moods = Moods::default();
    for key in ["one", "two"] {
        moods.set(key, Mood::Reject);
        world.send(&letter(key, 1)).await;
    }
    let member = world.start_recorder(&moods);
    let routes = routes(&world);
    let dead = listed(&routes, 2).await;
    assert_eq!(world.noted().await, [], "that it died is nobody's doing, and to look at it no action");
    moods.accept("one");
    for (letter, action) in dead.iter().zip(["redrive", "discard"]) {
        let path = format!("/dead-letters/{}/{action}", letter["id"]);
        let (first, second) = tokio::join!(ask(&routes, "POST", &path), ask(&routes, "POST", &path));
        assert!(first.0 == 200 || second.0 == 200, "{first:?} {second:?}");
        assert_eq!(u8::from(first.0 == 200) + u8::from(second.0 == 200), 1, "{first:?} {second:?}");
    }
    let noted: Vec<_> = dead
        .iter()
        .zip(["redrive", "discard"])
        .map(|(letter, action)| {
            let detail = serde_json::json!({
                "group": GROUP,
                "topic": ORDERS.name(),
                "partition": letter["partition"],
                "offset": letter["offset"],
                "key": letter["key"],
            });
            ("ops".to_owned(), action.to_owned(), format!("dead-letter/{}", letter["id"]), detail)
        })
        .collect();
    assert_eq!(world.noted().await, noted);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_cannot_be_noted_is_not_made() {
    let world = World::new(1).await;
    let moods = Moods::default();
    moods.set("bad", Mood::Reject);
    world.send(&letter("bad", 1)).await;
    let member = world.start_recorder(&moods);
    let routes = routes(&world);
    let id = listed(&routes, 1).await[0]["id"].clone();
    sqlx::raw_sql("ALTER TABLE operator_log ADD CHECK (action NOT IN ('redrive', 'discard'))")
        .execute(&world.database.owner)
        .await
        .unwrap();
    for action in ["redrive", "discard"] {
        let (status, said) = ask(&routes, "POST", &format!("/dead-letters/{id}/{action}")).await;
        assert_eq!(status, 503, "{said}");
    }
    assert_eq!(listed(&routes, 1).await[0]["id"], id);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_dead_is_refused_in_one_line() {
    let world = World::new(1).await;
    let moods = Moods::default();
    moods.set("bad", Mood::RejectFirst);
    let member = world.start_recorder(&moods);
    world.send_many(&["bad"], 2).await;
    let routes = routes(&world);
    let first = listed(&routes, 1).await.remove(0)["id"].as_i64().unwrap();
    world.passed(2).await;
    let behind = first + 1;
    for (method, path, expected) in [
        ("GET", "/dead-letters/999999".to_owned(), 404),
        ("POST", "/dead-letters/999999/redrive".to_owned(), 404),
        ("POST", "/dead-letters/999999/discard".to_owned(), 404),
        ("POST", format!("/dead-letters/{behind}/redrive"), 409),
        ("POST", format!("/dead-letters/{behind}/discard"), 409),
        ("GET", "/dead-letters/twelve".to_owned(), 400),
        ("GET", "/dead-letters?limit=0".to_owned(), 400),
        ("GET", "/dead-letters?limit=101".to_owned(), 400),
        ("GET", "/dead-letters?cursor=x".to_owned(), 400),
    ] {
        let (status, said) = ask(&routes, method, &path).await;
        assert_eq!(status, expected, "{method} {path}: {said}");
        assert_eq!(said.as_str().unwrap().lines().count(), 1, "{said}");
    }
    assert_eq!(world.parked().await.len(), 2, "nothing was changed");
    assert_eq!(world.noted().await, []);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_page_by_page() {
    let world = World::new(3).await;
    let moods = Moods::default();
    let keys = ["a", "b", "c", "d", "e"];
    for key in keys {
        moods.set(key, Mood::Reject);
        world.send(&letter(key, 1)).await;
    }
    let member = world.start_recorder(&moods);
    let routes = routes(&world);
    let all: Vec<_> = listed(&routes, 5).await.into_iter().map(|letter| letter["id"].clone()).collect();
    let mut seen = Vec::new();
    let mut path = "/dead-letters?limit=2".to_owned();
    loop {
        let (_, page) = ask(&routes, "GET", &path).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|letter| letter["id"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/dead-letters?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, all);
    member.stop().await;
}

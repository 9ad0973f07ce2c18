//! Letters that come more than once.

use consumer::{EventHandler, HandlerError, INBOX_KEPT_DAYS, Kind, first_time_in_tx};
use contracts::{event::Event, topics::ORDERS};
use sqlx::PgConnection;
use testkit::{SOON, eventually};

use crate::{
    recorder::{Moods, record},
    world::{Member, World, letter},
};

struct WithNaturalKey;

impl EventHandler for WithNaturalKey {
    const GROUP: &'static str = "test.natural-key";
    const KIND: Kind = Kind::Effect;

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        sqlx::query("INSERT INTO shipment (order_id) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(&event.subject)
            .execute(conn)
            .await?;
        Ok(())
    }
}

struct WithInbox;

impl EventHandler for WithInbox {
    const GROUP: &'static str = "test.inbox";
    const KIND: Kind = Kind::Effect;

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        if first_time_in_tx(conn, Self::GROUP, event.id).await? {
            record(conn, event).await?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_sent_three_times_has_one_effect_by_its_natural_key_and_by_the_inbox() {
    let world = World::new(3).await;
    sqlx::query("CREATE TABLE shipment (order_id text PRIMARY KEY)").execute(&world.database.owner).await.unwrap();
    let events: Vec<Event> = (1..=30).map(|order| letter(&format!("order-{order}"), 1)).collect();
    for _ in 0..3 {
        for event in &events {
            world.send(event).await;
        }
    }
    let service = world.service(world.config()).on(ORDERS, WithNaturalKey).on(ORDERS, WithInbox);
    let member = Member::start(service);
    // both groups
    world.passed(2 * 3 * events.len()).await;
    world.each_once_in_order(&events).await;
    assert_eq!(world.number("SELECT count(*) FROM shipment").await, 30);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inbox_rows_are_kept_for_as_long_as_their_letters_can_come_again() {
    let world = World::new(1).await;
    sqlx::query(
        r#"INSERT INTO consumer_inbox ("group", event_id, received_at)
           SELECT 'test', gen_random_uuid(), now() - make_interval(days => $1, mins => minutes)
           FROM generate_series(-20, 12000) AS minutes"#,
    )
    .bind(INBOX_KEPT_DAYS)
    .execute(&world.database.owner)
    .await
    .unwrap();
    let member = world.start_recorder(&Moods::default());
    let rows = async || world.number("SELECT count(*) FROM consumer_inbox").await;
    eventually(SOON, "the old rows are gone", async || rows().await <= 20).await;
    assert!(rows().await > 10, "the others are still there");
    member.stop().await;
}

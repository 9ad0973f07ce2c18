//! Questions that are taken together are asked and answered together, and none is in the way of another.

use std::{sync::Arc, time::Duration};

use contracts::{
    accounts::v1::accounts_service_client::AccountsServiceClient,
    ids::{AccountId, OrderId},
};
use futures::FutureExt;
use outbox::Waker;
use service_runtime::{LookBack, Shutdown};
use shipping::{
    Deps,
    questions::{Asker, Question},
};
use sqlx::Row;
use testkit::{SOON, TestDatabase, TestKafka, eventually};

use crate::accounts::{Accounts, home};

/// Shipping's questions without the rest of it.
struct Office {
    database: TestDatabase,
    accounts: Accounts,
    asker: Asker,
    _kafka: TestKafka,
}

impl Office {
    async fn open() -> Self {
        let database = testkit::database("shipping", &shipping::MIGRATORS).await;
        let kafka = testkit::kafka();
        let accounts = Accounts::open(&kafka).await;
        let asker = Asker::start(Deps {
            pool: database.app.clone(),
            accounts: AccountsServiceClient::new(rpc::channel(&format!("http://{}", accounts.address)).unwrap()),
            relay: Waker::default(),
            new_questions: Arc::default(),
            dispatch_after: Duration::from_hours(1),
            shutdown: Shutdown::new(),
        });
        Self { database, accounts, asker, _kafka: kafka }
    }

    /// Notes the questions of so many orders of a customer, each with a trace of its own.
    async fn note(&self, customer: AccountId, orders: usize) -> Vec<OrderId> {
        let orders: Vec<OrderId> = (0..orders).map(|_| OrderId::new()).collect();
        for &order in &orders {
            sqlx::query("INSERT INTO address_question (order_id, customer_id, traceparent) VALUES ($1, $2, $3)")
                .bind(order.as_uuid())
                .bind(customer.as_uuid())
                .bind(trace(order))
                .execute(&self.database.owner)
                .await
                .unwrap();
        }
        orders
    }

    /// A list of so many questions.
    async fn claim(&self, expected: usize) -> Vec<Question> {
        let [claimed] = self.asker.claim(1, LookBack::WHOLE).await.unwrap().try_into().expect("there is one list");
        assert_eq!(claimed.len(), expected);
        claimed
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.owner).await.unwrap()
    }

    /// The orders whose parcel has this status.
    async fn with(&self, status: &str) -> Vec<OrderId> {
        let rows = sqlx::query("SELECT order_id FROM shipment WHERE status = $1 ORDER BY order_id").bind(status);
        let rows = rows.fetch_all(&self.database.owner).await.unwrap();
        rows.into_iter().map(|row| OrderId::from(row.get::<uuid::Uuid, _>(0))).collect()
    }
}

fn trace(order: OrderId) -> String {
    format!("00-{}-b7ad6b7169203331-01", order.as_uuid().simple())
}

fn sorted(orders: impl IntoIterator<Item = OrderId>) -> Vec<OrderId> {
    let mut orders: Vec<OrderId> = orders.into_iter().collect();
    orders.sort();
    orders
}

#[tokio::test]
async fn customers_are_asked_for_in_one_call_and_the_parcels_are_prepared_in_one_transaction_each_in_its_own_trace() {
    let office = Office::open().await;
    let (ada, eve) = (office.accounts.register(Some(home())).await, office.accounts.register(Some(home())).await);
    let orders = [office.note(ada, 12).await, office.note(eve, 3).await].concat();
    let claimed = office.claim(15).await;
    office.asker.attempt(claimed).await;
    assert_eq!(office.with("PREPARING").await, sorted(orders.iter().copied()));
    assert_eq!(office.accounts.calls("GetAddresses").await, 1);
    // the first to be answered begins, and the others wait for it
    let transactions = office.count("SELECT count(DISTINCT created_at) FROM shipment").await;
    assert!(transactions <= 2, "{transactions}");
    assert_eq!(office.count("SELECT count(*) FROM address_question").await, 0);
    let letters: Vec<(String, String, String)> =
        sqlx::query_as("SELECT key, event_type, traceparent FROM outbox ORDER BY key")
            .fetch_all(&office.database.owner)
            .await
            .unwrap();
    let told = |order: OrderId| (order.to_string(), "shipment.created".to_owned(), trace(order));
    assert_eq!(letters, sorted(orders).into_iter().map(told).collect::<Vec<_>>());
    // what is taken later is asked anew
    office.note(ada, 1).await;
    let claimed = office.claim(1).await;
    office.asker.attempt(claimed).await;
    assert_eq!(office.accounts.calls("GetAddresses").await, 2);
}

#[tokio::test]
async fn a_parcel_that_cannot_be_written_holds_up_no_other() {
    let office = Office::open().await;
    let ada = office.accounts.register(Some(home())).await;
    let orders = office.note(ada, 9).await;
    let refused = orders[4];
    // a rule that this order alone breaks
    let rule = format!("ALTER TABLE shipment ADD CONSTRAINT refused CHECK (order_id <> '{}')", refused.as_uuid());
    sqlx::query(sqlx::AssertSqlSafe(rule)).execute(&office.database.owner).await.unwrap();
    let claimed = office.claim(9).await;
    office.asker.attempt(claimed).await;
    let others = orders.iter().copied().filter(|&order| order != refused);
    assert_eq!(office.with("PREPARING").await, sorted(others));
    let waits = "SELECT count(*) FROM address_question WHERE attempt_at <= now() + interval '5 s'";
    assert_eq!(office.count(waits).await, 1, "asked again after a pause, not at the end of the lease");
}

#[tokio::test]
async fn a_question_that_somebody_has_is_waited_for_alone() {
    let office = Office::open().await;
    let ada = office.accounts.register(Some(home())).await;
    let orders = office.note(ada, 5).await;
    let claimed = office.claim(5).await;
    let mut somebody = office.database.owner.begin().await.unwrap();
    let had = sqlx::query("SELECT FROM address_question WHERE order_id = $1 FOR UPDATE").bind(orders[2].as_uuid());
    had.execute(&mut *somebody).await.unwrap();
    let attempts = office.asker.attempt(claimed).shared();
    let others = sorted(orders.iter().copied().filter(|&order| order != orders[2]));
    let prepared = eventually(SOON, "the others are prepared", async || office.with("PREPARING").await == others);
    tokio::select! {
        () = attempts.clone() => panic!("one of them waits"),
        () = prepared => {}
    }
    somebody.rollback().await.unwrap();
    attempts.await;
    assert_eq!(office.with("PREPARING").await, sorted(orders));
}

#[tokio::test]
async fn parcels_that_wait_or_were_stopped_take_part_like_new_ones() {
    let office = Office::open().await;
    let ada = office.accounts.register(Some(home())).await;
    let orders = office.note(ada, 4).await;
    for (order, status) in [(orders[0], "AWAITING_ADDRESS"), (orders[1], "CANCELLED")] {
        sqlx::query("INSERT INTO shipment (order_id, shipment_id, status) VALUES ($1, $1, $2)")
            .bind(order.as_uuid())
            .bind(status)
            .execute(&office.database.owner)
            .await
            .unwrap();
    }
    let claimed = office.claim(4).await;
    office.asker.attempt(claimed).await;
    assert_eq!(office.with("PREPARING").await, sorted([orders[0], orders[2], orders[3]]));
    assert_eq!(office.with("CANCELLED").await, [orders[1]]);
    assert_eq!(office.count("SELECT count(*) FROM address_question").await, 0);
    assert_eq!(office.count("SELECT count(*) FROM outbox WHERE event_type = 'shipment.created'").await, 2);
    let prepared = "SELECT traceparent FROM outbox WHERE event_type = 'shipment.prepared'";
    let prepared: String = sqlx::query_scalar(prepared).fetch_one(&office.database.owner).await.unwrap();
    assert_eq!(prepared, trace(orders[0]));
}

#[tokio::test]
async fn questions_without_an_answer_are_asked_again_after_a_pause_unless_a_letter_has_renewed_them() {
    let mut office = Office::open().await;
    let ada = office.accounts.register(Some(home())).await;
    let orders = office.note(ada, 3).await;
    let claimed = office.claim(3).await;
    office.accounts.kill();
    let renewed = "UPDATE address_question SET attempt_at = now(), attempts = 0, version = version + 1
                   WHERE order_id = $1";
    sqlx::query(renewed).bind(orders[0].as_uuid()).execute(&office.database.owner).await.unwrap();
    office.asker.attempt(claimed).await;
    assert_eq!(
        office.count("SELECT count(*) FROM address_question WHERE attempt_at <= now()").await,
        1,
        "the letter's"
    );
    let paused = "SELECT count(*) FROM address_question
                  WHERE attempt_at > now() - interval '2 s' AND attempt_at < now() + interval '2 s'";
    assert_eq!(office.count(paused).await, 3, "no lease of 10 s is left");
}

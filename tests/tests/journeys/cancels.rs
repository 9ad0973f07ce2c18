//! Cancelling: the parcel is stopped first, then the money goes back, then the stock; each once, whatever it races with.

use contracts::{event::Payload, events::v1 as payloads, topics};
use journeys::{
    customer::{Answer, Customer, new_key},
    letters,
    locks::Lock,
    network,
    platform::Platform,
};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{SOON, eventually};

/// Recovery takes an order up 5 s after its cancel.
const RECOVERED: std::time::Duration = std::time::Duration::from_secs(40);

#[tokio::test]
async fn a_completed_order_is_cancelled_whole_and_its_key_is_answered_the_same_again() {
    let shop = Shop::open().await;
    let id = shop.completed().await;
    let key = new_key();

    let cancelled = shop.customer.cancel(&key, &id).await.expect(200);

    let order = cancelled.json();
    assert_eq!((&order["status"], &order["reason"]), (&json!("CANCELLED"), &json!("CUSTOMER_REQUEST")));
    assert_eq!(order["payment"]["status"], "REFUNDED");
    assert_eq!(order["shipment"]["status"], "CANCELLED");
    shop.is_undone(&id).await;

    let again = shop.customer.cancel(&key, &id).await;
    assert_eq!((again.status.as_u16(), &again.bytes, again.is_replayed), (200, &cancelled.bytes, true));
    // another key finds the order as it is
    assert_eq!(shop.customer.cancel(&new_key(), &id).await.expect(200).json()["status"], "CANCELLED");
    let told = letters::of(&shop.platform.kafka, topics::ORDERS, &id).await;
    assert_eq!(told.iter().filter(|letter| letter.event_type == payloads::OrderCancelled::TYPE).count(), 1);
}

#[tokio::test]
async fn an_order_that_is_not_decided_yet_is_cancelled_and_never_charged() {
    let mut shop = Shop::open().await;
    // by letter: its charge is still to come
    shop.platform.stop("payment").await;
    let letter = shop.customer.order_by_letter(&new_key(), "mug", 1, "tok_visa").await.expect(202).order_id();
    let cancelling = shop.customer.cancel(&new_key(), &letter).await.expect(202);
    assert_eq!(cancelling.json()["status"], "CANCELLING");
    shop.platform.start_again("payment").await;
    let order = shop.ends(&letter, "CANCELLED").await;
    assert_eq!(order["payment"]["status"], "NONE");

    // by telephone: the customer still waits for the answer, which is then that somebody cancelled
    shop.platform.pause("psp");
    let customer = shop.customer.clone();
    let waiting = tokio::spawn(async move { customer.order(&new_key(), "mug", 1, "tok_visa").await });
    let telephone = shop.pending().await;
    let customer = shop.customer.clone();
    let cancel = tokio::spawn({
        let id = telephone.clone();
        async move { customer.cancel(&new_key(), &id).await }
    });
    eventually(SOON, "the cancel is committed", async || {
        shop.customer.read_order(&telephone).await["status"] == "CANCELLING"
    })
    .await;
    shop.platform.resume("psp");
    assert!([200, 202].contains(&cancel.await.expect("no panic").status.as_u16()));
    shop.ends(&telephone, "CANCELLED").await;
    assert_eq!(waiting.await.expect("no panic").expect(409).json()["code"], "order-cancelled");
    assert_eq!(network::account(&shop.platform, &letter).await.captures, 0);
    for id in [letter, telephone] {
        assert_eq!(network::account(&shop.platform, &id).await.kept_minor, 0);
    }
    assert_eq!(shop.customer.available("mug").await, shop.available_before);
}

#[tokio::test]
async fn what_is_dispatched_rejected_or_someone_elses_is_not_cancelled() {
    let shop = Shop::open().await;
    let id = shop.completed().await;
    shop.dispatch(&id).await;
    eventually(SOON, "the order knows", async || {
        shop.customer.read_order(&id).await["shipment"]["status"] == "DISPATCHED"
    })
    .await;
    let key = new_key();
    let refused = shop.customer.cancel(&key, &id).await.expect(409);
    assert_eq!(refused.json()["code"], "already-dispatched");
    let again = shop.customer.cancel(&key, &id).await;
    assert_eq!((again.status.as_u16(), &again.bytes, again.is_replayed), (409, &refused.bytes, true));
    assert_eq!(shop.customer.read_order(&id).await["status"], "COMPLETED");

    let rejected = shop.customer.order(&new_key(), "sold-out", 1, "tok_visa").await.expect(409).order_id();
    assert_eq!(shop.customer.cancel(&new_key(), &rejected).await.expect(409).json()["code"], "not-cancellable");

    let stranger = Customer::register(&shop.platform).await;
    stranger.cancel(&new_key(), &id).await.expect(404);
    let other = shop.completed().await;
    let operator = Customer::operator(&shop.platform).await;
    operator.cancel(&new_key(), &other).await.expect(200);
}

#[tokio::test]
async fn a_cancel_and_a_dispatch_at_once_have_one_winner() {
    let shop = Shop::open().await;
    for _ in 0..8 {
        let id = shop.completed().await;
        eventually(SOON, "there is a parcel", async || shop.customer.read_order(&id).await["shipment"].is_object())
            .await;
        let dispatch = format!("/v1/orders/{id}/dispatch");
        let key = new_key();
        let (cancel, dispatched) =
            tokio::join!(shop.customer.cancel(&key, &id), shop.operator.send(Method::POST, &dispatch, None, None));
        match (cancel.status.as_u16(), dispatched.status.as_u16()) {
            (200, 409) => shop.is_undone(&id).await,
            (409, 200) => {
                assert_eq!(cancel.json()["code"], "already-dispatched");
                shop.customer.order_with_status(&id, "COMPLETED").await;
                let account = network::account(&shop.platform, &id).await;
                assert_eq!((account.captures, account.refunded_minor), (1, 0));
            }
            other => panic!("{other:?}: {cancel:?} {dispatched:?}"),
        }
    }
}

#[tokio::test]
async fn many_cancels_at_once_give_back_once() {
    let shop = Shop::open().await;
    let id = shop.completed().await;
    let cancels: Vec<_> = (0..12)
        .map(|_| {
            let (customer, id) = (shop.customer.clone(), id.clone());
            tokio::spawn(async move { customer.cancel(&new_key(), &id).await })
        })
        .collect();
    for cancel in cancels {
        let answer: Answer = cancel.await.expect("no panic");
        assert!([200, 202].contains(&answer.status.as_u16()), "{answer:?}");
    }
    shop.is_undone(&id).await;
}

#[tokio::test]
async fn a_refund_whose_outcome_is_unknown_is_asked_for_again_until_it_is_known() {
    let shop = Shop::open().await;
    let id = shop.completed().await;
    shop.platform.pause("psp");
    let key = new_key();
    let cancelling = shop.customer.cancel(&key, &id).await.expect(202);
    assert_eq!(cancelling.json()["status"], "CANCELLING");
    assert_eq!(cancelling.json()["payment"]["status"], "UNKNOWN");
    shop.platform.resume("psp");
    shop.ends(&id, "CANCELLED").await;
    shop.is_undone(&id).await;
    // the same key is now answered with what came of it
    assert_eq!(shop.customer.cancel(&key, &id).await.expect(200).json()["status"], "CANCELLED");
}

#[tokio::test]
async fn order_killed_while_it_cancels_finishes_the_cancel_when_it_is_back() {
    // between its commits: the parcel is asked for, the money is asked for, the end is written
    for (paused, state) in [("shipping", "STOPPING"), ("payment", "REFUNDING")] {
        let mut shop = Shop::open().await;
        let id = shop.completed().await;
        shop.platform.pause(paused);
        shop.cancel_in_background(&id);
        shop.stands(&id, state).await;
        shop.platform.kill("order").await;
        shop.platform.resume(paused);
        shop.platform.start_again("order").await;
        shop.ends(&id, "CANCELLED").await;
        shop.is_undone(&id).await;
    }
    let mut shop = Shop::open().await;
    let id = shop.completed().await;
    shop.platform.pause("psp");
    shop.cancel_in_background(&id);
    shop.stands(&id, "REFUNDING").await;
    let lock =
        Lock::take(&shop.platform, "orders", "SELECT 1 FROM orders WHERE order_id = $1::uuid FOR UPDATE", &id).await;
    shop.platform.resume("psp");
    eventually(SOON, "the network has given back", async || {
        network::account(&shop.platform, &id).await.kept_minor == 0
    })
    .await;
    shop.platform.kill("order").await;
    lock.release().await;
    shop.platform.start_again("order").await;
    shop.ends(&id, "CANCELLED").await;
    shop.is_undone(&id).await;
}

#[tokio::test]
async fn order_killed_while_it_voids_finishes_the_cancel_when_it_is_back() {
    let mut shop = Shop::open().await;
    shop.platform.pause("psp");
    let customer = shop.customer.clone();
    tokio::spawn(async move {
        let body = journeys::customer::order_body("mug", 1, "tok_visa");
        customer.try_send(Method::POST, "/v1/orders", Some(&new_key()), Some(body)).await
    });
    let id = shop.pending().await;
    shop.cancel_in_background(&id);
    shop.stands(&id, "VOIDING").await;
    shop.platform.kill("order").await;
    shop.platform.resume("psp");
    shop.platform.start_again("order").await;
    let order = shop.ends(&id, "CANCELLED").await;
    assert_eq!(order["payment"]["status"], "NONE");
    assert_eq!(network::account(&shop.platform, &id).await.kept_minor, 0);
    assert_eq!(shop.customer.available("mug").await, shop.available_before);
}

#[tokio::test]
async fn shipping_and_payment_killed_while_an_order_is_cancelled_do_not_stop_it() {
    for service in ["shipping", "payment", "inventory"] {
        let mut shop = Shop::open().await;
        let id = shop.completed().await;
        shop.platform.kill(service).await;
        let answer = shop.customer.cancel(&new_key(), &id).await;
        assert!([200, 202].contains(&answer.status.as_u16()), "{answer:?}");
        shop.platform.start_again(service).await;
        shop.ends(&id, "CANCELLED").await;
        shop.is_undone(&id).await;
    }
}

/// A platform with a customer who buys mugs one by one.
struct Shop {
    platform: Platform,
    customer: Customer,
    operator: Customer,
    available_before: i64,
}

impl Shop {
    async fn open() -> Self {
        let platform = Platform::start().await;
        let (customer, operator) = (Customer::register(&platform).await, Customer::operator(&platform).await);
        let available_before = customer.available("mug").await;
        Self { platform, customer, operator, available_before }
    }

    async fn completed(&self) -> String {
        self.customer.order_a_mug().await.expect(201).order_id()
    }

    async fn dispatch(&self, id: &str) {
        let dispatch = format!("/v1/orders/{id}/dispatch");
        eventually(SOON, "the order can be dispatched", async || {
            self.operator.send(Method::POST, &dispatch, None, None).await.status.is_success()
        })
        .await;
    }

    /// The id of the one order that payment has been asked about and not answered for.
    async fn pending(&self) -> String {
        testkit::eventually_some(SOON, "the charge is under way", async || {
            sqlx::query_scalar("SELECT order_id::text FROM payments WHERE state = 'ATTEMPTING'")
                .fetch_optional(self.platform.database("payments"))
                .await
                .expect("payment has its table")
        })
        .await
    }

    /// Cancels; whoever waits for the answer may wait in vain.
    fn cancel_in_background(&self, id: &str) {
        let (customer, path) = (self.customer.clone(), format!("/v1/orders/{id}/cancel"));
        tokio::spawn(async move { customer.try_send(Method::POST, &path, Some(&new_key()), None).await });
    }

    async fn stands(&self, id: &str, state: &str) {
        eventually(SOON, state, async || {
            let now: String = sqlx::query_scalar("SELECT saga_state FROM orders WHERE order_id = $1::uuid")
                .bind(id)
                .fetch_one(self.platform.database("orders"))
                .await
                .expect("order has its table");
            now == state
        })
        .await;
    }

    async fn ends(&self, id: &str, status: &str) -> Value {
        eventually(RECOVERED, &format!("the order is {status}"), async || {
            self.customer.get(&format!("/v1/orders/{id}")).await.json()["status"] == status
        })
        .await;
        self.customer.read_order(id).await
    }

    /// Captured once and given back once, in the network's books and in payment's; no parcel; no mug less.
    async fn is_undone(&self, id: &str) {
        self.ends(id, "CANCELLED").await;
        let account = network::account(&self.platform, id).await;
        assert_eq!((account.captures, account.kept_minor), (1, 0));
        assert!(account.refunded_minor > 0);
        assert_eq!(network::kept_by_ledger(&self.platform, id).await, 0);
        let shipments: Vec<String> = sqlx::query_scalar("SELECT status FROM shipment WHERE order_id = $1::uuid")
            .bind(id)
            .fetch_all(self.platform.database("shipping"))
            .await
            .expect("shipping has its table");
        assert_eq!(shipments, ["CANCELLED"]);
        eventually(SOON, "its stock is back, once", async || {
            let state: String = sqlx::query_scalar("SELECT state FROM reservation WHERE order_id = $1::uuid")
                .bind(id)
                .fetch_one(self.platform.database("inventory"))
                .await
                .expect("inventory has its table");
            state == "RETURNED"
        })
        .await;
        let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM reservation WHERE state IN ('HELD', 'SETTLED')")
            .fetch_one(self.platform.database("inventory"))
            .await
            .expect("inventory has its table");
        assert_eq!(self.customer.available("mug").await, self.available_before - orders);
    }
}

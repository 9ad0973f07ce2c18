//! kill -9 of order and of payment between any two steps of an order.
//!
//! Each window is held open from outside until the process inside it is dead: a callee is paused, or the row that is
//! written next is locked. So these are stories of services as they are released, without kill points.

use std::time::Duration;

use journeys::{
    customer::{Customer, new_key},
    locks::Lock,
    network,
    platform::Platform,
};
use serde_json::Value;
use testkit::{SOON, eventually, eventually_some};

/// Recovery takes an order up 5 s after it was placed.
const RECOVERED: Duration = Duration::from_secs(30);

#[tokio::test]
async fn order_killed_after_its_first_commit_before_stock_was_asked_for() {
    let mut story = Story::begin().await;
    story.platform.pause("inventory");
    story.place_in_background();
    let id = story.order_in_state("AWAITING_STOCK").await;
    story.platform.kill("order").await;
    story.platform.resume("inventory");
    story.platform.start_again("order").await;
    story.ends_completed(&id).await;
}

#[tokio::test]
async fn order_killed_after_stock_was_held_before_the_charge_was_answered() {
    let mut story = Story::begin().await;
    story.platform.pause("payment");
    story.place_in_background();
    let id = story.order_in_state("AWAITING_STOCK").await;
    story.reserved(&id).await;
    story.platform.kill("order").await;
    story.platform.resume("payment");
    story.platform.start_again("order").await;
    story.ends_completed(&id).await;
}

#[tokio::test]
async fn order_killed_after_the_capture_before_its_second_commit() {
    let mut story = Story::begin().await;
    story.platform.pause("payment");
    story.place_in_background();
    let id = story.order_in_state("AWAITING_STOCK").await;
    let lock =
        Lock::take(&story.platform, "orders", "SELECT 1 FROM orders WHERE order_id = $1::uuid FOR UPDATE", &id).await;
    story.platform.resume("payment");
    story.captured(&id).await;
    story.platform.kill("order").await;
    lock.release().await;
    story.platform.start_again("order").await;
    story.ends_completed(&id).await;
}

#[tokio::test]
async fn payment_killed_after_the_attempt_was_committed_before_the_network_was_called() {
    let mut story = Story::begin().await;
    story.platform.pause("psp");
    story.place_in_background();
    let id = story.order_in_state("AWAITING_STOCK").await;
    story.attempted(&id).await;
    story.platform.kill("payment").await;
    story.platform.resume("psp");
    story.platform.start_again("payment").await;
    story.ends_completed(&id).await;
}

#[tokio::test]
async fn payment_killed_after_the_capture_before_it_was_written_down() {
    let mut story = Story::begin().await;
    story.platform.pause("psp");
    story.place_in_background();
    let id = story.order_in_state("AWAITING_STOCK").await;
    story.attempted(&id).await;
    let lock =
        Lock::take(&story.platform, "payments", "SELECT 1 FROM payments WHERE order_id = $1::uuid FOR UPDATE", &id)
            .await;
    story.platform.resume("psp");
    story.captured(&id).await;
    story.platform.kill("payment").await;
    lock.release().await;
    story.platform.start_again("payment").await;
    story.ends_completed(&id).await;
}

#[tokio::test]
async fn order_killed_while_a_declined_order_gives_its_stock_back() {
    let mut story = Story::begin().await;
    story.card = "tok_declined";
    story.platform.pause("payment");
    story.place_in_background();
    let id = story.order_in_state("AWAITING_STOCK").await;
    story.reserved(&id).await;
    story.platform.pause("inventory");
    story.platform.resume("payment");
    assert_eq!(story.order_in_state("RELEASING").await, id);
    story.platform.kill("order").await;
    story.platform.resume("inventory");
    story.platform.start_again("order").await;
    let order = story.ends("REJECTED", &id).await;
    assert_eq!(order["reason"], "PAYMENT_DECLINED");
    assert_eq!(story.customer.available("mug").await, story.available_before);
    assert_eq!(network::account(&story.platform, &id).await.captures, 0);
}

#[tokio::test]
async fn inventory_killed_while_it_holds_back_its_answer() {
    let mut story = Story::begin().await;
    let mut lock =
        Lock::take(&story.platform, "inventory", "SELECT 1 FROM stock WHERE sku = $1 FOR UPDATE", "mug").await;
    story.place_in_background();
    let id = story.order_in_state("AWAITING_STOCK").await;
    lock.is_waited_for().await;
    story.platform.kill("inventory").await;
    lock.release().await;
    story.platform.start_again("inventory").await;
    story.ends_completed(&id).await;
}

/// One customer, one mug, one order, and something that goes wrong.
struct Story {
    platform: Platform,
    customer: Customer,
    available_before: i64,
    card: &'static str,
}

impl Story {
    async fn begin() -> Self {
        let platform = Platform::start().await;
        let customer = Customer::register(&platform).await;
        let available_before = customer.available("mug").await;
        Self { platform, customer, available_before, card: "tok_visa" }
    }

    /// Places the order; whoever waits for the answer may wait in vain.
    fn place_in_background(&self) {
        let (customer, card) = (self.customer.clone(), self.card);
        tokio::spawn(async move {
            let body = journeys::customer::order_body("mug", 1, card);
            customer.try_send(reqwest::Method::POST, "/v1/orders", Some(&new_key()), Some(body)).await
        });
    }

    /// Waits until the one order there is stands in `state`, and gives its id.
    async fn order_in_state(&self, state: &str) -> String {
        eventually_some(SOON, "the order stands where it is to be killed", async || {
            sqlx::query_scalar("SELECT order_id::text FROM orders WHERE saga_state = $1")
                .bind(state)
                .fetch_optional(self.platform.database("orders"))
                .await
                .expect("order has its table")
        })
        .await
    }

    async fn reserved(&self, id: &str) {
        self.row(id, "inventory", "SELECT 1 FROM reservation WHERE order_id = $1::uuid").await;
    }

    async fn attempted(&self, id: &str) {
        self.row(id, "payments", "SELECT 1 FROM payments WHERE order_id = $1::uuid").await;
    }

    async fn row(&self, id: &str, database: &str, query: &'static str) {
        eventually(SOON, query, async || {
            let found: Option<i32> = sqlx::query_scalar(query)
                .bind(id)
                .fetch_optional(self.platform.database(database))
                .await
                .expect("the table is there");
            found.is_some()
        })
        .await;
    }

    async fn captured(&self, id: &str) {
        eventually(SOON, "the network has captured", async || network::account(&self.platform, id).await.captures == 1)
            .await;
    }

    async fn ends(&self, status: &str, id: &str) -> Value {
        eventually(RECOVERED, "the order is decided", async || {
            self.customer.get(&format!("/v1/orders/{id}")).await.json()["status"] == status
        })
        .await;
        self.customer.read_order(id).await
    }

    /// COMPLETED, charged once, one mug less.
    async fn ends_completed(&self, id: &str) {
        let order = self.ends("COMPLETED", id).await;
        assert_eq!(order["payment"]["status"], "CAPTURED");
        let account = network::account(&self.platform, id).await;
        assert_eq!((account.captures, account.refunded_minor), (1, 0));
        assert_eq!(account.kept_minor, order["total"]["amount_minor"]);
        assert_eq!(self.customer.available("mug").await, self.available_before - 1);
    }
}

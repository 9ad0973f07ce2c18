//! What the records say: the card network's books, and payment's database.

use std::fs;

use contracts::ids::OrderId;
use serde_json::Value;
use testkit::{SOON, eventually};

use crate::platform::Platform;

impl Platform {
    /// How often the card network's own books have the order captured.
    pub fn captures(&self, order_id: OrderId) -> usize {
        self.in_books(order_id, |change| change["captured"].is_object())
    }

    /// How often the card network's own books have the order voided.
    pub fn voids(&self, order_id: OrderId) -> usize {
        self.in_books(order_id, |change| change == "voided")
    }

    /// How often the card network's own books have the order refunded.
    pub fn refunds(&self, order_id: OrderId) -> usize {
        self.in_books(order_id, |change| change["refunded"].is_object())
    }

    fn in_books(&self, order_id: OrderId, wanted: impl Fn(&Value) -> bool) -> usize {
        let books = fs::read_to_string(self.folder.join("books.jsonl")).unwrap();
        let entries = books.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        entries.filter(|entry| entry["merchant_reference"] == order_id.to_string() && wanted(&entry["change"])).count()
    }

    /// What the ledger holds for an order: the kinds of its transfers, in their order.
    pub async fn transfers(&self, order_id: OrderId) -> Vec<String> {
        sqlx::query_scalar("SELECT kind FROM transfers WHERE order_id = $1 ORDER BY kind")
            .bind(order_id.as_uuid())
            .fetch_all(&self.database.owner)
            .await
            .unwrap()
    }

    /// The balance of what the card network owes us, in minor units.
    pub async fn owed_by_the_network(&self) -> i64 {
        sqlx::query_scalar(
            "SELECT COALESCE(SUM(CASE WHEN debit_account = 'card-network' THEN amount_minor
                                      WHEN credit_account = 'card-network' THEN -amount_minor END), 0)::bigint
             FROM transfers",
        )
        .fetch_one(&self.database.owner)
        .await
        .unwrap()
    }

    /// Type, sequence and payload of each letter that was written about the order.
    pub async fn letters(&self, order_id: OrderId) -> Vec<(String, i64, Vec<u8>)> {
        sqlx::query_as("SELECT event_type, sequence, payload FROM outbox WHERE key = $1 ORDER BY id")
            .bind(order_id.to_string())
            .fetch_all(&self.database.owner)
            .await
            .unwrap()
    }

    /// Waits until the order is answered by letter and done with; there must be one letter. Gives its type.
    pub async fn answered(&self, order_id: OrderId) -> String {
        eventually(SOON, "the order is answered by letter", async || !self.letters(order_id).await.is_empty()).await;
        self.until_done(order_id).await;
        let mut letters = self.letters(order_id).await;
        assert_eq!(letters.len(), 1, "{order_id} {letters:?}");
        letters.remove(0).0
    }

    /// Waits until the order is not to be charged by letter any more.
    pub async fn until_done(&self, order_id: OrderId) {
        eventually(SOON, "the order's work is done", async || self.attempts(order_id).await.is_none()).await;
    }

    /// How often it was attempted to charge the order by letter; `None` when it is done with, or was never asked for.
    pub async fn attempts(&self, order_id: OrderId) -> Option<i32> {
        sqlx::query_scalar("SELECT attempts FROM charge_work WHERE order_id = $1")
            .bind(order_id.as_uuid())
            .fetch_optional(&self.database.owner)
            .await
            .unwrap()
    }

    /// Waits until it was attempted so often to charge the order by letter.
    pub async fn until_attempts(&self, order_id: OrderId, attempts: i32) {
        eventually(SOON, "the order was attempted", async || self.attempts(order_id).await >= Some(attempts)).await;
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.owner).await.unwrap()
    }
}

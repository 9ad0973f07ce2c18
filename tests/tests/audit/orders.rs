//! Orders to break: as many as there are breakages, so that none touches what another one has.

use futures::future::join_all;
use journeys::customer::new_key;
use testkit::{SOON, eventually, eventually_some};

use crate::shop::{Shop, cancel};

/// Orders of each kind that breakages take; a few more than they need.
const COMPLETED: usize = 32;
const SHIRTS: usize = 1;
const BY_LETTER: usize = 3;
const REFUNDED: usize = 5;
const REFUSED: usize = 5;

/// Ids of orders that nobody has broken yet.
pub struct Orders {
    completed: Vec<String>,
    shirts: Vec<String>,
    by_letter: Vec<String>,
    refunded: Vec<String>,
    refused: Vec<String>,
}

impl Orders {
    /// Places them, and waits until everybody has heard of them.
    pub async fn place(shop: &Shop) -> Self {
        let order = async |count: usize, sku: &str, quantity: u32, status: u16| {
            let mut ids = Vec::new();
            for _ in 0..count {
                let key = new_key();
                // on a busy machine the answer may be to ask again with the same key
                let what = format!("{sku} is answered {status}");
                let answer = eventually_some(SOON, &what, async || {
                    let answer = shop.customer.order(&key, sku, quantity, "tok_visa").await;
                    (answer.status == status).then_some(answer)
                })
                .await;
                ids.push(answer.order_id());
            }
            ids
        };
        let completed = order(COMPLETED, "mug", 2, 201).await;
        let shirts = order(SHIRTS, "tee", 1, 201).await;
        let refunded = order(REFUNDED, "poster", 1, 201).await;
        let refused = order(REFUSED, "sold-out", 1, 409).await;
        let mut by_letter = Vec::new();
        for _ in 0..BY_LETTER {
            let answer = shop.customer.order_by_letter(&new_key(), "mug", 1, "tok_visa").await;
            by_letter.push(answer.expect(202).order_id());
        }
        join_all(by_letter.iter().map(|id| shop.customer.order_with_status(id, "COMPLETED"))).await;
        join_all(refunded.iter().map(|id| cancel(&shop.customer, id))).await;
        join_all(refunded.iter().map(|id| shop.customer.order_with_status(id, "CANCELLED"))).await;
        all_is_told(shop).await;
        Self { completed, shirts, by_letter, refunded, refused }
    }

    /// Two mugs for 25.00, by telephone.
    pub fn completed(&mut self) -> String {
        self.completed.pop().expect("there are as many as breakages")
    }

    /// A shirt, by telephone.
    pub fn shirt(&mut self) -> String {
        self.shirts.pop().expect("there are as many as breakages")
    }

    /// A mug, by letter.
    pub fn by_letter(&mut self) -> String {
        self.by_letter.pop().expect("there are as many as breakages")
    }

    /// A poster for 9.90 that was cancelled after it was paid.
    pub fn refunded(&mut self) -> String {
        self.refunded.pop().expect("there are as many as breakages")
    }

    /// Rejected: there was no stock, and nothing was charged.
    pub fn refused(&mut self) -> String {
        self.refused.pop().expect("there are as many as breakages")
    }
}

/// Waits until every letter has had its effects: what is taken away before is made again.
async fn all_is_told(shop: &Shop) {
    eventually(SOON * 2, "every letter has had its effects", async || {
        let count = async |database: &str, sql: &str| shop.ask::<i64>(database, sql).await;
        let ended = "SELECT count(*) FROM outbox
                     WHERE event_type IN ('order.completed', 'order.rejected', 'order.cancelled')";
        let unsettled = "SELECT count(*) FROM reservation WHERE state = 'HELD'";
        let parcels = "SELECT coalesce(sum(version), 0)::bigint FROM shipment";
        let parcels_heard = "SELECT sum(shipment_version)::bigint FROM orders";
        let completed = "SELECT count(*) FROM orders WHERE saga_state IN ('COMPLETED', 'REFUNDED')";
        let counted = count("analytics", "SELECT count(*) FROM timeline").await;
        let mut written = 0;
        for database in ["orders", "inventory", "payments", "shipping"] {
            written += count(database, "SELECT count(*) FROM outbox").await;
        }
        counted == written
            && count("notifications", "SELECT count(*) FROM message WHERE state = 'SENT'").await
                == count("orders", ended).await
            && count("inventory", unsettled).await == 0
            && count("payments", "SELECT count(*) FROM charge_work").await == 0
            && count("shipping", "SELECT count(*) FROM address_question").await == 0
            && count("shipping", "SELECT count(*) FROM shipment").await == count("orders", completed).await
            && count("shipping", parcels).await == count("orders", parcels_heard).await
    })
    .await;
}

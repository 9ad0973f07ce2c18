//! 2, 3, 4, 16: captures, decisions, refunds and the ledger.

use contracts::ids::OrderId;

use crate::{breakage::Breakage, orders::Orders, shop::Shop};

/// At most one capture per order, of the order's sum.
pub async fn captures(shop: &Shop, orders: &mut Orders) -> Vec<Breakage> {
    let stranger = OrderId::new().to_string();
    let unasked = Breakage::charged(shop, &stranger).await;
    let (dearer, abroad) = (orders.completed(), orders.completed());
    let sum = Breakage::changed(shop, "orders", "orders", &of(&dearer), &[("total_minor", "2501")]).await;
    let currency = Breakage::changed(shop, "orders", "orders", &of(&abroad), &[("currency", "'USD'")]).await;
    vec![
        unasked.fires(2, &[&stranger, "there is no such order"]),
        sum.fires(2, &[&dearer, "the card network has 2500, the order's total is 2501"]),
        currency.fires(2, &[&abroad, "the card network has EUR", "USD"]),
    ]
}

/// A timeout is not a decline.
pub async fn decisions(shop: &Shop, orders: &mut Orders) -> Vec<Breakage> {
    let declined = orders.completed();
    let values = [("state", "'DECLINED'"), ("decline_reason", "'none'")];
    let misread = Breakage::changed(shop, "payments", "payments", &of(&declined), &values).await;
    // the network charged an order that was given up
    let refused = orders.refused();
    let kept = Breakage::charged(shop, &refused).await;
    vec![
        misread.fires(3, &[&declined, "is COMPLETED and payment says DECLINED"]),
        kept.fires(3, &[&refused, "is REJECTED and the card network keeps 100"])
            .fires(2, &[&refused, "the card network has 100, the order's total is unknown"]),
    ]
}

/// Refunds ≤ capture, each once.
pub async fn refunds(shop: &Shop, orders: &mut Orders) -> Vec<Breakage> {
    let unasked = orders.refunded();
    let forgotten = Breakage::changed(shop, "payments", "payments", &of(&unasked), &[("state", "'CAPTURED'")]).await;
    let less = orders.refunded();
    let refund = format!("{} AND kind = 'REFUND'", of(&less));
    let misbooked = Breakage::changed(shop, "payments", "transfers", &refund, &[("amount_minor", "989")]).await;
    vec![
        forgotten.fires(4, &[&unasked, "has given back 990, and payment asked for none"]),
        misbooked
            .fires(4, &[&less, "payment has booked 989, the card network has given back 990"])
            .fires(16, &[&less, "say that 1 is kept, the card network keeps 0"]),
    ]
}

/// The payment ledger sums to zero.
pub async fn ledger(shop: &Shop, orders: &mut Orders) -> Vec<Breakage> {
    let (elsewhere, less) = (orders.completed(), orders.completed());
    let account = [("debit_account", "'elsewhere'")];
    let misposted = Breakage::changed(shop, "payments", "transfers", &of(&elsewhere), &account).await;
    let amount = [("amount_minor", "2499")];
    let partial = Breakage::changed(shop, "payments", "transfers", &of(&less), &amount).await;
    vec![
        misposted.fires(16, &[&elsewhere, "between the wrong accounts"]),
        partial.fires(16, &[&less, "say that 2499 is kept, the card network keeps 2500"]),
    ]
}

fn of(order: &str) -> String {
    format!("order_id = '{order}'")
}

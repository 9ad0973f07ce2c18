//! 1, 7, 12: keys and their answers, orders that end, and what was acknowledged.

use contracts::ids::OrderId;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::{breakage::Breakage, orders::Orders, shop::Shop};

/// One Idempotency-Key, one order.
pub async fn keys(shop: &Shop, orders: &mut Orders) -> Vec<Breakage> {
    let unique = "UNIQUE (customer_id, idempotency_key)";
    let unguarded = Breakage::unguarded(shop, "orders", "orders", "order_idempotency_key", unique).await;
    let (one, other) = (orders.completed(), orders.completed());
    let key = shop.ask::<String>("orders", &format!("SELECT idempotency_key FROM orders WHERE {}", of(&one))).await;
    let double = change(shop, &other, ("idempotency_key", &format!("'{key}'"))).await;

    let (one, other) = (orders.completed(), orders.completed());
    let answer = format!("(SELECT answer FROM orders WHERE {})", of(&other));
    let another = change(shop, &one, ("answer", &answer)).await;

    let unreadable = orders.completed();
    let garbage = change(shop, &unreadable, ("answer", r"'\xff'")).await;

    let accepted = orders.by_letter();
    let other_door = change(shop, &accepted, ("placed_by", "'TELEPHONE'")).await;
    vec![
        unguarded,
        double.fires(1, &[&key, "has 2 orders"]),
        another.fires(1, &[&one, "is about order", &other]),
        garbage.fires(1, &[&unreadable, "cannot be read"]),
        other_door.fires(1, &[&accepted, "says accepted, and the order, by TELEPHONE, is COMPLETED"]),
    ]
}

/// Every order reaches a terminal state.
pub async fn late(shop: &Shop, orders: &mut Orders) -> Vec<Breakage> {
    let order = OrderId::new().to_string();
    let columns =
        "order_id, customer_id, idempotency_key, fingerprint, trace_id, saga_state, version, placed_by, lines,
        decide_by, created_at, updated_at";
    let values = format!(
        "'{order}', '{order}', 'left-behind', '', '', 'AWAITING_STOCK', 1, 'TELEPHONE', '[]', now() - interval '1 hour',
         '2020-01-01', '2020-01-01'"
    );
    let left_behind = Breakage::with(shop, "orders", "orders", columns, &values, &of(&order)).await;
    let unsent = orders.completed();
    let given_up = [("status", "'CANCELLED'"), ("due_at", "NULL")];
    let kept = Breakage::changed(shop, "shipping", "shipment", &of(&unsent), &given_up).await;
    vec![
        left_behind.fires(7, &[&order, "is AWAITING_STOCK and 36"]),
        kept.fires(7, &[&unsent, "is COMPLETED, and its parcel is CANCELLED"]),
    ]
}

/// An acknowledged order survives; with the journal that says what was acknowledged.
pub async fn acknowledgements(shop: &Shop, orders: &mut Orders) -> (NamedTempFile, Vec<Breakage>) {
    let (lost, rekeyed, refused) = (OrderId::new().to_string(), orders.completed(), orders.refused());
    let customer = shop.customer.account_id();
    let key = format!("SELECT idempotency_key FROM orders WHERE {}", of(&refused));
    let key = shop.ask::<String>("orders", &key).await;
    let line = |order: &str, key: &str| {
        let line = json!({"key": key, "customer": customer, "order_id": order, "status": 201});
        format!("{line}\n")
    };
    let journal = NamedTempFile::new().expect("a temporary file can be made");
    let lines = [line(&lost, "some-key"), line(&rekeyed, "another-key"), line(&refused, &key)].concat();
    std::fs::write(journal.path(), lines).expect("it can be written");
    let breakages = vec![
        Breakage::passing().fires(12, &[&lost, "was answered 201 and is lost"]),
        Breakage::passing().fires(12, &[&rekeyed, "another-key"]),
        Breakage::passing().fires(12, &[&refused, "was answered 201 and is REJECTED"]),
    ];
    (journal, breakages)
}

async fn change(shop: &Shop, order: &str, value: (&str, &str)) -> Breakage {
    Breakage::changed(shop, "orders", "orders", &of(order), &[value]).await
}

fn of(order: &str) -> String {
    format!("order_id = '{order}'")
}

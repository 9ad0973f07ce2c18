//! 10: what groups make of letters.

use contracts::{ids::OrderId, topics::RESERVATIONS};

use crate::{breakage::Breakage, orders::Orders, shop::Shop};

/// A letter that was passed and has no effect, in each group.
pub async fn missing(shop: &Shop, orders: &mut Orders) -> Vec<Breakage> {
    let mut breakages = Vec::new();
    for (database, table, group, only) in [
        ("notifications", "message", "notification.write-messages", "event_type = 'order.completed'"),
        ("analytics", "timeline", "analytics.count", "event_type = 'order.completed'"),
        ("shipping", "shipment", "shipping.prepare-parcels", "true"),
    ] {
        let order = orders.completed();
        let lost = Breakage::without(shop, database, table, &format!("order_id = '{order}' AND {only}")).await;
        breakages.push(lost.fires(10, &[group, &order, "without its effect"]));
    }

    // what was sold, or came back, and does not count as that: then the pieces do not add up either
    let (sold, returned) = (orders.shirt(), orders.refunded());
    let unsettled = state(shop, &sold, "HELD").await;
    let follows = "inventory.follow-orders";
    breakages.push(
        unsettled
            .fires(10, &[follows, "OrderCompleted", &sold, "without its effect"])
            .fires(5, &["product tee", "reserved 0", "reservations hold 1"]),
    );
    let kept = state(shop, &returned, "SETTLED").await;
    breakages.push(
        kept.fires(10, &[follows, "OrderCancelled", &returned, "without its effect"])
            .fires(5, &["product poster", "sold 0", "have sold 1"]),
    );

    let uncharged = orders.by_letter();
    let which = format!("order_id = '{uncharged}'");
    let unbooked = Breakage::without(shop, "payments", "transfers", &which).await;
    let unknown = Breakage::without(shop, "payments", "payments", &which).await;
    let unpaid = unbooked.and(unknown);
    breakages.push(
        unpaid
            .fires(10, &["payment.charge-held-orders", &uncharged, "without its effect"])
            .fires(3, &[&uncharged, "is COMPLETED and payment says NONE"]),
    );

    let unheard = orders.completed();
    let which = format!("order_id = '{unheard}'");
    let deaf = Breakage::changed(shop, "orders", "orders", &which, &[("shipment_version", "0")]).await;
    breakages.push(deaf.fires(10, &["order.saga", &unheard, "without its effect"]));
    breakages
}

/// Effects of letters that there are not, and a group that will pass letters by.
pub async fn unfounded(shop: &Shop, orders: &mut Orders) -> Vec<Breakage> {
    let (told, counted, refused) = (orders.completed(), orders.completed(), orders.refused());
    let message = OrderId::new().to_string();
    let columns = "message_id, customer_id, order_id, event_type, subject, body, state, attempt_at, sent_at";
    let values = format!("'{message}', '{message}', '{told}', 'order.completed', '', '', 'SENT', NULL, now()");
    let which = format!("message_id = '{message}'");
    let made_up = Breakage::with(shop, "notifications", "message", columns, &values, &which).await;

    let count = OrderId::new().to_string();
    let columns = "event_id, order_id, event_type, source, occurred_at, sequence, data";
    let values = format!("'{count}', '{counted}', 'order.completed', '/order', now(), 9, '{{}}'");
    let dreamt =
        Breakage::with(shop, "analytics", "timeline", columns, &values, &format!("event_id = '{count}'")).await;

    // so old that its own letters are no longer missed
    let columns = "order_id, shipment_id, status, updated_at";
    let values = format!("'{refused}', '{refused}', 'CANCELLED', '2020-01-01'");
    let which = format!("order_id = '{refused}'");
    let unpaid = Breakage::with(shop, "shipping", "shipment", columns, &values, &which).await;

    let topic = RESERVATIONS.name();
    let which = format!("\"group\" = 'analytics.count' AND topic = '{topic}' AND partition = 0");
    let beyond = [("next", "next + 1000")];
    let ahead = Breakage::changed(shop, "analytics", "consumer_position", &which, &beyond).await;
    let place = format!("position of analytics.count in {topic}/0");
    vec![
        made_up.fires(10, &[&format!("message of {message}"), &told, "there is no such letter"]),
        dreamt.fires(10, &[&format!("count of {count}"), &counted, "there is no such letter"]),
        unpaid.fires(10, &["parcel", &refused, "and the order is REJECTED"]),
        ahead.fires(10, &[&place, "the partition ends at"]),
    ]
}

async fn state(shop: &Shop, order: &str, state: &str) -> Breakage {
    let which = format!("order_id = '{order}'");
    Breakage::changed(shop, "inventory", "reservation", &which, &[("state", &format!("'{state}'"))]).await
}

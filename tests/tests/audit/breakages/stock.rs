//! 5, 6: pieces and reservations.

use contracts::ids::OrderId;
use journeys::customer::{Customer, new_key};
use reqwest::Method;
use serde_json::json;

use crate::{breakage::Breakage, orders::Orders, shop::Shop};

/// available + reserved + sold = received; available ≥ 0.
pub async fn products(shop: &Shop) -> Vec<Breakage> {
    let unguarded = async |constraint, check| Breakage::unguarded(shop, "inventory", "stock", constraint, check).await;
    let adds_up = unguarded("stock_adds_up", "CHECK (available + reserved + sold = received)").await;
    let available = unguarded("stock_available_check", "CHECK (available >= 0)").await;
    let received = unguarded("stock_received_check", "CHECK (received >= 0)").await;

    let change = async |sku, values: &[(&str, &str)]| {
        Breakage::changed(shop, "inventory", "stock", &format!("sku = '{sku}'"), values).await
    };
    let reserved = change("mug", &[("available", "available - 1"), ("reserved", "reserved + 1")]).await;
    let more = change("sticker", &[("received", "received + 5")]).await;
    // a delivery that nobody has noted: what is there adds up
    let operator = Customer::operator(&shop.platform).await;
    let restock = "/v1/products/last-one/restock";
    operator.send(Method::POST, restock, Some(&new_key()), Some(json!({"quantity": 3}))).await.expect(200);
    let unnoted = change("last-one", &[("available", "available + 2"), ("received", "received + 2")]).await;
    let oversold = change("sold-out", &[("available", "-1"), ("received", "-1")]).await;
    vec![
        adds_up,
        available,
        received,
        reserved.fires(5, &["product mug", "reserved 1", "reservations hold 0"]),
        more.fires(5, &["product sticker", "received 1000005"]),
        unnoted.fires(5, &["product last-one", "received 6", "by the operator log 4 were received"]),
        oversold.fires(5, &["product sold-out", "available -1", "received -1"]),
    ]
}

/// Each reservation ends once, and what overtakes its opposite leaves a mark.
pub async fn reservations(shop: &Shop, orders: &mut Orders) -> Vec<Breakage> {
    let (gone, unvoided, unstopped) = (orders.refused(), shop.cancelled.clone(), orders.refunded());
    let no_refusal = Breakage::without(shop, "inventory", "reservation", &of(&gone)).await;
    let stranger = OrderId::new().to_string();
    let values = format!("'{stranger}', 'RELEASED', '[]'");
    let no_order =
        Breakage::with(shop, "inventory", "reservation", "order_id, state, lines", &values, &of(&stranger)).await;
    let no_void = Breakage::without(shop, "payments", "payments", &of(&unvoided)).await;
    let values = [("status", "'DELIVERED'")];
    let no_stop = Breakage::changed(shop, "shipping", "shipment", &of(&unstopped), &values).await;
    vec![
        no_refusal.fires(6, &[&gone, "is NONE, and the order is REJECTED"]),
        no_order.fires(6, &[&stranger, "is RELEASED, and there is no such order"]),
        no_void.fires(6, &[&unvoided, "payment says NONE, and the order is CANCELLED"]),
        no_stop.fires(6, &[&unstopped, "the parcel is DELIVERED, and the order is REFUNDED"]),
    ]
}

fn of(order: &str) -> String {
    format!("order_id = '{order}'")
}

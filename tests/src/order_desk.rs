//! Placing an order past the gateway, under an id that the test knows beforehand.

use contracts::{
    ids::OrderId,
    order::v1::{
        OrderLine, PlaceOrder, PlaceOrdersRequest, PlacedBy, order_service_client::OrderServiceClient,
        place_orders_response::Outcome,
    },
};

use crate::{
    customer::{Customer, new_key},
    platform::Platform,
};

/// Places an order for one mug by letter, with this id and this card.
pub async fn place_by_letter(platform: &Platform, customer: &Customer, id: OrderId, card: &str) {
    let mut desk = OrderServiceClient::connect(platform.url("order").to_owned()).await.expect("order answers");
    let order = PlaceOrder {
        order_id: id.to_string(),
        customer_id: customer.account_id(),
        idempotency_key: new_key(),
        lines: vec![OrderLine { sku: "mug".to_owned(), quantity: 1 }],
        card_token: card.to_owned(),
        budget_ms: 5_000,
        placed_by: PlacedBy::Letter.into(),
        traceparent: String::new(),
    };
    let answers = desk.place_orders(PlaceOrdersRequest { items: vec![order] }).await.expect("order takes it");
    let answer = answers.into_inner().message().await.expect("an answer").expect("one for each order");
    assert!(matches!(answer.outcome, Some(Outcome::Accepted(_))), "{answer:?}");
}

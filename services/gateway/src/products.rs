//! The routes of the catalogue.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use contracts::{
    ids::Sku,
    inventory::v1::{GetProductRequest, ListProductsRequest, Product, PutProductRequest, RestockRequest},
    money::{Currency, Money},
};

use crate::{
    ASK_DEADLINE, Gateway,
    body::{Body, Query},
    caller::Operator,
    fields::{Fields, FromFields, Noted, Nothing, Value},
    idempotency_key::{IdempotencyKey, replayed},
    page::{Page, PageJson},
    path::Named,
    problem::Problem,
    product_json::ProductJson,
    revision,
};

/// The most pieces in one delivery.
const RESTOCK_MAX: i64 = 1_000_000_000;

/// What an operator says about a product.
#[derive(Debug)]
pub struct ProductFields {
    name: String,
    price: Money,
}

impl FromFields for ProductFields {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let name = fields.required("name", |value| value.text(1..=200));
        let price = fields.required("price", |value| value.object(price));
        Ok(Self { name: name?, price: price? })
    }
}

fn price(fields: &mut Fields<'_>) -> Result<Money, Noted> {
    let amount = fields.required("amount_minor", |value| value.whole_number(0..=i64::MAX));
    let currency = fields.required("currency", |value| currency(&value));
    Ok(Money::new(amount?, currency?).expect("the amount is not negative"))
}

fn currency(value: &Value<'_>) -> Result<Currency, Noted> {
    let code = value.text(3..=3)?;
    Currency::from_code(&code).map_or_else(|| value.wrong("must be an ISO 4217 code, like EUR"), Ok)
}

/// A delivery of stock.
#[derive(Debug)]
pub struct RestockFields {
    quantity: i64,
}

impl FromFields for RestockFields {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let quantity = fields.required("quantity", |value| value.whole_number(1..=RESTOCK_MAX));
        Ok(Self { quantity: quantity? })
    }
}

/// `GET /v1/products?limit&cursor`
pub async fn list(
    State(gateway): State<Arc<Gateway>>,
    Query(page): Query<Page>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let request = ListProductsRequest { limit: page.limit, cursor: page.cursor.clone() };
    let answer = rpc::ask(ASK_DEADLINE, request, |request| {
        let mut inventory = gateway.inventory.clone();
        async move { inventory.list_products(request).await }
    });
    let answer = answer.await.map_err(|status| page.problem(status))?;
    Ok(revision::of_content(&headers, &PageJson::<ProductJson>::new(answer.items, answer.next_cursor)))
}

/// `GET /v1/products/{sku}`
pub async fn get(
    State(gateway): State<Arc<Gateway>>,
    Named(sku): Named<Sku>,
    _: Query<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let answer = rpc::ask(ASK_DEADLINE, GetProductRequest { sku: sku.to_string() }, |request| {
        let mut inventory = gateway.inventory.clone();
        async move { inventory.get_product(request).await }
    });
    let product = ProductJson::from(answer.await?.product.unwrap_or_default());
    Ok(revision::of_content(&headers, &product))
}

/// `PUT /v1/products/{sku}`
pub async fn put(
    State(gateway): State<Arc<Gateway>>,
    Operator(operator): Operator,
    Named(sku): Named<Sku>,
    body: Body<ProductFields>,
) -> Result<Json<ProductJson>, Problem> {
    let ProductFields { name, price } = body.value;
    let request =
        PutProductRequest { sku: sku.to_string(), name, price: Some(price.into()), operator_id: operator.to_string() };
    let answer = rpc::ask(ASK_DEADLINE, request, |request| {
        let mut inventory = gateway.inventory.clone();
        async move { inventory.put_product(request).await }
    });
    Ok(Json(answer.await?.product.unwrap_or_default().into()))
}

/// `POST /v1/products/{sku}/restock`
pub async fn restock(
    State(gateway): State<Arc<Gateway>>,
    Operator(operator): Operator,
    Named(sku): Named<Sku>,
    key: IdempotencyKey,
    body: Body<RestockFields>,
) -> Result<Response, Problem> {
    let delivery = RestockRequest {
        idempotency_key: key.scoped(operator, &format!("POST /v1/products/{sku}/restock")),
        sku: sku.to_string(),
        quantity: body.value.quantity,
        operator_id: operator.to_string(),
    };
    let answer = rpc::ask(ASK_DEADLINE, delivery, |request| {
        let mut inventory = gateway.inventory.clone();
        async move { inventory.restock(request.map(tokio_stream::once)).await }
    });
    let answer = answer.await?;
    let product: Product = answer.items.into_iter().next().unwrap_or_default();
    Ok((replayed(answer.replayed), Json(ProductJson::from(product))).into_response())
}

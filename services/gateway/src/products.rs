//! The routes of the catalogue.

use std::sync::Arc;

use aide::transform::TransformOperation;
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

use serde_json::json;

use crate::{
    ASK_DEADLINE, Gateway,
    body::{Body, Query},
    caller::Operator,
    fields::{Fields, FromFields, Noted, Nothing, Value},
    idempotency_key::{IdempotencyKey, replayed},
    openapi,
    page::{Page, PageJson},
    path::Named,
    problem::Problem,
    product_json::ProductJson,
    revision,
    spelling::CURRENCY,
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
    fn example() -> Option<serde_json::Value> {
        Some(json!({"name": "Mug", "price": {"amount_minor": 1250, "currency": "EUR"}}))
    }

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
    let code = value.spelled(3..=3, &CURRENCY)?;
    Currency::from_code(&code).map_or_else(|| value.wrong(CURRENCY.must), Ok)
}

/// A delivery of stock.
#[derive(Debug)]
pub struct RestockFields {
    quantity: i64,
}

impl FromFields for RestockFields {
    fn example() -> Option<serde_json::Value> {
        Some(json!({"quantity": 100}))
    }

    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let quantity = fields.required("quantity", |value| value.whole_number(1..=RESTOCK_MAX));
        Ok(Self { quantity: quantity? })
    }
}

/// What is said of [`list`].
pub fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "listProducts", "catalogue", "What can be ordered");
    revision::described(openapi::answers::<200, PageJson<ProductJson>>(operation, "A page."))
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

/// What is said of [`get`].
pub fn get_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "getProduct", "catalogue", "Look at a product");
    revision::described(openapi::answers::<200, ProductJson>(operation, "The product."))
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

/// What is said of [`put`].
pub fn put_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "putProduct", "catalogue", "Make a product, or change it");
    openapi::answers::<200, ProductJson>(operation, "The product as it is now.")
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

/// What is said of [`restock`].
pub fn restock_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "restock", "catalogue", "Take in a delivery of stock");
    openapi::answers::<200, ProductJson>(operation, "The product as it is now.")
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

//! A product, as clients see it.

use contracts::inventory::v1::Product;
use schemars::JsonSchema;
use serde::Serialize;

use crate::money_json::MoneyJson;

/// What can be ordered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Product")]
pub struct ProductJson {
    sku: String,
    name: String,
    price: Option<MoneyJson>,
    /// How many can be ordered now.
    available: i64,
}

impl From<Product> for ProductJson {
    fn from(product: Product) -> Self {
        let Product { sku, name, price, available, version: _ } = product;
        Self { sku, name, price: price.map(Into::into), available }
    }
}

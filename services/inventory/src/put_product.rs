//! What an operator says of a product: a new one is put on sale, the name and price of one that is there are changed.

use operator_log::{Action, Operator, note_in_tx};
use serde_json::{Value, json};
use sqlx::PgPool;
use tracing::info;

use crate::{
    InventoryError,
    product::{Product, ProductDetails},
    store::{self, Recorded},
};

/// Creates the product or changes its name and price. What is already so is no change, and has no entry in the log.
pub(crate) async fn put_product(
    pool: &PgPool,
    details: &ProductDetails,
    operator: Operator,
) -> Result<Product, InventoryError> {
    let sku = details.sku();
    let unknown = || InventoryError::UnknownProduct(sku.clone());
    let mut tx = pool.begin().await?;
    let before = match store::add_product_in_tx(&mut tx, details).await? {
        Recorded::Now => None,
        Recorded::Before => Some(store::lock_product_in_tx(&mut tx, sku).await?.ok_or_else(unknown)?),
    };
    let is_change = before.as_ref() != Some(details);
    if is_change {
        if before.is_some() {
            store::change_product_in_tx(&mut tx, details).await?;
        }
        note_in_tx(&mut tx, &put(before.as_ref(), details, operator)).await?;
    }
    let product = store::find_product(&mut *tx, sku).await?;
    tx.commit().await?;
    if is_change {
        info!(%sku, %operator, "an operator put a product on sale, or changed it");
    }
    product.ok_or_else(unknown)
}

fn put(before: Option<&ProductDetails>, after: &ProductDetails, operator: Operator) -> Action {
    let name = |details: &ProductDetails| Value::from(details.name());
    let price = |details: &ProductDetails| json!({ "amount_minor": details.price().minor_units(), "currency": details.price().currency_code() });
    Action::new(operator, "put-product", format!("product/{}", after.sku()))
        .changed("name", before.map(name), name(after))
        .changed("price", before.map(price), price(after))
}

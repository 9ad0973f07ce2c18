//! Products, and the pieces that were received of them.

use contracts::{ids::Sku, money::Money};
use sqlx::{PgConnection, PgExecutor, PgPool, prelude::FromRow};

use super::Recorded;
use crate::{
    InventoryError,
    product::{Product, ProductDetails},
    restock::Delivery,
};

#[derive(Debug, FromRow)]
struct ProductRow {
    sku: String,
    name: String,
    price_minor: i64,
    currency: String,
    version: i64,
    available: i64,
}

impl TryFrom<ProductRow> for Product {
    type Error = InventoryError;

    fn try_from(row: ProductRow) -> Result<Self, InventoryError> {
        let what = format!("product {}", row.sku);
        let sku = Sku::try_from(row.sku).map_err(InventoryError::corrupt(&what))?;
        let price = Money::from_code(row.price_minor, &row.currency).map_err(InventoryError::corrupt(&what))?;
        let details = ProductDetails::new(sku, row.name, price).map_err(InventoryError::corrupt(&what))?;
        Ok(Self { details, available: row.available, version: row.version })
    }
}

/// A page of products by SKU, and the cursor of the page after it.
pub(crate) async fn list_products(
    pool: &PgPool,
    after: Option<&Sku>,
    limit: u32,
) -> Result<(Vec<Product>, Option<Sku>), InventoryError> {
    // one more than the page holds tells whether there is another page
    let rows: Vec<ProductRow> = sqlx::query_as(
        "SELECT sku, name, price_minor, currency, version, available
         FROM product JOIN stock USING (sku)
         WHERE sku > $1
         ORDER BY sku
         LIMIT $2",
    )
    .bind(after.map_or("", Sku::as_str))
    .bind(i64::from(limit) + 1)
    .fetch_all(pool)
    .await?;
    let mut products = rows.into_iter().map(Product::try_from).collect::<Result<Vec<_>, _>>()?;
    let limit = usize::try_from(limit).expect("a page limit fits usize");
    let more = products.len() > limit;
    products.truncate(limit);
    let next = products.last().filter(|_| more).map(|product| product.details.sku().clone());
    Ok((products, next))
}

/// The product with this SKU.
pub(crate) async fn find_product(
    connection: impl PgExecutor<'_>,
    sku: &Sku,
) -> Result<Option<Product>, InventoryError> {
    let row: Option<ProductRow> = sqlx::query_as(
        "SELECT sku, name, price_minor, currency, version, available
         FROM product JOIN stock USING (sku)
         WHERE sku = $1",
    )
    .bind(sku.as_str())
    .fetch_optional(connection)
    .await?;
    row.map(Product::try_from).transpose()
}

/// What is said of the product with this SKU, which nobody else changes until the transaction ends.
pub(crate) async fn lock_product_in_tx(
    conn: &mut PgConnection,
    sku: &Sku,
) -> Result<Option<ProductDetails>, InventoryError> {
    let row: Option<ProductRow> = sqlx::query_as(
        "SELECT sku, name, price_minor, currency, version, available
         FROM product JOIN stock USING (sku)
         WHERE sku = $1
         FOR NO KEY UPDATE OF product",
    )
    .bind(sku.as_str())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Product::try_from).transpose()?.map(|product| product.details))
}

/// Changes the name and the price of a product, which is its next version.
pub(crate) async fn change_product_in_tx(
    conn: &mut PgConnection,
    details: &ProductDetails,
) -> Result<(), InventoryError> {
    sqlx::query("UPDATE product SET name = $2, price_minor = $3, currency = $4, version = version + 1 WHERE sku = $1")
        .bind(details.sku().as_str())
        .bind(details.name())
        .bind(details.price().minor_units())
        .bind(details.price().currency_code())
        .execute(conn)
        .await?;
    Ok(())
}

/// Adds a product of which nothing is in stock, unless its SKU is there.
pub(crate) async fn add_product_in_tx(
    conn: &mut PgConnection,
    details: &ProductDetails,
) -> Result<Recorded, InventoryError> {
    let added = sqlx::query(
        "WITH added AS (
             INSERT INTO product (sku, name, price_minor, currency)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (sku) DO NOTHING
             RETURNING sku
         )
         INSERT INTO stock (sku) SELECT sku FROM added",
    )
    .bind(details.sku().as_str())
    .bind(details.name())
    .bind(details.price().minor_units())
    .bind(details.price().currency_code())
    .execute(conn)
    .await?;
    Ok(Recorded::from_rows(&added))
}

/// Records that a delivery came, unless its key is there.
pub(crate) async fn record_receipt_in_tx(
    conn: &mut PgConnection,
    delivery: &Delivery,
) -> Result<Recorded, InventoryError> {
    let recorded = sqlx::query(
        "INSERT INTO restock_receipt (idempotency_key, sku, quantity)
         VALUES ($1, $2, $3)
         ON CONFLICT (idempotency_key) DO NOTHING",
    )
    .bind(delivery.idempotency_key())
    .bind(delivery.sku().as_str())
    .bind(delivery.quantity())
    .execute(conn)
    .await
    .map_err(|error| match error.as_database_error().and_then(|error| error.constraint()) {
        Some("restock_receipt_sku_fkey") => InventoryError::UnknownProduct(delivery.sku().clone()),
        _ => error.into(),
    })?;
    Ok(Recorded::from_rows(&recorded))
}

/// What the delivery with this key was: SKU and pieces.
pub(crate) async fn find_receipt(conn: &mut PgConnection, key: &str) -> Result<(String, i64), InventoryError> {
    let receipt = sqlx::query_as("SELECT sku, quantity FROM restock_receipt WHERE idempotency_key = $1");
    Ok(receipt.bind(key).fetch_one(conn).await?)
}

/// Forgets deliveries that came more than 24 hours ago, at most `rows_max`, and says how many. What another replica is
/// about to forget is left to it.
pub(crate) async fn forget_old_receipts(pool: &PgPool, rows_max: u16) -> Result<u64, InventoryError> {
    let forgotten = sqlx::query(
        "DELETE FROM restock_receipt
         -- as an array, because as a join it could be made again for each row, and lock more than its limit
         WHERE idempotency_key = ANY (ARRAY (
             SELECT idempotency_key FROM restock_receipt
             WHERE received_at < now() - interval '24 hours'
             ORDER BY received_at
             LIMIT $1
             FOR UPDATE SKIP LOCKED))",
    )
    .bind(i64::from(rows_max))
    .execute(pool)
    .await?;
    Ok(forgotten.rows_affected())
}

/// Adds pieces that were received to the stock, and gives how many are available then, and how many were ever received.
pub(crate) async fn add_stock_in_tx(
    conn: &mut PgConnection,
    sku: &Sku,
    pieces: i64,
) -> Result<(i64, i64), InventoryError> {
    let added = sqlx::query_as(
        "UPDATE stock SET available = available + $2, received = received + $2 WHERE sku = $1
         RETURNING available, received",
    )
    .bind(sku.as_str())
    .bind(pieces)
    .fetch_optional(conn)
    .await?;
    added.ok_or_else(|| InventoryError::UnknownProduct(sku.clone()))
}

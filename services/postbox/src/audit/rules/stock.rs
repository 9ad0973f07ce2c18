//! 5: available + reserved + sold = received; available ≥ 0. And the pieces that are reserved and sold are those of the
//! reservations, and those that were received are those of the newest delivery in the operator log: a count that adds up may still
//! be wrong.

use super::Finding;
use crate::audit::sources::{Sources, unread};
use crate::failure::Failure;

#[derive(sqlx::FromRow)]
struct Product {
    sku: String,
    available: i64,
    reserved: i64,
    sold: i64,
    received: i64,
    held_lines: i64,
    settled_lines: i64,
    noted_received: Option<i64>,
}

/// One statement, hence one picture of all tables.
///
/// A product that has no delivery in the log was stocked when its catalogue was seeded, or before there was a log.
pub async fn adds_up(sources: &Sources, finding: &mut Finding) -> Result<(), Failure> {
    let pool = sources.database("inventory")?;
    let mut tx = pool.begin().await.map_err(unread("inventory"))?;
    let products: i64 =
        sqlx::query_scalar("SELECT count(*) FROM stock").fetch_one(&mut *tx).await.map_err(unread("inventory"))?;
    let wrong: Vec<Product> = sqlx::query_as(
        "WITH line AS (
             SELECT line.sku, sum(line.quantity) FILTER (WHERE state = 'HELD') AS held,
                 sum(line.quantity) FILTER (WHERE state = 'SETTLED') AS settled
             FROM reservation CROSS JOIN jsonb_to_recordset(lines) AS line(sku text, quantity bigint)
             WHERE state IN ('HELD', 'SETTLED')
             GROUP BY line.sku
         ), noted AS (
             SELECT DISTINCT ON (object) substr(object, length('product/') + 1) AS sku,
                 (detail #>> '{received,after}')::bigint AS noted_received
             FROM operator_log
             WHERE action = 'restock'
             ORDER BY object, id DESC
         ), product AS (
             SELECT sku, available, reserved, sold, received, coalesce(held, 0)::bigint AS held_lines,
                 coalesce(settled, 0)::bigint AS settled_lines, noted_received
             FROM stock LEFT JOIN line USING (sku) LEFT JOIN noted USING (sku)
         )
         SELECT sku, available, reserved, sold, received, held_lines, settled_lines, noted_received
         FROM product
         WHERE available + reserved + sold <> received OR available < 0
             OR reserved <> held_lines OR sold <> settled_lines OR received <> noted_received
         ORDER BY sku LIMIT 100000",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(unread("inventory"))?;
    tx.rollback().await.map_err(unread("inventory"))?;
    finding.checked += u64::try_from(products).unwrap_or_default();
    for product in wrong {
        let Product { sku, available, reserved, sold, received, held_lines, settled_lines, noted_received } = product;
        let noted =
            noted_received.map(|noted| format!("; by the operator log {noted} were received")).unwrap_or_default();
        finding.suspect(
            None,
            format!("product {sku}"),
            format!(
                "available {available} + reserved {reserved} + sold {sold}, received {received}; \
             reservations hold {held_lines} and have sold {settled_lines}{noted}"
            ),
        );
    }
    Ok(())
}

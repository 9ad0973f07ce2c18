//! 5: available + reserved + sold = received; available ≥ 0. And the pieces that are reserved and sold are those of the
//! reservations: a count that adds up may still be wrong.

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
}

/// One statement, hence one picture of both tables.
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
         ), product AS (
             SELECT sku, available, reserved, sold, received, coalesce(held, 0)::bigint AS held_lines,
                 coalesce(settled, 0)::bigint AS settled_lines
             FROM stock LEFT JOIN line USING (sku)
         )
         SELECT sku, available, reserved, sold, received, held_lines, settled_lines
         FROM product
         WHERE available + reserved + sold <> received OR available < 0
             OR reserved <> held_lines OR sold <> settled_lines
         ORDER BY sku LIMIT 100000",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(unread("inventory"))?;
    tx.rollback().await.map_err(unread("inventory"))?;
    finding.checked += u64::try_from(products).unwrap_or_default();
    for product in wrong {
        let Product { sku, available, reserved, sold, received, held_lines, settled_lines } = product;
        finding.suspect(
            None,
            format!("product {sku}"),
            format!(
                "available {available} + reserved {reserved} + sold {sold}, received {received}; \
             reservations hold {held_lines} and have sold {settled_lines}"
            ),
        );
    }
    Ok(())
}

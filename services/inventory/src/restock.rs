//! Receiving deliveries of stock.

use contracts::{ids::Sku, inventory::v1 as proto};
use operator_log::{Action, Operator, note_in_tx};
use sqlx::PgPool;
use tracing::info;

use crate::{
    InventoryError,
    store::{self, Recorded},
};

/// The most pieces of one delivery.
const QUANTITY_MAX: i64 = 1_000_000_000;

/// One delivery of one product. It counts once, by its key, which is known for 24 hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    idempotency_key: String,
    sku: Sku,
    quantity: i64,
}

impl Delivery {
    /// A key is 8 to 100 printable ASCII characters and names one delivery among all; a delivery has 1 to
    /// 1,000,000,000 pieces.
    pub fn new(idempotency_key: String, sku: Sku, quantity: i64) -> Result<Self, InventoryError> {
        let printable = idempotency_key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !printable || !(8..=100).contains(&idempotency_key.len()) {
            return Err(InventoryError::invalid("idempotency_key", "a key is 8 to 100 printable ASCII characters"));
        }
        if !(1..=QUANTITY_MAX).contains(&quantity) {
            let detail = format!("a delivery has 1 to {QUANTITY_MAX} pieces, not {quantity}");
            return Err(InventoryError::invalid("quantity", detail));
        }
        Ok(Self { idempotency_key, sku, quantity })
    }

    /// What names it.
    pub fn idempotency_key(&self) -> &str {
        &self.idempotency_key
    }

    /// Which product.
    pub fn sku(&self) -> &Sku {
        &self.sku
    }

    /// How many pieces.
    pub fn quantity(&self) -> i64 {
        self.quantity
    }
}

impl TryFrom<proto::RestockRequest> for Delivery {
    type Error = InventoryError;

    fn try_from(request: proto::RestockRequest) -> Result<Self, InventoryError> {
        let sku = request.sku.try_into().map_err(InventoryError::in_field("sku"))?;
        Self::new(request.idempotency_key, sku, request.quantity)
    }
}

/// Whether a delivery changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restocked {
    /// It was counted.
    Now,
    /// It had been counted before.
    Before,
}

/// Counts a delivery, once by its key. A key that named another delivery is refused.
pub async fn restock(pool: &PgPool, delivery: &Delivery, operator: Operator) -> Result<Restocked, InventoryError> {
    let mut tx = pool.begin().await?;
    match store::record_receipt_in_tx(&mut tx, delivery).await? {
        Recorded::Now => {
            let Delivery { sku, quantity, .. } = delivery;
            let (available, received) = store::add_stock_in_tx(&mut tx, sku, *quantity).await?;
            let action = Action::new(operator, "restock", format!("product/{sku}"))
                .with("quantity", *quantity)
                .changed("available", available - quantity, available)
                .changed("received", received - quantity, received);
            note_in_tx(&mut tx, &action).await?;
            tx.commit().await?;
            info!(%sku, quantity, %operator, "restocked");
            Ok(Restocked::Now)
        }
        Recorded::Before => {
            let (sku, quantity) = store::find_receipt(&mut tx, delivery.idempotency_key()).await?;
            tx.rollback().await?;
            if sku == delivery.sku.as_str() && quantity == delivery.quantity {
                Ok(Restocked::Before)
            } else {
                Err(InventoryError::KeyReused { sku, quantity })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(key: &str, quantity: i64) -> Result<Delivery, InventoryError> {
        Delivery::new(key.to_owned(), "mug".parse().unwrap(), quantity)
    }

    #[test]
    fn a_key_is_8_to_100_printable_ascii_characters() {
        for right in ["12345678", "with a space", &"x".repeat(100)] {
            assert!(delivery(right, 1).is_ok(), "{right}");
        }
        for wrong in ["", "1234567", "1234567\n", "schlüssel", &"x".repeat(101)] {
            assert!(delivery(wrong, 1).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_delivery_has_1_to_1_000_000_000_pieces() {
        for (quantity, right) in [(0, false), (-1, false), (1, true), (1_000_000_000, true), (1_000_000_001, false)] {
            assert_eq!(delivery("delivery-1", quantity).is_ok(), right, "{quantity}");
        }
    }
}

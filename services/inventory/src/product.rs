//! What is sold: the entity and its limits.

use contracts::{ids::Sku, inventory::v1 as proto, money::Money};

use crate::InventoryError;

/// The highest price of one piece, in minor units. An order of the most lines with the most pieces each at this price
/// has a total that fits 64 bits, so totals never overflow.
pub const PRICE_MINOR_MAX: i64 = 1_000_000_000_000;

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 200;

/// What an operator says about a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductDetails {
    sku: Sku,
    name: String,
    price: Money,
}

impl ProductDetails {
    /// A name has 1 to 200 characters and no control characters; a price is at most [`PRICE_MINOR_MAX`].
    pub fn new(sku: Sku, name: String, price: Money) -> Result<Self, InventoryError> {
        if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX || name.contains(char::is_control) {
            let detail = format!("a name has 1 to {NAME_CHARS_MAX} characters, not only spaces, no control characters");
            return Err(InventoryError::invalid("name", detail));
        }
        if price.minor_units() > PRICE_MINOR_MAX {
            return Err(InventoryError::invalid("price", format!("a price is at most {PRICE_MINOR_MAX} minor units")));
        }
        Ok(Self { sku, name, price })
    }

    /// What it is ordered by.
    pub fn sku(&self) -> &Sku {
        &self.sku
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Of one piece.
    pub fn price(&self) -> Money {
        self.price
    }
}

impl TryFrom<proto::PutProductRequest> for ProductDetails {
    type Error = InventoryError;

    fn try_from(request: proto::PutProductRequest) -> Result<Self, InventoryError> {
        let sku = request.sku.parse().map_err(InventoryError::in_field("sku"))?;
        let price = request.price.try_into().map_err(InventoryError::in_field("price"))?;
        Self::new(sku, request.name, price)
    }
}

/// A product as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// What an operator said about it.
    pub details: ProductDetails,
    /// Pieces that can be ordered now.
    pub available: i64,
    /// Counts changes of name and price, from 1.
    pub version: i64,
}

impl From<Product> for proto::Product {
    fn from(product: Product) -> Self {
        let ProductDetails { sku, name, price } = product.details;
        Self {
            sku: sku.to_string(),
            name,
            price: Some(price.into()),
            available: product.available,
            version: product.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::{ids::Quantity, money::Currency};

    use super::*;
    use crate::reservation::LINES_MAX;

    fn details(name: &str, price_minor: i64) -> Result<ProductDetails, InventoryError> {
        let price = Money::new(price_minor, Currency::EUR).unwrap();
        ProductDetails::new("mug".parse().unwrap(), name.to_owned(), price)
    }

    #[test]
    fn a_name_has_1_to_200_printable_characters() {
        for right in ["M", "Becher für Kaffee", &"ä".repeat(200)] {
            assert!(details(right, 1).is_ok(), "{right}");
        }
        for wrong in ["", "  ", "a\0b", "a\nb", &"x".repeat(201)] {
            assert!(details(wrong, 1).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_price_has_a_limit_under_which_no_total_overflows() {
        assert!(details("Mug", 0).is_ok());
        assert!(details("Mug", PRICE_MINOR_MAX).is_ok());
        assert!(details("Mug", PRICE_MINOR_MAX + 1).is_err());
        let line = Money::new(PRICE_MINOR_MAX, Currency::EUR).unwrap().times(Quantity::MAX).unwrap();
        assert!((1..LINES_MAX).try_fold(line, |total, _| total.plus(line)).is_ok());
    }
}

//! What was sold, as operators see it.

use contracts::{
    analytics::v1::{ProductSales, Sales},
    timestamp_from_proto,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::money_json::MoneyJson;

/// What happened in one window of time, in one currency.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Sales")]
pub struct SalesJson {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    orders: i64,
    revenue: Option<MoneyJson>,
    cancelled_orders: i64,
    refunded: Option<MoneyJson>,
}

impl From<Sales> for SalesJson {
    fn from(sales: Sales) -> Self {
        let Sales { from, to, orders, revenue, cancelled_orders, refunded } = sales;
        Self {
            from: from.as_ref().and_then(timestamp_from_proto),
            to: to.as_ref().and_then(timestamp_from_proto),
            orders,
            revenue: revenue.map(Into::into),
            cancelled_orders,
            refunded: refunded.map(Into::into),
        }
    }
}

/// How well one product sold, in one currency.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ProductSales")]
pub struct ProductSalesJson {
    sku: String,
    quantity: i64,
    revenue: Option<MoneyJson>,
}

impl From<ProductSales> for ProductSalesJson {
    fn from(sales: ProductSales) -> Self {
        let ProductSales { sku, quantity, revenue } = sales;
        Self { sku, quantity, revenue: revenue.map(Into::into) }
    }
}

#[cfg(test)]
mod tests {
    use contracts::{money::v1::Money, timestamp_to_proto};
    use serde_json::json;

    use super::*;

    #[test]
    fn sales_look_as_promised() {
        let at = |text: &str| Some(timestamp_to_proto(text.parse().unwrap()));
        let money = |amount_minor| Some(Money { amount_minor, currency: "EUR".to_owned() });
        let sales = Sales {
            from: at("2026-11-21T09:00:00Z"),
            to: at("2026-11-21T09:01:00Z"),
            orders: 3,
            revenue: money(3750),
            cancelled_orders: 1,
            refunded: money(1250),
        };
        let expected = json!({
            "from": "2026-11-21T09:00:00Z",
            "to": "2026-11-21T09:01:00Z",
            "orders": 3,
            "revenue": {"amount_minor": 3750, "currency": "EUR"},
            "cancelled_orders": 1,
            "refunded": {"amount_minor": 1250, "currency": "EUR"},
        });
        assert_eq!(serde_json::to_value(SalesJson::from(sales)).unwrap(), expected);

        let product = ProductSales { sku: "mug".to_owned(), quantity: 3, revenue: money(3750) };
        let expected = json!({"sku": "mug", "quantity": 3, "revenue": {"amount_minor": 3750, "currency": "EUR"}});
        assert_eq!(serde_json::to_value(ProductSalesJson::from(product)).unwrap(), expected);
    }
}

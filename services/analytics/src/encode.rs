//! What is told on the telephone, made of rows; and positions, which callers give back.

use contracts::{
    analytics::v1::{ProductSales, Sales, SalesPosition, TimelineEntry},
    money::v1::Money,
    timestamp_to_proto,
};

use crate::{
    AnalyticsError,
    span::Window,
    store::{Position, ProductRow, SalesRow, TimelineRow},
};

/// What happened in a window.
pub(crate) fn sales(window: Window, row: SalesRow) -> Sales {
    let from = row.start.to_jiff();
    Sales {
        from: Some(timestamp_to_proto(from)),
        to: Some(timestamp_to_proto(window.end_from(from))),
        orders: row.orders,
        revenue: Some(Money { amount_minor: row.revenue_minor, currency: row.currency.clone() }),
        cancelled_orders: row.cancelled_orders,
        refunded: Some(Money { amount_minor: row.refunded_minor, currency: row.currency }),
    }
}

impl From<ProductRow> for ProductSales {
    fn from(row: ProductRow) -> Self {
        let revenue = Some(Money { amount_minor: row.revenue_minor, currency: row.currency });
        Self { sku: row.sku, quantity: row.quantity, revenue }
    }
}

impl From<TimelineRow> for TimelineEntry {
    fn from(row: TimelineRow) -> Self {
        Self {
            event_id: row.event_id.to_string(),
            event_type: row.event_type,
            source: row.source,
            time: Some(timestamp_to_proto(row.occurred_at.to_jiff())),
            sequence: row.sequence,
            data_json: row.data_json,
        }
    }
}

impl From<Position> for SalesPosition {
    fn from(Position { generation, change }: Position) -> Self {
        Self { generation, change }
    }
}

impl TryFrom<SalesPosition> for Position {
    type Error = AnalyticsError;

    fn try_from(SalesPosition { generation, change }: SalesPosition) -> Result<Self, AnalyticsError> {
        if generation < 0 || change < 0 {
            return Err(AnalyticsError::invalid("after", "this is no position: none has a negative number"));
        }
        Ok(Self { generation, change })
    }
}

//! The calls that analytics answers: decode, look, encode.

use contracts::{
    analytics::v1::{
        self as proto, GetSalesRequest, GetSalesResponse, GetTimelineRequest, GetTimelineResponse, ProductSales, Sales,
        TimelineEntry, TopProductsRequest, TopProductsResponse, analytics_service_server::AnalyticsService,
    },
    ids::{InvalidId, OrderId},
    money::v1::Money,
    timestamp_from_proto, timestamp_to_proto,
};
use jiff::Timestamp;
use tonic::{Request, Response, Status};

use crate::{
    AnalyticsError, Deps,
    span::{Span, Window},
    store::{self, ProductRow, SalesRow, TimelineRow},
};

/// The most windows of one answer: a day of minutes and an hour, or two months of hours.
const SALES_WINDOWS_MAX: u32 = 1_500;

/// The longest span that products are summed over, in minutes: as many hours as can be asked for.
const PRODUCT_MINUTES_MAX: u32 = 60 * SALES_WINDOWS_MAX;

/// The most products of one answer.
const PRODUCTS_MAX: u32 = 100;

/// The most letters of one answer. An order has some twenty in its whole life.
const TIMELINE_ENTRIES_MAX: i64 = 1_000;

/// Answers calls from its database.
#[derive(Debug)]
pub(crate) struct Analytics {
    deps: Deps,
}

impl Analytics {
    pub(crate) fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

#[tonic::async_trait]
impl AnalyticsService for Analytics {
    async fn get_sales(&self, request: Request<GetSalesRequest>) -> Result<Response<GetSalesResponse>, Status> {
        let request = request.into_inner();
        let window = match request.window() {
            proto::Window::Unspecified | proto::Window::Minute => Window::Minute,
            proto::Window::Hour => Window::Hour,
        };
        let (from, to) = (time("from", request.from)?, time("to", request.to)?);
        let span = Span::new(window, from, to, self.deps.clock.now(), SALES_WINDOWS_MAX)?;
        let pool = self.deps.pool.clone();
        let found = rpc::uncut(&self.deps.shutdown, async move {
            Ok(store::sales(&pool, window, span).await.map_err(AnalyticsError::from)?)
        });
        let items = found.await?.into_iter().map(|row| sales(window, row)).collect();
        Ok(Response::new(GetSalesResponse { items }))
    }

    async fn top_products(
        &self,
        request: Request<TopProductsRequest>,
    ) -> Result<Response<TopProductsResponse>, Status> {
        let TopProductsRequest { from, to, limit } = request.into_inner();
        if !(1..=PRODUCTS_MAX).contains(&limit) {
            return Err(AnalyticsError::invalid("limit", format!("must be 1 to {PRODUCTS_MAX}")).into());
        }
        let (from, to) = (time("from", from)?, time("to", to)?);
        let span = Span::new(Window::Minute, from, to, self.deps.clock.now(), PRODUCT_MINUTES_MAX)?;
        let pool = self.deps.pool.clone();
        let found = rpc::uncut(&self.deps.shutdown, async move {
            Ok(store::top_products(&pool, span, limit).await.map_err(AnalyticsError::from)?)
        });
        Ok(Response::new(TopProductsResponse { items: found.await?.into_iter().map(Into::into).collect() }))
    }

    async fn get_timeline(
        &self,
        request: Request<GetTimelineRequest>,
    ) -> Result<Response<GetTimelineResponse>, Status> {
        let order_id = &request.get_ref().order_id;
        let order: OrderId =
            order_id.parse().map_err(|error: InvalidId| AnalyticsError::invalid("order_id", error.to_string()))?;
        let pool = self.deps.pool.clone();
        let found = rpc::uncut(&self.deps.shutdown, async move {
            Ok(store::timeline(&pool, order, TIMELINE_ENTRIES_MAX).await.map_err(AnalyticsError::from)?)
        });
        Ok(Response::new(GetTimelineResponse { items: found.await?.into_iter().map(Into::into).collect() }))
    }
}

/// The time in a field, if there is one.
fn time(field: &'static str, proto: Option<prost_types::Timestamp>) -> Result<Option<Timestamp>, AnalyticsError> {
    let read = |proto| timestamp_from_proto(proto).ok_or_else(|| AnalyticsError::invalid(field, "this is no time"));
    proto.as_ref().map(read).transpose()
}

fn sales(window: Window, row: SalesRow) -> Sales {
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

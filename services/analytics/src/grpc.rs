//! The calls that analytics answers: decode, look, encode.

use contracts::{
    analytics::v1::{
        self as proto, GetSalesRequest, GetSalesResponse, GetTimelineRequest, GetTimelineResponse, TopProductsRequest,
        TopProductsResponse, WatchSalesRequest, analytics_service_server::AnalyticsService,
    },
    ids::{InvalidId, OrderId},
    timestamp_from_proto,
};
use jiff::Timestamp;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{
    AnalyticsError, Deps, encode,
    span::{Span, Window},
    store::{self, Position},
    watch::{self, Change, Watches},
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
    watches: Watches,
}

impl Analytics {
    pub(crate) fn new(deps: Deps, watches: Watches) -> Self {
        Self { deps, watches }
    }
}

#[tonic::async_trait]
impl AnalyticsService for Analytics {
    type WatchSalesStream = ReceiverStream<Change>;

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
        let items = found.await?.into_iter().map(|row| encode::sales(window, row)).collect();
        Ok(Response::new(GetSalesResponse { items }))
    }

    async fn watch_sales(
        &self,
        request: Request<WatchSalesRequest>,
    ) -> Result<Response<Self::WatchSalesStream>, Status> {
        let after = request.into_inner().after.map(Position::try_from).transpose()?;
        let (deps, watches) = (self.deps.clone(), self.watches.clone());
        let changes = rpc::uncut(&self.deps.shutdown, async move { Ok(watch::watch(&deps, &watches, after).await?) });
        Ok(Response::new(ReceiverStream::new(changes.await?)))
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

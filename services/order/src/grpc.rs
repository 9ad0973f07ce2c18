//! The order path starts here: decode, call, encode.

use contracts::{
    ids::{AccountId, OrderId},
    order::v1::{
        CancelOrderRequest, CancelOrderResponse, GetOrderRequest, GetOrderResponse, GetPaymentInstructionRequest,
        GetPaymentInstructionResponse, ListOrdersRequest, ListOrdersResponse, OrderStatus,
        PlaceOrder as PlaceOrderMessage, PlaceOrdersRequest, PlaceOrdersResponse, Viewer as ViewerMessage,
        WatchOrderRequest, WatchOrderResponse, cancel_order_response::Outcome as CancelOutcome, decided_answer::Answer,
        order_service_server::OrderService, place_orders_response::Outcome, viewer::Who,
    },
    problem::v1::Problem,
};
use rpc::{Outcomes, Traced};
use service_runtime::telemetry;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{
    Deps,
    cancel_order::{CancelOrder, cancel_order},
    encode,
    error::OrderError,
    payment_instruction::payment_instruction,
    place_order::{PlaceOrder, Placed, place_order},
    store::{self, Page, Viewer},
    watch,
};

/// The longest list of orders.
const PAGE_MAX: u32 = 100;

/// Answers calls to order.
#[derive(Debug, Clone)]
pub struct OrderApi {
    deps: Deps,
}

impl OrderApi {
    /// Answers with these.
    pub const fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

#[tonic::async_trait]
impl OrderService for OrderApi {
    type PlaceOrdersStream = Outcomes<PlaceOrdersResponse>;
    type WatchOrderStream = ReceiverStream<Result<WatchOrderResponse, Status>>;

    async fn place_orders(
        &self,
        request: Request<PlaceOrdersRequest>,
    ) -> Result<Response<Self::PlaceOrdersStream>, Status> {
        let traced = |mut item: PlaceOrderMessage| {
            let traceparent = std::mem::take(&mut item.traceparent);
            Traced { item, traceparent }
        };
        let items = request.into_inner().items.into_iter().map(traced).collect();
        rpc::traced_outcomes(&self.deps.shutdown, "order.v1.OrderService/PlaceOrders", items, |item| {
            let deps = self.deps.clone();
            async move { place_one(&deps, item).await }
        })
    }

    async fn get_order(&self, request: Request<GetOrderRequest>) -> Result<Response<GetOrderResponse>, Status> {
        let request = request.into_inner();
        let viewer = viewer(request.viewer)?;
        let id = order_id(&request.order_id)?;
        let pool = self.deps.pool.clone();
        let found = rpc::uncut(&self.deps.shutdown, async move { Ok(store::find(&pool, id, viewer).await?) }).await?;
        let order = found.ok_or(OrderError::NotFound(id))?.order;
        Ok(Response::new(GetOrderResponse { order: Some(encode::order(&order)) }))
    }

    async fn cancel_order(
        &self,
        request: Request<CancelOrderRequest>,
    ) -> Result<Response<CancelOrderResponse>, Status> {
        let command = CancelOrder::try_from(request.into_inner())?;
        let deps = self.deps.clone();
        let answer = rpc::uncut(&self.deps.shutdown, async move {
            Ok(cancel_order(&deps, command).await.unwrap_or_else(|error| CancelOrderResponse {
                replayed: false,
                outcome: Some(CancelOutcome::Refused(problem(&error))),
            }))
        });
        Ok(Response::new(answer.await?))
    }

    async fn watch_order(
        &self,
        request: Request<WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let request = request.into_inner();
        let (id, viewer) = (order_id(&request.order_id)?, viewer(request.viewer)?);
        if request.after_version < 0 {
            return Err(OrderError::invalid("after_version", "versions count from 1; 0 is before the first").into());
        }
        let deps = self.deps.clone();
        let changes = rpc::uncut(&self.deps.shutdown, async move {
            Ok(watch::watch(&deps, id, viewer, request.after_version).await?)
        });
        Ok(Response::new(ReceiverStream::new(changes.await?)))
    }

    async fn get_payment_instruction(
        &self,
        request: Request<GetPaymentInstructionRequest>,
    ) -> Result<Response<GetPaymentInstructionResponse>, Status> {
        let id = order_id(&request.into_inner().order_id)?;
        let deps = self.deps.clone();
        let instruction = rpc::uncut(&self.deps.shutdown, async move { Ok(payment_instruction(&deps, id).await?) });
        Ok(Response::new(GetPaymentInstructionResponse { instruction: Some(instruction.await?) }))
    }

    async fn list_orders(&self, request: Request<ListOrdersRequest>) -> Result<Response<ListOrdersResponse>, Status> {
        let page = page(&request.into_inner())?;
        let limit = page.limit;
        let pool = self.deps.pool.clone();
        // one more than asked for tells whether there is another page
        let page = Page { limit: limit + 1, ..page };
        let mut orders = rpc::uncut(&self.deps.shutdown, async move { Ok(store::list(&pool, &page).await?) }).await?;
        let limit = usize::try_from(limit).expect("at most 100");
        let more = orders.len() > limit;
        orders.truncate(limit);
        let next_cursor = if more { orders.last().map(|order| order.id.to_string()) } else { None };
        Ok(Response::new(ListOrdersResponse {
            items: orders.iter().map(encode::order).collect(),
            next_cursor: next_cursor.unwrap_or_default(),
        }))
    }
}

async fn place_one(deps: &Deps, item: PlaceOrderMessage) -> PlaceOrdersResponse {
    let requested_order_id = item.order_id.clone();
    let placed = match PlaceOrder::try_from(item) {
        Ok(command) => place_order(deps, command).await,
        Err(error) => Err(error),
    };
    let (outcome, replayed) = match placed {
        Ok(Placed { answer, replayed }) => (outcome(answer), replayed),
        Err(error) => (Outcome::Refused(problem(&error)), false),
    };
    PlaceOrdersResponse { requested_order_id, replayed, outcome: Some(outcome) }
}

fn outcome(answer: Answer) -> Outcome {
    match answer {
        Answer::Placed(order) => Outcome::Placed(order),
        Answer::Accepted(order) => Outcome::Accepted(order),
        Answer::Refused(problem) => Outcome::Refused(problem),
    }
}

fn problem(error: &OrderError) -> Problem {
    Problem {
        code: error.code().word().to_owned(),
        detail: error.detail(),
        trace_id: telemetry::trace_id(),
        order_id: String::new(),
    }
}

/// An order's id.
pub fn order_id(text: &str) -> Result<OrderId, OrderError> {
    text.parse().map_err(|error| invalid("order_id", error))
}

/// The account behind a viewer.
pub fn account_of(message: Option<&ViewerMessage>) -> Result<AccountId, OrderError> {
    let account = match message.and_then(|viewer| viewer.who.as_ref()) {
        Some(Who::CustomerId(id)) => id,
        Some(Who::Operator(operator)) => &operator.account_id,
        None => return Err(OrderError::invalid("viewer", "a request names its viewer")),
    };
    account.parse().map_err(|error| invalid("viewer", error))
}

/// On whose behalf something is read or done.
pub fn viewer(message: Option<ViewerMessage>) -> Result<Viewer, OrderError> {
    match message.and_then(|viewer| viewer.who) {
        Some(Who::CustomerId(id)) => Ok(Viewer::Customer(id.parse().map_err(|error| invalid("viewer", error))?)),
        Some(Who::Operator(_)) => Ok(Viewer::Operator),
        None => Err(OrderError::invalid("viewer", "a read names its viewer")),
    }
}

fn page(request: &ListOrdersRequest) -> Result<Page, OrderError> {
    if !(1..=PAGE_MAX).contains(&request.limit) {
        return Err(OrderError::invalid("limit", format!("a page has 1 to {PAGE_MAX} orders")));
    }
    let customer_id = (!request.customer_id.is_empty()).then(|| request.customer_id.parse::<AccountId>());
    Ok(Page {
        viewer: viewer(request.viewer.clone())?,
        customer_id: customer_id.transpose().map_err(|error| invalid("customer_id", error))?,
        status: match OrderStatus::try_from(request.status) {
            Ok(OrderStatus::Unspecified) => None,
            Ok(status) => Some(status),
            Err(_) => return Err(OrderError::invalid("status", "there is no such status")),
        },
        before: before(&request.cursor)?,
        limit: request.limit,
    })
}

/// The order before which a page begins, if it is not the first. A cursor has the one spelling in which it was given: an id has others.
fn before(cursor: &str) -> Result<Option<OrderId>, OrderError> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let id = cursor.parse::<OrderId>().ok().filter(|id| id.to_string() == cursor);
    id.map(Some).ok_or_else(|| OrderError::invalid("cursor", "this cursor was not given by us"))
}

#[expect(clippy::needless_pass_by_value, reason = "a function for map_err")]
fn invalid(field: &'static str, error: contracts::ids::InvalidId) -> OrderError {
    OrderError::invalid(field, error.to_string())
}

#[cfg(test)]
mod fuzz;

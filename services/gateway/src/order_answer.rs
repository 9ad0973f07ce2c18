//! Answers that order decides: when they have to come, how an order is told, and what is told when no answer came.

use std::time::Duration;

use axum::{
    Json,
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use contracts::{order::v1::Order, problem::ProblemCode};
use tokio::time::Instant;
use tonic::Status;
use tracing::warn;

use crate::{order_json::OrderJson, problem::Problem};

/// When the client has its answer at the latest, counted from the last byte of its request.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// How much sooner order answers, so that its answer is here in time.
const MARGIN: Duration = Duration::from_millis(200);

/// When a request that order decides is answered at the latest.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline of a request whose last byte came at `arrived_at`.
    pub fn of(arrived_at: Instant) -> Self {
        Self(arrived_at + ANSWER_TIME_MAX)
    }

    /// How long the gateway waits from now on.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// How long order may take from now on, in milliseconds. A second try has less time than the first.
    pub fn budget_ms(self) -> u32 {
        u32::try_from(self.left().saturating_sub(MARGIN).as_millis()).expect("less than 5 s")
    }
}

/// The order, and where it is found from now on.
pub fn answer_with(status: StatusCode, order: Order) -> Response {
    let location = format!("/v1/orders/{}", order.order_id);
    (status, [(LOCATION, location)], Json(OrderJson::from(order))).into_response()
}

/// What order could not be asked, or did not say, may still have happened: the client must come again with its key.
/// `what` may have happened, like "the order was taken".
pub fn no_answer(status: Status, what: &str) -> Problem {
    match rpc::problem_of(&status) {
        ProblemCode::Unavailable | ProblemCode::DeadlineExceeded | ProblemCode::Internal => {
            warn!(%status, "order gave no answer");
            if rpc::was_not_sent(&status) { not_heard() } else { same_key(what) }
        }
        _ => status.into(),
    }
}

/// It has not happened: order was not asked.
fn not_heard() -> Problem {
    let detail = "this request has reached nobody and changed nothing; send it again with the same key";
    Problem::new(ProblemCode::Unavailable, detail)
}

/// Nobody knows yet whether it happened.
pub fn same_key(what: &str) -> Problem {
    let detail = format!("nobody knows yet whether {what}; send the same request with the same key again");
    Problem::new(ProblemCode::Unavailable, detail)
}

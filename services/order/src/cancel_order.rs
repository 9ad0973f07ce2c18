//! Cancelling an order: commit that it is being cancelled, then take back what was done, then answer.

use std::time::Duration;

use contracts::{
    order::v1::{CancelOrderRequest, CancelOrderResponse, OrderStatus, cancel_order_response::Outcome},
    problem::{ProblemCode, v1::Problem},
};
use operator_log::{Action, Operator, note_in_tx};
use service_runtime::telemetry;
use tokio::time::Instant;
use tracing::warn;

use crate::{
    Deps,
    carry_on::carry_on_for_caller,
    encode,
    error::OrderError,
    grpc,
    hear::hear,
    keep::keep_in_tx,
    kill_points,
    order::{Change, Order},
    place_order::{self, FIRST_DEADLINE},
    saga::{Fact, State},
    store::{
        self, Attempt, Kept, Viewer,
        cancel_requests::{self, CancelKey},
    },
};

/// Kept back from the caller's budget, so that our answer arrives before the caller gives up.
const ANSWER_MARGIN: Duration = Duration::from_millis(50);

/// How long a key is known.
const KEYS_KEPT: Duration = Duration::from_hours(24);

/// How often old keys are forgotten, and how many at a time.
const FORGET_EVERY: Duration = Duration::from_mins(10);
const FORGET_MAX: u64 = 1_000;

/// A request to cancel, every value a right one.
#[derive(Debug, Clone)]
pub struct CancelOrder {
    /// Which order, by whom, under which key.
    pub key: CancelKey,
    /// Whose orders the requester may see.
    pub viewer: Viewer,
    /// How long the caller waits.
    pub budget: Duration,
}

/// Where a request to cancel has led.
enum Asked {
    /// What was done is being taken back; the order as it was kept.
    Going(Box<Kept>),
    /// There is nothing to take back.
    Answered(Box<CancelOrderResponse>),
}

/// Cancels an order, or tells why it cannot be. What is not done when the caller's time is over goes on by itself; the
/// answer then is the order, CANCELLING.
pub async fn cancel_order(deps: &Deps, command: CancelOrder) -> Result<CancelOrderResponse, OrderError> {
    let CancelOrder { key, viewer, budget } = command;
    let until = Instant::now() + budget.min(FIRST_DEADLINE).saturating_sub(ANSWER_MARGIN);
    let earlier = cancel_requests::find(&deps.pool, &key).await?;
    let is_known = earlier.is_some();
    if let Some(earlier) = earlier {
        match earlier.answer {
            Some(answer) => return Ok(CancelOrderResponse { replayed: true, ..answer }),
            None if earlier.is_in_flight => return Err(OrderError::KeyInFlight(key.order_id)),
            None => {}
        }
    }
    let kept = match ask(deps, &key, viewer, is_known).await? {
        Asked::Going(kept) => carry_on_for_caller(deps, *kept, until).await,
        Asked::Answered(answer) => return Ok(*answer),
    };
    if !kept.order.state.is_settled() {
        // the caller's time is over: this must not hold up the answer
        deps.shutdown.spawn_work(land(deps.clone(), key));
        return Ok(response(Outcome::Cancelling(encode::order(&kept.order))));
    }
    settle(deps, &key, &kept.order).await
}

/// From now on a retry is told how the order stands.
async fn land(deps: Deps, key: CancelKey) {
    if let Err(error) = cancel_requests::land(&deps.pool, &key).await {
        // it is not in flight any more when the first deadline has passed
        warn!(order.id = %key.order_id, %error, "a retry may be told for a while that its request is in flight");
    }
}

/// Commits that the order is being cancelled, with the request.
async fn ask(deps: &Deps, key: &CancelKey, viewer: Viewer, is_known: bool) -> Result<Asked, OrderError> {
    // each round that is lost to somebody else has moved the order on, and it does not move for ever
    loop {
        let kept = store::find(&deps.pool, key.order_id, viewer).await?;
        let kept = kept.ok_or(OrderError::NotFound(key.order_id))?;
        let mut tx = deps.pool.begin().await?;
        if !cancel_requests::insert_in_tx(&mut tx, key, FIRST_DEADLINE).await? && !is_known {
            tx.rollback().await?;
            return Err(OrderError::KeyInFlight(key.order_id));
        }
        if let Some(answer) = at_once(&kept.order) {
            cancel_requests::answer_in_tx(&mut tx, key.order_id, &answer).await?;
            tx.commit().await?;
            return Ok(Asked::Answered(Box::new(answer)));
        }
        let Change::Advanced(cancelling) = hear(&kept.order, &Fact::CancelAsked.into()) else {
            // somebody else has cancelled it and is not done yet
            tx.commit().await?;
            return Ok(Asked::Going(Box::new(kept)));
        };
        // recovery comes when our caller's time is over
        let attempt = Attempt::After(FIRST_DEADLINE);
        let before = kept.order.state;
        if let Some(kept) = keep_in_tx(&mut tx, deps.clock, &kept, &cancelling, None, attempt).await? {
            if let Viewer::Operator = viewer {
                note_in_tx(&mut tx, &cancel(key, before, kept.order.state)).await?;
            }
            kill_points::before_commit(kept.order.state);
            tx.commit().await?;
            kill_points::after_commit(kept.order.state);
            deps.relay.wake();
            return Ok(Asked::Going(Box::new(kept)));
        }
        tx.rollback().await?;
    }
}

/// What an operator has done who cancels an order. What becomes of it then is order's doing: where the parcel turns out to have left, the order
/// goes back to where it was.
fn cancel(key: &CancelKey, before: State, after: State) -> Action {
    let status = |state: State| state.status().as_str_name().trim_start_matches("ORDER_STATUS_");
    Action::new(Operator::Account(key.requester.as_uuid()), "cancel", format!("order/{}", key.order_id)).changed(
        "status",
        status(before),
        status(after),
    )
}

/// The answer where there is nothing to take back, or it is too late.
fn at_once(order: &Order) -> Option<CancelOrderResponse> {
    if order.is_dispatched() { Some(dispatched()) } else { done(order) }
}

/// The answer to a request whose order is settled. Whoever settled the order has written it, unless that was just before
/// the request was kept.
async fn settle(deps: &Deps, key: &CancelKey, order: &Order) -> Result<CancelOrderResponse, OrderError> {
    let earlier = cancel_requests::find(&deps.pool, key).await?;
    if let Some(answer) = earlier.and_then(|earlier| earlier.answer) {
        return Ok(answer);
    }
    let answer = done(order).unwrap_or_else(dispatched);
    let mut tx = deps.pool.begin().await?;
    cancel_requests::answer_in_tx(&mut tx, order.id, &answer).await?;
    tx.commit().await?;
    Ok(answer)
}

/// What the change of `order` from `before` answers to those who cancel it; `None` when it answers nothing.
pub fn decided_by(before: State, order: &Order) -> Option<CancelOrderResponse> {
    match (before.status(), order.state.status()) {
        (OrderStatus::Cancelling, OrderStatus::Cancelled) => done(order),
        (OrderStatus::Cancelling, OrderStatus::Completed) => Some(dispatched()),
        _ => None,
    }
}

/// The answer to cancelling an order that can change no more, or that is given up for another reason.
fn done(order: &Order) -> Option<CancelOrderResponse> {
    let outcome = match order.state {
        State::GivenUp(_) | State::Refunded if order.state.status() == OrderStatus::Cancelled => {
            Outcome::Cancelled(encode::order(order))
        }
        State::GivenUp(_) | State::Voiding(_) | State::Releasing(_)
            if order.state.status() != OrderStatus::Cancelling =>
        {
            refused(
                ProblemCode::NotCancellable,
                "the order is rejected, or about to be: nothing is charged, nothing is sent",
            )
        }
        _ => return None,
    };
    Some(response(outcome))
}

fn dispatched() -> CancelOrderResponse {
    response(refused(ProblemCode::AlreadyDispatched, "the parcel is on its way; send it back when it has arrived"))
}

fn refused(code: ProblemCode, detail: &str) -> Outcome {
    Outcome::Refused(Problem {
        code: code.word().to_owned(),
        detail: detail.to_owned(),
        trace_id: telemetry::trace_id(),
        order_id: String::new(),
    })
}

const fn response(outcome: Outcome) -> CancelOrderResponse {
    CancelOrderResponse { replayed: false, outcome: Some(outcome) }
}

impl TryFrom<CancelOrderRequest> for CancelOrder {
    type Error = OrderError;

    fn try_from(message: CancelOrderRequest) -> Result<Self, OrderError> {
        place_order::check_key(&message.idempotency_key)?;
        Ok(Self {
            key: CancelKey {
                order_id: grpc::order_id(&message.order_id)?,
                requester: grpc::account_of(message.viewer.as_ref())?,
                idempotency_key: message.idempotency_key,
            },
            viewer: grpc::viewer(message.viewer)?,
            budget: Duration::from_millis(u64::from(message.budget_ms)),
        })
    }
}

/// Forgets old keys, until the end of the process is requested.
pub async fn forget_old_keys(deps: Deps) {
    loop {
        match cancel_requests::forget_old(&deps.pool, KEYS_KEPT, FORGET_MAX).await {
            // there may be more
            Ok(FORGET_MAX) if !deps.shutdown.token().is_cancelled() => continue,
            Ok(_) => {}
            Err(error) => warn!(%error, "old keys of cancels stay for now"),
        }
        tokio::select! {
            () = deps.shutdown.requested() => return,
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
    }
}

//! Orders that have waited too long, and what an operator can do about one. `postbox sagas stuck` is made of it, and the last part of
//! `postbox lag`.
//!
//! | route, on the ops port | |
//! |---|---|
//! | `GET /sagas/stuck?longer_than_seconds&limit&cursor` | orders with something left to do that have not changed for so long (30 s), with what they wait for |
//! | `GET /lag/sagas` | how many orders have something left to do, by where their sagas stand |
//! | `POST /sagas/{order_id}/retry` | recovery takes the order up now |
//! | `POST /sagas/{order_id}/void` | the order's time is over now: it is given up and undone as if it had not been decided by `decide_by` |
//!
//! Neither goes past the saga: a retry asks what the state asks for anyway, and to give up is the fact
//! [`Fact::DeadlinePassed`], kept by compare-and-set. 409 tells why it cannot be.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, Query, State as Given},
    routing::{get, post},
};
use contracts::ids::OrderId;
use jiff::Timestamp;
use operator_log::{Operator, note_in_tx};
use serde::{Deserialize, Serialize};
use service_runtime::operator::{Answer, Page, PageQuery, Refusal, uncut};
use tracing::warn;

use crate::{
    Deps,
    error::OrderError,
    hear::hear,
    keep::keep_in_tx,
    order::{Change, Order, PlacedBy, action},
    saga::{Action, Fact, State},
    store::{
        self, Attempt, Kept,
        stuck::{self, Waiting},
    },
};

/// How long is too long when nobody says.
const LONGER_THAN_SECONDS: u32 = 30;

/// The routes, for [`service_runtime::ops::serve`].
pub fn routes(deps: Deps) -> Router {
    Router::new()
        .route("/sagas/stuck", get(list))
        .route("/lag/sagas", get(by_state))
        .route("/sagas/{order_id}/retry", post(retry))
        .route("/sagas/{order_id}/void", post(void))
        .with_state(deps)
}

#[derive(Debug, Deserialize)]
struct HowLong {
    longer_than_seconds: Option<u32>,
}

/// An order that waits.
#[derive(Debug, Serialize)]
struct StuckOrder {
    order_id: OrderId,
    /// Where the saga stands, as ARCHITECTURE.md draws it.
    state: String,
    /// `telephone` or `letter`.
    placed_by: Option<&'static str>,
    since: Timestamp,
    waiting_seconds: i64,
    /// How often recovery has taken it up since it changed last.
    attempts: i32,
    /// Whom it waits for, and for what.
    waits_for: &'static str,
    /// Why the last attempt came to nothing.
    last_error: Option<String>,
    next_attempt_at: Timestamp,
    /// When it is given up, if it is not decided by then.
    decide_by: Timestamp,
}

/// The orders that have something left to do in one state.
#[derive(Debug, Serialize)]
struct InState {
    state: String,
    #[serde(flatten)]
    backlog: stuck::Backlog,
}

/// An order that somebody did something about.
#[derive(Debug, Serialize)]
struct TakenUp {
    order_id: OrderId,
    state: &'static str,
    waits_for: &'static str,
}

impl From<Waiting> for StuckOrder {
    fn from(waiting: Waiting) -> Self {
        let placed_by = waiting.stands.map(|(_, placed_by)| match placed_by {
            PlacedBy::Telephone => "telephone",
            PlacedBy::Letter => "letter",
        });
        let unreadable = "somebody to look: its row cannot be read";
        Self {
            order_id: waiting.id,
            state: waiting.state_name,
            placed_by,
            since: waiting.since,
            waiting_seconds: waiting.waiting_seconds,
            attempts: waiting.attempts,
            waits_for: waiting.stands.map_or(unreadable, |(state, placed_by)| waits_for(placed_by, state)),
            last_error: waiting.last_error,
            next_attempt_at: waiting.next_attempt_at,
            decide_by: waiting.decide_by,
        }
    }
}

impl From<&Order> for TakenUp {
    fn from(order: &Order) -> Self {
        Self { order_id: order.id, state: order.state.name(), waits_for: waits_for(order.placed_by, order.state) }
    }
}

/// Whom an order waits for, and for what.
fn waits_for(placed_by: PlacedBy, state: State) -> &'static str {
    match (action(placed_by, state), state) {
        (Some(Action::Reserve), _) => "inventory: to reserve the stock",
        (Some(Action::Charge), _) => "payment: to charge the card",
        (Some(Action::Void), _) => "payment: to void the charge",
        (Some(Action::Release), _) => "inventory: to release the stock",
        (Some(Action::Stop), _) => "shipping: to stop the parcel",
        (Some(Action::Refund), _) => "payment: to give the money back",
        (None, State::AwaitingStock) => "a letter of inventory: whether stock is held",
        (None, State::AwaitingPayment) => "a letter of payment: whether it captured the charge",
        (None, _) => "nothing",
    }
}

async fn by_state(Given(deps): Given<Deps>) -> Answer<Page<InState>> {
    let backlog = stuck::backlog(&deps.pool).await?;
    let states = backlog.into_iter().map(|(state, backlog)| InState { state, backlog });
    Ok(axum::Json(Page::whole(states.collect())))
}

async fn list(
    Given(deps): Given<Deps>,
    Query(how_long): Query<HowLong>,
    Query(page): Query<PageQuery>,
) -> Answer<Page<StuckOrder>> {
    let longer_than = how_long.longer_than_seconds.unwrap_or(LONGER_THAN_SECONDS);
    let (limit, after) = (page.limit()?, page.cursor()?);
    uncut(async move {
        let longer_than = Duration::from_secs(longer_than.into());
        let waiting = stuck::list(&deps.pool, longer_than, after, limit).await?;
        Ok(Page::of(waiting.into_iter().map(StuckOrder::from).collect(), limit, |order| order.order_id))
    })
    .await
}

async fn retry(Given(deps): Given<Deps>, Path(id): Path<String>) -> Answer<TakenUp> {
    uncut(async move {
        let order = find(&deps, &id).await?.order;
        if order.action().is_none() {
            let why = match order.state {
                State::AwaitingStock | State::AwaitingPayment => {
                    "only letters carry it on: `postbox lag` and `postbox dlq list` tell where they are"
                }
                _ => "nothing is left to do",
            };
            return Err(Refusal::conflict(format!("order {id} is {}: {why}", order.state.name())));
        }
        let mut tx = deps.pool.begin().await?;
        let Some(state) = stuck::attempt_now_in_tx(&mut tx, order.id).await? else {
            return Err(Refusal::conflict(format!("order {id}: nothing is left to do any more")));
        };
        let action = operator_log::Action::new(Operator::Ops, "retry", format!("order/{}", order.id));
        note_in_tx(&mut tx, &action.with("state", state)).await?;
        tx.commit().await?;
        deps.recovery.notify_one();
        warn!(order.id = %order.id, state = order.state.name(), "an operator has the order taken up");
        Ok(TakenUp::from(&order))
    })
    .await
}

async fn void(Given(deps): Given<Deps>, Path(id): Path<String>) -> Answer<TakenUp> {
    uncut(async move {
        // each round that is lost to somebody else has moved the order on, and it does not move for ever
        loop {
            let kept = find(&deps, &id).await?;
            let Change::Advanced(given_up) = hear(&kept.order, &Fact::DeadlinePassed.into()) else {
                let state = kept.order.state.name();
                return Err(Refusal::conflict(format!(
                    "order {id} is {state}: only one that is not decided can be given up; a completed one can be cancelled"
                )));
            };
            if let Some(kept) = give_up(&deps, &kept, &given_up).await? {
                return Ok(TakenUp::from(&kept.order));
            }
        }
    })
    .await
}

/// Commits that the order is given up. `None` when somebody else has changed it first.
async fn give_up(deps: &Deps, before: &Kept, given_up: &Order) -> Result<Option<Kept>, OrderError> {
    let mut tx = deps.pool.begin().await?;
    let Some(kept) = keep_in_tx(&mut tx, deps.clock, before, given_up, None, Attempt::After(Duration::ZERO)).await?
    else {
        tx.rollback().await?;
        return Ok(None);
    };
    stuck::end_time_in_tx(&mut tx, kept.order.id).await?;
    let action = operator_log::Action::new(Operator::Ops, "void", format!("order/{}", kept.order.id));
    note_in_tx(&mut tx, &action.changed("state", before.order.state.name(), kept.order.state.name())).await?;
    tx.commit().await?;
    warn!(order.id = %kept.order.id, "an operator gave the order up");
    deps.relay.wake();
    deps.recovery.notify_one();
    Ok(Some(kept))
}

async fn find(deps: &Deps, id: &str) -> Result<Kept, Refusal> {
    let unknown = || Refusal::not_found(format!("there is no order {id}"));
    let id: OrderId = id.parse().map_err(|_| unknown())?;
    store::find_own(&deps.pool, id).await?.ok_or_else(unknown)
}

impl From<OrderError> for Refusal {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Database(_) | OrderError::Outbox(_) => Self::unavailable(error.to_string()),
            _ => Self::conflict(error.to_string()),
        }
    }
}

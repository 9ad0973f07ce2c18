//! Carrying an order on: ask what its state wants, hear the answer, keep the change with its letter, until nothing is left
//! to do.
//!
//! The request that placed the order, one that cancels it, recovery and letters may all come to the same order at the same
//! time. Compare-and-set on the version lets one of them win each step; the others read the order again and go on from
//! there.

use std::{sync::Arc, time::Duration};

use contracts::ids::OrderId;
use tokio::time::Instant;
use tracing::{Instrument, Span, error, warn};

use crate::{
    Deps,
    error::OrderError,
    hear::hear,
    keep::Keep,
    order::{Change, Heard, Order},
    saga::{Action, Fact},
    store::{self, Attempt, Kept},
};

/// The first pause after a question that got no answer; it doubles.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// How long a statement that is under way at the end of the caller's time may still take.
const LAST_STATEMENT: Duration = Duration::from_millis(25);

/// What to do when a question gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// Ask again after a short pause: somebody waits.
    Again,
    /// Leave it: nobody waits, and others want their turn.
    Once,
}

/// Carries the order on for a caller who waits until `until`, and gives how it stands then, as far as is known. Does not
/// fail: what is left to do is recovery's.
pub async fn carry_on_for_caller(deps: &Deps, kept: Kept, until: Instant) -> Kept {
    let as_known = kept.clone();
    let id = kept.order.id;
    // spawned: the answer must leave in time even if a statement hangs, and the work must not be dropped for that
    let carrying_on = deps.shutdown.spawn_work({
        let deps = deps.clone();
        async move {
            let carried = carry_on(&deps, kept, None, until, Asking::Again).await;
            if !carried.as_ref().is_ok_and(|carried| carried.kept.order.state.is_settled()) {
                hand_over(&deps, id).await;
            }
            carried
        }
        .instrument(Span::current())
    });
    match tokio::time::timeout_at(until + LAST_STATEMENT, carrying_on).await {
        Ok(Ok(Ok(carried))) => return carried.kept,
        Ok(Ok(Err(error))) => warn!(order.id = %id, %error, "recovery will carry the order on"),
        Ok(Err(panic)) => error!(order.id = %id, %panic, "a panic; recovery will carry the order on"),
        Err(_) => {}
    }
    as_known
}

/// Leaves the order to recovery at once. From now on a retry is told how it stands, instead of waiting for this request.
pub async fn hand_over(deps: &Deps, id: OrderId) {
    if let Err(error) = store::postpone(&deps.pool, id, Duration::ZERO, None).await {
        // recovery comes for it when the first deadline has passed
        warn!(order.id = %id, %error, "the order could not be handed over to recovery");
    }
}

/// How far an order was carried.
#[derive(Debug)]
pub struct Carried {
    /// The order as it was kept last.
    pub kept: Kept,
    /// Why it was carried no further, where something stood in the way.
    pub obstacle: Option<String>,
}

impl Carried {
    const fn unhindered(kept: Kept) -> Self {
        Self { kept, obstacle: None }
    }
}

/// Carries the order on from what the database has until nothing is left to do by telephone, or `until`. `first` is heard
/// before anything is asked. What was learned and not yet kept, is at the end.
///
/// Must not be dropped in the middle: run it as spawned work.
pub async fn carry_on(
    deps: &Deps,
    mut kept: Kept,
    first: Option<Fact>,
    until: Instant,
    asking: Asking,
) -> Result<Carried, OrderError> {
    let mut order = kept.order.clone();
    let mut detail = None;
    let mut obstacle = None;
    let mut heard: Option<Heard> = first.map(Into::into);
    loop {
        if let Some(heard) = heard.take() {
            match hear(&order, &heard) {
                Change::Advanced(advanced) => {
                    order = *advanced;
                    // a refusal's words wait for the commit that decides the order (a crash before it loses them)
                    detail = heard.detail.or(detail);
                }
                Change::AlreadyApplied if heard.fact == Fact::DeadlinePassed => {}
                Change::AlreadyApplied => {
                    let seen = kept.order.version;
                    kept = read_again(deps, &order).await?;
                    detail = None;
                    if kept.order.version == seen {
                        // another process is further and has not committed yet: leave the order to it
                        return Ok(Carried::unhindered(kept));
                    }
                    order = kept.order.clone();
                }
                Change::Contradiction => {
                    let (fact, state) = (heard.fact.name(), order.state.name());
                    let obstacle = Some(format!("{fact} cannot be told to an order that is {state}"));
                    return Ok(Carried { kept, obstacle });
                }
            }
        }
        if order.state != kept.order.state && order.state.is_kept_before_its_action() {
            kept = keep(deps, &kept, &order, detail.as_deref()).await?;
            if kept.order.state != order.state {
                // somebody else's change: its words are not ours
                detail = None;
            }
            order = kept.order.clone();
        }
        let Some(action) = order.action() else { break };
        match ask(deps, action, &order, until, asking).await {
            Ok(answer) => heard = Some(answer),
            Err(reason) => {
                obstacle = Some(reason);
                break;
            }
        }
    }
    if order.state != kept.order.state {
        kept = keep(deps, &kept, &order, detail.as_deref()).await?;
    }
    Ok(Carried { kept, obstacle })
}

/// Asks until there is an answer. There may be none until `until`, or the process ends; the error is the last reason.
async fn ask(deps: &Deps, action: Action, order: &Order, until: Instant, asking: Asking) -> Result<Heard, String> {
    let mut pause = PAUSE;
    let mut reason = format!("{action:?}: there was no time left to ask");
    loop {
        let budget = until.saturating_duration_since(Instant::now());
        if budget.is_zero() {
            return Err(reason);
        }
        match deps.telephone.ask(action, order, budget).await {
            Ok(heard) => return Ok(heard),
            Err(no_answer) => reason = no_answer,
        }
        if asking == Asking::Once {
            return Err(reason);
        }
        tokio::select! {
            () = deps.shutdown.requested() => return Err(reason),
            () = tokio::time::sleep_until(until.min(Instant::now() + pause)) => {}
        }
        pause = PAUSE_MAX.min(pause * 2);
    }
}

/// Commits the changed order. If somebody else changed the order first, gives what they committed instead.
async fn keep(deps: &Deps, before: &Kept, changed: &Order, detail: Option<&str>) -> Result<Kept, OrderError> {
    let change = Arc::new(Keep::new(deps.clock, before, changed, detail, Attempt::AsBefore));
    if !deps.writer.keep(change.clone()).await? {
        return read_again(deps, changed).await;
    }
    change.log();
    Ok(change.kept.clone())
}

async fn read_again(deps: &Deps, order: &Order) -> Result<Kept, OrderError> {
    store::find_own(&deps.pool, order.id).await?.ok_or(OrderError::NotFound(order.id))
}

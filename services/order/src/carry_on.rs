//! Carrying an order on: ask what its state wants, hear the answer, keep the change with its letter, until it is decided.
//!
//! Both the request that placed the order and recovery come here, perhaps at the same time. Compare-and-set on the version
//! lets one of them win each step; the other reads the order again and goes on from there.

use contracts::order::v1::DecidedAnswer;
use tokio::time::Instant;
use tracing::{error, info};

use crate::{
    Deps, answer,
    error::OrderError,
    events,
    order::{Change, Heard, Order},
    saga::Fact,
    store::{self, Kept},
};

/// Carries the order on from what the database has until it is decided, an answer is missing, or `until`. `first` is heard
/// before anything is asked. Gives the order as it was kept last; what was learned and not yet kept, is.
///
/// Must not be dropped in the middle: run it as spawned work.
pub async fn carry_on(deps: &Deps, mut kept: Kept, first: Option<Fact>, until: Instant) -> Result<Kept, OrderError> {
    let mut order = kept.order.clone();
    let mut detail = None;
    let mut heard: Option<Heard> = first.map(Into::into);
    loop {
        if let Some(heard) = heard.take() {
            match order.hear(&heard) {
                Change::Advanced(advanced) => {
                    order = *advanced;
                    // a refusal's words wait for the commit that decides the order (a crash before it loses them)
                    detail = heard.detail.or(detail);
                }
                Change::AlreadyApplied if heard.fact == Fact::DeadlinePassed => {}
                Change::AlreadyApplied => {
                    let seen = kept.order.version;
                    kept = read_again(deps, &order).await?;
                    if kept.order.version == seen {
                        // another process is further and has not committed yet: leave the order to it
                        return Ok(kept);
                    }
                    order = kept.order.clone();
                }
                Change::Contradiction => {
                    error!(order.id = %order.id, state = order.state.name(), fact = ?heard.fact,
                        "a service told what cannot be; the order stays as it is");
                    return Ok(kept);
                }
            }
        }
        if order.state != kept.order.state && order.state.is_kept_before_its_action() {
            kept = keep(deps, &order, detail.clone()).await?;
            order = kept.order.clone();
        }
        let Some(action) = order.state.action() else { return Ok(kept) };
        let budget = until.saturating_duration_since(Instant::now());
        heard = if budget.is_zero() { None } else { deps.telephone.ask(action, &order, budget).await };
        if heard.is_none() {
            break;
        }
    }
    if order.state != kept.order.state {
        kept = keep(deps, &order, detail).await?;
    }
    Ok(kept)
}

/// Commits the changed order with its letter and, if that decides it, its answer. If somebody else changed the order
/// first, gives what they committed instead.
async fn keep(deps: &Deps, changed: &Order, detail: Option<String>) -> Result<Kept, OrderError> {
    let mut order = changed.clone();
    order.version += 1;
    order.updated_at = deps.clock.now();
    let answer: Option<DecidedAnswer> = answer::of(&order, detail.as_deref());
    let mut tx = deps.pool.begin().await?;
    if !store::update_in_tx(&mut tx, &order, answer.as_ref()).await? {
        tx.rollback().await?;
        return read_again(deps, changed).await;
    }
    outbox::append_in_tx(&mut tx, contracts::topics::ORDERS, &events::advanced(&order)).await?;
    tx.commit().await?;
    deps.relay.wake();
    info!(order.id = %order.id, state = order.state.name(), version = order.version, "order advanced");
    Ok(Kept { order, answer })
}

async fn read_again(deps: &Deps, order: &Order) -> Result<Kept, OrderError> {
    store::find_own(&deps.pool, order.id).await?.ok_or(OrderError::NotFound(order.id))
}

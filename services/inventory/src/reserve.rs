//! Reserving the stock of orders.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use batcher::{Batch, Batcher, Limits};
use contracts::ids::{OrderId, Sku};
use service_runtime::{KeptConnection, config::BatchConfig, database, kill_point};
use sqlx::{Connection, PgConnection, PgPool};
use tracing::{info, warn};

use crate::{
    InventoryError,
    reservation::{Answer, Decision, Offer, Reserve, decide},
    store,
};

/// Reservations that wait to be decided; what comes then is refused.
const WAITING_MAX: usize = 1_024;

/// The most lines of one batch: it holds the stock of all of them until it commits.
const BATCH_LINES_MAX: usize = 400;

/// Reserves all lines of each order or none, and keeps the answer: the same order gets the same answer again. What comes at the
/// same time shares a transaction.
#[derive(Debug, Clone)]
pub struct Reservations {
    pool: PgPool,
    batches: Batcher<Together>,
}

impl Reservations {
    /// Must be called where tasks can be spawned.
    pub fn start(pool: PgPool, batches: BatchConfig) -> Self {
        let requests_max = batches.batch_requests_max.into();
        let limits = Limits { queue_max: WAITING_MAX, weight_max: BATCH_LINES_MAX, requests_max };
        Self { batches: Batcher::start("reservations", Together(KeptConnection::of(pool.clone())), limits), pool }
    }

    /// Reserves for an order. One that asks again with other lines gets the answer to its first ones: they are what it holds.
    pub async fn reserve(&self, wish: Reserve) -> Result<Answer, InventoryError> {
        match self.batches.submit(wish.clone()).await.map_err(InventoryError::from) {
            Ok(Some(decision)) => {
                info!(order.id = %wish.order, held = decision.is_ok(), "answered a reservation");
                Ok(decision.into())
            }
            Ok(None) => answer_again(&self.pool, &wish).await,
            // whoever was first has committed
            Err(error) if error.is_raced() => answer_again(&self.pool, &wish).await,
            Err(error) => Err(error),
        }
    }
}

/// What is written together.
#[derive(Debug)]
struct Together(KeptConnection);

impl Batch for Together {
    type Request = Reserve;
    type Answer = Option<Decision>;
    type Error = Arc<InventoryError>;

    async fn write(&self, wishes: &[Reserve]) -> Result<Vec<Option<Decision>>, Arc<InventoryError>> {
        Ok(reserve_all(&self.0, wishes).await?)
    }

    fn is_of_one_request(error: &Arc<InventoryError>) -> bool {
        match &**error {
            InventoryError::Database(error) => database::is_of_one_part(error),
            _ => true,
        }
    }

    fn weight(wish: &Reserve) -> usize {
        wish.lines().len()
    }
}

async fn reserve_all(kept: &KeptConnection, wishes: &[Reserve]) -> Result<Vec<Option<Decision>>, InventoryError> {
    let mut connection = kept.take().await?;
    let mut tx = connection.begin().await?;
    let decisions = reserve_in_tx(&mut tx, wishes).await?;
    kill_point!("inventory.reserved.before-commit");
    tx.commit().await?;
    kill_point!("inventory.reserved.after-commit");
    kept.keep(connection);
    Ok(decisions)
}

/// The rule behind both doors, telephone and letter: who comes first is served first. `None` for an order that had its answer
/// before, or whose release came first: for it nothing is changed. The caller commits.
pub(crate) async fn reserve_in_tx(
    conn: &mut PgConnection,
    wishes: &[Reserve],
) -> Result<Vec<Option<Decision>>, InventoryError> {
    let store::Stand { mut offers, mut answered } = store::lock_stock_in_tx(conn, wishes).await?;
    let decisions: Vec<Option<Decision>> =
        wishes.iter().map(|wish| decide_next(wish, &mut offers, &mut answered)).collect();
    let decided: Vec<(&Reserve, &Decision)> =
        wishes.iter().zip(&decisions).filter_map(|(wish, decision)| Some((wish, decision.as_ref()?))).collect();
    if !decided.is_empty() {
        store::keep_in_tx(conn, &decided).await?;
    }
    Ok(decisions)
}

/// Decides what the order gets of what those before it have left, unless it has its answer.
fn decide_next(
    wish: &Reserve,
    offers: &mut BTreeMap<Sku, Offer>,
    answered: &mut BTreeSet<OrderId>,
) -> Option<Decision> {
    if !answered.insert(wish.order) {
        return None;
    }
    let decision = decide(wish.lines(), offers);
    for held in decision.iter().flatten() {
        if let Some(offer) = offers.get_mut(&held.line.sku) {
            offer.available -= i64::from(held.line.quantity.get());
        }
    }
    Some(decision)
}

async fn answer_again(pool: &PgPool, wish: &Reserve) -> Result<Answer, InventoryError> {
    let kept = store::find_reservation(pool, wish.order).await?;
    // a release that came first has no lines to compare with
    if kept.answer != Answer::Released && !kept.is_about(wish.lines()) {
        warn!(order.id = %wish.order, "an order asked again with other lines and got the answer to its first ones");
    }
    Ok(kept.answer)
}

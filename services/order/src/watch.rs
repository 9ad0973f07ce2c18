//! Watching orders: every change of an order, those to come included, read from the outbox. However many watch, one query
//! reads for all of them (`crates/watching`).

use std::{collections::HashMap, future::Future, time::Duration};

use contracts::{
    event::Event,
    ids::OrderId,
    order::v1::{OrderStatus, ShipmentStatus, WatchOrderResponse},
    topics::ORDERS,
};
use jiff::Timestamp;
use outbox::Position;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tonic::Status;
use watching::{NoRoom, Reader, Told};

use crate::{
    Deps,
    error::OrderError,
    events,
    store::{self, Viewer},
};

/// The most watches of a process.
pub const WATCHES_MAX: usize = 4096;

/// How far the clock that stamped an order may be ahead of the database's, which stamps letters.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_hours(1);

/// The most changes of one order that are read at a time, and that wait for a reader who is slow. What does not fit is read
/// again.
const CHANGES_MAX: u16 = 32;

/// A change of an order.
pub type Change = Result<WatchOrderResponse, Status>;

/// Changes of one order, in the order of its versions.
pub type Changes = mpsc::Receiver<Change>;

/// Where new watches are handed in.
pub type Watches = watching::Watches<Watch, Change>;

/// Where they arrive: for [`run`].
pub type NewWatches = watching::NewWatches<Watch, Change>;

/// Where somebody stands who watches an order.
#[derive(Debug)]
pub struct Watch {
    key: String,
    /// The last version that was sent.
    version: i64,
    /// It had no letter before, by the database's clock.
    since: Timestamp,
    /// Whether no version will come but those that are written already.
    is_final: bool,
}

/// What is new, by the orders' keys.
type Letters = HashMap<String, Vec<Event>>;

/// A place for watches.
pub fn watches() -> (Watches, NewWatches) {
    watching::watches(WATCHES_MAX, CHANGES_MAX.into())
}

/// Watches an order from the version after `after_version`. The changes end after the last that the order can have.
pub async fn watch(deps: &Deps, id: OrderId, viewer: Viewer, after_version: i64) -> Result<Changes, OrderError> {
    let order = store::find(&deps.pool, id, viewer).await?.ok_or(OrderError::NotFound(id))?.order;
    let watch = Watch {
        key: id.to_string(),
        // who claims to have seen more than there is has seen what there is
        version: after_version.min(order.version),
        since: order.created_at - CLOCKS_DIFFER_MAX,
        is_final: order.is_final(),
    };
    deps.watches.begin(watch).map_err(|NoRoom| OrderError::TooManyWatches)
}

/// Reads for all watches, until the end of the process is requested.
pub async fn run(deps: Deps, new: NewWatches) {
    new.serve(&deps.shutdown, "changes of orders", |watches| letters(&deps.pool, watches), tell).await;
}

/// The letters that are new to any of these.
fn letters(
    pool: &PgPool,
    watches: &[&Watch],
) -> impl Future<Output = Result<Letters, sqlx::Error>> + Send + 'static + use<> {
    let pool = pool.clone();
    let readers: Vec<_> = watches.iter().map(|watch| (watch.key.clone(), watch.version, watch.since)).collect();
    async move {
        let positions: Vec<Position<'_>> =
            readers.iter().map(|(key, sequence, since)| Position { key, sequence: *sequence, since: *since }).collect();
        let mut conn = pool.acquire().await?;
        let mut letters = Letters::new();
        for letter in outbox::history(&mut conn, ORDERS, &positions, CHANGES_MAX.into()).await? {
            letters.entry(letter.subject.clone()).or_default().push(letter);
        }
        Ok(letters)
    }
}

/// Sends what is new to one; `false` when nothing will come any more.
fn tell(watch: &mut Watch, letters: &Letters, reader: &Reader<Change>) -> bool {
    let mut any = false;
    // two may watch the same order from different versions: each passes over what it has had, and stops where the part
    // that was read for it ends
    for letter in letters.get(&watch.key).into_iter().flatten() {
        if letter.sequence <= watch.version {
            continue;
        }
        if any && letter.sequence != watch.version + 1 {
            return true;
        }
        any = true;
        let order = events::order_in(letter);
        let is_last = order.as_ref().is_some_and(is_last);
        let change = WatchOrderResponse { event_type: letter.event_type.clone(), order };
        match reader.tell(Ok(change)) {
            Told::Now => watch.version = letter.sequence,
            Told::NoRoom => return true,
            Told::Gone => return false,
        }
        if is_last {
            return false;
        }
    }
    any || !watch.is_final
}

/// Whether no version comes after this one.
fn is_last(order: &contracts::order::v1::Order) -> bool {
    let is_delivered = order.shipment.as_ref().is_some_and(|it| it.status() == ShipmentStatus::Delivered);
    match order.status() {
        OrderStatus::Rejected | OrderStatus::Cancelled => true,
        OrderStatus::Completed => is_delivered,
        _ => false,
    }
}

//! Watching orders: every change of an order, those to come included, read from the outbox. However many watch, one query
//! reads for all of them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use contracts::{
    event::Event,
    ids::OrderId,
    order::v1::{OrderStatus, ShipmentStatus, WatchOrderResponse},
    topics::ORDERS,
};
use jiff::Timestamp;
use outbox::Position;
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, error::TrySendError},
    },
    time::MissedTickBehavior,
};
use tonic::Status;
use tracing::{error, warn};

use crate::{
    Deps,
    error::OrderError,
    events,
    store::{self, Viewer},
};

/// How often the outbox is read while anybody watches.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The most watches of a process.
pub const WATCHES_MAX: usize = 4096;

/// How far the clock that stamped an order may be ahead of the database's, which stamps letters.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_hours(1);

/// The most changes of one order that are read at a time, and that wait for a reader who is slow. What does not fit is read
/// again.
const CHANGES_MAX: u16 = 32;

/// Changes of one order, in the order of its versions.
pub type Changes = mpsc::Receiver<Result<WatchOrderResponse, Status>>;

/// Where new watches are handed in.
#[derive(Debug, Clone)]
pub struct Watches {
    new: mpsc::Sender<Watch>,
    room: Arc<Semaphore>,
}

/// Where they arrive: for [`run`].
#[derive(Debug)]
pub struct NewWatches(mpsc::Receiver<Watch>);

#[derive(Debug)]
struct Watch {
    key: String,
    /// The last version that was sent.
    version: i64,
    /// It had no letter before, by the database's clock.
    since: Timestamp,
    /// Whether no version will come but those that are written already.
    is_final: bool,
    reader: mpsc::Sender<Result<WatchOrderResponse, Status>>,
    _room: OwnedSemaphorePermit,
}

/// A place for watches.
pub fn watches() -> (Watches, NewWatches) {
    let (new, arriving) = mpsc::channel(WATCHES_MAX);
    (Watches { new, room: Arc::new(Semaphore::new(WATCHES_MAX)) }, NewWatches(arriving))
}

/// Watches an order from the version after `after_version`. The changes end after the last that the order can have.
pub async fn watch(deps: &Deps, id: OrderId, viewer: Viewer, after_version: i64) -> Result<Changes, OrderError> {
    let order = store::find(&deps.pool, id, viewer).await?.ok_or(OrderError::NotFound(id))?.order;
    let room = deps.watches.room.clone().try_acquire_owned().map_err(|_| OrderError::TooManyWatches)?;
    let (reader, changes) = mpsc::channel(CHANGES_MAX.into());
    let watch = Watch {
        key: id.to_string(),
        // who claims to have seen more than there is has seen what there is
        version: after_version.min(order.version),
        since: order.created_at - CLOCKS_DIFFER_MAX,
        is_final: order.is_final(),
        reader,
        _room: room,
    };
    // as many fit as there is room for: it fails only at the end of the process, and then the reader is gone at once
    let _ = deps.watches.new.try_send(watch);
    Ok(changes)
}

/// Reads for all watches, until the end of the process is requested.
pub async fn run(deps: Deps, mut new: NewWatches) {
    let mut watches: Vec<Watch> = Vec::new();
    let mut arrived: Vec<Watch> = Vec::new();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = deps.shutdown.requested() => return,
            // at once what there is: most watches are about the past
            _ = new.0.recv_many(&mut arrived, WATCHES_MAX) => {
                watches.extend(serve(&deps, std::mem::take(&mut arrived)).await);
            }
            _ = ticks.tick(), if !watches.is_empty() => watches = serve(&deps, watches).await,
        }
    }
}

/// Sends what is new to each, and gives those that go on.
async fn serve(deps: &Deps, mut watches: Vec<Watch>) -> Vec<Watch> {
    watches.retain(|watch| !watch.reader.is_closed());
    if watches.is_empty() {
        return watches;
    }
    let readers: Vec<_> = watches.iter().map(|watch| (watch.key.clone(), watch.version, watch.since)).collect();
    let pool = deps.pool.clone();
    // spawned: a future with a query must not be dropped at the end of the process
    let reading = deps.shutdown.spawn_work(async move {
        let positions: Vec<Position<'_>> =
            readers.iter().map(|(key, sequence, since)| Position { key, sequence: *sequence, since: *since }).collect();
        let mut conn = pool.acquire().await?;
        outbox::history(&mut conn, ORDERS, &positions, CHANGES_MAX.into()).await
    });
    let letters = match reading.await {
        Ok(Ok(letters)) => letters,
        Ok(Err(error)) => {
            warn!(%error, "changes of orders cannot be read, trying again");
            return watches;
        }
        Err(panic) => {
            error!(%panic, "reading changes of orders ended in a panic");
            return watches;
        }
    };
    let mut of_order: HashMap<&str, Vec<&Event>> = HashMap::new();
    for letter in &letters {
        of_order.entry(&letter.subject).or_default().push(letter);
    }
    watches.retain_mut(|watch| {
        let mut any = false;
        // two may watch the same order from different versions: each passes over what it has had, and stops where the part
        // that was read for it ends
        for letter in of_order.get(watch.key.as_str()).into_iter().flatten() {
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
            match watch.reader.try_send(Ok(change)) {
                Ok(()) => watch.version = letter.sequence,
                Err(TrySendError::Full(_)) => return true,
                Err(TrySendError::Closed(_)) => return false,
            }
            if is_last {
                return false;
            }
        }
        any || !watch.is_final
    });
    watches
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

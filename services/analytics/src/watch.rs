//! Watching sales: the windows of the last minutes, and then each window that changed, as it is by then. However many watch, one
//! query reads for all of them (`crates/watching`).
//!
//! A watch stands at a [`Position`]: the number of the last change that was told. What a window was between two looks is not
//! told, since the next look finds what became of it.

use std::future::Future;

use contracts::analytics::v1::WatchSalesResponse;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tonic::Status;
use watching::{NoRoom, Reader, Told};

use crate::{
    AnalyticsError, Deps, encode,
    span::Window,
    store::{self, Position},
};

/// The most watches of a process.
pub const WATCHES_MAX: usize = 1_024;

/// The most windows that wait for a reader who is slow. What does not fit is read again.
const WINDOWS_MAX: usize = 32;

/// Whose windows are told first to somebody who has seen nothing.
const RECENT: SignedDuration = SignedDuration::from_mins(5);

/// Older windows are not told, whatever letters come late: they are not live. It bounds what a look may read, and how long
/// somebody may stay away and miss nothing.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// A window that changed.
pub type Change = Result<WatchSalesResponse, Status>;

/// Windows in the order of their changes.
pub type Changes = mpsc::Receiver<Change>;

/// Where new watches are handed in.
pub type Watches = watching::Watches<Watch, Change>;

/// Where they arrive: for [`run`].
pub type NewWatches = watching::NewWatches<Watch, Change>;

/// Where somebody stands who watches sales.
#[derive(Debug)]
pub struct Watch {
    seen: Position,
    /// Until the recent windows are told: when they begin. Older ones are passed over.
    recent_since: Option<Timestamp>,
}

/// A window that a look has found.
#[derive(Debug)]
struct Found {
    start: Timestamp,
    position: Position,
    told: WatchSalesResponse,
}

/// A place for watches.
pub fn watches() -> (Watches, NewWatches) {
    watching::watches(WATCHES_MAX, WINDOWS_MAX)
}

/// Watches sales from what changed after a position, or from the windows of the last five minutes. The changes end only with
/// the process.
pub async fn watch(deps: &Deps, watches: &Watches, after: Option<Position>) -> Result<Changes, AnalyticsError> {
    let watch = match after {
        None => {
            let since = Window::Minute.start_of(deps.clock.now() - RECENT);
            Watch { seen: Position::START, recent_since: Some(since) }
        }
        Some(position) => {
            // nobody was told a change that was not made: the database is an older one than the one that he has seen
            let is_past = position.change <= store::last_change(&deps.pool).await?;
            Watch { seen: if is_past { position } else { Position::START }, recent_since: None }
        }
    };
    watches.begin(watch).map_err(|NoRoom| AnalyticsError::TooManyWatches)
}

/// Reads for all watches, until the end of the process is requested.
pub async fn run(deps: Deps, new: NewWatches) {
    let look = |watches: &[&Watch]| changed(&deps, watches);
    new.serve(&deps.shutdown, "sales", look, |watch, found: &Vec<Found>, reader| tell(watch, found, reader)).await;
}

/// The windows that are new to any of these, in the order of their changes.
fn changed(
    deps: &Deps,
    watches: &[&Watch],
) -> impl Future<Output = Result<Vec<Found>, sqlx::Error>> + Send + 'static + use<> {
    let seen_by_all = watches.iter().map(|watch| watch.seen).reduce(Position::before_both).unwrap_or(Position::START);
    let since = Window::Minute.start_of(deps.clock.now() - TOLD_FOR);
    let pool = deps.pool.clone();
    async move {
        let rows = store::changed_sales(&pool, since, seen_by_all).await?;
        let found = rows.into_iter().map(|row| {
            let position = Position { generation: row.generation, change: row.change };
            let start = row.sales.start.to_jiff();
            let sales = Some(encode::sales(Window::Minute, row.sales));
            Found { start, position, told: WatchSalesResponse { sales, position: Some(position.into()) } }
        });
        Ok(found.collect())
    }
}

/// Tells one what is new to him; `false` when he is gone.
fn tell(watch: &mut Watch, found: &[Found], reader: &Reader<Change>) -> bool {
    let last = found.last().map_or(watch.seen, |last| last.position);
    if last.generation != watch.seen.generation {
        // of this table he was told nothing
        watch.seen = Position { change: 0, ..last };
    }
    for window in found {
        let is_old = watch.recent_since.is_some_and(|since| window.start < since);
        if is_old || window.position.change <= watch.seen.change {
            continue;
        }
        match reader.tell(Ok(window.told.clone())) {
            Told::Now => watch.seen = window.position,
            Told::NoRoom => return true,
            Told::Gone => return false,
        }
    }
    if watch.recent_since.is_none() {
        return true;
    }
    // where he stands now, also when nothing was sold: whoever breaks off before the first change is to miss none
    match reader.tell(Ok(WatchSalesResponse { sales: None, position: Some(last.into()) })) {
        Told::Now => *watch = Watch { seen: last, recent_since: None },
        Told::NoRoom => {}
        Told::Gone => return false,
    }
    true
}

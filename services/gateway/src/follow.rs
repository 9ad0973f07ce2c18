//! Following one order for one client: what order tells is handed on, and where order breaks off it is asked again.

use std::{future::Future, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use contracts::order::v1::{Order, OrderStatus, ShipmentStatus, WatchOrderResponse};
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::{Stream, StreamExt};
use tonic::Status;
use tracing::{debug, warn};

/// How long a client may take to make room for the next change.
const TAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// How often order is asked again, without a word from it, before the client is left to come again by itself: for six to
/// twelve seconds. With jitter, since all streams break off at the same moment.
const PAUSES: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(200)).with_max_times(5).with_jitter();

/// Hands each change on to `client`, until the last that an order can have. `changes` are those after the version
/// `seen`; when they break off, `watch_after` opens them again after the last one that came. Ends early when the client
/// is gone or takes nothing for ten seconds, and when order stays away.
pub async fn follow<S, F>(
    mut changes: S,
    mut seen: i64,
    watch_after: impl Fn(i64) -> F,
    client: &mpsc::Sender<WatchOrderResponse>,
) where
    S: Stream<Item = Result<WatchOrderResponse, Status>> + Unpin,
    F: Future<Output = Result<S, Status>>,
{
    let mut has_come = false;
    let mut pauses = PAUSES.build();
    loop {
        let broke_off = match changes.next().await {
            Some(Ok(change)) => {
                let order = change.order.as_ref();
                seen = order.map_or(seen, |order| order.version);
                let is_last = order.is_some_and(is_final);
                if client.send_timeout(change, TAKE_TIME_MAX).await.is_err() || is_last {
                    return;
                }
                has_come = true;
                pauses = PAUSES.build();
                continue;
            }
            // the client had seen the last change before it came
            None if !has_come => return,
            None => Status::unavailable("the stream ended before the last change"),
            Some(Err(status)) => status,
        };
        debug!(%broke_off, "order broke off");
        changes = loop {
            let Some(pause) = pauses.next() else {
                warn!(%broke_off, "order does not tell its changes, the client is to come again");
                return;
            };
            sleep(pause).await;
            match watch_after(seen).await {
                Ok(changes) => break changes,
                Err(status) => debug!(%status, "order does not answer"),
            }
        };
    }
}

/// Whether nothing can change any more.
fn is_final(order: &Order) -> bool {
    match order.status() {
        OrderStatus::Rejected | OrderStatus::Cancelled => true,
        OrderStatus::Completed => {
            order.shipment.as_ref().is_some_and(|parcel| parcel.status() == ShipmentStatus::Delivered)
        }
        // a cancel that comes too late leads back to COMPLETED, wherever the parcel is
        OrderStatus::Unspecified | OrderStatus::Pending | OrderStatus::Cancelling => false,
    }
}

#[cfg(test)]
mod tests;

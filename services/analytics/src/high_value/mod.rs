//! The stream of high-value orders: read from `orders.order.v1`, picked, written on `analytics.high-value-order.v1`.
//!
//! Everywhere else in Postbox a group's position is a row in Postgres, in the transaction of its effects. Here there are no
//! rows: the effect is a letter on another topic. So the position is Kafka's own, and one Kafka transaction carries both, the
//! letters and the offsets up to which they were made (read-process-write). Either all of it is committed or nothing, also
//! when the process is killed in between. Who reads with `isolation.level=read_committed` sees each letter once.
//!
//! # Why here only
//! Kafka's transactions end at Kafka. A row in Postgres or a mail cannot be part of one, so where the effect is such a thing
//! they would promise nothing. And they have been seen lost and torn: Jepsen's analysis of Bufstream 0.1.0 (2024) found that in
//! the protocol itself an abort or a commit may end another transaction than the one that it was meant for. What is worth
//! money is therefore deduplicated in a database. Here the result can be built again from its source, and every letter has an
//! id that is made of the one it came from, so that a reader who must be sure can see a second one.
//!
//! # Two fences
//! A member that was paused and taken for dead must not write. Its group has gone on to another generation, which goes into
//! the transaction with the offsets: Kafka refuses those of an older one. And the transactional id is that of the lowest
//! partition that the member was given ([`writer`]): whoever gets this partition next takes the id over, which ends what the
//! former one left open at once, and refuses whatever it still sends.
//!
//! # What becomes of trouble
//! Nothing is mended in the middle. A transaction that fails, for whatever reason (brokers away, fenced, a time limit), is
//! aborted, both clients are thrown away, and new ones begin where Kafka says that the group is. Brokers are waited for as
//! long as it takes. A letter that cannot be read or makes no sense is copied to `orders.order.v1.<group>.dlt`, in the same
//! transaction, and the stream goes on: it is neither lost nor a loop. There is no redrive, since nothing is kept of it here:
//! when its cause is mended, the group's offsets are set back, and what was picked before comes out again with the same ids.

mod batch;
mod pick;
mod reader;
mod stream;
mod threshold;
mod writer;

use std::{sync::mpsc, thread, time::Duration};

use service_runtime::config::KafkaConfig;
use tokio::{runtime::Handle, sync::oneshot, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use pick::pick;
pub use threshold::{InvalidThreshold, Threshold};

/// The consumer group.
pub const GROUP: &str = "analytics.pick-high-value-orders";

/// How long the stream may take to finish its transaction and to leave its group.
const END_DEADLINE: Duration = Duration::from_secs(8);

/// Of that so long for each of its clients.
const LET_GO_DEADLINE: Duration = Duration::from_secs(1);

/// What the stream needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub kafka: KafkaConfig,
    pub threshold: Threshold,
}

/// Picks until it is cancelled, then finishes what is under way, 8 s at the most. On a thread of its own: Kafka's
/// transactions block.
pub(crate) async fn run(settings: Settings, cancel: CancellationToken) {
    let (done, ended) = oneshot::channel();
    let (runtime, cancelled) = (Handle::current(), cancel.clone());
    thread::spawn(move || {
        stream::run(&settings, &runtime, &cancelled);
        // nobody waits any more when this took too long
        let _ = done.send(());
    });
    tokio::select! {
        // also when the thread panicked: then the service has lost this part, and ends
        _ = ended => {}
        () = late(&cancel) => warn!(group = GROUP, "the stream takes long to end, going without; the next one fences it"),
    }
}

/// Lets go of a client of librdkafka, which may take long (rust-rdkafka #453, #611): on a thread of its own, and waits a moment
/// until a member has left its group.
fn let_go<T: Send + 'static>(client: T) {
    let (done, gone) = mpsc::channel();
    thread::spawn(move || {
        drop(client);
        // nobody waits any more when this took too long
        let _ = done.send(());
    });
    // late or not, there is nothing to be done about it
    let _ = gone.recv_timeout(LET_GO_DEADLINE);
}

async fn late(cancel: &CancellationToken) {
    cancel.cancelled().await;
    sleep(END_DEADLINE).await;
}

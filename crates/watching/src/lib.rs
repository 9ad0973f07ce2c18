//! Many readers, one look: what is new is read once for all who watch.
//!
//! A service says where a watch stands, how one look finds what is new to any of some watches, and what of it is told to which
//! ([`NewWatches::serve`]).
//!
//! | what | how |
//! |---|---|
//! | a look | at once for those who come, since most of what they want is there already; every 250 ms for all others; none while nobody watches |
//! | bound | so many watches; who comes then is refused at once |
//! | a slow reader | so many messages wait for him; then he is left out, and costs no look, until he has taken one. He loses nothing: his watch stands where he was told last |
//! | a reader who is gone | is forgotten at the next look |
//! | a look that fails | is told in the log and made again |
//! | the end of the process | ends every watch, once the look that is under way has ended |

use std::{fmt::Display, future::Future, sync::Arc, time::Duration};

use service_runtime::Shutdown;
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, error::TrySendError},
    },
    time::{MissedTickBehavior, interval},
};
use tracing::{error, warn};

/// How often is looked while anybody watches.
pub const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Where new watches are handed in. `W` is where a watch stands, `M` what its reader is told.
#[derive(Debug)]
pub struct Watches<W, M> {
    new: mpsc::Sender<Watcher<W, M>>,
    room: Arc<Semaphore>,
    messages_max: usize,
}

impl<W, M> Clone for Watches<W, M> {
    fn clone(&self) -> Self {
        Self { new: self.new.clone(), room: self.room.clone(), messages_max: self.messages_max }
    }
}

/// Where they arrive.
#[derive(Debug)]
pub struct NewWatches<W, M> {
    arriving: mpsc::Receiver<Watcher<W, M>>,
    watches_max: usize,
}

/// As many watch as there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("as many watch as there is room for")]
pub struct NoRoom;

/// Who is told.
#[derive(Debug)]
pub struct Reader<M>(mpsc::Sender<M>);

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The reader will find it.
    Now,
    /// As many messages wait for him as may; it is for the next look.
    NoRoom,
    /// He is gone.
    Gone,
}

/// One who watches.
#[derive(Debug)]
struct Watcher<W, M> {
    watch: W,
    reader: Reader<M>,
    /// Whether the look that is under way is for him as well.
    is_looked_for: bool,
    _room: OwnedSemaphorePermit,
}

/// A place for `watches_max` watches, with `messages_max` messages waiting for each reader.
pub fn watches<W, M>(watches_max: usize, messages_max: usize) -> (Watches<W, M>, NewWatches<W, M>) {
    let (new, arriving) = mpsc::channel(watches_max);
    let room = Arc::new(Semaphore::new(watches_max));
    (Watches { new, room, messages_max }, NewWatches { arriving, watches_max })
}

impl<W, M> Watches<W, M> {
    /// Begins a watch. Its messages end when there is nothing more to tell, and with the process.
    pub fn begin(&self, watch: W) -> Result<mpsc::Receiver<M>, NoRoom> {
        let room = self.room.clone().try_acquire_owned().map_err(|_| NoRoom)?;
        let (reader, messages) = mpsc::channel(self.messages_max);
        let watcher = Watcher { watch, reader: Reader(reader), is_looked_for: false, _room: room };
        // as many fit as there is room for: it fails only at the end of the process, and then the reader is gone at once
        let _ = self.new.try_send(watcher);
        Ok(messages)
    }
}

impl<M> Reader<M> {
    /// Tells the reader, if he has room.
    pub fn tell(&self, message: M) -> Told {
        match self.0.try_send(message) {
            Ok(()) => Told::Now,
            Err(TrySendError::Full(_)) => Told::NoRoom,
            Err(TrySendError::Closed(_)) => Told::Gone,
        }
    }

    fn is_gone(&self) -> bool {
        self.0.is_closed()
    }

    fn has_room(&self) -> bool {
        self.0.capacity() > 0
    }
}

impl<W, M> NewWatches<W, M> {
    /// Looks for all watches until the end of the process is requested.
    ///
    /// `look` finds what is new to any of the watches that it is given. It is never dropped in the middle. `tell` tells one
    /// of them what of that is new to him, and lets his watch stand there; `false` ends it. `what` is watched, as the log
    /// shall name it.
    pub async fn serve<F, T, E>(
        self,
        shutdown: &Shutdown,
        what: &'static str,
        look: impl Fn(&[&W]) -> F,
        tell: impl Fn(&mut W, &T, &Reader<M>) -> bool,
    ) where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        let Self { mut arriving, watches_max } = self;
        let mut watchers = Vec::new();
        let mut arrived = Vec::new();
        let mut anybody_may_come = true;
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (looked_for, is_tick) = tokio::select! {
                () = shutdown.requested() => return,
                count = arriving.recv_many(&mut arrived, watches_max), if anybody_may_come => {
                    anybody_may_come = count > 0;
                    (&mut arrived, false)
                }
                _ = ticks.tick(), if !watchers.is_empty() => (&mut watchers, true),
            };
            if let Some(looking) = look_for(looked_for, &look) {
                // spawned: a future with a query must not be dropped at the end of the process
                match shutdown.spawn_work(looking).await {
                    Ok(Ok(found)) => looked_for.retain_mut(|watcher| {
                        !watcher.is_looked_for || tell(&mut watcher.watch, &found, &watcher.reader)
                    }),
                    Ok(Err(error)) => warn!(%error, what, "what is watched cannot be read, trying again"),
                    Err(panic) => error!(%panic, what, "reading what is watched ended in a panic"),
                }
            }
            if !is_tick {
                watchers.append(&mut arrived);
            }
        }
    }
}

/// Begins the look for those who have room. The others are left out of what it finds as well, whatever room they have by then:
/// they were not looked for.
fn look_for<W, M, F>(watchers: &mut Vec<Watcher<W, M>>, look: impl Fn(&[&W]) -> F) -> Option<F> {
    watchers.retain(|watcher| !watcher.reader.is_gone());
    for watcher in &mut *watchers {
        watcher.is_looked_for = watcher.reader.has_room();
    }
    let looked_for: Vec<&W> =
        watchers.iter().filter(|watcher| watcher.is_looked_for).map(|watcher| &watcher.watch).collect();
    (!looked_for.is_empty()).then(|| look(&looked_for))
}

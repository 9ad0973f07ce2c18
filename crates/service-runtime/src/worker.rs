//! Work that lies in a database until it is done: claimed as far as there is room, done side by side, looked for again.

use std::{fmt::Display, future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, sleep_until},
};
use tracing::warn;

use crate::{Horizon, LookBack, Shutdown, rest::Rest};

/// Places that come free while it rests are given away together.
const REST: Rest = Rest { times: 4, min: Duration::ZERO, max: Duration::from_millis(50) };

/// How a worker goes about its work.
#[derive(Debug, Clone)]
pub struct Worker {
    /// The work, for the log.
    pub name: &'static str,
    /// The most that is under way at a time, from 1.
    pub at_once: usize,
    /// Tells that there may be work, so that it need not be waited for.
    pub wake: Arc<Notify>,
    /// How often work is looked for that nobody told of: what was due later, or what somebody wrote down and then died.
    pub look_every: Duration,
}

impl Worker {
    /// Works until the end of the process is requested; what is under way then is finished. Every replica may run it.
    ///
    /// `claim` takes up to so many pieces of work of those that became due since then, those that wait longest first, and makes them nobody
    /// else's for longer than an attempt takes. `attempt` does
    /// one of them and sees itself that it comes back if it is not done.
    pub async fn run<T, E, C, A>(
        self,
        shutdown: Shutdown,
        claim: impl Fn(usize, LookBack) -> C + Send,
        attempt: impl Fn(T) -> A + Send,
    ) where
        T: Send,
        E: Display + Send,
        C: Future<Output = Result<Vec<T>, E>> + Send + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let room = Arc::new(Semaphore::new(self.at_once));
        let mut horizon = Horizon::default();
        loop {
            let began = Instant::now();
            let free = room.available_permits();
            let mut claimed_all = free > 0;
            if free > 0 {
                // a transaction is never cut short, only the wait for the next one is
                let back = horizon.look_back();
                match claim(free, back).await {
                    Ok(claimed) => {
                        claimed_all = claimed.len() < free;
                        horizon.looked(back, began, claimed_all);
                        for work in claimed {
                            let place = room.clone().try_acquire_owned().expect("only this loop takes places");
                            let attempt = attempt(work);
                            shutdown.spawn_work(async move {
                                attempt.await;
                                drop(place);
                            });
                        }
                    }
                    Err(error) => warn!(work = self.name, %error, "cannot look for work, trying again"),
                }
            }
            let rested = REST.until(began);
            tokio::select! {
                () = shutdown.requested() => return,
                // there may be more than there was room for; none is kept, it is only waited until there is some
                place = room.acquire(), if !claimed_all => drop(place),
                () = self.wake.notified(), if claimed_all => {}
                () = tokio::time::sleep(self.look_every) => {}
            }
            tokio::select! {
                () = shutdown.requested() => return,
                () = sleep_until(rested) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, convert::Infallible, sync::Mutex};

    use super::*;

    /// Work that lies about, and how many were under way at once.
    #[derive(Debug, Default)]
    struct Desk {
        waiting: Mutex<VecDeque<u32>>,
        under_way: Mutex<(usize, usize)>,
        done: Mutex<Vec<u32>>,
    }

    fn start(desk: &Arc<Desk>, at_once: usize, wake: Arc<Notify>, hold: Arc<Semaphore>) -> Shutdown {
        let shutdown = Shutdown::new();
        // never by itself within a test
        let worker = Worker { name: "test", at_once, wake, look_every: Duration::from_hours(1) };
        let claim = {
            let desk = desk.clone();
            move |room: usize, _| {
                let mut waiting = desk.waiting.lock().unwrap();
                let taken: Vec<u32> = (0..room).map_while(|_| waiting.pop_front()).collect();
                async move { Ok::<_, Infallible>(taken) }
            }
        };
        let attempt = {
            let desk = desk.clone();
            move |work| {
                let (desk, hold) = (desk.clone(), hold.clone());
                async move {
                    {
                        let mut under_way = desk.under_way.lock().unwrap();
                        under_way.0 += 1;
                        under_way.1 = under_way.1.max(under_way.0);
                    }
                    hold.acquire().await.unwrap().forget();
                    desk.under_way.lock().unwrap().0 -= 1;
                    desk.done.lock().unwrap().push(work);
                }
            }
        };
        let ends = shutdown.clone();
        shutdown.spawn_part("worker", worker.run(ends, claim, attempt));
        shutdown
    }

    async fn until(condition: impl Fn() -> bool) {
        let waiting = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it comes about");
    }

    #[tokio::test]
    async fn as_many_as_there_is_room_for_are_under_way_and_one_that_takes_long_holds_up_no_other() {
        let (desk, hold) = (Arc::new(Desk::default()), Arc::new(Semaphore::new(0)));
        desk.waiting.lock().unwrap().extend(0..10);
        let _shutdown = start(&desk, 3, Arc::default(), hold.clone());
        until(|| desk.under_way.lock().unwrap().0 == 3).await;
        assert_eq!(desk.waiting.lock().unwrap().len(), 7);
        hold.add_permits(1);
        // the place of the one that is done is taken by the next, although two still go on
        until(|| desk.waiting.lock().unwrap().len() == 6 && desk.under_way.lock().unwrap().0 == 3).await;
        hold.add_permits(20);
        until(|| desk.done.lock().unwrap().len() == 10).await;
        assert_eq!(desk.under_way.lock().unwrap().1, 3);
    }

    #[tokio::test]
    async fn work_that_is_told_of_is_not_waited_for() {
        let (desk, wake) = (Arc::new(Desk::default()), Arc::new(Notify::new()));
        let _shutdown = start(&desk, 2, wake.clone(), Arc::new(Semaphore::new(100)));
        for work in 1..=3 {
            desk.waiting.lock().unwrap().push_back(work);
            wake.notify_one();
            until(|| desk.done.lock().unwrap().len() == work as usize).await;
        }
    }

    #[tokio::test]
    async fn at_the_end_what_is_under_way_is_finished_and_nothing_is_begun() {
        let (desk, hold) = (Arc::new(Desk::default()), Arc::new(Semaphore::new(0)));
        desk.waiting.lock().unwrap().extend(0..4);
        let shutdown = start(&desk, 2, Arc::default(), hold.clone());
        until(|| desk.under_way.lock().unwrap().0 == 2).await;
        shutdown.request();
        hold.add_permits(10);
        shutdown.drain().await.expect("nothing was lost");
        assert_eq!(*desk.done.lock().unwrap(), [0, 1]);
    }
}

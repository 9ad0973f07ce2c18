//! Members that stand still, and wake up when their partitions are others'; among those that come, go and die.

use std::{
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use consumer::{ConsumerService, EventHandler, HandlerError, Kind};
use contracts::{event::Event, topics::ORDERS};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::{PgConnection, postgres::PgPoolOptions};
use testkit::{SOON, eventually};
use tokio::{process::Child, runtime, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    recorder::{IN_A_HANDLER, Moods, record},
    world::{TAKEOVER, World, letter},
};

const KEYS: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];

fn signal(member: &Child, signal: Signal) {
    let pid = i32::try_from(member.id().expect("it runs")).expect("a pid");
    kill(Pid::from_raw(pid), signal).expect("it is our child");
}

/// Sends letters about all keys at a steady rate, with one that nobody can read before each tenth round.
struct Stream {
    enough: CancellationToken,
    sending: JoinHandle<(Vec<Event>, usize)>,
}

impl Stream {
    fn start(world: Arc<World>) -> Self {
        let enough = CancellationToken::new();
        let sending = tokio::spawn({
            let enough = enough.clone();
            async move {
                let (mut events, mut poison) = (Vec::new(), 0);
                for round in 1.. {
                    if round % 10 == 1 {
                        poison += 1;
                        world.send_raw(Some(format!("poison {poison}").as_bytes()), &[], Some(b"\xff")).await;
                    }
                    let letters: Vec<Event> = KEYS.iter().map(|key| letter(key, round)).collect();
                    futures::future::join_all(letters.iter().map(|event| world.send(event))).await;
                    events.extend(letters);
                    tokio::select! {
                        () = enough.cancelled() => break,
                        // the rate of the stream, not a wait for anything
                        () = sleep(Duration::from_millis(20)) => {}
                    }
                }
                (events, poison)
            }
        });
        Self { enough, sending }
    }

    /// All letters that can be read, and how many cannot.
    async fn stop(self) -> (Vec<Event>, usize) {
        self.enough.cancel();
        self.sending.await.expect("it sends")
    }
}

/// Waits until every key has effects of letters that were sent from now on: no partition waits for anybody.
async fn every_key_goes_on(world: &World, what: &str) {
    let newest = "SELECT coalesce(max(sequence), 0) FROM effect";
    let from = world.number(newest).await;
    let reached = "SELECT count(*) FROM (SELECT max(sequence) AS newest FROM effect GROUP BY key) AS keys
        WHERE newest > ";
    eventually(TAKEOVER, what, async || {
        let query = sqlx::AssertSqlSafe(format!("{reached}{}", from + 10));
        let keys: i64 = sqlx::query_scalar(query).fetch_one(&world.database.owner).await.unwrap();
        usize::try_from(keys) == Ok(KEYS.len())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_join_leave_die_and_pause_under_a_stream_lose_nothing_and_double_nothing() {
    let world = Arc::new(World::new(6).await);
    let zombie = world.spawn_recorder();
    let mut second = world.spawn_recorder_with(&[("POLL_INTERVAL_MAX_SECONDS", "7")]);
    let stream = Stream::start(world.clone());
    eventually(TAKEOVER, "both have joined", async || world.is_settled(2).await).await;
    every_key_goes_on(&world, "two members do all keys").await;

    // beyond the 6 s of its session: it wakes as a zombie, with letters of partitions that are another's
    signal(&zombie, Signal::SIGSTOP);
    eventually(TAKEOVER, "the one that stands still is missed", async || world.is_settled(1).await).await;
    every_key_goes_on(&world, "the other does all keys").await;
    signal(&zombie, Signal::SIGCONT);
    eventually(TAKEOVER, "it is back", async || world.is_settled(2).await).await;
    every_key_goes_on(&world, "both do all keys again").await;

    // and beyond the time in which it has to poll
    signal(&second, Signal::SIGSTOP);
    eventually(TAKEOVER, "the second is missed", async || world.is_settled(1).await).await;
    let third = world.start_recorder(&Moods::default());
    eventually(TAKEOVER, "a third has joined", async || world.is_settled(2).await).await;
    every_key_goes_on(&world, "the others do all keys").await;
    signal(&second, Signal::SIGCONT);
    eventually(TAKEOVER, "the second is back", async || world.is_settled(3).await).await;

    second.kill().await.unwrap();
    eventually(TAKEOVER, "the dead one is missed", async || world.is_settled(2).await).await;
    third.stop().await;
    every_key_goes_on(&world, "the last one does all keys").await;

    let (events, poison) = stream.stop().await;
    world.passed(events.len() + poison).await;
    world.each_once_in_order(&events).await;
    let parked = world.parked().await;
    assert_eq!(parked.len(), poison, "each letter that nobody can read is parked once");
    assert!(parked.iter().all(|(_, key, ..)| key.starts_with("poison ")), "nothing waits behind them: {parked:?}");
    drop(zombie);
}

/// Stands still in the middle of a letter when it is told to, and with it the only thread of its runtime.
#[derive(Clone, Default)]
struct StandsStill(Arc<(Mutex<bool>, Condvar)>);

impl StandsStill {
    fn tell(&self, stands_still: bool) {
        *self.0.0.lock().unwrap() = stands_still;
        self.0.1.notify_all();
    }
}

impl EventHandler for StandsStill {
    const GROUP: &'static str = crate::world::GROUP;
    const KIND: Kind = Kind::Effect;

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        record(conn, event).await?;
        let stands_still = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(stands_still, |it| *it).unwrap());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_does_not_poll_for_too_long_is_followed_and_changes_nothing_when_it_goes_on() {
    let world = World::new(2).await;
    let handler = StandsStill::default();
    let mut config = world.config();
    // its heartbeats go on: only that it does not poll gives it away
    config.poll_interval_max = Duration::from_secs(6);
    let cancel = CancellationToken::new();
    let silent = thread::spawn({
        let (config, url) = (config.clone(), world.database.app_url.clone());
        let (handler, cancel) = (handler.clone(), cancel.clone());
        move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let pool = PgPoolOptions::new().connect(&url).await.unwrap();
                ConsumerService::new(config, pool).on(ORDERS, handler).run(cancel).await;
            });
        }
    });
    let mut events = world.send_many(&KEYS, 3).await;
    world.passed(events.len()).await;

    handler.tell(true);
    events.push(letter("a", 4));
    world.send(&events[events.len() - 1]).await;
    eventually(SOON, "it stands still in a transaction", async || world.sessions(IN_A_HANDLER).await > 0).await;
    let heir = world.start_recorder(&Moods::default());
    events.extend(world.send_many(&["b", "c", "d", "e", "f"], 3).await);
    world.passed(events.len()).await;
    handler.tell(false);
    eventually(TAKEOVER, "it has joined again", async || world.is_settled(2).await).await;
    for key in KEYS {
        events.push(letter(key, 9));
        world.send(&events[events.len() - 1]).await;
    }
    world.passed(events.len()).await;
    let doubled = "SELECT count(*) - count(DISTINCT event_id) FROM effect";
    assert_eq!((world.effects().await, world.number(doubled).await), (i64::try_from(events.len()).unwrap(), 0));
    cancel.cancel();
    silent.join().unwrap();
    heir.stop().await;
}

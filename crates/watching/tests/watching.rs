//! A list that grows, and readers of it. A watch stands at the number of entries that its reader was told.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use service_runtime::Shutdown;
use tokio::{
    sync::{RwLock, mpsc},
    time::{Instant, sleep, timeout},
};
use watching::{LOOK_EVERY, NoRoom, Told, Watches, watches};

/// What is watched: a list, and how often it was looked at. While it is broken it cannot be.
#[derive(Debug, Default)]
struct List {
    entries: Vec<usize>,
    is_broken: bool,
    /// Where each watch stood that was looked for, look by look.
    looks: Vec<Vec<usize>>,
}

struct World {
    list: Arc<Mutex<List>>,
    /// Who writes it keeps a look from reading the list.
    gate: Arc<RwLock<()>>,
    watches: Watches<usize, usize>,
    shutdown: Shutdown,
}

impl World {
    /// Served until the end is requested. An entry 0 ends a watch.
    fn open(watches_max: usize, messages_max: usize) -> Self {
        let list = Arc::<Mutex<List>>::default();
        let (watches, new) = watches(watches_max, messages_max);
        let shutdown = Shutdown::new();
        let gate = Arc::<RwLock<()>>::default();
        let (looked_at, looked_through, ending) = (list.clone(), gate.clone(), shutdown.clone());
        shutdown.spawn_part("watches", async move {
            let look = |standing: &[&usize]| {
                let (list, gate) = (looked_at.clone(), looked_through.clone());
                let standing: Vec<usize> = standing.iter().map(|stands| **stands).collect();
                async move {
                    // from where the last of those stands that are looked for
                    let from = standing.iter().copied().min().unwrap_or_default();
                    list.lock().unwrap().looks.push(standing);
                    let _open = gate.read().await;
                    let list = list.lock().unwrap();
                    if list.is_broken { Err("broken") } else { Ok((from, list.entries[from..].to_vec())) }
                }
            };
            let tell = |stands: &mut usize, (from, entries): &(usize, Vec<usize>), reader: &watching::Reader<usize>| {
                for entry in &entries[*stands - from..] {
                    match reader.tell(*entry) {
                        Told::Now => *stands += 1,
                        Told::NoRoom => return true,
                        Told::Gone => return false,
                    }
                    if *entry == 0 {
                        return false;
                    }
                }
                true
            };
            new.serve(&ending, "a list", look, tell).await;
        });
        Self { list, gate, watches, shutdown }
    }

    fn add(&self, entries: impl IntoIterator<Item = usize>) {
        self.list.lock().unwrap().entries.extend(entries);
    }

    fn break_it(&self, is_broken: bool) {
        self.list.lock().unwrap().is_broken = is_broken;
    }

    /// The looks since the last time.
    fn looks(&self) -> Vec<Vec<usize>> {
        std::mem::take(&mut self.list.lock().unwrap().looks)
    }
}

async fn next(reader: &mut mpsc::Receiver<usize>) -> Option<usize> {
    timeout(Duration::from_mins(1), reader.recv()).await.expect("a message or the end comes soon")
}

/// As many messages as that.
async fn take(reader: &mut mpsc::Receiver<usize>, count: usize) -> Vec<usize> {
    let mut messages = Vec::new();
    for _ in 0..count {
        messages.push(next(reader).await.expect("the watch goes on"));
    }
    messages
}

/// Lets some looks pass; the clock stands still but for this.
async fn some_looks() {
    sleep(LOOK_EVERY * 4).await;
}

#[tokio::test(start_paused = true)]
async fn who_comes_is_told_at_once_what_there_is_and_then_what_is_new() {
    let world = World::open(10, 10);
    world.add([1, 2, 3]);
    let begun = Instant::now();
    let mut reader = world.watches.begin(1).unwrap();
    assert_eq!(take(&mut reader, 2).await, [2, 3]);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    world.add([4]);
    assert_eq!(next(&mut reader).await, Some(4));
    assert!(begun.elapsed() <= LOOK_EVERY, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_look_is_for_all_and_without_a_watch_there_is_none() {
    let world = World::open(10, 10);
    some_looks().await;
    assert!(world.looks().is_empty());
    world.add([1, 2, 3]);
    let mut readers: Vec<_> = [0, 2, 3].map(|stands| world.watches.begin(stands).unwrap()).into();
    some_looks().await;
    let looks = world.looks();
    // they came together, and stood where they wanted; then everybody stands at the end
    assert_eq!(looks[0], [0, 2, 3]);
    assert!(looks.len() >= 4 && looks[1..].iter().all(|look| *look == [3, 3, 3]), "{looks:?}");
    for (reader, told) in readers.iter_mut().zip([3, 1, 0]) {
        assert_eq!(reader.len(), told);
    }
    readers.clear();
    some_looks().await;
    world.looks();
    some_looks().await;
    assert!(world.looks().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_costs_no_look_holds_up_nobody_and_loses_nothing() {
    let world = World::open(10, 3);
    let mut slow = world.watches.begin(0).unwrap();
    let mut quick = world.watches.begin(0).unwrap();
    world.add(1..=10);
    assert_eq!(take(&mut quick, 10).await, (1..=10).collect::<Vec<_>>());
    some_looks().await;
    world.looks();
    some_looks().await;
    let looks = world.looks();
    assert!(!looks.is_empty() && looks.iter().all(|look| *look == [10]), "{looks:?}");
    assert_eq!(slow.len(), 3);
    assert_eq!(take(&mut slow, 10).await, (1..=10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_makes_room_during_a_look_that_is_not_for_him_is_told_nothing_of_it() {
    let world = World::open(10, 1);
    world.add(1..=3);
    let mut slow = world.watches.begin(0).unwrap();
    let mut quick = world.watches.begin(3).unwrap();
    some_looks().await;
    let shut = world.gate.write().await;
    world.looks();
    some_looks().await;
    assert_eq!(world.looks(), [[3]]);
    // that look begins where the slow one is not yet
    world.add([4]);
    assert_eq!(next(&mut slow).await, Some(1));
    drop(shut);
    assert_eq!(next(&mut quick).await, Some(4));
    assert_eq!(take(&mut slow, 3).await, [2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_room_is_refused_and_who_leaves_makes_room() {
    let world = World::open(2, 10);
    let first = world.watches.begin(0).unwrap();
    let second = world.watches.begin(0).unwrap();
    assert_eq!(world.watches.begin(0).unwrap_err(), NoRoom);
    drop(first);
    some_looks().await;
    let mut third = world.watches.begin(0).unwrap();
    world.add([1]);
    assert_eq!(next(&mut third).await, Some(1));
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_is_made_again_also_for_those_who_came_meanwhile() {
    let world = World::open(10, 10);
    let mut early = world.watches.begin(0).unwrap();
    some_looks().await;
    world.break_it(true);
    world.add([1, 2]);
    let mut late = world.watches.begin(1).unwrap();
    some_looks().await;
    assert_eq!((early.len(), late.len()), (0, 0));
    world.break_it(false);
    assert_eq!(take(&mut early, 2).await, [1, 2]);
    assert_eq!(take(&mut late, 1).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_when_there_is_nothing_more_to_tell_and_all_end_with_the_process() {
    let world = World::open(10, 10);
    let mut ends = world.watches.begin(0).unwrap();
    world.add([1, 0, 2]);
    assert_eq!(take(&mut ends, 2).await, [1, 0]);
    assert_eq!(next(&mut ends).await, None);
    let mut goes_on = world.watches.begin(2).unwrap();
    assert_eq!(next(&mut goes_on).await, Some(2));
    world.shutdown.request();
    assert_eq!(next(&mut goes_on).await, None);
    // nobody serves who comes now
    let mut late = world.watches.begin(0).unwrap();
    assert_eq!(next(&mut late).await, None);
}

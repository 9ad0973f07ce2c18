//! The fault harness: harm done to a whole platform while customers order, and what came of it.
//!
//! A [`FaultRow`] is one line of the fault table. The harness starts the load (the real `postbox load`), lets the row do its
//! harm in [strikes](scene::Scene::strike), measures how soon answers are as quick again as before, ends the load, waits until
//! everything has come to rest, and checks that nothing is lost, doubled or broken. A new row is a type that implements
//! [`FaultRow`], named in [`rows::all`].

pub mod audit;
pub mod clock;
pub mod load;
pub mod proxy;
pub mod report;
pub mod rest;
pub mod rows;
pub mod run;
pub mod scene;
pub mod small_disk;
pub mod world;

use std::time::Duration;

use futures::future::LocalBoxFuture;
use postbox::load::By;

use self::{scene::Scene, world::World};

/// How long the faults last and how much is ordered meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// All rows together in minutes, for every change of the code. Any build.
    Short,
    /// For the figures that are published. An optimised build.
    Long,
}

impl Length {
    /// One of the two.
    pub fn choose<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

/// What a row needs.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// Servers and a platform that no other row has used. Otherwise it gets what the row before left, if that went well.
    pub fresh: bool,
    /// How many Kafka brokers: 1 or 3. Three are always fresh.
    pub brokers: u16,
    /// Settings of services: service, variable, value. With any, the platform is always fresh.
    pub settings: Vec<(&'static str, &'static str, &'static str)>,
    /// Programs with kill points: those that were built along with this harness, and no release. Always fresh.
    pub kill_points: bool,
    /// What is ordered meanwhile.
    pub load: LoadWishes,
}

/// What is ordered while a row does its harm.
#[derive(Debug, Clone, Copy)]
pub struct LoadWishes {
    /// Orders a second.
    pub rate: u16,
    /// The door.
    pub by: By,
    /// The cards, in turns.
    pub cards: &'static [&'static str],
    /// How long answers are measured before the first strike.
    pub calm: Duration,
}

impl Wishes {
    /// Any platform, and the usual load.
    pub fn usual(length: Length) -> Self {
        let load = LoadWishes {
            // An unoptimised build takes a tenth of a CPU second for one order. Optimised, two cores carry 100 a second with
            // their servers beside them; what has queued up during a fault must find room.
            rate: length.choose(5, 40),
            by: By::Telephone,
            cards: &["tok_visa"],
            calm: Duration::from_secs(length.choose(3, 10)),
        };
        Self { fresh: false, brokers: 1, settings: Vec::new(), kill_points: false, load }
    }
}

/// A line of the fault table.
pub trait FaultRow {
    /// What it is called in the report and by `--only`.
    fn name(&self) -> &'static str;

    /// What it needs.
    fn wishes(&self, length: Length) -> Wishes {
        Wishes::usual(length)
    }

    /// Why it cannot be played on this machine, if it cannot.
    fn cannot_be_played(&self) -> Option<String> {
        None
    }

    /// Before the load begins: for what has to be set up in peace.
    fn prepare<'a>(&'a self, _world: &'a mut World) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {})
    }

    /// While customers order: one or more strikes. It panics when the harm cannot be done.
    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()>;

    /// After the checks: leaves the platform as it was found, for the next row.
    fn tidy<'a>(&'a self, _world: &'a mut World) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

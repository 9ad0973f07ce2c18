//! The platform against a model of it: whatever comes late, twice or never, and whoever dies, stock, money and orders end as
//! the model says.
//!
//! # What is real
//! order, inventory, payment and shipping, each with a real Postgres of its own, their calls, their handlers, their workers'
//! attempts; the card network with its books. They are linked as libraries into one test, and nothing happens by itself: no
//! worker looks, no relay publishes, no clock ticks. Instead proptest tells a [`story`], and each of its steps has one thing
//! done. So a case takes a fraction of a second, is the same each time, and shrinks.
//!
//! # Where the story takes hold
//! - All calls, also those to the card network, pass the [`exchange`], which may lose the request or the answer of one, or hold
//!   it back: other steps happen meanwhile, and then it arrives.
//! - A service is a process with a runtime of its own ([`platform`]), which is dropped when it dies. It dies at any of its
//!   statements, before the database has it or after it is done: its database is at the end of a [`line`] that counts them.
//! - Letters are taken from the outboxes and given to the real handlers in real transactions ([`post`]): in order for a key on a
//!   topic, which is what Kafka and `consumer` promise, in any order otherwise, and again at any time.
//! - Time passes for one row when a step says so: the test, as the database's owner, moves the row's times.
//!
//! What this leaves to others: Kafka, positions and parking to the tests of `consumer`, the relay's to those of `outbox`,
//! processes, signals and HTTP to the journeys.
//!
//! # What is checked
//! The [`model`] knows what customers asked for and were told. The [`rules`] compare it with all [`books`]: after each step what
//! can hold then; at the end, when nothing goes wrong any more and all that is left to do is done, everything.
//!
//! # Running it
//! It plays new stories for `MODEL_SECONDS` (40). `MODEL_SEED` (1) begins another series; a failure names its story, and
//! `MODEL_STORY=17` plays that one alone.

mod accounts;
mod books;
mod exchange;
mod line;
mod model;
mod platform;
mod play;
mod post;
mod rules;
mod story;
mod tally;
mod telling;

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use platform::Platform;
use play::play;
use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use story::stories;
use tally::Tally;

/// The longest story.
const STEPS_MAX: usize = 40;

/// How long a story that failed may be made shorter.
const SHRINK_MAX: Duration = Duration::from_mins(2);

#[test]
fn whatever_is_late_lost_or_dead_stock_money_and_orders_are_as_the_model_says() {
    let seed = variable("MODEL_SEED").unwrap_or(1);
    let only = variable("MODEL_STORY");
    let time = Duration::from_secs(variable("MODEL_SECONDS").unwrap_or(40));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let platform = RefCell::new(runtime.block_on(Platform::start(folder.path())));
    let tally = RefCell::new(Tally::default());
    let told = (only.unwrap_or(0)..).take_while(|number| only.is_none_or(|only| only == *number));
    for number in told.take_while(|_| started.elapsed() < time) {
        let mut runner = runner(seed, number);
        let story = stories(STEPS_MAX).new_tree(&mut runner).expect("nothing is filtered out");
        tally.borrow_mut().story();
        let played = runner.run_one(story, |story| {
            let (platform, held) = &mut *platform.borrow_mut();
            let played = runtime.block_on(play(platform, held, &story, &mut tally.borrow_mut()));
            played.map_err(TestCaseError::fail)
        });
        match played {
            Ok(_) => {}
            Err(TestError::Fail(told, _)) => panic!("MODEL_SEED={seed} MODEL_STORY={number}, made short:\n{told}"),
            Err(TestError::Abort(why)) => panic!("{why}"),
        }
    }
    println!("{}", tally.borrow());
    platform.into_inner().0.end();
}

/// Draws one story, the same for the same numbers.
fn runner(seed: u64, story: u64) -> TestRunner {
    let config = Config {
        failure_persistence: None,
        max_shrink_time: u32::try_from(SHRINK_MAX.as_millis()).expect("a few minutes"),
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&story.to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no whole number")))
}

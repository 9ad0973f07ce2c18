//! Load: orders leave at their times whether or not earlier ones are answered, each by a client that repeats a request
//! under its key until it has an answer.
//!
//! `client` places one order, `tally` counts, `journal` writes down what was acknowledged.

mod client;
mod journal;
mod tally;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

pub use self::journal::Entry;
pub use self::tally::{Report, SecondReport};
pub use crate::cli::By;

use self::client::{Finished, Order};
use self::journal::Journal;
use self::tally::Tally;
use crate::cli::{Common, LoadOptions};
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::gateway::{Credentials, Gateway};
use crate::progress::Progress;
use crate::state::State;

/// So many people order in turns, at the least: enough for their rows to be several, few enough to be there at once.
const CUSTOMERS_MIN: u32 = 4;

/// And so many at the most: a log-in, an account and a log-in of each are fewer than the gateway takes from one address in a minute.
const CUSTOMERS_MAX: u32 = 64;

/// Nobody orders more than this a second, which is half of what the gateway takes from one customer, as long as there are more of them.
const ORDERS_OF_ONE: u32 = 25;

/// Runs `postbox load`. An order that ends without an acknowledgement is something wrong: exit code 1.
pub(crate) async fn run(common: &Common, options: &LoadOptions) -> Result<(), Failure> {
    let state = DataFolder::find(common)?.running()?;
    let progress = Progress::start("sending orders", common.json);
    let plan = Plan::make(&state, options).await?;
    let journal = options.journal.as_deref().map(Journal::create).transpose()?;
    let report = Running::start(plan, options, journal)?.finish(&progress).await?;
    progress.finish();
    if common.json {
        println!("{}", serde_json::to_string(&report).expect("the report is plain data"));
    } else {
        println!("{report}");
    }
    match report.failed {
        0 => Ok(()),
        failed => Err(Failure::found(format!("{failed} of {} orders were not acknowledged", report.orders))),
    }
}

/// Who orders what.
struct Plan {
    customers: Vec<(String, Arc<Gateway>)>,
    skus: Vec<String>,
    cards: Vec<String>,
}

impl Plan {
    async fn make(state: &State, options: &LoadOptions) -> Result<Self, Failure> {
        let mut customers = Vec::new();
        for _ in 0..people(options.rate) {
            let gateway = Gateway::enter(state, &Credentials::new()).await?;
            customers.push((gateway.account_id().await?, Arc::new(gateway)));
        }
        let pieces = options.orders();
        let (_, anybody) = &customers[0];
        let skus = anybody.skus_with(pieces, usize::from(options.skus)).await?;
        if skus.is_empty() {
            return Err(Failure::found(format!("no product has {pieces} pieces: restock one, or order less")));
        }
        let cards = if options.cards.is_empty() { vec!["tok_visa".to_owned()] } else { options.cards.clone() };
        Ok(Self { customers, skus, cards })
    }

    /// The order with this number: customers, products and cards take turns.
    fn order(&self, number: u32, options: &LoadOptions) -> Order {
        let turn = usize::try_from(number).expect("32 bits fit");
        let (customer, gateway) = self.customers[turn % self.customers.len()].clone();
        Order {
            customer,
            gateway,
            by: options.by,
            key: format!("load-{}", uuid::Uuid::now_v7()),
            sku: self.skus[turn % self.skus.len()].clone(),
            card: self.cards[turn % self.cards.len()].clone(),
        }
    }
}

/// How many people it takes to send so many orders a second.
fn people(rate: u32) -> u32 {
    rate.div_ceil(ORDERS_OF_ONE).clamp(CUSTOMERS_MIN, CUSTOMERS_MAX)
}

/// A load under way.
struct Running<'a> {
    plan: Plan,
    options: &'a LoadOptions,
    journal: Option<Journal>,
    tally: Tally,
    under_way: JoinSet<Finished>,
    began: Instant,
    sent: u32,
    /// How many are sent in all; less than was asked for when somebody interrupts.
    to_send: u32,
    interrupt: Signal,
    terminate: Signal,
}

impl<'a> Running<'a> {
    fn start(plan: Plan, options: &'a LoadOptions, journal: Option<Journal>) -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::unreachable(format!("cannot hear signals: {error}")));
        let began = Instant::now();
        #[expect(clippy::disallowed_methods, reason = "read once; all other times are counted from here")]
        let began_at = Timestamp::now();
        Ok(Self {
            plan,
            journal,
            tally: Tally::new(began, began_at, options.by),
            under_way: JoinSet::new(),
            began,
            sent: 0,
            to_send: options.orders(),
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            options,
        })
    }

    async fn finish(mut self, progress: &Progress) -> Result<Report, Failure> {
        let second = Duration::from_secs(1);
        let mut ticks = interval_at(self.began + second, second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while self.step(&mut ticks, progress).await?.is_continue() {}
        Ok(self.tally.report(self.sent, self.options.rate))
    }

    /// Waits for the next thing that happens, and sees to it.
    async fn step(
        &mut self,
        ticks: &mut tokio::time::Interval,
        progress: &Progress,
    ) -> Result<ControlFlow<()>, Failure> {
        let is_all_sent = self.sent >= self.to_send;
        let is_room = self.under_way.len() < usize::from(self.options.in_flight);
        tokio::select! {
            () = sleep_until(self.due(self.sent)), if !is_all_sent && is_room => self.send_due(),
            Some(finished) = self.under_way.join_next(), if !self.under_way.is_empty() => {
                let finished = finished.expect("placing an order does not panic");
                // written down before it counts: who believes the figures finds each of them in the journal
                if let Some(journal) = &mut self.journal {
                    journal.write(&finished, self.tally.time_of(finished.ended))?;
                }
                self.tally.count(finished);
            }
            _ = ticks.tick() => progress.done(&self.tally.last_second(self.sent, self.under_way.len())),
            _ = self.interrupt.recv() => self.to_send = self.sent,
            _ = self.terminate.recv() => self.to_send = self.sent,
            else => return Ok(ControlFlow::Break(())),
        }
        let is_done = self.sent >= self.to_send && self.under_way.is_empty();
        Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Sends what is due, as far as there is room. Each is measured from when it was due, so waiting for room counts.
    fn send_due(&mut self) {
        let now = Instant::now();
        while self.sent < self.to_send && self.under_way.len() < usize::from(self.options.in_flight) {
            let due = self.due(self.sent);
            if due > now {
                return;
            }
            self.under_way.spawn(self.plan.order(self.sent, self.options).place(due));
            self.sent += 1;
        }
    }

    fn due(&self, number: u32) -> Instant {
        self.began + Duration::from_secs_f64(f64::from(number) / f64::from(self.options.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_orders_come_from_more_people() {
        for (rate, expected) in [(1, 4), (100, 4), (101, 5), (500, 20), (1_600, 64), (5_000, 64)] {
            assert_eq!(people(rate), expected, "{rate} orders a second");
        }
    }
}

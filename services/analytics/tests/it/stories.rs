//! Hundreds of orders that live as orders may, and what they must add up to.

use std::{cmp::Reverse, collections::BTreeMap};

use contracts::{
    analytics::v1::{ProductSales, Sales},
    event::{Event, Payload},
    events::v1::{OrderCancelled, OrderCancelling, OrderCompleted, OrderCreated, OrderRejected},
    ids::OrderId,
    order::v1::{Order, PaymentStatus, PricedLine},
    timestamp_to_proto,
    topics::ORDERS,
};
use jiff::{SignedDuration, Timestamp};
use proptest::{collection::vec, prelude::*, sample::select, strategy::ValueTree, test_runner::TestRunner};

use crate::letters::{line, money, time};

/// The span that all stories happen in.
pub const FROM: &str = "2026-11-21T08:00:00Z";
pub const TO: &str = "2026-11-21T12:00:00Z";

const SECONDS: i64 = 4 * 3_600;

#[derive(Debug, Clone)]
struct Story {
    id: OrderId,
    currency: &'static str,
    /// Number of the product, pieces, price of one.
    lines: BTreeMap<usize, (u32, i64)>,
    fate: Fate,
    /// When each of its letters is written, in seconds after [`FROM`].
    at: [i64; 4],
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Waits,
    IsRejected,
    IsCancelledBeforeItIsCompleted,
    IsCompleted,
    IsCompletedAndCancelled,
}

/// What happened.
#[derive(Debug)]
pub struct Stories {
    stories: Vec<Story>,
    /// Which story goes on next, again and again until each was told three times.
    turns: Vec<usize>,
}

/// So many orders; the same ones in each run, but for their ids.
pub fn generate(orders: usize) -> Stories {
    let mut runner = TestRunner::deterministic();
    let stories = vec(story(), orders).new_tree(&mut runner).unwrap().current();
    let turns: Vec<usize> =
        stories.iter().enumerate().flat_map(|(index, story)| vec![index; 3 * story.letters().len()]).collect();
    let turns = Just(turns).prop_shuffle().new_tree(&mut runner).unwrap().current();
    Stories { stories, turns }
}

fn story() -> impl Strategy<Value = Story> {
    let lines = prop::collection::btree_map(0..8_usize, (1..20_u32, 1..100_000_i64), 1..5);
    let fates = vec![
        Fate::Waits,
        Fate::IsRejected,
        Fate::IsCancelledBeforeItIsCompleted,
        Fate::IsCompleted,
        Fate::IsCompleted,
        Fate::IsCompletedAndCancelled,
    ];
    (select(vec!["EUR", "JPY"]), lines, select(fates), prop::array::uniform4(0..SECONDS)).prop_map(
        |(currency, lines, fate, mut at)| {
            at.sort_unstable();
            Story { id: OrderId::new(), currency, lines, fate, at }
        },
    )
}

impl Story {
    fn total(&self) -> i64 {
        self.lines.values().map(|&(pieces, price)| i64::from(pieces) * price).sum()
    }

    fn time(&self, letter: usize) -> Timestamp {
        time(FROM) + SignedDuration::from_secs(self.at[letter])
    }

    /// When it was sold, and when the money went back.
    fn sold(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        match self.fate {
            Fate::Waits | Fate::IsRejected | Fate::IsCancelledBeforeItIsCompleted => (None, None),
            Fate::IsCompleted => (Some(self.time(1)), None),
            Fate::IsCompletedAndCancelled => (Some(self.time(1)), Some(self.time(3))),
        }
    }

    fn letters(&self) -> Vec<Event> {
        use PaymentStatus::{Captured, None, Refunded};
        let mut letters = vec![self.letter(0, &OrderCreated { order: Some(self.order(None)) })];
        match self.fate {
            Fate::Waits => {}
            Fate::IsRejected => letters.push(self.letter(1, &OrderRejected { order: Some(self.order(None)) })),
            Fate::IsCancelledBeforeItIsCompleted => {
                letters.push(self.letter(1, &OrderCancelling { order: Some(self.order(None)) }));
                letters.push(self.letter(2, &OrderCancelled { order: Some(self.order(None)) }));
            }
            Fate::IsCompleted => letters.push(self.letter(1, &OrderCompleted { order: Some(self.order(Captured)) })),
            Fate::IsCompletedAndCancelled => {
                letters.push(self.letter(1, &OrderCompleted { order: Some(self.order(Captured)) }));
                letters.push(self.letter(2, &OrderCancelling { order: Some(self.order(Captured)) }));
                letters.push(self.letter(3, &OrderCancelled { order: Some(self.order(Refunded)) }));
            }
        }
        letters
    }

    fn letter<P: Payload>(&self, index: usize, payload: &P) -> Event {
        let sequence = i64::try_from(index + 1).unwrap();
        Event::new(ORDERS, self.id.to_string(), sequence, self.time(index), payload)
    }

    /// Always with its prices: what is not to be counted must not be counted because it has any.
    fn order(&self, payment: PaymentStatus) -> Order {
        let lines = self.lines.iter().map(|(product, &(pieces, price))| self.line(*product, pieces, price));
        Order {
            order_id: self.id.to_string(),
            lines: lines.collect(),
            total: Some(money(self.total(), self.currency)),
            payment_status: payment.into(),
            ..Order::default()
        }
    }

    fn line(&self, product: usize, pieces: u32, price: i64) -> PricedLine {
        line(&sku(product), pieces, price, self.currency)
    }
}

fn sku(product: usize) -> String {
    format!("product-{product}")
}

impl Stories {
    /// Every letter three times. Those of one order begin in their order, as a relay sends them; those of all orders are
    /// mixed.
    pub fn three_times_and_mixed(&self) -> Vec<Event> {
        let thrice = |story: &Story| {
            let letters = story.letters();
            [letters.clone(), letters.clone(), letters].concat().into_iter()
        };
        let mut told: Vec<_> = self.stories.iter().map(thrice).collect();
        self.turns.iter().map(|&index| told[index].next().expect("as many turns as letters")).collect()
    }

    /// How many letters there are, each counted once.
    pub fn letters(&self) -> usize {
        self.turns.len() / 3
    }

    /// What the windows must say, from [`FROM`] to [`TO`], when each is so many seconds long.
    pub fn sales(&self, window_seconds: i64) -> Vec<Sales> {
        let mut windows: BTreeMap<(i64, &str), [i64; 4]> = BTreeMap::new();
        let start = |time: Timestamp| time.as_second() / window_seconds * window_seconds;
        for story in &self.stories {
            let (sold, given_back) = story.sold();
            if let Some(time) = sold {
                let [orders, revenue, ..] = windows.entry((start(time), story.currency)).or_default();
                *orders += 1;
                *revenue += story.total();
            }
            if let Some(time) = given_back {
                let [.., cancelled, refunded] = windows.entry((start(time), story.currency)).or_default();
                *cancelled += 1;
                *refunded += story.total();
            }
        }
        let told =
            |((start, currency), [orders, revenue, cancelled_orders, refunded]): ((i64, &str), [i64; 4])| Sales {
                from: Some(timestamp_to_proto(Timestamp::from_second(start).unwrap())),
                to: Some(timestamp_to_proto(Timestamp::from_second(start + window_seconds).unwrap())),
                orders,
                revenue: Some(money(revenue, currency)),
                cancelled_orders,
                refunded: Some(money(refunded, currency)),
            };
        windows.into_iter().map(told).collect()
    }

    /// All products, the best first.
    pub fn products(&self) -> Vec<ProductSales> {
        let mut products: BTreeMap<(usize, &str), (i64, i64)> = BTreeMap::new();
        for story in self.stories.iter().filter(|story| story.sold().0.is_some()) {
            for (product, &(pieces, price)) in &story.lines {
                let (quantity, revenue) = products.entry((*product, story.currency)).or_default();
                *quantity += i64::from(pieces);
                *revenue += i64::from(pieces) * price;
            }
        }
        let mut products: Vec<_> = products.into_iter().collect();
        products.sort_by_key(|&(_, (quantity, _))| Reverse(quantity));
        let told = |((product, currency), (quantity, revenue)): ((usize, &str), (i64, i64))| ProductSales {
            sku: sku(product),
            quantity,
            revenue: Some(money(revenue, currency)),
        };
        products.into_iter().map(told).collect()
    }
}

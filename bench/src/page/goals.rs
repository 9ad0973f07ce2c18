//! The goals that the project set itself, and what was measured of each.

use crate::{
    figure::Figure,
    page::{
        processes,
        text::{self, NOT_MEASURED},
    },
    report::Report,
};

/// The most orders in flight of any goal.
const IN_FLIGHT_MAX: u16 = 512;

/// Something that was set as a goal.
pub struct Goal {
    /// Of the file in `notes/` that says why it was not reached.
    pub key: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// What all has to be so.
    pub conditions: Vec<Condition>,
}

/// A figure that has to be within a bound.
pub struct Condition {
    says: &'static str,
    bound: Bound,
    figure: Option<Figure>,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// No goal: published beside one.
    None,
}

impl Goal {
    /// True when a condition was measured and is not met.
    pub fn is_missed(&self) -> bool {
        self.conditions.iter().any(|condition| condition.is_met() == Some(false))
    }

    /// True when anything about it was measured.
    pub fn is_measured(&self) -> bool {
        self.conditions.iter().any(|condition| condition.figure.is_some())
    }
}

impl Condition {
    fn at_least(says: &'static str, bound: f64, figure: Option<Figure>) -> Self {
        Self { says, bound: Bound::AtLeast(bound), figure }
    }

    fn at_most(says: &'static str, bound: f64, figure: Option<Figure>) -> Self {
        Self { says, bound: Bound::AtMost(bound), figure }
    }

    fn published(says: &'static str, figure: Option<Figure>) -> Self {
        Self { says, bound: Bound::None, figure }
    }

    /// By the median; none when it was not measured, or when nothing was to be met.
    fn is_met(&self) -> Option<bool> {
        let median = self.figure.as_ref()?.median();
        match self.bound {
            Bound::AtLeast(bound) => Some(median >= bound),
            Bound::AtMost(bound) => Some(median <= bound),
            Bound::None => None,
        }
    }

    fn bound(&self) -> String {
        match self.bound {
            Bound::AtLeast(bound) => format!("≥ {bound}"),
            Bound::AtMost(bound) => format!("≤ {bound}"),
            Bound::None => "–".to_owned(),
        }
    }
}

/// A table of all goals.
pub fn table(goals: &[Goal]) -> String {
    let head = "| # | | goal | measured: median (lowest – highest) | reached |\n|--:|---|--:|--:|---|\n".to_owned();
    let lines = (1..).zip(goals).flat_map(|(number, goal)| {
        (0..).zip(&goal.conditions).map(move |(place, condition)| {
            let head = if place == 0 { format!("| {number} | **{}**: ", goal.title) } else { "| | ".to_owned() };
            let measured = condition.figure.as_ref().map_or_else(|| NOT_MEASURED.to_owned(), text::spread);
            let reached = match condition.is_met() {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "–",
            };
            format!("{head}{} | {} | {measured} | {reached} |\n", condition.says, condition.bound())
        })
    });
    std::iter::once(head).chain(lines).collect()
}

/// All of them, in their order.
#[expect(clippy::too_many_lines, reason = "a table: what one goal is stands in one place")]
pub fn all(report: &Report) -> Vec<Goal> {
    let figure = |name: &str| report.figure(name).cloned();
    let at_the_peak = |what: &str| figure(&format!("{}{what}", processes::best_side(report)?));
    vec![
        Goal {
            key: "orders",
            title: "orders a second, sustained",
            conditions: vec![
                Condition::at_least("32 in flight, against P3", 1.0, figure("stack, 32 in flight: against P3")),
                Condition::at_least(
                    "at the best number in flight, against P3",
                    1.5,
                    best(report, "stack, ", " in flight: against P3"),
                ),
                Condition::published("the same against P1", best(report, "stack, ", " in flight: against P1")),
            ],
        },
        Goal {
            key: "one-order",
            title: "one order in flight",
            conditions: vec![Condition::at_most(
                "p50, against its serial commits and its hops at the round trip of a call that does nothing",
                1.5,
                figure("stack, 1 in flight: answer p50, against its commits and hops"),
            )],
        },
        Goal {
            key: "answers",
            title: "answers at half of the peak",
            conditions: vec![Condition::at_most(
                "p99, against that of P3 at the same rate",
                2.0,
                figure("stack, at 50 % of its peak: p99 against that of P3"),
            )],
        },
        Goal {
            key: "batcher",
            title: "sharing commits costs nothing when nobody is there to share with",
            conditions: vec![Condition::at_most(
                "p50 of one order in flight, against a commit each",
                1.05,
                figure("shared commits, 1 in flight: p50 against a commit each"),
            )],
        },
        Goal {
            key: "hot-product",
            title: "one product that everybody wants",
            conditions: vec![
                Condition::at_least(
                    "Reserve alone, against updates of one row by 32 clients",
                    6.0,
                    figure("one hot product: Reserve against UPDATEs"),
                ),
                Condition::at_least(
                    "the whole stack, against orders of 2,000 products",
                    0.9,
                    at_the_peak(", one SKU: against 2,000"),
                ),
            ],
        },
        Goal {
            key: "relay",
            title: "the relay",
            conditions: vec![
                Condition::at_least(
                    "letters drained, against orders a second at the peak",
                    5.0,
                    figure("relay: letters drained against orders at the peak"),
                ),
                Condition::at_most(
                    "lag p99 beyond that of Kafka's acknowledgement, in ms",
                    10.0,
                    figure("relay lag at half of the peak: p99 beyond Kafka's own"),
                ),
            ],
        },
        Goal {
            key: "debezium",
            title: "against Debezium on the same outbox",
            conditions: vec![
                Condition::at_least("letters drained", 4.0, figure("relay against Debezium: letters drained")),
                Condition::at_most("lag p99", 0.2, figure("relay against Debezium: lag p99")),
                Condition::at_most("memory", 0.1, figure("relay against Debezium: resident memory")),
            ],
        },
        Goal {
            key: "relay-on",
            title: "what the relay takes from orders",
            conditions: vec![
                Condition::at_least(
                    "orders a second, against the relay off",
                    0.9,
                    figure("relay on: orders answered against relay off"),
                ),
                Condition::at_least(
                    "after 10 minutes with an old snapshot pinned",
                    0.9,
                    figure("relay on, old snapshot pinned: orders answered against relay off"),
                ),
            ],
        },
        Goal {
            key: "catch-up",
            title: "a follower that was away, the slowest",
            conditions: vec![
                Condition::at_least(
                    "letters, against one by one",
                    10.0,
                    worst(report, " catching up: letters against one by one"),
                ),
                Condition::at_least(
                    "letters, against orders a second at the peak",
                    5.0,
                    worst(report, " catching up: letters against orders at the peak"),
                ),
            ],
        },
        Goal {
            key: "memory",
            title: "memory of all services together, loaded",
            conditions: vec![Condition::at_most(
                "resident, in MiB",
                160.0,
                best(report, "stack, ", " in flight: all services resident"),
            )],
        },
        Goal {
            key: "cold-start",
            title: "cold start",
            conditions: vec![Condition::at_most(
                "all services to the first 201, database and broker up, in ms",
                1_000.0,
                figure("all services: start to first 201"),
            )],
        },
        Goal {
            key: "growth",
            title: "10 million orders in the tables, against a new platform",
            conditions: vec![
                Condition::at_least("orders a second", 0.9, figure("a grown platform: orders against a new one")),
                Condition::at_most(
                    "processor time of an order",
                    1.1,
                    figure("a grown platform: processor time of an order against a new one"),
                ),
            ],
        },
        Goal {
            key: "processor-time",
            title: "what an order costs",
            conditions: vec![
                Condition::at_most(
                    "processor time of all services but psp, against Postgres's own",
                    1.0,
                    processes::ours_against_postgres(report),
                ),
                Condition::at_most(
                    "p50 of a request that needs nothing, against a call without the gateway",
                    2.5,
                    figure("gateway, a request that needs nothing: p50, against gRPC"),
                ),
                Condition::at_most(
                    "answers of 38 to 45 ms of one order in flight (what delayed acknowledgements of TCP make), for each order",
                    0.01,
                    figure("stack, 1 in flight: answers of 38 to 45 ms"),
                ),
            ],
        },
        Goal {
            key: "monolith",
            title: "against one process that does the same in one transaction",
            conditions: vec![
                Condition::at_least(
                    "orders a second, with as many in flight as make it least",
                    0.5,
                    worst(report, " in flight: against the monolith"),
                ),
                Condition::published(
                    "the same when that process publishes letters as well",
                    worst(report, " in flight: against the monolith with a relay"),
                ),
            ],
        },
    ]
}

/// Of figures that differ in the number of orders in flight: the one with the highest median.
pub fn best(report: &Report, before: &str, after: &str) -> Option<Figure> {
    let numbered =
        report.between(before, after).filter_map(|(number, figure)| Some((number.parse::<u16>().ok()?, figure)));
    let numbered = numbered.filter(|(number, _)| *number <= IN_FLIGHT_MAX).map(|(_, figure)| figure);
    numbered.max_by(|one, other| one.median().total_cmp(&other.median())).cloned()
}

/// Of figures that differ in what their names begin with: the one with the lowest median.
fn worst(report: &Report, after: &str) -> Option<Figure> {
    let figures = report.between("", after).map(|(_, figure)| figure);
    figures.min_by(|one, other| one.median().total_cmp(&other.median())).cloned()
}

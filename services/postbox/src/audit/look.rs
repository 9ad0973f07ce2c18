//! One audit: a look at everything, then, for as long as something is suspect, looks at the suspects.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::finding::Finding;
use super::marks::Marks;
use super::promises::Promise;
use super::rules::ownership::Probe;
use super::rules::{CASE_RULES, Desk, acknowledged, effects, keys, overload, poison, stock, unfinished};
use super::sources::Sources;
use super::topics::{self, Which};
use super::walk::{Scope, Walk};
use super::watermark::History;
use crate::failure::Failure;

/// The first pause before suspects are looked at again; it doubles.
const PAUSE: Duration = Duration::from_millis(250);

/// Promises whose checks read the topics.
const READ_TOPICS: [Promise; 4] = [Promise::EVENT_AND_CHANGE, Promise::PUBLISHED, Promise::ONE_EFFECT, Promise::POISON];

/// What was found, by promise.
pub type Findings = BTreeMap<Promise, Finding>;

/// Who looks.
#[derive(Debug)]
pub struct Auditor {
    pub sources: Sources,
    /// What was acknowledged.
    pub journal: Option<PathBuf>,
    /// How long something may differ before it is a violation.
    pub grace: Duration,
    probe: Probe,
    /// What is no letter, on the topics; as the last look at all of them found.
    unreadable: Vec<(u8, i32, i64)>,
}

/// What is looked at.
struct Question {
    promises: BTreeSet<Promise>,
    /// These orders only; none: all.
    only: Option<Vec<Uuid>>,
    history: Option<History>,
}

impl Auditor {
    /// Registers the two customers whom the audit needs.
    pub async fn new(sources: Sources, journal: Option<PathBuf>, grace: Duration) -> Result<Self, Failure> {
        let probe = Probe::set_up(&sources).await?;
        Ok(Self { sources, journal, grace, probe, unreadable: Vec::new() })
    }

    /// Looks at everything; of history at what is new since `history`. What is left in the findings is wrong: it was wrong at
    /// first and is so still, so long after. Returns as soon as nothing is suspect.
    pub async fn audit(&mut self, history: Option<History>) -> Result<Findings, Failure> {
        let everything = Question { promises: Promise::all().collect(), only: None, history };
        let mut findings = self.look(&everything).await?;
        let until = Instant::now() + self.grace;
        let mut pause = PAUSE;
        while let Some(suspects) = suspects(&findings) {
            if Instant::now() >= until {
                break;
            }
            sleep(pause.min(until - Instant::now())).await;
            pause *= 2;
            let later = self.look(&suspects).await?;
            for (promise, finding) in &mut findings {
                if let Some(later) = later.get(promise) {
                    finding.keep_what_remains(later);
                }
            }
        }
        Ok(findings)
    }

    async fn look(&mut self, question: &Question) -> Result<Findings, Failure> {
        let mut findings: Findings = question.promises.iter().map(|promise| (*promise, Finding::default())).collect();
        self.walk(question, &mut findings).await?;
        let (sources, journal) = (&self.sources, self.journal.as_deref());
        for (&promise, finding) in &mut findings {
            match promise {
                Promise::ONE_KEY => keys::one_order_each(sources, finding).await?,
                Promise::STOCK => stock::adds_up(sources, finding).await?,
                Promise::ACKNOWLEDGED => acknowledged::are_kept(sources, journal, finding).await?,
                Promise::OWNERSHIP => self.probe.ask(sources, finding).await?,
                Promise::OVERLOAD => overload::everybody_answers(sources, finding).await?,
                Promise::SIGTERM => unfinished::is_taken_up(sources, finding).await?,
                // walked over
                _ => {}
            }
        }
        Ok(findings)
    }

    /// The checks of single orders, and those of what lies on the topics.
    async fn walk(&mut self, question: &Question, findings: &mut Findings) -> Result<(), Failure> {
        let rules: Vec<_> = CASE_RULES.iter().filter(|rule| question.promises.contains(&rule.promise)).collect();
        let reads_topics = READ_TOPICS.iter().any(|promise| question.promises.contains(promise));
        let has_orders = question.only.as_ref().is_none_or(|only| !only.is_empty());
        if !reads_topics && (rules.is_empty() || !has_orders) {
            return Ok(());
        }
        // first how far everybody says to be, then what is there: so whatever is spoken of is found
        let marks = Marks::read(&self.sources).await?;
        let which = match (&question.only, question.history) {
            (Some(only), _) if only.is_empty() || !reads_topics => Which::None,
            (Some(only), _) => Which::About(only.iter().copied().collect::<HashSet<_>>()),
            (None, history) => Which::Since(history.map(|history| milliseconds(history.letters))),
        };
        let is_first = question.only.is_none();
        let post = topics::read(&self.sources, which).await?;
        if is_first {
            self.unreadable = post.unreadable;
        }
        let desk = Desk { marks, since: post.since };
        if let Some(finding) = findings.get_mut(&Promise::POISON) {
            poison::parked_and_passed(&desk, &self.unreadable, &post.ends, finding);
        }
        if let Some(finding) = findings.get_mut(&Promise::ONE_EFFECT) {
            effects::positions_are_on_the_topics(&desk, &post.ends, finding);
        }
        if !has_orders {
            return Ok(());
        }
        let scope = Scope { only: question.only.clone(), since: question.history.map(|history| history.rows) };
        let mut walk = Walk::begin(&self.sources, &scope, post.letters).await?;
        while let Some(case) = walk.next().await? {
            for rule in &rules {
                let finding = findings.get_mut(&rule.promise).expect("rules are those of the asked promises");
                (rule.check)(&case, &desk, finding);
            }
        }
        Ok(())
    }
}

/// What is to be looked at again; `None`: nothing.
fn suspects(findings: &Findings) -> Option<Question> {
    let suspected = || findings.iter().filter(|(_, finding)| finding.suspected() > 0);
    let promises: BTreeSet<Promise> = suspected().map(|(promise, _)| *promise).collect();
    let orders: BTreeSet<Uuid> =
        suspected().flat_map(|(_, finding)| finding.suspects()).filter_map(|(_, suspect)| suspect.case).collect();
    (!promises.is_empty()).then(|| Question { promises, only: Some(orders.into_iter().collect()), history: None })
}

#[expect(clippy::cast_possible_truncation, reason = "a time in this millennium fits")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1_000.0) as i64
}

//! The audit: every promise, checked on a live platform, against records that the platform does not keep itself where there
//! are such: the card network's books, and the topics.
//!
//! It only reads (through the `…_audit` roles; two customers of its own are all that it makes). The databases are read one
//! after another while everything goes on, so what differs is at first only suspect; it is a violation when it still differs
//! 30 s later. Start at `look`, which is one audit; `walk` merges what everybody keeps about each order, and `rules` has the
//! checks.

mod case;
mod dead_letters;
mod finding;
mod look;
mod marks;
mod network;
mod outboxes;
mod promises;
mod report;
mod rules;
mod sorter;
mod sources;
mod streams;
mod topics;
mod walk;
mod watch;
mod watermark;

use std::time::Duration;

pub use report::Report;

use look::Auditor;
use sources::Sources;

use crate::cli::{AuditOptions, Common};
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::state::State;

/// How long something may differ before it is a violation.
const GRACE: Duration = Duration::from_secs(30);

/// Runs `postbox audit`.
pub async fn run(common: &Common, options: &AuditOptions) -> Result<(), Failure> {
    let state = DataFolder::find(common)?.running()?;
    let sources = Sources::of(state, &options.namespace)?;
    let grace = options.grace_ms.map_or(GRACE, Duration::from_millis);
    let mut auditor = Auditor::new(sources, options.journal.clone(), grace).await?;
    if options.watch {
        return watch::run(auditor, options, common.json).await;
    }
    let progress = Progress::start("auditing", common.json);
    let report = Report::of(&auditor.audit(None).await?);
    progress.finish();
    if common.json {
        println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
    } else {
        report.print();
    }
    verdict(&report)
}

/// Audits a platform and gives the rows; fails when a promise is broken.
pub async fn of_platform(state: State) -> Result<Report, Failure> {
    let mut auditor = Auditor::new(Sources::of(state, "")?, None, GRACE).await?;
    let report = Report::of(&auditor.audit(None).await?);
    verdict(&report)?;
    Ok(report)
}

fn verdict(report: &Report) -> Result<(), Failure> {
    let broken = report.broken();
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::found(format!("broken promises: {}", broken.join(", "))))
}

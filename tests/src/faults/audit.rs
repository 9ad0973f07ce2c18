//! The verdict on a platform at rest: the real `postbox audit`, with the journal of what was acknowledged.

use std::path::Path;

use serde_json::Value;

use super::world::World;

/// The promises whose violation is something lost: an event, a letter, an acknowledged order.
const LOST: [u64; 3] = [8, 9, 12];

/// The promises whose violation is something doubled: an order, a capture, a refund, an effect.
const DOUBLED: [u64; 4] = [1, 2, 4, 10];

/// What the audit found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Acknowledged or committed, and not there.
    pub lost: u64,
    /// There more than once.
    pub doubled: u64,
    /// Promises that are not kept.
    pub broken: u64,
    /// The findings, each in one line.
    pub told: Vec<String>,
}

/// Audits everything there is, from the beginning.
pub async fn audit(world: &World, journal: &Path) -> Findings {
    let journal = journal.to_str().expect("a temporary folder has a plain name");
    let said = world.command_line.start(&["audit", "--json", "--journal", journal]).result().await;
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("the audit told nothing: {said}"));
    let mut findings = Findings::default();
    for row in report["items"].as_array().expect("a row for each promise") {
        let (number, violations) = (row["number"].as_u64(), row["violations"].as_u64());
        let (number, violations) = number.zip(violations).expect("a row has a number and counts violations");
        if violations == 0 {
            continue;
        }
        findings.broken += 1;
        if LOST.contains(&number) {
            findings.lost += violations;
        }
        if DOUBLED.contains(&number) {
            findings.doubled += violations;
        }
        let found = row["found"].as_array().into_iter().flatten().filter_map(Value::as_str);
        findings.told.extend(found.map(|found| format!("promise {number}: {found}")));
    }
    findings
}

//! Auditing again and again: lines for people when something changes, and metrics for programs.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::look::Auditor;
use super::promises::Promise;
use super::report::{Report, Row};
use super::watermark::Watermark;
use crate::cli::AuditOptions;
use crate::failure::Failure;

/// The promises that are about history: while one is broken the watermark stays.
const HISTORY: [Promise; 3] = [Promise::EVENT_AND_CHANGE, Promise::PUBLISHED, Promise::ONE_EFFECT];

/// What was found last, as Prometheus reads it.
type Shown = Arc<Mutex<String>>;

/// Audits every so often until Ctrl-C or SIGTERM. A platform that is away for a while is told of and waited for.
pub async fn run(mut auditor: Auditor, options: &AuditOptions, json: bool) -> Result<(), Failure> {
    let shown = Shown::default();
    serve(options.listen, shown.clone()).await?;
    let refused = |error| Failure::unreachable(format!("signals cannot be waited for: {error}"));
    let mut terminated = signal(SignalKind::terminate()).map_err(refused)?;
    tokio::select! {
        never = rounds(&mut auditor, options, &shown, json) => never,
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminated.recv() => Ok(()),
    }
}

async fn rounds(auditor: &mut Auditor, options: &AuditOptions, shown: &Shown, json: bool) -> Result<(), Failure> {
    let mut watermark = Watermark::default();
    let mut before: Option<Result<Vec<Row>, String>> = None;
    loop {
        let next = Instant::now() + options.every;
        #[expect(clippy::disallowed_methods, reason = "the command has no other clock")]
        let began = jiff::Timestamp::now();
        let outcome = match auditor.audit(watermark.history()).await {
            Ok(findings) => {
                let history_is_right = HISTORY.iter().all(|promise| findings[promise].suspected() == 0);
                if history_is_right {
                    watermark.rise_to(super::topics::seconds(began.as_millisecond()));
                }
                let report = Report::of(&findings);
                *shown.lock().expect("nobody panics with it") = metrics(&report);
                Ok(report.items)
            }
            Err(failure) if failure.is_worth_another_try() => Err(failure.to_string()),
            Err(failure) => return Err(failure),
        };
        tell(began, before.as_ref(), &outcome, json);
        before = Some(outcome);
        sleep_until(next).await;
    }
}

/// One line for each promise whose violations are others than before, and one when the platform goes away or comes back.
fn tell(at: jiff::Timestamp, before: Option<&Result<Vec<Row>, String>>, now: &Result<Vec<Row>, String>, json: bool) {
    let rows = match now {
        Err(reason) if !matches!(before, Some(Err(told)) if told == reason) => return println!("{at:.0}  {reason}"),
        Err(_) => return,
        Ok(rows) => rows,
    };
    let known = before.and_then(|outcome| outcome.as_ref().ok());
    if known.is_none() {
        let violations: usize = rows.iter().map(|row| row.violations).sum();
        println!("{at:.0}  audited, {violations} violations");
    }
    for row in rows {
        let found_before = known.map(|rows| &rows[row.number - 1].found);
        if found_before.map_or(row.violations == 0, |found| *found == row.found) {
            continue;
        }
        if json {
            println!("{}", serde_json::to_string(row).expect("a row is plain data"));
            continue;
        }
        println!("{at:.0}  promise {}, {}: {} violations", row.number, row.promise, row.violations);
        for line in row.lines() {
            println!("{line}");
        }
    }
}

async fn serve(listen: SocketAddr, shown: Shown) -> Result<(), Failure> {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Failure::try_again(format!("--listen {listen}: {error}; give another address")))?;
    let routes = Router::new().route(
        "/metrics",
        get(move || {
            let shown = shown.lock().expect("nobody panics with it").clone();
            async move { shown }
        }),
    );
    tokio::spawn(async move {
        // ends with the process
        let _ = axum::serve(listener, routes).await;
    });
    Ok(())
}

/// What a gauge shows of a promise.
type Value = fn(&Row) -> u64;

/// The text that Prometheus reads.
fn metrics(report: &Report) -> String {
    let mut text = String::new();
    let gauges: [(&str, &str, Value); 2] = [
        ("postbox_violations", "Violations of the promise in the last audit", |row| row.violations as u64),
        ("postbox_audit_checked", "What the last audit looked at for the promise", |row| row.checked),
    ];
    for (name, help, value) in gauges {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for row in &report.items {
            let _ = writeln!(text, "{name}{{promise=\"{}\"}} {}", row.number, value(row));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_reads_a_line_for_each_promise() {
        let row = Row {
            number: 5,
            promise: Promise::STOCK.words(),
            checked: 6,
            violations: 1,
            note: None,
            found: vec!["product mug: adds up to too little".to_owned()],
        };
        let text = metrics(&Report { items: vec![row] });
        assert!(text.contains("\npostbox_violations{promise=\"5\"} 1\n"), "{text}");
        assert!(text.contains("\npostbox_audit_checked{promise=\"5\"} 6\n"), "{text}");
    }
}

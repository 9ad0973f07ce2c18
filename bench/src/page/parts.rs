//! What a run consists of, part by part: when and of what each was measured, with all its figures.

use serde_json::Value;

use crate::{
    page::text::{self, NOT_MEASURED},
    report::Report,
    run::Run,
};

/// Each sub-command that measures, and what it is about.
const PARTS: [(&str, &str); 16] = [
    (
        "start",
        "how fast everything starts, how much memory it takes, how long an order and its effects take with nobody else there",
    ),
    ("throughput", "orders a second and what an order costs, beside what the database server can do at all"),
    ("hops", "one order by itself, against its commits and its hops; what a hop costs"),
    ("functions", "where processor time goes, function by function"),
    ("doors", "orders by letter against orders by telephone"),
    ("batches", "commits that requests share against a commit for each"),
    ("hot", "Reserve of one product that everybody wants, against updates of one row"),
    ("relay", "how fast letters leave the outbox, how long they wait there, and what that costs"),
    ("debezium", "the relay against Debezium on outboxes alike"),
    ("catch-up", "a follower that was away, against letters applied one by one"),
    ("growth", "a platform with millions of orders against a new one"),
    ("monolith", "all services against one process that does the same in one transaction"),
    ("neighbours", "what slow cards, huge orders and silent connections do to the orders of others"),
    ("overload", "twice as many orders as can be taken, for a minute"),
    ("traces", "what exporting spans costs"),
    ("kafka", "what the settings of a producer and a consumer do to letters"),
];

/// All of them, with those that were not measured.
pub fn all(report: &Report) -> String {
    let head = "| `bench …` | what | on | commit | minutes | options |\n|---|---|---|---|--:|---|\n".to_owned();
    let lines = PARTS.iter().map(|(name, about)| match report.run(name) {
        Some(run) => line(run, about),
        None => format!("| `{name}` | {about} | {NOT_MEASURED} | | | |\n"),
    });
    let lines = lines.chain(unknown(report).map(|run| line(run, "")));
    std::iter::once(head).chain(lines).chain(report.runs().iter().map(figures)).collect()
}

/// Every figure of a run, folded away.
fn figures(run: &Run) -> String {
    let table = text::table(
        ["figure", "median", "lowest", "highest", "n"],
        run.figures.iter().map(|figure| {
            [
                figure.name().to_owned(),
                text::with_unit(figure.median(), figure.unit()),
                text::number(figure.lowest()),
                text::number(figure.highest()),
                figure.samples().len().to_string(),
            ]
        }),
    );
    format!("\n<details><summary>All figures of <code>{}</code></summary>\n\n{table}\n</details>\n", run.part)
}

/// Those that the table does not know yet.
fn unknown(report: &Report) -> impl Iterator<Item = &Run> {
    report.runs().iter().filter(|run| PARTS.iter().all(|(name, _)| *name != run.part))
}

fn line(run: &Run, about: &str) -> String {
    let minutes = run.took_s.div_ceil(60);
    let commit = &run.circumstances.commit;
    format!("| `{}` | {about} | {} | `{commit}` | {minutes} | {} |\n", run.part, run.date, options(&run.options))
}

/// `cycles 5, slice 4, in_flight 1 8 32`; of a switch its name, when it is on.
fn options(options: &Value) -> String {
    let Value::Object(options) = options else { return String::new() };
    let told = options.iter().filter_map(|(name, value)| match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(name.clone()),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            Some(format!("{name} {}", values.join(" ")))
        }
        value => Some(format!("{name} {value}")),
    });
    told.collect::<Vec<_>>().join(", ")
}

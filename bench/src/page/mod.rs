//! The page: `performance.md` with its plots, made of figures alone. The same figures make the same page, so what is committed can
//! be checked, and made again without measuring.

pub mod text;

mod goals;
mod kafka;
mod parts;
pub mod processes;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    figure::Figure,
    plot::{self, kafka::What},
    report::Report,
};

/// Where in the page's folder the figures are.
pub const FIGURES: &str = "performance/figures.json";

/// Where in the page's folder people write why a goal was not reached: `KEY.md`.
const NOTES: &str = "performance/notes";

/// Of what.
#[derive(Debug, Args)]
pub struct MakePage {
    /// Files that `--report` wrote; of a part that is in several, the last counts [default: the figures in the folder]
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,

    /// The folder of the page.
    #[arg(long, value_name = "FOLDER", default_value = "docs")]
    into: PathBuf,
}

impl MakePage {
    /// Makes it.
    pub fn make(self) -> Result<()> {
        let mut report = Report::default();
        let own = vec![self.into.join(FIGURES)];
        for file in if self.from.is_empty() { own } else { self.from } {
            report.put_all(Report::read(&file)?);
        }
        write(&report, &self.into)
    }
}

/// Writes the page with its plots and figures into a folder.
pub fn write(report: &Report, folder: &Path) -> Result<()> {
    let mut files = render(report, |key| note(folder, key));
    files.insert(FIGURES.to_owned(), report.to_json());
    for (name, text) in files {
        let file = folder.join(name);
        let parent = file.parent().context("a file in a folder")?;
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&file, text));
        written.with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(())
}

/// What somebody wrote about a goal that was not reached.
fn note(folder: &Path, key: &str) -> Option<String> {
    fs::read_to_string(folder.join(NOTES).join(format!("{key}.md"))).ok()
}

/// The page and its plots, by their names in the page's folder.
fn render(report: &Report, note: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let mut page = Page { text: String::new(), plots: BTreeMap::new() };
    let goals = goals::all(report);
    page.text(INTRODUCTION);
    page.text(&machine(report));
    page.text("\n## What was to be reached\n\n");
    page.text(GOALS);
    page.text(&goals::table(&goals));
    page.text("\n## What was not reached, and why\n\n");
    page.text(&missed(&goals, note));
    page.text("\n## Orders a second\n\n");
    page.plot("orders", "Orders a second over orders in flight", plot::orders::plot(report));
    page.text(&orders(report));
    page.text("\n## Where the processor time of an order goes\n\n");
    page.plot("processor-time", "Processor time of an order by process", plot::processors::plot(report));
    page.text(&processor_time(report));
    page.text(&functions(report));
    page.text("\n## How long an answer takes\n\n");
    page.plot("answers", "Quantiles of answers over steady rates", plot::answers::plot(report));
    page.text(ANSWERS);
    page.text("\n## Kafka\n\n");
    page.plot(
        "kafka-letters",
        "Letters a second for each combination of settings",
        plot::kafka::plot(report, What::Letters),
    );
    page.plot(
        "kafka-p99",
        "p99 of acknowledgements for each combination of settings",
        plot::kafka::plot(report, What::P99),
    );
    page.text(&kafka::words(report));
    page.text("\n## Every part\n\n");
    page.text(&parts::all(report));
    page.text("\n## How it was measured\n\n");
    page.text(HOW);
    let mut files = page.plots;
    files.insert("performance.md".to_owned(), page.text);
    files
}

struct Page {
    text: String,
    plots: BTreeMap<String, String>,
}

impl Page {
    fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// A plot, or that it cannot be made of what was measured.
    fn plot(&mut self, key: &str, about: &str, svg: Option<String>) {
        if let Some(svg) = svg {
            let name = format!("performance/{key}.svg");
            self.text(&format!("![{about}]({name})\n\n"));
            self.plots.insert(name, svg);
        } else {
            self.text(&format!("*{about}: {}.*\n\n", text::NOT_MEASURED));
        }
    }
}

const INTRODUCTION: &str = "\
# How fast it is

Made by `make bench`; every figure is in [figures.json](performance/figures.json), with all values it was made of. Figures are medians,
in brackets the lowest and the highest. On a machine that others use as well a rate says little. The **ratio** of two slices that followed
each other says more, and so does processor time; the goals are ratios for that reason.

";

const GOALS: &str = "\
**P1** is the SQL of an order on the same database server in one statement and one commit, **P3** in three, which is the least that keeping
stock, money and orders apart costs without sharing commits; both by 32 clients that do nothing else. [How it was measured](#how-it-was-measured)
tells what flatters and what does not.

";

const ANSWERS: &str = "\
Orders leave when they are due and wait from then, whether or not earlier ones were answered. The rates are 25, 50, 75 and 90 per cent of the
best that was measured before, if not said otherwise among the options of `throughput`. Where P3 cannot keep a rate its orders queue, and the time
in the queue counts.
";

const FUNCTIONS: &str = "
Function by function, as `perf` meets them on both processors while 256 orders are in flight (`bench functions`). A function stands for itself, without those that it
calls; `[k]` is the kernel's.

";

const HOW: &str = "\
- **One machine for everything.** The load generator, the database server, the brokers and all services share its processors. More machines would
  give more orders a second; what an order costs would stay.
- **One database server for seven databases**, hence one log: a commit of one service makes that of another cheaper when both wait for
  the disk. That flatters the platform (and P3) against a server for each service.
- **Durable.** `fsync` and `synchronous_commit` are on everywhere, no table is unlogged, and an order is answered after its commit. The brokers
  acknowledge a letter when it is in their page cache, as Kafka does: with one broker that is less than the disk.
- **Sustained.** A slice of the platform ends when all that its orders caused is done: every outbox published, every group at the end of its
  topics. What lags behind makes its own figure worse.
- **In turns.** A slice of the one side, a slice of the other, cycle after cycle, each after a checkpoint; a ratio is of two that followed each other.
- **psp stands for the card network**, which is not ours: its processor time is told apart. What payment spends on calling it counts.
- **Audited.** After each run that placed orders every promise of the platform was checked against what was acknowledged. A broken promise
  voids the run, and nothing of it is here.
- **The load generator** is as light as it can be, and its processor time is in the picture above: it is taken from what it measures.

[bench](../bench/README.md) tells the rest, and how to run it.
";

/// When, where and of what each part was measured.
fn machine(report: &Report) -> String {
    let Some(last) = report.runs().last() else {
        return "**Nothing was measured yet**: run `make bench`.\n".to_owned();
    };
    let here = &last.circumstances;
    let all = format!(
        "Measured on {} cores ({}), {} GiB of memory, Linux {}; Postgres {}, Kafka {}, Rust {}, built as `{}`.\n",
        here.cores,
        here.processor,
        here.memory_mib.div_ceil(1_024),
        here.kernel,
        here.postgres,
        here.kafka,
        here.rustc,
        here.profile,
    );
    let elsewhere = report.runs().iter().filter_map(|run| {
        let there = &run.circumstances;
        let is_here = (&there.processor, there.cores, &there.profile) == (&here.processor, here.cores, &here.profile);
        let (part, cores, processor, profile) = (&run.part, there.cores, &there.processor, &there.profile);
        (!is_here)
            .then(|| format!("`{part}` was measured elsewhere: {cores} cores ({processor}), built as `{profile}`.\n"))
    });
    std::iter::once(all).chain(elsewhere).collect()
}

/// Each goal that was not reached, with what somebody wrote about it.
fn missed(goals: &[goals::Goal], note: impl Fn(&str) -> Option<String>) -> String {
    let missed: Vec<String> = goals
        .iter()
        .filter(|goal| goal.is_missed())
        .map(|goal| {
            let title = goal.title;
            let note = note(goal.key).unwrap_or_else(|| {
                format!("Nobody has written down why yet; it belongs into `{NOTES}/{}.md`.\n", goal.key)
            });
            format!("### {}{}\n\n{}\n", title[..1].to_uppercase(), &title[1..], note.trim_end())
        })
        .collect();
    match (missed.is_empty(), goals.iter().any(goals::Goal::is_measured)) {
        (true, true) => "Of what was measured, everything was reached.\n".to_owned(),
        (true, false) => "Nothing was measured.\n".to_owned(),
        (false, _) => missed.join("\n"),
    }
}

/// What each number of orders in flight came to.
fn orders(report: &Report) -> String {
    let mut in_flight: Vec<u16> =
        report.between("stack, ", " in flight: orders").filter_map(|(number, _)| number.parse().ok()).collect();
    in_flight.sort_unstable();
    let spread = |name: &str| report.figure(name).map_or_else(|| "–".to_owned(), text::spread);
    let rows = in_flight.iter().map(|number| {
        let of = |what: &str| spread(&format!("stack, {number} in flight: {what}"));
        [number.to_string(), of("orders"), of("against P3"), of("against P1"), of("answer p50"), of("answer p99")]
    });
    let ceilings = ["P1", "P3"].map(|way| {
        let orders = spread(&format!("{way}, 32 clients: orders"));
        [way.to_owned(), orders, "–".to_owned(), "–".to_owned(), "–".to_owned(), "–".to_owned()]
    });
    let head = ["in flight", "orders", "against P3", "against P1", "answer p50", "answer p99"];
    if in_flight.is_empty() { String::new() } else { text::table(head, rows.chain(ceilings)) }
}

/// The best number of orders in flight, process by process, beside P3.
fn processor_time(report: &Report) -> String {
    let Some(side) = processes::best_side(report) else { return String::new() };
    let mut each = processes::each(report, &side);
    each.sort_by(|(_, one), (_, other)| other.median().total_cmp(&one.median()));
    let p3 = processes::each(report, "P3, 32 clients");
    let rows = each.iter().map(|(who, figure)| {
        let beside = p3.iter().find(|(process, _)| process == who).map(|(_, figure)| text::spread(figure));
        let allocations = report.figure(&format!("{side}: allocations of an order, {who}")).map(text::spread);
        let or_none = |told: Option<String>| told.unwrap_or_else(|| "–".to_owned());
        [(*who).to_owned(), text::spread(figure), or_none(beside), or_none(allocations)]
    });
    let all = |side: &str| report.figure(&format!("{side}: processor time of an order")).map(text::spread);
    let [ours, ceiling] = [side.as_str(), "P3, 32 clients"].map(|side| all(side).unwrap_or_default());
    let total = ["**all**".to_owned(), ours, ceiling, String::new()];
    let table = text::table(["process", side.as_str(), "P3, 32 clients", "allocations"], rows.chain([total]));
    let ours = processes::ours_against_postgres(report);
    let ours: Option<&Figure> = ours.as_ref();
    format!("{table}\nAll services of ours together take {} of what Postgres takes for them.\n", text::median(ours))
}

/// What each process does most, function by function.
fn functions(report: &Report) -> String {
    let rows = processes::sampled(report).into_iter().map(|process| {
        let most: Vec<String> =
            process.most.iter().map(|(function, figure)| format!("`{function}` {:.1}", figure.median())).collect();
        let [all, in_kernel] = [process.all, process.in_kernel].map(|microseconds| format!("{microseconds:.0} µs"));
        [process.name.to_owned(), all, in_kernel, most.join("<br>")]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return "\n*Where it goes function by function: not measured in this run.*\n".to_owned();
    }
    format!("{FUNCTIONS}{}", text::table(["process", "sampled", "in the kernel", "most, in µs"], rows))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_committed_page_is_what_the_committed_figures_give() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let report = Report::read(&docs.join(FIGURES)).expect("the figures can be read");
        for (name, text) in render(&report, |key| note(&docs, key)) {
            let committed = fs::read_to_string(docs.join(&name)).unwrap_or_default();
            assert!(committed == text, "docs/{name} is not what docs/{FIGURES} gives: `bench page` makes it anew");
        }
    }

    #[test]
    fn what_was_not_measured_is_said_to_be_missing() {
        let files = render(&Report::default(), |_| None);
        assert_eq!(files.keys().collect::<Vec<_>>(), ["performance.md"]);
        let page = &files["performance.md"];
        for (number, goal) in (1..).zip(goals::all(&Report::default())) {
            assert!(page.contains(&format!("| {number} | **{}**", goal.title)), "{}", goal.title);
        }
        assert!(page.contains("*Orders a second over orders in flight: not measured in this run.*"));
    }

    #[test]
    fn a_goal_that_was_missed_has_its_note_and_the_same_figures_make_the_same_page() {
        let figure = |name, samples: [f64; 3]| json!({"name": name, "unit": "×", "samples": samples});
        let run = json!({
            "part": "throughput", "options": {"cycles": 3, "quick": false}, "date": "2026-01-01", "took_s": 61,
            "circumstances": {
                "commit": "c0ffee", "cores": 2, "processor": "P", "memory_mib": 2_000, "kernel": "6", "postgres": "17",
                "kafka": "4", "rustc": "1", "profile": "release"
            },
            "figures": [
                figure("stack, 32 in flight: against P3", [0.5, 0.7, 0.6]),
                figure("stack, at 50 % of its peak: p99 against that of P3", [1.0, 1.0, 1.0]),
            ],
        });
        let report: Report = serde_json::from_value(json!({"runs": [run]})).expect("it is a report");
        let note = |key: &str| (key == "orders").then(|| "This was tried.\n".to_owned());
        let page = render(&report, note).remove("performance.md").expect("it is always there");
        assert!(page.contains("32 in flight, against P3 | ≥ 1 | 0.60 × (0.50 – 0.70) | **no** |"), "{page}");
        assert!(page.contains("### Orders a second, sustained\n\nThis was tried.\n"), "{page}");
        assert!(page.contains("| `throughput` | orders a second and what an order costs"), "{page}");
        let again: Report = serde_json::from_str(&report.to_json()).expect("it is read back");
        assert_eq!(again, report);
    }
}

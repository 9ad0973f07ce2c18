//! Where processor time goes, function by function: samples that `perf` takes while the platform is ordered from.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::{
    figure::Figures,
    platform::{self, Platform},
    processor,
    stack::{Order, Stack},
    turns::Turns,
};

/// Orders in flight: enough for full batches.
const IN_FLIGHT: u16 = 256;

/// Samples a second of each processor. No divisor of what a clock ticks, so that nothing that keeps to the clock is always or never met.
const HERTZ: u16 = 997;

/// The functions of a process that are told of; the others are told together.
const TOLD_MAX: usize = 12;

/// What the figures of a process and a function begin with.
pub const SAMPLED: &str = "sampled, 256 in flight: processor time of an order, ";

/// All functions of the kernel together, in the place of a function.
pub const IN_KERNEL: &str = "in the kernel";

/// Those that are not told by themselves, in the place of a function.
pub const OTHERS: &str = "in all others";

/// Code that has no name.
const NAMELESS: &str = "code without a name";

/// The longest name that is told, in characters: generic parameters go on for lines.
const NAME_MAX: usize = 90;

/// How long `perf` may take to write down what it has, or to tell it.
const PERF_DEADLINE: Duration = Duration::from_mins(2);

/// Samples by process, and in it by function.
type Samples = BTreeMap<String, BTreeMap<String, u32>>;

/// Orders, while samples are taken.
pub async fn measure(turns: Turns, figures: &mut Figures) -> Result<()> {
    platform::under_load(async |platform| measure_on(platform, turns, figures).await).await
}

async fn measure_on(platform: &Platform, turns: Turns, figures: &mut Figures) -> Result<()> {
    let mut stack = Stack::prepare(platform).await?;
    platform.analyze().await?;
    stack.warm_up().await?;
    for _ in turns.cycles() {
        let recording = Recording::start()?;
        let slice = stack.slice(Order::closed(IN_FLIGHT), turns.length()).await?;
        let samples = by_name(&recording.end().await?, &processor::threads(platform)?);
        ensure!(!samples.is_empty(), "perf has met none of our processes");
        note(&samples, slice.tally.orders(), figures);
    }
    stack.audit().await
}

/// Notes what an order takes in the functions that take the most.
fn note(samples: &Samples, orders: u32, figures: &mut Figures) {
    let took = |samples: u32| Duration::from_secs_f64(f64::from(samples) / f64::from(HERTZ) / f64::from(orders));
    for (process, functions) in samples {
        let mut functions: Vec<_> = functions.iter().collect();
        functions.sort_by_key(|&(_, samples)| std::cmp::Reverse(samples));
        let in_kernel = functions.iter().filter(|(name, _)| is_of_kernel(name)).map(|(_, samples)| **samples).sum();
        let mut note = |what: &str, samples| figures.microseconds(format!("{SAMPLED}{process}, {what}"), took(samples));
        note(IN_KERNEL, in_kernel);
        let told = functions.len().min(TOLD_MAX);
        for (function, samples) in &functions[..told] {
            note(function, **samples);
        }
        let others = functions[told..].iter().map(|(_, samples)| **samples).sum();
        note(OTHERS, others);
    }
}

/// As `perf` marks it.
fn is_of_kernel(function: &str) -> bool {
    function.starts_with("[k]")
}

/// Samples that are being taken, of the whole machine.
struct Recording {
    perf: Child,
    folder: TempDir,
}

impl Recording {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let perf = Command::new("perf")
            .args(["record", "--all-cpus", "--event", "cpu-clock", "--freq", &HERTZ.to_string(), "--output"])
            .arg(file_in(&folder))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("`perf` cannot be run: install it (linux-perf), or leave this part out")?;
        Ok(Self { perf, folder })
    }

    /// What `perf` tells of the samples: lines of their number, the number of the thread with its name, and the function.
    async fn end(mut self) -> Result<String> {
        let pid = self.perf.id().context("`perf record` has ended by itself: it may need root")?;
        // it writes down what it has, as on Ctrl-C
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGINT)?;
        timeout(PERF_DEADLINE, self.perf.wait()).await.context("`perf record` does not end")??;
        report(&file_in(&self.folder)).await
    }
}

fn file_in(folder: &TempDir) -> PathBuf {
    folder.path().join("perf.data")
}

async fn report(file: &Path) -> Result<String> {
    let telling = Command::new("perf")
        .args(["report", "--stdio", "--no-children", "--percent-limit", "0", "--fields", "sample,pid,sym"])
        .args(["--field-separator", "|", "--input"])
        .arg(file)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let told = timeout(PERF_DEADLINE, telling).await.context("`perf report` does not end")??;
    if !told.status.success() {
        bail!("perf report: {}", String::from_utf8_lossy(&told.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&told.stdout).into_owned())
}

/// The samples of these threads.
fn by_name(told: &str, threads: &BTreeMap<u32, String>) -> Samples {
    let mut samples = Samples::new();
    for line in told.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.splitn(3, '|').map(str::trim);
        let (Some(number), Some(thread), Some(function)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let thread = thread.split_once(':').and_then(|(thread, _)| thread.trim().parse().ok());
        let (Ok(number), Some(name)) = (number.parse::<u32>(), thread.and_then(|thread: u32| threads.get(&thread)))
        else {
            continue;
        };
        *samples.entry(name.clone()).or_default().entry(readable(function)).or_default() += number;
    }
    samples
}

/// A function's name without the digits that tell it from others of its name, and not without end.
fn readable(function: &str) -> String {
    // compiled while it runs, as Java is
    if function.starts_with("[.] 0x") {
        return NAMELESS.to_owned();
    }
    let name = match function.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => function,
    };
    // what is in the program itself needs no mark
    let name = name.strip_prefix("[.] ").unwrap_or(name);
    // which would end a cell of a table
    let name = name.replace('|', "/");
    if name.chars().count() <= NAME_MAX {
        return name;
    }
    let short: String = name.chars().take(NAME_MAX).collect();
    format!("{short}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_counted_by_process_and_function_and_those_of_nobody_left_out() {
        let told = "# Samples: 1K of event 'cpu-clock'\n\
            \n 41         |      0:swapper        |[k] pv_native_safe_halt\n\
            9          |  12055:order            |[.] <a::B as c::D>::poll::h0123456789abcdef\n\
            2          |  12055:order            |[.] <a::B as c::D>::poll::hfedcba9876543210\n\
            5          |  77:postgres            |[k] tcp_sendmsg|x\n\
            3          |  77:postgres            |[.] 0x00007f01\n\
            4          |  77:postgres            |[.] 0x00007f02\n";
        let threads = BTreeMap::from([(12_055, "order".to_owned()), (77, "postgres".to_owned())]);
        let samples = by_name(told, &threads);
        let wanted = Samples::from([
            ("order".to_owned(), BTreeMap::from([("<a::B as c::D>::poll".to_owned(), 11)])),
            ("postgres".to_owned(), BTreeMap::from([("[k] tcp_sendmsg/x".to_owned(), 5), (NAMELESS.to_owned(), 7)])),
        ]);
        assert_eq!(samples, wanted);
    }

    #[test]
    fn what_is_not_told_by_itself_is_told_together() {
        let functions = (1_u32..=15).map(|number| (format!("[k] f{number:02}"), number)).collect();
        let mut figures = Figures::default();
        note(&Samples::from([("order".to_owned(), functions)]), 1, &mut figures);
        let samples = |name: &str| {
            let figure = figures.get(&format!("{SAMPLED}order, {name}"));
            figure.map(|figure| figure.median() * f64::from(HERTZ) / 1_000_000.0)
        };
        let is = |name: &str, wanted: f64| (samples(name).expect(name) - wanted).abs() < 0.01;
        assert!(is("[k] f15", 15.0));
        assert!(is(OTHERS, 1.0 + 2.0 + 3.0));
        assert!(is(IN_KERNEL, 120.0));
        assert!(samples("[k] f03").is_none());
    }
}

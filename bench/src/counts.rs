//! Instruction counts of the hot functions, compared with those that are kept in the repository.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

/// By function.
type ByFunction = BTreeMap<String, u64>;

/// A function that takes more per cent than this beyond what is kept has grown. Random keys of hash maps, and the C library of another
/// machine, make less of a difference.
const TOLERANCE_PERCENT: u64 = 5;

/// What was counted, and what to compare it with.
#[derive(Debug, Args)]
pub struct Counts {
    /// What `cargo bench --bench instructions` told, as JSON.
    counted: PathBuf,

    /// The counts that are kept.
    #[arg(long, value_name = "FILE", default_value = "bench/instructions.json")]
    kept: PathBuf,

    /// Keeps what was counted.
    #[arg(long)]
    accept: bool,
}

impl Counts {
    /// Prints each function's count. Fails when one has grown, or is not kept, or is kept and was not counted.
    pub fn compare(self) -> Result<()> {
        let counted = counted(&read(&self.counted)?)?;
        if self.accept {
            let text = serde_json::to_string_pretty(&counted).expect("names and numbers");
            fs::write(&self.kept, text + "\n").with_context(|| format!("{} cannot be written", self.kept.display()))?;
            println!("{} counts are kept in {}", counted.len(), self.kept.display());
            return Ok(());
        }
        let kept: ByFunction = serde_json::from_str(&read(&self.kept)?)
            .with_context(|| format!("{} holds no counts", self.kept.display()))?;
        for (function, count) in &counted {
            let before = kept.get(function).map_or_else(|| "not kept".to_owned(), |kept| change(*kept, *count));
            println!("{function}: {count} instructions ({before})");
        }
        let wrong = wrong(&kept, &counted);
        if !wrong.is_empty() {
            bail!("{}; when that is as it should be: scripts/instruction-counts --accept", wrong.join("; "));
        }
        Ok(())
    }
}

/// What is not as it is kept. Less is no fault: it is told, and whoever made it so may accept it.
fn wrong(kept: &ByFunction, counted: &ByFunction) -> Vec<String> {
    let missing = kept.keys().filter(|function| !counted.contains_key(*function));
    let missing = missing.map(|function| format!("{function} is kept and was not counted"));
    let others = counted.iter().filter_map(|(function, &count)| match kept.get(function) {
        None => Some(format!("{function} is not kept yet")),
        Some(&kept) if count > kept + kept * TOLERANCE_PERCENT / 100 => {
            Some(format!("{function} has grown by {} to {count} instructions", change(kept, count)))
        }
        Some(_) => None,
    });
    missing.chain(others).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn change(from: u64, to: u64) -> String {
    format!("{:+.1} %", (to as f64 / from as f64 - 1.0) * 100.0)
}

/// The instructions of each function, from what gungraun tells: a line of JSON for each.
fn counted(text: &str) -> Result<ByFunction> {
    let mut counted = ByFunction::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let told: Value = serde_json::from_str(line).context("a line of what was counted is no JSON")?;
        let (function, count) =
            instructions(&told).with_context(|| format!("no instructions are counted in {line:.200}"))?;
        counted.insert(function, count);
    }
    if counted.is_empty() {
        bail!("nothing was counted: gungraun told no function");
    }
    Ok(counted)
}

fn instructions(told: &Value) -> Option<(String, u64)> {
    let count = told.pointer("/profiles/0/data/total/metrics/Ir/values/new")?.as_u64()?;
    Some((told["function_name"].as_str()?.to_owned(), count))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_grown_is_named_with_how_much() {
        let kept =
            ByFunction::from([("encode".to_owned(), 1_000), ("decode".to_owned(), 1_000), ("gone".to_owned(), 1)]);
        let counted =
            ByFunction::from([("encode".to_owned(), 1_051), ("decode".to_owned(), 700), ("new".to_owned(), 1)]);
        let wrong = wrong(&kept, &counted);
        let expected = [
            "gone is kept and was not counted",
            "encode has grown by +5.1 % to 1051 instructions",
            "new is not kept yet",
        ];
        assert_eq!(wrong, expected);
    }
}

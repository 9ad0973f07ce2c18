//! A whole run: every part that the page has, one after another.

use anyhow::{Result, bail};
use clap::{Args, Parser};

use crate::{Cli, Part, What, report::Report};

/// The parts, as they are typed.
const PARTS: [&str; 15] = [
    "start",
    "throughput --one-sku",
    "hops",
    "doors",
    "batches",
    "hot",
    "relay",
    "debezium",
    "catch-up",
    "monolith",
    "neighbours",
    "overload",
    "traces",
    "kafka",
    "growth",
];

/// Those that show within three minutes that all works, short as they are.
const QUICK_PARTS: [&str; 3] =
    ["start --rounds 1 --orders 50 --followers-for 5", "throughput --quick", "kafka --quick"];

/// How much.
#[derive(Debug, Clone, Args)]
pub struct Whole {
    /// To see that it works, in less than three minutes: few cycles, and not all parts.
    #[arg(long)]
    quick: bool,
}

impl Whole {
    /// Measures part by part. One that fails is told of and does not stop the others; then this fails at its end.
    pub async fn measure(self, report: &mut Report) -> Result<()> {
        let mut failed = Vec::new();
        let parts: &[&str] = if self.quick { &QUICK_PARTS } else { &PARTS };
        for typed in parts {
            eprintln!("bench {typed}");
            if let Err(error) = part(typed)?.measure_into(report).await {
                eprintln!("bench {typed}: {error:#}");
                failed.push(*typed);
            }
        }
        if !failed.is_empty() {
            bail!("not measured, see above: {}", failed.join(", "));
        }
        Ok(())
    }
}

fn part(typed: &str) -> Result<Part> {
    match Cli::try_parse_from(["bench"].into_iter().chain(typed.split(' ')))?.what {
        What::Part(part) => Ok(part),
        _ => bail!("`{typed}` is no part"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_whole_run_is_a_command() {
        for typed in PARTS.into_iter().chain(QUICK_PARTS) {
            part(typed).expect(typed);
        }
    }
}

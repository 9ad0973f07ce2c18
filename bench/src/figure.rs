//! Named figures, each measured several times.

use std::{borrow::Cow, time::Duration};

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde::{Deserialize, Serialize};

/// The unit of a ratio, whose first digits after the point matter.
pub const TIMES: &str = "×";

/// So many digits of a value are kept: more than any measurement has, and a page that is made from what was written down is
/// the same as one that is made at once.
const DIGITS: usize = 5;

/// All figures of a run, in the order in which they were first measured.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Figures(Vec<Figure>);

/// A figure. Its name is its key, see the README.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Figure {
    name: String,
    unit: Cow<'static, str>,
    samples: Vec<f64>,
}

/// A figure in a file: what follows from the samples is there for who reads the file without us, and is not read back.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    name: String,
    unit: Cow<'static, str>,
    #[serde(skip_deserializing)]
    median: f64,
    #[serde(skip_deserializing)]
    lowest: f64,
    #[serde(skip_deserializing)]
    highest: f64,
    #[serde(skip_deserializing)]
    n: usize,
    samples: Vec<f64>,
}

impl Figures {
    /// Adds a duration, in milliseconds.
    pub fn milliseconds(&mut self, name: impl Into<String>, took: Duration) {
        self.add(name, "ms", took.as_secs_f64() * 1_000.0);
    }

    /// Adds a rate: so many within this time.
    pub fn per_second(&mut self, name: impl Into<String>, count: u32, took: Duration) {
        self.add(name, "1/s", f64::from(count) / took.as_secs_f64());
    }

    /// Adds a ratio: so many for each of these.
    #[expect(clippy::cast_precision_loss, reason = "what is counted in a run is far below 2^52")]
    pub fn pieces(&mut self, name: impl Into<String>, pieces: u64, of: u32) {
        self.add(name, "", pieces as f64 / f64::from(of));
    }

    /// Adds a short duration, in microseconds.
    pub fn microseconds(&mut self, name: impl Into<String>, took: Duration) {
        self.add(name, "µs", took.as_secs_f64() * 1_000_000.0);
    }

    /// Adds how many times as much one thing was as the other.
    pub fn times(&mut self, name: impl Into<String>, ratio: f64) {
        self.add(name, TIMES, ratio);
    }

    /// Adds an amount of memory, in MiB.
    #[expect(clippy::cast_precision_loss, reason = "memory in KiB is far below 2^52")]
    pub fn mebibytes(&mut self, name: impl Into<String>, kibibytes: u64) {
        self.add(name, "MiB", kibibytes as f64 / 1_024.0);
    }

    fn add(&mut self, name: impl Into<String>, unit: &'static str, value: f64) {
        let (name, value) = (name.into(), rounded(value));
        match self.0.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.samples.push(value),
            None => self.0.push(Figure { name, unit: unit.into(), samples: vec![value] }),
        }
    }

    /// The figure of this name.
    pub fn get(&self, name: &str) -> Option<&Figure> {
        self.0.iter().find(|figure| figure.name == name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Figure> {
        self.0.iter()
    }

    /// A Markdown table.
    pub fn to_table(&self) -> String {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_header(["figure", "unit", "median", "lowest", "p99", "highest", "n"]);
        for figure in &self.0 {
            let digits = if figure.unit == TIMES { 3 } else { 1 };
            let quantile = |q| format!("{:.digits$}", figure.quantile(q));
            table.add_row([
                figure.name.clone(),
                figure.unit.to_string(),
                quantile(0.5),
                quantile(0.0),
                quantile(0.99),
                quantile(1.0),
                figure.samples.len().to_string(),
            ]);
        }
        table.to_string()
    }
}

impl Figure {
    /// What was measured from these samples, of which there is one at the least.
    pub fn derived(
        name: impl Into<String>,
        unit: &'static str,
        samples: impl IntoIterator<Item = f64>,
    ) -> Option<Self> {
        let samples: Vec<f64> = samples.into_iter().map(rounded).collect();
        (!samples.is_empty()).then(|| Self { name: name.into(), unit: unit.into(), samples })
    }

    /// Its name, which is its key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `1/s`, `ms`, `µs`, `MiB`, `×`, or nothing.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// In the order in which they were measured.
    pub fn samples(&self) -> &[f64] {
        &self.samples
    }

    /// The value in the middle.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The least.
    pub fn lowest(&self) -> f64 {
        self.quantile(0.0)
    }

    /// The most.
    pub fn highest(&self) -> f64 {
        self.quantile(1.0)
    }

    /// The value below which a share `q` of the values lies.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index into a list of measurements"
    )]
    fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * q).round() as usize]
    }
}

impl From<Figure> for Written {
    fn from(figure: Figure) -> Self {
        let (median, lowest, highest) = (figure.median(), figure.lowest(), figure.highest());
        let Figure { name, unit, samples } = figure;
        Self { name, unit, median, lowest, highest, n: samples.len(), samples }
    }
}

impl TryFrom<Written> for Figure {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { name, unit, samples, .. } = written;
        if samples.is_empty() { Err(format!("`{name}` has no samples")) } else { Ok(Self { name, unit, samples }) }
    }
}

/// As it is read back from a file.
fn rounded(value: f64) -> f64 {
    format!("{value:.*e}", DIGITS - 1).parse().expect("a number that was just written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_read_back_as_it_was_measured() {
        let mut figures = Figures::default();
        for took in [3, 1, 7] {
            figures.milliseconds("an answer", Duration::from_secs(1) / took);
        }
        figures.times("one against the other", 1.0 / 7.0);
        let written = serde_json::to_value(&figures).expect("it is written");
        assert_eq!(written[0]["median"], 333.33);
        assert_eq!(serde_json::from_value::<Figures>(written).expect("it is read"), figures);
    }
}

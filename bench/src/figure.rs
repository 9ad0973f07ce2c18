//! Named figures, each measured several times.

use std::time::Duration;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde_json::json;

/// The unit of a ratio, whose first digits after the point matter.
const TIMES: &str = "×";

/// All figures of a run, in the order in which they were first measured.
#[derive(Debug, Default)]
pub struct Figures(Vec<Figure>);

#[derive(Debug)]
struct Figure {
    name: String,
    unit: &'static str,
    values: Vec<f64>,
}

impl Figures {
    /// Adds a duration, in milliseconds.
    pub fn milliseconds(&mut self, name: impl Into<String>, took: Duration) {
        self.add(name.into(), "ms", took.as_secs_f64() * 1_000.0);
    }

    /// Adds a rate: so many within this time.
    pub fn per_second(&mut self, name: impl Into<String>, count: u32, took: Duration) {
        self.add(name.into(), "1/s", f64::from(count) / took.as_secs_f64());
    }

    /// Adds a ratio: so many for each of these.
    #[expect(clippy::cast_precision_loss, reason = "what is counted in a run is far below 2^52")]
    pub fn pieces(&mut self, name: impl Into<String>, pieces: u64, of: u32) {
        self.add(name.into(), "", pieces as f64 / f64::from(of));
    }

    /// Adds a short duration, in microseconds.
    pub fn microseconds(&mut self, name: impl Into<String>, took: Duration) {
        self.add(name.into(), "µs", took.as_secs_f64() * 1_000_000.0);
    }

    /// Adds how many times as much one thing was as the other.
    pub fn times(&mut self, name: impl Into<String>, ratio: f64) {
        self.add(name.into(), TIMES, ratio);
    }

    /// Adds an amount of memory, in MiB.
    #[expect(clippy::cast_precision_loss, reason = "memory in KiB is far below 2^52")]
    pub fn mebibytes(&mut self, name: impl Into<String>, kibibytes: u64) {
        self.add(name.into(), "MiB", kibibytes as f64 / 1_024.0);
    }

    fn add(&mut self, name: String, unit: &'static str, value: f64) {
        match self.0.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.values.push(value),
            None => self.0.push(Figure { name, unit, values: vec![value] }),
        }
    }

    /// A Markdown table.
    pub fn to_table(&self) -> String {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_header(["figure", "unit", "median", "min", "p99", "max", "n"]);
        for figure in &self.0 {
            let digits = if figure.unit == TIMES { 3 } else { 1 };
            let quantile = |q| format!("{:.digits$}", figure.quantile(q));
            table.add_row([
                figure.name.clone(),
                figure.unit.to_owned(),
                quantile(0.5),
                quantile(0.0),
                quantile(0.99),
                quantile(1.0),
                figure.values.len().to_string(),
            ]);
        }
        table.to_string()
    }

    /// One JSON object: name → unit and quantiles.
    pub fn to_json(&self) -> String {
        let figures = self.0.iter().map(|figure| {
            let quantiles = json!({
                "unit": figure.unit, "n": figure.values.len(), "median": figure.quantile(0.5),
                "min": figure.quantile(0.0), "p99": figure.quantile(0.99), "max": figure.quantile(1.0),
            });
            (figure.name.clone(), quantiles)
        });
        serde_json::Value::Object(figures.collect()).to_string()
    }
}

impl Figure {
    /// The value below which a share `q` of the values lies.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index into a list of measurements"
    )]
    fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * q).round() as usize]
    }
}

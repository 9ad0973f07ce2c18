//! How often each service asks for memory, as it tells in its metrics: what a noisy machine does not change.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use reqwest::Client;

use crate::{figure::Figures, platform::Platform, processor};

/// The counter, on a line of its own in what a service tells.
const METRIC: &str = "allocations_total ";

/// How long a service may take to tell it.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// By service, since each of them began.
#[derive(Debug)]
pub struct Allocations(BTreeMap<String, u64>);

impl Allocations {
    /// Of every service of a platform but those that stand still: they tell nothing.
    pub async fn by(platform: &Platform) -> Result<Self> {
        let http = Client::builder().timeout(TOLD_WITHIN).build()?;
        let mut allocations = BTreeMap::new();
        for service in platform.services() {
            if processor::stands_still(service.pid)? {
                continue;
            }
            let metrics = http.get(format!("{}/metrics", service.ops_url)).send().await?.text().await?;
            let count = told(&metrics).with_context(|| format!("{} does not tell what it allocates", service.name))?;
            allocations.insert(service.name.clone(), count);
        }
        Ok(Self(allocations))
    }

    /// What was allocated since then, by those that told it then as well.
    pub fn since(&self, earlier: &Self) -> Self {
        let since =
            |(service, now): (&String, &u64)| Some((service.clone(), now.saturating_sub(*earlier.0.get(service)?)));
        Self(self.0.iter().filter_map(since).collect())
    }

    /// Notes them, for each of so many orders.
    pub fn note(&self, name: &str, orders: u32, figures: &mut Figures) {
        for (service, count) in &self.0 {
            figures.pieces(format!("{name}: allocations of an order, {service}"), *count, orders);
        }
    }
}

fn told(metrics: &str) -> Option<u64> {
    metrics.lines().find_map(|line| line.strip_prefix(METRIC)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found_among_other_metrics() {
        let metrics =
            "# HELP allocations_total How often\n# TYPE allocations_total counter\nallocations_total 7340032\n";
        assert_eq!(told(metrics), Some(7_340_032));
        assert_eq!(told("rpc_requests_total 1\n"), None);
    }
}

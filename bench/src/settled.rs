//! Waiting until everything that orders have caused is done: all letters published, all groups at the end of their topics.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::platform::Platform;

/// Who has not settled by then never will.
const DEADLINE: Duration = Duration::from_mins(3);

/// A service takes up to 8 s for a look at Kafka.
const ANSWER: Duration = Duration::from_secs(20);

/// Between two looks: a look is work for those who are looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks the services' ops ports how far behind they are, as `postbox lag` does.
#[derive(Debug)]
pub struct Lags {
    http: Client,
    ops_urls: Vec<String>,
}

impl Lags {
    /// Of this platform.
    pub fn of(platform: &Platform) -> Result<Self> {
        Ok(Self {
            http: Client::builder().timeout(ANSWER).build().context("no HTTP client")?,
            ops_urls: platform.services().iter().map(|service| service.ops_url.clone()).collect(),
        })
    }

    /// Waits until nobody is behind in two looks one after another: between them is who has read a letter and not written
    /// its own yet. Gives the moment of the first of the two.
    pub async fn settled(&self) -> Result<Instant> {
        let give_up = Instant::now() + DEADLINE;
        let mut nothing_since = None;
        loop {
            let looked = Instant::now();
            // outboxes are cheap to ask for; groups can only be done when there is nothing more to come
            let mut behind = self.look("/lag/outbox").await?;
            if behind == 0 {
                behind = self.look("/lag/consumers").await?;
            }
            match (behind, nothing_since) {
                (0, Some(moment)) => return Ok(moment),
                (0, None) => nothing_since = Some(looked),
                _ => nothing_since = None,
            }
            ensure!(Instant::now() < give_up, "still {behind} letters behind after {} s", DEADLINE.as_secs());
            sleep(PAUSE).await;
        }
    }

    /// How many letters all services are behind, together.
    async fn look(&self, path: &str) -> Result<i64> {
        let asked = self.ops_urls.iter().map(async |ops_url| {
            let url = format!("{ops_url}{path}");
            let answer = self.http.get(&url).send().await?;
            match answer.status() {
                // who has no outbox or no group has no such route
                StatusCode::NOT_FOUND => return Ok(0),
                // who is too busy to look is behind
                StatusCode::SERVICE_UNAVAILABLE => return Ok(1),
                _ => {}
            }
            let told: Value = answer.error_for_status()?.json().await?;
            behind(&told).with_context(|| format!("{url} tells no lag: {told}"))
        });
        Ok(try_join_all(asked).await?.into_iter().sum())
    }
}

/// What is told of one outbox, or of each group; letters that are set aside to be tried again are behind as well.
fn behind(told: &Value) -> Option<i64> {
    match &told["items"] {
        Value::Array(groups) => groups.iter().map(behind).sum(),
        _ => Some(told["lag_messages"].as_i64()? + told["parked"].as_i64().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_all_groups_are_behind_is_added_up() {
        let group = |lag, parked| json!({"lag_messages": lag, "parked": parked, "dead": 7});
        assert_eq!(behind(&json!({"items": [group(2, 1), group(0, 0)]})), Some(3));
        assert_eq!(behind(&json!({"lag_messages": 4, "lag_seconds": 0.1})), Some(4));
        assert_eq!(behind(&json!({"items": [{"group": "shipping"}]})), None);
    }
}

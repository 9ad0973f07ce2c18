//! Waiting until everything that orders have caused is done: all orders decided, all letters published, all groups at the end of
//! their topics.
//!
//! Asking everybody how far behind it is makes work for all, Kafka among them, and that work is no order's. So the positions
//! of the groups are watched, which costs little, and everybody is asked when they have stood still for a while.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use crate::{platform::Platform, processor::Used};

/// Who has not settled by then never will.
const DEADLINE: Duration = Duration::from_mins(3);

/// A service takes up to 8 s for a look at Kafka.
const ANSWER: Duration = Duration::from_secs(20);

/// Between two looks at the positions: a moment is at most so much too late.
const PAUSE: Duration = Duration::from_millis(25);

/// Positions that have not moved for so long stand still. Longer than what lies between reading a letter and writing one's own.
const STILL: Duration = Duration::from_millis(150);

/// Tells when a platform is done.
#[derive(Debug)]
pub struct Lags {
    http: Client,
    ops_urls: Vec<String>,
    /// To each database that has groups.
    positions: Vec<PgConnection>,
    orders: PgConnection,
}

/// All was done.
#[derive(Debug)]
pub struct Settled {
    /// When.
    pub at: Instant,
    /// What had been used by then.
    pub used: Used,
}

impl Lags {
    /// Of this platform.
    pub async fn of(platform: &Platform) -> Result<Self> {
        let mut positions = Vec::new();
        for database in platform.databases().await? {
            let mut database = PgConnection::connect(&platform.database_url(&database)).await?;
            let has_groups: bool = sqlx::query_scalar("SELECT to_regclass('consumer_position') IS NOT NULL")
                .fetch_one(&mut database)
                .await?;
            if has_groups {
                positions.push(database);
            }
        }
        let http = Client::builder().timeout(ANSWER).build().context("no HTTP client")?;
        let ops_urls = platform.services().iter().map(|service| service.ops_url.clone()).collect();
        let orders = PgConnection::connect(&platform.database_url("orders")).await?;
        Ok(Self { http, ops_urls, positions, orders })
    }

    /// Waits until nobody is behind. What asking everybody costs is in none of the figures.
    pub async fn settled(&mut self, platform: &Platform) -> Result<Settled> {
        let give_up = Instant::now() + DEADLINE;
        let (mut at, mut last) = (Instant::now(), self.positions().await?);
        loop {
            ensure!(Instant::now() < give_up, "not settled {} s after the last answer", DEADLINE.as_secs());
            sleep(PAUSE).await;
            let (now, positions) = (Instant::now(), self.positions().await?);
            if positions != last {
                (at, last) = (now, positions);
            }
            if now - at < STILL {
                continue;
            }
            let used = Used::by(platform)?;
            // an order that is being paid for moves nobody's position for as long as that takes
            if self.is_anything_undecided().await? {
                continue;
            }
            // outboxes are cheap to ask for, and groups can only be done when there is nothing more to come
            if self.behind("/lag/outbox").await? + self.behind("/lag/consumers").await? == 0 {
                return Ok(Settled { at, used });
            }
            at = Instant::now();
        }
    }

    async fn is_anything_undecided(&mut self) -> Result<bool> {
        // what nobody has to come back to is decided; there is an index of the others
        let undecided = "SELECT EXISTS (SELECT FROM orders WHERE attempt_at IS NOT NULL)";
        Ok(sqlx::query_scalar(undecided).fetch_one(&mut self.orders).await?)
    }

    /// The sum of all positions in each database: it grows as long as anybody reads.
    async fn positions(&mut self) -> Result<Vec<i64>> {
        let sums = self.positions.iter_mut().map(async |database| {
            sqlx::query_scalar("SELECT coalesce(sum(next), 0)::bigint FROM consumer_position").fetch_one(database).await
        });
        Ok(try_join_all(sums).await?)
    }

    /// How many letters all services are behind, together.
    async fn behind(&self, path: &str) -> Result<i64> {
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

//! All that the platform keeps, to see whether it was changed.

use std::{collections::BTreeMap, time::Duration};

use journeys::{command_line::CommandLine, platform::Platform};
use sqlx::AssertSqlSafe;
use testkit::{eventually, eventually_some};

/// Each database that has tables of customers, stock or money in it.
const DATABASES: [&str; 7] = ["accounts", "orders", "inventory", "payments", "shipping", "notifications", "analytics"];

/// Longer than followers need for an order.
const QUIET: Duration = Duration::from_mins(1);

/// Every table: how many rows it has, and a digest of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State(BTreeMap<String, String>);

impl State {
    /// The state once nothing changes it any more.
    pub async fn settled(platform: &Platform) -> Self {
        let cli = CommandLine::of(platform);
        eventually(QUIET, "every letter is handled", async || {
            cli.items(&["lag"]).await.iter().all(|lag| lag["lag_messages"] == 0)
        })
        .await;
        let mut before = Self::now(platform).await;
        eventually_some(QUIET, "nothing changes the platform's state", async || {
            let now = Self::now(platform).await;
            let is_same = now == before;
            before = now.clone();
            is_same.then_some(now)
        })
        .await
    }

    /// The state as it is.
    pub async fn now(platform: &Platform) -> Self {
        let mut tables = BTreeMap::new();
        for database in DATABASES {
            let pool = platform.database(database);
            let names: Vec<String> = sqlx::query_scalar(
                "SELECT quote_ident(relname) FROM pg_class
                 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
            )
            .fetch_all(pool)
            .await
            .unwrap();
            for name in names {
                let digest = format!(
                    "SELECT count(*) || ' rows, ' || coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '')
                     FROM {name} AS t"
                );
                let digest: String = sqlx::query_scalar(AssertSqlSafe(digest)).fetch_one(pool).await.unwrap();
                tables.insert(format!("{database}.{name}"), digest);
            }
        }
        Self(tables)
    }

    /// The tables that are not as they were.
    pub fn changed_since(&self, before: &Self) -> Vec<&str> {
        let is_changed = |table: &&String| self.0.get(*table) != before.0.get(*table);
        self.0.keys().filter(is_changed).map(String::as_str).collect()
    }
}

//! What it costs that there are many orders already: a platform with millions of them beside a new one, ordered from in turns.
//!
//! The old orders are copied into the tables that every order writes to, all decided and delivered. Letters of old orders are not: an
//! outbox has a partition for each day, and a new letter touches no other. They never happened, so no letter tells of them and the
//! audit would find each of them wrong: the platform is audited before they come, and afterwards every order that was acknowledged
//! is looked for by itself. The new platform is audited at its end like any other.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{
    figure::Figures,
    platform::{self, Platform},
    stack::{Order, Stack},
    turns::{Turns, in_turns},
};

/// Orders in flight.
const IN_FLIGHT: u16 = 256;

/// When it is only to be seen that it works.
const ROWS_QUICK: u32 = 100_000;

/// Each database, and what grows in it.
const GROWING: [(&str, &str); 6] = [
    ("orders", include_str!("../sql/grow/orders.sql")),
    ("inventory", include_str!("../sql/grow/inventory.sql")),
    ("payments", include_str!("../sql/grow/payments.sql")),
    ("shipping", include_str!("../sql/grow/shipping.sql")),
    ("notifications", include_str!("../sql/grow/notifications.sql")),
    ("analytics", include_str!("../sql/grow/analytics.sql")),
];

/// Those that are loaded at the same time: as many as there are processors.
const AT_ONCE: usize = 2;

/// Orders of the people who order here; the others are copied.
const KEPT: &str = "SELECT count(*) FROM orders WHERE customer_id = ANY ($1) AND saga_state = 'COMPLETED'";

/// How much.
#[derive(Debug, Clone, Copy, Args, Serialize)]
pub struct Growth {
    /// Orders that are there already [default: 10,000,000, which take by reckoning 25 GB; with --quick 100,000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    rows: Option<u32>,

    #[command(flatten)]
    #[serde(flatten)]
    turns: Turns,
}

impl Growth {
    /// Orders on both platforms in turns.
    pub async fn measure(self, figures: &mut Figures) -> Result<()> {
        platform::under_load(async |new| {
            platform::under_load(async |grown| self.measure_on(new, grown, figures).await).await
        })
        .await
    }

    async fn measure_on(self, new: &Platform, grown: &Platform, figures: &mut Figures) -> Result<()> {
        let rows = self.rows.unwrap_or(if self.turns.is_quick() { ROWS_QUICK } else { 10_000_000 });
        let mut of_new = Stack::prepare(new).await?;
        let mut of_grown = Stack::prepare(grown).await?;
        new.analyze().await?;
        of_new.warm_up().await?;
        of_grown.warm_up().await?;
        of_grown.audit().await?;
        grow(grown, rows).await?;
        of_grown.warm_up().await?;
        for cycle in self.turns.cycles() {
            let (mut small, mut large) = ((0.0, 0.0), (0.0, 0.0));
            for is_new in in_turns(cycle, true, false) {
                let (name, stack, came_to) = if is_new {
                    ("a new platform", &mut of_new, &mut small)
                } else {
                    ("a grown platform", &mut of_grown, &mut large)
                };
                let slice = stack.slice(Order::closed(IN_FLIGHT), self.turns.length()).await?;
                let cost = slice.used.all().as_secs_f64() / f64::from(slice.tally.orders());
                *came_to = (slice.per_second(), cost);
                slice.note_all(name, figures);
            }
            figures.times("a grown platform: orders against a new one", large.0 / small.0);
            figures.times("a grown platform: processor time of an order against a new one", large.1 / small.1);
        }
        of_new.audit().await?;
        are_kept(grown, &of_grown).await
    }
}

/// Copies so many orders into every database.
async fn grow(platform: &Platform, rows: u32) -> Result<()> {
    let began = Instant::now();
    for some in GROWING.chunks(AT_ONCE) {
        let growing = some.iter().map(async |(database, sql)| {
            grow_one(&platform.database_url(database), sql, rows).await.with_context(|| format!("growing {database}"))
        });
        futures::future::try_join_all(growing).await?;
        eprintln!("growing by {rows} orders: {:.0} s", began.elapsed().as_secs_f64());
    }
    Ok(())
}

async fn grow_one(superuser_url: &str, sql: &'static str, rows: u32) -> Result<()> {
    let mut database = PgConnection::connect(superuser_url).await?;
    // what refers to a row comes right after it, so that it is there need not be looked up each time
    let settings = format!("SET bench.rows = {rows}; SET session_replication_role = replica");
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut database).await?;
    sqlx::raw_sql(include_str!("../sql/grow/names.sql")).execute(&mut database).await?;
    sqlx::raw_sql(sql).execute(&mut database).await?;
    // as it would be done by itself within the hour: it must not be in a slice
    database.execute("VACUUM (ANALYZE, FREEZE)").await?;
    Ok(())
}

/// Whether every order that was acknowledged is there and completed.
async fn are_kept(platform: &Platform, stack: &Stack<'_>) -> Result<()> {
    let mut orders = PgConnection::connect(&platform.database_url("orders")).await?;
    let kept: i64 = sqlx::query_scalar(KEPT).bind(stack.customers()).fetch_one(&mut orders).await?;
    let acknowledged = stack.acknowledged();
    ensure!(kept >= acknowledged, "VOID: {acknowledged} orders were acknowledged and {kept} are kept");
    Ok(())
}

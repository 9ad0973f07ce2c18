//! Going on with another Kafka when the first is lost for good: what `<service> fail-over` does, once for each service.
//!
//! The other one has copies of the letters (MirrorMaker makes them), which are not all: what the first had acknowledged in its
//! last moments may be missing. And a letter may lie there at another offset, so that no group's position means anything. Two
//! things make up for that. Every letter lies in its service's outbox for as long as topics keep it, and every handler takes
//! a letter twice and does it once. So, in one transaction of the service's database:
//!
//! - **The outbox begins again** at the letters of `--since`: its relay publishes them to the other Kafka, after the copies.
//!   What was missing there comes, in order for each key; what was not, comes twice.
//! - **Every group goes back** to the letters of `--since`, by the times that their copies have kept.
//! - **Copies of dead letters** are sent again. Letters that are parked stay so, with all that waits behind them.
//!
//! `--since` is right when every letter before it had been copied and read; the default is all that is kept, and always right. A
//! second run, or one after a crash, does the same again.
//!
//! It is refused while a process of the service is connected: that would still publish to, and note positions in, the
//! Kafka that it knows. What it cannot see is a process that starts afterwards with the old address.
//!
//! It has its entry in the operator log, in the same transaction.
//!
//! What has its position in Kafka alone needs nothing: in a Kafka that does not know it, it begins at the oldest letter.

mod config;
mod places;

use std::{io::Write, time::Duration};

use consumer::another_kafka::{self, Moved};
use operator_log::{Action, Operator, note_in_tx};
use service_runtime::{Error, clock::Clock, config::DatabaseConfig, database};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

pub use config::FailOverConfig;

/// How long the sessions of processes that have just ended are waited for, …
const LEAVE_DEADLINE: Duration = Duration::from_secs(5);

/// … and how often they are looked for.
const LEAVE_POLL: Duration = Duration::from_millis(100);

/// Runs the sub-command `fail-over` of a service, whatever its database has: an outbox, groups, or both.
///
/// What was done goes to standard output, in one line. Exit codes: 64 a time that makes no sense; 69 Postgres or Kafka is
/// away, or the topics are not there; 75 the service runs; 1 anything else. Unless it is 0, nothing was changed.
pub async fn run(config: FailOverConfig, service: &str) -> Result<(), Error> {
    let since = config.since(Clock::System.now())?;
    let pool = database::connect(&DatabaseConfig {
        database_url: config.database.database_url.clone(),
        database_connections: 1,
        database_acquire_timeout_ms: 10_000,
    })
    .await?;
    let mut connection = pool.acquire().await.map_err(sql)?;
    let has_outbox = has_table(&mut connection, "outbox_progress").await?;
    let has_groups = has_table(&mut connection, "consumer_position").await?;
    // not in the transaction, where the list of sessions would never change
    nobody_serves(&mut connection, service).await?;
    let partitions =
        if has_groups { another_kafka::partitions(&mut connection).await.map_err(sql)? } else { Vec::new() };
    let places = places::at(&config.kafka, partitions, since).await?;
    let mut tx = connection.begin().await.map_err(sql)?;
    let mut moved = Moved { positions: 0, copies: 0 };
    if has_groups {
        moved = another_kafka::go_on_from_in_tx(&mut tx, &places).await.map_err(sql)?;
    }
    let mut letters = 0;
    if has_outbox {
        letters = outbox::publish_again_in_tx(&mut tx, since).await.map_err(sql)?.ok_or_else(|| runs(service))?;
    }
    let Moved { positions, copies } = moved;
    let action = Action::new(Operator::CommandLine, "fail-over", format!("service/{service}"))
        .with("since", since.to_string())
        .with("letters", letters)
        .with("positions", positions)
        .with("copies", copies);
    note_in_tx(&mut tx, &action).await.map_err(sql)?;
    tx.commit().await.map_err(sql)?;
    // nobody may be listening any more
    let _ = writeln!(
        std::io::stdout(),
        "{service}: since {since:.0}: {letters} letters will be published, {positions} positions are moved, {copies} copies of \
         dead letters will be sent"
    );
    Ok(())
}

async fn has_table(conn: &mut PgConnection, table: &str) -> Result<bool, Error> {
    let found = sqlx::query_scalar("SELECT to_regclass('public.' || $1) IS NOT NULL").bind(table).fetch_one(conn);
    found.await.map_err(sql)
}

/// Waits until no session is there whose role may move positions or mark letters: the owner and superusers may look on, readers
/// anyway. A process that was killed leaves its sessions behind for a moment.
async fn nobody_serves(conn: &mut PgConnection, service: &str) -> Result<(), Error> {
    let until = Instant::now() + LEAVE_DEADLINE;
    loop {
        let serves: bool = sqlx::query_scalar(
            "SELECT EXISTS (
                 SELECT FROM pg_stat_activity JOIN pg_roles ON pg_roles.oid = usesysid
                 WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename <> current_user
                     AND NOT rolsuper
                     AND (coalesce(has_table_privilege(usesysid, to_regclass('public.outbox_progress'), 'UPDATE'), false)
                         OR coalesce(has_table_privilege(usesysid, to_regclass('public.consumer_position'), 'UPDATE'), false)))",
        )
        .fetch_one(&mut *conn)
        .await
        .map_err(sql)?;
        if !serves {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(runs(service));
        }
        sleep(LEAVE_POLL).await;
    }
}

fn runs(service: &str) -> Error {
    Error::TryAgain(format!("a process of {service} is connected to its database: stop all of them first"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is for map_err")]
fn sql(error: sqlx::Error) -> Error {
    Error::Unreachable(format!("DATABASE_URL: {error}; nothing was changed"))
}

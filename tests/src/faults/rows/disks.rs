//! A disk is full.

use std::{cell::RefCell, path::PathBuf, time::Duration};

use futures::future::LocalBoxFuture;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use testkit::{SOON, eventually};
use tokio::time::{Instant, sleep};

use crate::faults::{
    FaultRow, Length, Wishes,
    scene::{Outcome, Scene},
    small_disk::SmallDisk,
    world::World,
};

/// The disk on which order keeps its letters is full: orders are refused, order is not ready, and no order is there without
/// its letter, nor a letter without its order.
#[derive(Debug, Default)]
pub struct OutboxDiskFull {
    disk: RefCell<Option<SmallDisk>>,
}

impl FaultRow for OutboxDiskFull {
    fn name(&self) -> &'static str {
        "outbox disk full"
    }

    fn cannot_be_played(&self) -> Option<String> {
        SmallDisk::is_forbidden()
    }

    fn wishes(&self, length: Length) -> Wishes {
        Wishes { fresh: true, ..Wishes::usual(length) }
    }

    fn prepare<'a>(&'a self, world: &'a mut World) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let disk = SmallDisk::mount().expect("it was mounted a moment ago");
            move_outbox(world, &disk).await;
            self.disk.replace(Some(disk));
        })
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let time = Duration::from_secs(scene.length.choose(4, 10));
            let disk = self.disk.take().expect("it was mounted before the load");
            scene
                .strike(format!("disk of order's outbox full for {} s", time.as_secs()), async |world| {
                    disk.fill();
                    let full = Instant::now();
                    eventually(SOON, "order is not ready", async || !world.platform.is_ready("order").await).await;
                    let noticed = full.elapsed();
                    sleep(time.saturating_sub(noticed)).await;
                    let was_ready = world.platform.is_ready("order").await;
                    disk.make_room();
                    eventually(SOON, "order is ready again", async || world.platform.is_ready("order").await).await;
                    let orphans = orphans(world).await;
                    let figure = format!("not ready after {:.1} s, {orphans} orphans", noticed.as_secs_f64());
                    Outcome::of(orphans == 0 && !was_ready, figure)
                })
                .await;
            self.disk.replace(Some(disk));
        })
    }
}

/// Moves the letters of order to that disk, with the indexes, which grow with them.
async fn move_outbox(world: &World, disk: &SmallDisk) {
    // nobody else may make a tablespace, or give what belongs to somebody a place there
    let mut superuser = superuser(world).await;
    let data: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut superuser).await.expect("it says");
    let folder = disk.folder("outbox", &PathBuf::from(data));
    let made = format!("CREATE TABLESPACE small LOCATION '{}'", folder.display());
    sqlx::raw_sql(AssertSqlSafe(made)).execute(&mut superuser).await.expect("a new tablespace");
    let moves: Vec<String> = sqlx::query_scalar(
        "SELECT format('ALTER %s %s SET TABLESPACE small', CASE relkind WHEN 'r' THEN 'TABLE' ELSE 'INDEX' END, oid::regclass)
         FROM pg_class WHERE relname LIKE 'outbox\\_%' AND relkind IN ('r', 'i')
             AND (relispartition OR oid IN (SELECT indexrelid FROM pg_index JOIN pg_inherits ON indrelid = inhrelid))",
    )
    .fetch_all(&mut superuser)
    .await
    .expect("the catalog is readable");
    assert!(!moves.is_empty(), "the outbox has partitions");
    for statement in moves {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut superuser).await.expect("it is moved");
    }
}

async fn superuser(world: &World) -> PgConnection {
    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(world.platform.database("orders"))
        .await
        .expect("it has a name");
    let mut url: reqwest::Url = world.postgres.server.superuser_url().parse().expect("a URL");
    url.set_path(&name);
    PgConnection::connect(url.as_str()).await.expect("Postgres answers")
}

/// Orders whose newest version has no letter, and letters of no order.
async fn orphans(world: &World) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM orders
             FULL JOIN (SELECT key, max(sequence) AS last FROM outbox GROUP BY key) AS letters ON key = order_id::text
         WHERE last IS DISTINCT FROM version",
    )
    .fetch_one(world.platform.database("orders"))
    .await
    .expect("order has its tables")
}

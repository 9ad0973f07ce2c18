//! A connection that is kept from one transaction to the next.

use std::collections::BTreeSet;

use service_runtime::KeptConnection;
use sqlx::{Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use testkit::{SOON, eventually};

/// A pool of one connection.
async fn pool_of_one(name: &str) -> (testkit::TestDatabase, PgPool) {
    let database = testkit::database(name, &[]).await;
    let pool = PgPoolOptions::new().max_connections(1).connect(&database.owner_url).await.expect("it is there");
    sqlx::query("CREATE TABLE thing (id bigint PRIMARY KEY)").execute(&pool).await.expect("a table");
    (database, pool)
}

async fn session(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await.expect("an answer")
}

#[tokio::test]
async fn it_is_the_same_session_again_and_takes_no_place_in_the_pool() {
    let (_database, pool) = pool_of_one("kept").await;
    let kept = KeptConnection::of(pool.clone());
    let mut connection = kept.take().await.expect("one");
    let first = session(&mut connection).await;
    // the pool has room for another while this one is out, and while it lies there
    session(&mut pool.acquire().await.expect("one beside it")).await;
    kept.keep(connection);
    session(&mut pool.acquire().await.expect("one beside it")).await;
    let mut connection = kept.take().await.expect("it was kept");
    assert_eq!(session(&mut connection).await, first);
    // somebody else who writes at the same time gets another
    assert_ne!(session(&mut kept.take().await.expect("another")).await, first);
}

#[tokio::test]
async fn who_writes_several_times_at_once_keeps_as_many() {
    let (_database, pool) = pool_of_one("kept_many").await;
    let kept = KeptConnection::of(pool);
    let (mut one, mut other) = (kept.take().await.expect("one"), kept.take().await.expect("another"));
    let first = BTreeSet::from([session(&mut one).await, session(&mut other).await]);
    assert_eq!(first.len(), 2);
    kept.keep(one);
    kept.keep(other);
    let (mut one, mut other) = (kept.take().await.expect("kept"), kept.take().await.expect("kept"));
    assert_eq!(BTreeSet::from([session(&mut one).await, session(&mut other).await]), first);
}

#[tokio::test]
async fn what_is_not_kept_is_undone_and_the_next_is_another_session() {
    let (_database, pool) = pool_of_one("not_kept").await;
    let kept = KeptConnection::of(pool.clone());
    let mut connection = kept.take().await.expect("one");
    let failed = session(&mut connection).await;
    let mut tx = connection.begin().await.expect("it begins");
    sqlx::query("INSERT INTO thing VALUES (1)").execute(&mut *tx).await.expect("written");
    let failure = sqlx::query("INSERT INTO thing VALUES (1)").execute(&mut *tx).await;
    assert!(failure.is_err(), "the key is taken");
    drop(tx);
    drop(connection);
    eventually(SOON, "the session has ended", async || {
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
        sqlx::query_scalar::<_, i64>(sessions).bind(failed).fetch_one(&pool).await.expect("an answer") == 0
    })
    .await;
    let mut connection = kept.take().await.expect("a new one");
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM thing").fetch_one(&mut *connection).await.expect("an answer");
    assert_eq!(rows, 0);
}

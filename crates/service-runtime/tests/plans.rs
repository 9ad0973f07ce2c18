//! A connection keeps the plans of its statements. One that was made while a table was small serves it when it is large.

use service_runtime::{config::DatabaseConfig, database};

#[tokio::test]
async fn a_row_is_found_by_its_key_also_in_a_table_that_was_empty_when_the_plan_was_made() {
    let test_database = testkit::database("plans", &[]).await;
    let config = DatabaseConfig {
        database_url: test_database.owner_url.clone().into(),
        database_connections: 1,
        database_acquire_timeout_ms: 10_000,
    };
    let pool = database::connect(&config).await.expect("it is there");
    let run = async |statement: &'static str| sqlx::query(statement).execute(&pool).await.map(drop);
    run("CREATE TABLE thing (id bigint PRIMARY KEY)").await.expect("a table");
    // an empty table that was analysed is taken for one that stays so
    run("ANALYZE thing").await.expect("analysed");
    let found = [
        "UPDATE thing SET id = thing.id WHERE thing.id = ANY ($1::bigint[])",
        "UPDATE thing SET id = thing.id FROM unnest($1::bigint[]) AS wanted (id)
         WHERE thing.id = wanted.id AND thing.id = ANY ($1)",
        "UPDATE thing SET id = thing.id FROM (SELECT * FROM unnest($1::bigint[]) AS wanted (id) ORDER BY id) AS wanted
         WHERE thing.id = wanted.id AND thing.id = ANY ($1)",
    ];
    // the newest, as with keys that grow: before it lie all others
    let newest = 10_000_i64;
    for statement in found {
        for _ in 0..10 {
            sqlx::query(statement).bind([newest]).execute(&pool).await.expect("it is planned, and the plan is kept");
        }
    }
    run("INSERT INTO thing SELECT generate_series(1, 10000)").await.expect("rows");
    for statement in found {
        sqlx::query(statement).bind([newest]).execute(&pool).await.expect("by the plan that was kept");
    }
    run("SELECT pg_stat_force_next_flush()").await.expect("what was counted is told");
    let (in_turn, along_the_index): (i64, i64) =
        sqlx::query_as("SELECT seq_tup_read, idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'thing'")
            .fetch_one(&pool)
            .await
            .expect("the statistics");
    assert_eq!(in_turn, 0, "rows were read one after another");
    // a row and its new version, at the most, for each
    assert!(along_the_index <= 6, "{along_the_index} rows were read along the index");
}

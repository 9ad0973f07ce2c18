//! What a test gets from the shared servers.

#[tokio::test]
async fn two_tests_never_share_a_database_or_a_namespace() {
    let (one, other) = tokio::join!(testkit::database("orders", &[]), testkit::database("orders", &[]));
    assert_ne!(one.name, other.name);
    assert_ne!(testkit::kafka().namespace, testkit::kafka().namespace);
}

#[tokio::test]
async fn the_app_may_use_what_the_owner_makes() {
    let database = testkit::database("orders", &[]).await;
    sqlx::query("CREATE TABLE letters (id int)").execute(&database.owner).await.expect("the owner makes tables");
    sqlx::query("INSERT INTO letters VALUES (1)").execute(&database.app).await.expect("the app writes into them");
    sqlx::query("DROP TABLE letters").execute(&database.app).await.expect_err("the app drops nothing");
}

#[tokio::test]
async fn a_word_is_found_in_every_table_whatever_its_column_is() {
    let database = testkit::database("orders", &[]).await;
    for statement in [
        "CREATE TABLE plain (id int, said text)",
        "INSERT INTO plain VALUES (1, 'dear Quill'), (2, 'nothing')",
        "CREATE TABLE documents (said jsonb, also text[])",
        "INSERT INTO documents VALUES ('{\"a\": [{\"b\": \"QUILL\"}]}', NULL), (NULL, ARRAY['x', 'a feather'])",
        "CREATE TABLE bytes (said bytea)",
        "INSERT INTO bytes VALUES ('a Quill'), ('another feather')",
        "CREATE TABLE parts (id int, said text) PARTITION BY RANGE (id)",
        "CREATE TABLE parts_of_today PARTITION OF parts FOR VALUES FROM (0) TO (10)",
        "INSERT INTO parts VALUES (1, 'Quill')",
        "CREATE SCHEMA elsewhere",
        "CREATE TABLE elsewhere.empty (said text)",
    ] {
        sqlx::query(statement).execute(&database.owner).await.expect("the owner may");
    }
    let there =
        ["bytes: Quill", "bytes: feather", "documents: Quill", "documents: feather", "parts: Quill", "plain: Quill"];
    let found = testkit::places_with(&database.owner, &["Quill", "feather", "Wickerwood"]).await;
    assert_eq!(found, there.map(str::to_owned).into());
    // gone from a table, and remembered by the planner
    for statement in ["ANALYZE plain", "DELETE FROM plain"] {
        sqlx::query(statement).execute(&database.owner).await.expect("the owner may");
    }
    let found = testkit::places_with(&database.owner, &["dear Quill"]).await;
    assert_eq!(found, ["pg_catalog.pg_stats: dear Quill".to_owned()].into());
}

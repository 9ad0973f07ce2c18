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

//! A real PostgreSQL: stopped, killed, started again; its databases and roles.

use local_servers::provision;
use sqlx::{Connection, PgConnection};

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("the server accepts connections")
}

async fn execute(url: &str, sql: &'static str) -> Result<u64, sqlx::Error> {
    sqlx::query(sql).execute(&mut connect(url).await).await.map(|done| done.rows_affected())
}

#[tokio::test]
async fn a_killed_server_comes_back_on_its_port_with_what_was_committed() {
    let mut own = testkit::own_postgres().await;
    let url = own.server.superuser_url();
    execute(&url, "CREATE TABLE kept AS SELECT 7 AS number").await.expect("the superuser may");
    let first = own.server.pid();

    own.server.kill().await.expect("it can be killed");
    assert!(!own.server.answers().await);
    own.server.start().await.expect("it starts again");

    assert_ne!(own.server.pid(), first);
    let kept: i32 =
        sqlx::query_scalar("SELECT number FROM kept").fetch_one(&mut connect(&url).await).await.expect("kept");
    assert_eq!(kept, 7);
}

#[tokio::test]
async fn a_stopped_server_leaves_its_port_free() {
    let mut own = testkit::own_postgres().await;
    let url = own.server.superuser_url();
    let port = url.rsplit_once(':').and_then(|(_, rest)| rest.split_once('/')).expect("it names its port").0;
    let port = port.parse().expect("it is a number");
    assert!(!local_servers::ports::is_free(port));
    own.server.stop().await.expect("it stops");
    assert!(local_servers::ports::is_free(port));
    assert_eq!(own.server.pid(), None);
}

#[tokio::test]
async fn each_role_can_do_what_it_is_for_and_no_more() {
    let own = testkit::own_postgres().await;
    let orders = provision::database(&own.server.superuser_url(), "orders").await.expect("it is made");
    let again = provision::database(&own.server.superuser_url(), "orders").await.expect("it may exist already");
    assert_eq!(orders, again);

    execute(&orders.owner_url, "CREATE TABLE letters (id bigserial PRIMARY KEY)").await.expect("the owner migrates");
    execute(&orders.app_url, "INSERT INTO letters DEFAULT VALUES").await.expect("the app writes");
    execute(&orders.audit_url, "SELECT id FROM letters").await.expect("the audit reads");

    execute(&orders.app_url, "CREATE TABLE stray (id int)").await.expect_err("the app makes no tables");
    execute(&orders.app_url, "DROP TABLE letters").await.expect_err("the app drops no tables");
    execute(&orders.audit_url, "INSERT INTO letters DEFAULT VALUES").await.expect_err("the audit writes nothing");
    let limit: String = sqlx::query_scalar("SHOW transaction_timeout")
        .fetch_one(&mut connect(&orders.app_url).await)
        .await
        .expect("a setting");
    assert_eq!(limit, "10s");
}

#[tokio::test]
async fn a_service_cannot_enter_the_database_of_another() {
    let own = testkit::own_postgres().await;
    let superuser = own.server.superuser_url();
    let orders = provision::database(&superuser, "orders").await.expect("it is made");
    provision::database(&superuser, "payments").await.expect("it is made");
    let server = orders.app_url.strip_suffix("/orders").expect("the URL ends with the database");
    assert!(PgConnection::connect(&format!("{server}/payments")).await.is_err());
}

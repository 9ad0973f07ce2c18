//! A database that comes later than the service, or is migrated later, is waited for; one that refuses the service is not.

use std::time::{Duration, Instant};

use clap::Parser;
use service_runtime::{
    Error,
    config::{DatabaseConfig, MigrateConfig},
    database,
};
use sqlx::{
    SqlStr,
    migrate::{Migration, MigrationType, Migrator},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::sleep,
};

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Parser)]
struct Migrate {
    #[command(flatten)]
    database: MigrateConfig,
}

/// `host:port` of a database URL.
fn server(url: &str) -> &str {
    let (_, server) = url.rsplit_once('@').expect("a URL with a user");
    server.split_once('/').expect("a URL with a database").0
}

/// The URL of a database that hangs up `refusals` times before it answers.
async fn late(url: &str, refusals: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    let postgres = server(url).to_owned();
    let late = url.replace(&postgres, &address);
    tokio::spawn(async move {
        for _ in 0..refusals {
            listener.accept().await.expect("it listens");
        }
        loop {
            let (mut client, _) = listener.accept().await.expect("it listens");
            let mut server = TcpStream::connect(&postgres).await.expect("the shared server runs");
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    late
}

/// Waits for the database for far less than it takes to come: a request's patience is not a start's.
fn serve(url: &str) -> DatabaseConfig {
    let impatient = ["serve", "--database-acquire-timeout-ms", "200", "--database-url", url];
    Serve::parse_from(impatient).database
}

#[tokio::test]
async fn a_database_that_comes_late_is_waited_for() {
    let database = testkit::database("late", &[]).await;
    let pool = database::connect(&serve(&late(&database.app_url, 5).await)).await.expect("it comes");
    let one: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&pool).await.expect("it answers");
    assert_eq!(one, 1);
}

#[tokio::test]
async fn a_migration_waits_for_a_late_database_too() {
    let database = testkit::database("late", &[]).await;
    let url = late(&database.owner_url, 5).await;
    let config = Migrate::parse_from(["migrate", "--database-url", &url]).database;
    database::migrate(&config, &[]).await.expect("it comes");
}

#[tokio::test]
async fn a_database_that_refuses_the_role_is_told_at_once() {
    let database = testkit::database("closed", &[]).await;
    let began = Instant::now();
    let stranger = database.app_url.replacen(&database.name, "nobody", 1);
    let Err(Error::Unreachable(line)) = database::connect(&serve(&stranger)).await else {
        panic!("it lets strangers in")
    };
    assert!(line.starts_with("DATABASE_URL: ") && line.ends_with("does the role exist?"), "{line}");
    assert!(began.elapsed() < Duration::from_secs(5), "it was waited for: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_database_that_never_comes_is_given_up_after_ten_seconds() {
    let database = testkit::database("away", &[]).await;
    let began = Instant::now();
    let never = late(&database.app_url, usize::MAX).await;
    let Err(Error::Unreachable(line)) = database::connect(&serve(&never)).await else { panic!("nobody answered") };
    assert!(line.ends_with("for 10 s; is Postgres up?"), "{line}");
    assert!((10..15).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

fn migrate(url: &str) -> MigrateConfig {
    Migrate::parse_from(["migrate", "--database-url", url]).database
}

fn one_table() -> Migrator {
    let sql = SqlStr::from_static("CREATE TABLE parcel (id bigint PRIMARY KEY)");
    let migrations = vec![Migration::new(1, "parcels".into(), MigrationType::Simple, sql, false)];
    Migrator { migrations: migrations.into(), ..Migrator::DEFAULT }
}

#[tokio::test]
async fn a_database_that_is_migrated_late_is_waited_for() {
    let database = testkit::database("late", &[]).await;
    let pool = database::connect(&serve(&database.app_url)).await.expect("it answers");
    let (migrator, owner) = (one_table(), migrate(&database.owner_url));
    let migrating = async {
        sleep(Duration::from_millis(500)).await;
        database::migrate(&owner, &[&migrator]).await
    };
    let migrators = [&migrator];
    let (waited, made) = tokio::join!(database::migrated(&pool, &migrators), migrating);
    made.expect("it can be migrated");
    waited.expect("it is migrated");
}

#[tokio::test]
async fn a_database_that_is_never_migrated_is_given_up_with_the_cure() {
    let database = testkit::database("bare", &[]).await;
    let pool = database::connect(&serve(&database.app_url)).await.expect("it answers");
    let outcome = database::migrated(&pool, &[&one_table()]).await;
    let Err(Error::Unreachable(line)) = outcome else { panic!("it has tables") };
    assert!(line.ends_with("is not migrated, for 10 s; run `migrate` as its owner"), "{line}");
}

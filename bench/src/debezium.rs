//! The relay against Debezium, the usual way to publish an outbox: two outboxes alike on one server, one for each, filled and written to
//! at the same rate, and their letters in one Kafka.
//!
//! Debezium runs in the Kafka Connect that comes with Kafka, reads the write-ahead log and looks for news every 10 ms; for it the
//! server writes its log at the level `logical`, and so pays for it on both sides. What both are compared by is told by others: how
//! long a topic is, and when a reader has a letter.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use contracts::topics;
use local_servers::{
    Distribution, Kafka, KafkaOptions, Postgres, PostgresOptions, connect, distribution, kafka::Compiler, ports,
    process::Process,
};
use rdkafka::message::{BorrowedMessage, Message};
use reqwest::Url;
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{
    figure::Figures,
    halted::Halted,
    lag::{Lags, Listener},
    letterbox::{Letterbox, written_at},
    platform::resident_kibibytes,
    relay,
    turns::{Turns, in_turns},
};

/// Letters that wait when a relay begins.
const LETTERS: u32 = 100_000;

/// The same when it is only to be seen that it works.
const LETTERS_QUICK: u32 = 10_000;

/// Letters that are written each second while lags are measured: a rate that both keep up with.
const LETTERS_PER_SECOND: u32 = 1_000;

/// How long Debezium may take until it reads the log.
const STREAMING: Duration = Duration::from_mins(1);

const POLL: Duration = Duration::from_millis(50);

/// What is read of the log: letters as they are written, whichever day they are kept in.
const PUBLICATION: &str = "
    CREATE PUBLICATION debezium FOR TABLE outbox WITH (publish = 'insert', publish_via_partition_root = true)";

/// Whether somebody reads.
const IS_STREAMING: &str = "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'debezium' AND active)";

/// Both in turns, on servers of their own.
pub async fn measure(turns: Turns, figures: &mut Figures) -> Result<()> {
    let jars = distribution::jars(include_str!("../debezium/pom.xml")).await?;
    let mut servers = Servers::start().await?;
    let measured = measure_on(&servers, &jars, turns, figures).await;
    let stopped = servers.stop().await;
    measured.and(stopped)
}

async fn measure_on(servers: &Servers, jars: &Path, turns: Turns, figures: &mut Figures) -> Result<()> {
    let bootstrap = servers.kafka.bootstrap();
    let ours = Letterbox::create(&servers.superuser_url(), &bootstrap, "relayed").await?;
    let theirs = Letterbox::create(&servers.superuser_url(), &bootstrap, "captured").await?;
    let mut debezium = servers.start_debezium(&theirs, jars).await?;
    let mut relay = ours.serve(true, 0)?;
    let letters = if turns.is_quick() { LETTERS_QUICK } else { LETTERS };
    // Java has compiled what it runs most
    captured(&theirs, letters, &mut debezium).await?;
    for cycle in turns.cycles() {
        let (mut relayed_in, mut captured_in) = (Duration::ZERO, Duration::ZERO);
        for is_ours in in_turns(cycle, true, false) {
            if is_ours {
                let superuser = servers.database_url("relayed");
                relayed_in = relay::drained(&ours, &superuser, letters, &mut relay).await?;
                figures.per_second("relay beside Debezium: letters drained", letters, relayed_in);
            } else {
                captured_in = captured(&theirs, letters, &mut debezium).await?;
                figures.per_second("Debezium: letters drained", letters, captured_in);
            }
        }
        figures.times("relay against Debezium: letters drained", captured_in.as_secs_f64() / relayed_in.as_secs_f64());
    }
    relay.stop().await?;
    let mut relay = ours.serve(true, LETTERS_PER_SECOND)?;
    let mut writer = theirs.serve(false, LETTERS_PER_SECOND)?;
    for cycle in turns.cycles() {
        let (mut relayed, mut captured) = (Duration::ZERO, Duration::ZERO);
        // both are written to all the time; they are listened to in turns
        for is_ours in in_turns(cycle, true, false) {
            let (name, letterbox, p99) = if is_ours {
                ("relay beside Debezium: lag", &ours, &mut relayed)
            } else {
                ("Debezium: lag", &theirs, &mut captured)
            };
            let lags = listen(letterbox, turns.length()).await.context(name)?;
            *p99 = lags.p99;
            lags.note(name, figures);
        }
        figures.times("relay against Debezium: lag p99", relayed.as_secs_f64() / captured.as_secs_f64());
    }
    memory(&relay, &debezium, figures)?;
    for process in [&mut relay, &mut writer, &mut debezium] {
        process.check_alive()?;
        process.stop().await?;
    }
    Ok(())
}

/// Resident memory of either: of the relay's process with all that it needs to write letters, of Debezium's with Kafka Connect.
fn memory(relay: &Process, debezium: &Process, figures: &mut Figures) -> Result<()> {
    let resident = |process: &Process| resident_kibibytes(process.pid().context("a process has ended")?);
    let (relay, debezium) = (resident(relay)?, resident(debezium)?);
    figures.mebibytes("relay beside Debezium: a process that writes and relays, resident", relay);
    figures.mebibytes("Debezium: Kafka Connect with it, resident", debezium);
    #[expect(clippy::cast_precision_loss, reason = "memory in KiB is far below 2^52")]
    figures.times("relay against Debezium: resident memory", relay as f64 / debezium as f64);
    Ok(())
}

/// Fills the outbox while Debezium is halted, and lets it go on. How long it takes from then.
async fn captured(letterbox: &Letterbox, letters: u32, debezium: &mut Process) -> Result<Duration> {
    let halted = Halted::halt(debezium.pid().context("Kafka Connect has ended")?)?;
    let before = letterbox.published()?;
    letterbox.fill(letters).await?;
    drop(halted);
    let began = Instant::now();
    let published = letterbox.until_published(before + i64::from(letters)).await;
    debezium.check_alive()?;
    let took = published? - began;
    eprintln!("Debezium: {letters} letters in {:.2} s", took.as_secs_f64());
    Ok(took)
}

/// How old letters are when they can be read.
async fn listen(letterbox: &Letterbox, length: Duration) -> Result<Lags> {
    let told = |letter: &BorrowedMessage<'_>| written_at(letter.key()?);
    let listener = Listener::start(&letterbox.bootstrap, &letterbox.topic(), topics::PARTITIONS, told)?;
    // what is listened to is written by others
    sleep(length).await;
    let lags = listener.stop()?;
    ensure!(!lags.is_empty(), "no letter came in {length:?}");
    Ok(Lags::of(lags))
}

/// A database server that tells its log, and Kafka.
struct Servers {
    distribution: Distribution,
    postgres: Postgres,
    kafka: Kafka,
    /// Where Kafka Connect listens.
    connect_port: u16,
    data: TempDir,
}

impl Servers {
    async fn start() -> Result<Self> {
        let distribution = Distribution::fetch().await?;
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let data = tempfile::Builder::new().prefix("postbox-bench-").permissions(everybody).tempdir()?;
        let port = ports::free_run(4)?;
        let options = PostgresOptions { data: data.path().join("postgres"), port };
        let mut postgres = Postgres::prepare(&distribution, options).await?;
        postgres.start().await?;
        let mut server = PgConnection::connect(&postgres.superuser_url()).await?;
        server.execute("ALTER SYSTEM SET wal_level = logical").await?;
        server.close().await?;
        // it is taken up at a start
        postgres.stop().await?;
        postgres.start().await?;
        let options = KafkaOptions {
            data: data.path().join("kafka"),
            brokers: 1,
            port: port + 1,
            controller_port: port + 2,
            compiler: Compiler::FullSpeed,
        };
        let mut kafka = Kafka::prepare(&distribution, &options).await?;
        kafka.start().await?;
        Ok(Self { distribution, postgres, kafka, connect_port: port + 3, data })
    }

    async fn stop(&mut self) -> Result<()> {
        self.kafka.stop().await?;
        Ok(self.postgres.stop().await?)
    }

    fn superuser_url(&self) -> String {
        self.postgres.superuser_url()
    }

    fn database_url(&self, name: &str) -> String {
        let url = self.superuser_url();
        format!("{}/{name}", url.rsplit_once('/').map_or(url.as_str(), |(server, _)| server))
    }

    /// Starts Kafka Connect with Debezium for this outbox, and waits until it reads the log.
    async fn start_debezium(&self, letterbox: &Letterbox, jars: &Path) -> Result<Process> {
        let url: Url = self.database_url("captured").parse()?;
        let mut database = PgConnection::connect(url.as_str()).await?;
        database.execute(PUBLICATION).await?;
        let home = self.data.path().join("connect");
        let listens = SocketAddr::from((Ipv4Addr::LOCALHOST, self.connect_port));
        // a folder of plugins, of which each is a folder of jars
        let plugins = jars.parent().context("the jars lie nowhere")?;
        let worker = [
            ("bootstrap.servers", letterbox.bootstrap.clone()),
            ("plugin.path", plugins.display().to_string()),
            ("listeners", format!("http://{listens}")),
            ("offset.storage.file.filename", home.join("offsets").display().to_string()),
            ("key.converter", "org.apache.kafka.connect.storage.StringConverter".to_owned()),
            // a payload leaves as the bytes that it is
            ("value.converter", "io.debezium.converters.BinaryDataConverter".to_owned()),
            ("producer.acks", "all".to_owned()),
            ("producer.compression.type", "lz4".to_owned()),
        ];
        let connector = [
            ("name", "outbox".to_owned()),
            ("connector.class", "io.debezium.connector.postgresql.PostgresConnector".to_owned()),
            ("database.hostname", url.host_str().context("no host")?.to_owned()),
            ("database.port", url.port().context("no port")?.to_string()),
            ("database.user", url.username().to_owned()),
            ("database.password", url.password().unwrap_or_default().to_owned()),
            ("database.dbname", "captured".to_owned()),
            ("topic.prefix", "debezium".to_owned()),
            ("plugin.name", "pgoutput".to_owned()),
            ("slot.name", "debezium".to_owned()),
            ("publication.name", "debezium".to_owned()),
            ("publication.autocreate.mode", "disabled".to_owned()),
            ("table.include.list", "public.outbox".to_owned()),
            ("snapshot.mode", "no_data".to_owned()),
            ("poll.interval.ms", "10".to_owned()),
            ("tombstones.on.delete", "false".to_owned()),
            ("transforms", "outbox".to_owned()),
            ("transforms.outbox.type", "io.debezium.transforms.outbox.EventRouter".to_owned()),
            ("transforms.outbox.table.field.event.id", "event_id".to_owned()),
            ("transforms.outbox.table.field.event.key", "key".to_owned()),
            ("transforms.outbox.table.field.event.payload", "payload".to_owned()),
            ("transforms.outbox.route.by.field", "topic".to_owned()),
            // Connect's own syntax
            ("transforms.outbox.route.topic.replacement", format!("{}${{routedByValue}}", letterbox.namespace)),
            (
                "transforms.outbox.table.fields.additional.placement",
                "event_type:header:ce_type,source:header:ce_source,sequence:header:ce_sequence".to_owned(),
            ),
        ];
        let launch = connect::launch(&self.distribution, &home, &properties(&worker), &properties(&connector))?;
        let mut process = launch.spawn()?;
        let until = Instant::now() + STREAMING;
        while !sqlx::query_scalar::<_, bool>(IS_STREAMING).fetch_one(&mut database).await? {
            process.check_alive()?;
            ensure!(Instant::now() < until, "Debezium reads nothing after {STREAMING:?}: {}", last_error(launch.log()));
            sleep(POLL).await;
        }
        Ok(process)
    }
}

/// The text of a properties file.
fn properties(settings: &[(&str, String)]) -> String {
    settings.iter().flat_map(|(name, value)| [name, "=", value, "\n"]).collect()
}

/// The last line of a log that tells of an error: the folder goes with this process.
fn last_error(log: &Path) -> String {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let error = log.lines().rev().find(|line| line.contains("ERROR") || line.starts_with("Caused by"));
    error.unwrap_or("its log tells no error").to_owned()
}

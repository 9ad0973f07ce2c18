//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use contracts::ids::AccountId;
use jiff::{SignedDuration, Timestamp};

/// An order platform on one machine: telephone where you must have the answer now, postbox where you need not wait.
#[derive(Debug, Parser)]
#[command(name = "postbox", version)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The data folder: databases, letters, logs, and where everything is [default: .postbox in the workspace]
    #[arg(long, global = true, env = "POSTBOX_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The workspace, a folder with services/ [default: found from the current folder, then from this program's]
    #[arg(long, global = true, env = "POSTBOX_ROOT", value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// A platform that something else looks after, like Docker Compose: the file that says where everything is
    #[arg(long, global = true, env = "POSTBOX_PLATFORM", value_name = "FILE")]
    pub platform: Option<PathBuf>,
    /// Services of that platform whose processes can be seen from here; `demo` stops one for a while
    #[arg(long, global = true, env = "POSTBOX_NEIGHBOURS", value_name = "NAME", value_delimiter = ',', hide = true)]
    pub neighbours: Vec<String>,
    /// The Kafka of that platform, when it is no longer the one that the file names
    #[arg(long, global = true, env = "POSTBOX_KAFKA", value_name = "HOST:PORT", hide = true)]
    pub kafka: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start PostgreSQL, Kafka and every service, and keep them running
    Up(UpOptions),
    /// Stop what `up` started; the data stays
    Down,
    /// Tell what runs: exit code 0 all is ready, 1 something is not, 69 nothing runs
    Status,
    /// Print the log of a service, of `postgres` or of `kafka-1`
    Logs(LogsOptions),
    /// Tell what is missing or misconfigured on this machine, and its cure
    Doctor,
    /// Place an order with the running platform
    Order(OrderOptions),
    /// Send orders at a steady rate, as clients do that repeat what may be repeated; Ctrl-C ends it early
    Load(LoadOptions),
    /// Check every promise on the running platform: exit code 1 when one is broken
    Audit(AuditOptions),
    /// Tell how far every consumer group and every outbox is behind
    Lag,
    /// Look at dead letters, and decide what becomes of them
    Dlq {
        #[command(subcommand)]
        command: DlqCommand,
    },
    /// Give a consumer group its letters again: its tables are built anew beside the old ones, or what is missing is made
    Replay(ReplayOptions),
    /// Look at orders that are on their way
    Sagas {
        #[command(subcommand)]
        command: SagasCommand,
    },
    /// Tell what operators have done
    Operators {
        #[command(subcommand)]
        command: OperatorsCommand,
    },
    /// Play the main story against the running platform: exit code 0 only when all of it was seen
    Demo,
}

/// Which letters are given again.
#[derive(Debug, Clone, Args)]
pub struct ReplayOptions {
    /// The consumer group, like `analytics.count`; `postbox lag` lists all
    pub group: String,
    /// Where to begin: `beginning`, or a time like 2026-11-21T09:00:00Z, by when letters were put into Kafka
    #[arg(long, value_name = "beginning|TIME")]
    pub from: String,
    /// Where to end; not for a projection, which goes on to where its group is
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
}

/// How to start the platform.
#[derive(Debug, Clone, Args)]
pub struct UpOptions {
    /// Return when everything is ready, and keep it running in the background
    #[arg(long)]
    pub detach: bool,
    /// Kafka brokers; a data folder keeps the number that it was made with
    #[arg(long, default_value_t = Brokers::One, value_enum, value_name = "N")]
    pub brokers: Brokers,
    /// What the databases begin with
    #[arg(long, default_value_t = Profile::Demo, value_enum)]
    pub profile: Profile,
    /// Take all ports from N upwards instead of the usual ones, so that two platforms can run side by side
    #[arg(long, value_name = "N")]
    pub port_base: Option<u16>,
    /// This is the process that `--detach` left behind
    #[arg(long, hide = true)]
    pub in_background: bool,
}

/// How many Kafka brokers. Two would be as good as one: both are needed for a majority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Brokers {
    /// Enough for work.
    #[value(name = "1")]
    One = 1,
    /// One may be lost.
    #[value(name = "3")]
    Three = 3,
}

impl std::fmt::Display for Brokers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", *self as u16)
    }
}

/// What the databases begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// An operator and a small catalogue
    Demo,
    /// Demo, 2,000 products that never run out, no rate limits, and Kafka at full speed
    Bench,
    /// Nothing
    None,
}

impl Profile {
    /// As it is typed, and as the manifests have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Bench => "bench",
            Self::None => "none",
        }
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Which log.
#[derive(Debug, Clone, Args)]
pub struct LogsOptions {
    /// As `status` calls it, or `postgres`, `kafka-1`, `supervisor`
    pub service: String,
}

/// What to order.
#[derive(Debug, Clone, Args)]
pub struct OrderOptions {
    /// The product
    #[arg(long, default_value = "mug")]
    pub sku: String,
    /// How many
    #[arg(long, default_value_t = 1)]
    pub quantity: u32,
    /// The card, which chooses what the stand-in card network does
    #[arg(long, default_value = "tok_visa", value_name = "TOKEN")]
    pub card: String,
    /// The Idempotency-Key; the same key never orders twice [default: a new one]
    #[arg(long)]
    pub key: Option<String>,
    /// Wait for the answer on the telephone, or be told by letter that the order was taken
    #[arg(long, default_value_t = By::Telephone, value_enum)]
    pub by: By,
    /// Show every change of the order until its last
    #[arg(long)]
    pub watch: bool,
}

/// What to do with dead letters. Ids are those of the list, like `shipping-12`.
#[derive(Debug, Clone, Subcommand)]
pub enum DlqCommand {
    /// All dead letters
    List,
    /// One letter, whole
    Show {
        /// Which
        id: String,
    },
    /// Give it to its group again, for instance when the fault is mended; the later letters of its key follow it
    Redrive {
        /// Which
        id: String,
    },
    /// Drop it: its group will never see it, and goes on with the later letters of its key
    Discard {
        /// Which
        id: String,
    },
}

/// What to do with orders that are on their way.
#[derive(Debug, Clone, Subcommand)]
pub enum SagasCommand {
    /// List those that have waited too long, with what they wait for; or act on one
    Stuck(StuckOptions),
}

/// What to tell of operators.
#[derive(Debug, Clone, Subcommand)]
pub enum OperatorsCommand {
    /// Every action: who, what, on which object, what it changed; the newest first
    Log(OperatorLogOptions),
}

/// Which actions.
#[derive(Debug, Clone, Args)]
pub struct OperatorLogOptions {
    /// Not before this time, like 2026-11-21T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Timestamp>,
    /// Of one operator: the id of an account, `ops` for whoever reached an ops port, `command line`, or `unnamed`
    #[arg(long, value_name = "ID", value_parser = operator)]
    pub operator: Option<String>,
    /// The most actions
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub limit: u16,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "say it like 2026-11-21T09:00:00Z".to_owned())
}

fn operator(text: &str) -> Result<String, String> {
    let is_known = ["ops", "command line", "unnamed"].contains(&text) || text.parse::<AccountId>().is_ok();
    let otherwise = || "say the id of an account, or `ops`, `command line`, `unnamed`".to_owned();
    // ids are written in lower case
    if is_known { Ok(text.to_lowercase()) } else { Err(otherwise()) }
}

/// What is too long, and what to do about one order.
#[derive(Debug, Clone, Args)]
pub struct StuckOptions {
    /// Too long, like 30s or 5m
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = waiting_time)]
    pub longer_than: Duration,
    /// Take this order up now
    #[arg(long, value_name = "ORDER", conflicts_with = "void")]
    pub retry: Option<String>,
    /// Give this order up: what was done for it is undone, and it ends REJECTED
    #[arg(long, value_name = "ORDER")]
    pub void: Option<String>,
}

fn waiting_time(text: &str) -> Result<Duration, String> {
    let time: SignedDuration = text.parse().map_err(|_| "say it like 30s or 5m".to_owned())?;
    if time.is_negative() { Err("it has not begun to wait".to_owned()) } else { Ok(time.unsigned_abs()) }
}

/// How much to order, and how fast.
#[derive(Debug, Clone, Args)]
pub struct LoadOptions {
    /// Orders a second; they leave at their times whether or not earlier ones are answered
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub rate: u32,
    /// How long, like 60s or 5m; 10m at the most
    #[arg(long = "for", default_value = "10s", value_name = "TIME", value_parser = load_time)]
    pub time: Duration,
    /// The door
    #[arg(long, default_value_t = By::Telephone, value_enum)]
    pub by: By,
    /// Order so many different products in turns, or as many as have enough pieces
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=2_000))]
    pub skus: u16,
    /// A card; several take turns [default: tok_visa]
    #[arg(long = "card", value_name = "TOKEN")]
    pub cards: Vec<String>,
    /// Write each acknowledgement down, one JSON line each: key, customer, order_id, status, at
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Orders at once without an answer; further ones wait, and their waiting counts
    #[arg(long, default_value_t = 900, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub in_flight: u16,
}

impl LoadOptions {
    /// How many orders that makes.
    pub fn orders(&self) -> u32 {
        u32::try_from(u128::from(self.rate) * self.time.as_millis() / 1_000).expect("rate and time are limited").max(1)
    }
}

/// What to audit, and how often.
#[derive(Debug, Clone, Args)]
pub struct AuditOptions {
    /// Audit again and again until Ctrl-C, print what changes, and serve the violations as metrics
    #[arg(long)]
    pub watch: bool,
    /// With --watch: how often, like 30s
    #[arg(long, default_value = "15s", value_name = "TIME", value_parser = audit_pause, requires = "watch")]
    pub every: Duration,
    /// With --watch: where `/metrics` is
    #[arg(long, default_value = "127.0.0.1:9061", value_name = "ADDRESS", requires = "watch")]
    pub listen: SocketAddr,
    /// What `postbox load --journal` wrote down as acknowledged
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// For tests, whose platforms share brokers: what stands before each topic and group
    #[arg(long, env = "KAFKA_NAMESPACE", default_value = "", hide = true)]
    pub namespace: String,
    /// For tests, which cannot wait 30 s: how long something may differ before it is a violation
    #[arg(long, env = "POSTBOX_AUDIT_GRACE_MS", hide = true)]
    pub grace_ms: Option<u64>,
}

fn audit_pause(text: &str) -> Result<Duration, String> {
    let pause: SignedDuration = text.parse().map_err(|_| "say it like 30s or 5m".to_owned())?;
    if pause < SignedDuration::from_secs(1) { Err("1s or more".to_owned()) } else { Ok(pause.unsigned_abs()) }
}

/// Less than a token's life of 15 minutes, so that nobody has to log in again.
const LOAD_TIME_MAX: SignedDuration = SignedDuration::from_mins(10);

fn load_time(text: &str) -> Result<Duration, String> {
    let time: SignedDuration = text.parse().map_err(|_| "say it like 60s or 5m".to_owned())?;
    if time < SignedDuration::from_secs(1) || time > LOAD_TIME_MAX {
        return Err("from 1s to 10m".to_owned());
    }
    Ok(time.unsigned_abs())
}

/// How an order is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The answer is the decision: 201, or why not
    Telephone,
    /// The answer is that the order was taken: 202, at once
    Letter,
}

impl std::fmt::Display for By {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Telephone => "telephone",
            Self::Letter => "letter",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_an_account_or_a_way_to_come_in() {
        let id = "01936b1e-7c5a-7cc2-a3f1-0242ac120002";
        assert_eq!(operator(&id.to_uppercase()).as_deref(), Ok(id));
        assert_eq!(operator("command line").as_deref(), Ok("command line"));
        for refused in ["", "ada@example.com", "everybody", "01936b1e"] {
            assert!(operator(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_load_lasts_as_long_as_is_said_within_its_limits() {
        assert_eq!(load_time("60s"), Ok(Duration::from_mins(1)));
        assert_eq!(load_time("5m"), Ok(Duration::from_mins(5)));
        for refused in ["0s", "500ms", "11m", "60", "-5s", "soon"] {
            assert!(load_time(refused).is_err(), "{refused}");
        }
    }
}

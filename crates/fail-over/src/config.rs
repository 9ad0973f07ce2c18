//! What a fail-over can be told.

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use service_runtime::{
    Error,
    config::{KafkaConfig, MigrateConfig},
};

/// What is older cannot be given again: outboxes may have dropped it, and [`consumer::first_time_in_tx`] soon forgets it.
const KEPT_DAYS: i64 = outbox::RelayConfig::RETENTION_DAYS as i64;

/// Everything that `<service> fail-over` can be told.
#[derive(Debug, Clone, Args)]
pub struct FailOverConfig {
    /// A time before which every letter was copied to the other Kafka and read by every group, like 2026-11-21T09:00:00Z. Too
    /// early costs time, too late loses letters [default: 30 days ago, which is all that is kept]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<Timestamp>,

    /// The service's database, as its owner.
    #[command(flatten)]
    pub database: MigrateConfig,

    /// The brokers that take the place of those that are lost.
    #[command(flatten)]
    pub kafka: KafkaConfig,
}

impl FailOverConfig {
    /// Since when letters are given again.
    pub(crate) fn since(&self, now: Timestamp) -> Result<Timestamp, Error> {
        let oldest = now - SignedDuration::from_hours(24 * KEPT_DAYS);
        match self.since {
            None => Ok(oldest),
            Some(since) if since < oldest => Err(Error::Config(format!(
                "--since {since} is more than {KEPT_DAYS} days ago, and nothing older is kept: leave it out"
            ))),
            Some(since) if since > now => Err(Error::Config(format!("--since {since} is in the future"))),
            Some(since) => Ok(since),
        }
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "not a time like 2026-11-21T09:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(text: Option<&str>) -> Result<Timestamp, String> {
        let config = FailOverConfig {
            since: text.map(|text| time(text).expect("a time")),
            database: MigrateConfig { database_url: "postgres://x".to_owned().into() },
            kafka: KafkaConfig { kafka_bootstrap_servers: String::new(), kafka_namespace: String::new() },
        };
        config.since("2026-11-21T09:00:00Z".parse().expect("a time")).map_err(|error| error.to_string())
    }

    #[test]
    fn all_that_is_kept_is_given_again_unless_a_later_time_is_named() {
        assert_eq!(since(None), Ok("2026-10-22T09:00:00Z".parse().expect("a time")));
        assert_eq!(since(Some("2026-11-21T08:00:00Z")), Ok("2026-11-21T08:00:00Z".parse().expect("a time")));
    }

    #[test]
    fn a_time_of_which_nothing_is_kept_and_one_that_has_not_come_are_refused() {
        let early = since(Some("2026-10-22T08:59:59Z")).expect_err("it is too early");
        assert!(early.starts_with("--since 2026-10-22T08:59:59Z is more than 30 days ago"), "{early}");
        let late = since(Some("2026-11-21T09:00:01Z")).expect_err("it is too late");
        assert_eq!(late, "--since 2026-11-21T09:00:01Z is in the future");
        assert!(time("yesterday").is_err());
    }
}

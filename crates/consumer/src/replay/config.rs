//! What is replayed, and from when.

use clap::Args;
use jiff::Timestamp;
use service_runtime::{
    Error,
    config::{KafkaConfig, MigrateConfig},
};

use crate::handler::Kind;

/// Everything that `<service> replay` can be told. The database is opened as its owner: a replay makes tables.
#[derive(Debug, Clone, Args)]
pub struct ReplayConfig {
    /// The consumer group whose letters are given again, like `analytics.count`
    pub group: String,

    /// Where to begin: `beginning`, or a time like 2026-11-21T09:00:00Z, by when letters were put into Kafka
    #[arg(long, value_name = "beginning|TIME")]
    pub from: String,

    /// Where to end, for an effect only: letters that were put into Kafka before this time [default: where the group is]
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,

    /// Print progress as JSON, one object in a line
    #[arg(long)]
    pub json: bool,

    /// The service's database, as its owner.
    #[command(flatten)]
    pub database: MigrateConfig,

    /// The brokers.
    #[command(flatten)]
    pub kafka: KafkaConfig,
}

/// Which letters are given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// `None`: from the oldest.
    pub from: Option<Timestamp>,
    /// `None`: as far as the group is.
    pub to: Option<Timestamp>,
}

impl Span {
    /// Reads the two times, as far as they make sense for a group of this kind.
    pub fn read(config: &ReplayConfig, kind: Kind) -> Result<Self, Error> {
        let from = if config.from == "beginning" { None } else { Some(time("--from", &config.from)?) };
        let to = config.to.as_deref().map(|text| time("--to", text)).transpose()?;
        if to.is_some() && matches!(kind, Kind::Projection { .. }) {
            let group = &config.group;
            return Err(Error::Config(format!(
                "--to: {group} is a projection, which is built anew up to where the group is: leave it out"
            )));
        }
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(Error::Config("--to must be after --from".to_owned()));
        }
        Ok(Self { from, to })
    }
}

fn time(flag: &str, text: &str) -> Result<Timestamp, Error> {
    text.parse().map_err(|_| {
        let other = if flag == "--from" { "neither `beginning` nor" } else { "not" };
        Error::Config(format!("{flag} {text}: {other} a time like 2026-11-21T09:00:00Z"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECTION: Kind = Kind::Projection { tables: &["seen"] };

    fn config(from: &str, to: Option<&str>) -> ReplayConfig {
        ReplayConfig {
            group: "test.seen".to_owned(),
            from: from.to_owned(),
            to: to.map(str::to_owned),
            json: false,
            database: MigrateConfig { database_url: "postgres://x".to_owned().into() },
            kafka: KafkaConfig { kafka_bootstrap_servers: String::new(), kafka_namespace: String::new() },
        }
    }

    #[test]
    fn an_effect_may_end_at_a_time_and_a_projection_may_not() {
        let bounded = config("beginning", Some("2026-11-21T09:00:00Z"));
        let span = Span::read(&bounded, Kind::Effect).unwrap();
        assert_eq!((span.from, span.to), (None, Some("2026-11-21T09:00:00Z".parse().unwrap())));
        let refused = Span::read(&bounded, PROJECTION).unwrap_err();
        assert!(refused.to_string().starts_with("--to: test.seen is a projection"), "{refused}");
        assert!(matches!(refused, Error::Config(_)));
    }

    #[test]
    fn a_time_that_is_none_is_named_with_what_would_be_one() {
        let refused = Span::read(&config("yesterday", None), PROJECTION).unwrap_err().to_string();
        assert_eq!(refused, "--from yesterday: neither `beginning` nor a time like 2026-11-21T09:00:00Z");
        let backwards = config("2026-11-21T09:00:00Z", Some("2026-11-21T09:00:00Z"));
        assert!(Span::read(&backwards, Kind::Effect).is_err());
    }
}

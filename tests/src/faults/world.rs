//! A platform with servers of its own, so that any part of it can be harmed.

use std::path::Path;

use testkit::{OwnKafka, OwnPostgres};

use super::{Length, Wishes};
use crate::{
    command_line::CommandLine,
    platform::Platform,
    site::{self, Site},
};

/// Parcels that leave by themselves after a minute would be letters that never come to rest.
const PARCELS_STAY: (&str, &str, &str) = ("shipping", "DISPATCH_AFTER", "86400");

/// Everything that runs.
#[derive(Debug)]
pub struct World {
    /// The services.
    pub platform: Platform,
    /// `postbox`, told where they are.
    pub command_line: CommandLine,
    /// How long faults last.
    pub length: Length,
    // after the services, which stop sooner when their servers are there
    /// The brokers.
    pub kafka: OwnKafka,
    /// The databases.
    pub postgres: OwnPostgres,
}

impl World {
    /// Starts servers and services from `programs`, ready.
    pub async fn start(wishes: &Wishes, length: Length, programs: &Path) -> Self {
        let (postgres, kafka) = tokio::join!(testkit::own_postgres(), testkit::own_kafka(wishes.brokers));
        let with_kill_points = wishes.kill_points.then(site::programs);
        let site = Site::own(&postgres, &kafka, with_kill_points.as_deref().unwrap_or(programs));
        let settings = [&[PARCELS_STAY], wishes.settings.as_slice()].concat();
        let platform = Platform::start_on(site, &settings).await;
        let command_line = CommandLine::of(&platform);
        Self { platform, command_line, length, kafka, postgres }
    }
}

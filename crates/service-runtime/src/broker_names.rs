//! Whether the brokers that a process was told of have an address at all.
//!
//! A name that nobody knows must not pass for a Kafka that is away for a while: a process with such a setting is not ready, says so,
//! and a rollout stops at it. Once a name was found Kafka is in nobody's way any more, whether it answers or not: letters wait
//! in the outbox.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::lookup_host,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use crate::config::KafkaConfig;

/// How long looking up a name may take.
const LOOK_UP_DEADLINE: Duration = Duration::from_secs(2);

/// The pause between tries.
const PAUSE: Duration = Duration::from_millis(500);

/// How often it is said that no name was found.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// The brokers, and whether the name of one was found yet.
#[derive(Debug, Clone)]
pub struct BrokerNames {
    servers: Arc<str>,
    found: Arc<AtomicBool>,
}

impl BrokerNames {
    /// Not found yet.
    pub(crate) fn of(kafka: &KafkaConfig) -> Self {
        Self { servers: kafka.kafka_bootstrap_servers.as_str().into(), found: Arc::default() }
    }

    /// Fails with the reason, in words for operators, until one is found.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.found.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(format!("no broker at {} has been found since the start; is KAFKA_BOOTSTRAP_SERVERS right?", self.servers))
    }

    /// Looks them up until one is found.
    pub(crate) async fn find(self) {
        let mut said: Option<Instant> = None;
        while let Err(failure) = self.look_up().await {
            if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
                let servers = &self.servers;
                warn!("no broker at {servers} can be found: {failure}; is KAFKA_BOOTSTRAP_SERVERS right?");
                said = Some(Instant::now());
            }
            sleep(PAUSE).await;
        }
        self.found.store(true, Ordering::Relaxed);
        if said.is_some() {
            info!("a broker of {} is found now", self.servers);
        }
    }

    /// One of several is enough: from it the clients learn the others.
    async fn look_up(&self) -> io::Result<()> {
        let mut failure = io::Error::other("no broker is named");
        for server in self.servers.split(',') {
            match timeout(LOOK_UP_DEADLINE, lookup_host(server.trim())).await {
                // a name without an address is an error already
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => failure = error,
                Err(_) => failure = io::Error::other(format!("no answer in {LOOK_UP_DEADLINE:?}")),
            }
        }
        Err(failure)
    }
}

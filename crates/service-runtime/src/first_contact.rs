//! Whether Kafka was there at all since the process began.
//!
//! An address that is wrong must not pass for a Kafka that is away for a while: a process that never met a broker is not ready,
//! says so, and a rollout stops at it. After the first contact Kafka is in nobody's way any more: letters wait in the outbox.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use crate::config::KafkaConfig;

/// How long a broker may take to accept a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// The pause between tries.
const PAUSE: Duration = Duration::from_millis(500);

/// How often it is said that nobody is there.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// The brokers, and whether one of them has accepted a connection yet.
#[derive(Debug, Clone)]
pub struct FirstContact {
    servers: Arc<str>,
    made: Arc<AtomicBool>,
}

impl FirstContact {
    /// Not made yet.
    pub(crate) fn with(kafka: &KafkaConfig) -> Self {
        Self { servers: kafka.kafka_bootstrap_servers.as_str().into(), made: Arc::default() }
    }

    /// Fails with the reason, in words for operators, until it is made.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.made.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(format!(
            "no broker at {} has been reached since the start; is KAFKA_BOOTSTRAP_SERVERS right?",
            self.servers
        ))
    }

    /// Tries until it is made.
    pub(crate) async fn make(self) {
        let mut said: Option<Instant> = None;
        while let Err(failure) = self.try_once().await {
            if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
                let servers = &self.servers;
                warn!("no broker at {servers} can be reached: {failure}; is KAFKA_BOOTSTRAP_SERVERS right?");
                said = Some(Instant::now());
            }
            sleep(PAUSE).await;
        }
        self.made.store(true, Ordering::Relaxed);
        if said.is_some() {
            info!("a broker at {} can be reached now", self.servers);
        }
    }

    /// One of several is enough: from it the clients learn the others.
    async fn try_once(&self) -> io::Result<()> {
        let mut failure = io::Error::other("no address");
        for server in self.servers.split(',') {
            match timeout(CONNECT_DEADLINE, TcpStream::connect(server.trim())).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => failure = error,
                Err(_) => failure = io::Error::other(format!("no answer in {CONNECT_DEADLINE:?}")),
            }
        }
        Err(failure)
    }
}

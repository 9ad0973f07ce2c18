//! What runs, and whether it is ready.

use std::time::Duration;

use comfy_table::{Table, presets};
use futures::future::join_all;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::Common;
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::http;
use crate::state::State;

const PROBE_DEADLINE: Duration = Duration::from_secs(2);

/// A running platform at one moment, as `status --json` prints it.
#[derive(Debug, Serialize)]
pub struct Status {
    services: Vec<ServiceStatus>,
    kafka: KafkaStatus,
    postgres: PostgresStatus,
}

#[derive(Debug, Serialize)]
struct ServiceStatus {
    name: String,
    pid: Option<u32>,
    /// None when nobody calls it.
    url: Option<String>,
    ops_url: String,
    ready: bool,
    /// Why it is not ready.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct KafkaStatus {
    bootstrap: String,
    pids: Vec<u32>,
    ready: bool,
}

#[derive(Debug, Serialize)]
struct PostgresStatus {
    url: String,
    pid: Option<u32>,
    ready: bool,
}

impl Status {
    fn not_ready(&self) -> Vec<&str> {
        let servers = [("kafka", self.kafka.ready), ("postgres", self.postgres.ready)];
        let services = self.services.iter().map(|service| (service.name.as_str(), service.ready));
        services.chain(servers).filter(|(_, ready)| !ready).map(|(name, _)| name).collect()
    }
}

/// Runs `postbox status`.
pub async fn run(common: &Common) -> Result<(), Failure> {
    let state = DataFolder::find(common)?.running()?;
    let status = look(&state).await;
    print(&status, common.json);
    let not_ready = status.not_ready();
    if not_ready.is_empty() {
        return Ok(());
    }
    Err(Failure::found(format!("not ready: {}; `postbox logs {}` tells why", not_ready.join(", "), not_ready[0])))
}

/// Looks at every process and asks every service.
pub async fn look(state: &State) -> Status {
    let probe = Probe::new();
    let pid = |name: &str| state.processes.get(name).filter(|process| process.is_running()).map(|process| process.pid);
    let services = join_all(state.services.iter().map(async |service| {
        let ready = probe.ready(&service.ops_url).await;
        ServiceStatus {
            name: service.name.clone(),
            pid: pid(&service.name),
            url: service.url.clone(),
            ops_url: service.ops_url.clone(),
            ready: ready.is_ok(),
            reason: ready.err(),
        }
    }));
    let brokers = join_all(state.bootstrap.split(',').map(accepts));
    let postgres = accepts(server_of(&state.postgres_url));
    let (services, brokers, postgres_ready) = tokio::join!(services, brokers, postgres);
    Status {
        services,
        kafka: KafkaStatus {
            bootstrap: state.bootstrap.clone(),
            pids: state
                .processes
                .keys()
                .filter(|name| name.starts_with("kafka-"))
                .filter_map(|name| pid(name))
                .collect(),
            ready: brokers.iter().all(|&ready| ready),
        },
        postgres: PostgresStatus { url: state.postgres_url.clone(), pid: pid("postgres"), ready: postgres_ready },
    }
}

/// Prints a table for people or JSON for programs.
pub fn print(status: &Status, json: bool) {
    if json {
        println!("{}", serde_json::to_string(status).expect("a status is plain data"));
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["", "pid", "url", "ops", ""]);
    let pid = |pid: Option<u32>| pid.map_or_else(|| "–".to_owned(), |pid| pid.to_string());
    let ready = |ready| if ready { "ready" } else { "not ready" };
    for service in &status.services {
        let ready = service.reason.as_deref().unwrap_or("ready");
        let url = service.url.as_deref().unwrap_or("–");
        table.add_row([&service.name, &pid(service.pid), url, &service.ops_url, ready]);
    }
    let pids: Vec<String> = status.kafka.pids.iter().map(u32::to_string).collect();
    table.add_row(["kafka", &pids.join(" "), &status.kafka.bootstrap, "", ready(status.kafka.ready)]);
    let postgres = &status.postgres;
    table.add_row(["postgres", &pid(postgres.pid), server_of(&postgres.url), "", ready(postgres.ready)]);
    println!("{table}");
}

/// Asks services whether they are ready.
#[derive(Debug)]
pub struct Probe {
    client: reqwest::Client,
}

impl Probe {
    /// One for many questions.
    pub fn new() -> Self {
        Self { client: http::client(PROBE_DEADLINE) }
    }

    /// Asks `/readyz`. Fails with the reason when the service is not ready or does not answer within two seconds.
    pub async fn ready(&self, ops_url: &str) -> Result<(), String> {
        let answer = self.client.get(format!("{ops_url}/readyz")).send().await.map_err(|_| "it does not answer")?;
        if answer.status().is_success() {
            return Ok(());
        }
        let reason = answer.text().await.map_err(|_| "it does not tell why")?;
        Err(reason.lines().next().unwrap_or_default().to_owned())
    }
}

/// `host:port` of a database URL: a password is shown to programs only.
fn server_of(url: &str) -> &str {
    let server = url.rsplit_once('@').map_or(url, |(_, server)| server);
    server.split_once('/').map_or(server, |(server, _)| server)
}

async fn accepts(address: &str) -> bool {
    timeout(PROBE_DEADLINE, TcpStream::connect(address)).await.is_ok_and(|connected| connected.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_shown_no_password() {
        assert_eq!(server_of("postgres://postgres:secret@127.0.0.1:15432/postgres"), "127.0.0.1:15432");
    }
}

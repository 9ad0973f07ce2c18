//! A platform that something else started and looks after, as Docker Compose does: a file tells the commands what they would
//! read from the state that `up` writes.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::Failure;
use crate::state::{DatabaseUrls, Identity, ServiceAddress, State};

/// Where to find it.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// What describes it.
    pub file: PathBuf,
    /// Services whose processes can be seen from here, as in a container that shares their process namespace.
    pub neighbours: Vec<String>,
    /// Kafka, when it is not the one that the file names.
    pub kafka: Option<String>,
}

/// What the file says. It holds no password: one that a URL lacks is taken from `PGPASSWORD`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// Kafka's `host:port` list.
    bootstrap: String,
    /// Of the server, for whoever looks whether it answers.
    postgres_url: String,
    /// By the database's name, the URL of the role that reads.
    databases: BTreeMap<String, String>,
    services: Vec<ServiceAddress>,
}

impl Elsewhere {
    /// The platform.
    pub fn read(&self) -> Result<State, Failure> {
        let file = &self.file;
        let text = std::fs::read(file).map_err(Failure::io("read", file))?;
        let told: Description = serde_json::from_slice(&text)
            .map_err(|error| Failure::usage(format!("{} describes no platform: {error}", file.display())))?;
        // only the role that reads is known: nobody migrates or serves from here
        let reader = |url: String| DatabaseUrls { owner: String::new(), app: String::new(), audit: url };
        Ok(State {
            // whoever looks after it, it is there as long as it answers
            supervisor: Identity::own(),
            started: true,
            profile: "none".to_owned(),
            bootstrap: self.kafka.clone().unwrap_or(told.bootstrap),
            postgres_url: told.postgres_url,
            databases: told.databases.into_iter().map(|(name, url)| (name, reader(url))).collect(),
            services: told.services,
            processes: processes(&self.neighbours),
        })
    }
}

/// The processes that serve, of those services that were named.
fn processes(neighbours: &[String]) -> BTreeMap<String, Identity> {
    let mut found = BTreeMap::new();
    if neighbours.is_empty() {
        return found;
    }
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // a process that ends meanwhile is none
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        if let Some(name) = serving(&line).filter(|name| neighbours.iter().any(|wanted| wanted == name)) {
            found.extend(Identity::of(pid).map(|process| (name.to_owned(), process)));
        }
    }
    found
}

/// The name of the service whose command line this is: `/usr/local/bin/payment`, `serve`.
fn serving(line: &[u8]) -> Option<&str> {
    let mut arguments = line.split(|&byte| byte == 0);
    let program = Path::new(std::ffi::OsStr::from_bytes(arguments.next()?));
    if arguments.next()? != b"serve" {
        return None;
    }
    program.file_name()?.to_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{
        "bootstrap": "kafka:9092", "postgres_url": "postgres://postgres:5432/postgres",
        "databases": { "orders": "postgres://orders_audit@postgres:5432/orders" },
        "services": [{ "name": "order", "url": "http://order:50052", "ops_url": "http://order:9052" }]
    }"#;

    fn platform(text: &str, kafka: Option<&str>) -> Result<State, Failure> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("platform.json");
        std::fs::write(&file, text).expect("it is writable");
        Elsewhere { file, neighbours: Vec::new(), kafka: kafka.map(str::to_owned) }.read()
    }

    #[test]
    fn a_platform_is_read_from_its_file() {
        let state = platform(WHOLE, None).expect("it is whole");
        assert_eq!(state.bootstrap, "kafka:9092");
        assert_eq!(state.databases["orders"].audit, "postgres://orders_audit@postgres:5432/orders");
        assert_eq!(state.service("order").expect("it is there").ops_url, "http://order:9052");
        assert!(state.supervisor.is_running() && state.processes.is_empty());
    }

    #[test]
    fn a_kafka_that_took_the_place_of_another_is_named_beside_the_file() {
        let state = platform(WHOLE, Some("kafka-standby:9092")).expect("it is whole");
        assert_eq!(state.bootstrap, "kafka-standby:9092");
    }

    #[test]
    fn a_file_that_describes_nothing_is_named() {
        let refused = platform("{}", None).expect_err("it says nothing").to_string();
        assert!(refused.contains("platform.json describes no platform: missing field"), "{refused}");
    }

    #[test]
    fn a_service_is_known_by_the_program_that_serves() {
        assert_eq!(serving(b"/usr/local/bin/payment\0serve\0"), Some("payment"));
        assert_eq!(serving(b"/usr/local/bin/payment\0health\0"), None);
        assert_eq!(serving(b"/sbin/docker-init\0--\0/usr/local/bin/payment\0serve\0"), None);
        assert_eq!(serving(b""), None);
    }
}

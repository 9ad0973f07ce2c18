//! `postbox up` from a checkout, as its reader types it.

use std::process::{Command, Output};

use journeys::repository;
use local_servers::ports;
use serde_json::Value;
use sqlx::PgPool;
use testkit::TestKafka;

use crate::checkout::{Checkout, programs};

/// A platform that runs. Dropping it stops it.
#[derive(Debug)]
pub struct Platform<'a> {
    checkout: &'a Checkout,
}

impl<'a> Platform<'a> {
    /// Starts all that the checkout has manifests for.
    pub fn up(checkout: &'a Checkout) -> Self {
        let platform = Self { checkout };
        // two for each service, and for PostgreSQL, Kafka and its controller
        let services = u16::try_from(repository::folders("services").len() + 1).expect("few services");
        let base = ports::free_run(2 * services + 3).expect("enough ports are free").to_string();
        platform.postbox(&["up", "--profile", "demo", "--detach", "--port-base", &base]);
        platform
    }

    /// Runs a command of the CLI, and gives what it prints with `--json`.
    pub fn postbox(&self, command: &[&str]) -> Value {
        let output = self.run(command);
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    fn run(&self, command: &[&str]) -> Output {
        let mut postbox = Command::new(programs().join("postbox"));
        postbox.args(command).arg("--json").current_dir(self.checkout.root());
        postbox.env_remove("POSTBOX_DATA").env_remove("POSTBOX_ROOT").output().expect("it is built")
    }

    /// What `postbox status` tells of a service.
    pub fn service(&self, name: &str) -> Value {
        let status = self.postbox(&["status"]);
        let services = status["services"].as_array().expect("a list");
        services.iter().find(|service| service["name"] == name).cloned().unwrap_or_else(|| panic!("{status}"))
    }

    /// The brokers.
    pub fn kafka(&self) -> TestKafka {
        let bootstrap = self.postbox(&["status"])["kafka"]["bootstrap"].as_str().expect("text").to_owned();
        TestKafka { bootstrap, namespace: String::new() }
    }

    /// A database, as the role that only reads; found as the page says.
    pub fn database(&self, name: &str) -> PgPool {
        let state = repository::text(&self.checkout.root().join(".postbox/state.json"));
        let state: Value = serde_json::from_str(&state).expect("it is JSON");
        PgPool::connect_lazy(state["databases"][name]["audit"].as_str().expect("a URL")).expect("it is a URL")
    }
}

impl Drop for Platform<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.run(&["logs", "loyalty"]);
            eprintln!("{}", String::from_utf8_lossy(&log.stdout));
        }
        self.run(&["down"]);
    }
}

//! The state file: where everything is while a platform runs. `up` writes it, the other commands read it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
pub use crate::identity::Identity;

/// A running platform. The file holds passwords and is readable by its owner only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The process that looks after all others.
    pub supervisor: Identity,
    /// True once everything was ready for the first time.
    pub started: bool,
    /// The profile's name.
    pub profile: String,
    /// Kafka's `host:port` list.
    pub bootstrap: String,
    /// The superuser's URL; empty until the server answers for the first time.
    pub postgres_url: String,
    /// By the database's name; empty until they are made.
    pub databases: BTreeMap<String, DatabaseUrls>,
    /// In the order of the port table.
    pub services: Vec<ServiceAddress>,
    /// What runs now, by name: the services, `postgres`, `kafka-1` …
    pub processes: BTreeMap<String, Identity>,
}

/// One URL for each role of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseUrls {
    /// Migrates.
    pub owner: String,
    /// Serves.
    pub app: String,
    /// Reads.
    pub audit: String,
}

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAddress {
    /// Its name.
    pub name: String,
    /// Of its gRPC or HTTP interface; none when nobody calls it.
    pub url: Option<String>,
    /// Of `/livez`, `/readyz`, `/metrics`, and what operators may ask.
    pub ops_url: String,
}

impl State {
    /// The state in `file`; `None` when nothing runs or ran to a bad end there.
    pub fn read(file: &Path) -> Result<Option<Self>, Failure> {
        let text = match std::fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io("read", file)(error)),
        };
        let state = serde_json::from_slice(&text)
            .map_err(|error| Failure::usage(format!("{} is damaged ({error}): delete it", file.display())))?;
        Ok(Some(state))
    }

    /// Puts the state into `file` at once: a reader sees the old or the new one, never a part.
    pub fn write(&self, file: &Path) -> Result<(), Failure> {
        let folder = file.parent().expect("the file lies in the data folder");
        // temporary files are made readable by their owner only
        let mut scratch = tempfile::NamedTempFile::new_in(folder).map_err(Failure::io("write into", folder))?;
        serde_json::to_writer_pretty(&mut scratch, self).expect("the state is plain data");
        scratch.flush().map_err(Failure::io("write", file))?;
        scratch.persist(file).map_err(|refused| Failure::io("write", file)(refused.error))?;
        Ok(())
    }

    /// The address of the service called `name`.
    pub fn service(&self, name: &str) -> Result<&ServiceAddress, Failure> {
        let found = self.services.iter().find(|service| service.name == name);
        found.ok_or_else(|| Failure::unreachable(format!("the running platform has no service `{name}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn state() -> State {
        State {
            supervisor: Identity::own(),
            started: true,
            profile: "demo".to_owned(),
            bootstrap: "127.0.0.1:19092".to_owned(),
            postgres_url: "postgres://postgres:secret@127.0.0.1:15432/postgres".to_owned(),
            databases: BTreeMap::new(),
            services: Vec::new(),
            processes: BTreeMap::from([("postgres".to_owned(), Identity::own())]),
        }
    }

    #[test]
    fn what_was_written_is_read_again_and_closed_to_others() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("state.json");
        assert_eq!(State::read(&file).expect("no file is no error"), None);
        state().write(&file).expect("it is writable");
        state().write(&file).expect("it may be replaced");
        assert_eq!(State::read(&file).expect("it is readable"), Some(state()));
        let mode = file.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }

    #[test]
    fn a_damaged_file_is_named_with_the_cure() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("state.json");
        std::fs::write(&file, "{").expect("it is writable");
        let refused = State::read(&file).expect_err("it is no JSON").to_string();
        assert!(refused.contains("state.json is damaged") && refused.ends_with("delete it"), "{refused}");
    }
}

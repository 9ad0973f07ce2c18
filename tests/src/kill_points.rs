//! The kill points that are in the sources, and whom each can kill.

use std::path::Path;

use postbox::manifest::Manifest;

use crate::repository::{from_root, root, rust_files, text};

const _: () = assert!(fail::has_failpoints(), "what is built along with this package can be killed at its points");

/// A place at which a service can be made to die.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KillPoint {
    /// Its name, like `order.placed.before-commit`.
    pub name: String,
    /// The file that it stands in, as seen from the root.
    pub file: String,
}

/// Every point of the repository, in the order of their names. A name that stands in two places is in it twice.
pub fn all() -> Vec<KillPoint> {
    let mut points = Vec::new();
    for path in ["crates", "services"].into_iter().flat_map(rust_files) {
        let (file, text) = (from_root(&path), text(&path));
        // the macro's own file shows how it is used
        if file.ends_with("service-runtime/src/kill_point.rs") {
            continue;
        }
        let names = text.split("kill_point!(\"").skip(1).filter_map(|rest| rest.split('"').next());
        points.extend(names.map(|name| KillPoint { name: name.to_owned(), file: file.clone() }));
    }
    points.sort();
    points
}

/// Whether this program was built with kill points.
pub fn are_in(program: &Path) -> bool {
    const WORDS: &[u8] = b"killed at the kill point";
    std::fs::read(program).is_ok_and(|program| program.windows(WORDS.len()).any(|words| words == WORDS))
}

impl KillPoint {
    /// Whether the service passes this point while it serves: those of the crates stand where every service passes that uses
    /// them.
    pub fn is_in(&self, service: &Manifest) -> bool {
        // a replay is a process of its own, that somebody starts
        if self.file.contains("/replay/") {
            return false;
        }
        match self.name.split('.').next() {
            Some("consumer") => !service.consumes.is_empty(),
            // not every topic is published through the outbox
            Some("outbox") => {
                let manifest = root().join("services").join(&service.name).join("Cargo.toml");
                text(&manifest).lines().any(|line| line.starts_with("outbox."))
            }
            owner => owner == Some(service.name.as_str()),
        }
    }
}

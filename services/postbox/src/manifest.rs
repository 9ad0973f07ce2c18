//! A service's manifest, `services/<name>/service.toml`: all that starting it needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::secret::Secret;

/// What a service is called, where it listens, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name of the service, its folder, its package and its program.
    pub name: String,
    /// The default port of its gRPC or HTTP interface; none for a follower that lives on letters alone.
    #[serde(default)]
    pub port: Option<u16>,
    /// The default port of `/livez`, `/readyz` and `/metrics`. Services are listed in the order of these.
    pub ops_port: u16,
    /// What it speaks on `port`: there if and only if that is.
    #[serde(default)]
    pub serve: Option<Serve>,
    /// Its database, when it has one.
    #[serde(default)]
    pub database: Option<String>,
    /// The topics that it publishes.
    #[serde(default)]
    pub topics: Vec<String>,
    /// The topics that it reads.
    #[serde(default)]
    pub consumes: Vec<String>,
    /// The services that it asks by telephone; it gets `<NAME>_URL` of each.
    #[serde(default)]
    pub asks: Vec<String>,
    /// Variables that name a file inside the data folder.
    #[serde(default)]
    pub files: BTreeMap<String, PathBuf>,
    /// Variables that name a secret file, made when it is missing.
    #[serde(default)]
    #[expect(clippy::zero_sized_map_values, reason = "there is one kind so far, and the manifests name it")]
    pub secrets: BTreeMap<String, Secret>,
    /// What is different under `--profile`.
    #[serde(default)]
    pub profiles: BTreeMap<String, ProfileSettings>,
}

/// What a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serve {
    /// gRPC over cleartext HTTP/2.
    Grpc,
    /// HTTP.
    Http,
}

/// What is different under a profile.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSettings {
    /// Arguments of the program, run once after `migrate` and before `serve`. Safe to run again.
    #[serde(default)]
    pub seed: Vec<String>,
    /// Variables for the program.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// Why the manifests cannot be used. Displays as one line that names the file and the field.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// The file or its folder cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not TOML, or a field is missing, unknown or of the wrong type.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the field.
        reason: String,
    },
    /// A field contradicts the folder or another manifest.
    #[error("{}: {field}: {reason}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// There is no manifest at all.
    #[error("{} holds no service.toml: is this the workspace of Postbox?", folder.display())]
    None {
        /// Where they were looked for.
        folder: PathBuf,
    },
}

/// Reads `<services>/*/service.toml`, in the order of the port table. A folder without a manifest is no service.
pub fn read_all(services: &Path) -> Result<Vec<Manifest>, InvalidManifest> {
    let unreadable = |source| InvalidManifest::Unreadable { path: services.to_owned(), source };
    let mut manifests = Vec::new();
    for entry in std::fs::read_dir(services).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path().join("service.toml");
        if path.is_file() {
            manifests.push((read(&path)?, path));
        }
    }
    if manifests.is_empty() {
        return Err(InvalidManifest::None { folder: services.to_owned() });
    }
    manifests.sort_by_key(|(manifest, _)| manifest.ops_port);
    check_together(&manifests)?;
    Ok(manifests.into_iter().map(|(manifest, _)| manifest).collect())
}

fn read(path: &Path) -> Result<Manifest, InvalidManifest> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| InvalidManifest::Unreadable { path: path.to_owned(), source })?;
    let manifest: Manifest = toml::from_str(&text)
        .map_err(|error| InvalidManifest::Malformed { path: path.to_owned(), reason: one_line(&error, &text) })?;
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    if folder != manifest.name.as_str() {
        let reason = format!("`{}` is not the name of the folder", manifest.name);
        return Err(InvalidManifest::Field { path: path.to_owned(), field: "name", reason });
    }
    if manifest.port.is_some() != manifest.serve.is_some() {
        let (field, other) = if manifest.port.is_some() { ("serve", "port") } else { ("port", "serve") };
        let reason = format!("missing, and there is `{other}`: a service has both, or none when nobody calls it");
        return Err(InvalidManifest::Field { path: path.to_owned(), field, reason });
    }
    if let Some(outside) = manifest.files.values().find(|file| !stays_inside(file)) {
        let reason = format!("`{}` does not lie inside the data folder", outside.display());
        return Err(InvalidManifest::Field { path: path.to_owned(), field: "files", reason });
    }
    Ok(manifest)
}

/// The parser's message, which may span lines, with the line of the file that it is about: that names the field.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().replace('\n', " ");
    let Some(span) = error.span() else { return message };
    let number = text[..span.start].lines().count().max(1);
    let line = text.lines().nth(number - 1).unwrap_or_default().trim();
    if line.is_empty() { message } else { format!("{message} (line {number}: {line})") }
}

fn stays_inside(file: &Path) -> bool {
    file.components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

fn check_together(manifests: &[(Manifest, PathBuf)]) -> Result<(), InvalidManifest> {
    let called: BTreeMap<&str, bool> =
        manifests.iter().map(|(manifest, _)| (manifest.name.as_str(), manifest.port.is_some())).collect();
    let mut ports = BTreeMap::new();
    for (manifest, path) in manifests {
        for (field, port) in [("port", manifest.port), ("ops_port", Some(manifest.ops_port))] {
            let Some(port) = port else { continue };
            if let Some(other) = ports.insert(port, &manifest.name) {
                let reason = format!("{port} is also a port of {other}");
                return Err(InvalidManifest::Field { path: path.clone(), field, reason });
            }
        }
        for asked in &manifest.asks {
            let reason = match called.get(asked.as_str()) {
                Some(true) => continue,
                Some(false) => format!("`{asked}` has no port, so nobody can call it"),
                None => format!("there is no service `{asked}`"),
            };
            return Err(InvalidManifest::Field { path: path.clone(), field: "asks", reason });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVENTORY: &str = "name = \"inventory\"\nport = 50053\nops_port = 9053\nserve = \"grpc\"\n";

    /// Reads manifests that lie in folders of the given names.
    fn read_from(files: &[(&str, &str)]) -> Result<Vec<Manifest>, InvalidManifest> {
        let services = tempfile::tempdir().expect("a temporary folder");
        for (folder, text) in files {
            let folder = services.path().join(folder);
            std::fs::create_dir(&folder).expect("it is new");
            std::fs::write(folder.join("service.toml"), text).expect("it is writable");
        }
        read_all(services.path())
    }

    /// The message, without the temporary folder.
    fn refusal(files: &[(&str, &str)]) -> String {
        let message = read_from(files).expect_err("it is wrong").to_string();
        let start = message.find("inventory/").or_else(|| message.find("psp/")).expect("it names the file");
        message[start..].to_owned()
    }

    #[test]
    fn a_manifest_with_everything_is_read() {
        let text = format!(
            "{INVENTORY}database = \"inventory\"\ntopics = [\"{}\"]\n\
             consumes = [\"{}\"]\nasks = [\"inventory\"]\nfiles = {{ BOOKS = \"psp/books.jsonl\" }}\n\
             secrets = {{ KEY_FILE = \"ed25519-pem\" }}\n[profiles.demo]\nseed = [\"seed\", \"demo\"]\n",
            contracts::topics::RESERVATIONS.name(),
            contracts::topics::ORDERS.name()
        );
        let manifests = read_from(&[("inventory", &text)]).expect("it is valid");
        let inventory = &manifests[0];
        assert_eq!((inventory.port, inventory.serve), (Some(50053), Some(Serve::Grpc)));
        assert_eq!(inventory.database.as_deref(), Some("inventory"));
        assert_eq!(inventory.secrets["KEY_FILE"], Secret::Ed25519Pem);
        assert_eq!(inventory.profiles["demo"].seed, ["seed", "demo"]);
    }

    #[test]
    fn a_follower_that_nobody_calls_has_neither_port_nor_serve() {
        let follower = "name = \"psp\"\nops_port = 9060\n";
        let manifests = read_from(&[("psp", follower)]).expect("it is valid");
        assert_eq!((manifests[0].port, manifests[0].serve), (None, None));

        let half = refusal(&[("psp", &format!("{follower}port = 50060\n"))]);
        assert!(half.starts_with("psp/service.toml: serve: missing, and there is `port`"), "{half}");
        let half = refusal(&[("psp", &format!("{follower}serve = \"http\"\n"))]);
        assert!(half.starts_with("psp/service.toml: port: missing, and there is `serve`"), "{half}");

        let calls = format!("{INVENTORY}asks = [\"psp\"]\n");
        let called = refusal(&[("inventory", &calls), ("psp", follower)]);
        assert_eq!(called, "inventory/service.toml: asks: `psp` has no port, so nobody can call it");
    }

    #[test]
    fn services_come_in_the_order_of_their_ops_ports() {
        let psp = "name = \"psp\"\nport = 50060\nops_port = 9052\nserve = \"http\"\n";
        let manifests = read_from(&[("inventory", INVENTORY), ("psp", psp)]).expect("they are valid");
        let names: Vec<&str> = manifests.iter().map(|manifest| manifest.name.as_str()).collect();
        assert_eq!(names, ["psp", "inventory"]);
    }

    #[test]
    fn a_refusal_names_the_file_and_the_field() {
        let missing = refusal(&[("inventory", "name = \"inventory\"\nport = 1\nserve = \"grpc\"\n")]);
        assert!(missing.starts_with("inventory/service.toml: missing field `ops_port`"), "{missing}");

        let unknown = refusal(&[("inventory", &format!("{INVENTORY}colour = \"red\"\n"))]);
        assert!(unknown.starts_with("inventory/service.toml: unknown field `colour`"), "{unknown}");

        let mistyped = refusal(&[("inventory", &INVENTORY.replace("50053", "\"high\""))]);
        assert!(mistyped.contains("(line 2: port = \"high\")"), "{mistyped}");

        let misnamed = refusal(&[("psp", INVENTORY)]);
        assert_eq!(misnamed, "psp/service.toml: name: `inventory` is not the name of the folder");

        let lonely = refusal(&[("inventory", &format!("{INVENTORY}asks = [\"payment\"]\n"))]);
        assert_eq!(lonely, "inventory/service.toml: asks: there is no service `payment`");

        let outside = refusal(&[("inventory", &format!("{INVENTORY}files = {{ BOOKS = \"../books\" }}\n"))]);
        assert_eq!(outside, "inventory/service.toml: files: `../books` does not lie inside the data folder");
    }

    #[test]
    fn two_services_cannot_have_the_same_port() {
        let psp = "name = \"psp\"\nport = 50053\nops_port = 9060\nserve = \"http\"\n";
        let shared = refusal(&[("inventory", INVENTORY), ("psp", psp)]);
        assert_eq!(shared, "psp/service.toml: port: 50053 is also a port of inventory");
    }
}

//! A service is one folder under `services/` with a page that tells what it is and a manifest, and one under `migrations/`
//! when it has a database. `postbox up` reads the manifests, so what they say is checked here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use contracts::topics;
use journeys::repository::{folders, name, root, text};
use serde::Deserialize;

/// The CLI: it starts the services and is none itself, so it has no manifest.
const CLI: &str = "postbox";

/// What this test needs of a service.toml. All of it, with defaults and limits, is in `services/postbox`.
#[derive(Deserialize)]
struct Manifest {
    name: String,
    port: Option<u16>,
    ops_port: u16,
    database: Option<String>,
    #[serde(default)]
    topics: Vec<String>,
    #[serde(default)]
    consumes: Vec<String>,
    #[serde(default)]
    asks: Vec<String>,
}

#[test]
fn every_service_has_a_page_and_a_manifest() {
    let mut missing = Vec::new();
    for service in folders("services") {
        let name = name(&service);
        if !service.join("README.md").is_file() && !is_one_file_that_tells_what_it_is(&service) {
            missing.push(format!("services/{name}/README.md is missing: what it owns, offers, publishes, consumes"));
        }
        if name != CLI && !service.join("service.toml").is_file() {
            missing.push(format!("services/{name}/service.toml is missing: without it `postbox up` does not start it"));
        }
    }
    assert_none(&missing);
}

#[test]
fn a_manifest_is_named_like_its_folder() {
    let wrong: Vec<_> = manifests()
        .into_iter()
        .filter(|(folder, manifest)| *folder != manifest.name)
        .map(|(folder, manifest)| format!("services/{folder}/service.toml names {:?}", manifest.name))
        .collect();
    assert_none(&wrong);
}

#[test]
fn no_two_services_listen_on_one_port() {
    let mut owners = BTreeMap::new();
    let mut wrong = Vec::new();
    for (folder, manifest) in manifests() {
        for port in manifest.port.into_iter().chain([manifest.ops_port]) {
            if let Some(other) = owners.insert(port, folder.clone()) {
                wrong.push(format!("services/{folder}/service.toml: port {port} is taken by {other}"));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn a_service_has_migrations_if_and_only_if_it_has_a_database() {
    let mut wrong = Vec::new();
    let mut owned = BTreeSet::new();
    for (folder, manifest) in manifests() {
        let migrated = has_sql(&root().join("migrations").join(&folder));
        if manifest.database.is_some() && !migrated {
            wrong.push(format!("services/{folder}/service.toml names a database, but migrations/{folder} has no .sql"));
        }
        if manifest.database.is_some() {
            owned.insert(folder);
        }
    }
    for migrations in folders("migrations") {
        let name = name(&migrations);
        if !owned.contains(&name) {
            wrong.push(format!("migrations/{name}: no service.toml of that name has a database"));
        }
    }
    assert_none(&wrong);
}

#[test]
fn a_manifest_names_only_topics_of_contracts_and_publishes_only_its_own() {
    let mut wrong = Vec::new();
    for (folder, manifest) in manifests() {
        for topic in manifest.topics.iter().chain(&manifest.consumes) {
            if !topics::ALL.iter().any(|known| known.name() == topic) {
                wrong.push(format!("services/{folder}/service.toml: proto/src/topics.rs has no topic {topic:?}"));
            }
        }
        let source = format!("/{folder}");
        for topic in topics::ALL.iter().filter(|topic| manifest.topics.iter().any(|name| name == topic.name())) {
            if topic.source() != source {
                let (name, owner) = (topic.name(), topic.source());
                wrong.push(format!("services/{folder}/service.toml publishes {name}, which belongs to {owner}"));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_topic_is_published_by_a_service() {
    let manifests = manifests();
    let orphans: Vec<_> = topics::ALL
        .iter()
        .filter(|topic| !manifests.values().any(|manifest| manifest.topics.iter().any(|name| name == topic.name())))
        .map(|topic| format!("no service.toml publishes {}, so nobody creates it", topic.name()))
        .collect();
    assert_none(&orphans);
}

#[test]
fn a_service_asks_only_services_that_exist() {
    let manifests = manifests();
    let mut wrong = Vec::new();
    for (folder, manifest) in &manifests {
        for asked in manifest.asks.iter().filter(|asked| !manifests.contains_key(*asked)) {
            wrong.push(format!("services/{folder}/service.toml asks {asked:?}, and no service has that name"));
        }
    }
    assert_none(&wrong);
}

/// Every manifest there is, by the name of its folder.
fn manifests() -> BTreeMap<String, Manifest> {
    folders("services")
        .into_iter()
        .filter(|service| service.join("service.toml").is_file())
        .map(|service| {
            let file = service.join("service.toml");
            let manifest = toml::from_str(&text(&file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            (name(&service), manifest)
        })
        .collect()
}

/// The smallest follower is a `main.rs` whose first lines are its page.
fn is_one_file_that_tells_what_it_is(service: &Path) -> bool {
    let main = service.join("src/main.rs");
    let files = service.join("src").read_dir().map_or(0, Iterator::count);
    files == 1 && main.is_file() && text(&main).starts_with("//! ")
}

fn has_sql(folder: &Path) -> bool {
    folder.read_dir().is_ok_and(|mut entries| {
        entries
            .any(|entry| entry.is_ok_and(|entry| entry.path().extension().is_some_and(|extension| extension == "sql")))
    })
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

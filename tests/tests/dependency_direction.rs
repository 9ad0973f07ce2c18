//! Dependencies point one way: services → crates → contracts. Never service → service, crates → services, or
//! contracts → anything of ours. Build- and dev-dependencies count too.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use journeys::repository;
use serde_json::json;

#[test]
fn dependencies_point_one_way() {
    let wrong = wrong_edges(&metadata());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_edge_that_points_the_wrong_way_is_refused() {
    let metadata = metadata();
    for (from, to, kind) in [
        ("order", "payment", DependencyKind::Normal),
        ("order", "payment", DependencyKind::Development),
        ("postbox", "order", DependencyKind::Normal),
        ("outbox", "order", DependencyKind::Development),
        ("contracts", "rpc", DependencyKind::Build),
        ("contracts", "testkit", DependencyKind::Development),
        ("order", "testkit", DependencyKind::Normal),
        ("order", "local-servers", DependencyKind::Build),
        ("postbox", "testkit", DependencyKind::Normal),
        ("rpc", "journeys", DependencyKind::Development),
        ("order", "bench", DependencyKind::Normal),
    ] {
        let wrong = wrong_edges(&with_edge(&metadata, from, to, kind));
        let edge = format!("{from} → {to} ({kind}): ");
        assert!(wrong.iter().any(|line| line.starts_with(&edge)), "{edge}not refused; refused: {wrong:?}");
    }
}

#[test]
fn an_edge_that_points_the_right_way_is_let_through() {
    let metadata = metadata();
    for (from, to, kind) in [
        ("order", "outbox", DependencyKind::Normal),
        ("order", "testkit", DependencyKind::Development),
        ("outbox", "contracts", DependencyKind::Normal),
        ("postbox", "local-servers", DependencyKind::Normal),
        ("testkit", "local-servers", DependencyKind::Normal),
        ("journeys", "testkit", DependencyKind::Normal),
        ("bench", "postbox", DependencyKind::Normal),
    ] {
        let wrong = wrong_edges(&with_edge(&metadata, from, to, kind));
        let edge = format!("{from} → {to} ({kind}): ");
        assert!(!wrong.iter().any(|line| line.starts_with(&edge)), "{wrong:?}");
    }
}

/// Where in the layers a package of the workspace stands.
#[derive(Clone, Copy)]
enum Place {
    Contracts,
    Crate,
    /// Starts real servers: of use to tests and to the CLI.
    LocalServers,
    Testkit,
    Service,
    /// The service `postbox`: the CLI, which starts the others as processes.
    Cli,
    /// Tests or measures the platform from outside.
    Observer,
    /// Not one of the folders above.
    Elsewhere,
}

impl Place {
    /// The place of the package in `folder`, a path from the root.
    fn of(folder: &str) -> Self {
        match folder.split('/').collect::<Vec<_>>()[..] {
            ["proto"] => Self::Contracts,
            ["crates", "local-servers"] => Self::LocalServers,
            ["crates", "testkit"] => Self::Testkit,
            ["crates", _] => Self::Crate,
            ["services", "postbox"] => Self::Cli,
            ["services", _] => Self::Service,
            ["tests" | "bench"] => Self::Observer,
            _ => Self::Elsewhere,
        }
    }

    /// Why a package here may not depend on one there; `None` when it may.
    fn refusal(self, to: Self, kind: DependencyKind) -> Option<&'static str> {
        match (self, to) {
            (Self::Elsewhere, _) | (_, Self::Elsewhere) => {
                Some("a package lives in proto, crates/*, services/*, tests or bench")
            }
            (Self::Contracts, _) => Some("contracts is what all agree on, so it depends on nothing of ours"),
            (Self::Observer, _) | (Self::Cli | Self::Testkit, Self::LocalServers) => None,
            (_, Self::Service | Self::Cli) => Some("a service is asked over the network or by letter, never linked"),
            (_, Self::Observer) => Some("journeys and bench look at the platform; nothing is built on them"),
            (_, Self::LocalServers | Self::Testkit) if kind != DependencyKind::Development => {
                Some("servers for tests are a dev-dependency")
            }
            (_, Self::Contracts | Self::Crate | Self::LocalServers | Self::Testkit) => None,
        }
    }
}

/// Each dependency between packages of the workspace that its layers forbid: `from → to (kind): why`.
fn wrong_edges(metadata: &Metadata) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().expect("a manifest is in a folder");
        let from = Place::of(folder.strip_prefix(&metadata.workspace_root).unwrap_or(folder).as_str());
        for dependency in &package.dependencies {
            // what has no path comes from crates.io: deny.toml sees to that
            let Some(path) = &dependency.path else { continue };
            let to = Place::of(path.strip_prefix(&metadata.workspace_root).unwrap_or(path).as_str());
            if let Some(why) = from.refusal(to, dependency.kind) {
                wrong.push(format!("{} → {} ({}): {why}", package.name, dependency.name, dependency.kind));
            }
        }
    }
    wrong
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(repository::root().join("Cargo.toml"))
        // the declared dependencies are enough, and cargo reads them without the network
        .other_options(["--no-deps".to_owned(), "--offline".to_owned()])
        .exec()
        .expect("cargo can read the workspace")
}

/// The same workspace with one more dependency between two of its packages.
fn with_edge(metadata: &Metadata, from: &str, to: &str, kind: DependencyKind) -> Metadata {
    let path = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name == to)
        .and_then(|package| package.manifest_path.parent())
        .unwrap_or_else(|| panic!("the workspace has no package {to}"));
    let edge = json!({
        "name": to, "path": path, "kind": kind, "req": "*", "optional": false, "uses_default_features": true,
        "features": [], "source": null, "rename": null, "target": null, "registry": null,
    });
    let mut changed = serde_json::to_value(metadata).expect("metadata is JSON");
    changed["packages"]
        .as_array_mut()
        .expect("packages is a list")
        .iter_mut()
        .find(|package| package["name"] == from)
        .unwrap_or_else(|| panic!("the workspace has no package {from}"))["dependencies"]
        .as_array_mut()
        .expect("dependencies is a list")
        .push(edge);
    serde_json::from_value(changed).expect("still metadata")
}

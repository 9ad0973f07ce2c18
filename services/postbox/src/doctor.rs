//! What is missing or misconfigured on this machine, each with its cure.

use local_servers::Distribution;
use local_servers::process::on_path;
use serde::Serialize;

use crate::cli::{Brokers, Common, Profile, UpOptions};
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::ports::Ports;
use crate::up::Platform;

#[derive(Debug, Serialize)]
struct Check {
    #[serde(rename = "check")]
    subject: &'static str,
    ok: bool,
    cure: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    items: Vec<Check>,
}

/// Runs `postbox doctor`.
pub async fn run(common: &Common) -> Result<(), Failure> {
    let report = Report { items: examine(common).await };
    if common.json {
        println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
    } else {
        for Check { subject, ok, cure } in &report.items {
            let mark = if *ok { "ok     " } else { "MISSING" };
            println!("{mark}  {subject}{}", cure.as_ref().map(|cure| format!(": {cure}")).unwrap_or_default());
        }
    }
    let wrong = report.items.iter().filter(|item| !item.ok).count();
    if wrong == 0 { Ok(()) } else { Err(Failure::found(format!("{wrong} of {} checks failed", report.items.len()))) }
}

async fn examine(common: &Common) -> Vec<Check> {
    let options = UpOptions {
        detach: false,
        brokers: Brokers::One,
        profile: Profile::Demo,
        port_base: None,
        in_background: false,
    };
    let platform = Platform::find(common, &options);
    let mut checks = vec![
        check("the services' manifests and programs", platform.as_ref().map(drop).map_err(ToString::to_string)),
        check("java, which runs Kafka", Distribution::java().await.map(drop).map_err(|error| error.to_string())),
        check("mvn, which fetches Kafka and PostgreSQL once", mvn()),
        check("children end with their supervisor", setpriv()),
    ];
    if let Ok(platform) = &platform {
        checks.push(check("the data folder", writable(&platform.data)));
        checks.push(check("the ports", ports(&platform.data, &platform.ports)));
    }
    checks
}

fn check(subject: &'static str, outcome: Result<(), String>) -> Check {
    Check { subject, ok: outcome.is_ok(), cure: outcome.err() }
}

fn mvn() -> Result<(), String> {
    if Distribution::is_cached() {
        return Ok(());
    }
    Distribution::mvn().map(drop).map_err(|error| error.to_string())
}

fn setpriv() -> Result<(), String> {
    if on_path("setpriv").is_some() || !cfg!(target_os = "linux") {
        return Ok(());
    }
    Err("setpriv not found: install util-linux, or run `postbox down` after a supervisor was killed".to_owned())
}

fn writable(data: &DataFolder) -> Result<(), String> {
    let made = std::fs::create_dir_all(&data.path).and_then(|()| tempfile::tempfile_in(&data.path));
    made.map(drop).map_err(|error| format!("{}: {error}: give another --data", data.path.display()))
}

/// The ports of a platform that runs here are rightly in use.
fn ports(data: &DataFolder, ports: &Ports) -> Result<(), String> {
    if data.running().is_ok() {
        return Ok(());
    }
    ports.check_free().map_err(|failure| failure.to_string())
}

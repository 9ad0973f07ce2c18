//! How long a service takes from its start to ready, its database being up.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::{
    figure::Figures,
    platform::{Platform, Service, program},
};

/// A start that takes longer has failed.
const READY: Duration = Duration::from_secs(30);

/// Starts a second process of each service, with the settings of the first and ports of its own. (psp has its books to
/// itself and is left out.)
pub async fn starts(platform: &Platform, figures: &mut Figures) -> Result<()> {
    for service in platform.services().iter().filter(|service| service.name != "psp") {
        let took = start(service).await.with_context(|| format!("starting {}", service.name))?;
        figures.milliseconds(format!("{} start to ready", service.name), took);
    }
    Ok(())
}

async fn start(service: &Service) -> Result<Duration> {
    let port = local_servers::ports::free_run(2)?;
    let (listen, ops) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", port + 1));
    let began = Instant::now();
    let mut child = Command::new(program(&service.name)?)
        .arg("serve")
        .env_clear()
        .envs(environment(service.pid)?)
        .env("LISTEN_ADDR", listen)
        .env("OPS_ADDR", &ops)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let url = format!("http://{ops}/readyz");
    while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
        if let Some(status) = child.try_wait()? {
            bail!("it ended with {status}");
        }
        if began.elapsed() > READY {
            bail!("it is not ready after {READY:?}");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = began.elapsed();
    child.kill().await?;
    Ok(took)
}

/// The variables of a running process.
fn environment(pid: u32) -> Result<Vec<(String, String)>> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).context("this needs Linux")?;
    let variables = environment.split(|&byte| byte == 0).filter_map(|variable| {
        let (name, value) = std::str::from_utf8(variable).ok()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    Ok(variables.collect())
}

//! How long services take from their start, database and broker being up: each until it is ready, all together until they have
//! taken an order. They are second processes beside those of the platform, with the settings of the first and ports of their own.
//! (psp has its books to itself: it is left out, as the card network is no part of a start.)

use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{
    process::{Child, Command},
    time::sleep,
};

use crate::{
    figure::Figures,
    orders::Customer,
    platform::{Platform, Service, program},
};

/// A start that takes longer has failed.
const READY: Duration = Duration::from_secs(30);

/// Between two questions whether it has come so far.
const PAUSE: Duration = Duration::from_millis(2);

/// A variable and its value.
type Setting = (String, String);

/// Starts a second process of each service, one after another.
pub async fn starts(platform: &Platform, figures: &mut Figures) -> Result<()> {
    for service in platform.services().iter().filter(|service| is_ours(service)) {
        let began = Instant::now();
        let mut second = Second::of(service)?;
        let url = format!("http://{}/readyz", second.ops);
        let child = second.start()?;
        until(began, child, async || reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()))
            .await
            .with_context(|| format!("starting {}", service.name))?;
        figures.milliseconds(format!("{} start to ready", service.name), began.elapsed());
        second.end().await?;
    }
    Ok(())
}

/// Starts a second process of every service at once, which ask each other and nobody else, and orders from them until an order is
/// taken: 201.
pub async fn first_order(platform: &Platform, round: u8, figures: &mut Figures) -> Result<()> {
    let services = platform.services().iter().filter(|service| is_ours(service));
    let mut seconds: BTreeMap<&str, Second> =
        services.map(|service| Ok((service.name.as_str(), Second::of(service)?))).collect::<Result<_>>()?;
    let moved: Vec<Setting> = seconds.values().filter_map(|second| second.moved.clone()).collect();
    let gateway = seconds.get("gateway").and_then(|second| second.moved.as_ref()).context("no gateway")?;
    // what the account is for was there before
    let customer = Customer::register(platform, &format!("first-{round}@example.com")).await?;
    let customer = customer.elsewhere(&format!("http://{}", gateway.1));

    let began = Instant::now();
    for second in seconds.values_mut() {
        second.ask_at(&moved);
        second.start()?;
    }
    let key = format!("bench-first-{round}");
    let gateway = seconds.get_mut("gateway").expect("it was found above").start.as_mut().expect("it was started");
    until(began, gateway, async || customer.order(&key, false).await.is_ok()).await.context("the first order")?;
    figures.milliseconds("all services: start to first 201", began.elapsed());
    for second in seconds.into_values() {
        second.end().await?;
    }
    Ok(())
}

fn is_ours(service: &Service) -> bool {
    service.name != "psp"
}

/// Asks again and again, as long as the process runs.
async fn until(began: Instant, child: &mut Child, is_so: impl AsyncFn() -> bool) -> Result<()> {
    while !is_so().await {
        if let Some(status) = child.try_wait()? {
            bail!("it ended with {status}");
        }
        if began.elapsed() > READY {
            bail!("not after {READY:?}");
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

/// The second process of a service.
struct Second {
    name: String,
    settings: Vec<Setting>,
    /// Where the first answers, and where this one will; none when nobody asks it.
    moved: Option<Setting>,
    /// Where this one is asked whether it is ready.
    ops: String,
    start: Option<Child>,
}

impl Second {
    fn of(service: &Service) -> Result<Self> {
        let port = local_servers::ports::free_run(2)?;
        let (listen, ops) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", port + 1));
        let mut settings = environment(service.pid)?;
        let mut moved = None;
        for (name, value) in &mut settings {
            match name.as_str() {
                "LISTEN_ADDR" => moved = Some((std::mem::replace(value, listen.clone()), listen.clone())),
                "OPS_ADDR" => value.clone_from(&ops),
                _ => {}
            }
        }
        Ok(Self { name: service.name.clone(), settings, moved, ops, start: None })
    }

    /// Asks others where they have moved to.
    fn ask_at(&mut self, moved: &[Setting]) {
        for (name, value) in &mut self.settings {
            let address = name.ends_with("_URL").then(|| value.strip_prefix("http://")).flatten();
            if let Some((_, to)) = moved.iter().find(|(from, _)| address == Some(from)) {
                *value = format!("http://{to}");
            }
        }
    }

    fn start(&mut self) -> Result<&mut Child> {
        let child = Command::new(program(&self.name)?)
            .arg("serve")
            .env_clear()
            .envs(self.settings.iter().cloned())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", self.name))?;
        Ok(self.start.insert(child))
    }

    async fn end(self) -> Result<()> {
        if let Some(mut child) = self.start {
            child.kill().await?;
        }
        Ok(())
    }
}

/// The variables of a running process.
fn environment(pid: u32) -> Result<Vec<Setting>> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).context("this needs Linux")?;
    let variables = environment.split(|&byte| byte == 0).filter_map(|variable| {
        let (name, value) = std::str::from_utf8(variable).ok()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    Ok(variables.collect())
}

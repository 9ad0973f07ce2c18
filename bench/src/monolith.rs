//! The services against one process that does the same in one transaction, on the same server and ordered from in the same way.
//!
//! What it costs to keep stock, money and orders apart, and to tell others of it: the monolith has one commit for what the services
//! have several, no calls but to the card network, and nobody who reads its letters.

mod service;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use local_servers::process::{Launch, Output, Process};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::sleep};

pub use self::service::Service;
use crate::{
    figure::Figures,
    letterbox::Letterbox,
    platform::{self, Platform, program},
    processor::{self, LOAD, POSTGRES, Used},
    side::Slice,
    stack::{Order, Stack},
    standstill::Standstill,
    turns::Turns,
};

/// Orders in flight.
const IN_FLIGHT: [u16; 2] = [32, 256];

/// How long a process may take to answer.
const READY: Duration = Duration::from_secs(15);

const POLL: Duration = Duration::from_millis(10);

/// Orders from both in turns.
pub async fn measure(turns: Turns, figures: &mut Figures) -> Result<()> {
    platform::under_load(async |platform| measure_on(platform, turns, figures).await).await
}

async fn measure_on(platform: &Platform, turns: Turns, figures: &mut Figures) -> Result<()> {
    let mut stack = Stack::prepare(platform).await?;
    let mut monolith = Monolith::start(platform).await?;
    platform.analyze().await?;
    stack.warm_up().await?;
    monolith.slice(platform, &mut stack, true, Order::closed(32), turns.length()).await?;
    for cycle in turns.cycles() {
        for in_flight in IN_FLIGHT {
            let order = Order::closed(in_flight);
            let mut sides = [Side::Stack, Side::Monolith, Side::MonolithWithRelay];
            // nobody comes always after the same one
            sides.rotate_left((cycle % 3).into());
            let mut rates = [0.0; 3];
            for side in sides {
                let slice = match side {
                    Side::Stack => stack.slice(order, turns.length()).await?,
                    Side::Monolith => monolith.slice(platform, &mut stack, false, order, turns.length()).await?,
                    Side::MonolithWithRelay => {
                        monolith.slice(platform, &mut stack, true, order, turns.length()).await?
                    }
                };
                rates[side as usize] = slice.per_second();
                slice.note_all(&format!("{}, {in_flight} in flight", side.name()), figures);
            }
            let [stack, monolith, with_relay] = rates;
            let name = format!("services, {in_flight} in flight: against the monolith");
            figures.times(name.clone(), stack / monolith);
            figures.times(format!("{name} with a relay"), stack / with_relay);
        }
    }
    stack.audit().await
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Stack,
    Monolith,
    MonolithWithRelay,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Stack => "services",
            Self::Monolith => "monolith",
            Self::MonolithWithRelay => "monolith with a relay",
        }
    }
}

/// The monolith, running, and a card network of its own: that of the services has books that are audited.
struct Monolith {
    letterbox: Letterbox,
    superuser: String,
    address: SocketAddr,
    process: Process,
    network: Process,
    /// Of the network's books and of both logs.
    _data: TempDir,
}

impl Monolith {
    async fn start(platform: &Platform) -> Result<Self> {
        let server = platform.database_url("postgres");
        let letterbox = Letterbox::create(&server, platform.kafka_bootstrap(), "monolith").await?;
        let mut database = PgConnection::connect(&letterbox.owner_url).await?;
        sqlx::raw_sql(include_str!("../sql/monolith.sql")).execute(&mut database).await?;
        let data = TempDir::new()?;
        let port = local_servers::ports::free_run(3)?;
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let log = |name: &str| Output::File(data.path().join(format!("{name}.log")));

        let mut network = Launch::new("psp", program("psp")?, log("psp")).args(["serve"]);
        let mut set = |name: &str, value: String| network.env.insert(name.to_owned(), value);
        set("LISTEN_ADDR", address(port).to_string());
        set("OPS_ADDR", address(port + 1).to_string());
        set("PSP_BOOKS", data.path().join("books.jsonl").display().to_string());
        let mut network = network.spawn()?;
        until_it_answers(address(port), &mut network).await?;

        let mut monolith = Launch::new("monolith", program("bench")?, log("monolith")).args(["monolith-serve"]);
        let mut set = |name: &str, value: String| monolith.env.insert(name.to_owned(), value);
        set("LISTEN_ADDR", address(port + 2).to_string());
        set("DATABASE_URL", letterbox.app_url.clone());
        set("PSP_URL", format!("http://{}", address(port)));
        set("GATEWAY_URL", platform.url("gateway")?.to_owned());
        set("KAFKA_BOOTSTRAP_SERVERS", letterbox.bootstrap.clone());
        set("KAFKA_NAMESPACE", letterbox.namespace.clone());
        let mut process = monolith.spawn()?;
        until_it_answers(address(port + 2), &mut process).await?;
        let superuser = platform.database_url("monolith");
        Ok(Self { letterbox, superuser, address: address(port + 2), process, network, _data: data })
    }

    /// Orders for so long, from a checkpoint on. Where it relays, the slice ends when Kafka has all letters.
    async fn slice(
        &mut self,
        platform: &Platform,
        stack: &mut Stack<'_>,
        relays: bool,
        order: Order,
        length: Duration,
    ) -> Result<Slice> {
        let published = self.letterbox.published()?;
        let standstill = if relays { None } else { Some(Standstill::begin(&self.superuser).await?) };
        let load = stack.clients_elsewhere(self.address, order).await?;
        let before = self.used(platform)?;
        let (tally, answered, _) = load.order(order.pace, length).await?;
        let last_answer = Instant::now();
        let letters = published + i64::from(tally.orders());
        let mut settling = Duration::ZERO;
        if relays {
            settling = self.letterbox.until_published(letters).await?.saturating_duration_since(last_answer);
        }
        let used = self.used(platform)?.since(&before);
        if let Some(standstill) = standstill {
            standstill.end().await?;
            self.letterbox.until_published(letters).await?;
        }
        let resident_kibibytes = platform::resident_kibibytes(self.pid()?)?;
        let slice = Slice { tally, answered, settling, used, allocated: None, resident_kibibytes };
        ensure!(slice.tally.others().is_empty(), "the monolith refused orders: {:?}", slice.tally.others());
        slice.tell(&format!("monolith, {} clients, relay {}", order.clients, if relays { "on" } else { "off" }))
    }

    /// Of the monolith, its card network and the servers; the platform stands by.
    fn used(&self, platform: &Platform) -> Result<Used> {
        let network = self.network.pid().context("the card network has ended")?;
        let used = Used::by(platform)?.only(&[POSTGRES, LOAD, "kafka"]);
        Ok(used.and("monolith", processor::of(self.pid()?)?).and("psp", processor::of(network)?))
    }

    fn pid(&self) -> Result<u32> {
        self.process.pid().context("the monolith has ended")
    }
}

async fn until_it_answers(address: SocketAddr, process: &mut Process) -> Result<()> {
    let until = Instant::now() + READY;
    while TcpStream::connect(address).await.is_err() {
        process.check_alive()?;
        ensure!(Instant::now() < until, "{address} does not answer within {READY:?}");
        sleep(POLL).await;
    }
    Ok(())
}

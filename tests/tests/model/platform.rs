//! The services as processes: each a runtime of its own with its own pool, on its own real database. A process that dies is
//! dropped at whatever it was doing; a new one begins with what the database has.

use std::{net::SocketAddr, path::Path, str::FromStr, sync::Arc, time::Duration};

use contracts::accounts::v1::accounts_service_client::AccountsServiceClient;
use outbox::Waker;
use psp::{books::Books, network::Network};
use rpc::Served;
use service_runtime::{Shutdown, clock::Clock, config::BatchConfig};
use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use testkit::{SOON, TestDatabase, eventually};
use tokio::{
    runtime::{Handle, Runtime},
    sync::mpsc,
};
use tonic::service::Routes;

use crate::{
    accounts::Accounts,
    exchange::{Exchange, HeldCall},
    line::Line,
};

/// A service that has a database, and may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    Order,
    Inventory,
    Payment,
    Shipping,
}

impl Service {
    pub const ALL: [Self; 4] = [Self::Order, Self::Inventory, Self::Payment, Self::Shipping];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Inventory => "inventory",
            Self::Payment => "payment",
            Self::Shipping => "shipping",
        }
    }

    fn migrators(self) -> [&'static Migrator; 4] {
        match self {
            Self::Order => order::MIGRATORS,
            Self::Inventory => inventory::MIGRATORS,
            Self::Payment => payment::MIGRATORS,
            Self::Shipping => shipping::MIGRATORS,
        }
    }
}

/// What the use cases of each service work with.
#[derive(Clone)]
pub enum Deps {
    Order(Box<order::Deps>),
    Inventory(PgPool),
    Payment(payment::Deps),
    Shipping(shipping::Deps),
}

/// One life of a service.
struct Process {
    runtime: Runtime,
    /// The name of its connections.
    name: String,
    deps: Deps,
}

/// A service, in whatever life it is.
struct Seat {
    service: Service,
    database: TestDatabase,
    line: Line,
    lives: u32,
    process: Option<Process>,
}

/// The platform, without Kafka and without anything that happens by itself.
pub struct Platform {
    pub exchange: Exchange,
    /// The card network.
    pub network: Arc<Network>,
    address: SocketAddr,
    psp_address: SocketAddr,
    seats: Vec<Seat>,
    shutdown: Shutdown,
}

impl Platform {
    /// Starts everything, on empty databases, and gives the calls that will be held back. The card network keeps its books in
    /// `folder`.
    pub async fn start(folder: &Path) -> (Self, mpsc::UnboundedReceiver<HeldCall>) {
        let (exchange, held) = Exchange::new();
        let [address, psp_address] = testkit::free_addresses();
        let shutdown = Shutdown::new();
        let (books, charges) = Books::open(&folder.join("books.jsonl")).unwrap();
        let network = Arc::new(Network::new(books, charges, Clock::System));
        exchange.open("psp", Handle::current(), psp::http::routes(network.clone(), shutdown.clone()));
        exchange.open("accounts", Handle::current(), Routes::from(Accounts::routes()).into_axum_router());
        tokio::spawn({
            let (exchange, shutdown) = (exchange.clone(), shutdown.clone());
            async move {
                rpc::server::serve(address, Served::from(Routes::from(exchange.routes())), &shutdown).await.unwrap()
            }
        });
        tokio::spawn({
            let (exchange, shutdown) = (exchange.clone(), shutdown.clone());
            async move { psp::serve::serve(psp_address, exchange.routes(), &shutdown).await.unwrap() }
        });
        let mut platform = Self { exchange, network, address, psp_address, seats: Vec::new(), shutdown };
        for service in Service::ALL {
            let database = testkit::database(service.name(), &service.migrators()).await;
            let options = PgConnectOptions::from_str(&database.app_url).unwrap();
            let server = format!("{}:{}", options.get_host(), options.get_port()).parse().unwrap();
            let line = Line::to(server).await.unwrap();
            platform.seats.push(Seat { service, database, line, lives: 0, process: None });
            platform.begin(service);
        }
        eventually(SOON, "the exchange is open", async || {
            tokio::net::TcpStream::connect(address).await.is_ok()
                && tokio::net::TcpStream::connect(psp_address).await.is_ok()
        })
        .await;
        (platform, held)
    }

    /// The database of a service, past its line.
    pub fn database(&self, service: Service) -> &TestDatabase {
        &self.seat(service).database
    }

    /// What the use cases of a service work with, in its present life.
    pub fn deps(&self, service: Service) -> Deps {
        self.process(service).deps.clone()
    }

    /// [`Self::deps`] of order.
    pub fn order(&self) -> order::Deps {
        let Deps::Order(deps) = self.deps(Service::Order) else { unreachable!("order has its own") };
        *deps
    }

    /// [`Self::deps`] of inventory.
    pub fn inventory(&self) -> PgPool {
        let Deps::Inventory(pool) = self.deps(Service::Inventory) else { unreachable!("inventory has its own") };
        pool
    }

    /// [`Self::deps`] of payment.
    pub fn payment(&self) -> payment::Deps {
        let Deps::Payment(deps) = self.deps(Service::Payment) else { unreachable!("payment has its own") };
        deps
    }

    /// [`Self::deps`] of shipping.
    pub fn shipping(&self) -> shipping::Deps {
        let Deps::Shipping(deps) = self.deps(Service::Shipping) else { unreachable!("shipping has its own") };
        deps
    }

    /// Where the work of a service runs, in its present life.
    pub fn runtime(&self, service: Service) -> Handle {
        self.process(service).runtime.handle().clone()
    }

    /// The line of a service to its database.
    pub fn line(&self, service: Service) -> &Line {
        &self.seat(service).line
    }

    /// Where calls go.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until a service is to die, and says which.
    pub async fn death(&self) -> Service {
        let deaths = self.seats.iter().map(|seat| {
            Box::pin(async move {
                seat.line.died().await;
                seat.service
            })
        });
        futures::future::select_all(deaths).await.0
    }

    /// The process of a service is gone, with all that it was doing; a new one begins.
    pub async fn replace(&mut self, service: Service) {
        self.exchange.close(service.name());
        let seat = self.seat_mut(service);
        let process = seat.process.take().expect("a seat has a process");
        let name = process.name.clone();
        // it ends at its next await; blocking, so not here
        tokio::task::spawn_blocking(move || process.runtime.shutdown_timeout(SOON)).await.unwrap();
        seat.line.cut().await;
        let database = seat.database.clone();
        eventually(SOON, "the database has rolled back what the process left", async || {
            // as the role that serves, which sees its own
            let left: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1",
            )
            .bind(&name)
            .fetch_one(&database.app)
            .await
            .unwrap();
            left == 0
        })
        .await;
        self.begin(service);
    }

    /// Every process is gone, and no call that was under way arrives.
    pub async fn begin_anew(&mut self, late: Vec<HeldCall>) {
        for service in Service::ALL {
            self.exchange.close(service.name());
        }
        for call in late {
            call.let_go().await;
        }
        for service in Service::ALL {
            self.replace(service).await;
        }
    }

    fn begin(&mut self, service: Service) {
        let (url, psp_url) = (self.url(), format!("http://{}", self.psp_address));
        let exchange = self.exchange.clone();
        let seat = self.seat_mut(service);
        seat.lives += 1;
        let name = format!("{}-{}", service.name(), seat.lives);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (deps, routes) = {
            // pools and channels have tasks of their own
            let _inside = runtime.enter();
            start(service, pool(&seat.database, &seat.line, &name), &url, &psp_url)
        };
        exchange.open(service.name(), runtime.handle().clone(), Routes::from(routes).into_axum_router());
        seat.process = Some(Process { runtime, name, deps });
    }

    fn seat(&self, service: Service) -> &Seat {
        self.seats.iter().find(|seat| seat.service == service).expect("every service has a seat")
    }

    fn seat_mut(&mut self, service: Service) -> &mut Seat {
        self.seats.iter_mut().find(|seat| seat.service == service).expect("every service has a seat")
    }

    fn process(&self, service: Service) -> &Process {
        self.seat(service).process.as_ref().expect("a seat has a process")
    }

    /// Ends everything. To be called outside of a runtime's tasks.
    pub fn end(self) {
        self.shutdown.request();
        for process in self.seats.into_iter().filter_map(|seat| seat.process) {
            process.runtime.shutdown_background();
        }
    }
}

/// A service of its own, as its `run` puts it together, without what goes on by itself.
fn start(service: Service, pool: PgPool, url: &str, psp_url: &str) -> (Deps, Served) {
    let shutdown = Shutdown::new();
    let channel = || rpc::channel(url).unwrap();
    match service {
        Service::Order => {
            let (watches, _) = order::watch::watches();
            let deps = order::Deps {
                writer: order::writer::Writer::start(&pool, BatchConfig::default(), &Waker::default()),
                pool,
                telephone: order::telephone::Telephone::new(channel(), channel(), channel()),
                relay: Waker::default(),
                recovery: Arc::default(),
                watches,
                letters_decide_within: Duration::from_hours(24),
                clock: Clock::System,
                shutdown,
            };
            let api = order::grpc::OrderApi::new(deps.clone());
            let server = contracts::order::v1::order_service_server::OrderServiceServer::new(api);
            (Deps::Order(Box::new(deps)), Served::new(server))
        }
        Service::Inventory => {
            let routes = inventory::routes(pool.clone(), BatchConfig::default(), &shutdown);
            (Deps::Inventory(pool), routes)
        }
        Service::Payment => {
            let deps = payment::Deps {
                books: payment::books::Books::open(pool.clone(), BatchConfig::default()),
                pool,
                psp: payment::psp_client::PspClient::new(psp_url).unwrap(),
                order: payment::instruction::OrderDesk::new(channel()),
                relay: Waker::default(),
                clock: Clock::System,
                shutdown,
            };
            let api = payment::grpc::PaymentApi::new(deps.clone());
            let server = contracts::payment::v1::payment_service_server::PaymentServiceServer::new(api);
            (Deps::Payment(deps), Served::new(server))
        }
        Service::Shipping => {
            let deps = shipping::Deps {
                pool,
                accounts: AccountsServiceClient::new(channel()),
                relay: Waker::default(),
                new_questions: Arc::default(),
                // parcels move when the story says so
                dispatch_after: Duration::from_hours(24),
                shutdown,
            };
            (Deps::Shipping(deps.clone()), shipping::routes(deps))
        }
    }
}

fn pool(database: &TestDatabase, line: &Line, name: &str) -> PgPool {
    let options = PgConnectOptions::from_str(&database.app_url)
        .unwrap()
        .host(&line.address.ip().to_string())
        .port(line.address.port())
        // the line reads along
        .ssl_mode(PgSslMode::Disable)
        .application_name(name);
    PgPoolOptions::new().max_connections(4).test_before_acquire(false).connect_lazy_with(options)
}

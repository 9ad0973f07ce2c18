//! A whole platform of a test's own, as processes that can be killed, paused and started again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use local_servers::{
    ports,
    process::{Launch, Output, Process},
    provision,
    topics::{self, TopicSpec},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use postbox::{
    manifest::{self, Manifest},
    state::{DatabaseUrls, ServiceAddress},
};
use sqlx::PgPool;
use tempfile::TempDir;
use testkit::TestKafka;

use crate::{repository, site::Site};

/// How long a service may take to be ready on a machine that runs all tests at once.
const READY: Duration = Duration::from_mins(1);

/// Every service of the repository, running. Dropping it kills them.
#[derive(Debug)]
pub struct Platform {
    /// The brokers and this platform's namespace.
    pub kafka: TestKafka,
    site: Site,
    services: BTreeMap<String, Service>,
    databases: BTreeMap<String, Database>,
    // after the services: fields drop in their order
    data: TempDir,
}

#[derive(Debug)]
struct Service {
    launch: Launch,
    url: String,
    ops_url: String,
    process: Option<Process>,
}

#[derive(Debug)]
struct Database {
    /// Its name on the server.
    name: String,
    owner: PgPool,
    urls: DatabaseUrls,
}

impl Platform {
    /// A platform on the run's shared servers, with the demo's catalogue, ready.
    pub async fn start() -> Self {
        Self::start_with(testkit::kafka(), &[]).await
    }

    /// As [`Platform::start`], on these brokers and with these settings: service, variable, value.
    pub async fn start_with(kafka: TestKafka, settings: &[(&str, &str, &str)]) -> Self {
        Self::start_on(Site::shared(kafka), settings).await
    }

    /// As [`Platform::start_with`], on any servers.
    pub async fn start_on(site: Site, settings: &[(&str, &str, &str)]) -> Self {
        let manifests = manifest::read_all(&repository::root().join("services")).expect("the manifests are right");
        let data = tempfile::tempdir().expect("a temporary folder can be made");
        let topics: Vec<TopicSpec> = manifests
            .iter()
            .flat_map(|manifest| &manifest.topics)
            .map(|topic| TopicSpec { name: site.kafka.topic(topic), partitions: contracts::topics::PARTITIONS })
            .collect();
        let made = topics::create(&site.kafka.bootstrap, site.brokers, &topics).await;
        made.unwrap_or_else(|error| panic!("{error}"));
        let kafka = site.kafka.clone();
        let mut platform = Self { kafka, site, services: BTreeMap::new(), databases: BTreeMap::new(), data };
        let urls = Addresses::of(&manifests);
        for manifest in &manifests {
            let mut launch = platform.launch(manifest, &urls).await;
            let of_service = settings.iter().filter(|(service, ..)| *service == manifest.name);
            launch.env.extend(of_service.map(|&(_, variable, value)| (variable.to_owned(), value.to_owned())));
            let service =
                Service { launch, url: urls.url(&manifest.name), ops_url: urls.ops_url(&manifest.name), process: None };
            platform.services.insert(manifest.name.clone(), service);
        }
        let names: Vec<String> = platform.services.keys().cloned().collect();
        for name in &names {
            platform.spawn(name);
        }
        for name in &names {
            platform.ready(name).await;
        }
        platform
    }

    /// Migrates and seeds the service's database, and tells how to serve from it.
    async fn launch(&mut self, manifest: &Manifest, urls: &Addresses) -> Launch {
        let log = Output::File(self.data.path().join(format!("{}.log", manifest.name)));
        let mut launch = Launch::new(&manifest.name, self.site.program(&manifest.name), log);
        let port = urls.0[&manifest.name];
        launch.env = BTreeMap::from([
            ("LISTEN_ADDR".to_owned(), format!("127.0.0.1:{port}")),
            ("OPS_ADDR".to_owned(), format!("127.0.0.1:{}", port + 1)),
            ("KAFKA_BOOTSTRAP_SERVERS".to_owned(), self.kafka.bootstrap.clone()),
            ("KAFKA_NAMESPACE".to_owned(), self.kafka.namespace.clone()),
            ("RUST_LOG".to_owned(), "info,librdkafka=error,rdkafka=error".to_owned()),
        ]);
        for asked in &manifest.asks {
            launch.env.insert(format!("{}_URL", asked.to_uppercase()), urls.url(asked));
        }
        for (variable, file) in &manifest.files {
            launch.env.insert(variable.clone(), self.file(file).display().to_string());
        }
        for (variable, secret) in &manifest.secrets {
            let path = self.file(&Path::new("secrets").join(variable));
            std::fs::write(&path, secret.make()).expect("the data folder can be written");
            launch.env.insert(variable.clone(), path.display().to_string());
        }
        if let Some(database) = &manifest.database {
            let name = format!("{}{database}", self.site.database_prefix);
            let made = provision::database(&self.site.postgres_url, &name).await;
            let made = made.unwrap_or_else(|error| panic!("{error}"));
            let urls = DatabaseUrls {
                owner: made.owner_url.clone(),
                app: made.app_url.clone(),
                audit: made.audit_url.clone(),
            };
            let owner = PgPool::connect_lazy(&made.owner_url).expect("it is a URL");
            self.databases.insert(database.clone(), Database { name, owner, urls });
            launch.env.insert("DATABASE_URL".to_owned(), made.owner_url);
            run(&launch, &["migrate"]).await;
            launch.env.insert("DATABASE_URL".to_owned(), made.app_url);
            launch.env.insert("DATABASE_CONNECTIONS".to_owned(), self.site.connections.to_string());
        }
        // a test's few customers send what many would
        if let Some(bench) = manifest.profiles.get("bench") {
            launch.env.extend(bench.env.clone());
        }
        if let Some(demo) = manifest.profiles.get("demo").filter(|demo| !demo.seed.is_empty()) {
            let seed: Vec<&str> = demo.seed.iter().map(String::as_str).collect();
            run(&launch, &seed).await;
        }
        launch.args(["serve"])
    }

    fn file(&self, inside: &Path) -> PathBuf {
        let path = self.data.path().join(inside);
        std::fs::create_dir_all(path.parent().expect("it is inside the data folder")).expect("it can be made");
        path
    }

    /// The address of a service, like `http://127.0.0.1:20001`.
    pub fn url(&self, service: &str) -> &str {
        &self.services[service].url
    }

    /// The address of a service's ops endpoints.
    pub fn ops_url(&self, service: &str) -> &str {
        &self.services[service].ops_url
    }

    /// A database, as its owner: for looking, and for locking what a service is about to write.
    pub fn database(&self, name: &str) -> &PgPool {
        &self.databases[name].owner
    }

    /// The names of the services, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.services.keys().cloned().collect()
    }

    /// Where it was built.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Where each service is, as the command line is told.
    pub fn addresses(&self) -> Vec<ServiceAddress> {
        let address = |(name, service): (&String, &Service)| ServiceAddress {
            name: name.clone(),
            url: Some(service.url.clone()),
            ops_url: service.ops_url.clone(),
        };
        self.services.iter().map(address).collect()
    }

    /// Where each database is, by the name in its service's manifest, as the command line is told.
    pub fn database_urls(&self) -> BTreeMap<String, DatabaseUrls> {
        self.databases.iter().map(|(name, database)| (name.clone(), database.urls.clone())).collect()
    }

    /// Where the services write their logs, and the files of those that have no database.
    pub fn folder(&self) -> &Path {
        self.data.path()
    }

    /// What a service has logged.
    pub fn log(&self, service: &str) -> String {
        std::fs::read_to_string(self.data.path().join(format!("{service}.log"))).unwrap_or_default()
    }

    /// kill -9.
    pub async fn kill(&mut self, service: &str) {
        let mut process = self.services.get_mut(service).and_then(|service| service.process.take()).expect("it runs");
        process.kill().await.expect("it can be killed");
    }

    /// SIGTERM, and waits until it has drained. Tells how it ended: killed, when it took too long.
    pub async fn stop(&mut self, service: &str) -> ExitStatus {
        let mut process = self.services.get_mut(service).and_then(|service| service.process.take()).expect("it runs");
        process.stop().await.expect("it stops")
    }

    /// Another process of a service, on ports of its own, that does the same work. Nobody calls it.
    pub fn second(&self, service: &str) -> Process {
        let mut launch = self.services[service].launch.clone();
        let [listen, ops] = testkit::free_addresses();
        launch.env.insert("LISTEN_ADDR".to_owned(), listen.to_string());
        launch.env.insert("OPS_ADDR".to_owned(), ops.to_string());
        launch.spawn().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts a service that was killed or stopped, and waits until it is ready.
    pub async fn start_again(&mut self, service: &str) {
        self.spawn(service);
        self.ready(service).await;
    }

    /// Starts a service that was killed, stopped or has died, and does not wait for it.
    pub fn start_soon(&mut self, service: &str) {
        self.spawn(service);
    }

    /// The services that have died by themselves since this was asked last.
    pub fn died(&mut self) -> Vec<String> {
        let mut died = Vec::new();
        for (name, service) in &mut self.services {
            if service.process.as_mut().is_some_and(|process| process.check_alive().is_err()) {
                service.process = None;
                died.push(name.clone());
            }
        }
        died
    }

    /// What a service is told by this variable.
    pub fn setting(&self, service: &str, variable: &str) -> Option<&str> {
        self.services[service].launch.env.get(variable).map(String::as_str)
    }

    /// What a service is told by this variable from its next start on; `None`: nothing.
    pub fn set(&mut self, service: &str, variable: &str, value: Option<String>) {
        let env = &mut self.services.get_mut(service).expect("a service of the repository").launch.env;
        match value {
            Some(value) => env.insert(variable.to_owned(), value),
            None => env.remove(variable),
        };
    }

    /// Runs another sub-command of a service to its end, as the owner of its database.
    pub async fn run_as_owner(&self, service: &str, args: &[&str]) {
        let mut launch = self.services[service].launch.clone();
        let serves = launch.env.get("DATABASE_URL").expect("it has a database");
        let database = self.databases.values().find(|database| database.urls.app == *serves);
        let owner = database.expect("it was made for the service").urls.owner.clone();
        launch.env.insert("DATABASE_URL".to_owned(), owner);
        launch.args.clear();
        run(&launch, args).await;
    }

    /// SIGSTOP: it answers nobody and knows nothing of it.
    pub fn pause(&self, service: &str) {
        self.signal(service, Signal::SIGSTOP);
    }

    /// SIGCONT.
    pub fn resume(&self, service: &str) {
        self.signal(service, Signal::SIGCONT);
    }

    fn signal(&self, service: &str, signal: Signal) {
        let pid = self.services[service].process.as_ref().and_then(Process::pid).expect("it runs");
        let pid = Pid::from_raw(i32::try_from(pid).expect("a pid"));
        kill(pid, signal).expect("it is our child");
    }

    fn spawn(&mut self, name: &str) {
        let service = self.services.get_mut(name).expect("a service of the repository");
        service.process = Some(service.launch.spawn().unwrap_or_else(|error| panic!("{error}")));
    }

    /// Whether a service says that it is ready.
    pub async fn is_ready(&self, service: &str) -> bool {
        says_ready(self.ops_url(service)).await
    }

    /// Waits until a service that was started is ready.
    pub async fn ready(&mut self, name: &str) {
        let service = self.services.get_mut(name).expect("a service of the repository");
        let process = service.process.as_mut().expect("it was started");
        let ops_url = &service.ops_url;
        let log = self.data.path().join(format!("{name}.log"));
        testkit::eventually(READY, &format!("{name} is ready; see {}", log.display()), async || {
            if let Err(ended) = process.check_alive() {
                panic!("{ended}");
            }
            says_ready(ops_url).await
        })
        .await;
    }
}

async fn says_ready(ops_url: &str) -> bool {
    let ready = reqwest::get(format!("{ops_url}/readyz")).await;
    ready.is_ok_and(|answer| answer.status().is_success())
}

impl Drop for Platform {
    fn drop(&mut self) {
        // the logs and the databases of a story that went wrong tell why
        if std::thread::panicking() {
            self.data.disable_cleanup(true);
        } else if !self.site.database_prefix.is_empty() {
            // servers of its own take them along
            testkit::drop_soon(self.databases.values().map(|database| database.name.clone()).collect());
        }
    }
}

/// Two free ports for each service: the first answers calls, the second is for ops.
struct Addresses(BTreeMap<String, u16>);

impl Addresses {
    fn of(manifests: &[Manifest]) -> Self {
        let count = u16::try_from(2 * manifests.len()).expect("few services");
        let first = ports::free_run(count).expect("enough ports are free");
        Self(manifests.iter().map(|manifest| manifest.name.clone()).zip((first..).step_by(2)).collect())
    }

    fn url(&self, service: &str) -> String {
        format!("http://127.0.0.1:{}", self.0[service])
    }

    fn ops_url(&self, service: &str) -> String {
        format!("http://127.0.0.1:{}", self.0[service] + 1)
    }
}

async fn run(launch: &Launch, args: &[&str]) {
    let finished = launch.clone().args(args.iter().copied()).run(READY).await;
    finished.unwrap_or_else(|error| panic!("{} {args:?}: {error}", launch.name));
}

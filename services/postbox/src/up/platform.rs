//! What there is to start: the manifests, and for each service its variables and its launches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use local_servers::process::{Launch, Output};
use local_servers::provision::Provisioned;
use local_servers::topics::TopicSpec;

use super::log::Log;
use crate::cli::{Common, Profile, UpOptions};
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::manifest::{self, Manifest, ProfileSettings};
use crate::ports::Ports;
use crate::state::{Identity, ServiceAddress, State};
use crate::workspace::Workspace;

/// Enough for any local load; they never grow.
const PARTITIONS: i32 = 6;
/// Longer than a service's own drain deadline, so that a drain is never cut short.
const SERVICE_STOP_DEADLINE: Duration = Duration::from_secs(20);

/// A platform that may be started.
#[derive(Debug)]
pub struct Platform {
    /// Where it keeps its data.
    pub data: DataFolder,
    /// In the order of the port table.
    pub manifests: Vec<Manifest>,
    /// Who listens where.
    pub ports: Ports,
    /// How many Kafka brokers.
    pub brokers: u16,
    /// What the databases begin with.
    pub profile: Profile,
    workspace: Workspace,
}

/// What a service is told about the servers.
#[derive(Debug)]
pub struct Servers {
    /// Kafka's `host:port` list.
    pub bootstrap: String,
    /// By the database's name.
    pub databases: BTreeMap<String, Provisioned>,
}

impl Platform {
    /// Reads the manifests, and checks that every program is built.
    pub fn find(common: &Common, options: &UpOptions) -> Result<Self, Failure> {
        let workspace = Workspace::find(common.root.as_deref())?;
        let manifests =
            manifest::read_all(&workspace.root.join("services")).map_err(|error| Failure::usage(error.to_string()))?;
        for manifest in &manifests {
            workspace.program(&manifest.name)?;
        }
        let brokers = options.brokers as u16;
        let ports = match options.port_base {
            None => Ports::usual(&manifests, brokers),
            Some(base) => Ports::from_base(&manifests, brokers, base)?,
        };
        let data = DataFolder::find(common)?;
        Ok(Self { data, manifests, ports, brokers, profile: options.profile, workspace })
    }

    /// Kafka's `host:port` list.
    pub fn bootstrap(&self) -> String {
        let first = self.ports.kafka;
        let brokers: Vec<String> = (first..first + self.brokers).map(|port| format!("127.0.0.1:{port}")).collect();
        brokers.join(",")
    }

    /// What can be said before anything is started.
    pub fn at_start(&self) -> State {
        State {
            supervisor: Identity::own(),
            started: false,
            profile: self.profile.name().to_owned(),
            bootstrap: self.bootstrap(),
            postgres_url: String::new(),
            databases: BTreeMap::new(),
            services: self.manifests.iter().map(|manifest| self.address(&manifest.name)).collect(),
            processes: BTreeMap::new(),
        }
    }

    /// The databases of all services.
    pub fn databases(&self) -> impl Iterator<Item = &str> {
        self.manifests.iter().filter_map(|manifest| manifest.database.as_deref())
    }

    /// The topics of all services, each once. Those that are only read are made too: their publisher may come later.
    pub fn topics(&self) -> Vec<TopicSpec> {
        let mut names: Vec<&String> =
            self.manifests.iter().flat_map(|it| it.topics.iter().chain(&it.consumes)).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| TopicSpec { name: name.clone(), partitions: PARTITIONS }).collect()
    }

    /// Where a service listens.
    pub fn address(&self, name: &str) -> ServiceAddress {
        let ports = &self.ports.services[name];
        ServiceAddress {
            name: name.to_owned(),
            url: ports.serve.map(|port| format!("http://127.0.0.1:{port}")),
            ops_url: format!("http://127.0.0.1:{}", ports.ops),
        }
    }

    /// The log of a service.
    pub fn open_log(&self, manifest: &Manifest, index: usize, shown: &Arc<AtomicBool>) -> Result<Log, Failure> {
        let path = self.data.log(&manifest.name);
        Log::open(&manifest.name, index, path.clone(), shown.clone()).map_err(Failure::io("open", &path))
    }

    /// The launches that prepare a service's database, in their order: `migrate` as the owner, then the profile's seed
    /// as the role that serves. None for a service that has neither.
    pub fn preparations(&self, manifest: &Manifest, servers: &Servers) -> Result<Vec<Launch>, Failure> {
        let mut launches = Vec::new();
        if let Some(database) = &manifest.database {
            let made = &servers.databases[database];
            let mut migrate = self.launch(manifest, servers, &["migrate".to_owned()])?;
            migrate.name = format!("{} migrate", manifest.name);
            migrate.env.insert("DATABASE_URL".to_owned(), made.owner_url.clone());
            migrate.env.insert("DATABASE_APP_ROLE".to_owned(), format!("{database}_app"));
            migrate.env.insert("DATABASE_AUDIT_ROLE".to_owned(), format!("{database}_audit"));
            launches.push(migrate);
        }
        if let Some(ProfileSettings { seed, .. }) = self.settings(manifest).filter(|it| !it.seed.is_empty()) {
            let mut seeding = self.launch(manifest, servers, seed)?;
            seeding.name = format!("{} {}", manifest.name, seed.join(" "));
            launches.push(seeding);
        }
        for launch in &mut launches {
            launch.output = Output::File(self.data.log(&manifest.name));
        }
        Ok(launches)
    }

    /// The launch of a service.
    pub fn serve(&self, manifest: &Manifest, servers: &Servers) -> Result<Launch, Failure> {
        self.launch(manifest, servers, &["serve".to_owned()])
    }

    fn launch(&self, manifest: &Manifest, servers: &Servers, args: &[String]) -> Result<Launch, Failure> {
        let program = self.workspace.program(&manifest.name)?;
        let mut launch = Launch::new(&manifest.name, program, Output::Piped).args(args);
        launch.env = self.variables(manifest, servers)?;
        launch.stop_deadline = SERVICE_STOP_DEADLINE;
        Ok(launch)
    }

    fn variables(&self, manifest: &Manifest, servers: &Servers) -> Result<BTreeMap<String, String>, Failure> {
        let ports = &self.ports.services[&manifest.name];
        let mut variables = BTreeMap::new();
        let mut set = |name: &str, value: String| variables.insert(name.to_owned(), value);
        if let Some(port) = ports.serve {
            set("LISTEN_ADDR", format!("127.0.0.1:{port}"));
        }
        set("OPS_ADDR", format!("127.0.0.1:{}", ports.ops));
        set("KAFKA_BOOTSTRAP_SERVERS", servers.bootstrap.clone());
        // the output goes into files
        set("NO_COLOR", "1".to_owned());
        // the topics are made without a prefix, whatever the user's shell says
        set("KAFKA_NAMESPACE", String::new());
        if let Some(database) = &manifest.database {
            set("DATABASE_URL", servers.databases[database].app_url.clone());
        }
        for asked in &manifest.asks {
            let url = self.address(asked).url.expect("a manifest asks only services with a port");
            set(&format!("{}_URL", asked.to_uppercase().replace('-', "_")), url);
        }
        for (variable, file) in &manifest.files {
            set(variable, self.data.file(file)?.display().to_string());
        }
        for (variable, secret) in &manifest.secrets {
            set(variable, self.data.secret(&manifest.name, variable, *secret)?.display().to_string());
        }
        if let Some(settings) = self.settings(manifest) {
            variables.extend(settings.env.clone());
        }
        Ok(variables)
    }

    fn settings<'a>(&self, manifest: &'a Manifest) -> Option<&'a ProfileSettings> {
        manifest.profiles.get(self.profile.name())
    }
}

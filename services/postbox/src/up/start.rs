//! Starting everything, as much at the same time as the order of things allows: PostgreSQL, then each database with its
//! migrations; beside it Kafka, then its topics; then all services.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::future::try_join_all;
use local_servers::kafka::Compiler;
use local_servers::provision::Provisioned;
use local_servers::{Distribution, Kafka, KafkaOptions, Postgres, PostgresOptions, provision, topics};
use tokio::time::{sleep, timeout};

use super::platform::{Platform, Servers};
use super::supervise::{Children, Group};
use crate::cli::Profile;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::state::{DatabaseUrls, State};
use crate::status::Probe;

const SERVER_DEADLINE: Duration = Duration::from_mins(1);
const PREPARATION_DEADLINE: Duration = Duration::from_mins(2);
const READY_DEADLINE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(25);

/// What runs, in the order in which it is stopped.
#[derive(Debug, Default)]
pub struct Running {
    services: Group,
    kafka: Group,
    postgres: Group,
}

impl Running {
    /// Stops the services, then Kafka, then PostgreSQL: nobody loses what it still needs.
    pub async fn stop(&mut self) {
        self.services.stop().await;
        self.kafka.stop().await;
        self.postgres.stop().await;
    }
}

/// Starts PostgreSQL and Kafka, and brings the databases to the present migrations. `state` is told where they are.
pub async fn servers(
    platform: &Platform,
    running: &mut Running,
    children: &Children,
    state: &mut State,
    progress: &Progress,
) -> Result<Servers, Failure> {
    let distribution = Distribution::fetch().await?;
    let bootstrap = platform.bootstrap();
    let databases = async {
        let postgres = start_postgres(platform, &distribution, &mut running.postgres, children).await?;
        progress.done("postgres answers");
        let url = postgres.superuser_url();
        let made = try_join_all(platform.databases().map(|name| provision::database(&url, name))).await?;
        let databases = made.into_iter().map(|made| (made.database.clone(), made)).collect();
        let servers = Servers { bootstrap: bootstrap.clone(), databases };
        try_join_all(platform.manifests.iter().map(async |manifest| {
            for launch in platform.preparations(manifest, &servers)? {
                launch.run(PREPARATION_DEADLINE).await?;
            }
            Ok::<_, Failure>(())
        }))
        .await?;
        progress.done("databases are migrated and seeded");
        Ok::<_, Failure>((servers, url))
    };
    let letters = async {
        start_kafka(platform, &distribution, &mut running.kafka, children).await?;
        topics::create(&bootstrap, platform.brokers, &platform.topics()).await?;
        progress.done("kafka has its topics");
        Ok(())
    };
    let ((servers, postgres_url), ()) = tokio::try_join!(databases, letters)?;
    state.postgres_url = postgres_url;
    state.databases = servers.databases.iter().map(|(name, made)| (name.clone(), urls(made))).collect();
    Ok(servers)
}

/// Starts every service, and waits until all are ready.
pub async fn services(
    platform: &Platform,
    servers: &Servers,
    running: &mut Running,
    children: &Children,
    shown: &Arc<AtomicBool>,
    progress: &Progress,
) -> Result<(), Failure> {
    for (index, manifest) in platform.manifests.iter().enumerate() {
        let log = platform.open_log(manifest, index, shown)?;
        running.services.supervise(platform.serve(manifest, servers)?, Some(log), children);
    }
    let probe = Probe::new();
    let ready = platform.manifests.iter().map(async |manifest| {
        let address = platform.address(&manifest.name);
        while probe.ready(&address.ops_url).await.is_err() {
            sleep(POLL).await;
        }
        progress.done(&format!("{} is ready", manifest.name));
        Ok::<_, std::convert::Infallible>(())
    });
    if timeout(READY_DEADLINE, try_join_all(ready)).await.is_ok() {
        return Ok(());
    }
    for manifest in &platform.manifests {
        let name = &manifest.name;
        if let Err(reason) = probe.ready(&platform.address(name).ops_url).await {
            let (waited, log) = (READY_DEADLINE.as_secs(), platform.data.log(name));
            let log = log.display();
            return Err(Failure::unreachable(format!("{name} was not ready within {waited} s ({reason}): see {log}")));
        }
    }
    Ok(())
}

async fn start_postgres(
    platform: &Platform,
    distribution: &Distribution,
    group: &mut Group,
    children: &Children,
) -> Result<Postgres, Failure> {
    let options = PostgresOptions { data: platform.data.postgres(), port: platform.ports.postgres };
    let postgres = Postgres::prepare(distribution, options).await?;
    group.supervise(postgres.launch().clone(), None, children);
    answering("postgres", async || postgres.answers().await).await?;
    Ok(postgres)
}

async fn start_kafka(
    platform: &Platform,
    distribution: &Distribution,
    group: &mut Group,
    children: &Children,
) -> Result<(), Failure> {
    let options = KafkaOptions {
        data: platform.data.kafka(),
        brokers: platform.brokers,
        port: platform.ports.kafka,
        controller_port: platform.ports.kafka_controllers,
        compiler: if platform.profile == Profile::Bench { Compiler::FullSpeed } else { Compiler::QuickStart },
    };
    let kafka = Kafka::prepare(distribution, &options).await?;
    for launch in kafka.launches() {
        group.supervise(launch.clone(), None, children);
    }
    answering("kafka", async || kafka.answers().await).await
}

async fn answering(name: &str, answers: impl AsyncFn() -> bool) -> Result<(), Failure> {
    let asking = async {
        while !answers().await {
            sleep(POLL).await;
        }
    };
    let waited = SERVER_DEADLINE.as_secs();
    timeout(SERVER_DEADLINE, asking)
        .await
        .map_err(|_| Failure::unreachable(format!("{name} did not answer within {waited} s: `postbox logs {name}`")))
}

fn urls(made: &Provisioned) -> DatabaseUrls {
    DatabaseUrls { owner: made.owner_url.clone(), app: made.app_url.clone(), audit: made.audit_url.clone() }
}

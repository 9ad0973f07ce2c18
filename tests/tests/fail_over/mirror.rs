//! MirrorMaker between two Kafkas, with the settings that the compose file mounts.

use std::time::Duration;

use contracts::topics::{self, PARTITIONS};
use journeys::repository::{root, text};
use local_servers::{Distribution, mirror, process::Process};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    metadata::MetadataTopic,
    producer::{FutureProducer, FutureRecord},
};
use tempfile::TempDir;
use testkit::TestKafka;

/// By how much an offset differs from that of the copy.
const SHIFT: i64 = 7;

/// How long a broker may take to answer.
const BROKER: Duration = Duration::from_secs(10);

/// A MirrorMaker that runs. Dropping it kills it.
pub struct Mirror {
    process: Process,
    // after the process: fields drop in their order
    _home: TempDir,
}

impl Mirror {
    pub async fn start(from: &TestKafka, to: &TestKafka) -> Self {
        let settings = text(&root().join("deploy/compose/dr/mirror.properties"));
        let settings = with(&settings, "primary.bootstrap.servers", &from.bootstrap);
        let settings = with(&settings, "standby.bootstrap.servers", &to.bootstrap);
        let distribution = Distribution::fetch().await.unwrap_or_else(|error| panic!("{error}"));
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        let launch = mirror::launch(&distribution, home.path(), &settings).unwrap_or_else(|error| panic!("{error}"));
        Self { process: launch.spawn().unwrap_or_else(|error| panic!("{error}")), _home: home }
    }

    /// SIGSTOP: it copies nothing and knows nothing of it.
    pub fn pause(&self) {
        let pid = self.process.pid().and_then(|pid| i32::try_from(pid).ok()).expect("it runs");
        kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it is our child");
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        self.process.kill().await.expect("it can be killed");
    }
}

/// The settings with another value for one.
fn with(settings: &str, name: &str, value: &str) -> String {
    let (before, rest) = settings.split_once(&format!("\n{name} = ")).unwrap_or_else(|| panic!("no {name} is set"));
    let (_, after) = rest.split_once('\n').expect("the file ends with a line");
    format!("{before}\n{name} = {value}\n{after}")
}

/// Lets each topic begin at a higher offset, as if letters had been there and were deleted before anybody copied them: so no letter
/// has the same offset in the copy.
pub async fn shift(kafka: &TestKafka) {
    let settings = ClientConfig::new().set("bootstrap.servers", &kafka.bootstrap).clone();
    let producer: FutureProducer = settings.create().expect("the settings are right");
    let mut gone = TopicPartitionList::new();
    for topic in topics::ALL {
        let topic = kafka.topic(topic.name());
        for partition in 0..PARTITIONS {
            for _ in 0..SHIFT {
                let nothing = FutureRecord::<(), ()>::to(&topic).partition(partition);
                producer.send(nothing, BROKER).await.expect("the broker takes it");
            }
            gone.add_partition_offset(&topic, partition, Offset::Offset(SHIFT)).expect("it is an offset");
        }
    }
    let admin: AdminClient<DefaultClientContext> = settings.create().expect("the settings are right");
    admin.delete_records(&gone, &AdminOptions::new()).await.expect("the broker deletes them");
}

/// Whether all topics are there, and each of their partitions can be read.
pub async fn has_topics(kafka: &TestKafka) -> bool {
    let (bootstrap, names) = (kafka.bootstrap.clone(), topics::ALL.map(|topic| kafka.topic(topic.name())));
    let asking = tokio::task::spawn_blocking(move || {
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().ok()?;
        let metadata = client.fetch_metadata(None, BROKER).ok()?;
        let can_be_read = |name: &String| {
            let partitions = metadata.topics().iter().find(|topic| topic.name() == name).map(MetadataTopic::partitions);
            partitions.is_some_and(|partitions| partitions.iter().all(|partition| partition.leader() >= 0))
        };
        Some(names.iter().all(can_be_read))
    });
    asking.await.expect("asking does not panic").unwrap_or(false)
}

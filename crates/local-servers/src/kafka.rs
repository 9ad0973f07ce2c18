//! One to three Apache Kafka brokers on loopback, in KRaft mode: each is also a controller, there is no ZooKeeper.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::process::{Launch, Output, Process};
use crate::{Distribution, Error};

const FORMAT_DEADLINE: Duration = Duration::from_mins(1);
const READY_DEADLINE: Duration = Duration::from_mins(1);
const READY_POLL: Duration = Duration::from_millis(50);

/// Where the brokers keep their data and where they listen.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// A folder of their own; made when missing. Absolute.
    pub data: PathBuf,
    /// 1, or 3 to survive the loss of one. A data folder keeps the number that it was made with.
    pub brokers: u16,
    /// The port of the first broker on 127.0.0.1; the others follow it.
    pub port: u16,
    /// The port of the first controller on 127.0.0.1; the others follow it. Clients never use it.
    pub controller_port: u16,
    /// How the Java compiler works.
    pub compiler: Compiler,
}

/// How the Java compiler works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compiler {
    /// Quickly: up in two seconds, at about half of the peak speed.
    QuickStart,
    /// Thoroughly: for measurements.
    FullSpeed,
}

/// A Kafka cluster: prepared on disk, running or not. Dropping it kills it.
#[derive(Debug)]
pub struct Kafka {
    launches: Vec<Launch>,
    processes: Vec<Option<Process>>,
    port: u16,
}

impl Kafka {
    /// Makes the data folder ready: the first time the storage is formatted (about a second), later only the settings are
    /// written. Starts nothing.
    pub async fn prepare(distribution: &Distribution, options: &KafkaOptions) -> Result<Self, Error> {
        let data = &options.data;
        std::fs::create_dir_all(data).map_err(Error::io("create", data))?;
        check_broker_count(options)?;
        let cluster_id = cluster_id(&data.join("cluster-id"))?;
        let mut formatting = JoinSet::new();
        let mut launches = Vec::new();
        for node in 1..=options.brokers {
            let home = home(data, node);
            std::fs::create_dir_all(&home).map_err(Error::io("create", &home))?;
            let settings = home.join("server.properties");
            std::fs::write(&settings, properties(options, node)).map_err(Error::io("write", &settings))?;
            if !home.join("log/meta.properties").exists() {
                let format = format_launch(distribution, &home, &cluster_id);
                formatting.spawn(async move { format.run(FORMAT_DEADLINE).await });
            }
            launches.push(broker_launch(distribution, &home, node, options.compiler));
        }
        while let Some(formatted) = formatting.join_next().await {
            formatted.expect("formatting does not panic")?;
        }
        let processes = launches.iter().map(|_| None).collect();
        Ok(Self { launches, processes, port: options.port })
    }

    /// Starts the brokers that do not run, and waits until all of them answer, a minute at the most.
    pub async fn start(&mut self) -> Result<(), Error> {
        for (launch, process) in self.launches.iter().zip(&mut self.processes) {
            if process.is_none() {
                *process = Some(launch.spawn()?);
            }
        }
        let deadline = Instant::now() + READY_DEADLINE;
        while !self.answers().await {
            for process in self.processes.iter_mut().flatten() {
                process.check_alive()?;
            }
            if Instant::now() > deadline {
                let log = self.launches[0].log().to_owned();
                return Err(Error::NotReady { name: "kafka".to_owned(), waited: READY_DEADLINE, log });
            }
            sleep(READY_POLL).await;
        }
        Ok(())
    }

    /// Stops the brokers in good order, all at the same time.
    pub async fn stop(&mut self) -> Result<(), Error> {
        let mut stopping = JoinSet::new();
        for mut process in self.processes.iter_mut().filter_map(Option::take) {
            stopping.spawn(async move { process.stop().await });
        }
        while let Some(stopped) = stopping.join_next().await {
            stopped.expect("stopping does not panic")?;
        }
        Ok(())
    }

    /// Kills the brokers, as a crash would. [`Kafka::start`] brings them back on the same ports and data.
    pub async fn kill(&mut self) -> Result<(), Error> {
        for mut process in self.processes.iter_mut().filter_map(Option::take) {
            process.kill().await?;
        }
        Ok(())
    }

    /// Kills one broker; the first is 0. Others keep running. [`Kafka::start`] brings it back.
    pub async fn kill_broker(&mut self, index: usize) -> Result<(), Error> {
        match self.processes[index].take() {
            Some(mut process) => process.kill().await.map(drop),
            None => Ok(()),
        }
    }

    /// The process ids of the brokers that run.
    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().flatten().filter_map(Process::pid).collect()
    }

    /// How to start each broker, for callers that look after the processes themselves.
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }

    /// What clients connect to: `host:port`, one for each broker, separated by commas.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.ports().map(|port| format!("127.0.0.1:{port}")).collect();
        addresses.join(",")
    }

    /// True when every broker is registered with the controller and answers.
    pub async fn answers(&self) -> bool {
        for port in self.ports() {
            // librdkafka logs every refused connection, so it is only asked once there is somebody to answer
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                return false;
            }
        }
        let (bootstrap, brokers) = (self.bootstrap(), self.launches.len());
        let asking = tokio::task::spawn_blocking(move || {
            let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().ok()?;
            let metadata = client.fetch_metadata(None, Duration::from_secs(2)).ok()?;
            Some(metadata.brokers().len() == brokers)
        });
        asking.await.expect("asking for metadata does not panic").unwrap_or(false)
    }

    fn ports(&self) -> impl Iterator<Item = u16> {
        let count = u16::try_from(self.launches.len()).expect("there are few brokers");
        self.port..self.port + count
    }
}

fn home(data: &Path, node: u16) -> PathBuf {
    data.join(format!("broker-{node}"))
}

/// The quorum is written into every broker's settings, so brokers can neither join nor leave an existing cluster.
fn check_broker_count(options: &KafkaOptions) -> Result<(), Error> {
    let exists = |node: &u16| home(&options.data, *node).join("log").is_dir();
    let found = (1..u16::MAX).take_while(exists).last().unwrap_or(0);
    if found == 0 || found == options.brokers {
        return Ok(());
    }
    Err(Error::BrokerCount { data: options.data.clone(), found, wanted: options.brokers })
}

/// The cluster's id in `file`; a new one when there is no such file.
fn cluster_id(file: &Path) -> Result<String, Error> {
    if file.exists() {
        return std::fs::read_to_string(file).map_err(Error::io("read", file));
    }
    // the top bit is cleared, so that the text never begins with `-`, which would look like an option
    let id = URL_SAFE_NO_PAD.encode((rand::random::<u128>() >> 1).to_be_bytes());
    std::fs::write(file, &id).map_err(Error::io("write", file))?;
    Ok(id)
}

/// One broker's settings. What is not about addresses is about a small machine and about failing soon: Kafka's defaults
/// suit a cluster.
fn properties(options: &KafkaOptions, node: u16) -> String {
    let KafkaOptions { brokers, port, controller_port, .. } = options;
    let voters: Vec<String> =
        (1..=*brokers).map(|node| format!("{node}@127.0.0.1:{}", controller_port + node - 1)).collect();
    let min_in_sync = if *brokers > 1 { 2 } else { 1 };
    let mut text = String::new();
    let mut set = |name: &str, value: &dyn std::fmt::Display| {
        writeln!(text, "{name}={value}").expect("writing to a string cannot fail");
    };
    set("process.roles", &"broker,controller");
    set("node.id", &node);
    set("controller.quorum.voters", &voters.join(","));
    let (broker, controller) = (port + node - 1, controller_port + node - 1);
    set("listeners", &format_args!("PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}"));
    set("advertised.listeners", &format_args!("PLAINTEXT://127.0.0.1:{broker}"));
    set("controller.listener.names", &"CONTROLLER");
    set("listener.security.protocol.map", &"PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT");
    set("log.dirs", &home(&options.data, node).join("log").display());

    // topics are made on purpose, with the right number of partitions
    set("auto.create.topics.enable", &false);
    set("log.retention.ms", &-1);
    set("unclean.leader.election.enable", &false);
    set("default.replication.factor", brokers);
    set("min.insync.replicas", &min_in_sync);
    for internal in ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"] {
        set(&format!("{internal}.replication.factor"), brokers);
        set(&format!("{internal}.num.partitions"), &6);
    }
    for internal in ["transaction.state.log", "share.coordinator.state.topic"] {
        set(&format!("{internal}.min.isr"), &min_in_sync);
    }

    // a group forms at once, and a member that died gives up its partitions in 6 s, not in 45
    set("group.initial.rebalance.delay.ms", &0);
    set("group.consumer.min.heartbeat.interval.ms", &1000);
    set("group.consumer.heartbeat.interval.ms", &1000);
    set("group.consumer.min.session.timeout.ms", &6000);
    set("group.consumer.session.timeout.ms", &6000);

    // memory: the log cleaner alone takes 128 MiB by default
    set("log.cleaner.dedupe.buffer.size", &(8 * 1024 * 1024));
    set("num.network.threads", &2);
    set("num.io.threads", &4);
    text
}

/// A Java program with Kafka's jars.
pub(crate) fn java(distribution: &Distribution, name: String, home: &Path, log: &str) -> Launch {
    let classpath = distribution.kafka.join("*");
    Launch::new(name, &distribution.java, Output::File(home.join(log))).args([
        "-XX:+UseSerialGC".into(),
        "-Djava.awt.headless=true".into(),
        "-Dlog4j2.level=WARN".into(),
        "-cp".into(),
        classpath.into_os_string(),
    ])
}

fn format_launch(distribution: &Distribution, home: &Path, cluster_id: &str) -> Launch {
    let settings = home.join("server.properties");
    // a tool that runs once is not worth compiling well
    let mut launch = java(distribution, "kafka storage format".to_owned(), home, "format.log");
    launch.args.insert(0, "-XX:TieredStopAtLevel=1".into());
    launch
        .args(["kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config"])
        .args([settings.into_os_string()])
}

fn broker_launch(distribution: &Distribution, home: &Path, node: u16, compiler: Compiler) -> Launch {
    let mut launch = java(distribution, format!("kafka-{node}"), home, "broker.log");
    if compiler == Compiler::QuickStart {
        launch.args.insert(0, "-XX:TieredStopAtLevel=1".into());
    }
    launch.args.splice(0..0, ["-Xms128m".into(), "-Xmx512m".into()]);
    launch.args(["kafka.Kafka".into(), home.join("server.properties").into_os_string()])
}

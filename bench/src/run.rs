//! A run of one part of the benchmark: what was measured, of what, where and when.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use anyhow::{Context, Result};
use local_servers::Distribution;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::figure::Figures;

/// What one sub-command came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The sub-command.
    pub part: String,
    /// Its options. Of a quick run that alone: it takes the place of others, whose defaults would tell what was not so.
    pub options: Value,
    /// The day on which it ended, in UTC.
    pub date: jiff::civil::Date,
    /// How long it took, in seconds.
    pub took_s: u64,
    /// What was measured, and on what.
    pub circumstances: Circumstances,
    /// What came of it.
    pub figures: Figures,
}

/// Without which a figure means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstances {
    /// The commit that was built, with `-dirty` when files were changed.
    pub commit: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Their model, as they call themselves.
    pub processor: String,
    /// In MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// Version of the database server.
    pub postgres: String,
    /// Version of the broker.
    pub kafka: String,
    /// Version of the compiler.
    pub rustc: String,
    /// The profile that the programs were built in.
    pub profile: String,
}

impl Run {
    /// Of a part that has just ended. `options` is the sub-command with its options, as `{NAME: {OPTION: VALUE, …}}`.
    #[expect(clippy::disallowed_methods, reason = "the date of publication: nothing is decided by it")]
    pub fn ended(options: Value, took: Duration, circumstances: Circumstances, figures: Figures) -> Result<Self> {
        let (part, options) = match options {
            Value::Object(part) => part.into_iter().next(),
            _ => None,
        }
        .context("a sub-command has a name")?;
        let options = if options["quick"] == true { json!({"quick": true}) } else { options };
        let date = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        Ok(Self { part, options, date, took_s: took.as_secs(), circumstances, figures })
    }
}

impl Circumstances {
    /// Of this machine and the programs beside this one. Fetches the servers when they are not there.
    pub async fn here() -> Result<Self> {
        let servers = Distribution::fetch().await?;
        let postgres = told(Command::new(servers.postgres.join("bin/postgres")).arg("--version"))?;
        let source = env!("CARGO_MANIFEST_DIR");
        let commit =
            told(Command::new("git").args(["-C", source, "describe", "--always", "--dirty", "--exclude", "*"]))?;
        let processors = fs::read_to_string("/proc/cpuinfo").context("this needs Linux")?;
        let memory = fs::read_to_string("/proc/meminfo")?;
        let memory = field(&memory, "MemTotal").context("no MemTotal in /proc/meminfo")?;
        let memory_kib: u64 = memory.trim_end_matches(" kB").parse().context("MemTotal is no number")?;
        let program = std::env::current_exe()?;
        let profile = program.parent().and_then(Path::file_name).context("this program lies in no folder")?;
        Ok(Self {
            commit,
            cores: thread::available_parallelism()?.get(),
            processor: field(&processors, "model name").unwrap_or("unknown").to_owned(),
            memory_mib: memory_kib / 1_024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            postgres: postgres.rsplit(' ').next().unwrap_or_default().to_owned(),
            kafka: kafka_version(&servers.kafka)?,
            rustc: told(Command::new("rustc").arg("--version"))?.split(' ').nth(1).unwrap_or_default().to_owned(),
            profile: profile.to_string_lossy().into_owned(),
        })
    }
}

/// The value of `name : value` in a file of `/proc`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim()).next()
}

/// Kafka tells its version in the names of its jars: `kafka_2.13-4.3.1.jar`.
fn kafka_version(jars: &Path) -> Result<String> {
    for jar in fs::read_dir(jars).with_context(|| format!("{} cannot be read", jars.display()))? {
        let name = jar?.file_name();
        let version = name.to_str().and_then(|name| name.strip_prefix("kafka_")?.strip_suffix(".jar"));
        if let Some((_, version)) = version.and_then(|version| version.split_once('-')) {
            return Ok(version.to_owned());
        }
    }
    anyhow::bail!("there is no kafka_*.jar in {}", jars.display())
}

/// The first line that a program prints.
fn told(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.output().with_context(|| format!("{name} cannot be started, and the page names its version"))?;
    anyhow::ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned())
}

//! The servers' program files: fetched once through Maven, kept in a cache.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nix::unistd::Uid;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::process::on_path;
use crate::{Error, account, unpack};

/// What is fetched. Its hash names the folder in the cache, so a changed version is fetched and an unchanged one is not.
const POM: &str = include_str!("../../../deploy/local/pom.xml");

/// In the folder of a version that has nothing but jars.
const JARS: &str = "jars";

const JAVA_NEEDED: u32 = 17;
const FETCH_DEADLINE: Duration = Duration::from_mins(10);

/// The program files of Kafka and PostgreSQL, and the Java that runs Kafka.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// The `java` program, version 17 or newer.
    pub java: PathBuf,
    /// A folder full of jars: Kafka and all it needs.
    pub kafka: PathBuf,
    /// A folder with PostgreSQL's `bin`, `lib` and `share`.
    pub postgres: PathBuf,
}

impl Distribution {
    /// Finds the servers in the cache; when they are not there, fetches them (about 70 MB), which needs `mvn` and a
    /// network. Ten minutes at the most.
    pub async fn fetch() -> Result<Self, Error> {
        let java = Self::java().await?;
        let home = cache_folder()?.join(version(POM));
        let found = Self { java, kafka: home.join("kafka"), postgres: home.join("postgres") };
        if !home.is_dir() {
            if let Some(account) = account::for_postgres()? {
                account.check_can_reach(&home)?;
            }
            fill(&home, fetch_servers).await?;
        }
        Ok(found)
    }

    /// `java` on `PATH`; fails when it is missing or older than 17.
    pub async fn java() -> Result<PathBuf, Error> {
        const CURE: &str = "install a JDK 17 and put `java` on PATH";
        let missing = || Error::Missing { program: "java", cure: CURE };
        let java = on_path("java").ok_or_else(missing)?;
        let output = Command::new(&java).arg("-version").kill_on_drop(true).output().await.map_err(|_| missing())?;
        let found = major_version(&String::from_utf8_lossy(&output.stderr)).ok_or_else(missing)?;
        if found < JAVA_NEEDED {
            return Err(Error::TooOld { program: "java", found, needed: JAVA_NEEDED, cure: CURE });
        }
        Ok(java)
    }

    /// `mvn` on `PATH`. Needed only when the servers are not in the cache.
    pub fn mvn() -> Result<PathBuf, Error> {
        on_path("mvn")
            .ok_or(Error::Missing { program: "mvn", cure: "install Maven 3.6 or newer and put `mvn` on PATH" })
    }

    /// True when a start would fetch nothing.
    pub fn is_cached() -> bool {
        cache_folder().is_ok_and(|cache| cache.join(version(POM)).is_dir())
    }
}

/// Where fetched servers are kept: `POSTBOX_CACHE`; else `postbox` in the user's cache folder. Root's own is closed to the
/// account that runs PostgreSQL, so root gets `/var/cache/postbox`.
fn cache_folder() -> Result<PathBuf, Error> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let chosen = variable("POSTBOX_CACHE")
        .or_else(|| Uid::effective().is_root().then(|| PathBuf::from("/var/cache/postbox")))
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("postbox")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/postbox")));
    let chosen = chosen.ok_or(Error::Missing {
        program: "the cache folder",
        cure: "set POSTBOX_CACHE to a folder that may hold 150 MB",
    })?;
    std::path::absolute(&chosen).map_err(Error::io("find", &chosen))
}

/// A folder with the jars that a pom depends on, those of provided scope among them not: found in the cache or fetched into it, as
/// [`Distribution::fetch`] does.
pub async fn jars(pom: &str) -> Result<PathBuf, Error> {
    let home = cache_folder()?.join(version(pom));
    if !home.is_dir() {
        fill(&home, |scratch| async move { run_maven(&scratch, pom, JARS).await }).await?;
    }
    Ok(home.join(JARS))
}

/// The name of this version's folder in the cache.
fn version(pom: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(pom)[..9])
}

/// The servers, Postgres unpacked.
async fn fetch_servers(scratch: PathBuf) -> Result<(), Error> {
    run_maven(&scratch, POM, "kafka").await?;
    let jar = postgres_jar(&scratch.join("kafka"))?;
    let unpacked = scratch.join("postgres");
    let unpacking = tokio::task::spawn_blocking(move || {
        unpack::postgres(&jar, &unpacked)?;
        std::fs::remove_file(&jar).map_err(Error::io("delete", &jar))
    });
    unpacking.await.expect("unpacking does not panic")
}

/// Has a folder beside `home` filled by `fetch`, unless `home` is there, then renames it: whoever finds `home` finds it whole.
async fn fill<F>(home: &Path, fetch: impl FnOnce(PathBuf) -> F) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>>,
{
    let cache = home.parent().expect("a version's folder lies in the cache folder");
    std::fs::create_dir_all(cache).map_err(Error::io("create", cache))?;
    let lock = lock(&cache.join("lock")).await?;
    if !home.is_dir() {
        let scratch = home.with_extension("new");
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch).map_err(Error::io("delete", &scratch))?;
        }
        fetch(scratch.clone()).await?;
        std::fs::rename(&scratch, home).map_err(Error::io("create", home))?;
    }
    drop(lock);
    Ok(())
}

/// Waits until no other process fills the cache.
async fn lock(path: &Path) -> Result<File, Error> {
    let file = File::create(path).map_err(Error::io("create", path))?;
    let path = path.to_owned();
    let locking = tokio::task::spawn_blocking(move || {
        file.lock().map_err(Error::io("lock", &path))?;
        Ok(file)
    });
    locking.await.expect("locking a file does not panic")
}

/// Copies what `text` depends on into the folder `into` of `scratch`.
async fn run_maven(scratch: &Path, text: &str, into: &str) -> Result<(), Error> {
    let mvn = Distribution::mvn()?;
    std::fs::create_dir_all(scratch).map_err(Error::io("create", scratch))?;
    let pom = scratch.join("pom.xml");
    std::fs::write(&pom, text).map_err(Error::io("write", &pom))?;
    let run = Command::new(mvn)
        .args(["--quiet", "--batch-mode", "dependency:copy-dependencies", "--file"])
        .arg(&pom)
        .arg(format!("-DoutputDirectory={}", scratch.join(into).display()))
        .arg(format!("-Dpostgres.platform={}", platform()?))
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(FETCH_DEADLINE, run)
        .await
        .map_err(|_| Error::Fetch { reason: format!("nothing after {} s", FETCH_DEADLINE.as_secs()) })?
        .map_err(Error::io("run", Path::new("mvn")))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let reason = printed.lines().find(|line| line.contains("ERROR")).unwrap_or("it printed no reason");
    Err(Error::Fetch { reason: reason.trim().to_owned() })
}

/// This machine, as the PostgreSQL artifacts call it.
fn platform() -> Result<&'static str, Error> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Ok("linux-amd64"),
        ("linux", "aarch64") => Ok("linux-arm64v8"),
        ("macos", "x86_64") => Ok("darwin-amd64"),
        ("macos", "aarch64") => Ok("darwin-arm64v8"),
        (os, arch) => Err(Error::Platform { os, arch }),
    }
}

/// The jar that holds PostgreSQL, among Kafka's.
fn postgres_jar(libs: &Path) -> Result<PathBuf, Error> {
    let entries = std::fs::read_dir(libs).map_err(Error::io("read", libs))?;
    let mut files = entries.filter_map(Result::ok).map(|entry| entry.path());
    let is_postgres = |file: &PathBuf| {
        file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("embedded-postgres-binaries"))
    };
    files.find(is_postgres).ok_or_else(|| Error::Fetch { reason: "it fetched no PostgreSQL".to_owned() })
}

/// The 17 of `openjdk version "17.0.15" 2025-04-15`, the 8 of `java version "1.8.0_292"`.
fn major_version(printed: &str) -> Option<u32> {
    let quoted = printed.split('"').nth(1)?;
    let mut numbers = quoted.split(['.', '-', '+', '_']).map(|number| number.parse().ok());
    match numbers.next()?? {
        1 => numbers.next()?,
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_of_java_is_read_in_the_old_and_the_new_numbering() {
        assert_eq!(major_version("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"), Some(17));
        assert_eq!(major_version("openjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(major_version("openjdk version \"26-ea\" 2026-03-17"), Some(26));
        assert_eq!(major_version("java version \"1.8.0_292\""), Some(8));
        assert_eq!(major_version("The operation couldn't be completed. Unable to locate a Java Runtime."), None);
    }
}

//! The data folder: databases, letters, logs, secrets, and the state of what runs.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use local_servers::Postgres;

use crate::cli::Common;
use crate::elsewhere::Elsewhere;
use crate::failure::Failure;
use crate::secret::Secret;
use crate::state::State;
use crate::workspace::Workspace;

/// A data folder, which may not exist yet.
#[derive(Debug, Clone)]
pub struct DataFolder {
    /// Absolute.
    pub path: PathBuf,
    chosen: bool,
    /// A platform that is looked after by something else.
    elsewhere: Option<Elsewhere>,
}

impl DataFolder {
    /// The folder of `--data`, else `.postbox` in the workspace.
    pub fn find(common: &Common) -> Result<Self, Failure> {
        let (path, chosen) = match &common.data {
            Some(path) => (path.clone(), true),
            None => (Workspace::find(common.root.as_deref())?.root.join(".postbox"), false),
        };
        let path = std::path::absolute(&path).map_err(Failure::io("find", &path))?;
        let (neighbours, kafka) = (common.neighbours.clone(), common.kafka.clone());
        let elsewhere = common.platform.clone().map(|file| Elsewhere { file, neighbours, kafka });
        Ok(Self { path, chosen, elsewhere })
    }

    /// Makes the folder when it is missing, and holds it for this process until the returned file is dropped.
    pub fn lock(&self) -> Result<File, Failure> {
        let logs = self.logs();
        std::fs::create_dir_all(&logs).map_err(Failure::io("create", &logs))?;
        let path = self.path.join("lock");
        let file = File::create(&path).map_err(Failure::io("create", &path))?;
        file.try_lock().map_err(|_| {
            let path = self.path.display();
            Failure::try_again(format!(
                "a Postbox already runs from {path}: `postbox down` first, or give another --data"
            ))
        })?;
        Ok(file)
    }

    /// What runs here, or elsewhere when that was said; the failure says that nothing does.
    pub fn running(&self) -> Result<State, Failure> {
        if let Some(elsewhere) = &self.elsewhere {
            return elsewhere.read();
        }
        let nothing = || Failure::unreachable(format!("nothing runs from {}: `postbox up`", self.path.display()));
        State::read(&self.state_file())?.filter(|state| state.supervisor.is_running()).ok_or_else(nothing)
    }

    /// Where the state is kept.
    pub fn state_file(&self) -> PathBuf {
        self.path.join("state.json")
    }

    /// Where the log of `name` is kept.
    pub fn log(&self, name: &str) -> PathBuf {
        match name {
            "postgres" => self.postgres().join("postgres.log"),
            _ if name.starts_with("kafka-") => self.kafka().join(name.replace("kafka", "broker")).join("broker.log"),
            _ => self.logs().join(format!("{name}.log")),
        }
    }

    fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Where Kafka keeps its data.
    pub fn kafka(&self) -> PathBuf {
        self.path.join("kafka")
    }

    /// Where PostgreSQL keeps its data. It cannot run as root; when root started it in a workspace that is closed to
    /// others (`/root/postbox`), its data lies in `/var/lib/postbox`. A folder that the user chose is never left.
    pub fn postgres(&self) -> PathBuf {
        let inside = self.path.join("postgres");
        if self.chosen || Postgres::check_reachable(&inside).is_ok() {
            return inside;
        }
        let name = self.path.to_string_lossy().trim_matches('/').replace('/', "-");
        Path::new("/var/lib/postbox").join(name)
    }

    /// The path of a service's file, in a folder that exists.
    pub fn file(&self, inside: &Path) -> Result<PathBuf, Failure> {
        let path = self.path.join(inside);
        let folder = path.parent().expect("the file lies in the data folder");
        std::fs::create_dir_all(folder).map_err(Failure::io("create", folder))?;
        Ok(path)
    }

    /// The path of a service's secret, which is made when it is missing. Readable by its owner only.
    pub fn secret(&self, service: &str, variable: &str, secret: Secret) -> Result<PathBuf, Failure> {
        let path = self.file(&Path::new("secrets").join(service).join(variable.to_lowercase()))?;
        if !path.exists() {
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path);
            let written = file.as_mut().map(|file| file.write_all(secret.make().as_bytes()));
            written
                .map_err(|error| Failure::unreachable(format!("cannot create {}: {error}", path.display())))?
                .map_err(Failure::io("write", &path))?;
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &Path) -> DataFolder {
        DataFolder { path: path.to_owned(), chosen: true, elsewhere: None }
    }

    #[test]
    fn a_secret_is_made_once() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let data = folder(temporary.path());
        let read = || {
            let path = data.secret("accounts", "KEY_FILE", Secret::Ed25519Pem).expect("it is made");
            std::fs::read_to_string(path).expect("it is readable")
        };
        assert_eq!(read(), read());
    }

    #[test]
    fn two_platforms_never_share_a_data_folder() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let data = folder(temporary.path());
        let held = data.lock().expect("nobody holds it");
        let refused = data.lock().expect_err("it is held").to_string();
        assert!(refused.starts_with("a Postbox already runs from"), "{refused}");
        drop(held);
        assert!(data.lock().is_ok());
    }
}

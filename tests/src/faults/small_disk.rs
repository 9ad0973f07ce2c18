//! A disk that is quickly full: a few MiB of memory, mounted.

use std::{
    fs::{File, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

const SIZE: &str = "size=16m,mode=0755";

/// Mounted until it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Why nothing can be mounted on this machine, if nothing can.
    pub fn is_forbidden() -> Option<String> {
        Self::mount().err()
    }

    /// Mounts one. Needs the right to mount, which root in a container may not have.
    pub fn mount() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        // the account that Postgres runs under must get there
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(folder.path());
        let mounted = mount.output().map_err(|error| format!("a small disk cannot be mounted: {error}"))?;
        if !mounted.status.success() {
            let why = String::from_utf8_lossy(&mounted.stderr);
            return Err(format!("a small disk cannot be mounted: {}", why.trim()));
        }
        Ok(Self { folder })
    }

    /// A folder on it that belongs to whom `like` belongs to.
    pub fn folder(&self, name: &str, like: &Path) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir(&folder).expect("it is empty");
        let owner = std::fs::metadata(like).expect("it is there");
        std::os::unix::fs::chown(&folder, Some(owner.uid()), Some(owner.gid())).expect("who may mount may do that");
        folder
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("it is writable");
        while ballast.write_all(&[0; 4096]).is_ok() {}
    }

    /// Makes room again.
    pub fn make_room(&self) {
        std::fs::remove_file(self.ballast()).expect("it was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // lazily: a server that still has files open there is about to end
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}

//! Where the services' manifests are, and the programs that were built from them.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A checkout of the platform.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its folder, which holds `services/`.
    pub root: PathBuf,
    programs: PathBuf,
}

impl Workspace {
    /// Takes `root` when it is given; else walks up from the current folder, then from this program's own
    /// (`target/release`), to a folder that holds `services/` and `Cargo.toml`.
    pub fn find(root: Option<&Path>) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(Failure::io("find", Path::new("this program")))?;
        let programs = program.parent().expect("a program lies in a folder").to_owned();
        let root = match root {
            Some(root) => std::path::absolute(root).ok().filter(|root| is_workspace(root)).ok_or_else(|| {
                Failure::usage(format!("--root: {} holds no services/ and Cargo.toml", root.display()))
            })?,
            None => std::env::current_dir().ok().and_then(|dir| above(&dir)).or_else(|| above(&programs)).ok_or_else(
                || Failure::usage("no workspace found here or above: run this in a checkout, or give --root"),
            )?,
        };
        Ok(Self { root, programs })
    }

    /// A service's program: the sibling of this one. Fails when it was not built.
    pub fn program(&self, service: &str) -> Result<PathBuf, Failure> {
        let program = self.programs.join(service);
        if program.is_file() {
            return Ok(program);
        }
        let profile = if self.programs.ends_with("release") { " --release" } else { "" };
        let cure = format!("run `cargo build{profile} -p {service}`");
        Err(Failure::usage(format!("{} is missing: {cure}", program.display())))
    }
}

fn above(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find(|dir| is_workspace(dir)).map(Path::to_owned)
}

fn is_workspace(dir: &Path) -> bool {
    dir.join("services").is_dir() && dir.join("Cargo.toml").is_file()
}

//! A checkout beside the repository, in which a reader writes files.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use journeys::repository;
use tempfile::TempDir;
use tokio::process::Command;

use crate::recipe::File;

/// Longer than it takes when all dependencies have to be built first.
const BUILD: Duration = Duration::from_mins(9);

/// Folders in which the reader makes folders of his own; all else is linked as a whole.
const OPEN: [&str; 2] = ["services", "migrations"];

/// The repository with some more files. Everything that was there before is a link to it, so nothing of it can differ.
#[derive(Debug)]
pub struct Checkout {
    folder: TempDir,
}

impl Checkout {
    /// Fails when a file is there already, or lies in a folder that is: a new follower touches nothing.
    pub fn with(files: &[File]) -> Self {
        // open to the account that PostgreSQL runs under when the tests run as root
        let everybody = fs::Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().prefix("postbox-reader-").permissions(everybody).tempdir();
        let checkout = Self { folder: folder.expect("a temporary folder can be made") };
        checkout
            .link("", |name| !OPEN.contains(&name) && !["target", ".git", ".postbox", "Cargo.lock"].contains(&name));
        for open in OPEN {
            fs::create_dir(checkout.root().join(open)).expect("it is new");
            checkout.link(open, |_| true);
        }
        // cargo adds the new package to it
        fs::copy(repository::root().join("Cargo.lock"), checkout.root().join("Cargo.lock")).expect("it can be copied");
        for file in files {
            let path = checkout.root().join(&file.path);
            let top = file.path.iter().take(2).collect::<PathBuf>();
            assert!(!repository::root().join(&top).exists(), "{} is no folder of its own", top.display());
            fs::create_dir_all(path.parent().expect("it is in the checkout")).expect("it can be made");
            fs::write(path, &file.text).expect("it is new");
        }
        checkout
    }

    fn link(&self, parent: &str, wanted: impl Fn(&str) -> bool) {
        for entry in repository::root().join(parent).read_dir().expect("the repository can be read") {
            let original = entry.expect("the repository can be read").path();
            let name = repository::name(&original);
            if wanted(&name) {
                symlink(&original, self.root().join(parent).join(&name)).expect("it is new");
            }
        }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Builds the new program beside those of the repository, as its reader does.
    ///
    /// The target folder is shared: cargo names what it builds after paths inside the workspace, so all that was built for
    /// the repository counts for the links to it as well, and nothing of it is built again, here or afterwards. For that the
    /// features have to be the same, those of the whole workspace with its tests; naming an example asks for them.
    pub async fn build(&self, program: &str) {
        let target = programs().parent().expect("target/<profile>").to_owned();
        let mut cargo = Command::new(env::var_os("CARGO").expect("cargo runs the tests"));
        cargo.args(["build", "--offline", "--workspace", "--bin", program, "--example", "echo"]);
        cargo.current_dir(self.root()).env("CARGO_TARGET_DIR", target).kill_on_drop(true);
        if programs().ends_with("release") {
            cargo.arg("--release");
        }
        let built = tokio::time::timeout(BUILD, cargo.output()).await.expect("the build takes too long");
        let built = built.expect("cargo runs");
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{said}");
        assert!(!said.contains("warning"), "{said}");
    }
}

/// The folder with the programs, and the one of this test's own: `target/<profile>`.
pub fn programs() -> PathBuf {
    let test = env::current_exe().expect("a test runs from a file");
    test.ancestors().nth(2).expect("target/<profile>/deps/<test>").to_owned()
}

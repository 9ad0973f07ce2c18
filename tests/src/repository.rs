//! The repository as files, for the tests that check its own rules.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder with the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests folder is inside the repository").to_owned()
}

/// Each folder directly under `parent`, a folder named from the root, in the order of their names. None when `parent`
/// does not exist.
pub fn folders(parent: &str) -> Vec<PathBuf> {
    let mut folders: Vec<_> = entries(&root().join(parent)).into_iter().filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Every Rust file at any depth of `parent`, a folder named from the root.
pub fn rust_files(parent: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut ahead = vec![root().join(parent)];
    while let Some(folder) = ahead.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                ahead.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The text of a file. Panics, naming it, when it cannot be read.
pub fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// The path as seen from the root, for messages.
pub fn from_root(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The last part of a path that is known to have one.
pub fn name(path: &Path) -> String {
    path.file_name().expect("a folder inside the repository has a name").to_string_lossy().into_owned()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.expect("the repository's folders can be read").path()).collect()
}

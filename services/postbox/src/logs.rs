//! Printing the log of one process.

use std::fs::File;

use crate::cli::{Common, LogsOptions};
use crate::data::DataFolder;
use crate::failure::Failure;

/// Runs `postbox logs SERVICE`.
pub async fn run(common: &Common, options: &LogsOptions) -> Result<(), Failure> {
    let data = DataFolder::find(common)?;
    let name = options.service.as_str();
    let plain = name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-');
    let path = data.log(name);
    if !plain || !path.is_file() {
        let path = data.path.display();
        return Err(Failure::usage(format!("{path} holds no log of `{name}`: `postbox status` tells the names")));
    }
    let copying = tokio::task::spawn_blocking(move || {
        let mut file = File::open(&path).map_err(Failure::io("read", &path))?;
        // a reader like `head` that has seen enough is no failure
        let _ = std::io::copy(&mut file, &mut std::io::stdout());
        Ok(())
    });
    copying.await.expect("copying a file does not panic")
}

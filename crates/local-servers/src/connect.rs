//! Kafka Connect, of Kafka itself: one process that runs one connector.

use std::path::Path;

use crate::kafka::java;
use crate::process::Launch;
use crate::{Distribution, Error};

/// How to start it, with the settings of the worker and those of the connector: the texts of their properties files, which are
/// put into the folder `home`, as is its log.
pub fn launch(distribution: &Distribution, home: &Path, worker: &str, connector: &str) -> Result<Launch, Error> {
    std::fs::create_dir_all(home).map_err(Error::io("create", home))?;
    let mut launch = java(distribution, "connect".to_owned(), home, "connect.log");
    launch.args.splice(0..0, ["-Xms128m".into(), "-Xmx512m".into()]);
    launch = launch.args(["org.apache.kafka.connect.cli.ConnectStandalone"]);
    for (name, settings) in [("worker.properties", worker), ("connector.properties", connector)] {
        let file = home.join(name);
        std::fs::write(&file, settings).map_err(Error::io("write", &file))?;
        launch = launch.args([file]);
    }
    Ok(launch)
}

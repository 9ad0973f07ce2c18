//! `MirrorMaker` 2, of Kafka itself: copies the topics of one Kafka to another for as long as it runs.

use std::path::Path;

use crate::kafka::java;
use crate::process::Launch;
use crate::{Distribution, Error};

/// How to start it, with these settings: the text of its properties file, which is put into the folder `home`, as is its log.
/// It listens nowhere; that it copies is seen where the copies are.
pub fn launch(distribution: &Distribution, home: &Path, settings: &str) -> Result<Launch, Error> {
    std::fs::create_dir_all(home).map_err(Error::io("create", home))?;
    let file = home.join("mirror.properties");
    std::fs::write(&file, settings).map_err(Error::io("write", &file))?;
    let mut launch = java(distribution, "mirror".to_owned(), home, "mirror.log");
    // quick at the start, and small
    launch.args.splice(0..0, ["-XX:TieredStopAtLevel=1".into(), "-Xms64m".into(), "-Xmx192m".into()]);
    Ok(launch.args(["org.apache.kafka.connect.mirror.MirrorMaker".into(), file.into_os_string()]))
}

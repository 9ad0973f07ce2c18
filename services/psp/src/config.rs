//! The settings of psp. Each is an environment variable and a flag of the same name.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser};
use service_runtime::config::OpsConfig;

/// `psp serve`.
#[derive(Debug, Parser)]
#[command(version, about = "A stand-in card network with its own books")]
pub enum Cli {
    /// Serves until SIGTERM or SIGINT.
    Serve(Config),
}

/// Settings of `psp serve`.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("ops_addr", |arg| arg.default_value("127.0.0.1:9060").required(false)))]
pub struct Config {
    /// Address of the HTTP interface.
    #[arg(long, env = "LISTEN_ADDR", default_value = "127.0.0.1:50060")]
    pub listen_addr: SocketAddr,

    /// The file that holds the books; made when it is not there.
    #[arg(long, env = "PSP_BOOKS")]
    pub psp_books: PathBuf,

    /// Where the ops endpoints are.
    #[command(flatten)]
    pub ops: OpsConfig,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_books_must_be_named() {
        Cli::try_parse_from(["psp", "serve", "--psp-books", "books.jsonl"]).unwrap();
    }
}

//! A stand-in card network. It stands for a company that is not ours, so it shares nothing with the platform but the
//! way a process runs: its own words, its own books, from which an audit learns what was really captured.
//!
//! Start at [`http`]; what a request does is decided in [`charges`], and stands in the [`books`] before it is answered.

pub mod amount;
pub mod books;
pub mod card;
pub mod charges;
pub mod config;
pub mod entry;
pub mod http;
pub mod network;
pub mod problem;
pub mod reference;
pub mod request;
pub mod serve;

use std::sync::Arc;

use service_runtime::{
    Error, Shutdown,
    clock::Clock,
    ops::{self, Readiness, Router},
};

use crate::{
    books::{Books, OpenError},
    config::Config,
    network::Network,
};

/// Opens the books and serves until the end is requested, or until the books cannot be written any more.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let (books, charges) = Books::open(&config.psp_books).map_err(|error| match error {
        OpenError::Unusable { .. } | OpenError::InUse(_) => Error::Config(error.to_string()),
        OpenError::Damaged { .. } => Error::Other(error.into()),
    })?;
    let network = Arc::new(Network::new(books, charges, Clock::System));
    ops::serve(&config.ops, Readiness::Always, Router::new(), &shutdown).await?;
    let routes = http::routes(Arc::clone(&network), shutdown.clone());
    tokio::select! {
        served = serve::serve(config.listen_addr, routes, &shutdown) => served,
        () = network.failed() => Err(Error::Other("PSP_BOOKS: the file cannot be written any more; see the disk".into())),
    }
}

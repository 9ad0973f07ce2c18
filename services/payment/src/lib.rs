//! Payment charges orders through the card network, at most once each, and undoes charges.
//!
//! Start at [`grpc`], then [`charge`](mod@charge) and [`void`](mod@void). What each answer of the network means is the
//! table in [`payment`]; it is committed by [`record`].

pub mod charge;
pub mod config;
pub mod error;
pub mod grpc;
pub mod ledger;
pub mod patience;
pub mod payment;
pub mod psp_client;
pub mod record;
pub mod store;
pub mod void;

use contracts::payment::v1::payment_service_server::PaymentServiceServer;
use service_runtime::{
    Error, Shutdown, database,
    ops::{self, Readiness},
};
use sqlx::{PgPool, migrate::Migrator};
use tonic::service::Routes;

use crate::{config::Config, grpc::PaymentApi, psp_client::PspClient};

/// The tables of payment.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/payment");

/// What the use cases work with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The database of payment.
    pub pool: PgPool,
    /// The card network.
    pub psp: PspClient,
    /// Runs work that must not be cut short.
    pub shutdown: Shutdown,
}

/// Serves until the end is requested.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let psp = PspClient::new(&config.psp_url)?;
    let pool = database::connect(&config.database).await?;
    ops::serve(&config.ops, Readiness::Database(pool.clone()), &shutdown).await?;
    let api = PaymentApi::new(Deps { pool, psp, shutdown: shutdown.clone() });
    rpc::server::serve(config.listen_addr, Routes::new(PaymentServiceServer::new(api)), &shutdown).await
}

//! Accounts owns people: who they are, how they prove it, where their parcels go. No other service keeps personal data.
//!
//! Start at [`grpc`]; then one file per use case: [`register`], [`login`], [`contact`], [`ensure`], [`erase`]. Those that change an
//! account write a letter, in the transaction of their change.

pub mod account;
pub mod config;
pub mod contact;
pub mod ensure;
pub mod erase;
pub mod error;
pub mod grpc;
pub mod login;
pub mod operators;
pub mod password;
pub mod register;
pub mod signing_key;

mod letters;
mod store;

use std::sync::Arc;

use contracts::accounts::v1::accounts_service_server::AccountsServiceServer;
use outbox::{Relay, Waker};
use rpc::{MESSAGE_BYTES_MAX, Served, Tls};
use service_runtime::{Error, Shutdown, clock::Clock, config::OpsConfig, database, ops};
use sqlx::{PgPool, migrate::Migrator};

use crate::{config::ServeConfig, grpc::Accounts, password::Hasher, signing_key::SigningKey};

/// All that makes the database of this service, in this sequence.
pub static MIGRATORS: [&Migrator; 3] = [&outbox::MIGRATOR, &operator_log::MIGRATOR, &MIGRATOR];

/// The tables of this service alone.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/accounts");

/// What the use cases need.
#[derive(Debug)]
pub struct Deps {
    /// The database `accounts`.
    pub pool: PgPool,
    /// Hashes passwords, a few at a time.
    pub hasher: Hasher,
    /// Signs tokens.
    pub signing_key: SigningKey,
    /// Told after each commit that wrote a letter.
    pub relay: Waker,
    /// Stamps tokens and letters.
    pub clock: Clock,
}

/// Serves until the end is requested.
pub async fn run(config: ServeConfig, shutdown: Shutdown) -> Result<(), Error> {
    let tls = Tls::open(&config.tls)?;
    let signing_key = SigningKey::from_file(&config.accounts_signing_key_file)?;
    let pool = database::connect(&config.database).await?;
    database::migrated(&pool, &MIGRATORS).await?;
    let relay = Relay::of_service(&config.database, &config.kafka)?;
    let ops = OpsConfig { ops_addr: config.ops_addr };
    let operators = outbox::admin::routes(pool.clone()).merge(operator_log::admin::routes(pool.clone()));
    ops::serve(&ops, outbox::readiness(pool.clone()).and_kafka(&config.kafka), operators, &shutdown).await?;
    let deps = Deps { pool, hasher: Hasher::new(), signing_key, relay: relay.waker(), clock: Clock::System };
    shutdown.spawn_part("relay", relay.run(shutdown.token()));
    let server = AccountsServiceServer::new(Accounts::new(Arc::new(deps), shutdown.clone()));
    let server = server.max_decoding_message_size(MESSAGE_BYTES_MAX);
    tls.serve(config.listen_addr, Served::new(server), &shutdown).await
}

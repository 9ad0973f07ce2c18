//! What every service process shares: configuration, telemetry, ops endpoints, database pool, graceful drain.
//!
//! A service's `main` is [`start`] with its own command line. It knows no order, payment or stock.

pub mod clock;
pub mod config;
pub mod database;
pub mod kill_point;
pub mod operator;
pub mod ops;
pub mod rest;
pub mod telemetry;
pub mod worker;

mod broker_names;
mod database_metrics;
mod error;
mod export;
mod health;
mod horizon;
mod kept_connection;
mod log_fields;
mod recorder;
mod shutdown;
mod start;

pub use error::Error;
pub use horizon::{Horizon, LookBack};
pub use kept_connection::{Held, KeptConnection};
pub use shutdown::Shutdown;
pub use start::{start, start_parsed};

//! The telephone: gRPC between services.
//!
//! [`server`] answers, [`client`] asks, [`status`] turns an error code into a gRPC status and back. It knows no order,
//! payment or stock.

pub mod client;
pub mod server;

mod observe;
mod status;

pub use client::{ask, ask_once, ask_one, channel};
pub use server::{Outcomes, outcomes, uncut};
pub use status::{problem_of, status};

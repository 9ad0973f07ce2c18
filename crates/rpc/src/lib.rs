//! The telephone: gRPC between services.
//!
//! [`server`] answers, [`client`] asks, [`status`] turns an error code into a gRPC status and back. It knows no order,
//! payment or stock.
//!
//! # Metrics
//! | name | what |
//! |---|---|
//! | `rpc_requests_total{rpc,code}` | calls that were answered, health and reflection among them; `CANCELLED`: the caller hung up, or its time was over |
//! | `rpc_request_seconds{rpc}` | from a call to the end of its answer, of a stream to its last outcome |

pub mod client;
pub mod server;

mod channel;
mod observe;
mod status;

pub use channel::Channel;
pub use client::{ask, ask_once, ask_one, channel};
pub use server::{Outcomes, outcomes, uncut};
pub use status::{problem_of, status};

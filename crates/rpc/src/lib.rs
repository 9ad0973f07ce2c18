//! The telephone: gRPC between services.
//!
//! [`server`] answers, [`client`] asks, [`lists`] makes one call of many questions, over the [`mod@channel`] to a service, [`Tls`] says whether by certificates, [`status`] turns an error code into a gRPC status and back. It knows no order,
//! payment or stock.
//!
//! # Metrics
//! | name | what |
//! |---|---|
//! | `rpc_requests_total{rpc,code}` | calls that were answered, health and reflection among them; `CANCELLED`: the caller hung up, or its time was over |
//! | `rpc_lists_total{rpc}` | calls with a list that were sent |
//! | `rpc_list_items_total{rpc}` | items in them: over `rpc_lists_total`, how many share a call |
//! | `rpc_request_seconds{rpc}` | from a call to the end of its answer, of a stream to its last outcome |

pub mod channel;
pub mod client;
pub mod lists;
pub mod server;

mod asking;
mod balance;
mod observe;
mod status;
mod tls;

pub use channel::{Channel, channel};
pub use client::{ask, ask_once, ask_one};
pub use lists::Lists;
pub use server::{Outcomes, Traced, outcomes, traced_outcomes, uncut};
pub use status::{problem_of, status};
pub use tls::Tls;

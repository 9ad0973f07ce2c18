//! The telephone: gRPC between services.
//!
//! [`server`] answers, [`client`] asks, [`lists`] makes one call of many questions, over the [`mod@channel`] to a service, [`Tls`] says whether by certificates, [`status`] turns an error code into a gRPC status and back. It knows no order,
//! payment or stock.
//!
//! A call that ends without an answer may have been heard or not; of some [`was_not_sent`] knows that they were not.
//!
//! # Metrics
//! | name | what |
//! |---|---|
//! | `rpc_circuit{rpc_service}` | 0, or 1 while calls to this service of gRPC are refused at once because nobody there answers; 2 where a process has two ways to it |
//! | `rpc_requests_total{rpc,code}` | calls that were answered, health and reflection among them; `CANCELLED`: the caller hung up |
//! | `rpc_retries_total{rpc}` | calls, and items of lists, that were made again |
//! | `rpc_retries_refused_total{rpc}` | those that were not, because too many others were |
//! | `rpc_lists_total{rpc}` | calls with a list that were sent |
//! | `rpc_list_items_total{rpc}` | items in them: over `rpc_lists_total`, how many share a call |
//! | `rpc_request_seconds{rpc}` | from a call to the end of its answer, of a stream to its last outcome |

pub mod channel;
pub mod client;
pub mod lists;
pub mod server;

mod asking;
mod balance;
mod circuit;
mod machinery;
mod not_sent;
mod observe;
mod retries;
mod status;
mod tls;

pub use channel::{Channel, channel};
pub use client::{ask, ask_once, ask_one};
pub use lists::Lists;
pub use not_sent::was_not_sent;
pub use server::{MESSAGE_BYTES_MAX, Outcomes, Served, Traced, outcomes, traced_outcomes, uncut};
pub use status::{problem_of, status};
pub use tls::Tls;

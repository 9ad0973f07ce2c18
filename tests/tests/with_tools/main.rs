//! What is typed with programs that Rust does not bring along, and so is tried by `make pages-check` and not by `make test`.

#![cfg(feature = "tools")]

mod collection;
mod grpc_page;

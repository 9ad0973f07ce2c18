//! All that two services must agree on: messages, topics, ids, money, problems. No I/O.
//!
//! Start at [`topics`] for who writes to whom, at [`event`] for the envelope of a letter, and at the generated modules
//! ([`order`], [`inventory`], …) for the telephone.

pub mod event;
pub mod ids;
pub mod money;
pub mod problem;
pub mod topics;

mod generated;
mod time;

pub use generated::{
    FILE_DESCRIPTOR_SET, accounts, analytics, events, inventory, notification, order, payment, shipping,
};
pub use time::{timestamp_from_proto, timestamp_to_proto};

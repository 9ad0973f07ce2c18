//! The outbox: a letter is written in the transaction of the change that it tells about, and published afterwards.
//!
//! So a letter exists if and only if its change was committed, and a broker that is away delays letters, never
//! orders. Start at [`append_in_tx`], which a service calls before its commit; then [`Relay`], which every replica
//! runs beside its servers.
//!
//! # What is promised
//! - Every committed letter is published at least once. A crash between Kafka's acknowledgement and the mark repeats
//!   some; consumers know a letter by its id.
//! - Of the letters of one topic and key, the first occurrences are in the order of their ids, which is the order of
//!   the aggregate's versions. This holds through crashes, and even while two relays both take themselves for the
//!   leader: each reads and sends in order, from the oldest letter that is not marked. So before any relay sends a
//!   letter, it has sent that letter's unmarked predecessors, and the marked ones are in Kafka already. Whatever the
//!   other one mixes in was either sent first, or is a repetition.
//! - Letters are kept as the service's own event history ([`history`]) and dropped by whole days.
//!
//! # How it works
//! The table is insert-only; the migration tells its shape and why. One relay of a database holds a lock on a session of
//! its own (`lease`). It reads the oldest unpublished letters (`letter`), sends them, waits for all reports
//! (`producer`), notes their ids (`progress`), and begins again (`leader`). Now and then it writes the progress down, passes
//! ids that will never have a letter (`gap_rule`), and looks after the partitions (`partitions`). If anything fails, the
//! session and the producer are thrown away and everything starts from what was written down (`relay`).
//!
//! A disk that is full is told by [`readiness`].
//!
//! # Metrics and routes
//! `GET /lag/outbox` ([`admin`]) tells operators what waits, whichever replica is asked.
//!
//! | name | what |
//! |---|---|
//! | `relay_leader` | 1 while this process publishes; the sum over the replicas should be 1 |
//! | `outbox_depth` | letters that wait, counted by the leader up to 100,000 |
//! | `outbox_oldest_age_seconds` | age of the oldest letter that waits |
//! | `outbox_published_total` | letters acknowledged by Kafka, repetitions included |
//! | `relay_lag_seconds` | of each of those, the time from when it was written (`ce_time`) |

pub mod admin;

mod again;
mod append;
mod gap_rule;
mod history;
mod interruption;
mod leader;
mod lease;
mod letter;
mod metrics;
mod partitions;
mod producer;
mod progress;
mod relay;
mod room;
mod spans;

use std::borrow::Cow;

use sqlx::migrate::Migrator;

pub use again::publish_again_in_tx;
pub use append::{
    Error, KEY_BYTES_MAX, LETTER_BYTES_MAX, append_in_tx, append_many_in_tx, first_parameters, note_failure,
};
pub use history::{Position, history};
pub use lease::LEADER_LOCK;
pub use letter::LetterRow;
pub use relay::{InvalidDatabaseUrl, Relay, RelayConfig, STOP_DEADLINE, Waker};
pub use room::readiness;

/// The outbox's tables, in the schema `public`, to be made by the role that owns the database. Its record is a table of
/// its own, so that the service's migrations count for themselves.
///
/// The login that serves then needs SELECT, INSERT, UPDATE and DELETE on the tables, USAGE on the sequence and EXECUTE on
/// the functions, and a `transaction_timeout` greater than 0 (Postgres 17), without which ids that were rolled back are
/// never passed.
pub static MIGRATOR: Migrator = Migrator { table_name: Cow::Borrowed("_outbox_migrations"), ..sqlx::migrate!() };

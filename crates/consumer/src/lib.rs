//! Consumers: the effects of a letter and the group's position move in one transaction.
//!
//! So a letter has its effect if and only if the group is past it, whatever is killed in between. Start at
//! [`EventHandler`], which a service implements for each thing that it does on a letter; then [`ConsumerService`], which
//! runs all handlers of a process.
//!
//! # What is promised
//! - Every letter of a topic is given to each group, those of one key in their order. A new group starts at the oldest.
//! - The position is a row in the service's own database, moved by compare-and-set. A member that was overtaken (a
//!   zombie) changes nothing; Kafka's own offsets may be lost. A relay may send a letter again at a later offset, so
//!   effects need a natural unique key, or an inbox row ([`first_time_in_tx`]).
//! - An outage ([`HandlerError::Retry`]) stops a partition for as long as it lasts and drops nothing.
//! - A bad letter ([`HandlerError::Reject`], or one that cannot be read) is parked in the database with its key. Later
//!   letters of that key wait behind it, all others go on. It is tried again five times in about 30 s, by any
//!   member. Then it is dead: `<topic>.<group>.dlt` gets a copy, and its key waits for [`redrive`] or [`discard`],
//!   which operators reach through [`admin`].
//!
//! # How it works
//! Each group has one Kafka consumer per process (`kafka`), which a `member` polls. Letters are gathered by partition
//! (`lane`, `lanes`) into batches; a `batch` is one transaction, and one that fails is done again letter by letter.
//! `position` and `parked` hold the SQL; `retry` looks after what is parked, `dead_letter` sends the copies; [`replay`]
//! gives a group its letters again. A
//! transaction always runs in a task of its own (`uncut`).
//!
//! Members use the classic protocol: there a member that was killed is missed after the 6 s of its own
//! `session.timeout.ms`, where the new one waits for the broker's 45 s. Partitions are handed over cooperatively, so those
//! that stay where they are go on meanwhile. A member polls while its transactions run, so slow work does not cost it
//! the membership; one that Kafka has given up all the same, or that does not get on (`watchdog`), is replaced by a new
//! one.
//!
//! # Metrics
//! | name | what |
//! |---|---|
//! | `consumer_events_total{group,topic,outcome}` | letters: `applied`, `skipped` (a type that the handler does not want), `parked`, `dead`; a parked letter counts again when it is applied or dead |
//! | `consumer_fenced_total{group}` | batches that another member had done already |
//! | `consumer_lag_messages{group,topic}` | letters between the position and the end, of this member's partitions |
//! | `consumer_lag_seconds{group,topic}` | age (`ce_time`) of the oldest letter that this member has fetched and not done; 0 when it has none |
//! | `consumer_batch_seconds{group}` | transactions that were committed, each for some letters |
//! | `consumer_freshness_seconds{group,topic}` | from a letter's `ce_time` to the commit of its effect; a replay counts none |
//! | `consumer_parked{group}`, `consumer_dead{group}` | rows in the database: waiting or being retried; dead. The same from every member |
//! | `consumer_partitions{group}` | partitions that this member has |
//! | `consumer_partitions_stopped{group}` | of those, the ones that an outage or too many parked letters stop |

pub mod admin;
pub mod another_kafka;

mod backoff;
mod batch;
mod config;
mod dead_letter;
mod dead_letter_copy;
mod group;
mod handler;
mod inbox;
mod kafka;
mod lane;
mod lanes;
mod letter;
mod member;
mod metrics;
mod pace;
mod parked;
mod position;
pub mod replay;
mod retry;
mod service;
mod uncut;
mod watchdog;

use std::borrow::Cow;

use sqlx::migrate::Migrator;

pub use config::ConsumerConfig;
pub use dead_letter_copy::{DeadLetterCopy, dead_letter_topic, make_dead_letter_topic};
pub use handler::{BoxError, Delivered, EventHandler, HandlerError, Kind};
pub use inbox::{INBOX_KEPT_DAYS, first_time_in_tx};
pub use letter::{Letter, LetterHeader};
pub use parked::{discard, redrive};
pub use service::ConsumerService;

/// The consumer's tables, in the schema `public`, to be made by the role that owns the database. Its record is a table
/// of its own, so that the service's migrations count for themselves. The login that serves needs SELECT, INSERT,
/// UPDATE and DELETE on them. What operators do is noted in the table of [`operator_log::MIGRATOR`], which the database needs too.
pub static MIGRATOR: Migrator = Migrator { table_name: Cow::Borrowed("_consumer_migrations"), ..sqlx::migrate!() };

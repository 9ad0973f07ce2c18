//! What operators have done: who, what, on which object, when, in which trace, and what it changed.
//!
//! An entry is written in the transaction of the change that it tells about, so it exists if and only if the change was
//! committed. Start at [`note_in_tx`], which a service calls before its commit. A request that is refused, that is a repetition, or
//! that finds everything as it is to be, changes nothing and has no entry; looking at something is no action.
//!
//! Entries are kept for ever, and the login that serves can only add to them: the migration takes everything else away from it,
//! the choice of an entry's time as well. What it cannot keep from anybody is the owner's password.
//!
//! An entry holds what an operator would have to know later, and no personal data: an account goes by its id.
//!
//! `GET /operator-log` ([`admin`]) tells what is in it. `postbox operators log` asks every service.

pub mod admin;

mod action;
mod note;

use std::borrow::Cow;

use sqlx::migrate::Migrator;

pub use action::{Action, InvalidOperator, Operator};
pub use note::note_in_tx;

/// The log's table, in the schema `public`, to be made by the role that owns the database. Its record is a table of its own, so that
/// the service's migrations count for themselves.
///
/// The login that serves keeps SELECT on it, and INSERT on all columns but `id` and `done_at`.
pub static MIGRATOR: Migrator = Migrator { table_name: Cow::Borrowed("_operator_log_migrations"), ..sqlx::migrate!() };

//! The log against a real Postgres.

mod guarded;
mod reading;
mod world;
mod writing;

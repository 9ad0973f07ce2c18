//! Accounts as a process, with a real Postgres and a real Kafka.

mod erasing;
mod letters;
mod people;
mod process;

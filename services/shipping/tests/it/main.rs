//! Shipping as a process, with a real accounts, a real Postgres and a real Kafka: letters come in, letters go out.

mod accounts;
mod addresses;
mod crashes;
mod create;
mod depot;
mod erasing;
mod moves;
mod noted;
mod process;
mod races;
mod replay;
mod stops;
mod together;

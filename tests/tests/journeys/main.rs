//! Stories over the whole platform: real processes, real Postgres, real Kafka, HTTP.

mod bad_input;
mod broker_away;
mod cards;
mod crashes;
mod followers;
mod idempotency;
mod ownership;
mod placing;

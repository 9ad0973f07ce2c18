//! Shipping with a real Postgres and a real Kafka: a letter comes in, letters go out.

mod create;
mod depot;
mod moves;

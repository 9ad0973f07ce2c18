//! The consumer against a real Postgres and a real Kafka.

mod batches;
mod crash;
mod dead_letters;
mod inbox;
mod lag;
mod members;
mod operators;
mod outage;
mod parking;
mod pauses;
mod positions;
mod recorder;
mod replay;
mod world;

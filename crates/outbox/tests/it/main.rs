//! The outbox against a real Postgres and a real Kafka.

mod appending;
mod broker;
mod crash;
mod gaps;
mod history;
mod lag;
mod leadership;
mod order;
mod partitions;
mod received;
mod world;

//! Real PostgreSQL and real Apache Kafka on this machine, without Docker.
//!
//! Both come as Maven artifacts named in `deploy/local/pom.xml`. [`Distribution::fetch`] puts them into a cache once;
//! [`Postgres`] and [`Kafka`] prepare a data folder, start, stop, die and come back on the same ports. [`provision`]
//! makes a service's database and its three roles, [`topics`] makes Kafka's topics, [`mirror`] copies them to another Kafka,
//! [`connect`] runs connectors.
//!
//! Used by the `postbox` command and by `testkit`. Knows no service.

pub mod connect;
pub mod distribution;
pub mod kafka;
pub mod mirror;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod provision;
pub mod topics;

mod account;
mod error;
mod unpack;

pub use distribution::Distribution;
pub use error::Error;
pub use kafka::{Kafka, KafkaOptions};
pub use postgres::{Postgres, PostgresOptions};

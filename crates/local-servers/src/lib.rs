//! Real Postgres and real Kafka on this machine, without Docker.

//! Analytics with a real Postgres and a real Kafka.

//! The outbox: letters written in the business transaction, relayed to Kafka in order.

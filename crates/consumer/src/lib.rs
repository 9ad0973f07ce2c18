//! Consumers: effects and position in one transaction.

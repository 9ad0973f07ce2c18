//! Stories over the whole platform: real processes, real Postgres, real Kafka, HTTP.

mod bad_input;
mod bad_letters;
mod broker_away;
mod by_letter;
mod cancels;
mod cards;
mod crashes;
mod erasing;
mod every_arrow;
mod followers;
mod idempotency;
mod key_rotation;
mod kill_points;
mod live_sales;
mod one_trace;
mod operator_log;
mod operators;
mod outside_issuer;
mod ownership;
mod placing;
mod replay;
mod rows_read;
mod watching;

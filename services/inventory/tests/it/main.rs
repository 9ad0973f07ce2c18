//! Inventory over real gRPC and real Kafka, on a real Postgres.

mod bad_letters;
mod by_letter;
mod catalogue;
mod follow;
mod forget_keys;
mod noted;
mod oversell;
mod permutations;
mod post;
mod release;
mod reserve;
mod restock;
mod seed;
mod shop;
mod together;

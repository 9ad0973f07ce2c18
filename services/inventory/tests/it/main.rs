//! Inventory over real gRPC, on a real Postgres.

mod catalogue;
mod oversell;
mod permutations;
mod release;
mod reserve;
mod restock;
mod seed;
mod shop;

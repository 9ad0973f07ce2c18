//! `postbox audit` on real platforms.

mod clean;
mod shop;
mod watching;

//! Whole-platform stories over real processes and HTTP, and the rules of this repository that a program can check.

pub mod repository;

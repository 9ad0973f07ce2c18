//! Whole-platform stories over real processes and HTTP, and the rules of this repository that a program can check.
//!
//! A journey starts a [`platform::Platform`] (every service as a process of its own, with databases, topics and ports that no
//! other test uses), and is a [`customer::Customer`] of it over HTTP. What cannot be seen from there it looks up where
//! nobody can talk about it: in [`letters`] on the topics, in the databases, and in the card network's books.

pub mod command_line;
pub mod customer;
pub mod faults;
pub mod kill_points;
pub mod letters;
pub mod locks;
pub mod network;
pub mod order_desk;
pub mod platform;
pub mod repository;
pub mod shoppers;
pub mod site;
pub mod undecided;

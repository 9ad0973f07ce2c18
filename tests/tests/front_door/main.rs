//! The front door, route by route: what the interface says of itself is what it does, to its friends and to others.

mod by_example;
mod examples;
mod interface;
mod matrix;
mod request;
mod state;
mod strangers;
mod wrong;

//! The gateway's own answers, over TCP: everything that is decided before another service is asked, and what it says
//! when the others are away. What they answer is told by the journeys, with the whole platform running.

mod authentication;
mod away;
mod bodies;
mod client;
mod connections;
mod cross_origin;
mod events;
mod interface;
mod keys;
mod limits;
mod live;
mod outside_issuer;
mod outside_tokens;
mod packed;
mod process;
mod requests;
mod stand_in;

//! A fail-over with a real database and two Kafkas, which are two namespaces on one broker.

mod going_on;
mod refusals;
mod since;
mod world;

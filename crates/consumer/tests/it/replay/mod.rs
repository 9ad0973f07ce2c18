//! Letters that are given again.

mod effect;
mod projection;
mod subjects;

//! Payment as a process, with a real database and the real stand-in card network, each killed where it hurts.

mod calls;
mod charges;
mod crashes;
mod platform;
mod voids;

//! Payment as a process, with a real database, a real Kafka and the real stand-in card network, each killed where it
//! hurts.

mod bad_letters;
mod by_letter;
mod calls;
mod charges;
mod crashes;
mod crashes_by_letter;
mod order_desk;
mod platform;
mod post;
mod processes;
mod records;
mod refunds;
mod voids;

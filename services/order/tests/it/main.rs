//! Order on a real Postgres and a real Kafka. Its neighbours are not there: what they would say by letter is posted, and on
//! the telephone nobody answers.

mod bad_letters;
mod by_letter;
mod cancel;
mod cancel_races;
mod claims;
mod desk;
mod letters;
mod lists;
mod lost_replies;
mod noted;
mod payment_instruction;
mod post;
mod proxy;
mod shipments;
mod stuck;
mod together;
mod watch;

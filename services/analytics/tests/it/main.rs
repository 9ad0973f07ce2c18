//! Analytics with a real Postgres and a real Kafka: letters come in, figures go out.

mod bad_letters;
mod calls;
mod desk;
mod figures;
mod letters;
mod post;
mod rebuild;
mod stories;
mod timeline;

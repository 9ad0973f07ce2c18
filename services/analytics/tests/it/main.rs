//! Analytics with a real Postgres and a real Kafka: letters come in, figures go out.

mod bad_letters;
mod calls;
mod desk;
mod figures;
mod high_value;
mod high_value_killed;
mod letters;
mod post;
mod program;
mod reading;
mod rebuild;
mod replay;
mod stories;
mod timeline;
mod watch;

//! Notification as a process, with a real Postgres, a real Kafka, the real accounts, and a mail server that stands for another
//! company's.

mod accounts;
mod crashes;
mod delivery;
mod desk;
mod erasing;
mod failures;
mod letters;
mod listing;
mod mail_server;
mod messages;
mod process;
mod settings;

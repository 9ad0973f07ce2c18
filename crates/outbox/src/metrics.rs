//! What a relay tells about itself. The names are documented at the crate's root.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::letter::Backlog;

pub(crate) fn describe() {
    describe_gauge!("relay_leader", "1 while this process publishes the letters of its database");
    describe_gauge!("outbox_depth", "Letters that wait to be published, counted by the leader up to 100,000");
    describe_gauge!("outbox_oldest_age_seconds", "Age of the oldest letter that waits, by the database's clock");
    describe_counter!("outbox_published_total", "Letters that Kafka has acknowledged, repetitions included");
    counter!("outbox_published_total").increment(0);
    set_leader(false);
}

/// Only the leader knows what waits; a former leader must not go on telling.
pub(crate) fn set_leader(leads: bool) {
    gauge!("relay_leader").set(f64::from(u8::from(leads)));
    if !leads {
        gauge!("outbox_depth").set(0.0);
        gauge!("outbox_oldest_age_seconds").set(0.0);
    }
}

pub(crate) fn set_backlog(backlog: &Backlog) {
    #[expect(clippy::cast_precision_loss, reason = "counted to 100,000")]
    gauge!("outbox_depth").set(backlog.letters as f64);
    gauge!("outbox_oldest_age_seconds").set(backlog.oldest_age_seconds);
}

pub(crate) fn count_published() {
    counter!("outbox_published_total").increment(1);
}

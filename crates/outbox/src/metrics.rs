//! What a relay tells about itself. The names are documented at the crate's root.

use std::time::Duration;

use jiff::Timestamp;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use service_runtime::clock::Clock;

use crate::letter::Backlog;

pub(crate) fn describe() {
    describe_gauge!("relay_leader", "1 while this process publishes the letters of its database");
    describe_gauge!("outbox_depth", "Letters that wait to be published, counted by the leader up to 100,000");
    describe_gauge!("outbox_oldest_age_seconds", "Age of the oldest letter that waits, by the database's clock");
    describe_counter!("outbox_published_total", "Letters that Kafka has acknowledged, repetitions included");
    describe_histogram!("relay_lag_seconds", "From when a letter was written to Kafka's acknowledgement");
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

/// Kafka has acknowledged a letter that was written then.
pub(crate) fn count_published(written_at: Timestamp) {
    counter!("outbox_published_total").increment(1);
    // the clocks of two replicas differ a little
    let lag = Duration::try_from(Clock::System.now().duration_since(written_at)).unwrap_or_default();
    histogram!("relay_lag_seconds").record(lag);
}

//! What a process tells its consumers.

use std::time::Duration;

/// Settings of all consumers of a process. Only [`ConsumerConfig::new`]'s three differ between services; the rest are
/// limits.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// `host:port` of the brokers, several separated by commas.
    pub bootstrap_servers: String,
    /// Put before each topic and group on the wire; the database has them without it.
    pub namespace: String,
    /// Kafka's `client.id`.
    pub service_name: String,
    /// The most letters in one transaction, from 1. As many again are gathered while it runs.
    pub batch_events_max: usize,
    /// Transactions begin at least so long after each other, and four times as long as the last one took, as long as not a whole
    /// one is waiting: letters that come in quick succession share a commit, and more of them the busier the machine is. One that
    /// comes alone waits for nothing.
    pub batch_pause: Duration,
    /// How long a transaction may take before it counts as an outage. More than the `transaction_timeout` of the
    /// database role, so that Postgres gives up first.
    pub transaction_deadline: Duration,
    /// How long a batch that runs may hold up the handing over of its partitions, or the end of the process.
    pub handover_deadline: Duration,
    /// How long a member may go without polling before its group gives its partitions to others; at least the 6 s in which
    /// one that is gone is missed. A member polls all the time; only a process that stands still does not.
    pub poll_interval_max: Duration,
    /// The longest wait between two tries during an outage.
    pub outage_backoff_max: Duration,
    /// The wait before a parked letter is tried again; it doubles each time.
    pub retry_backoff: Duration,
    /// How often a parked letter is tried again before it is dead.
    pub retry_tries_max: u32,
    /// How often parked letters that are due are looked for.
    pub retry_poll_interval: Duration,
    /// The most letters that a group may have parked. A partition whose next letter would be one more stops. Members
    /// count for themselves, so several at once may exceed it by a batch each.
    pub parked_letters_max: u32,
}

impl ConsumerConfig {
    /// The usual limits.
    pub fn new(
        bootstrap_servers: impl Into<String>,
        namespace: impl Into<String>,
        service_name: impl Into<String>,
    ) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into(),
            namespace: namespace.into(),
            service_name: service_name.into(),
            batch_events_max: 500,
            batch_pause: Duration::from_millis(20),
            transaction_deadline: Duration::from_secs(15),
            handover_deadline: Duration::from_secs(4),
            poll_interval_max: Duration::from_mins(5),
            outage_backoff_max: Duration::from_secs(5),
            retry_backoff: Duration::from_secs(1),
            retry_tries_max: 5,
            retry_poll_interval: Duration::from_millis(250),
            parked_letters_max: 10_000,
        }
    }
}

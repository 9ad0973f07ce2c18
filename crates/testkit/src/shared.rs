//! Finding the servers that a run of tests shares.

/// The superuser's URL of the PostgreSQL server.
pub(crate) fn postgres_url() -> String {
    variable("TEST_POSTGRES_URL")
}

/// The bootstrap servers of Kafka.
pub(crate) fn kafka_bootstrap() -> String {
    variable("TEST_KAFKA_BOOTSTRAP")
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `make test`, or `make servers` in another terminal and source what it prints")
    })
}

/// A name that no other test uses, in this run or another on the same server: `t` and eight hex digits.
pub(crate) fn unique_prefix() -> String {
    format!("t{:08x}", rand::random::<u32>())
}

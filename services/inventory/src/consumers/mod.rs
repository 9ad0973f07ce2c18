//! What inventory hears by letter. Each line of the list is a topic and what is done on it.

mod orders;

use consumer::{ConsumerConfig, ConsumerService};
use contracts::topics;
use outbox::Waker;
use service_runtime::{Shutdown, clock::Clock, config::KafkaConfig};
use sqlx::PgPool;

pub use orders::FollowOrders;

/// The most letters of one transaction. It holds the stock of all their orders until it commits, and customers wait for
/// that stock meanwhile.
const BATCH_LETTERS_MAX: usize = 250;

/// Reads letters until the end is requested.
pub(crate) async fn run(kafka: KafkaConfig, pool: PgPool, relay: Waker, shutdown: Shutdown) {
    let config = ConsumerConfig::new(kafka.kafka_bootstrap_servers, kafka.kafka_namespace, "inventory");
    handlers(config, pool).after_commit(move || relay.wake()).run(shutdown.token()).await;
}

/// Each topic with its handler, to be run or replayed.
pub fn handlers(config: ConsumerConfig, pool: PgPool) -> ConsumerService {
    ConsumerService::new(ConsumerConfig { batch_events_max: BATCH_LETTERS_MAX, ..config }, pool)
        .on(topics::ORDERS, FollowOrders { clock: Clock::System })
}

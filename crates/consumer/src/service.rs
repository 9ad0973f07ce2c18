//! All consumers of a process.

use std::{collections::BTreeMap, sync::Arc};

use contracts::topics::Topic;
use service_runtime::Error;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    config::ConsumerConfig,
    group::{AfterCommit, Group},
    handler::EventHandler,
    member, metrics, retry,
};

/// The handlers of a process, and what they need.
///
/// ```no_run
/// # use consumer::{ConsumerConfig, ConsumerService, EventHandler, HandlerError, Kind};
/// # struct PrepareParcel;
/// # impl EventHandler for PrepareParcel {
/// #     const GROUP: &'static str = "shipping.prepare-parcels";
/// #     const KIND: Kind = Kind::Effect;
/// #     async fn handle(&self, _: &mut sqlx::PgConnection, _: &contracts::event::Event) -> Result<(), HandlerError> {
/// #         Ok(())
/// #     }
/// # }
/// # async fn serve(pool: sqlx::PgPool, cancel: tokio_util::sync::CancellationToken) {
/// let config = ConsumerConfig::new("127.0.0.1:19092", "", "shipping");
/// ConsumerService::new(config, pool).on(contracts::topics::ORDERS, PrepareParcel).run(cancel).await;
/// # }
/// ```
pub struct ConsumerService {
    config: ConsumerConfig,
    pool: PgPool,
    groups: BTreeMap<&'static str, Group>,
    after_commit: Option<AfterCommit>,
}

impl ConsumerService {
    /// A service without handlers. The pool's role needs what [`crate::MIGRATOR`] says.
    pub fn new(config: ConsumerConfig, pool: PgPool) -> Self {
        Self { config, pool, groups: BTreeMap::new(), after_commit: None }
    }

    /// Gives the letters of a topic to a handler. Panics when its group has a handler on this topic.
    #[must_use]
    pub fn on<H: EventHandler>(mut self, topic: Topic, handler: H) -> Self {
        let group = self.groups.entry(H::GROUP);
        let group = group.or_insert_with(|| Group::new(H::GROUP, self.config.clone(), self.pool.clone()));
        group.add(topic, Box::new(handler));
        info!(group = H::GROUP, topic = topic.name(), kind = ?H::KIND, "a handler");
        self
    }

    /// The group of this name, for a replay.
    pub(crate) fn into_group(mut self, name: &str) -> Result<Group, Error> {
        self.groups.remove(name).ok_or_else(|| {
            let known: Vec<&str> = self.groups.into_keys().collect();
            let (service, known) = (&self.config.service_name, known.join(", "));
            Error::Config(format!("{service} has no consumer group {name}; it has: {known}"))
        })
    }

    /// Calls `wake` after each commit in which a handler did something: to wake the relay of the letters that it wrote, or the
    /// worker of the rows. It must be quick. What is committed just before a crash is not told, so whoever is woken looks by
    /// himself now and then as well.
    #[must_use]
    pub fn after_commit(mut self, wake: impl Fn() + Send + Sync + 'static) -> Self {
        self.after_commit = Some(Arc::new(wake));
        self
    }

    /// Consumes until it is cancelled, then finishes what is under way (within `handover_deadline`) and leaves the groups
    /// (within 3 s). Nothing ends
    /// it before that: brokers and the database are waited for as long as it takes.
    pub async fn run(self, cancel: CancellationToken) {
        let mut parts = JoinSet::new();
        for mut group in self.groups.into_values() {
            group.after_commit.clone_from(&self.after_commit);
            let group = Arc::new(group);
            metrics::describe(&group);
            parts.spawn(member::run(group.clone(), cancel.clone()));
            parts.spawn(retry::run(group, cancel.clone()));
        }
        while let Some(ended) = parts.join_next().await {
            ended.expect("a member does not panic");
        }
    }
}

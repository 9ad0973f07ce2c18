//! A consumer group: its name and its handlers.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use contracts::{event::Event, topics::Topic};
use futures::FutureExt;
use service_runtime::{KeptConnection, telemetry};
use sqlx::{PgConnection, PgPool};
use tracing::{Instrument, Span, info_span};

use crate::{
    config::ConsumerConfig,
    handler::{AnyHandler, Delivered, HandlerError, Kind, handling},
    pace::Pace,
};

/// A partition of a topic, named as in the database: without the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Partition {
    pub topic: &'static str,
    pub number: i32,
}

/// A group, with what its members need.
pub(crate) struct Group {
    pub name: &'static str,
    pub config: ConsumerConfig,
    pub pool: PgPool,
    /// What its batches are written by.
    pub connection: KeptConnection,
    pub pace: Pace,
    /// Told after each commit of effects.
    pub after_commit: Option<AfterCommit>,
    /// Set while a projection is built anew.
    pub confined: Option<Confined>,
    routes: Vec<(&'static str, Box<dyn AnyHandler>)>,
}

/// What wakes whoever works on what handlers wrote.
pub(crate) type AfterCommit = Arc<dyn Fn() + Send + Sync>;

impl Group {
    pub fn new(name: &'static str, config: ConsumerConfig, pool: PgPool) -> Self {
        let pace = Pace::new(config.batch_events_max);
        let connection = KeptConnection::of(pool.clone());
        Self { name, config, pool, connection, pace, after_commit: None, confined: None, routes: Vec::new() }
    }

    pub fn add(&mut self, topic: Topic, handler: Box<dyn AnyHandler>) {
        let topic = topic.name();
        assert!(self.topics().all(|known| known != topic), "two handlers of group {} are on topic {topic}", self.name);
        self.routes.push((topic, handler));
    }

    /// The topics, without the namespace.
    pub fn topics(&self) -> impl Iterator<Item = &'static str> {
        self.routes.iter().map(|&(topic, _)| topic)
    }

    /// The topic of ours that has this name.
    pub fn topic(&self, name: &str) -> Option<&'static str> {
        self.topics().find(|&topic| topic == name)
    }

    /// The name of a topic or group on the wire.
    pub fn on_the_wire(&self, name: &str) -> String {
        format!("{}{name}", self.config.namespace)
    }

    /// The partition that Kafka means.
    pub fn partition(&self, topic_on_the_wire: &str, number: i32) -> Option<Partition> {
        let name = topic_on_the_wire.strip_prefix(&self.config.namespace)?;
        Some(Partition { topic: self.topic(name)?, number })
    }

    /// What a replay of the group means. Its handlers share the position, so they have to agree; the error says that they
    /// do not.
    pub fn kind(&self) -> Result<Kind, String> {
        let mut kinds = self.routes.iter().map(|(_, handler)| handler.kind());
        let first = kinds.next().expect("a group is made for its first handler");
        if kinds.all(|kind| kind == first) {
            return Ok(first);
        }
        Err(format!("the handlers of {} differ in their Kind, tables included: no replay does both", self.name))
    }

    pub fn wants(&self, topic: &str, event_type: &str) -> bool {
        self.handler(topic).wants(event_type)
    }

    /// Gives a letter to its handler, as a part of the letter's trace.
    pub async fn handle(
        &self,
        topic: &'static str,
        conn: &mut PgConnection,
        event: &Event,
    ) -> Result<(), HandlerError> {
        let span = handling(self.name, topic, event);
        let handled = uncaught(self.handler(topic).handle(conn, event).instrument(span.clone())).await;
        if let Err(error) = &handled {
            telemetry::failed(&span, error.text());
        }
        handled
    }

    /// Gives letters of one topic to their handler, each as a part of its own trace. A letter that is alone is given alone.
    pub async fn handle_all(
        &self,
        topic: &'static str,
        conn: &mut PgConnection,
        events: Vec<Event>,
    ) -> Result<(), HandlerError> {
        if let [event] = events.as_slice() {
            return self.handle(topic, conn, event).await;
        }
        let letters: Vec<Delivered> = events.into_iter().map(|event| Delivered::new(self.name, topic, event)).collect();
        uncaught(self.handler(topic).handle_all(conn, &letters)).await
    }

    /// What a transaction with so many letters is seen as, where spans are exported: beside the traces of its letters, which
    /// link to it.
    pub fn batch_span(&self, letters: usize) -> Span {
        if !telemetry::is_exported() {
            return Span::none();
        }
        info_span!(
            target: telemetry::EXPORTED_ONLY,
            parent: None,
            "batch",
            otel.name = format_args!("batch {}", self.name),
            otel.kind = "consumer",
            messaging.system = "kafka",
            messaging.operation.type = "process",
            messaging.consumer.group.name = self.name,
            messaging.batch.message_count = i64::try_from(letters).unwrap_or(i64::MAX)
        )
    }

    /// To be called after the commit of what a handler did.
    pub fn committed(&self) {
        if let Some(after_commit) = &self.after_commit {
            after_commit();
        }
    }

    fn handler(&self, topic: &str) -> &dyn AnyHandler {
        let route = self.routes.iter().find(|(known, _)| *known == topic);
        &*route.expect("only letters of the group's own topics come here").1
    }
}

/// A handler that panics on a letter must not stop its partition, or the retries of others.
async fn uncaught(handling: impl Future<Output = Result<(), HandlerError>>) -> Result<(), HandlerError> {
    AssertUnwindSafe(handling).catch_unwind().await.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(HandlerError::reject(format!("the handler panicked: {message}")))
    })
}

/// To be called before the commit of what a handler did. A statement that failed and was passed over has aborted the
/// transaction, and its commit would be a rollback that looks like a success; and a deferred constraint must be the
/// letter's fault, not the commit's.
pub(crate) async fn check_in_tx(conn: &mut PgConnection, group: &Group) -> Result<(), HandlerError> {
    sqlx::query("SET CONSTRAINTS ALL IMMEDIATE").execute(&mut *conn).await?;
    match &group.confined {
        Some(confined) => confined.check_in_tx(conn).await,
        None => Ok(()),
    }
}

/// The schema that all a handler writes has to go to. See [`crate::replay`].
#[derive(Debug)]
pub(crate) struct Confined {
    schema: String,
    broken_by: OnceLock<String>,
}

impl Confined {
    pub fn to(schema: &str) -> Self {
        Self { schema: schema.to_owned(), broken_by: OnceLock::new() }
    }

    /// The table outside of the schema that was written to, and rolled back.
    pub fn broken_by(&self) -> Option<&str> {
        self.broken_by.get().map(String::as_str)
    }

    /// Fails when this transaction has written to a table outside of the schema. The view counts for the session since its
    /// last report, which comes between two transactions: all of this one is in it, and what is in it of earlier ones was
    /// either inside the schema or has ended the replay.
    async fn check_in_tx(&self, conn: &mut PgConnection) -> Result<(), HandlerError> {
        let outside: Option<String> = sqlx::query_scalar(
            "SELECT schemaname || '.' || relname FROM pg_stat_xact_user_tables
             WHERE schemaname <> $1 AND n_tup_ins + n_tup_upd + n_tup_del > 0
             LIMIT 1",
        )
        .bind(&self.schema)
        .fetch_optional(conn)
        .await?;
        let Some(table) = outside else { return Ok(()) };
        let refused = HandlerError::Retry(format!("the handler writes {table}").into());
        let _ = self.broken_by.set(table);
        Err(refused)
    }
}

//! What a service implements.

use std::{error::Error, sync::OnceLock};

use contracts::event::{Event, InvalidEvent};
use futures::future::BoxFuture;
use service_runtime::{database, telemetry};
use sqlx::PgConnection;
use tracing::{Instrument, Span, field::Empty, info_span};

/// Any error, as a handler met it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// One thing that a service does on the letters of a topic.
///
/// `handle` does SQL only, on the connection that it is given: the transaction that also moves the group's position. It
/// may be called again for the same letter, after a rollback or because the letter was sent twice. What needs an answer
/// from outside, it writes down as a row for a worker. A letter of its own it writes to the outbox on the same
/// connection.
pub trait EventHandler: Send + Sync + 'static {
    /// The consumer group, like `shipping.prepare-parcels`: named after the service, by which `postbox replay` finds it.
    /// Handlers of one group, each on a topic of its own, share a
    /// Kafka consumer and the position.
    const GROUP: &'static str;

    /// What a replay means for it.
    const KIND: Kind;

    /// Whether letters of this type are handled. Of others the group's position passes by. Types are added to topics
    /// over time, so a handler that wants only some should say so.
    fn wants(&self, event_type: &str) -> bool {
        let _ = event_type;
        true
    }

    /// Makes the effects of one letter. A panic counts as [`HandlerError::Reject`].
    fn handle(&self, conn: &mut PgConnection, event: &Event) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Makes the effects of several letters of one topic, in their sequence; a key may occur more than once. A handler that has a
    /// statement for many is much faster with it than with a statement for each.
    ///
    /// It need not find out whose fault an error is: whatever fails is rolled back, and the letters come again one by one, to
    /// [`Self::handle`].
    fn handle_all(
        &self,
        conn: &mut PgConnection,
        letters: &[Delivered],
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async move {
            for letter in letters {
                self.handle(conn, &letter.event).instrument(letter.span().clone()).await?;
            }
            Ok(())
        }
    }
}

/// A letter in the hands of its handler.
#[derive(Debug)]
pub struct Delivered {
    /// What it says.
    pub event: Event,
    group: &'static str,
    topic: &'static str,
    span: OnceLock<Span>,
}

impl Delivered {
    /// A letter of this topic, given to a handler of this group. The current span is that of the batch that it is in.
    pub fn new(group: &'static str, topic: &'static str, event: Event) -> Self {
        let letter = Self { event, group, topic, span: OnceLock::new() };
        if telemetry::is_exported() {
            // whoever watches is to see it, whether or not anything is said in it
            letter.span();
        }
        letter
    }

    /// The part of the letter's trace that is its handling here: what is said or written for this letter alone is said in it. Made when
    /// it is first asked for: most handlers say nothing of most letters, and a span is dear beside what is done.
    pub fn span(&self) -> &Span {
        self.span.get_or_init(|| handling(self.group, self.topic, &self.event))
    }
}

/// The part of a letter's trace that is its handling. The current span, that of the batch that it is in, is in no trace of a letter, and
/// is linked to.
pub(crate) fn handling(group: &'static str, topic: &'static str, event: &Event) -> Span {
    let span = info_span!(
        parent: None,
        "handle",
        group,
        event.id = %event.id,
        event.type = event.event_type,
        otel.name = format_args!("handle {topic} {group}"),
        otel.kind = "consumer",
        trace_id = Empty
    );
    if telemetry::is_exported() {
        telemetry::link_to(&span, &Span::current());
        telemetry::note(&span, "messaging.system", "kafka");
        telemetry::note(&span, "messaging.operation.type", "process");
        telemetry::note(&span, "messaging.destination.name", topic);
        telemetry::note(&span, "messaging.consumer.group.name", group);
    }
    telemetry::join(&span, event.traceparent.as_deref());
    span
}

/// What it means to give a handler its letters again from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its tables hold nothing but what the letters say. A replay builds them anew beside the old ones, with letters of
    /// its own switched off.
    Projection {
        /// Every table that the handler writes to, without a schema; it names them without one in its statements, too. All
        /// are replaced together, so no other handler and no worker writes to them.
        tables: &'static [&'static str],
    },
    /// It changes the world. A replay makes only what its natural key shows to be missing.
    Effect,
}

/// Why a letter had no effect, and what that means.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// Something is away or busy. The partition waits and tries again for as long as it takes; the letter never dies.
    #[error("{0}")]
    Retry(#[source] BoxError),
    /// Something is wrong with this letter. It is parked with its key, and dies if it does not get better.
    #[error("{0}")]
    Reject(#[source] BoxError),
}

impl HandlerError {
    /// Refuses the letter with a sentence.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into().into())
    }

    /// The error with its causes, in one line.
    pub(crate) fn text(&self) -> String {
        let (Self::Retry(error) | Self::Reject(error)) = self;
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let error_text = error.to_string();
            // many errors repeat their source
            if !text.contains(&error_text) {
                text.push_str(": ");
                text.push_str(&error_text);
            }
            cause = error.source();
        }
        text
    }
}

/// The letter's own fault when its data break a rule of the table, or a row that must be there is not; the handler's when
/// it goes on after a statement that failed. Everything else (no connection, a deadlock, a time limit, a missing table)
/// passes, or is repaired, and then the same letter gets through.
impl From<sqlx::Error> for HandlerError {
    fn from(error: sqlx::Error) -> Self {
        // in_failed_sql_transaction
        let is_final = database::is_of_the_data(&error) || database::has_state(&error, "25P02");
        if is_final { Self::Reject(error.into()) } else { Self::Retry(error.into()) }
    }
}

impl From<InvalidEvent> for HandlerError {
    fn from(error: InvalidEvent) -> Self {
        Self::Reject(error.into())
    }
}

/// [`EventHandler`] behind a pointer, so that a process can have a list of them.
pub(crate) trait AnyHandler: Send + Sync {
    fn kind(&self) -> Kind;

    fn wants(&self, event_type: &str) -> bool;

    fn handle<'a>(&'a self, conn: &'a mut PgConnection, event: &'a Event) -> BoxFuture<'a, Result<(), HandlerError>>;

    fn handle_all<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        letters: &'a [Delivered],
    ) -> BoxFuture<'a, Result<(), HandlerError>>;
}

impl<H: EventHandler> AnyHandler for H {
    fn kind(&self) -> Kind {
        H::KIND
    }

    fn wants(&self, event_type: &str) -> bool {
        EventHandler::wants(self, event_type)
    }

    fn handle<'a>(&'a self, conn: &'a mut PgConnection, event: &'a Event) -> BoxFuture<'a, Result<(), HandlerError>> {
        Box::pin(EventHandler::handle(self, conn, event))
    }

    fn handle_all<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        letters: &'a [Delivered],
    ) -> BoxFuture<'a, Result<(), HandlerError>> {
        Box::pin(EventHandler::handle_all(self, conn, letters))
    }
}

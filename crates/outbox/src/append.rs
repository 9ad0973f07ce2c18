//! Writing letters, in the transaction of the change that they tell about.

use std::borrow::Borrow;

use contracts::{event::Event, topics::Topic};
use jiff_sqlx::ToSqlx;
use sqlx::{Arguments, PgConnection, postgres::PgArguments};
use uuid::Uuid;

use crate::{insert_letters, room};

/// The largest letter, in bytes of key and payload together. Half of what a broker takes by default
/// (`message.max.bytes`, 1 MiB), so that the headers fit as well: a letter that the broker refuses would hold back all
/// letters after it.
pub const LETTER_BYTES_MAX: usize = 512 * 1024;

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 255;

/// Why a letter was not written. Nothing of the call was; after [`Error::Database`] the transaction is to be rolled
/// back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The subject is empty or too long to be a key.
    #[error("a {event_type} letter has a subject of {bytes} bytes; it is its key and takes 1 to {KEY_BYTES_MAX}")]
    Key {
        /// The letter's type.
        event_type: String,
        /// Bytes of the subject.
        bytes: usize,
    },
    /// The sequence number does not count from 1.
    #[error("the {event_type} letter of {key} has the sequence number {sequence}; versions count from 1")]
    Sequence {
        /// The letter's type.
        event_type: String,
        /// The aggregate.
        key: String,
        /// What was given.
        sequence: i64,
    },
    /// The letter is larger than [`LETTER_BYTES_MAX`].
    #[error("the {event_type} letter of {key} has {bytes} bytes; at most {LETTER_BYTES_MAX} fit, so send a reference")]
    TooLarge {
        /// The letter's type.
        event_type: String,
        /// The aggregate.
        key: String,
        /// Bytes of key and payload.
        bytes: usize,
    },
    /// The database refused or is away. A unique violation means that this aggregate's sequence number has a letter.
    #[error("writing to the outbox: {0}")]
    Database(#[from] sqlx::Error),
}

/// Writes one letter; the caller commits, and wakes the relay afterwards ([`crate::Waker::wake`]).
///
/// Call it after the row of the aggregate was written or locked in the same transaction. That is what keeps the
/// letters of one key in order: the id is drawn here, so the next letter of this key draws a greater one, after this
/// transaction is over.
pub async fn append_in_tx(conn: &mut PgConnection, topic: Topic, event: &Event) -> Result<(), Error> {
    append_many_in_tx(conn, topic, std::slice::from_ref(event)).await
}

/// Writes the letters of a batch in their order, in one statement: all or none. See [`append_in_tx`].
pub async fn append_many_in_tx<E: Borrow<Event> + Sync>(
    conn: &mut PgConnection,
    topic: Topic,
    events: &[E],
) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query_with(insert_letters!(""), first_parameters(topic, events)?)
        .execute(conn)
        .await
        .inspect_err(room::remember)?;
    Ok(())
}

/// The statement that inserts letters, a literal, to stand by itself or as a part of the statement that writes the rows of their
/// aggregates, which saves a transaction its round trips. Its parameters `$1` to `$9` are the letters, by [`first_parameters`]; the literal
/// that is given says which of them are inserted (`WHERE …`), and sees the place of each as `letter.place`, from 1.
///
/// Where the aggregates' rows are written by the same statement, the condition must need them: the ids are drawn after
/// all letters that it lets through are sorted, hence after those rows were written or locked.
#[macro_export]
macro_rules! insert_letters {
    ($which:literal) => {
        // the defaults `id` and `inserted_at` are computed row by row above the sort, so ids follow the given order
        concat!(
            "INSERT INTO outbox (topic, event_id, key, sequence, event_type, source, occurred_at, traceparent, payload)
             SELECT $1, event_id, key, sequence, event_type, source, occurred_at, traceparent, payload
             FROM unnest($2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[], $8::text[],
                     $9::bytea[])
                 WITH ORDINALITY
                 AS letter(event_id, key, sequence, event_type, source, occurred_at, traceparent, payload, place) ",
            $which,
            " ORDER BY place"
        )
    };
}

/// Letters as the first parameters of a statement with [`insert_letters`]; the statement's own come after them. Such a statement
/// tells [`note_failure`] of what it fails of.
pub fn first_parameters<E: Borrow<Event>>(topic: Topic, events: &[E]) -> Result<PgArguments, Error> {
    let events: Vec<&Event> = events.iter().map(Borrow::borrow).collect();
    for event in &events {
        check(event)?;
    }
    let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
    let keys: Vec<&str> = events.iter().map(|event| event.subject.as_str()).collect();
    let sequences: Vec<i64> = events.iter().map(|event| event.sequence).collect();
    let types: Vec<&str> = events.iter().map(|event| event.event_type.as_str()).collect();
    let sources: Vec<&str> = events.iter().map(|event| event.source.as_str()).collect();
    let times: Vec<jiff_sqlx::Timestamp> = events.iter().map(|event| event.time.to_sqlx()).collect();
    let traceparents: Vec<Option<&str>> = events.iter().map(|event| event.traceparent.as_deref()).collect();
    let payloads: Vec<&[u8]> = events.iter().map(|event| event.payload.as_slice()).collect();
    let mut parameters = PgArguments::default();
    let bind_all = || {
        parameters.add(topic.name())?;
        parameters.add(ids)?;
        parameters.add(keys)?;
        parameters.add(sequences)?;
        parameters.add(types)?;
        parameters.add(sources)?;
        parameters.add(times)?;
        parameters.add(traceparents)?;
        parameters.add(payloads)
    };
    bind_all().map_err(sqlx::Error::Encode)?;
    Ok(parameters)
}

/// Remembers a statement with letters that failed for want of room: the service is not [ready](crate::readiness) then.
pub fn note_failure(failure: &sqlx::Error) {
    room::remember(failure);
}

fn check(event: &Event) -> Result<(), Error> {
    let event_type = || event.event_type.clone();
    let key = || event.subject.clone();
    let bytes = event.subject.len() + event.payload.len();
    if event.subject.is_empty() || event.subject.len() > KEY_BYTES_MAX {
        return Err(Error::Key { event_type: event_type(), bytes: event.subject.len() });
    }
    if event.sequence < 1 {
        return Err(Error::Sequence { event_type: event_type(), key: key(), sequence: event.sequence });
    }
    if bytes > LETTER_BYTES_MAX {
        return Err(Error::TooLarge { event_type: event_type(), key: key(), bytes });
    }
    Ok(())
}

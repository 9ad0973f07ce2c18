//! The handler under test: writes an effect down, then does with the letter what the test says.

use std::{collections::HashMap, sync::Arc};

use consumer::{EventHandler, HandlerError, Kind};
use contracts::event::Event;
use sqlx::PgConnection;
use tokio::sync::watch;

/// What a handler does with letters, by their key. Changes take effect at the next letter.
#[derive(Debug, Clone, Default)]
pub struct Moods(Arc<watch::Sender<HashMap<String, Mood>>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Refuses every letter of the key.
    Reject,
    /// Refuses the letter with sequence number 1, and would take those behind it.
    RejectFirst,
    /// Says that something is away.
    Retry,
    Panic,
    /// Goes on after a statement that has failed.
    Swallow,
    /// Stays in the transaction until the mood changes.
    Hang,
}

impl Moods {
    pub fn set(&self, key: &str, mood: Mood) {
        self.0.send_modify(|moods| {
            moods.insert(key.to_owned(), mood);
        });
    }

    pub fn accept(&self, key: &str) {
        self.0.send_modify(|moods| {
            moods.remove(key);
        });
    }

    pub fn of(&self, key: &str) -> Option<Mood> {
        self.0.borrow().get(key).copied()
    }

    async fn changed_from(&self, key: &str, mood: Mood) {
        let _ = self.0.subscribe().wait_for(|moods| moods.get(key) != Some(&mood)).await;
    }
}

/// Writes each letter to table `effect`, which has no unique key: what is done twice is there twice.
pub struct Recorder(pub Moods);

impl EventHandler for Recorder {
    const GROUP: &'static str = "test.recorder";
    const KIND: Kind = Kind::Effect;

    fn wants(&self, event_type: &str) -> bool {
        event_type != "test.unwanted"
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        record(conn, event).await?;
        let key = &event.subject;
        match self.0.of(key) {
            Some(Mood::RejectFirst) if event.sequence > 1 => Ok(()),
            Some(Mood::Reject | Mood::RejectFirst) => Err(HandlerError::reject(format!("{key} is no good"))),
            Some(Mood::Retry) => Err(HandlerError::Retry("something is away".into())),
            Some(Mood::Panic) => panic!("{key} is too much"),
            Some(Mood::Swallow) => {
                let _ = sqlx::query("SELECT 1 / 0").execute(conn).await;
                Ok(())
            }
            Some(Mood::Hang) => {
                self.0.changed_from(key, Mood::Hang).await;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Sessions of `pg_stat_activity` in which a handler stays after [`record`]. That a transaction is open says less: the look for
/// parked letters opens one as well.
pub const IN_A_HANDLER: &str = "state = 'idle in transaction' AND query LIKE 'INSERT INTO effect%'";

pub async fn record(conn: &mut PgConnection, event: &Event) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO effect (event_id, key, sequence) VALUES ($1, $2, $3)")
        .bind(event.id)
        .bind(&event.subject)
        .bind(event.sequence)
        .execute(conn)
        .await?;
    Ok(())
}

//! The handler under test: writes an effect down, then does with the letter what the test says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use consumer::{EventHandler, HandlerError, Kind};
use contracts::event::Event;
use sqlx::PgConnection;

/// What a handler does with letters, by their key. Changes take effect at the next letter.
#[derive(Debug, Clone, Default)]
pub struct Moods(Arc<Mutex<HashMap<String, Mood>>>);

#[derive(Debug, Clone, Copy)]
pub enum Mood {
    Reject,
    Retry,
    Panic,
}

impl Moods {
    pub fn set(&self, key: &str, mood: Mood) {
        self.0.lock().unwrap().insert(key.to_owned(), mood);
    }

    pub fn accept(&self, key: &str) {
        self.0.lock().unwrap().remove(key);
    }

    fn of(&self, key: &str) -> Option<Mood> {
        self.0.lock().unwrap().get(key).copied()
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
        match self.0.of(&event.subject) {
            None => Ok(()),
            Some(Mood::Reject) => Err(HandlerError::reject(format!("{} is no good", event.subject))),
            Some(Mood::Retry) => Err(HandlerError::Retry("something is away".into())),
            Some(Mood::Panic) => panic!("{} is too much", event.subject),
        }
    }
}

pub async fn record(conn: &mut PgConnection, event: &Event) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO effect (event_id, key, sequence) VALUES ($1, $2, $3)")
        .bind(event.id)
        .bind(&event.subject)
        .bind(event.sequence)
        .execute(conn)
        .await?;
    Ok(())
}

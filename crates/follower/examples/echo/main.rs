//! A follower in a process of its own, for the tests: it answers each letter with one on another topic.

use std::process::ExitCode;

use contracts::{
    event::Event,
    topics::{ORDERS, SHIPMENTS},
};
use follower::{EventHandler, HandlerError, Kind};
use sqlx::PgConnection;
use uuid::Uuid;

struct Answer;

impl EventHandler for Answer {
    const GROUP: &'static str = "echo.answer";
    const KIND: Kind = Kind::Effect;

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        let written = sqlx::query("INSERT INTO answered (event_id) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(event.id)
            .execute(&mut *conn)
            .await?;
        if written.rows_affected() == 1 {
            let answer = Event { id: Uuid::now_v7(), ..event.clone() };
            outbox::append_in_tx(conn, SHIPMENTS, &answer).await.map_err(|error| match error {
                outbox::Error::Database(away) => away.into(),
                refused => HandlerError::Reject(refused.into()),
            })?;
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    follower::run(include_str!("service.toml"), sqlx::migrate!("examples/echo/migrations"), |letters| {
        letters.on(ORDERS, Answer)
    })
}

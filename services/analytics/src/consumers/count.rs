//! A letter becomes a row of its order's timeline, and is counted.

use consumer::{Delivered, EventHandler, HandlerError, Kind};
use contracts::event::Event;
use sqlx::PgConnection;

use crate::{letter::Letter, span::Window, store};

/// Keeps every letter once, and counts it when it is kept. That the timeline has it is the natural key of all counting: a
/// letter that comes again is not kept, so it is not counted.
///
/// It wants every type: a timeline that leaves out what analytics does not know yet would not be the order's.
#[derive(Debug)]
pub struct CountLetters;

impl EventHandler for CountLetters {
    const GROUP: &'static str = "analytics.count";
    const KIND: Kind = Kind::Projection { tables: &["timeline", "sales_minute", "product_minute"] };

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        count(conn, &[event]).await
    }

    async fn handle_all(&self, conn: &mut PgConnection, letters: &[Delivered]) -> Result<(), HandlerError> {
        let events: Vec<&Event> = letters.iter().map(|letter| &letter.event).collect();
        count(conn, &events).await
    }
}

async fn count(conn: &mut PgConnection, events: &[&Event]) -> Result<(), HandlerError> {
    let read = events.iter().map(|&event| Ok((event, Letter::read(event)?)));
    let letters = read.collect::<Result<Vec<_>, HandlerError>>()?;
    let mut uncounted = store::keep_letters_in_tx(conn, &letters).await?;
    let mut figures = Vec::new();
    for (event, letter) in letters {
        // taken out, so that a letter that is here twice is counted once
        if uncounted.remove(&event.id)
            && let Some(figure) = letter.figure
        {
            figures.push((Window::Minute.start_of(event.time), figure));
        }
    }
    if figures.is_empty() {
        return Ok(());
    }
    store::begin_counting_in_tx(conn).await?;
    Ok(store::add_in_tx(conn, &figures).await?)
}

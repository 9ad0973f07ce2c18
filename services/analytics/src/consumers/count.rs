//! A letter becomes a row of its order's timeline, and is counted.

use consumer::{EventHandler, HandlerError, Kind};
use contracts::event::Event;
use sqlx::PgConnection;

use crate::{
    letter::{Figure, Letter},
    span::Window,
    store,
};

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
        let letter = Letter::read(event)?;
        let is_new = store::keep_letter_in_tx(conn, event, &letter).await?;
        let Some(figure) = letter.figure.filter(|_| is_new) else { return Ok(()) };
        let minute = Window::Minute.start_of(event.time);
        store::begin_counting_in_tx(conn).await?;
        match figure {
            Figure::Sold { total, lines } => {
                store::add_sale_in_tx(conn, minute, total).await?;
                store::add_products_in_tx(conn, minute, &lines).await?;
            }
            Figure::GivenBack(total) => store::add_cancellation_in_tx(conn, minute, total).await?,
        }
        Ok(())
    }
}

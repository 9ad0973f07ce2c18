//! `inventory.reservation.v1`: what inventory answered to an order by letter.

use consumer::{Delivered, EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::{ReservationHeld, ReservationRefused, reservation_refused},
    inventory::v1::Reserved,
};
use service_runtime::clock::Clock;
use sqlx::PgConnection;
use tracing::Span;

use super::{GROUP, Told, order_of, tell, tell_all};
use crate::{
    order::Heard,
    saga::{Fact, Refusal},
    telephone::prices,
};

/// Tells orders whether their stock is held.
#[derive(Debug)]
pub struct HearReservation {
    clock: Clock,
}

impl HearReservation {
    /// A handler that stamps the order's changes with this clock.
    pub const fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

impl EventHandler for HearReservation {
    const GROUP: &'static str = GROUP;
    const KIND: Kind = Kind::Effect;

    fn wants(&self, event_type: &str) -> bool {
        [ReservationHeld::TYPE, ReservationRefused::TYPE].contains(&event_type)
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        self.tell_in_tx(conn, vec![read(event, Span::current())?]).await
    }

    async fn handle_all(&self, conn: &mut PgConnection, letters: &[Delivered]) -> Result<(), HandlerError> {
        let told = letters.iter().map(|letter| read(&letter.event, letter.span().clone())).collect::<Result<_, _>>()?;
        self.tell_in_tx(conn, told).await
    }
}

impl HearReservation {
    async fn tell_in_tx(&self, conn: &mut PgConnection, letters: Vec<Told<What>>) -> Result<(), HandlerError> {
        tell_all(conn, letters, |kept, what| {
            let heard = match what {
                What::Held(reserved) => {
                    let prices = prices(&kept.order, reserved).map_err(HandlerError::reject)?;
                    Heard { prices: Some(prices), ..Fact::StockHeld.into() }
                }
                What::Refused(refusal) => Fact::StockRefused(refusal).into(),
            };
            tell(self.clock, kept, &heard)
        })
        .await
    }
}

enum What {
    Held(Reserved),
    Refused(Refusal),
}

fn read(event: &Event, span: Span) -> Result<Told<What>, HandlerError> {
    if event.event_type == ReservationHeld::TYPE {
        let letter: ReservationHeld = event.decode()?;
        let what = What::Held(letter.reserved.unwrap_or_default());
        return Ok(Told { order: order_of(event, &letter.order_id)?, what, span });
    }
    let letter: ReservationRefused = event.decode()?;
    let refusal = match letter.refusal {
        Some(reservation_refused::Refusal::OutOfStock(_)) => Refusal::OutOfStock,
        Some(reservation_refused::Refusal::UnknownSku(_)) => Refusal::UnknownSku,
        Some(reservation_refused::Refusal::MixedCurrencies(_)) => Refusal::MixedCurrencies,
        None => return Err(HandlerError::reject("the refusal has no reason")),
    };
    Ok(Told { order: order_of(event, &letter.order_id)?, what: What::Refused(refusal), span })
}

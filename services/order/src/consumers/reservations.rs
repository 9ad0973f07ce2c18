//! `inventory.reservation.v1`: what inventory answered to an order by letter.

use consumer::{EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::{ReservationHeld, ReservationRefused, reservation_refused},
};
use service_runtime::clock::Clock;
use sqlx::PgConnection;

use super::{GROUP, lock, tell};
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
        let (kept, heard) = if event.event_type == ReservationHeld::TYPE {
            let letter: ReservationHeld = event.decode()?;
            let kept = lock(conn, event, &letter.order_id).await?;
            let prices = prices(&kept.order, letter.reserved.unwrap_or_default()).map_err(HandlerError::reject)?;
            (kept, Heard { prices: Some(prices), ..Fact::StockHeld.into() })
        } else {
            let letter: ReservationRefused = event.decode()?;
            let refusal = match letter.refusal {
                Some(reservation_refused::Refusal::OutOfStock(_)) => Refusal::OutOfStock,
                Some(reservation_refused::Refusal::UnknownSku(_)) => Refusal::UnknownSku,
                Some(reservation_refused::Refusal::MixedCurrencies(_)) => Refusal::MixedCurrencies,
                None => return Err(HandlerError::reject("the refusal has no reason")),
            };
            (lock(conn, event, &letter.order_id).await?, Fact::StockRefused(refusal).into())
        };
        tell(conn, self.clock, &kept, heard).await
    }
}

//! `payments.payment.v1`: what came of charging an order by letter.

use consumer::{EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::{PaymentCaptured, PaymentDeclined, payment_declined},
    inventory::v1::Reserved,
};
use service_runtime::clock::Clock;
use sqlx::PgConnection;

use super::{GROUP, lock, tell};
use crate::{order::Heard, saga::Fact, telephone::prices};

/// Tells orders whether they are paid. The letter brings the prices along, because it may overtake that of inventory.
#[derive(Debug)]
pub struct HearPayment {
    clock: Clock,
}

impl HearPayment {
    /// A handler that stamps the order's changes with this clock.
    pub const fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

impl EventHandler for HearPayment {
    const GROUP: &'static str = GROUP;
    const KIND: Kind = Kind::Effect;

    fn wants(&self, event_type: &str) -> bool {
        [PaymentCaptured::TYPE, PaymentDeclined::TYPE].contains(&event_type)
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        let (fact, order_id, reserved) = read(event)?;
        let kept = lock(conn, event, &order_id).await?;
        let prices = prices(&kept.order, reserved.unwrap_or_default()).map_err(HandlerError::reject)?;
        tell(conn, self.clock, &kept, Heard { prices: Some(prices), ..fact.into() }).await
    }
}

fn read(event: &Event) -> Result<(Fact, String, Option<Reserved>), HandlerError> {
    if event.event_type == PaymentCaptured::TYPE {
        let letter: PaymentCaptured = event.decode()?;
        return Ok((Fact::Captured, letter.order_id, letter.reserved));
    }
    let letter: PaymentDeclined = event.decode()?;
    let fact = match letter.refusal {
        Some(payment_declined::Refusal::Declined(_)) => Fact::Declined,
        Some(payment_declined::Refusal::UnknownCard(_)) => Fact::CardUnknown,
        None => return Err(HandlerError::reject("the decline has no reason")),
    };
    Ok((fact, letter.order_id, letter.reserved))
}

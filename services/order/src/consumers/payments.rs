//! `payments.payment.v1`: what came of charging an order by letter.

use consumer::{Delivered, EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::{PaymentCaptured, PaymentDeclined, payment_declined},
    inventory::v1::Reserved,
};
use service_runtime::clock::Clock;
use sqlx::PgConnection;
use tracing::Span;

use super::{GROUP, Told, order_of, tell, tell_all};
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
        self.tell_in_tx(conn, vec![read(event, Span::current())?]).await
    }

    async fn handle_all(&self, conn: &mut PgConnection, letters: &[Delivered]) -> Result<(), HandlerError> {
        let told = letters.iter().map(|letter| read(&letter.event, letter.span().clone())).collect::<Result<_, _>>()?;
        self.tell_in_tx(conn, told).await
    }
}

impl HearPayment {
    async fn tell_in_tx(&self, conn: &mut PgConnection, letters: Vec<Told<What>>) -> Result<(), HandlerError> {
        tell_all(conn, letters, |kept, What { fact, reserved }| {
            let prices = prices(&kept.order, reserved).map_err(HandlerError::reject)?;
            tell(self.clock, kept, &Heard { prices: Some(prices), ..fact.into() })
        })
        .await
    }
}

/// What came of the charge, and what was charged for.
struct What {
    fact: Fact,
    reserved: Reserved,
}

fn read(event: &Event, span: Span) -> Result<Told<What>, HandlerError> {
    if event.event_type == PaymentCaptured::TYPE {
        let letter: PaymentCaptured = event.decode()?;
        let what = What { fact: Fact::Captured, reserved: letter.reserved.unwrap_or_default() };
        return Ok(Told { order: order_of(event, &letter.order_id)?, what, span });
    }
    let letter: PaymentDeclined = event.decode()?;
    let fact = match letter.refusal {
        Some(payment_declined::Refusal::Declined(_)) => Fact::Declined,
        Some(payment_declined::Refusal::UnknownCard(_)) => Fact::CardUnknown,
        None => return Err(HandlerError::reject("the decline has no reason")),
    };
    let what = What { fact, reserved: letter.reserved.unwrap_or_default() };
    Ok(Told { order: order_of(event, &letter.order_id)?, what, span })
}

//! `shipping.shipment.v1`: where the parcel is becomes part of the order, and a letter of its own.

use consumer::{Delivered, EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::{ShipmentCancelled, ShipmentCreated, ShipmentDelivered, ShipmentDispatched, ShipmentPrepared},
};
use service_runtime::clock::Clock;
use sqlx::PgConnection;
use tracing::Span;

use super::{GROUP, Told, order_of, tell, tell_all};
use crate::{
    keep::Keep,
    order::{Heard, Shipment},
    saga::{self, Fact, Step},
    store::Attempt,
    telephone,
};

/// Keeps an order's view of its parcel up to date.
#[derive(Debug)]
pub struct HearShipment {
    clock: Clock,
}

impl HearShipment {
    /// A handler that stamps the order's changes with this clock.
    pub const fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

impl EventHandler for HearShipment {
    const GROUP: &'static str = GROUP;
    const KIND: Kind = Kind::Effect;

    fn wants(&self, event_type: &str) -> bool {
        [
            ShipmentCreated::TYPE,
            ShipmentPrepared::TYPE,
            ShipmentDispatched::TYPE,
            ShipmentDelivered::TYPE,
            ShipmentCancelled::TYPE,
        ]
        .contains(&event_type)
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        self.tell_in_tx(conn, vec![read(event, Span::current())?]).await
    }

    async fn handle_all(&self, conn: &mut PgConnection, letters: &[Delivered]) -> Result<(), HandlerError> {
        let told = letters.iter().map(|letter| read(&letter.event, letter.span().clone())).collect::<Result<_, _>>()?;
        self.tell_in_tx(conn, told).await
    }
}

impl HearShipment {
    async fn tell_in_tx(&self, conn: &mut PgConnection, letters: Vec<Told<What>>) -> Result<(), HandlerError> {
        tell_all(conn, letters, |kept, What { fact, shipment }| {
            // its own version is the natural key: a repeated or older letter changes nothing
            let Some(order) = kept.order.shipment_moved(shipment.clone()) else { return Ok(None) };
            // a cancel that waits for shipping's answer on the telephone has it here, a parcel that was given up begins one, and
            // what cannot be is refused
            if let Some(fact) = fact.filter(|&fact| saga::next(kept.order.state, fact) != Step::AlreadyApplied) {
                return tell(self.clock, kept, &Heard { shipment: Some(shipment), ..fact.into() });
            }
            Ok(Some(Keep::new(self.clock, kept, &order, None, Attempt::AsBefore)))
        })
        .await
    }
}

/// Where the parcel is, and what that means for its order, if anything.
struct What {
    fact: Option<Fact>,
    shipment: Shipment,
}

fn read(event: &Event, span: Span) -> Result<Told<What>, HandlerError> {
    // every letter of shipping has the shipment in the same field, so any payload reads all
    let letter = event.decode::<ShipmentCreated>()?;
    let told = letter.shipment.ok_or_else(|| HandlerError::reject("the letter has no shipment"))?;
    let order = order_of(event, &told.order_id)?;
    let status = told.status;
    let shipment = telephone::shipment(told)
        .ok_or_else(|| HandlerError::reject(format!("{status} is no status of a shipment")))?;
    let fact = match event.event_type.as_str() {
        ShipmentCancelled::TYPE => Some(Fact::Stopped),
        ShipmentDispatched::TYPE | ShipmentDelivered::TYPE => Some(Fact::Dispatched),
        _ => None,
    };
    Ok(Told { order, what: What { fact, shipment }, span })
}

//! What follows from the answer whether a customer has an address.

use contracts::ids::ShipmentId;
use service_runtime::kill_point;
use tracing::info;

use crate::{
    Deps, ShippingError,
    changes::{create_in_tx, tell_in_tx},
    shipment::{Fact, NewShipment, Shipment, Status, Step},
    store::{
        questions::{self, Question},
        shipments,
    },
};

/// There is one: the parcel is prepared, whether it is new or has waited for this. One that was stopped stays so.
pub(crate) async fn address_found(deps: &Deps, question: &Question) -> Result<(), ShippingError> {
    let trace = question.traceparent.as_deref();
    let mut tx = deps.pool.begin().await?;
    // gone: stopped, or answered already
    if !questions::delete_in_tx(&mut tx, question.order).await? {
        return Ok(tx.rollback().await?);
    }
    let new = new(question, Status::Preparing);
    let prepared = match create_in_tx(&mut tx, &new, deps.dispatch_after, trace).await? {
        Some(made) => Some(made),
        None => tell_in_tx(&mut tx, question.order, Fact::AddressKnown, deps.dispatch_after, trace)
            .await?
            .and_then(|(step, shipment)| matches!(step, Step::MoveTo(_)).then_some(shipment)),
    };
    kill_point!("shipping.prepared.before-commit");
    tx.commit().await?;
    kill_point!("shipping.prepared.after-commit");
    told(deps, prepared, "preparing a shipment");
    Ok(())
}

/// There is none: the parcel waits for the letter that there is one now. When that letter came while the question was out,
/// nothing happens here: the letter has the question asked again.
pub(crate) async fn address_missing(deps: &Deps, question: &Question) -> Result<(), ShippingError> {
    let mut tx = deps.pool.begin().await?;
    if !questions::park_in_tx(&mut tx, question).await? {
        return Ok(tx.rollback().await?);
    }
    let new = new(question, Status::AwaitingAddress);
    let made = create_in_tx(&mut tx, &new, deps.dispatch_after, question.traceparent.as_deref()).await?;
    if made.is_none() {
        let there = shipments::lock_in_tx(&mut tx, question.order).await?;
        // the question of a letter that came again while the first was being answered
        if there.is_some_and(|shipment| shipment.status != Status::AwaitingAddress) {
            questions::delete_in_tx(&mut tx, question.order).await?;
        }
    }
    kill_point!("shipping.waits-for-address.before-commit");
    tx.commit().await?;
    kill_point!("shipping.waits-for-address.after-commit");
    told(deps, made, "a shipment waits for an address");
    Ok(())
}

fn new(question: &Question, status: Status) -> NewShipment {
    NewShipment { id: ShipmentId::new(), order: question.order, customer: question.customer, status }
}

fn told(deps: &Deps, changed: Option<Shipment>, what: &'static str) {
    if let Some(shipment) = changed {
        deps.relay.wake();
        info!(order.id = %shipment.order, "{what}");
    }
}

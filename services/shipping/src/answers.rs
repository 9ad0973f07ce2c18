//! What follows from the answer whether a customer has an address.

use std::{collections::HashMap, sync::Arc};

use batcher::{Batch, Batcher};
use contracts::ids::{OrderId, ShipmentId};
use service_runtime::{KeptConnection, kill_point};
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use tracing::info;

use crate::{
    Deps, ShippingError,
    changes::{create_all_in_tx, create_in_tx, tell_in_tx},
    questions::Unsettled,
    shipment::{Fact, NewShipment, Shipment, Status, Step},
    store::{
        questions::{self, Question},
        shipments,
    },
};

/// There is one: the parcel is prepared, whether it is new or has waited for this. One that was stopped stays so.
pub(crate) async fn address_found(
    deps: &Deps,
    prepare: &Batcher<Prepare>,
    question: &Question,
) -> Result<(), Unsettled> {
    let prepared = match prepare.submit(question.clone()).await? {
        Written::Prepared(shipment) => Some(shipment),
        Written::Nothing => None,
        Written::NotFree => prepare_alone(deps, question).await?,
    };
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
    let made = create_in_tx(&mut tx, &new(question, Status::AwaitingAddress), deps.dispatch_after).await?;
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

/// There is none and never will be: the account is erased. The parcel, whether it has waited or is not made yet, is given up; order
/// hears so by letter. One that was prepared or stopped before stays as it is.
pub(crate) async fn account_erased(deps: &Deps, question: &Question) -> Result<(), ShippingError> {
    let mut tx = deps.pool.begin().await?;
    // gone: stopped, or answered already
    if !questions::delete_in_tx(&mut tx, question.order).await? {
        return Ok(tx.rollback().await?);
    }
    let mut given_up = create_in_tx(&mut tx, &new(question, Status::Cancelled), deps.dispatch_after).await?;
    if given_up.is_none() {
        let trace = question.traceparent.as_deref();
        let told = tell_in_tx(&mut tx, question.order, Fact::AccountErased, deps.dispatch_after, trace).await?;
        if let Some((Step::MoveTo(_), shipment)) = told {
            given_up = Some(shipment);
        }
    }
    kill_point!("shipping.given-up.before-commit");
    tx.commit().await?;
    kill_point!("shipping.given-up.after-commit");
    told(deps, given_up, "the account is erased, the shipment is given up");
    Ok(())
}

/// Prepares the parcels of questions whose customers have an address, many in one transaction.
pub(crate) struct Prepare {
    deps: Deps,
    connection: KeptConnection,
}

impl Prepare {
    pub fn of(deps: Deps) -> Self {
        let connection = KeptConnection::of(deps.pool.clone());
        Self { deps, connection }
    }
}

/// What became of a question in such a transaction.
#[derive(Debug)]
pub(crate) enum Written {
    /// The parcel, which is prepared now.
    Prepared(Shipment),
    /// The parcel was prepared or stopped before.
    Nothing,
    /// Somebody else has the question, or it is gone: nothing was written for it.
    NotFree,
}

impl Batch for Prepare {
    type Request = Question;
    type Answer = Written;
    type Error = Arc<ShippingError>;

    async fn write(&self, questions: &[Question]) -> Result<Vec<Written>, Arc<ShippingError>> {
        Ok(prepare_free(self, questions).await?)
    }

    fn is_of_one_request(error: &Arc<ShippingError>) -> bool {
        match &**error {
            ShippingError::Database(error) | ShippingError::Outbox(outbox::Error::Database(error)) => match error {
                // SQLSTATE: class 53 insufficient resources, 57 operator intervention, 58 system error
                sqlx::Error::Database(refusal) => {
                    !refusal.code().is_some_and(|code| ["53", "57", "58"].iter().any(|class| code.starts_with(class)))
                }
                sqlx::Error::RowNotFound | sqlx::Error::Encode(_) | sqlx::Error::Decode(_) => true,
                _ => false,
            },
            _ => true,
        }
    }
}

async fn prepare_free(
    Prepare { deps, connection: kept }: &Prepare,
    questions: &[Question],
) -> Result<Vec<Written>, ShippingError> {
    let mut connection = kept.take().await?;
    let mut tx = connection.begin().await?;
    let orders: Vec<OrderId> = questions.iter().map(|question| question.order).collect();
    // a list waits for nobody: one question that somebody has would hold up all others, and of two lists each could wait for
    // the other
    let mut free = questions::delete_free_in_tx(&mut tx, &orders).await?;
    if free.is_empty() {
        tx.rollback().await?;
        kept.keep(connection);
        return Ok(questions.iter().map(|_| Written::NotFree).collect());
    }
    // taken out, because after a lease that was too short a question may be here twice
    let are_free: Vec<bool> = orders.iter().map(|order| free.remove(order)).collect();
    let to_prepare: Vec<&Question> =
        questions.iter().zip(&are_free).filter_map(|(question, is_free)| is_free.then_some(question)).collect();
    let mut prepared = prepare_in_tx(&mut tx, deps, &to_prepare).await?;
    commit(tx).await?;
    kept.keep(connection);
    let written = orders.iter().zip(are_free).map(|(order, is_free)| {
        if is_free { prepared.remove(order).map_or(Written::Nothing, Written::Prepared) } else { Written::NotFree }
    });
    Ok(written.collect())
}

/// Waits for whoever has the question.
async fn prepare_alone(deps: &Deps, question: &Question) -> Result<Option<Shipment>, ShippingError> {
    let mut tx = deps.pool.begin().await?;
    // gone: stopped, or answered already
    if !questions::delete_in_tx(&mut tx, question.order).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    let mut prepared = prepare_in_tx(&mut tx, deps, &[question]).await?;
    commit(tx).await?;
    Ok(prepared.remove(&question.order))
}

/// Prepares the parcels of questions that are removed, and gives those that were not prepared or stopped before.
async fn prepare_in_tx(
    conn: &mut PgConnection,
    deps: &Deps,
    questions: &[&Question],
) -> Result<HashMap<OrderId, Shipment>, ShippingError> {
    let new: Vec<NewShipment<'_>> = questions.iter().map(|question| new(question, Status::Preparing)).collect();
    let made = create_all_in_tx(conn, &new, deps.dispatch_after).await?;
    let mut prepared: HashMap<OrderId, Shipment> = made.into_iter().map(|made| (made.order, made)).collect();
    let is_there_already = |question: &&Question| !prepared.contains_key(&question.order);
    let there_already: Vec<&Question> = questions.iter().copied().filter(is_there_already).collect();
    for question in there_already {
        // it has waited for the address, which few do, or was stopped
        let trace = question.traceparent.as_deref();
        let told = tell_in_tx(conn, question.order, Fact::AddressKnown, deps.dispatch_after, trace).await?;
        if let Some((Step::MoveTo(_), shipment)) = told {
            prepared.insert(question.order, shipment);
        }
    }
    Ok(prepared)
}

async fn commit(tx: Transaction<'_, Postgres>) -> Result<(), ShippingError> {
    kill_point!("shipping.prepared.before-commit");
    tx.commit().await?;
    kill_point!("shipping.prepared.after-commit");
    Ok(())
}

fn new(question: &Question, status: Status) -> NewShipment<'_> {
    let Question { order, customer, .. } = *question;
    NewShipment { id: ShipmentId::new(), order, customer, status, traceparent: question.traceparent.as_deref() }
}

fn told(deps: &Deps, changed: Option<Shipment>, what: &'static str) {
    if let Some(shipment) = changed {
        deps.relay.wake();
        info!(order.id = %shipment.order, "{what}");
    }
}

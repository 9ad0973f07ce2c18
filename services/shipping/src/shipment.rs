//! A shipment, and everything that can happen to one. No I/O.

use contracts::{
    ids::{OrderId, ShipmentId},
    shipping::v1 as proto,
    timestamp_to_proto,
};
use jiff::Timestamp;

/// The parcel of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// Its own name.
    pub id: ShipmentId,
    /// The order that it belongs to; there is one shipment for each.
    pub order: OrderId,
    /// Where it is.
    pub status: Status,
    /// Counts its letters, from 1.
    pub version: i64,
    /// By the database's clock.
    pub created_at: Timestamp,
    /// By the database's clock.
    pub updated_at: Timestamp,
}

impl Shipment {
    /// `PB` and 16 hex digits of the shipment's id: those at its end, which are random.
    pub fn tracking_number(&self) -> String {
        let id = self.id.as_uuid().simple().to_string();
        format!("PB{}", id[16..].to_uppercase())
    }
}

/// Where a parcel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// In the warehouse.
    Preparing,
    /// On its way; it cannot be stopped any more.
    Dispatched,
    /// Final.
    Delivered,
}

/// What happens to a shipment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// An operator wants it on its way now.
    DispatchAsked,
    /// It was where it is for its usual time.
    TimePassed,
}

/// What follows from a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It moves on, which is told by a letter.
    MoveTo(Status),
    /// The fact asks for what is already so.
    Stay,
}

/// The whole life of a shipment.
#[expect(clippy::match_same_arms, reason = "every pair is written out, so that the eye can check it")]
pub fn next(status: Status, fact: Fact) -> Step {
    match (status, fact) {
        (Status::Preparing, Fact::DispatchAsked) => Step::MoveTo(Status::Dispatched),
        (Status::Preparing, Fact::TimePassed) => Step::MoveTo(Status::Dispatched),
        (Status::Dispatched, Fact::DispatchAsked) => Step::Stay,
        (Status::Dispatched, Fact::TimePassed) => Step::MoveTo(Status::Delivered),
        (Status::Delivered, Fact::DispatchAsked) => Step::Stay,
        (Status::Delivered, Fact::TimePassed) => Step::Stay,
    }
}

impl From<&Shipment> for proto::Shipment {
    fn from(shipment: &Shipment) -> Self {
        let status = match shipment.status {
            Status::Preparing => proto::ShipmentStatus::Preparing,
            Status::Dispatched => proto::ShipmentStatus::Dispatched,
            Status::Delivered => proto::ShipmentStatus::Delivered,
        };
        Self {
            shipment_id: shipment.id.to_string(),
            order_id: shipment.order.to_string(),
            status: status.into(),
            tracking_number: shipment.tracking_number(),
            version: shipment.version,
            created_at: Some(timestamp_to_proto(shipment.created_at)),
            updated_at: Some(timestamp_to_proto(shipment.updated_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shipment_never_moves_back_and_delivered_is_final() {
        let rank = |status| match status {
            Status::Preparing => 1,
            Status::Dispatched => 2,
            Status::Delivered => 3,
        };
        for status in [Status::Preparing, Status::Dispatched, Status::Delivered] {
            for fact in [Fact::DispatchAsked, Fact::TimePassed] {
                if let Step::MoveTo(to) = next(status, fact) {
                    assert_eq!(rank(to), rank(status) + 1, "{status:?} {fact:?}");
                }
            }
        }
    }

    #[test]
    fn a_tracking_number_is_made_of_the_random_end_of_the_id() {
        let id = ShipmentId::from(uuid::Uuid::from_u128(0x0193_6b1e_7c5a_7cc2_a3f1_0242_ac12_0002));
        let time = Timestamp::UNIX_EPOCH;
        let shipment = Shipment {
            id,
            order: OrderId::new(),
            status: Status::Preparing,
            version: 1,
            created_at: time,
            updated_at: time,
        };
        assert_eq!(shipment.tracking_number(), "PBA3F10242AC120002");
    }
}

//! A shipment, and everything that can happen to one. No I/O.

use contracts::{
    ids::{AccountId, OrderId, ShipmentId},
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
    /// Whose order it is; unknown of shipments from before this was kept.
    pub customer: Option<AccountId>,
    /// Where it is.
    pub status: Status,
    /// Counts its letters, from 1.
    pub version: i64,
    /// By the database's clock.
    pub created_at: Timestamp,
    /// By the database's clock.
    pub updated_at: Timestamp,
    /// The trace in which it was made; unknown of shipments from before this was kept.
    pub traceparent: Option<String>,
}

impl Shipment {
    /// `PB` and 16 hex digits of the shipment's id: those at its end, which are random.
    pub fn tracking_number(&self) -> String {
        let id = self.id.as_uuid().simple().to_string();
        format!("PB{}", id[16..].to_uppercase())
    }
}

/// A shipment that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewShipment<'a> {
    /// Its own name.
    pub id: ShipmentId,
    /// The order that it belongs to.
    pub order: OrderId,
    /// Whose order it is.
    pub customer: AccountId,
    /// Where it begins.
    pub status: Status,
    /// The trace in which it is made.
    pub traceparent: Option<&'a str>,
}

/// Where a parcel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nobody knows yet where it goes.
    AwaitingAddress,
    /// In the warehouse.
    Preparing,
    /// On its way; it cannot be stopped any more.
    Dispatched,
    /// Final.
    Delivered,
    /// Final: it was stopped before it left, or before it was there at all; or nobody will ever say where it goes.
    Cancelled,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::AwaitingAddress, Self::Preparing, Self::Dispatched, Self::Delivered, Self::Cancelled];

    /// The word for it in the database and for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AwaitingAddress => "AWAITING_ADDRESS",
            Self::Preparing => "PREPARING",
            Self::Dispatched => "DISPATCHED",
            Self::Delivered => "DELIVERED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The status with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }
}

/// What happens to a shipment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// An operator wants it on its way now.
    DispatchAsked,
    /// It was where it is for its usual time.
    TimePassed,
    /// The order is being cancelled.
    StopAsked,
    /// The customer has an address.
    AddressKnown,
    /// The customer's account is erased: nobody will ever say where it goes.
    AccountErased,
}

/// What follows from a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It moves on, which is told by a letter.
    MoveTo(Status),
    /// The fact asks for what is already so, or says what matters no more.
    Stay,
    /// The fact asks for what cannot be, or cannot be any more.
    Refuse,
}

/// The whole life of a shipment.
#[expect(clippy::match_same_arms, reason = "every pair is written out, so that the eye can check it")]
pub fn next(status: Status, fact: Fact) -> Step {
    match (status, fact) {
        (Status::AwaitingAddress, Fact::AddressKnown) => Step::MoveTo(Status::Preparing),
        (Status::AwaitingAddress, Fact::AccountErased) => Step::MoveTo(Status::Cancelled),
        (Status::AwaitingAddress, Fact::DispatchAsked) => Step::Refuse,
        (Status::AwaitingAddress, Fact::TimePassed) => Step::Stay,
        (Status::AwaitingAddress, Fact::StopAsked) => Step::MoveTo(Status::Cancelled),
        (Status::Preparing, Fact::AddressKnown) => Step::Stay,
        // where it goes was known when it was prepared: it is on its way
        (Status::Preparing, Fact::AccountErased) => Step::Stay,
        (Status::Preparing, Fact::DispatchAsked) => Step::MoveTo(Status::Dispatched),
        (Status::Preparing, Fact::TimePassed) => Step::MoveTo(Status::Dispatched),
        (Status::Preparing, Fact::StopAsked) => Step::MoveTo(Status::Cancelled),
        (Status::Dispatched, Fact::AddressKnown) => Step::Stay,
        (Status::Dispatched, Fact::AccountErased) => Step::Stay,
        (Status::Dispatched, Fact::DispatchAsked) => Step::Stay,
        (Status::Dispatched, Fact::TimePassed) => Step::MoveTo(Status::Delivered),
        (Status::Dispatched, Fact::StopAsked) => Step::Refuse,
        (Status::Delivered, Fact::AddressKnown) => Step::Stay,
        (Status::Delivered, Fact::AccountErased) => Step::Stay,
        (Status::Delivered, Fact::DispatchAsked) => Step::Stay,
        (Status::Delivered, Fact::TimePassed) => Step::Stay,
        (Status::Delivered, Fact::StopAsked) => Step::Refuse,
        (Status::Cancelled, Fact::AddressKnown) => Step::Stay,
        (Status::Cancelled, Fact::AccountErased) => Step::Stay,
        (Status::Cancelled, Fact::DispatchAsked) => Step::Refuse,
        (Status::Cancelled, Fact::TimePassed) => Step::Stay,
        (Status::Cancelled, Fact::StopAsked) => Step::Stay,
    }
}

impl From<&Shipment> for proto::Shipment {
    fn from(shipment: &Shipment) -> Self {
        let status = match shipment.status {
            Status::AwaitingAddress => proto::ShipmentStatus::AwaitingAddress,
            Status::Preparing => proto::ShipmentStatus::Preparing,
            Status::Dispatched => proto::ShipmentStatus::Dispatched,
            Status::Delivered => proto::ShipmentStatus::Delivered,
            Status::Cancelled => proto::ShipmentStatus::Cancelled,
        };
        Self {
            shipment_id: shipment.id.to_string(),
            order_id: shipment.order.to_string(),
            status: status.into(),
            tracking_number: shipment.tracking_number(),
            version: shipment.version,
            created_at: Some(timestamp_to_proto(shipment.created_at)),
            updated_at: Some(timestamp_to_proto(shipment.updated_at)),
            customer_id: shipment.customer.map(|customer| customer.to_string()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: [Fact; 5] =
        [Fact::DispatchAsked, Fact::TimePassed, Fact::StopAsked, Fact::AddressKnown, Fact::AccountErased];

    #[test]
    fn a_shipment_never_moves_back_and_takes_no_short_cut() {
        for status in Status::ALL {
            for fact in FACTS {
                if let Step::MoveTo(to) = next(status, fact) {
                    let allowed: &[Status] = match status {
                        Status::AwaitingAddress => &[Status::Preparing, Status::Cancelled],
                        Status::Preparing => &[Status::Dispatched, Status::Cancelled],
                        Status::Dispatched => &[Status::Delivered],
                        Status::Delivered | Status::Cancelled => &[],
                    };
                    assert!(allowed.contains(&to), "{status:?} {fact:?} {to:?}");
                }
            }
        }
    }

    #[test]
    fn of_stop_and_dispatch_whichever_is_first_refuses_the_other() {
        for (first, second) in [(Fact::StopAsked, Fact::DispatchAsked), (Fact::DispatchAsked, Fact::StopAsked)] {
            let Step::MoveTo(then) = next(Status::Preparing, first) else { panic!("{first:?} moves it") };
            assert_eq!(next(then, second), Step::Refuse);
            assert_eq!(next(then, first), Step::Stay, "asked again, it is the same");
        }
    }

    #[test]
    fn a_tracking_number_is_made_of_the_random_end_of_the_id() {
        let id = ShipmentId::from(uuid::Uuid::from_u128(0x0193_6b1e_7c5a_7cc2_a3f1_0242_ac12_0002));
        let time = Timestamp::UNIX_EPOCH;
        let shipment = Shipment {
            id,
            order: OrderId::new(),
            customer: None,
            status: Status::Preparing,
            version: 1,
            created_at: time,
            updated_at: time,
            traceparent: None,
        };
        assert_eq!(shipment.tracking_number(), "PBA3F10242AC120002");
    }
}

//! Who writes letters: each topic that is filled by a relay, and the database with its outbox.

use contracts::topics::{ACCOUNTS, ORDERS, PAYMENTS, RESERVATIONS, SHIPMENTS, Topic};

/// An outbox and the topic that its relay fills. A topic is named by its place in [`OUTBOXES`] where many letters are kept.
#[derive(Debug, Clone, Copy)]
pub struct Outbox {
    pub database: &'static str,
    pub topic: Topic,
}

/// All of them. The topic of high-value orders is not among them: it is written in Kafka transactions, from letters.
pub const OUTBOXES: [Outbox; 5] = [
    Outbox { database: "orders", topic: ORDERS },
    Outbox { database: "inventory", topic: RESERVATIONS },
    Outbox { database: "payments", topic: PAYMENTS },
    Outbox { database: "shipping", topic: SHIPMENTS },
    Outbox { database: "accounts", topic: ACCOUNTS },
];

/// The places of topics that checks speak of.
pub const ORDER_LETTERS: u8 = 0;
/// Of shipping.
pub const SHIPMENT_LETTERS: u8 = 3;

/// The databases with groups of consumers in them.
pub const FOLLOWERS: [&str; 6] = ["orders", "inventory", "payments", "shipping", "notifications", "analytics"];

/// The place of the topic with this name.
pub fn place(topic: &str) -> Option<u8> {
    let place = OUTBOXES.iter().position(|outbox| outbox.topic.name() == topic)?;
    u8::try_from(place).ok()
}

/// The name of the topic in this place.
pub fn name(place: u8) -> &'static str {
    OUTBOXES[usize::from(place)].topic.name()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_those_of_the_list() {
        assert_eq!((place(ORDERS.name()), place(SHIPMENTS.name())), (Some(ORDER_LETTERS), Some(SHIPMENT_LETTERS)));
        assert_eq!(place("somebody.elses.v1"), None);
    }
}

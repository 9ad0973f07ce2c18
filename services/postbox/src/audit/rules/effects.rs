//! 10: one effect per event per consumer group. A group that has passed a letter, and has not set it aside, has made its
//! effect; and an effect has a letter that it comes from. That there is one effect and not two is the primary key of its
//! table: what is counted here are pairs of letter and group.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use super::{Case, Desk, Finding};
use crate::audit::case::{Kind, Letter, Order};
use crate::audit::outboxes::{self, SHIPMENT_LETTERS};

/// Whether a group makes something of a letter.
type Wants = fn(&Letter) -> bool;

/// Whether a group's effect of a letter is there.
type HasEffect = fn(&Case, &Letter) -> bool;

/// What each group makes of which letters.
const EFFECTS: [(&str, Wants, HasEffect); 8] = [
    ("analytics.count", |_| true, |case, letter| case.counted.contains(&letter.event_id)),
    (
        "notification.write-messages",
        |letter| {
            use Kind::{OrderCancelled, OrderCompleted, OrderRejected, ShipmentDelivered, ShipmentDispatched};
            matches!(
                letter.kind,
                OrderCompleted | OrderRejected | OrderCancelled | ShipmentDispatched | ShipmentDelivered
            )
        },
        |case, letter| case.messages.contains(&letter.event_id),
    ),
    ("shipping.prepare-parcels", |letter| letter.kind == Kind::OrderCompleted, |case, _| case.parcel.is_some()),
    (
        "inventory.follow-orders",
        |letter| letter.kind == Kind::OrderCompleted,
        |case, _| matches!(reservation(case), "SETTLED" | "RETURNED"),
    ),
    (
        "inventory.follow-orders",
        |letter| letter.kind == Kind::OrderCancelled,
        |case, _| !matches!(reservation(case), "HELD" | "SETTLED"),
    ),
    (
        "payment.charge-held-orders",
        |letter| letter.kind == Kind::ReservationHeld,
        // an order that was given up meanwhile may never have been charged
        |case, _| case.payment.is_some() || case.order.as_ref().is_some_and(|order| order.saga_state != "COMPLETED"),
    ),
    (
        "order.saga",
        |letter| matches!(letter.kind, Kind::PaymentCaptured | Kind::PaymentDeclined | Kind::ReservationRefused),
        |case, _| case.order.as_ref().is_some_and(|order| !order.saga_state.starts_with("AWAITING")),
    ),
    (
        "order.saga",
        |letter| letter.topic == SHIPMENT_LETTERS,
        |case, letter| case.order.as_ref().is_some_and(|order| order.shipment_version >= letter.sequence),
    ),
];

fn reservation(case: &Case) -> &str {
    case.reservation.as_ref().map_or("NONE", |reservation| reservation.state.as_str())
}

/// Every letter has its effects, every effect its letter.
pub fn one_each(case: &Case, desk: &Desk, finding: &mut Finding) {
    for letter in &case.letters {
        for (group, wants, has_effect) in EFFECTS {
            if wants(letter) && desk.marks.has_had_effect(group, letter) {
                finding.check(
                    case.id,
                    has_effect(case, letter),
                    || format!("{group} {}", letter.event_id),
                    || {
                        let (kind, partition, offset) = (letter.kind, letter.partition, letter.offset);
                        format!("is past {kind:?} of {}, at {partition}/{offset}, without its effect", case.id)
                    },
                );
            }
        }
    }
    // what is on its way to a topic is in the outbox
    let told: HashSet<Uuid> =
        case.letters.iter().map(|letter| letter.event_id).chain(case.rows.iter().map(|row| row.event_id)).collect();
    for (made, letters) in [("count", &case.counted), ("message", &case.messages)] {
        for event in letters {
            finding.check(
                case.id,
                told.contains(event),
                || format!("{made} of {event}"),
                || format!("about {}, and there is no such letter", case.id),
            );
        }
    }
    if case.parcel.is_some() {
        let was_completed = case.order.as_ref().is_some_and(Order::was_completed);
        finding.check(
            case.id,
            was_completed,
            || format!("parcel of order {}", case.id),
            || {
                let state = case.order.as_ref().map_or("not there", |order| order.saga_state.as_str());
                format!("and the order is {state}")
            },
        );
    }
}

/// Nobody's position is beyond the end of its partition: that group would pass by what comes next.
pub fn positions_are_on_the_topics(desk: &Desk, ends: &BTreeMap<(u8, i32), i64>, finding: &mut Finding) {
    for ((group, topic, partition), &next) in &desk.marks.positions {
        finding.checked += 1;
        let end = ends.get(&(*topic, *partition)).copied().unwrap_or_default();
        if next > end {
            let topic = outboxes::name(*topic);
            let subject = format!("position of {group} in {topic}/{partition}");
            finding.suspect(None, subject, format!("is {next}, the partition ends at {end}"));
        }
    }
}

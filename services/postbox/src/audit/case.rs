//! Everything that is known about one order, from everybody who keeps something about it.

use contracts::event::Payload;
use contracts::events::v1 as payloads;
use uuid::Uuid;

/// One order, or one account: whatever letters are keyed by.
#[derive(Debug, Default)]
pub struct Case {
    /// The order's id, or the account's.
    pub id: Uuid,
    /// What order keeps.
    pub order: Option<Order>,
    /// What payment keeps.
    pub payment: Option<Payment>,
    /// What the card network's own books say; more than one only if it charged twice.
    pub captures: Vec<Capture>,
    /// What inventory keeps.
    pub reservation: Option<Reservation>,
    /// What shipping keeps.
    pub parcel: Option<Parcel>,
    /// The letters that the services committed.
    pub rows: Vec<Row>,
    /// The letters on the topics: of each topic and partition in the order in which they lie there.
    pub letters: Vec<Letter>,
    /// The letters that analytics has counted.
    pub counted: Vec<Uuid>,
    /// The letters that notification has written a message for.
    pub messages: Vec<Uuid>,
}

/// An order's row.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Order {
    pub saga_state: String,
    pub reason: Option<String>,
    pub placed_by: String,
    pub version: i64,
    pub total_minor: Option<i64>,
    pub currency: Option<String>,
    pub answer: Option<Vec<u8>>,
    pub shipment_version: i64,
    /// Seconds since it should have been decided; since its last change when it is being undone.
    pub seconds_late: i64,
    /// Seconds since 1970.
    pub updated_at: f64,
}

impl Order {
    /// Whether it was completed at some time.
    pub fn was_completed(&self) -> bool {
        matches!(self.saga_state.as_str(), "COMPLETED" | "STOPPING" | "REFUNDING" | "REFUNDED")
    }

    /// Whether it ended without having been completed.
    pub fn is_given_up(&self) -> bool {
        matches!(self.saga_state.as_str(), "REJECTED" | "CANCELLED")
    }

    /// Whether nothing is left to do.
    pub fn is_settled(&self) -> bool {
        self.is_given_up() || matches!(self.saga_state.as_str(), "COMPLETED" | "REFUNDED")
    }
}

/// A payment's row with its transfers; or only the note that it is to be charged.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Payment {
    /// None when there is only the note.
    pub state: Option<String>,
    /// The sums of the transfers of each kind; none when there is no such transfer.
    pub captured: Option<i64>,
    pub voided: Option<i64>,
    pub refunded: Option<i64>,
    pub transfers: i64,
    /// Transfers between other accounts than their kind says, or in another currency than the payment.
    pub misposted: i64,
}

impl Payment {
    /// Whether payment knows what became of the money.
    pub fn is_known(&self) -> bool {
        matches!(self.state.as_deref(), Some("CAPTURED" | "DECLINED" | "UNKNOWN_CARD" | "VOIDED" | "REFUNDED"))
    }

    /// What the ledger says that is kept, in minor units.
    pub fn kept(&self) -> i64 {
        let sum = |minor: Option<i64>| minor.unwrap_or_default();
        sum(self.captured) - sum(self.voided) - sum(self.refunded)
    }
}

/// A capture in the card network's books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    pub amount_minor: i64,
    pub currency: String,
    pub refunded_minor: i64,
    pub is_voided: bool,
}

impl Capture {
    /// What the network keeps, in minor units.
    pub fn kept(&self) -> i64 {
        if self.is_voided { 0 } else { self.amount_minor - self.refunded_minor }
    }
}

/// A reservation's row.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Reservation {
    pub state: String,
    /// The sum of its lines; none when they have no prices.
    pub total_minor: Option<i64>,
}

/// A shipment's row, or the question that comes before it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Parcel {
    /// None when there is only the question.
    pub status: Option<String>,
    pub version: Option<i64>,
    /// Seconds since 1970; none when there is only the question.
    pub updated_at: Option<f64>,
}

/// A letter in an outbox.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Row {
    /// The place of its topic in [`super::outboxes::OUTBOXES`].
    #[sqlx(skip)]
    pub topic: u8,
    pub id: i64,
    pub event_id: Uuid,
    pub sequence: i64,
    /// Seconds since 1970.
    pub inserted_at: f64,
}

/// A letter on a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letter {
    /// The place of its topic in [`super::outboxes::OUTBOXES`].
    pub topic: u8,
    pub partition: i32,
    pub offset: i64,
    pub event_id: Uuid,
    pub sequence: i64,
    pub kind: Kind,
    /// When it was put there, in milliseconds since 1970.
    pub put_at_ms: i64,
}

/// What a letter tells, as far as somebody must do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    OrderCreated,
    OrderCompleted,
    OrderRejected,
    OrderCancelled,
    ReservationHeld,
    ReservationRefused,
    PaymentCaptured,
    PaymentDeclined,
    ShipmentDispatched,
    ShipmentDelivered,
    Other,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::OrderCreated,
        Self::OrderCompleted,
        Self::OrderRejected,
        Self::OrderCancelled,
        Self::ReservationHeld,
        Self::ReservationRefused,
        Self::PaymentCaptured,
        Self::PaymentDeclined,
        Self::ShipmentDispatched,
        Self::ShipmentDelivered,
        Self::Other,
    ];

    /// What a letter of this type tells.
    pub fn of(event_type: &str) -> Self {
        match event_type {
            payloads::OrderCreated::TYPE => Self::OrderCreated,
            payloads::OrderCompleted::TYPE => Self::OrderCompleted,
            payloads::OrderRejected::TYPE => Self::OrderRejected,
            payloads::OrderCancelled::TYPE => Self::OrderCancelled,
            payloads::ReservationHeld::TYPE => Self::ReservationHeld,
            payloads::ReservationRefused::TYPE => Self::ReservationRefused,
            payloads::PaymentCaptured::TYPE => Self::PaymentCaptured,
            payloads::PaymentDeclined::TYPE => Self::PaymentDeclined,
            payloads::ShipmentDispatched::TYPE => Self::ShipmentDispatched,
            payloads::ShipmentDelivered::TYPE => Self::ShipmentDelivered,
            _ => Self::Other,
        }
    }
}

//! What a state means for the outside, for the database, and for whoever carries the order on.

use contracts::order::v1::{OrderReason, OrderStatus, PaymentStatus};

use super::{Action, Reason, State};

impl State {
    /// What is to be asked next; nothing once all is done.
    pub const fn action(self) -> Option<Action> {
        match self {
            Self::AwaitingStock => Some(Action::Reserve),
            Self::AwaitingPayment => Some(Action::Charge),
            Self::Voiding(_) => Some(Action::Void),
            Self::Releasing(_) => Some(Action::Release),
            Self::Stopping => Some(Action::Stop),
            Self::Refunding => Some(Action::Refund),
            Self::Completed | Self::GivenUp(_) | Self::Refunded => None,
        }
    }

    /// Whether the state must be committed before its action is asked for.
    ///
    /// A compensation is (a crash must not forget it, and nobody may undo an order that another process is completing). A
    /// charge is not: if the process crashes, reserving again finds the same reservation.
    pub const fn is_kept_before_its_action(self) -> bool {
        !matches!(self, Self::AwaitingPayment)
    }

    /// Whether nothing is left to do. (A completed order may yet be cancelled.)
    pub const fn is_settled(self) -> bool {
        self.action().is_none()
    }

    /// Whether it is decided what becomes of the order: the answer to whoever placed it is fixed, and its card not needed
    /// any more.
    pub const fn is_decided(self) -> bool {
        match self {
            Self::AwaitingStock | Self::AwaitingPayment | Self::Voiding(_) | Self::Releasing(_) => false,
            Self::Completed | Self::GivenUp(_) | Self::Stopping | Self::Refunding | Self::Refunded => true,
        }
    }

    /// The status as the outside sees it.
    pub const fn status(self) -> OrderStatus {
        match self {
            Self::AwaitingStock | Self::AwaitingPayment => OrderStatus::Pending,
            Self::Completed => OrderStatus::Completed,
            Self::Voiding(reason) | Self::Releasing(reason) => match reason {
                Reason::CustomerRequest => OrderStatus::Cancelling,
                _ => OrderStatus::Pending,
            },
            Self::GivenUp(reason) => match reason {
                Reason::CustomerRequest => OrderStatus::Cancelled,
                _ => OrderStatus::Rejected,
            },
            Self::Stopping | Self::Refunding => OrderStatus::Cancelling,
            Self::Refunded => OrderStatus::Cancelled,
        }
    }

    /// The payment's status as the outside sees it. What was never captured, or was voided, is NONE; what is being undone is
    /// UNKNOWN until that is confirmed.
    pub const fn payment_status(self) -> PaymentStatus {
        match self {
            Self::AwaitingStock => PaymentStatus::None,
            Self::AwaitingPayment => PaymentStatus::Pending,
            Self::Completed | Self::Stopping => PaymentStatus::Captured,
            Self::Voiding(_) | Self::Refunding => PaymentStatus::Unknown,
            Self::Releasing(reason) | Self::GivenUp(reason) => match reason {
                Reason::PaymentDeclined => PaymentStatus::Declined,
                Reason::OutOfStock
                | Reason::UnknownSku
                | Reason::MixedCurrencies
                | Reason::UnknownCard
                | Reason::Expired
                | Reason::CustomerRequest => PaymentStatus::None,
            },
            Self::Refunded => PaymentStatus::Refunded,
        }
    }

    /// Why the order ended or is being unwound.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::AwaitingStock | Self::AwaitingPayment | Self::Completed => None,
            Self::Voiding(reason) | Self::Releasing(reason) | Self::GivenUp(reason) => Some(reason),
            Self::Stopping | Self::Refunding | Self::Refunded => Some(Reason::CustomerRequest),
        }
    }

    /// Every state.
    pub fn all() -> impl Iterator<Item = Self> {
        let with_reason = |make: fn(Reason) -> Self| Reason::ALL.into_iter().map(make);
        [Self::AwaitingStock, Self::AwaitingPayment, Self::Completed]
            .into_iter()
            .chain(with_reason(Self::Voiding))
            .chain(with_reason(Self::Releasing))
            .chain(with_reason(Self::GivenUp))
            .chain([Self::Stopping, Self::Refunding, Self::Refunded])
    }

    /// The state's name in the database, in logs and in the picture.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwaitingStock => "AWAITING_STOCK",
            Self::AwaitingPayment => "AWAITING_PAYMENT",
            Self::Completed => "COMPLETED",
            Self::Voiding(_) => "VOIDING",
            Self::Releasing(_) => "RELEASING",
            Self::GivenUp(Reason::CustomerRequest) => "CANCELLED",
            Self::GivenUp(_) => "REJECTED",
            Self::Stopping => "STOPPING",
            Self::Refunding => "REFUNDING",
            Self::Refunded => "REFUNDED",
        }
    }

    /// The state with this name and reason; `None` for a pair that no state has.
    pub fn from_name(name: &str, reason: Option<Reason>) -> Option<Self> {
        Self::all().find(|state| state.name() == name && state.reason() == reason)
    }
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::OutOfStock,
        Self::UnknownSku,
        Self::MixedCurrencies,
        Self::PaymentDeclined,
        Self::UnknownCard,
        Self::Expired,
        Self::CustomerRequest,
    ];

    /// The reason as others see it.
    pub const fn to_proto(self) -> OrderReason {
        match self {
            Self::OutOfStock => OrderReason::OutOfStock,
            Self::UnknownSku => OrderReason::UnknownSku,
            Self::MixedCurrencies => OrderReason::MixedCurrencies,
            Self::PaymentDeclined => OrderReason::PaymentDeclined,
            Self::UnknownCard => OrderReason::UnknownCard,
            Self::Expired => OrderReason::Expired,
            Self::CustomerRequest => OrderReason::CustomerRequest,
        }
    }

    /// The reason's name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutOfStock => "OUT_OF_STOCK",
            Self::UnknownSku => "UNKNOWN_SKU",
            Self::MixedCurrencies => "MIXED_CURRENCIES",
            Self::PaymentDeclined => "PAYMENT_DECLINED",
            Self::UnknownCard => "UNKNOWN_CARD",
            Self::Expired => "EXPIRED",
            Self::CustomerRequest => "CUSTOMER_REQUEST",
        }
    }

    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

//! An order and its invariants. No database, no network, no clock.

use contracts::{
    ids::{AccountId, OrderId, Quantity, Sku},
    money::{InvalidMoney, Money},
    order::v1::ShipmentStatus,
};
use jiff::Timestamp;

use crate::saga::{self, Action, Fact, State, Step};

/// How the order came in: over the telephone (the customer waits) or by letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacedBy {
    /// The customer waits for the answer.
    Telephone,
    /// The customer looks later.
    Letter,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// The price of one, named by inventory; absent until then.
    pub unit_price: Option<Money>,
}

impl Line {
    /// The price of the whole line, once priced.
    pub fn total(&self) -> Result<Option<Money>, InvalidMoney> {
        self.unit_price.map(|price| price.times(self.quantity.get())).transpose()
    }
}

/// What inventory said when it reserved: the lines with their prices, and the sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    /// The order's lines, all priced.
    pub lines: Vec<Line>,
    /// Their sum.
    pub total: Money,
}

/// Where the parcel is, as far as shipping's letters told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// Where it stands.
    pub status: ShipmentStatus,
    /// Empty until there is one.
    pub tracking_number: String,
    /// The shipment's own version that told it: older letters change nothing.
    pub version: i64,
}

/// An order as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its identity, also that of its reservation, its payment and its shipment.
    pub id: OrderId,
    /// Who pays.
    pub customer_id: AccountId,
    /// Where the saga stands.
    pub state: State,
    /// Counts this order's letters: each change of the order is one letter.
    pub version: i64,
    /// How it came in.
    pub placed_by: PlacedBy,
    /// What was ordered.
    pub lines: Vec<Line>,
    /// The sum; absent until priced.
    pub total: Option<Money>,
    /// What the card network knows the card by; absent once the order is decided.
    pub card_token: Option<String>,
    /// Absent until shipping has one.
    pub shipment: Option<Shipment>,
    /// The trace of the request that placed it.
    pub trace_id: String,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// Something that was told about an order, with all that came along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// What happened.
    pub fact: Fact,
    /// The prices, where the fact brings them.
    pub prices: Option<Prices>,
    /// Where the parcel is, where the fact tells it.
    pub shipment: Option<Shipment>,
    /// For the customer's eyes, where the fact is a refusal: which SKU, which words of the bank.
    pub detail: Option<String>,
}

impl From<Fact> for Heard {
    /// A fact that brings nothing along.
    fn from(fact: Fact) -> Self {
        Self { fact, prices: None, shipment: None, detail: None }
    }
}

/// What hearing something did to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The order as it stands now, not kept yet.
    Advanced(Box<Order>),
    /// Nothing new.
    AlreadyApplied,
    /// Cannot be, as long as every service keeps its word.
    Contradiction,
}

impl Order {
    /// The order after `heard`. Its version is still the one it was read with: whoever keeps the change counts it.
    pub fn hear(&self, heard: &Heard) -> Change {
        let state = match saga::next(self.state, heard.fact) {
            Step::Advance(state) => state,
            Step::AlreadyApplied => return Change::AlreadyApplied,
            Step::Contradiction => return Change::Contradiction,
        };
        let mut order = Self { state, ..self.clone() };
        if let Some(prices) = &heard.prices {
            order.lines.clone_from(&prices.lines);
            order.total = Some(prices.total);
        }
        if let Some(shipment) = &heard.shipment {
            order = order.shipment_moved(shipment.clone()).unwrap_or(order);
        }
        if state.is_decided() {
            order.card_token = None;
        }
        Change::Advanced(Box::new(order))
    }

    /// What is to be asked by telephone now.
    pub const fn action(&self) -> Option<Action> {
        action(self.placed_by, self.state)
    }

    /// Whether the parcel is known to have left.
    pub fn is_dispatched(&self) -> bool {
        let status = self.shipment.as_ref().map(|shipment| shipment.status);
        matches!(status, Some(ShipmentStatus::Dispatched | ShipmentStatus::Delivered))
    }

    /// Whether nothing about the order can change any more.
    pub fn is_final(&self) -> bool {
        match self.state {
            State::GivenUp(_) | State::Refunded => true,
            State::Completed => self.shipment.as_ref().is_some_and(|it| it.status == ShipmentStatus::Delivered),
            _ => false,
        }
    }

    /// The order with what a letter of shipping told, unless the letter is older than what is known.
    pub fn shipment_moved(&self, shipment: Shipment) -> Option<Order> {
        let known = self.shipment.as_ref().map_or(0, |shipment| shipment.version);
        (shipment.version > known).then(|| Self { shipment: Some(shipment), ..self.clone() })
    }
}

/// What is to be asked by telephone now. An order that came in by letter is carried to its decision by letters; what must
/// be undone is undone by telephone for both.
pub const fn action(placed_by: PlacedBy, state: State) -> Option<Action> {
    match (placed_by, state) {
        (PlacedBy::Letter, State::AwaitingStock | State::AwaitingPayment) => None,
        (PlacedBy::Telephone | PlacedBy::Letter, state) => state.action(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        let now = "2026-11-21T09:00:00Z".parse().unwrap();
        Order {
            id: OrderId::new(),
            customer_id: AccountId::new(),
            state: State::AwaitingStock,
            version: 1,
            placed_by: PlacedBy::Telephone,
            lines: vec![Line { sku: "mug".parse().unwrap(), quantity: 2.try_into().unwrap(), unit_price: None }],
            total: None,
            card_token: Some("tok_visa".to_owned()),
            shipment: None,
            trace_id: String::new(),
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn the_card_is_forgotten_as_soon_as_the_order_is_decided() {
        let order = order();
        let Change::Advanced(held) = order.hear(&Fact::StockHeld.into()) else { panic!("a hold advances") };
        assert!(held.card_token.is_some());
        let Change::Advanced(completed) = held.hear(&Fact::Captured.into()) else { panic!("a capture advances") };
        assert_eq!((completed.state, completed.card_token.as_deref()), (State::Completed, None));
    }

    #[test]
    fn an_older_letter_of_the_shipment_changes_nothing() {
        let moved = |status, version| Shipment { status, tracking_number: String::new(), version };
        let order = order().shipment_moved(moved(ShipmentStatus::Dispatched, 2)).expect("the first letter is news");
        assert_eq!(order.shipment_moved(moved(ShipmentStatus::Preparing, 1)), None);
        assert_eq!(order.shipment_moved(moved(ShipmentStatus::Dispatched, 2)), None);
        assert!(order.shipment_moved(moved(ShipmentStatus::Delivered, 3)).is_some());
    }
}

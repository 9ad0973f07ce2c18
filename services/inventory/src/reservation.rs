//! Who gets what: the rule of a reservation. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{
    ids::{OrderId, Quantity, Sku},
    inventory::v1 as proto,
    money::Money,
};

use crate::InventoryError;

/// The most lines of one order.
pub const LINES_MAX: usize = 100;

/// What an order wants of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which product.
    pub sku: Sku,
    /// How many pieces.
    pub quantity: Quantity,
}

/// A line that is held, at the price of that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedLine {
    /// What was wanted.
    pub line: Line,
    /// Of one piece.
    pub unit_price: Money,
}

impl Line {
    /// A line as a message carries it.
    pub(crate) fn new(sku: String, quantity: u32) -> Result<Self, InventoryError> {
        Ok(Self {
            sku: sku.try_into().map_err(InventoryError::in_field("sku"))?,
            quantity: quantity.try_into().map_err(InventoryError::in_field("quantity"))?,
        })
    }
}

impl PricedLine {
    /// The price of the line.
    pub fn total(&self) -> Money {
        self.unit_price.times(self.line.quantity.get()).expect("prices are limited so that no total overflows")
    }
}

/// A wish to reserve all lines of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// Whose.
    pub order: OrderId,
    lines: Vec<Line>,
}

impl Reserve {
    /// An order has 1 to [`LINES_MAX`] lines, each SKU once.
    pub fn new(order: OrderId, lines: Vec<Line>) -> Result<Self, InventoryError> {
        if lines.is_empty() || lines.len() > LINES_MAX {
            let detail = format!("an order has 1 to {LINES_MAX} lines, this one has {}", lines.len());
            return Err(InventoryError::invalid("lines", detail));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = lines.iter().find(|line| !seen.insert(&line.sku)) {
            return Err(InventoryError::invalid("lines", format!("{} is there twice", twice.sku)));
        }
        Ok(Self { order, lines })
    }

    /// What is wanted, in the order of the request.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

impl TryFrom<proto::Reserve> for Reserve {
    type Error = InventoryError;

    fn try_from(request: proto::Reserve) -> Result<Self, InventoryError> {
        let order = request.order_id.parse().map_err(InventoryError::in_field("order_id"))?;
        let line = |line: proto::ReserveLine| Line::new(line.sku, line.quantity);
        let lines = request.lines.into_iter().map(line).collect::<Result<_, _>>()?;
        Self::new(order, lines)
    }
}

/// Why nothing is held for an order, and never will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is too little of these.
    OutOfStock(Vec<Sku>),
    /// No products have these SKUs.
    UnknownSku(Vec<Sku>),
    /// The lines are priced in two currencies.
    MixedCurrencies,
}

/// What [`decide`] says: the lines at their prices, or why none is held.
pub type Decision = Result<Vec<PricedLine>, Refusal>;

/// What an order is told, every time it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All lines are held, or sold since.
    Held(Vec<PricedLine>),
    /// None is.
    Refused(Refusal),
    /// The order's stock was released before, or before it was ever reserved; or it was sold and came back.
    Released,
}

impl From<Decision> for Answer {
    fn from(decision: Decision) -> Self {
        match decision {
            Ok(lines) => Self::Held(lines),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

/// A product as the rule sees it, while its stock is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Pieces that can be ordered now.
    pub available: i64,
    /// Of one piece.
    pub price: Money,
}

/// All lines or none. Where several refusals apply, an unknown SKU comes before mixed currencies, and these before too
/// little stock: what no waiting can cure is told first.
pub fn decide(wanted: &[Line], offers: &BTreeMap<Sku, Offer>) -> Decision {
    let mut lines = Vec::with_capacity(wanted.len());
    let mut unknown = Vec::new();
    let mut short = Vec::new();
    for line in wanted {
        let Some(offer) = offers.get(&line.sku) else {
            unknown.push(line.sku.clone());
            continue;
        };
        if offer.available < i64::from(line.quantity.get()) {
            short.push(line.sku.clone());
        }
        lines.push(PricedLine { line: line.clone(), unit_price: offer.price });
    }
    if !unknown.is_empty() {
        return Err(Refusal::UnknownSku(unknown));
    }
    if !lines.iter().map(|line| line.unit_price.currency_code()).is_sorted_by(|one, next| one == next) {
        return Err(Refusal::MixedCurrencies);
    }
    if !short.is_empty() {
        return Err(Refusal::OutOfStock(short));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use contracts::money::Currency;

    use super::*;

    fn line(sku: &str, quantity: u32) -> Line {
        Line { sku: sku.parse().unwrap(), quantity: quantity.try_into().unwrap() }
    }

    fn sku(text: &str) -> Sku {
        text.parse().unwrap()
    }

    fn offers() -> BTreeMap<Sku, Offer> {
        let offer = |available, price, currency| Offer { available, price: Money::new(price, currency).unwrap() };
        BTreeMap::from([
            (sku("mug"), offer(3, 1250, Currency::EUR)),
            (sku("tee"), offer(1, 1990, Currency::EUR)),
            (sku("cap"), offer(0, 900, Currency::USD)),
        ])
    }

    #[test]
    fn all_lines_are_held_at_the_prices_of_the_moment() {
        let held = decide(&[line("tee", 1), line("mug", 3)], &offers()).unwrap();
        let totals: Vec<i64> = held.iter().map(|line| line.total().minor_units()).collect();
        assert_eq!(totals, [1990, 3750]);
    }

    #[test]
    fn one_line_that_is_short_refuses_all_and_every_short_sku_is_named() {
        assert_eq!(decide(&[line("mug", 3), line("tee", 2)], &offers()), Err(Refusal::OutOfStock(vec![sku("tee")])));
        let all = [line("mug", 4), line("tee", 2)];
        assert_eq!(decide(&all, &offers()), Err(Refusal::OutOfStock(vec![sku("mug"), sku("tee")])));
    }

    #[test]
    fn what_no_waiting_can_cure_is_told_first() {
        let unknown = Err(Refusal::UnknownSku(vec![sku("hat")]));
        assert_eq!(decide(&[line("mug", 9), line("cap", 1), line("hat", 1)], &offers()), unknown);
        assert_eq!(decide(&[line("mug", 9), line("cap", 1)], &offers()), Err(Refusal::MixedCurrencies));
    }

    #[test]
    fn an_order_has_1_to_100_lines_each_sku_once() {
        let order = OrderId::new();
        let lines = |count: u32| (0..count).map(|number| line(&format!("sku-{number}"), 1)).collect::<Vec<_>>();
        assert!(Reserve::new(order, lines(1)).is_ok());
        assert!(Reserve::new(order, lines(100)).is_ok());
        assert!(Reserve::new(order, lines(0)).is_err());
        assert!(Reserve::new(order, lines(101)).is_err());
        assert!(Reserve::new(order, vec![line("mug", 1), line("mug", 1)]).is_err());
    }
}

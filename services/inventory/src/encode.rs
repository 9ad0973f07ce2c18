//! Answers as messages carry them, by telephone and by letter alike.

use contracts::{
    ids::Sku,
    inventory::v1::{OutOfStock, Reserved, ReservedLine, UnknownSku},
    money::Money,
};

use crate::reservation::PricedLine;

/// The lines that are held, with their prices and the sum.
pub(crate) fn reserved(lines: Vec<PricedLine>) -> Reserved {
    let totals = lines.iter().map(PricedLine::total);
    let total = totals.reduce(|sum, line| sum.plus(line).expect("a reservation has one currency and limited prices"));
    let encode = |line: PricedLine| ReservedLine {
        sku: line.line.sku.to_string(),
        quantity: line.line.quantity.get(),
        unit_price: Some(line.unit_price.into()),
        line_total: Some(line.total().into()),
    };
    Reserved { lines: lines.into_iter().map(encode).collect(), total: total.map(Money::into) }
}

/// There is too little of these.
pub(crate) fn out_of_stock(skus: &[Sku]) -> OutOfStock {
    OutOfStock { skus: words(skus) }
}

/// No products have these SKUs.
pub(crate) fn unknown_sku(skus: &[Sku]) -> UnknownSku {
    UnknownSku { skus: words(skus) }
}

fn words(skus: &[Sku]) -> Vec<String> {
    skus.iter().map(Sku::to_string).collect()
}

//! The words of every message: plain text, no markup. Nothing in them tells who the customer is or lives. No I/O.

use std::fmt::Write;

use contracts::{
    money::{InvalidMoney, Money},
    order::v1::{Order, OrderReason, PaymentStatus},
    shipping::v1::Shipment,
};

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// One line.
    pub subject: String,
    /// Lines, each ended by `\n`.
    pub body: String,
}

/// The order is paid: what was bought, and for how much. An order without its prices is an error.
pub fn order_completed(order: &Order) -> Result<Text, InvalidMoney> {
    let mut body = "Thank you for your order! It is paid, and this is what you get:\n\n".to_owned();
    for line in &order.lines {
        let price = Money::try_from(line.line_total.clone())?;
        writeln!(body, "  {} × {}: {price}", line.quantity, line.sku).expect("a string takes all that is written");
    }
    let total = Money::try_from(order.total.clone())?;
    write!(body, "  Total: {total}\n\nWe write again when your parcel leaves.\n").expect("as above");
    Ok(text("Thank you for your order", body))
}

/// The order came to nothing: why.
pub fn order_rejected(order: &Order) -> Text {
    let why = match order.reason() {
        OrderReason::OutOfStock => "We have too little left of what you ordered",
        OrderReason::PaymentDeclined => "Your card was declined",
        OrderReason::Expired => "We could not settle your order in time",
        OrderReason::UnknownSku => "One of the products is not in our catalogue",
        OrderReason::UnknownCard => "Your card is not known to its network",
        OrderReason::MixedCurrencies => "The products are priced in two currencies",
        // a reason that a later version gives is none that this one can tell
        OrderReason::CustomerRequest | OrderReason::Unspecified => "Your order could not be placed",
    };
    text("Your order could not be placed", format!("{why}. We are sorry. Nothing was charged.\n"))
}

/// The order is taken back, and so is the money if there was any. A refund without an amount is an error.
pub fn order_cancelled(order: &Order) -> Result<Text, InvalidMoney> {
    let money = if order.payment_status() == PaymentStatus::Refunded {
        let total = Money::try_from(order.total.clone())?;
        format!("{total} are on their way back to your card.")
    } else {
        "Nothing was charged.".to_owned()
    };
    Ok(text("Your order is cancelled", format!("Your order is cancelled and will not be sent. {money}\n")))
}

/// The parcel cannot be sent anywhere yet.
pub fn address_wanted() -> Text {
    text(
        "Where shall we send your order?",
        "Your order is paid, but your account has no address yet. Please add one: your parcel leaves once we know where to.\n",
    )
}

/// The parcel left.
pub fn shipment_dispatched(shipment: &Shipment) -> Text {
    let body = format!("Your parcel left. Its tracking number is {}.\n", shipment.tracking_number);
    text("Your parcel is on its way", body)
}

/// The parcel is there.
pub fn shipment_delivered() -> Text {
    text("Your parcel has arrived", "Your parcel was delivered. We hope that you like what is in it!\n")
}

fn text(subject: &str, body: impl Into<String>) -> Text {
    Text { subject: subject.to_owned(), body: body.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::{money::v1::Money as MoneyMessage, order::v1::PricedLine};

    fn order(lines: &[(&str, u32, i64)], currency: &str) -> Order {
        let money = |amount_minor| Some(MoneyMessage { amount_minor, currency: currency.to_owned() });
        let line = |&(sku, quantity, total): &(&str, u32, i64)| PricedLine {
            sku: sku.to_owned(),
            quantity,
            line_total: money(total),
            ..PricedLine::default()
        };
        Order {
            lines: lines.iter().map(line).collect(),
            total: money(lines.iter().map(|(_, _, total)| total).sum()),
            ..Order::default()
        }
    }

    #[test]
    fn a_completed_order_is_told_with_its_lines_and_total() {
        let text = order_completed(&order(&[("mug", 2, 2500), ("sticker", 1, 5)], "EUR")).unwrap();
        assert_eq!(text.subject, "Thank you for your order");
        assert!(text.body.contains("\n  2 × mug: 25.00 EUR\n  1 × sticker: 0.05 EUR\n  Total: 25.05 EUR\n"));
    }

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        for (currency, told) in
            [("EUR", "Total: 12.34 EUR\n"), ("JPY", "Total: 1234 JPY\n"), ("KWD", "Total: 1.234 KWD\n")]
        {
            let body = order_completed(&order(&[("mug", 1, 1234)], currency)).unwrap().body;
            assert!(body.contains(told), "{body}");
        }
    }

    #[test]
    fn a_completed_order_without_a_price_has_no_text() {
        let mut without_total = order(&[("mug", 1, 1234)], "EUR");
        without_total.total = None;
        assert_eq!(order_completed(&without_total), Err(InvalidMoney::Missing));
        let mut without_line_total = order(&[("mug", 1, 1234)], "EUR");
        without_line_total.lines[0].line_total = None;
        assert_eq!(order_completed(&without_line_total), Err(InvalidMoney::Missing));
    }

    #[test]
    fn a_rejected_order_is_told_with_its_reason_known_or_not() {
        let told = |reason: i32| order_rejected(&Order { reason, ..Order::default() }).body;
        assert!(told(OrderReason::PaymentDeclined.into()).starts_with("Your card was declined. "));
        assert!(told(OrderReason::OutOfStock.into()).starts_with("We have too little left"));
        // a later version's
        assert!(told(1_000).starts_with("Your order could not be placed. "));
        assert!(told(1_000).ends_with("Nothing was charged.\n"));
    }

    #[test]
    fn a_cancelled_order_tells_of_a_refund_only_when_there_is_one() {
        let mut order = order(&[("mug", 1, 1234)], "EUR");
        order.payment_status = PaymentStatus::Refunded.into();
        assert!(order_cancelled(&order).unwrap().body.contains("12.34 EUR are on their way back to your card."));
        order.payment_status = PaymentStatus::None.into();
        assert!(order_cancelled(&order).unwrap().body.contains("Nothing was charged."));
    }
}

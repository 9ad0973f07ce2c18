//! What must be true: after each step, and at the end.

use anyhow::{Result, ensure};

use crate::{
    books::{Books, OrderRow, Reservation},
    model::{Asked, Model, total, was_completed},
    platform::Service,
    story::{Card, PRODUCTS},
};

/// Ways that a reservation goes within a step.
const WAYS: [(&str, &[&str]); 5] = [
    ("HELD", &["HELD", "RELEASED", "SETTLED", "RETURNED"]),
    ("SETTLED", &["SETTLED", "RETURNED"]),
    ("REFUSED", &["REFUSED"]),
    ("RELEASED", &["RELEASED"]),
    ("RETURNED", &["RETURNED"]),
];

/// What must hold after every step. `before` is how it was when the step began.
pub fn after_a_step(model: &Model, before: &Books, now: &Books) -> Result<()> {
    stock_adds_up(model, now)?;
    for (number, asked) in model.orders.iter().enumerate() {
        let Some(row) = now.orders.get(&asked.key) else { continue };
        let checked = only_what_may_change_has(before, now, row)
            .and_then(|()| reservation_was_right(before, now, row))
            .and_then(|()| stock_money_and_parcel_go_with(asked, now, row))
            .and_then(|()| reason_is_true(asked, now, row))
            .and_then(|()| letters_tell_it(asked, now, row));
        checked.map_err(|error| error.context(format!("order {number}")))?;
    }
    Ok(())
}

/// What must hold when nothing is left to do.
pub fn at_the_end(model: &Model, end: &Books) -> Result<()> {
    ensure!(end.to_charge.is_empty(), "payment has work left: {:?}", end.to_charge);
    ensure!(end.to_ask.is_empty(), "shipping has questions left: {:?}", end.to_ask);
    let mut sold = [0; PRODUCTS.len()];
    for (number, asked) in model.orders.iter().enumerate() {
        let Some(row) = end.orders.get(&asked.key) else { continue };
        let state = row.saga_state.as_str();
        let ends = asked.ends(row, end);
        ensure!(ends.contains(&(state, row.reason.as_deref())), "order {number} is {row:?}; it may be {ends:?}");
        ensure!(!row.is_due_some_time, "order {number} is {state}, and recovery would come for it");
        ensure!(!row.has_card, "order {number} is {state}, and its card is kept");
        let is_completed = state == "COMPLETED";
        let wish = asked.made(row);
        let paid = if is_completed { total(&wish) } else { 0 };
        ensure!(end.kept(row.order_id) == paid, "the network keeps {} of order {number}", end.kept(row.order_id));
        ensure!(end.booked(row.order_id) == paid, "the ledger has {} of order {number}", end.booked(row.order_id));
        let parcel = end.parcels.get(&row.order_id).map(|parcel| parcel.status.as_str());
        let parcels: &[Option<&str>] = match state {
            "COMPLETED" => &[Some("PREPARING"), Some("DISPATCHED"), Some("DELIVERED")],
            "REFUNDED" => &[Some("CANCELLED")],
            _ => &[None],
        };
        ensure!(parcels.contains(&parcel), "order {number} is {state}, its parcel {parcel:?}");
        if is_completed {
            for (sku, pieces) in &wish.lines {
                sold[place(sku)] += i64::from(*pieces);
            }
        }
    }
    for ((sku, ..), sold) in PRODUCTS.iter().zip(sold) {
        let stock = end.stock[*sku];
        let is = (stock.reserved, stock.sold, stock.available);
        ensure!(is == (0, sold, stock.received - sold), "of {sku}: {stock:?}; the orders bought {sold}");
    }
    Ok(())
}

/// Pieces are where the reservations say, and as many as arrived.
fn stock_adds_up(model: &Model, now: &Books) -> Result<()> {
    for ((sku, ..), at_first) in PRODUCTS.iter().zip(&model.pieces) {
        let arrived = now.receipts.values().filter(|(of, _)| of == sku).map(|(_, pieces)| pieces).sum::<i64>();
        let (reserved, sold) = (pieces_in(now, "HELD", sku), pieces_in(now, "SETTLED", sku));
        let stock = now.stock[*sku];
        let received = at_first + arrived;
        let is = [stock.received, stock.reserved, stock.sold, stock.available];
        let must = [received, reserved, sold, received - reserved - sold];
        ensure!(
            is == must && stock.available >= 0,
            "of {sku} [received, reserved, sold, available] is {is:?}, not {must:?}"
        );
    }
    Ok(())
}

fn pieces_in(books: &Books, state: &str, sku: &str) -> i64 {
    let reservations = books.reservations.values().filter(|it| it.state == state);
    reservations.map(|it| pieces_of(it, sku)).sum()
}

fn pieces_of(reservation: &Reservation, sku: &str) -> i64 {
    reservation.lines.iter().filter(|line| line.sku == sku).map(|line| line.quantity).sum()
}

/// What is final stays; what is answered stays answered; nothing is charged twice, or after a void.
fn only_what_may_change_has(before: &Books, now: &Books, row: &OrderRow) -> Result<()> {
    let Some(was) = before.orders.get(&row.idempotency_key) else { return Ok(()) };
    ensure!(was.order_id == row.order_id, "its key has another order now");
    let is_final = ["REJECTED", "CANCELLED", "REFUNDED"].contains(&was.saga_state.as_str());
    ensure!(!is_final || was.version == row.version, "it was {}, and went on", was.saga_state);
    ensure!(!was_completed(was) || was_completed(row), "it was {}, and is {}", was.saga_state, row.saga_state);
    ensure!(was.answer.is_none() || was.answer == row.answer, "its answer has changed");
    ensure!(was.version < row.version || was == row || same_but_recovery(was, row), "changed without a new version");
    if let (Some(was), Some(is)) = (before.charges.get(&row.order_id), now.charges.get(&row.order_id)) {
        ensure!(was.captured_at().is_none() || was.captured_at() == is.captured_at(), "captured again");
        ensure!(!was.voided || is.voided && is.captured_at() == was.captured_at(), "captured after a void");
    }
    Ok(())
}

fn same_but_recovery(was: &OrderRow, is: &OrderRow) -> bool {
    OrderRow { is_due_some_time: is.is_due_some_time, ..was.clone() } == *is
}

/// A reservation goes only its way; it is refused only if there is too little.
fn reservation_was_right(before: &Books, now: &Books, row: &OrderRow) -> Result<()> {
    let (was, is) = (before.reservations.get(&row.order_id), now.reservations.get(&row.order_id));
    let Some(is) = is else {
        ensure!(was.is_none(), "its reservation is gone");
        return Ok(());
    };
    if let Some(was) = was {
        let way =
            WAYS.iter().find(|(from, _)| *from == was.state).is_some_and(|(_, to)| to.contains(&is.state.as_str()));
        ensure!(way, "its reservation was {} and is {}", was.state, is.state);
    } else if is.refusal.as_deref() == Some("OUT_OF_STOCK") {
        // others in the same batch may have taken some before
        let taken = |sku: &str| -> i64 {
            let new = now.reservations.iter().filter(|(order, _)| !before.reservations.contains_key(order));
            new.filter(|(_, it)| it.state == "HELD").map(|(_, it)| pieces_of(it, sku)).sum()
        };
        let short = |sku: &str, pieces: i64| before.stock[sku].available - taken(sku) < pieces;
        ensure!(is.lines.iter().any(|line| short(&line.sku, line.quantity)), "refused, and there is enough");
    }
    Ok(())
}

/// An order, its pieces, its money and its parcel are in states that go together.
fn stock_money_and_parcel_go_with(asked: &Asked, now: &Books, row: &OrderRow) -> Result<()> {
    let state = row.saga_state.as_str();
    let reservation = now.reservations.get(&row.order_id);
    let has_pieces = reservation.is_some_and(Reservation::has_pieces);
    let reserved = reservation.map_or("NONE", |it| it.state.as_str());
    let (kept, total) = (now.kept(row.order_id), total(&asked.made(row)));
    let parcel = now.parcels.get(&row.order_id).map_or("NONE", |it| it.status.as_str());
    let has_left = ["DISPATCHED", "DELIVERED"].contains(&parcel);

    ensure!(kept == 0 || kept == total, "the network keeps {kept} of {total}");
    ensure!(kept == 0 || has_pieces, "{kept} is kept, and its reservation is {reserved}");
    match state {
        "COMPLETED" | "STOPPING" => {
            ensure!(has_pieces, "{state}, and its reservation is {reserved}");
            ensure!(kept == total, "{state}, and {kept} of {total} is kept");
            let payment = now.payments.get(&row.order_id).map_or("NONE", |it| it.state.as_str());
            ensure!(payment == "CAPTURED", "{state}, and its payment is {payment}");
            ensure!(row.total_minor == Some(total), "it costs {:?}, not {total}", row.total_minor);
        }
        "REFUNDING" | "REFUNDED" => {
            ensure!(has_pieces || reserved == "RETURNED" && state == "REFUNDED", "{state}, and reserved: {reserved}");
            ensure!(kept == 0 || state == "REFUNDING", "REFUNDED, and {kept} is kept");
            ensure!(parcel == "CANCELLED", "{state}, and its parcel is {parcel}");
        }
        "REJECTED" | "CANCELLED" => {
            ensure!(!has_pieces, "{state}, and its reservation is {reserved}");
            ensure!(kept == 0, "{state}, and {kept} is kept");
        }
        _ => {}
    }
    ensure!(parcel == "NONE" || was_completed(row), "{state}, and there is a parcel: {parcel}");
    ensure!(!has_left || ["COMPLETED", "STOPPING"].contains(&state), "{state}, and its parcel has left");
    let refunds = now.charges.get(&row.order_id).map_or(0, |charge| charge.refunds.len());
    ensure!(refunds <= 1, "refunded {refunds} times");
    let is_known = now.payments.contains_key(&row.order_id) || !now.charges.contains_key(&row.order_id);
    ensure!(is_known, "the network was asked, and payment knows nothing of it");
    let captured = now.charges.get(&row.order_id).is_some_and(|charge| charge.captured_at().is_some());
    ensure!(captured || !now.transfers.contains_key(&row.order_id), "in the ledger, and not at the network");
    Ok(())
}

/// An order is given up for a reason that is one.
fn reason_is_true(asked: &Asked, now: &Books, row: &OrderRow) -> Result<()> {
    let refusal = now.reservations.get(&row.order_id).and_then(|it| it.refusal.as_deref());
    let card = asked.made(row).card;
    let is_true = match row.reason.as_deref() {
        None => true,
        Some("EXPIRED") => asked.time_is_over,
        Some("CUSTOMER_REQUEST") => asked.wants_cancel,
        Some("PAYMENT_DECLINED") => card == Card::Declined,
        Some("UNKNOWN_CARD") => card == Card::Unknown,
        Some(other) => refusal == Some(other),
    };
    ensure!(is_true, "{} because of {:?}; inventory: {refusal:?}, {card:?} card", row.saga_state, row.reason);
    Ok(())
}

/// Every version has its letter, once, in order; the last ones tell how it stands.
fn letters_tell_it(asked: &Asked, now: &Books, row: &OrderRow) -> Result<()> {
    let letters = now.letters(Service::Order, row.order_id);
    let count = |kind: &str| letters.iter().filter(|(known, _)| *known == kind).count();
    ensure!(letters.iter().map(|(_, version)| *version).eq(1..=row.version), "at {}: {letters:?}", row.version);
    ensure!(count("order.created") == 1, "{letters:?}");
    ensure!(count("order.completed") == usize::from(was_completed(row)), "{}: {letters:?}", row.saga_state);
    let cancelled = usize::from(["CANCELLED", "REFUNDED"].contains(&row.saga_state.as_str()));
    ensure!(count("order.cancelled") == cancelled, "{}: {letters:?}", row.saga_state);
    ensure!(count("order.rejected") == usize::from(row.saga_state == "REJECTED"), "{}: {letters:?}", row.saga_state);
    for service in [Service::Inventory, Service::Payment] {
        let letters = now.letters(service, row.order_id);
        ensure!(letters.len() <= usize::from(asked.made(row).by_letter), "{}: {letters:?}", service.name());
    }
    let parcel = now.parcels.get(&row.order_id).map_or(0, |parcel| parcel.version);
    let letters = now.letters(Service::Shipping, row.order_id);
    ensure!(letters.iter().map(|(_, version)| *version).eq(1..=parcel), "shipping, at {parcel}: {letters:?}");
    Ok(())
}

fn place(sku: &str) -> usize {
    PRODUCTS.iter().position(|(known, ..)| *known == sku).expect("only products are sold")
}

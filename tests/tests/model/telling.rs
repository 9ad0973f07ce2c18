//! What happened, in words.

use contracts::order::v1::{
    CancelOrderResponse, PlaceOrdersResponse, cancel_order_response::Outcome as Cancel,
    place_orders_response::Outcome as Placed,
};

use crate::{books::Books, model::Model};

/// Everything that is other than before, order by order.
pub fn changes(model: &Model, before: &Books, now: &Books) -> Vec<String> {
    let mut changes = Vec::new();
    for (number, asked) in model.orders.iter().enumerate() {
        let Some(row) = now.orders.get(&asked.key) else { continue };
        let order = row.order_id;
        let was = before.orders.get(&asked.key);
        let state = |row: &crate::books::OrderRow| (row.saga_state.clone(), row.version);
        let mut tell = |what: &str, was: Option<String>, is: Option<String>| {
            if was != is {
                changes.push(format!("{what} {number}: {}", is.unwrap_or_else(|| "gone".to_owned())));
            }
        };
        tell("order", was.map(|it| say(state(it))), Some(say(state(row))));
        let reservation = |books: &Books| books.reservations.get(&order).map(|it| it.state.clone());
        tell("reservation of order", reservation(before), reservation(now));
        let payment = |books: &Books| books.payments.get(&order).map(|it| it.state.clone());
        tell("payment of order", payment(before), payment(now));
        let kept = |books: &Books| Some(format!("{} kept", books.kept(order)));
        tell("the card network, of order", kept(before), kept(now));
        let parcel = |books: &Books| books.parcels.get(&order).map(|it| it.status.clone());
        tell("parcel of order", parcel(before), parcel(now));
    }
    changes
}

/// The answer to placing an order.
pub fn placed(answer: &PlaceOrdersResponse) -> String {
    match &answer.outcome {
        Some(Placed::Placed(_)) => "its customer hears that it is completed".to_owned(),
        Some(Placed::Accepted(_)) => "its customer hears that it is accepted".to_owned(),
        Some(Placed::Refused(problem)) => format!("its customer hears {}", problem.code),
        None => "its customer hears nothing that has a meaning".to_owned(),
    }
}

/// The answer to cancelling one.
pub fn cancelled(answer: &CancelOrderResponse) -> String {
    match &answer.outcome {
        Some(Cancel::Cancelled(_)) => "its customer hears that it is cancelled".to_owned(),
        Some(Cancel::Cancelling(_)) => "its customer hears that it is being cancelled".to_owned(),
        Some(Cancel::Refused(problem)) => format!("its customer hears {}", problem.code),
        None => "its customer hears nothing that has a meaning".to_owned(),
    }
}

fn say(state: (String, i64)) -> String {
    format!("{}, version {}", state.0, state.1)
}

//! What happened, in words.

use contracts::order::v1::{
    CancelOrderResponse, PlaceOrdersResponse, cancel_order_response::Outcome as Cancel,
    place_orders_response::Outcome as Placed,
};

use crate::{books::Books, model::Model};

/// Finds one thing in the books, in words.
type Look<'a> = &'a dyn Fn(&Books) -> Option<String>;

/// Everything that is other than before, order by order.
pub fn changes(model: &Model, before: &Books, now: &Books) -> Vec<String> {
    let mut changes = Vec::new();
    for (number, asked) in model.orders.iter().enumerate() {
        let Some(row) = now.orders.get(&asked.key) else { continue };
        let order = row.order_id;
        let told: [(&str, Look<'_>); 5] = [
            ("order", &|it| {
                it.orders.get(&asked.key).map(|row| format!("{}, version {}", row.saga_state, row.version))
            }),
            ("reservation of order", &|it| it.reservations.get(&order).map(|it| it.state.clone())),
            ("payment of order", &|it| it.payments.get(&order).map(|it| it.state.clone())),
            ("at the card network, order", &|it| Some(format!("{} kept", it.kept(order)))),
            ("parcel of order", &|it| it.parcels.get(&order).map(|it| it.status.clone())),
        ];
        for (what, of) in told {
            let is = of(now);
            if of(before) != is {
                changes.push(format!("{what} {number}: {}", is.as_deref().unwrap_or("gone")));
            }
        }
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

//! Telling an order something, with what operators want to know about it.

use tracing::error;

use crate::order::{Change, Heard, Order};

/// [`Order::hear`]; counts the step as `order_steps_heard_total{from,fact,to}`, and logs what cannot be. Heard, not kept: a
/// step that somebody else keeps first is counted by both.
pub fn hear(order: &Order, heard: &Heard) -> Change {
    let change = order.hear(heard);
    let (from, fact) = (order.state.name(), heard.fact.name());
    match &change {
        Change::Advanced(advanced) => {
            metrics::counter!("order_steps_heard_total", "from" => from, "fact" => fact, "to" => advanced.state.name())
                .increment(1);
        }
        Change::AlreadyApplied => {}
        Change::Contradiction => {
            error!(order.id = %order.id, state = from, fact, "a service told what cannot be; the order stays as it is");
        }
    }
    change
}

//! 1: one Idempotency-Key, one order.

use contracts::order::v1::{DecidedAnswer, decided_answer::Answer};
use prost::Message;

use super::{Case, Desk, Finding};
use crate::audit::case::Order;
use crate::audit::sources::{Sources, unread};
use crate::failure::Failure;

/// The answer that is kept for a key is about the order that the key made, and says what became of it.
pub fn answer_is_the_orders(case: &Case, _: &Desk, finding: &mut Finding) {
    let Some((order, bytes)) = case.order.as_ref().and_then(|order| Some((order, order.answer.as_ref()?))) else {
        return;
    };
    let answer = DecidedAnswer::decode(bytes.as_slice()).ok().and_then(|decided| decided.answer);
    let differs =
        answer.as_ref().map_or(Some("cannot be read".to_owned()), |answer| contradiction(case, order, answer));
    finding.check(
        case.id,
        differs.is_none(),
        || format!("answer of order {}", case.id),
        || differs.clone().unwrap_or_default(),
    );
}

fn contradiction(case: &Case, order: &Order, answer: &Answer) -> Option<String> {
    let (about, says, agrees) = match answer {
        Answer::Placed(placed) => (&placed.order_id, "completed", order.was_completed()),
        Answer::Refused(problem) => (&problem.order_id, "refused", order.is_given_up()),
        Answer::Accepted(accepted) => (&accepted.order_id, "accepted", order.placed_by == "LETTER"),
    };
    if *about != case.id.to_string() {
        return Some(format!("is about order {about}"));
    }
    let (state, door) = (&order.saga_state, &order.placed_by);
    (!agrees).then(|| format!("says {says}, and the order, by {door}, is {state}"))
}

/// No key of a customer has two orders.
pub async fn one_order_each(sources: &Sources, finding: &mut Finding) -> Result<(), Failure> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT format('key %s of customer %s', idempotency_key, customer_id), count(*)
         FROM orders
         GROUP BY customer_id, idempotency_key
         HAVING count(*) > 1
         ORDER BY 1
         LIMIT 100000",
    )
    .fetch_all(sources.database("orders")?)
    .await
    .map_err(unread("orders"))?;
    for (subject, orders) in rows {
        finding.suspect(None, subject, format!("has {orders} orders"));
    }
    Ok(())
}

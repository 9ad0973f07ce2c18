//! 15: work that lies in a database and that nobody takes up.

use contracts::ids::OrderId;
use journeys::locks::Lock;

use crate::{breakage::Breakage, orders::Orders, shop::Shop};

/// An hour overdue.
const OVERDUE: &str = "now() - interval '1 hour'";

/// Long after the test.
const LATER: &str = "now() + interval '1 day'";

/// A piece of each kind that can be kept from its workers: they pass by what somebody has locked. The parcel's takes a lock that
/// a test could only hold by keeping everybody else from changing the row, itself included.
pub async fn left_lying(shop: &Shop, orders: &mut Orders) -> Vec<Breakage> {
    let (told, decided, asked) = (orders.completed(), orders.completed(), orders.completed());
    let message = format!("SELECT message_id::text FROM message WHERE order_id = '{told}' AND state = 'SENT' LIMIT 1");
    let message = shop.ask::<String>("notifications", &message).await;
    let query = "SELECT 1 FROM message WHERE message_id = $1::uuid FOR KEY SHARE";
    let lock = Lock::take(&shop.platform, "notifications", query, &message).await;
    let values = [("state", "'DUE'"), ("sent_at", "NULL"), ("attempt_at", OVERDUE)];
    let which = format!("message_id = '{message}'");
    let due_now = Breakage::changed(shop, "notifications", "message", &which, &values).await;
    let unsent = Breakage::locked(lock).and(due_now);

    let query = "SELECT 1 FROM orders WHERE order_id = $1::uuid FOR KEY SHARE";
    let lock = Lock::take(&shop.platform, "orders", query, &decided).await;
    let which = format!("order_id = '{decided}'");
    let due = [("attempt_at", OVERDUE)];
    let due_now = Breakage::changed(shop, "orders", "orders", &which, &due).await;
    let unrecovered = Breakage::locked(lock).and(due_now);

    let charge = OrderId::new().to_string();
    let which = format!("order_id = '{charge}'");
    let values = format!("'{charge}', '', {LATER}");
    let columns = "order_id, reserved, attempt_at";
    let noted = Breakage::with(shop, "payments", "charge_work", columns, &values, &which).await;
    let query = "SELECT 1 FROM charge_work WHERE order_id = $1::uuid FOR KEY SHARE";
    let lock = Lock::take(&shop.platform, "payments", query, &charge).await;
    let due_now = Breakage::changed(shop, "payments", "charge_work", &which, &due).await;
    let uncharged = noted.and(Breakage::locked(lock)).and(due_now);

    let which = format!("order_id = '{asked}'");
    let values = format!("'{asked}', '{asked}', {LATER}");
    let columns = "order_id, customer_id, attempt_at";
    let noted = Breakage::with(shop, "shipping", "address_question", columns, &values, &which).await;
    let query = "SELECT 1 FROM address_question WHERE order_id = $1::uuid FOR KEY SHARE";
    let lock = Lock::take(&shop.platform, "shipping", query, &asked).await;
    let due_now = Breakage::changed(shop, "shipping", "address_question", &which, &due).await;
    let unasked = noted.and(Breakage::locked(lock)).and(due_now);
    vec![
        unsent.fires(15, &["message", &message, "nobody takes it up"]),
        unrecovered.fires(15, &["order", &decided, "nobody takes it up"]),
        uncharged.fires(15, &["charge of order", &charge, "nobody takes it up"]),
        unasked.fires(15, &["question for the address of order", &asked, "nobody takes it up"]),
    ]
}

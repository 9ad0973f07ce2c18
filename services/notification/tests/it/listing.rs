//! Customers read what they were told.

use contracts::{
    ids::{AccountId, OrderId},
    problem::ProblemCode,
};

use crate::{
    desk::Desk,
    letters::{completed, dispatched},
};

#[tokio::test]
async fn a_customer_sees_what_was_written_to_him_and_to_nobody_else() {
    let desk = Desk::alone().await;
    let (ada, bob) = (AccountId::new(), AccountId::new());
    let order = OrderId::new();
    let adas = completed(order, ada);
    desk.post(&adas).await;
    let bobs = completed(OrderId::new(), bob);
    desk.post(&bobs).await;
    desk.written(&bobs).await;
    let listed = desk.list(ada).await;
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].message_id, &listed[0].order_id), (&adas.id.to_string(), &order.to_string()));
    assert_eq!(
        (listed[0].event_type.as_str(), listed[0].subject.as_str()),
        ("order.completed", "Thank you for your order")
    );
    assert!(listed[0].body.contains("25.00 EUR") && listed[0].created_at.is_some());
    assert_eq!(listed[0].sent_at, None);
    assert_eq!(desk.list(bob).await.len(), 1);
    assert!(desk.list(AccountId::new()).await.is_empty());
    // a cursor is a place, and opens nobody's list
    let page = desk.page(&bob.to_string(), 1, &format!("9999999999999999_{}", adas.id)).await.unwrap();
    assert_eq!(page.items[0].message_id, bobs.id.to_string());
}

#[tokio::test]
async fn pages_have_every_message_once_newest_first_while_more_are_written() {
    let desk = Desk::alone().await;
    let ada = AccountId::new();
    // of one transaction, so of one time
    sqlx::query(
        "INSERT INTO message (message_id, customer_id, order_id, event_type, subject, body)
         SELECT gen_random_uuid(), $1, gen_random_uuid(), 'order.completed', 's', 'b' FROM generate_series(1, 6)",
    )
    .bind(ada.as_uuid())
    .execute(&desk.database.owner)
    .await
    .unwrap();
    let mut posted = Vec::new();
    for _ in 0..5 {
        let letter = dispatched(OrderId::new(), ada);
        desk.post(&letter).await;
        desk.written(&letter).await;
        posted.push(letter.id.to_string());
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = desk.page(&ada.to_string(), 4, &cursor).await.unwrap();
        seen.extend(page.items.into_iter().map(|message| message.message_id));
        if page.next_cursor.is_empty() {
            break;
        }
        cursor = page.next_cursor;
        let meanwhile = completed(OrderId::new(), ada);
        desk.post(&meanwhile).await;
        desk.written(&meanwhile).await;
    }
    posted.reverse();
    assert_eq!(seen[..5], posted);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 11);
    // a page that is exactly full is the last
    assert_eq!(desk.page(&ada.to_string(), 13, "").await.unwrap().next_cursor, "");
}

#[tokio::test]
async fn a_wrong_request_is_refused_by_its_fields_name() {
    let desk = Desk::alone().await;
    let ada = AccountId::new().to_string();
    testkit::eventually(testkit::SOON, "it answers", async || desk.page(&ada, 1, "").await.is_ok()).await;
    for (customer, limit, cursor, field) in [
        ("somebody", 1, "", "customer_id"),
        ("", 1, "", "customer_id"),
        (ada.as_str(), 0, "", "limit"),
        (ada.as_str(), 101, "", "limit"),
        (ada.as_str(), 1, "x", "cursor"),
        (ada.as_str(), 1, "1_x", "cursor"),
        (ada.as_str(), 1, "-377000000000000000_00000000-0000-0000-0000-000000000000", "cursor"),
        (ada.as_str(), 1, "9223372036854775807_00000000-0000-0000-0000-000000000000", "cursor"),
    ] {
        let status = desk.page(customer, limit, cursor).await.unwrap_err();
        assert_eq!(rpc::problem_of(&status), ProblemCode::Invalid, "{field} {cursor}");
        assert!(status.message().starts_with(field), "{}", status.message());
    }
}

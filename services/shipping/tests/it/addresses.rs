//! A parcel is prepared when there is somewhere to send it.

use contracts::{
    event::Event,
    events::v1::{AccountAddressChanged, AccountErased, AccountRegistered, ShipmentPrepared},
    ids::{AccountId, OrderId},
    problem::ProblemCode,
    shipping::v1::ShipmentStatus,
    topics::{ACCOUNTS, ORDERS},
};
use service_runtime::clock::Clock;
use testkit::SOON;

use crate::depot::{Depot, NEVER, completed, story};

#[tokio::test]
async fn a_parcel_waits_for_an_address_and_goes_on_with_the_letter_that_there_is_one() {
    let depot = Depot::open(1).await;
    let customer = depot.accounts.register(None).await;
    let order = OrderId::new();
    let mut letter = completed(order, customer);
    letter.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    depot.post(ORDERS, &letter).await;
    let waiting = depot.shipped(order).await;
    assert_eq!((waiting.status(), waiting.version), (ShipmentStatus::AwaitingAddress, 1));
    assert_eq!(waiting.customer_id, customer.to_string());
    assert_eq!(depot.count("SELECT count(*) FROM shipment WHERE due_at IS NOT NULL").await, 0, "no time runs yet");
    // a parcel that came later is on its way and arrives: time alone does not move the one that waits
    let other = OrderId::new();
    depot.complete(other, depot.customer).await;
    depot.reaches(other, ShipmentStatus::Delivered).await;
    assert_eq!(depot.shipment(order).await.unwrap(), waiting);

    depot.accounts.move_house(customer).await;
    depot.reaches(order, ShipmentStatus::Delivered).await;
    let letters = depot.letters_until_now().await;
    let whole =
        [("shipment.created", 1), ("shipment.prepared", 2), ("shipment.dispatched", 3), ("shipment.delivered", 4)];
    assert_eq!(story(&letters, order), whole);
    let prepared = letters.iter().find(|letter| letter.event_type == "shipment.prepared").unwrap();
    let created = letters.iter().find(|letter| letter.subject == order.to_string()).unwrap();
    assert_eq!((&created.traceparent, &prepared.traceparent), (&letter.traceparent, &letter.traceparent));
    let told = prepared.decode::<ShipmentPrepared>().unwrap().shipment.unwrap();
    assert_eq!((told.status(), told.customer_id), (ShipmentStatus::Preparing, customer.to_string()));
}

#[tokio::test]
async fn one_letter_moves_all_parcels_of_its_customer_and_nobody_elses() {
    let depot = Depot::open(NEVER).await;
    let (moving, staying) = (depot.accounts.register(None).await, depot.accounts.register(None).await);
    let (first, second) = (depot.awaiting(moving).await, depot.awaiting(moving).await);
    let other = depot.awaiting(staying).await;
    depot.accounts.move_house(moving).await;
    depot.reaches(first, ShipmentStatus::Preparing).await;
    depot.reaches(second, ShipmentStatus::Preparing).await;
    // and once more, which is no news
    depot.accounts.move_house(moving).await;
    let letters = depot.letters_until_now().await;
    for order in [first, second] {
        assert_eq!(story(&letters, order), [("shipment.created", 1), ("shipment.prepared", 2)]);
    }
    assert_eq!(story(&letters, other), [("shipment.created", 1)]);
    assert_eq!(depot.count("SELECT count(*) FROM address_question").await, 1);
}

#[tokio::test]
async fn an_address_that_was_set_before_the_order_was_completed_is_known() {
    let depot = Depot::open(NEVER).await;
    let customer = depot.accounts.register(None).await;
    depot.accounts.move_house(customer).await;
    depot.letters_until_now().await;
    let order = OrderId::new();
    depot.complete(order, customer).await;
    assert_eq!(depot.shipped(order).await.status(), ShipmentStatus::Preparing);
}

#[tokio::test]
async fn a_letter_that_comes_while_the_question_is_out_is_not_lost() {
    let depot = Depot::open(NEVER).await;
    let customer = depot.accounts.register(None).await;
    depot.accounts.pause();
    let order = OrderId::new();
    depot.complete(order, customer).await;
    depot.asked(order).await;
    // what the handler of the letter writes, about to be committed when the answer "none" comes to be written
    let mut letter = depot.lock_question(order).await;
    sqlx::query("UPDATE address_question SET attempt_at = now(), version = version + 1 WHERE customer_id = $1")
        .bind(customer.as_uuid())
        .execute(&mut *letter)
        .await
        .unwrap();
    depot.accounts.resume();
    depot.waits_for_lock().await;
    depot.accounts.move_house_in_silence(customer).await;
    letter.commit().await.unwrap();
    // asked again at once, and the answer that is out of date left no trace
    let shipment = depot.shipped(order).await;
    assert_eq!((shipment.status(), shipment.version), (ShipmentStatus::Preparing, 1));
}

#[tokio::test]
async fn without_accounts_parcels_wait_and_then_go_on() {
    let mut depot = Depot::open(NEVER).await;
    depot.accounts.kill();
    let orders = [(); 3].map(|()| OrderId::new());
    for order in orders {
        depot.complete(order, depot.customer).await;
        depot.asked(order).await;
    }
    for order in orders {
        let status = depot.shipment(order).await.unwrap_err();
        assert_eq!(rpc::problem_of(&status), ProblemCode::NotFound);
    }
    assert_eq!(depot.count("SELECT count(*) FROM consumer_parked").await, 0, "the letters are not to blame");
    depot.accounts.start();
    for order in orders {
        depot.reaches(order, ShipmentStatus::Preparing).await;
    }
    let letters = depot.letters_until_now().await;
    for order in orders {
        assert_eq!(story(&letters, order), [("shipment.created", 1)]);
    }
}

#[tokio::test]
async fn more_questions_than_are_out_at_once_are_all_answered() {
    let depot = Depot::open(NEVER).await;
    let orders: Vec<_> = (0..100).map(|_| OrderId::new()).collect();
    for &order in &orders {
        depot.complete(order, depot.customer).await;
    }
    for &order in &orders {
        depot.reaches(order, ShipmentStatus::Preparing).await;
    }
    let letters = depot.letters_until_now().await;
    for order in orders {
        assert_eq!(story(&letters, order), [("shipment.created", 1)]);
    }
}

#[tokio::test]
async fn a_customer_whom_accounts_does_not_know_has_no_address_and_is_asked_for_again_with_each_letter() {
    let depot = Depot::open(NEVER).await;
    let nobody = AccountId::new();
    let order = depot.awaiting(nobody).await;
    assert_eq!(depot.count("SELECT count(*) FROM address_question WHERE attempt_at IS NULL").await, 1);
    let changed = AccountAddressChanged { account_id: nobody.to_string() };
    for sequence in [2, 3] {
        depot.post(ACCOUNTS, &Event::new(ACCOUNTS, nobody.to_string(), sequence, Clock::System.now(), &changed)).await;
    }
    // each letter makes what was asked before it out of date
    testkit::eventually(SOON, "it is asked again, twice, and waits", async || {
        depot.count("SELECT count(*) FROM address_question WHERE attempt_at IS NULL AND version = 3").await == 1
    })
    .await;
    assert_eq!(story(&depot.letters_until_now().await, order), [("shipment.created", 1)]);
}

#[tokio::test]
async fn a_letter_of_an_account_that_makes_no_sense_is_set_aside_and_others_go_on() {
    let depot = Depot::open(NEVER).await;
    let customer = depot.accounts.register(None).await;
    let order = depot.awaiting(customer).await;
    let changed = |id: &str| AccountAddressChanged { account_id: id.to_owned() };
    let letter = |subject: &str, payload: &AccountAddressChanged| {
        Event::new(ACCOUNTS, subject.to_owned(), 2, Clock::System.now(), payload)
    };
    let mut garbage = letter(&AccountId::new().to_string(), &changed("x"));
    garbage.payload = vec![0xff; 3];
    depot.post(ACCOUNTS, &garbage).await;
    depot.post(ACCOUNTS, &letter(&AccountId::new().to_string(), &changed(&customer.to_string()))).await;
    depot.post(ACCOUNTS, &letter("nobody", &changed("nobody"))).await;
    let (one, other) = (AccountId::new().to_string(), AccountErased { account_id: customer.to_string() });
    depot.post(ACCOUNTS, &Event::new(ACCOUNTS, one, 2, Clock::System.now(), &other)).await;
    // these two are in order
    let registered = AccountRegistered { account_id: customer.to_string() };
    depot.post(ACCOUNTS, &Event::new(ACCOUNTS, customer.to_string(), 1, Clock::System.now(), &registered)).await;
    let stranger = AccountId::new().to_string();
    depot.post(ACCOUNTS, &letter(&stranger, &changed(&stranger))).await;
    depot.accounts.move_house(customer).await;
    depot.reaches(order, ShipmentStatus::Preparing).await;
    testkit::eventually(SOON, "the four letters are parked", async || {
        depot.count("SELECT count(*) FROM consumer_parked").await == 4
    })
    .await;
}

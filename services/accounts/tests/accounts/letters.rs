//! Each change of an account is one letter, which says that it changed and nothing of what it is.

use contracts::{
    event::{Event, Payload},
    events::v1::{AccountAddressChanged, AccountErased, AccountRegistered},
    topics::ACCOUNTS,
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
    message::Headers,
};
use testkit::{SOON, TestKafka};

use crate::process::{address, newcomer, run, start};

#[tokio::test]
async fn every_change_is_one_letter_with_the_next_version() {
    let accounts = start().await;
    let id = accounts.register("ada@example.com").await.unwrap().account_id;
    for line1 in ["1 High Street", "2 High Street"] {
        accounts.set_address(&id, address(line1)).await.unwrap();
    }
    let letters = letters(&accounts.kafka, 3).await;
    assert_eq!(
        story(&letters, &id),
        [("account.registered", 1), ("account.address_changed", 2), ("account.address_changed", 3)]
    );
}

#[tokio::test]
async fn the_last_letter_is_that_the_account_is_erased_and_is_written_once() {
    let accounts = start().await;
    let request = newcomer("ada@example.com", Some(address("1 High Street")));
    let id = accounts.register_as(request).await.unwrap().account_id;
    accounts.set_address(&id, address("2 High Street")).await.unwrap();
    for _ in 0..2 {
        accounts.erase(&id).await.unwrap();
    }
    accounts.set_address(&id, address("3 High Street")).await.unwrap_err();
    let last = accounts.register("ada@example.com").await.unwrap().account_id;
    let letters = letters(&accounts.kafka, 4).await;
    let whole = [("account.registered", 1), ("account.address_changed", 2), ("account.erased", 3)];
    assert_eq!(story(&letters, &id), whole);
    assert_eq!(story(&letters, &last), [("account.registered", 1)]);
}

#[tokio::test]
async fn registering_with_an_address_is_one_change() {
    let accounts = start().await;
    let request = newcomer("ada@example.com", Some(address("1 High Street")));
    let id = accounts.register_as(request).await.unwrap().account_id;
    // the next letter shows that there was one only
    accounts.set_address(&id, address("2 High Street")).await.unwrap();
    let letters = letters(&accounts.kafka, 2).await;
    assert_eq!(story(&letters, &id), [("account.registered", 1), ("account.address_changed", 2)]);
}

#[tokio::test]
async fn the_same_address_again_is_no_change() {
    let accounts = start().await;
    let request = newcomer("ada@example.com", Some(address("1 High Street")));
    let id = accounts.register_as(request).await.unwrap().account_id;
    for line1 in ["1 High Street", "2 High Street", "2 High Street"] {
        let account = accounts.set_address(&id, address(line1)).await.unwrap();
        assert_eq!(account.address, Some(address(line1)));
    }
    let last = accounts.register("grace@example.com").await.unwrap().account_id;
    let letters = letters(&accounts.kafka, 3).await;
    assert_eq!(story(&letters, &id), [("account.registered", 1), ("account.address_changed", 2)]);
    assert_eq!(story(&letters, &last), [("account.registered", 1)]);
}

#[tokio::test]
async fn a_letter_carries_the_id_of_the_account_and_nothing_else() {
    let accounts = start().await;
    let request = newcomer("ada@example.com", Some(address("1 High Street")));
    let id = accounts.register_as(request).await.unwrap().account_id;
    accounts.set_address(&id, address("2 High Street")).await.unwrap();
    accounts.erase(&id).await.unwrap();
    let letters = letters(&accounts.kafka, 3).await;
    // byte by byte, so that a field that this test does not know would be seen
    let registered = AccountRegistered { account_id: id.clone() };
    assert_eq!(letters[0].payload, Event::new(ACCOUNTS, id.clone(), 1, letters[0].time, &registered).payload);
    let changed = AccountAddressChanged { account_id: id.clone() };
    assert_eq!(letters[1].payload, Event::new(ACCOUNTS, id.clone(), 2, letters[1].time, &changed).payload);
    let erased = AccountErased { account_id: id.clone() };
    assert_eq!(letters[2].payload, Event::new(ACCOUNTS, id, 3, letters[2].time, &erased).payload);
}

#[tokio::test]
async fn what_is_refused_has_no_letter() {
    let accounts = start().await;
    accounts.register("ada@example.com").await.unwrap();
    accounts.register("ADA@example.com").await.unwrap_err();
    let nobody = contracts::ids::AccountId::new().to_string();
    accounts.set_address(&nobody, address("1 High Street")).await.unwrap_err();
    accounts.register("grace@example.com").await.unwrap();
    let letters = letters(&accounts.kafka, 2).await;
    assert!(letters.iter().all(|letter| letter.event_type == AccountRegistered::TYPE && letter.subject != nobody));
}

#[tokio::test]
async fn changes_at_the_same_time_have_versions_without_gaps() {
    let accounts = start().await;
    let id = accounts.register("ada@example.com").await.unwrap().account_id;
    let lines: Vec<String> = (1..=16).map(|number| format!("{number} High Street")).collect();
    let changes = lines.iter().map(|line1| accounts.set_address(&id, address(line1)));
    for changed in futures::future::join_all(changes).await {
        changed.unwrap();
    }
    let letters = letters(&accounts.kafka, 17).await;
    let sequences: Vec<i64> = letters.iter().map(|letter| letter.sequence).collect();
    assert_eq!(sequences, (1..=17).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_account_of_somebody_from_elsewhere_is_told_once_however_many_say_so() {
    let accounts = start().await;
    let id = contracts::ids::AccountId::new().to_string();
    let many = (0..16).map(|_| accounts.ensure(&id, "ada@example.com", "Ada"));
    assert!(futures::future::join_all(many).await.into_iter().all(|ensured| ensured.is_ok()));
    accounts.ensure(&id, "ada@example.org", "Ada").await.unwrap();
    accounts.set_address(&id, address("1 High Street")).await.unwrap();
    let letters = letters(&accounts.kafka, 2).await;
    assert_eq!(story(&letters, &id), [("account.registered", 1), ("account.address_changed", 2)]);
    // and with no email in it
    let registered = AccountRegistered { account_id: id.clone() };
    assert_eq!(letters[0].payload, Event::new(ACCOUNTS, id, 1, letters[0].time, &registered).payload);
}

#[tokio::test]
async fn an_account_that_is_seeded_has_its_letter_too() {
    let accounts = start().await;
    assert!(run(&["seed", "demo"], &accounts.database.app_url, "").status.success());
    let letters = letters(&accounts.kafka, 1).await;
    assert_eq!((letters[0].event_type.as_str(), letters[0].sequence), ("account.registered", 1));
}

/// The first letters on the topic, so many.
async fn letters(kafka: &TestKafka, count: usize) -> Vec<Event> {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap)
        .set("group.id", "reads without committing")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(&kafka.topic(ACCOUNTS.name()), 0, Offset::Beginning).unwrap();
    consumer.assign(&start).unwrap();
    let mut letters = Vec::new();
    let reading = async {
        while letters.len() < count {
            let message = consumer.recv().await.unwrap();
            let headers = message.headers().expect("a letter has headers");
            let headers = headers.iter().map(|header| (header.key, header.value));
            letters.push(Event::from_kafka(message.key(), headers, message.payload()).unwrap());
        }
    };
    tokio::time::timeout(SOON, reading).await.expect("so many letters come");
    letters
}

/// Type and sequence of each letter of an account.
fn story<'a>(letters: &'a [Event], id: &str) -> Vec<(&'a str, i64)> {
    let of_account = letters.iter().filter(|letter| letter.subject == id);
    of_account.map(|letter| (letter.event_type.as_str(), letter.sequence)).collect()
}

//! A customer's account is erased: nobody is written to any more, and nobody is alarmed.

use contracts::ids::OrderId;
use testkit::{SOON, eventually, places_with};

use crate::{
    accounts::Accounts,
    desk::Desk,
    letters::{completed, dispatched},
    mail_server::MailServer,
};

#[tokio::test]
async fn a_message_to_nobody_fails_at_its_first_attempt_and_alarms_nobody() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let (ada, eve) =
        (accounts.register("Ada", "ada@example.com").await, accounts.register("Eve", "eve@example.com").await);
    accounts.erase(ada).await;
    let letters = [completed(OrderId::new(), ada), dispatched(OrderId::new(), ada)];
    let to_eve = completed(OrderId::new(), eve);
    for letter in letters.iter().chain([&to_eve]) {
        desk.post(letter).await;
        desk.post(letter).await;
    }
    for letter in &letters {
        let row = desk.until_state(letter, "FAILED").await;
        assert_eq!((row.attempts, row.failure.as_deref()), (1, Some("the account was erased")));
    }
    desk.until_state(&to_eve, "SENT").await;
    // the letters come again when all is done: nothing is tried again
    for letter in &letters {
        desk.post(letter).await;
    }
    desk.settle().await;
    for letter in &letters {
        assert_eq!(desk.find(letter).await.unwrap().attempts, 1);
    }
    assert_eq!(desk.count("SELECT count(*) FROM message WHERE state = 'FAILED'").await, 2);
    assert_eq!(mail_server.mails().len(), 1);
    eventually(SOON, "the attempts are counted apart", async || {
        let counted = desk.metric("message_attempts_total{outcome=\"erased\"}").await;
        counted.is_some_and(|erased| (1.5..2.5).contains(&erased))
    })
    .await;
    let log = desk.log();
    let is_alarm = |line: &str| line.contains("ERROR") && line.contains("notification::");
    assert!(log.contains("the account was erased") && !log.lines().any(is_alarm), "{log}");
}

#[tokio::test]
async fn a_message_that_waits_while_the_account_is_erased_is_not_sent_and_what_was_sent_stays() {
    let (accounts, mut mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let ada = accounts.register("Adelheid Quillfeather", "quillfeather@lighthouse.example").await;
    let sent = completed(OrderId::new(), ada);
    desk.post(&sent).await;
    desk.until_state(&sent, "SENT").await;
    mail_server.stop().await;
    let waiting = dispatched(OrderId::new(), ada);
    desk.post(&waiting).await;
    desk.until_it_failed_once(&waiting).await;
    accounts.erase(ada).await;
    mail_server.start_again().await;
    let row = desk.until_state(&waiting, "FAILED").await;
    assert_eq!((row.refusals, row.failure.as_deref()), (1, Some("the account was erased")));
    assert_eq!(mail_server.mails().len(), 1);
    assert_eq!(desk.find(&sent).await.unwrap().state, "SENT");
    assert_eq!(desk.list(ada).await.len(), 2, "a token that is still valid reads what there is");
    let left = places_with(&desk.database.owner, &["Adelheid", "Quillfeather", "Lighthouse"]).await;
    assert!(left.is_empty(), "{left:?}");
}

//! Messages are sent.

use std::collections::HashSet;

use contracts::ids::{AccountId, OrderId};
use testkit::{SOON, eventually};

use crate::{
    accounts::Accounts,
    desk::Desk,
    letters::{completed, dispatched},
    mail_server::{MailServer, Manner, Step},
};

#[tokio::test]
async fn a_message_is_mailed_to_its_customer_under_its_letters_id() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let ada = accounts.register("Ada Lovelace", "ada@example.com").await;
    let letter = dispatched(OrderId::new(), ada);
    desk.post(&letter).await;
    let mail = mail_server.mails_until(1).await.remove(0);
    assert_eq!((mail.from.as_str(), mail.to.as_str()), ("<post@shop.example>", "<ada@example.com>"));
    assert_eq!(mail.header("From"), "Postbox <post@shop.example>");
    assert_eq!(mail.header("To"), "\"Ada Lovelace\" <ada@example.com>");
    assert_eq!(mail.header("Subject"), "Your parcel is on its way");
    assert_eq!(mail.header("Message-ID"), format!("<{}@postbox.invalid>", letter.id));
    assert!(mail.text.contains("PBA3F10242AC120002"));
    let row = desk.until_state(&letter, "SENT").await;
    assert_eq!((row.attempts, row.failure), (1, None));
    assert!(desk.list(ada).await[0].sent_at.is_some());
}

#[tokio::test]
async fn nothing_that_is_kept_or_logged_tells_who_the_customer_is() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let ada = accounts.register("Ada Lovelace", "ada@example.com").await;
    let (taken, refused) = (completed(OrderId::new(), ada), completed(OrderId::new(), ada));
    desk.post(&taken).await;
    desk.until_state(&taken, "SENT").await;
    mail_server.behave(Step::Rcpt, Manner::Say("550 5.1.1 <ada@example.com>: there is no Ada here"));
    desk.post(&refused).await;
    desk.until_state(&refused, "FAILED").await;
    // it is told once it is kept
    eventually(SOON, "the refusal is told", async || desk.log().contains("550")).await;
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT message::text FROM message").fetch_all(&desk.database.owner).await.unwrap();
    for text in [kept.join("\n"), desk.log()] {
        assert!(text.contains("550") && !text.contains("Ada") && !text.contains("ada@example.com"), "{text}");
    }
}

#[tokio::test]
async fn without_a_mail_server_a_message_is_a_line_in_the_log() {
    let accounts = Accounts::start().await;
    let desk = Desk::open(&accounts).await;
    let letter = completed(OrderId::new(), accounts.register("Ada Lovelace", "ada@example.com").await);
    desk.post(&letter).await;
    desk.until_state(&letter, "SENT").await;
    let log = desk.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("not mailed")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains(&letter.id.to_string()) && !log.contains("ada@example.com"), "{log}");
}

#[tokio::test]
async fn a_letter_that_comes_three_times_is_mailed_once() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let ada = accounts.register("Ada", "ada@example.com").await;
    let letter = completed(OrderId::new(), ada);
    desk.post(&letter).await;
    desk.post(&letter).await;
    desk.until_state(&letter, "SENT").await;
    desk.post(&letter).await;
    // one that comes after it is mailed after it
    let last = completed(OrderId::new(), ada);
    desk.post(&last).await;
    desk.until_state(&last, "SENT").await;
    assert_eq!(mail_server.mails().len(), 2);
}

#[tokio::test]
async fn two_replicas_mail_each_message_once() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let _replica = desk.replica();
    let ada = accounts.register("Ada", "ada@example.com").await;
    for _ in 0..100 {
        desk.post(&completed(OrderId::new(), ada)).await;
    }
    testkit::eventually(SOON, "all are sent", async || {
        desk.count("SELECT count(*) FROM message WHERE state = 'SENT'").await == 100
    })
    .await;
    let mails = mail_server.mails();
    let ids: HashSet<&str> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!((mails.len(), ids.len()), (100, 100));
}

#[tokio::test]
async fn customers_are_asked_for_in_one_call_and_what_is_sent_meanwhile_is_noted_together() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let mut desk = Desk::with_mail(&accounts, &mail_server).await;
    let (ada, eve) =
        (accounts.register("Ada", "ada@example.com").await, accounts.register("Eve", "eve@example.com").await);
    desk.kill();
    let due = "INSERT INTO message (message_id, customer_id, order_id, event_type, subject, body)
               VALUES (gen_random_uuid(), $1, gen_random_uuid(), 'order.completed', 'subject', 'body')";
    for customer in [ada, ada, ada, eve, ada, ada, eve, ada] {
        sqlx::query(due).bind(customer.as_uuid()).execute(&desk.database.owner).await.unwrap();
    }
    mail_server.behave(Step::End, Manner::Wait);
    desk.start_again();
    mail_server.mails_until(8).await;
    assert_eq!(accounts.calls("GetContacts").await, 1);
    // whoever notes the first has to wait, and the others come meanwhile
    let mut lock = desk.database.owner.begin().await.unwrap();
    sqlx::query("SELECT FROM message FOR UPDATE").execute(&mut *lock).await.unwrap();
    mail_server.be_well();
    eventually(SOON, "all eight are sent", async || {
        desk.metric("message_attempts_total{outcome=\"sent\"}").await.is_some_and(|sent| sent > 7.5)
    })
    .await;
    lock.rollback().await.unwrap();
    eventually(SOON, "that is noted", async || {
        desk.count("SELECT count(*) FROM message WHERE state = 'SENT'").await == 8
    })
    .await;
    let transactions = desk.count("SELECT count(DISTINCT sent_at) FROM message").await;
    assert!(transactions <= 2, "{transactions}");
    let to = |customer: &str| mail_server.mails().iter().filter(|mail| mail.to.contains(customer)).count();
    assert_eq!((to("ada"), to("eve")), (6, 2));
    // nobody's address is kept for what is due later
    let later = completed(OrderId::new(), ada);
    desk.post(&later).await;
    desk.until_state(&later, "SENT").await;
    assert_eq!(accounts.calls("GetContacts").await, 2);
}

#[tokio::test]
async fn a_conversation_that_hangs_holds_up_no_other_message() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let ada = accounts.register("Ada", "ada@example.com").await;
    let (slow, next) = (completed(OrderId::new(), ada), completed(OrderId::new(), ada));
    mail_server.behave(Step::Mail, Manner::Wait);
    desk.post(&slow).await;
    mail_server.until_reached(Step::Mail, 1).await;
    // whoever waits goes on waiting; who comes now is not asked to
    mail_server.behave(Step::Mail, Manner::Say("250 yes"));
    desk.post(&next).await;
    desk.until_state(&next, "SENT").await;
    assert_eq!(desk.find(&slow).await.unwrap().state, "DUE");
    mail_server.be_well();
    desk.until_state(&slow, "SENT").await;
    assert_eq!(mail_server.mails().len(), 2);
}

#[tokio::test]
async fn what_is_under_way_is_finished_before_the_process_ends() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let mut desk = Desk::with_mail(&accounts, &mail_server).await;
    let letter = completed(OrderId::new(), accounts.register("Ada", "ada@example.com").await);
    mail_server.behave(Step::End, Manner::Wait);
    desk.post(&letter).await;
    mail_server.mails_until(1).await;
    desk.ask_to_end().await;
    mail_server.be_well();
    assert!(desk.has_ended_well().await, "{}", desk.log());
    assert_eq!(desk.find(&letter).await.unwrap().state, "SENT");
    assert_eq!(mail_server.mails().len(), 1);
}

#[tokio::test]
async fn customers_that_accounts_knows_are_mailed_while_others_fail() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let known = completed(OrderId::new(), accounts.register("Ada", "ada@example.com").await);
    let unknown = completed(OrderId::new(), AccountId::new());
    desk.post(&unknown).await;
    desk.post(&known).await;
    desk.until_state(&known, "SENT").await;
    let failed = desk.until_state(&unknown, "FAILED").await;
    assert_eq!((failed.attempts, failed.refusals), (5, 5));
    assert_eq!(failed.failure.as_deref(), Some("accounts knows no such account"));
    let errors = || desk.log().lines().filter(|line| line.contains("ERROR")).count();
    // it is told once it is kept
    eventually(SOON, "the failure is told", async || errors() >= 1).await;
    assert_eq!(errors(), 1);
    // what is failed is left alone
    desk.settle().await;
    assert_eq!(desk.find(&unknown).await, Some(failed));
}

#[tokio::test]
async fn what_waits_and_what_came_of_attempts_are_metrics() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let ada = accounts.register("Ada", "ada@example.com").await;
    mail_server.behave(Step::End, Manner::Wait);
    for _ in 0..3 {
        desk.post(&completed(OrderId::new(), ada)).await;
    }
    let is = async |name: &str, value: f64| desk.metric(name).await.is_some_and(|told| (told - value).abs() < 0.5);
    testkit::eventually(SOON, "three messages wait", async || is("messages_due", 3.0).await).await;
    assert!(desk.metric("messages_due_oldest_age_seconds").await.is_some_and(|age| age > 0.0));
    mail_server.be_well();
    let sent = "message_attempts_total{outcome=\"sent\"}";
    testkit::eventually(SOON, "three are sent", async || is(sent, 3.0).await && is("messages_due", 0.0).await).await;
}

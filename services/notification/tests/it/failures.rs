//! Outages are waited for; refusals end.

use contracts::ids::{AccountId, OrderId};
use testkit::SOON;

use crate::{
    accounts::Accounts,
    desk::Desk,
    letters::completed,
    mail_server::{MailServer, Manner, Step},
};

#[tokio::test]
async fn accounts_may_be_away() {
    let (mut accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let letter = completed(OrderId::new(), accounts.register("Ada", "ada@example.com").await);
    accounts.kill();
    desk.post(&letter).await;
    let row = desk.until_it_failed_once(&letter).await;
    assert_eq!((row.state.as_str(), row.refusals), ("DUE", 0));
    accounts.start_again().await;
    desk.until_state(&letter, "SENT").await;
    assert_eq!(mail_server.mails().len(), 1);
}

#[tokio::test]
async fn the_mail_server_may_be_away() {
    let (accounts, mut mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let letter = completed(OrderId::new(), accounts.register("Ada", "ada@example.com").await);
    mail_server.stop().await;
    desk.post(&letter).await;
    desk.until_it_failed_once(&letter).await;
    mail_server.start_again().await;
    let row = desk.until_state(&letter, "SENT").await;
    assert_eq!((row.refusals, row.failure), (0, None));
    assert_eq!(mail_server.mails().len(), 1);
}

#[tokio::test]
async fn what_a_server_does_to_all_refuses_no_message() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let ada = accounts.register("Ada", "ada@example.com").await;
    let at_every_step = [Step::Greeting, Step::Ehlo, Step::Mail, Step::Rcpt, Step::Data, Step::End];
    let hang_ups = at_every_step.map(|step| (step, Manner::HangUp));
    let delays = at_every_step.map(|step| (step, Manner::Say("451 4.7.1 come back later")));
    // before the recipient is named, a final no is not about him
    let refusals = [Step::Greeting, Step::Ehlo, Step::Mail].map(|step| (step, Manner::Say("554 5.7.1 not from you")));
    for (step, manner) in hang_ups.into_iter().chain(delays).chain(refusals) {
        let letter = completed(OrderId::new(), ada);
        mail_server.behave(step, manner);
        desk.post(&letter).await;
        let row = desk.until_it_failed_once(&letter).await;
        assert_eq!((row.state.as_str(), row.refusals), ("DUE", 0), "{step:?} {manner:?}");
        mail_server.be_well();
        let row = desk.until_state(&letter, "SENT").await;
        assert_eq!((row.refusals, row.failure), (0, None), "{step:?} {manner:?}");
    }
}

#[tokio::test]
async fn an_outage_is_waited_for_longer_than_a_refusal() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let letter = completed(OrderId::new(), accounts.register("Ada", "ada@example.com").await);
    mail_server.behave(Step::Rcpt, Manner::Say("451 4.7.1 come back later"));
    desk.post(&letter).await;
    testkit::eventually(SOON, "it is tried more often than a refused one", async || {
        desk.cut_pauses_short().await;
        mail_server.reached(Step::Rcpt) > 6
    })
    .await;
    mail_server.be_well();
    desk.until_state(&letter, "SENT").await;
}

#[tokio::test]
async fn pauses_between_the_tries_grow_to_five_minutes() {
    let desk = Desk::alone().await;
    let letter = completed(OrderId::new(), AccountId::new());
    desk.post(&letter).await;
    desk.until_it_failed_once(&letter).await;
    // 1 s, doubled each time, a fifth more or less; it was read a moment after it began
    for (attempts, at_least, at_most) in [(5, 12.0, 19.2), (6, 25.0, 38.4), (12, 239.0, 360.0), (10_000, 239.0, 360.0)]
    {
        let pause = desk.pause_after(&letter, attempts).await;
        assert!((at_least..=at_most).contains(&pause), "{attempts}: {pause}");
    }
}

#[tokio::test]
async fn no_mail_is_said_in_the_clear_where_tls_is_asked_for() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let ada = accounts.register("Ada", "ada@example.com").await;
    let address = mail_server.address;
    // this server knows no TLS
    for url in [format!("smtp://ada:secret@{address}?tls=required"), format!("smtps://ada:secret@{address}")] {
        let desk = Desk::with_smtp_url(&accounts, url.clone()).await;
        let letter = completed(OrderId::new(), ada);
        desk.post(&letter).await;
        let row = desk.until_it_failed_once(&letter).await;
        assert_eq!((row.state.as_str(), row.refusals, mail_server.reached(Step::Mail)), ("DUE", 0, 0), "{url}");
    }
}

#[tokio::test]
async fn a_message_that_is_refused_for_good_fails_after_five_tries() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let ada = accounts.register("Ada", "ada@example.com").await;
    for step in [Step::Rcpt, Step::Data, Step::End] {
        let letter = completed(OrderId::new(), ada);
        let before = mail_server.reached(step);
        mail_server.behave(step, Manner::Say("550 5.7.1 not here"));
        desk.post(&letter).await;
        let row = desk.until_state(&letter, "FAILED").await;
        mail_server.be_well();
        assert_eq!((row.attempts, row.refusals, mail_server.reached(step) - before), (5, 5, 5), "{step:?}");
        assert!(row.failure.unwrap().ends_with(": reply 550"));
    }
}

#[tokio::test]
async fn a_failed_message_can_be_sent_again_as_the_readme_says() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let letter = completed(OrderId::new(), accounts.register("Ada", "ada@example.com").await);
    mail_server.behave(Step::Rcpt, Manner::Say("550 5.1.1 nobody"));
    desk.post(&letter).await;
    desk.until_state(&letter, "FAILED").await;
    mail_server.be_well();
    sqlx::query("UPDATE message SET state = 'DUE', attempt_at = now(), refusals = 0 WHERE message_id = $1")
        .bind(letter.id)
        .execute(&desk.database.app)
        .await
        .unwrap();
    desk.until_state(&letter, "SENT").await;
}

#[tokio::test]
async fn a_server_that_does_not_say_goodbye_gets_the_mail_once() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let letter = completed(OrderId::new(), accounts.register("Ada", "ada@example.com").await);
    mail_server.behave(Step::Quit, Manner::Wait);
    desk.post(&letter).await;
    let row = desk.until_state(&letter, "SENT").await;
    assert_eq!((row.attempts, mail_server.mails().len()), (1, 1));
}

#[tokio::test]
async fn an_address_that_no_mail_can_be_sent_to_fails() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    // accounts takes both; the first is no address, the second needs SMTPUTF8
    let impossible = completed(OrderId::new(), accounts.register("Eve", "e@v@e").await);
    let beyond_ascii = completed(OrderId::new(), accounts.register("Zoë", "zoë@example.com").await);
    for letter in [&impossible, &beyond_ascii] {
        desk.post(letter).await;
        desk.until_state(letter, "FAILED").await;
    }
    assert!(mail_server.mails().is_empty());
}

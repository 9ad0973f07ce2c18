//! kill -9, or a database that is away, at the moments that matter.

use contracts::{event::Event, ids::OrderId};
use sqlx::{Postgres, Transaction};
use testkit::{SOON, eventually};

use crate::{
    accounts::Accounts,
    desk::Desk,
    letters::completed,
    mail_server::{MailServer, Manner, Step},
};

#[tokio::test]
async fn killed_after_the_mail_was_taken_and_before_that_was_noted() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let mut desk = Desk::with_mail(&accounts, &mail_server).await;
    let letter = completed(OrderId::new(), accounts.register("Ada", "ada@example.com").await);
    let lock = take_but_keep_from_noting(&desk, &mail_server, &letter).await;
    die_at_the_lock(&mut desk, lock).await;
    assert_eq!(desk.find(&letter).await.unwrap().state, "DUE");
    end_leases(&desk).await;
    desk.start_again();
    desk.until_state(&letter, "SENT").await;
    let ids: Vec<String> = mail_server.mails().iter().map(|mail| mail.header("Message-ID").to_owned()).collect();
    let id = format!("<{}@postbox.invalid>", letter.id);
    assert_eq!(ids, [id.clone(), id]);
    assert_eq!(desk.count("SELECT count(*) FROM message").await, 1);
}

#[tokio::test]
async fn killed_before_the_mail_was_taken() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let mut desk = Desk::with_mail(&accounts, &mail_server).await;
    let letter = completed(OrderId::new(), accounts.register("Ada", "ada@example.com").await);
    mail_server.behave(Step::Rcpt, Manner::Wait);
    desk.post(&letter).await;
    mail_server.until_reached(Step::Rcpt, 1).await;
    desk.kill();
    mail_server.be_well();
    end_leases(&desk).await;
    desk.start_again();
    desk.until_state(&letter, "SENT").await;
    assert_eq!(mail_server.mails().len(), 1);
}

#[tokio::test]
async fn a_mail_is_not_sent_again_because_the_database_was_away_when_it_was_to_be_noted() {
    let (accounts, mail_server) = (Accounts::start().await, MailServer::start().await);
    let desk = Desk::with_mail(&accounts, &mail_server).await;
    let letter = completed(OrderId::new(), accounts.register("Ada", "ada@example.com").await);
    let lock = take_but_keep_from_noting(&desk, &mail_server, &letter).await;
    break_connection_at_the_lock(&desk, lock).await;
    // sooner than the lease ends
    desk.until_state(&letter, "SENT").await;
    assert_eq!(mail_server.mails().len(), 1);
}

/// What 40 s do.
async fn end_leases(desk: &Desk) {
    sqlx::query("UPDATE message SET attempt_at = now()").execute(&desk.database.owner).await.unwrap();
}

/// The mail is taken, and whoever wants to note that has to wait.
async fn take_but_keep_from_noting(
    desk: &Desk,
    mail_server: &MailServer,
    letter: &Event,
) -> Transaction<'static, Postgres> {
    mail_server.behave(Step::End, Manner::Wait);
    desk.post(letter).await;
    mail_server.mails_until(1).await;
    let lock = lock_messages(desk).await;
    mail_server.be_well();
    lock
}

/// Locks the messages, so that whoever wants to note something has to wait.
async fn lock_messages(desk: &Desk) -> Transaction<'static, Postgres> {
    let mut lock = desk.database.owner.begin().await.unwrap();
    sqlx::query("SELECT FROM message FOR UPDATE").execute(&mut *lock).await.unwrap();
    lock
}

/// Waits until notification wants to note that the mail was taken, and kills it there.
async fn die_at_the_lock(desk: &mut Desk, lock: Transaction<'static, Postgres>) {
    until_it_waits(desk).await;
    desk.kill();
    // the database does not notice that its client is dead, and would commit for it once the lock is gone
    break_connection_at_the_lock(desk, lock).await;
}

/// Waits until notification wants to note that the mail was taken, and breaks its connection to the database.
async fn break_connection_at_the_lock(desk: &Desk, lock: Transaction<'static, Postgres>) {
    until_it_waits(desk).await;
    for pid in waiting(desk).await {
        let gone = sqlx::query_scalar("SELECT pg_terminate_backend($1, 10000)").bind(pid);
        let gone: bool = gone.fetch_one(&desk.database.app).await.unwrap();
        assert!(gone);
    }
    lock.rollback().await.unwrap();
}

async fn until_it_waits(desk: &Desk) {
    let what = "notification waits to note that the mail was taken";
    eventually(SOON, what, async || !waiting(desk).await.is_empty()).await;
}

/// The database's processes that work for notification and wait for a lock. Asked as its role, which sees its own.
async fn waiting(desk: &Desk) -> Vec<i32> {
    let waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(waiting).fetch_all(&desk.database.app).await.unwrap()
}

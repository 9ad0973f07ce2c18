//! The books outlive the process, and are never guessed.

use std::{fs::OpenOptions, io::Write};

use reqwest::StatusCode;

use crate::process::{Psp, run_on_books};

/// A request to charge.
const CHARGE: &str =
    r#"{"merchant_reference":"order-1","amount":{"amount_minor":1250,"currency":"EUR"},"card_token":"tok_visa"}"#;

/// Its entry in the books.
const CAPTURED: &str = r#"{"at":"2026-11-21T09:00:00Z","merchant_reference":"order-1","change":{"captured":{"amount":{"amount_minor":1250,"currency":"EUR"},"card_token":"tok_visa"}}}"#;

#[tokio::test]
async fn what_was_answered_survives_kill_9() {
    let mut psp = Psp::start().await;
    psp.charge("captured", "tok_visa").await;
    psp.charge("declined", "tok_declined").await;
    psp.charge("voided", "tok_visa").await;
    psp.void("voided").await;
    psp.charge("refunded", "tok_visa").await;
    psp.refund("refunded", "refund-1", 1000).await;
    let before = psp.captures(2).await;
    assert_eq!(before.len(), 3);
    psp.kill_and_restart().await;
    assert_eq!(psp.captures(2).await, before);
    assert_eq!(psp.charge("captured", "tok_visa").await.1, before[0]);
    assert_eq!(psp.charge("declined", "tok_declined").await.0, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(psp.charge("voided", "tok_visa").await.0, StatusCode::CONFLICT);
    assert_eq!(psp.refund("refunded", "refund-2", 251).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn charges_answered_before_kill_9_in_the_middle_of_many_are_kept() {
    let mut psp = Psp::start().await;
    let client = psp.client().clone();
    let url = psp.url("/charges");
    let (answered, mut answers) = tokio::sync::mpsc::channel(1000);
    for number in 0..200 {
        let (client, url, answered) = (client.clone(), url.clone(), answered.clone());
        tokio::spawn(async move {
            let reference = format!("order-{number}");
            let body = CHARGE.replace("order-1", &reference);
            let asked = client.post(url).header("content-type", "application/json").body(body).send().await;
            if asked.is_ok_and(|response| response.status() == StatusCode::OK) {
                answered.send(reference).await.unwrap();
            }
        });
    }
    drop(answered);
    let mut kept = vec![answers.recv().await.expect("one is answered")];
    psp.kill();
    while let Some(reference) = answers.recv().await {
        kept.push(reference);
    }
    psp.kill_and_restart().await;
    let captures = psp.captures(100).await;
    for reference in kept {
        assert!(captures.iter().any(|capture| capture["merchant_reference"] == reference), "{reference} is lost");
    }
}

#[tokio::test]
async fn a_full_disk_ends_the_process_and_what_was_not_written_was_not_answered() {
    let mut psp = Psp::start_on_a_small_disk().await;
    let mut answered = 0;
    while psp.try_charge(&format!("order-{answered}"), "tok_visa").await.is_ok_and(|(status, _)| status.is_success()) {
        answered += 1;
    }
    assert!(answered > 0);
    assert_eq!(psp.restart_after_its_end().await.code(), Some(1));
    assert_eq!(psp.captures(100).await.len(), answered);
}

#[tokio::test]
async fn a_last_line_that_was_cut_off_is_removed() {
    let mut psp = Psp::start().await;
    psp.charge("order-1", "tok_visa").await;
    psp.kill();
    let whole = psp.books();
    let mut file = OpenOptions::new().append(true).open(psp.books_path()).unwrap();
    file.write_all(&whole.as_bytes()[..whole.len() / 2]).unwrap();
    psp.kill_and_restart().await;
    assert_eq!(psp.books(), whole);
    assert_eq!(psp.charge("order-2", "tok_visa").await.0, StatusCode::OK);
    psp.kill_and_restart().await;
    assert_eq!(psp.captures(100).await.len(), 2);
}

#[tokio::test]
async fn damage_anywhere_else_is_refused_in_one_line_that_names_it() {
    let cases = [
        ("no-json", "nonsense\n".to_owned()),
        ("damaged-then-right", format!("{}\n{CAPTURED}\n", &CAPTURED[..50])),
        ("not-utf-8", CAPTURED.replace("order-1", "\u{fffd}") + "\n"),
        ("captured-twice", format!("{CAPTURED}\n{CAPTURED}\n")),
        ("unknown-field", CAPTURED.replace("\"at\"", "\"colour\":1,\"at\"") + "\n"),
    ];
    for (name, books) in cases {
        let output = run_on_books(name, books.as_bytes()).await;
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {log}");
        assert!(log.trim().lines().count() == 1 && log.contains("books.jsonl is damaged in line"), "{name}: {log}");
    }
}

#[tokio::test]
async fn a_second_process_on_the_same_books_is_refused() {
    let psp = Psp::start_with_books(&format!("{CAPTURED}\n")).await;
    let output = psp.second_process_on_the_same_books().await;
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{log}");
    assert!(log.contains("PSP_BOOKS") && log.contains("in use by another process"), "{log}");
    assert_eq!(psp.captures_of("order-1").await, 1);
}

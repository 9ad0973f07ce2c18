//! The card network's own books, which the platform does not keep: every capture, and what became of it.

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use uuid::Uuid;

use super::case::Capture;
use super::sorter::{Sorted, Sorter};
use super::sources::Sources;
use crate::failure::Failure;

/// What the network gives at once, at the most.
const PAGE: usize = 100;

/// Charges that are asked for at once.
const AT_ONCE: usize = 16;

/// A capture as bytes: its order, then all of [`Capture`].
const RECORD: usize = 16 + 8 + 8 + 1 + 3;

#[derive(Deserialize)]
struct Page {
    items: Vec<ChargeView>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct ChargeView {
    merchant_reference: String,
    amount: Option<AmountView>,
    captured_at: Option<jiff::Timestamp>,
    refunded_minor: i64,
    voided: bool,
}

#[derive(Deserialize)]
struct AmountView {
    amount_minor: i64,
    currency: String,
}

impl ChargeView {
    /// The order that it was captured for; none when nothing was captured, or only after `before`.
    fn capture(self, before: Option<jiff::Timestamp>) -> Result<Option<(Uuid, Capture)>, Failure> {
        let Some(captured_at) = self.captured_at else { return Ok(None) };
        if before.is_some_and(|before| captured_at >= before) {
            return Ok(None);
        }
        let reference = &self.merchant_reference;
        let wrong = |what| Failure::found(format!("the card network has a capture {reference:?} with {what}"));
        let order = reference.parse().map_err(|_| wrong("a reference that is no order's id"))?;
        let amount = self.amount.ok_or_else(|| wrong("no amount"))?;
        let capture = Capture {
            amount_minor: amount.amount_minor,
            currency: amount.currency,
            refunded_minor: self.refunded_minor,
            is_voided: self.voided,
        };
        Ok(Some((order, capture)))
    }
}

/// Every capture before `before`, sorted by order.
pub async fn captures(
    sources: &Sources,
    before: jiff::Timestamp,
) -> Result<impl Iterator<Item = Result<(Uuid, Capture), Failure>> + use<>, Failure> {
    let url = sources.url("psp")?;
    let mut sorter = Sorter::<RECORD>::new();
    let mut cursor = String::new();
    loop {
        let page: Page = ask(sources, &format!("{url}/captures?limit={PAGE}{cursor}")).await?;
        for charge in page.items {
            if let Some((order, capture)) = charge.capture(Some(before))? {
                sorter.push(to_bytes(order, &capture)).map_err(full)?;
            }
        }
        let Some(next) = page.next_cursor else { break };
        cursor = format!("&cursor={next}");
    }
    let by_order: Sorted<RECORD> = sorter.sorted().map_err(full)?;
    Ok(by_order.map(|record| record.map(|record| from_bytes(&record)).map_err(full)))
}

/// The captures of these orders only, sorted by order.
pub async fn captures_of(sources: &Sources, orders: &[Uuid]) -> Result<Vec<(Uuid, Capture)>, Failure> {
    let url = sources.url("psp")?;
    let mut found: Vec<(Uuid, Capture)> = stream::iter(orders)
        .map(|order| async move {
            let answer = sources.http.get(format!("{url}/charges/{order}")).send().await.map_err(away)?;
            if answer.status() == reqwest::StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let charge: ChargeView = answer.error_for_status().map_err(away)?.json().await.map_err(away)?;
            charge.capture(None)
        })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(async |capture| Ok(capture))
        .try_collect()
        .await?;
    found.sort_by_key(|(order, _)| *order);
    Ok(found)
}

async fn ask<T: for<'de> Deserialize<'de>>(sources: &Sources, url: &str) -> Result<T, Failure> {
    let answer = sources.http.get(url).send().await.map_err(away)?;
    answer.error_for_status().map_err(away)?.json().await.map_err(away)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn away(error: reqwest::Error) -> Failure {
    Failure::unreachable(format!("the card network's books cannot be read: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn full(error: std::io::Error) -> Failure {
    Failure::unreachable(format!("the folder for temporary files cannot be used: {error}"))
}

fn to_bytes(order: Uuid, capture: &Capture) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..16].copy_from_slice(order.as_bytes());
    record[16..24].copy_from_slice(&capture.amount_minor.to_be_bytes());
    record[24..32].copy_from_slice(&capture.refunded_minor.to_be_bytes());
    record[32] = capture.is_voided.into();
    // the network takes three upper-case letters and nothing else
    for (at, letter) in record[33..].iter_mut().zip(capture.currency.bytes()) {
        *at = letter;
    }
    record
}

fn from_bytes(record: &[u8; RECORD]) -> (Uuid, Capture) {
    let number = |at: usize| i64::from_be_bytes(record[at..at + 8].try_into().expect("eight bytes"));
    let capture = Capture {
        amount_minor: number(16),
        refunded_minor: number(24),
        is_voided: record[32] == 1,
        currency: String::from_utf8_lossy(&record[33..]).into_owned(),
    };
    (Uuid::from_slice(&record[..16]).expect("sixteen bytes"), capture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_survives_the_way_through_a_file() {
        let order = Uuid::now_v7();
        let capture = Capture { amount_minor: 2_500, currency: "EUR".to_owned(), refunded_minor: 1, is_voided: true };
        assert_eq!(from_bytes(&to_bytes(order, &capture)), (order, capture));
    }
}

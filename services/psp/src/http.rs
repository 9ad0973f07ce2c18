//! The network's HTTP interface: decode, ask the [`Network`], encode.
//!
//! | request | answer |
//! |---|---|
//! | `POST /charges` `{merchant_reference, amount, card_token}` | 200 captured · 402 `payment-declined` · 422 `unknown-card` · 409 `charge-voided` · 422 `reference-reused` |
//! | `POST /charges/{reference}/void` | 200; also for a reference that was never charged |
//! | `POST /charges/{reference}/refunds` `{refund_reference, amount}` | 200 · 404 · 409 `nothing-captured`, `refund-exceeds-capture` · 422 `reference-reused` |
//! | `GET /charges/{reference}` | 200 · 404 `unknown-charge` |
//! | `GET /captures?since&cursor&limit` | 200 `{items, next_cursor}`, in the order of capture |

use std::{future::Future, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service_runtime::Shutdown;

use crate::{
    amount::Amount,
    card::CardToken,
    charges::{Charge, ChargeAnswer, Outcome, RefundAnswer},
    entry::{Refund, Terms},
    network::{Network, NoAnswer},
    problem::Problem,
    reference::Reference,
    request::{BODY_BYTES_MAX, Body, Parameters, PathReference},
    serve::drop_connection,
};

/// Captures on one page, when the query does not say.
const PAGE_DEFAULT: usize = 20;

/// The most captures on one page.
const PAGE_MAX: usize = 100;

/// What a handler needs.
#[derive(Debug, Clone)]
struct Desk {
    network: Arc<Network>,
    shutdown: Shutdown,
}

/// All routes.
pub fn routes(network: Arc<Network>, shutdown: Shutdown) -> Router {
    Router::new()
        .route("/charges", post(charge))
        .route("/charges/{reference}", get(show))
        .route("/charges/{reference}/void", post(void))
        .route("/charges/{reference}/refunds", post(refund))
        .route("/captures", get(captures))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "not-found", "there is no such path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "the path knows other methods")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Desk { network, shutdown })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargeRequest {
    merchant_reference: Reference,
    amount: Amount,
    card_token: CardToken,
}

async fn charge(State(desk): State<Desk>, Body(request): Body<ChargeRequest>) -> Result<Response, Problem> {
    let ChargeRequest { merchant_reference: reference, amount, card_token } = request;
    let reason = card_token.decline_reason();
    let terms = Terms { amount, card_token };
    let (answer, charge) = desk
        .uncut({
            let reference = reference.clone();
            |network| async move { network.charge(reference, terms).await }
        })
        .await?;
    match answer {
        ChargeAnswer::Captured => Ok(Json(ChargeView::new(&reference, &charge)).into_response()),
        ChargeAnswer::Declined => Err(Problem::new(StatusCode::PAYMENT_REQUIRED, "payment-declined", reason)),
        ChargeAnswer::UnknownCard => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-card", "the network does not know this card"))
        }
        ChargeAnswer::Voided => {
            Err(Problem::new(StatusCode::CONFLICT, "charge-voided", "nothing is captured under a voided reference"))
        }
        ChargeAnswer::OtherTerms => Err(reused("the reference belongs to a charge of another amount or card")),
        ChargeAnswer::Fault => {
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a fault of the network; ask again"))
        }
        // `Later` was resolved by the network
        ChargeAnswer::NoReply | ChargeAnswer::Later => Ok(drop_connection()),
    }
}

async fn void(State(desk): State<Desk>, PathReference(reference): PathReference) -> Result<Response, Problem> {
    let charge = desk
        .uncut({
            let reference = reference.clone();
            |network| async move { network.void(&reference).await }
        })
        .await?;
    Ok(Json(ChargeView::new(&reference, &charge)).into_response())
}

async fn refund(
    State(desk): State<Desk>,
    PathReference(reference): PathReference,
    Body(refund): Body<Refund>,
) -> Result<Response, Problem> {
    if refund.amount.minor() == 0 {
        return Err(Problem::invalid("amount: a refund is of at least one minor unit"));
    }
    let (answer, charge) = desk
        .uncut({
            let reference = reference.clone();
            |network| async move { network.refund(&reference, &refund).await }
        })
        .await?;
    match answer {
        RefundAnswer::Refunded => Ok(Json(ChargeView::new(&reference, &charge)).into_response()),
        RefundAnswer::UnknownCharge => Err(Problem::unknown_charge()),
        RefundAnswer::NothingCaptured => {
            Err(Problem::new(StatusCode::CONFLICT, "nothing-captured", "nothing is captured under this reference"))
        }
        RefundAnswer::OtherAmount => Err(reused("the refund reference belongs to a refund of another amount")),
        RefundAnswer::OtherCurrency => Err(Problem::invalid("amount: the capture is in another currency")),
        RefundAnswer::MoreThanCaptured => {
            Err(Problem::new(StatusCode::CONFLICT, "refund-exceeds-capture", "less than that is left of the capture"))
        }
    }
}

async fn show(State(desk): State<Desk>, PathReference(reference): PathReference) -> Result<Json<ChargeView>, Problem> {
    let found = desk.network.read(|charges| charges.find(&reference).cloned()).await?;
    let charge = found.ok_or_else(Problem::unknown_charge)?;
    Ok(Json(ChargeView::new(&reference, &charge)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CapturesQuery {
    since: Option<Timestamp>,
    /// The `next_cursor` of the page before; it stands for `since` as well.
    cursor: Option<Cursor>,
    limit: Option<usize>,
}

/// The number of the first capture of a page, counted from 0 in the order of capture. It has one spelling: that in which it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Cursor(usize);

impl TryFrom<String> for Cursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let number = text.parse().ok().filter(|number: &usize| number.to_string() == text);
        number.map(Self).ok_or(UNKNOWN_CURSOR)
    }
}

const UNKNOWN_CURSOR: &str = "cursor: must be the next_cursor of the page before";

#[derive(Serialize)]
struct CapturesPage {
    items: Vec<ChargeView>,
    next_cursor: Option<String>,
}

async fn captures(
    State(desk): State<Desk>,
    Parameters(query): Parameters<CapturesQuery>,
) -> Result<Json<CapturesPage>, Problem> {
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::invalid(format!("limit: 1 to {PAGE_MAX}")));
    }
    let page = desk.network.read(|charges| {
        let first = match query.cursor {
            // one that was given names a capture, and there are never fewer
            Some(Cursor(first)) if first >= charges.captures() => return None,
            Some(Cursor(first)) => first,
            None => query.since.map_or(0, |since| charges.first_capture_since(since)),
        };
        let items: Vec<_> = charges.captures_from(first, limit).map(|(name, it)| ChargeView::new(name, it)).collect();
        // captures are only ever added at the end, so a number stays that of its capture
        let next = first.saturating_add(items.len());
        let next_cursor = (next < charges.captures()).then(|| next.to_string());
        Some(CapturesPage { items, next_cursor })
    });
    page.await?.map(Json).ok_or_else(|| Problem::invalid(UNKNOWN_CURSOR))
}

/// A charge, as it is told to the outside.
#[derive(Serialize)]
struct ChargeView {
    merchant_reference: Reference,
    status: &'static str,
    /// `null` when it was voided before it was asked for.
    amount: Option<Amount>,
    captured_at: Option<Timestamp>,
    /// The sum of the refunds. A void is not one of them.
    refunded: Option<Amount>,
    refunded_minor: u64,
    voided: bool,
}

impl ChargeView {
    fn new(reference: &Reference, charge: &Charge) -> Self {
        let amount = charge.terms.as_ref().map(|terms| terms.amount);
        let refunded_minor = charge.refunded_minor();
        let status = match (charge.voided, charge.outcome) {
            (true, _) => "VOIDED",
            (false, Some(Outcome::Captured(_))) => "CAPTURED",
            (false, Some(Outcome::Declined)) => "DECLINED",
            (false, Some(Outcome::UnknownCard)) => "UNKNOWN_CARD",
            (false, None) => "PENDING",
        };
        Self {
            merchant_reference: reference.clone(),
            status,
            amount,
            captured_at: charge.captured_at(),
            refunded: amount.map(|amount| amount.with_minor(refunded_minor)),
            refunded_minor,
            voided: charge.voided,
        }
    }
}

fn reused(detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "reference-reused", detail)
}

impl Desk {
    /// Runs the work to its end even if the caller hangs up: a card that was asked to be charged is charged.
    async fn uncut<T, F>(self, work: impl FnOnce(Arc<Network>) -> F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, NoAnswer>> + Send + 'static,
    {
        let done = self.shutdown.spawn_work(work(self.network)).await;
        done.map_err(|panic| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", panic.to_string()))?
            .map_err(Problem::from)
    }
}

#[cfg(test)]
mod fuzz;

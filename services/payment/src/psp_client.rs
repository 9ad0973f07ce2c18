//! Asking the card network. Every call names the order as its reference, so repeating one changes nothing.
//!
//! Whatever is no clear answer (a timeout, a dropped connection, a 5xx, a 404, a body that cannot be read) is
//! [`Unclear`]: the outcome is not known, and the same call is made again.

use std::time::Duration;

use contracts::{ids::OrderId, money::Money};
use jiff::Timestamp;
use reqwest::{Client, Response, StatusCode, Url, redirect::Policy};
use serde::Deserialize;
use serde_json::json;
use service_runtime::Error;

use crate::payment::{CardToken, Fact, Heard};

/// The longest that one call may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(3);

/// How long opening the connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(1);

/// How often a silent connection is asked whether it still lives, and how long it may take to say so.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes; a right one has a few hundred.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The longest reason of a decline that is kept.
const DECLINE_REASON_CHARS_MAX: usize = 100;

/// The card network, over one connection that many calls share.
#[derive(Debug, Clone)]
pub struct PspClient {
    http: Client,
    charges: Url,
}

/// No clear answer: the call may have had its effect or not.
#[derive(Debug, thiserror::Error)]
pub enum Unclear {
    /// Not answered, or not to the end.
    #[error("no answer from the card network: {0}")]
    NoAnswer(String),
    /// Answered with something that decides nothing.
    #[error("the card network answered {status}, {code}")]
    Undecided {
        /// The HTTP status.
        status: StatusCode,
        /// The problem's code, or what stands in for it.
        code: String,
    },
    /// Answered with something that cannot be read.
    #[error("the card network's answer cannot be read: {0}")]
    Unreadable(String),
}

/// The fields of a charge that decide something here.
#[derive(Deserialize)]
struct ChargeBody {
    captured_at: Option<Timestamp>,
    voided: bool,
    refunded_minor: i64,
}

/// The fields of a problem that decide something here.
#[derive(Deserialize)]
struct ProblemBody {
    code: String,
    detail: String,
}

impl PspClient {
    /// A client of the network at `url`; connects at the first call, and again whenever the connection breaks.
    pub fn new(url: &str) -> Result<Self, Error> {
        let not_a_url = || Error::Config(format!("PSP_URL {url} is no URL like http://127.0.0.1:50060"));
        let base: Url = url.parse().map_err(|_| not_a_url())?;
        let charges = base.join("/charges").ok().filter(Url::has_host).ok_or_else(not_a_url)?;
        let http = Client::builder()
            .http2_prior_knowledge()
            .http2_keep_alive_interval(KEEPALIVE)
            .http2_keep_alive_timeout(KEEPALIVE)
            .http2_keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIME_MAX)
            // card tokens go to the network itself, and nowhere else
            .no_proxy()
            .redirect(Policy::none())
            .build()
            .map_err(|error| Error::other("building the client of the card network", error))?;
        Ok(Self { http, charges })
    }

    /// Asks to charge, for at most `time` and [`CALL_TIME_MAX`].
    pub async fn charge(
        &self,
        order_id: OrderId,
        amount: Money,
        card_token: &CardToken,
        time: Duration,
    ) -> Result<Heard, Unclear> {
        let body = json!({
            "merchant_reference": order_id,
            "amount": amount_body(amount),
            "card_token": card_token.as_str(),
        });
        let (status, bytes) = self.post(self.charges.clone(), &body, time).await?;
        if status == StatusCode::OK {
            let charge: ChargeBody = read(&bytes)?;
            let captured_at = charge.captured_at.ok_or_else(|| undecided(status, "and no time of capture"))?;
            return Ok(Heard { captured_at: Some(captured_at), ..Fact::NetworkCaptured.into() });
        }
        let problem = problem(&bytes);
        // both must fit: a 402 of something in between is not the network's word
        match (status, problem.code.as_str()) {
            (StatusCode::PAYMENT_REQUIRED, "payment-declined") => {
                let reason = problem.detail.chars().take(DECLINE_REASON_CHARS_MAX).collect();
                Ok(Heard { decline_reason: Some(reason), ..Fact::NetworkDeclined.into() })
            }
            (StatusCode::UNPROCESSABLE_ENTITY, "unknown-card") => Ok(Fact::NetworkUnknownCard.into()),
            (StatusCode::CONFLICT, "charge-voided") => Ok(Fact::NetworkRefusedVoided.into()),
            _ => Err(undecided(status, &problem.code)),
        }
    }

    /// Asks to void, for at most `time` and [`CALL_TIME_MAX`].
    pub async fn void(&self, order_id: OrderId, time: Duration) -> Result<Heard, Unclear> {
        let mut url = self.charges.clone();
        url.set_path(&format!("/charges/{order_id}/void"));
        let (status, bytes) = self.post(url, &json!({}), time).await?;
        if status != StatusCode::OK {
            return Err(undecided(status, &problem(&bytes).code));
        }
        let charge: ChargeBody = read(&bytes)?;
        match (charge.voided, charge.captured_at) {
            (false, _) => Err(undecided(status, "and the charge is not voided")),
            (true, None) => Ok(Fact::NetworkVoidedNothing.into()),
            (true, captured_at) => Ok(Heard { captured_at, ..Fact::NetworkVoidedCapture.into() }),
        }
    }

    /// Asks to give the whole `amount` back, for at most `time` and [`CALL_TIME_MAX`]. An order has one refund, under one
    /// reference, so that asking again gives nothing more.
    pub async fn refund(&self, order_id: OrderId, amount: Money, time: Duration) -> Result<Heard, Unclear> {
        let mut url = self.charges.clone();
        url.set_path(&format!("/charges/{order_id}/refunds"));
        let body = json!({"refund_reference": format!("{order_id}-refund"), "amount": amount_body(amount)});
        let (status, bytes) = self.post(url, &body, time).await?;
        if status == StatusCode::OK {
            let charge: ChargeBody = read(&bytes)?;
            return if charge.refunded_minor == amount.minor_units() {
                Ok(Fact::NetworkRefunded.into())
            } else {
                Err(undecided(status, "and another amount is refunded"))
            };
        }
        let problem = problem(&bytes);
        match (status, problem.code.as_str()) {
            (StatusCode::CONFLICT, "nothing-captured" | "refund-exceeds-capture")
            | (StatusCode::UNPROCESSABLE_ENTITY, "reference-reused") => Ok(Fact::NetworkRefusedRefund.into()),
            _ => Err(undecided(status, &problem.code)),
        }
    }

    async fn post(&self, url: Url, body: &serde_json::Value, time: Duration) -> Result<(StatusCode, Vec<u8>), Unclear> {
        let response =
            self.http.post(url).timeout(time.min(CALL_TIME_MAX)).json(body).send().await.map_err(no_answer)?;
        let status = response.status();
        Ok((status, whole_body(response).await?))
    }
}

fn amount_body(amount: Money) -> serde_json::Value {
    json!({"amount_minor": amount.minor_units(), "currency": amount.currency_code()})
}

async fn whole_body(mut response: Response) -> Result<Vec<u8>, Unclear> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Unclear::Unreadable(format!("it is longer than {ANSWER_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Unclear> {
    serde_json::from_slice(body).map_err(|error| Unclear::Unreadable(error.to_string()))
}

/// The problem in the body. An answer that something in between gives may have none.
fn problem(body: &[u8]) -> ProblemBody {
    read(body).unwrap_or_else(|_| ProblemBody { code: "and no problem".to_owned(), detail: String::new() })
}

fn undecided(status: StatusCode, code: &str) -> Unclear {
    Unclear::Undecided { status, code: code.to_owned() }
}

fn no_answer(error: reqwest::Error) -> Unclear {
    // the innermost cause says what happened; the URL would repeat the order
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Unclear::NoAnswer(if error.is_timeout() { "it took too long".to_owned() } else { cause.to_string() })
}

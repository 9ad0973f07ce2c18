//! One order, placed by a client that does as the API asks: the same request under the same key, until there is an answer.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::{Instant, sleep};

use crate::cli::By;
use crate::gateway::{Attempt, Gateway};

/// After this time even a patient customer goes home.
const PATIENCE: Duration = Duration::from_mins(1);

/// The pause before a repetition, where the platform does not name one: twice as long each time.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// An order that is to be placed.
pub struct Order {
    pub customer: String,
    pub gateway: Arc<Gateway>,
    pub by: By,
    pub key: String,
    pub sku: String,
    pub card: String,
}

/// What became of an order.
#[derive(Debug)]
pub struct Finished {
    pub customer: String,
    pub key: String,
    /// When it was to leave.
    pub due: Instant,
    pub ended: Instant,
    /// What each attempt came to, the last one last: `201`, `503`, `no answer`.
    pub attempts: Vec<String>,
    /// None when it was given up.
    pub acknowledged: Option<Acknowledged>,
}

/// An answer that names the order, good or bad: the platform may not forget it.
#[derive(Debug)]
pub struct Acknowledged {
    pub status: StatusCode,
    pub order_id: String,
}

impl Order {
    /// Places the order, which was due at `due`, and repeats what may be repeated.
    pub async fn place(self, due: Instant) -> Finished {
        let give_up = Instant::now() + PATIENCE;
        let mut attempts = Vec::new();
        let mut pause = PAUSE_FIRST;
        let acknowledged = loop {
            let request = self.gateway.order_request(self.by, &self.key, &self.sku, 1, &self.card);
            let attempt = self.gateway.attempt(request).await;
            let verdict = Verdict::of(&attempt);
            attempts.push(label(&attempt));
            let asked = match verdict {
                Verdict::Acknowledged(acknowledged) => break Some(acknowledged),
                Verdict::Final => break None,
                Verdict::Repeat(asked) => asked,
            };
            // a little later than asked, each client for itself, or all would come back at the same moment
            let wait = asked.unwrap_or(pause).mul_f64(rand::random_range(1.0..1.25));
            pause = (pause * 2).min(PAUSE_MAX);
            if Instant::now() + wait > give_up {
                break None;
            }
            sleep(wait).await;
        };
        Finished { customer: self.customer, key: self.key, due, ended: Instant::now(), attempts, acknowledged }
    }
}

/// What an attempt means for the client.
enum Verdict {
    Acknowledged(Acknowledged),
    /// The same again, after this time when the platform named one.
    Repeat(Option<Duration>),
    /// Repeating is of no use.
    Final,
}

impl Verdict {
    fn of(attempt: &Attempt) -> Self {
        let Attempt::Answered(answer) = attempt else { return Self::Repeat(None) };
        let body = answer.json().unwrap_or_default();
        let is_in_flight = body["code"] == IN_FLIGHT;
        match (answer.status.as_u16(), body["order_id"].as_str()) {
            (429 | 503, _) => Self::Repeat(answer.retry_after),
            (409, _) if is_in_flight => Self::Repeat(answer.retry_after),
            (201 | 202 | 402 | 409 | 422, Some(order_id)) => {
                Self::Acknowledged(Acknowledged { status: answer.status, order_id: order_id.to_owned() })
            }
            _ => Self::Final,
        }
    }
}

const IN_FLIGHT: &str = "idempotency-key-in-flight";

/// The status, with the code of a problem; or how the connection failed.
fn label(attempt: &Attempt) -> String {
    match attempt {
        Attempt::Answered(answer) => {
            let body = answer.json().unwrap_or_default();
            let status = answer.status.as_u16();
            body["code"].as_str().map_or_else(|| status.to_string(), |code| format!("{status} {code}"))
        }
        Attempt::NoConnection => "no connection".to_owned(),
        Attempt::NoAnswer => "no answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::Answer;

    fn verdict(status: u16, body: &str) -> Verdict {
        let status = StatusCode::from_u16(status).expect("a status");
        let retry_after = Some(Duration::from_secs(1));
        Verdict::of(&Attempt::Answered(Answer { status, body: body.to_owned(), replayed: false, retry_after }))
    }

    #[test]
    fn an_answer_that_names_the_order_is_an_acknowledgement_good_or_bad() {
        for status in [201, 202, 402, 409, 422] {
            let verdict = verdict(status, r#"{"order_id": "0198", "code": "some-code"}"#);
            assert!(matches!(verdict, Verdict::Acknowledged(it) if it.order_id == "0198"), "{status}");
        }
    }

    #[test]
    fn what_the_platform_asks_to_be_repeated_is_repeated_when_it_says() {
        for (status, body) in [(503, "{}"), (429, "{}"), (409, r#"{"code": "idempotency-key-in-flight"}"#)] {
            assert!(matches!(verdict(status, body), Verdict::Repeat(Some(_))), "{status}");
        }
        assert!(matches!(Verdict::of(&Attempt::NoConnection), Verdict::Repeat(None)));
        assert!(matches!(Verdict::of(&Attempt::NoAnswer), Verdict::Repeat(None)));
    }

    #[test]
    fn what_no_repetition_mends_is_final() {
        for status in [400, 401, 422, 500, 504] {
            assert!(matches!(verdict(status, "{}"), Verdict::Final), "{status}");
        }
    }
}

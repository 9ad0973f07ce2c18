//! `GET /problems/{code}`: what a problem means and what to do, for the person who follows a problem's `type`.

use axum::response::Html;
use contracts::problem::ProblemCode;

use aide::transform::TransformOperation;
use serde_json::{Value, json};

use crate::{
    openapi,
    path::{InPath, Named},
    spelling::Spelled,
};

/// The word of a problem in the path.
#[derive(Debug)]
pub struct Word(ProblemCode);

impl std::str::FromStr for Word {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        ProblemCode::from_word(word).map(Self).ok_or(())
    }
}

impl Spelled for Word {
    fn schema() -> Value {
        json!({"type": "string", "enum": ProblemCode::ALL.iter().map(|code| code.word()).collect::<Vec<_>>()})
    }
}

impl InPath for Word {
    const PART: &'static str = "code";
    const ABOUT: &'static str = "The `code` of a problem.";
}

/// What is said of [`page`].
pub fn page_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    openapi::named(operation, "explainProblem", "about", "What a problem means, and what to do")
}

/// The page of one problem.
pub async fn page(Named(Word(code)): Named<Word>) -> Html<String> {
    let (word, status, title, advice) = (code.word(), code.http_status(), code.title(), advice(code));
    Html(format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{word}</title>\n\
         <h1>{title}</h1>\n<p><code>{word}</code>, HTTP status {status}.</p>\n<p>{advice}</p>\n</html>\n"
    ))
}

/// What to do about it, in HTML.
const fn advice(code: ProblemCode) -> &'static str {
    match code {
        ProblemCode::Malformed => "Send well-formed JSON. <code>detail</code> says where it stops being that.",
        ProblemCode::Invalid => {
            "<code>errors</code> lists each wrong field with a JSON pointer. Correct them and send again."
        }
        ProblemCode::Unauthenticated => {
            "Get a token with <code>POST /v1/tokens</code>, or from the issuer that is set instead, and send it as <code>Authorization: Bearer</code>. Tokens of <code>POST /v1/tokens</code> live 15 minutes."
        }
        ProblemCode::WrongCredentials => "Check email and password. Which of the two is wrong is not told.",
        ProblemCode::Forbidden => "Your token is valid, but its role may not do this.",
        ProblemCode::SignInElsewhere => {
            "This platform takes the tokens of another issuer. <code>detail</code> names it: register and sign in there."
        }
        ProblemCode::NotFound => "There is no such thing, or it belongs to someone else.",
        ProblemCode::MethodNotAllowed => "The header <code>Allow</code> lists the methods of this path.",
        ProblemCode::NotAcceptable => {
            "Accept what the route answers with, <code>application/json</code> most often. <code>detail</code> names it."
        }
        ProblemCode::TooLarge => "A body has 256 KiB at most. Send less.",
        ProblemCode::UnsupportedMediaType => "Send <code>Content-Type: application/json</code>, not compressed.",
        ProblemCode::RequestTimeout => "The body took longer than 30 seconds. Send it again.",
        ProblemCode::EmailTaken => "Log in instead, or use another email.",
        ProblemCode::OutOfStock => {
            "There is too little of a product. The order was kept as REJECTED and nothing was charged. Order less, with a new Idempotency-Key."
        }
        ProblemCode::PaymentDeclined => {
            "The card was declined, and the order was kept as REJECTED. Use another card, with a new Idempotency-Key."
        }
        ProblemCode::UnknownSku => {
            "A product of the order does not exist. <code>GET /v1/products</code> lists those that do."
        }
        ProblemCode::UnknownCard => "The card network does not know this card token.",
        ProblemCode::MixedCurrencies => "Order products of one currency at a time.",
        ProblemCode::OrderExpired => {
            "The order could not be decided in its time. Nothing is charged. Order again, with a new Idempotency-Key."
        }
        ProblemCode::OrderCancelled => "A cancel came before the order was decided. Nothing is charged.",
        ProblemCode::AlreadyDispatched => "The parcel has left. The order stays as it is, and so does its payment.",
        ProblemCode::NotCancellable => "Only an order that is PENDING or COMPLETED can be cancelled. Look at it first.",
        ProblemCode::NotDispatchable => "The order has no shipment yet, or it was cancelled. Look at the order first.",
        ProblemCode::IdempotencyKeyMissing => {
            "Send a header <code>Idempotency-Key</code>: a new one for each request, the same one to repeat it."
        }
        ProblemCode::IdempotencyKeyMalformed => {
            "The header <code>Idempotency-Key</code> has 8 to 100 printable ASCII characters."
        }
        ProblemCode::IdempotencyKeyInFlight => {
            "Your first request with this key is still being answered. Wait a moment and repeat it."
        }
        ProblemCode::IdempotencyKeyReused => "This key was used for another request. Use a new one.",
        ProblemCode::RateLimited => {
            "Wait as many seconds as <code>Retry-After</code> says. Every answer tells in <code>RateLimit</code> how many requests are left."
        }
        ProblemCode::Unavailable => {
            "Wait as many seconds as <code>Retry-After</code> says and send the same request again, with the same Idempotency-Key if it had one."
        }
        ProblemCode::DeadlineExceeded => "Send the same request again. If it goes on, something is overloaded.",
        ProblemCode::Internal => "Report it with its <code>trace_id</code>.",
    }
}

//! Asking accounts whether customers have an address. Letters only note the question: a handler asks nobody.

use std::time::Duration;

use contracts::{accounts::v1::GetAddressRequest, ids::AccountId, problem::ProblemCode};
use service_runtime::{telemetry, worker::Worker};
use tracing::{Instrument, field::Empty, info_span, warn};

pub use crate::store::questions::Question;
use crate::{Deps, ShippingError, answers, store::questions};

/// The most questions that are out at once.
const QUESTIONS_MAX: usize = 32;

/// How long an answer may take.
const BUDGET: Duration = Duration::from_secs(2);

/// How long a question that was taken is nobody else's: longer than asking and writing the answer takes. (If it is not,
/// the second answer finds the first.)
const LEASE: Duration = Duration::from_secs(10);

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How often questions are looked for that nobody has told of: after a crash or a pause, or noted by another replica.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Asks what is to be asked, until the end is requested. Every replica may run it.
pub async fn run(deps: Deps) {
    let worker = Worker {
        name: "questions for addresses",
        at_once: QUESTIONS_MAX,
        wake: deps.new_questions.clone(),
        look_every: LOOK_EVERY,
    };
    let claim = {
        let deps = deps.clone();
        move |room| {
            let deps = deps.clone();
            async move { claim(&deps, room).await }
        }
    };
    let shutdown = deps.shutdown.clone();
    worker
        .run(shutdown, claim, move |question: Question| {
            let span = info_span!("address", order.id = %question.order, trace_id = Empty);
            telemetry::join(&span, question.traceparent.as_deref());
            let deps = deps.clone();
            async move { attempt(&deps, &question).await }.instrument(span)
        })
        .await;
}

/// Takes at most so many questions that are to be asked; for the time of a lease nobody else gets them.
pub async fn claim(deps: &Deps, questions_max: usize) -> Result<Vec<Question>, ShippingError> {
    Ok(questions::claim(&deps.pool, questions_max, LEASE).await?)
}

/// Asks a question that was taken, and does what follows from the answer. Without one it is asked again later.
pub async fn attempt(deps: &Deps, question: &Question) {
    if let Err(error) = settle(deps, question).await {
        warn!(%error, "the parcel waits, asking again");
        if let Err(error) = questions::postpone(&deps.pool, question, PAUSE_MAX).await {
            warn!(%error, "the question is asked again when its lease ends");
        }
    }
}

async fn settle(deps: &Deps, question: &Question) -> Result<(), ShippingError> {
    if has_address(deps, question.customer).await? {
        answers::address_found(deps, question).await
    } else {
        answers::address_missing(deps, question).await
    }
}

/// Whether accounts knows where parcels of this customer go. Where that is, is not kept.
async fn has_address(deps: &Deps, customer: AccountId) -> Result<bool, ShippingError> {
    let answer = rpc::ask(BUDGET, GetAddressRequest { account_id: customer.to_string() }, |request| {
        let mut accounts = deps.accounts.clone();
        async move { accounts.get_address(request).await }
    });
    match answer.await {
        Ok(answer) => Ok(answer.address.is_some()),
        Err(status) if rpc::problem_of(&status) == ProblemCode::NotFound => {
            warn!(customer.id = %customer, "accounts does not know the customer of a completed order");
            Ok(false)
        }
        Err(status) => Err(ShippingError::Accounts(status)),
    }
}

//! Asking accounts whether customers have an address. Letters only note the question: a handler asks nobody.
//!
//! Each question goes its own way, so that one whose answer takes long holds up no other. What they share is what costs: of
//! the questions that are taken together each customer's is asked once, and what is to be written while something is written
//! is written together next.

use std::{collections::HashMap, sync::Arc, time::Duration};

use batcher::{Batch, Batcher, Limits, Refused};
use contracts::{accounts::v1::GetAddressRequest, ids::AccountId, problem::ProblemCode};
use service_runtime::{telemetry, worker::Worker};
use sqlx::PgPool;
use tokio::sync::OnceCell;
use tonic::Status;
use tracing::{Instrument, field::Empty, info_span, warn};

pub use crate::store::questions::Question;
use crate::{
    Deps, ShippingError,
    answers::{self, Prepare},
    store::questions,
};

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
    let shutdown = deps.shutdown.clone();
    let asker = Asker::start(deps);
    let claim = {
        let asker = asker.clone();
        move |room| {
            let asker = asker.clone();
            async move { asker.claim(room).await }
        }
    };
    worker
        .run(shutdown, claim, move |claimed: Claimed| {
            let question = &claimed.question;
            let span = info_span!("address", order.id = %question.order, trace_id = Empty);
            telemetry::join(&span, question.traceparent.as_deref());
            let asker = asker.clone();
            async move { asker.attempt(claimed).await }.instrument(span)
        })
        .await;
}

/// Asks, and does what follows from the answers. Clones write together.
#[derive(Debug, Clone)]
pub struct Asker {
    deps: Deps,
    prepare: Batcher<Prepare>,
    postpone: Batcher<Postpone>,
}

/// A question that was taken, and the answer that it shares with those of its customer that were taken with it.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// What is asked.
    pub question: Question,
    has_address: Arc<OnceCell<Result<bool, Status>>>,
}

impl Asker {
    /// Must be called where tasks can be spawned.
    pub fn start(deps: Deps) -> Self {
        let max = QUESTIONS_MAX;
        let limits = Limits { queue_max: max, weight_max: max, requests_max: max };
        let prepare = Batcher::start("shipping.prepare", Prepare { deps: deps.clone() }, limits);
        let postpone = Batcher::start("shipping.postpone", Postpone { pool: deps.pool.clone() }, limits);
        Self { deps, prepare, postpone }
    }

    /// Takes at most so many questions that are to be asked; for the time of a lease nobody else gets them.
    pub async fn claim(&self, questions_max: usize) -> Result<Vec<Claimed>, ShippingError> {
        let questions = questions::claim(&self.deps.pool, questions_max, LEASE).await?;
        let mut answers: HashMap<AccountId, Arc<OnceCell<_>>> = HashMap::new();
        let claimed = questions.into_iter().map(|question| {
            let has_address = answers.entry(question.customer).or_default().clone();
            Claimed { question, has_address }
        });
        Ok(claimed.collect())
    }

    /// Asks a question that was taken, unless its customer's was asked already, and does what follows from the answer. Without
    /// one it is asked again later.
    pub async fn attempt(&self, claimed: Claimed) {
        if let Err(error) = self.settle(&claimed).await {
            warn!(%error, "the parcel waits, asking again");
            if let Err(error) = self.postpone.submit(claimed.question).await {
                warn!(%error, "the question is asked again when its lease ends");
            }
        }
    }

    async fn settle(&self, claimed: &Claimed) -> Result<(), Unsettled> {
        let question = &claimed.question;
        let answer = claimed.has_address.get_or_init(|| has_address(&self.deps, question.customer)).await;
        if answer.clone().map_err(ShippingError::Accounts)? {
            answers::address_found(&self.deps, &self.prepare, question).await
        } else {
            Ok(answers::address_missing(&self.deps, question).await?)
        }
    }
}

/// Why a question has to be asked again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsettled {
    /// There was no answer, or what it was could not be written.
    #[error("{0}")]
    Alone(#[from] ShippingError),
    /// The answer could not be written together with others.
    #[error("{0}")]
    Together(#[from] Refused<Arc<ShippingError>>),
}

/// Has questions asked again later.
struct Postpone {
    pool: PgPool,
}

impl Batch for Postpone {
    type Request = Question;
    type Answer = ();
    type Error = Arc<ShippingError>;

    async fn write(&self, asked: &[Question]) -> Result<Vec<()>, Arc<ShippingError>> {
        questions::postpone(&self.pool, asked, PAUSE_MAX).await.map_err(|error| Arc::new(error.into()))?;
        Ok(vec![(); asked.len()])
    }

    // it says nothing of a question but its name
    fn is_of_one_request(_error: &Arc<ShippingError>) -> bool {
        false
    }
}

/// Whether accounts knows where parcels of this customer go. Where that is, is not kept.
async fn has_address(deps: &Deps, customer: AccountId) -> Result<bool, Status> {
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
        Err(status) => Err(status),
    }
}

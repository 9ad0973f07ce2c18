//! Asking accounts whether customers have an address. Letters only note the question: a handler asks nobody.
//!
//! Questions are taken in lists, and a list is one call. What follows from its answers is written together with what else is to be
//! written then.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use batcher::{Batch, Batcher, Limits, Refused};
use contracts::{
    accounts::v1::{Destination, GetAddressesRequest, GetAddressesResponse},
    ids::AccountId,
    problem::ProblemCode,
};
use futures::future::join_all;
use rpc::server::LIST_ITEMS_MAX;
use service_runtime::{KeptConnection, LookBack, telemetry, worker::Worker};
use sqlx::PgPool;
use tonic::Status;
use tracing::{Instrument, Span, field::Empty, info_span, warn};

pub use crate::store::questions::Question;
use crate::{
    Deps, ShippingError,
    answers::{self, Prepare},
    store::questions,
};

/// The most lists that are out at once: one whose answer takes long holds up no other.
const LISTS_MAX: usize = 4;

/// The most questions that are out at once.
const QUESTIONS_MAX: usize = LISTS_MAX * LIST_ITEMS_MAX;

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
        at_once: LISTS_MAX,
        wake: deps.new_questions.clone(),
        look_every: LOOK_EVERY,
    };
    let shutdown = deps.shutdown.clone();
    let asker = Asker::start(deps);
    let claim = {
        let asker = asker.clone();
        move |lists_max, back| {
            let asker = asker.clone();
            async move { asker.claim(lists_max, back).await }
        }
    };
    worker
        .run(shutdown, claim, move |questions| {
            let asker = asker.clone();
            async move { asker.attempt(questions).await }
        })
        .await;
}

/// Asks, and does what follows from the answers. Clones write together.
#[derive(Debug, Clone)]
pub struct Asker {
    deps: Deps,
    claims: Arc<KeptConnection>,
    prepare: Batcher<Prepare>,
    postpone: Batcher<Postpone>,
}

impl Asker {
    /// Must be called where tasks can be spawned.
    pub fn start(deps: Deps) -> Self {
        let limits = Limits { queue_max: QUESTIONS_MAX, weight_max: LIST_ITEMS_MAX, requests_max: LIST_ITEMS_MAX };
        let prepare = Batcher::start("shipping.prepare", Prepare::of(deps.clone()), limits);
        let postpone = Batcher::start("shipping.postpone", Postpone { pool: deps.pool.clone() }, limits);
        let claims = Arc::new(KeptConnection::of(deps.pool.clone()));
        Self { deps, claims, prepare, postpone }
    }

    /// Takes questions that are to be asked since `back`, at most so many lists; for the time of a lease nobody else gets them.
    pub async fn claim(&self, lists_max: usize, back: LookBack) -> Result<Vec<Vec<Question>>, ShippingError> {
        let mut connection = self.claims.take().await?;
        let questions = questions::claim(&mut connection, lists_max * LIST_ITEMS_MAX, back, LEASE).await?;
        self.claims.keep(connection);
        Ok(questions.chunks(LIST_ITEMS_MAX).map(<[Question]>::to_vec).collect())
    }

    /// Asks the questions of a list, and does what follows from each answer. Without one a question is asked again later.
    pub async fn attempt(&self, questions: Vec<Question>) {
        let span = call_span(&questions);
        let customers = questions.iter().map(|question| question.customer).collect();
        let answers = ask(&self.deps, &customers).instrument(span).await;
        let attempts = questions.into_iter().map(|question| {
            let span = info_span!("address", order.id = %question.order, trace_id = Empty);
            telemetry::join(&span, question.traceparent.as_deref());
            let answer = answers.as_ref().map_err(Status::clone).and_then(|answers| answers.of(question.customer));
            self.settle_or_postpone(question, answer).instrument(span)
        });
        join_all(attempts).await;
    }

    async fn settle_or_postpone(&self, question: Question, answer: Result<Answer, Status>) {
        if let Err(error) = self.settle(&question, answer).await {
            warn!(%error, "the parcel waits, asking again");
            if let Err(error) = self.postpone.submit(question).await {
                warn!(%error, "the question is asked again when its lease ends");
            }
        }
    }

    async fn settle(&self, question: &Question, answer: Result<Answer, Status>) -> Result<(), Unsettled> {
        match answer.map_err(ShippingError::Accounts)? {
            Answer::Address => answers::address_found(&self.deps, &self.prepare, question).await,
            Answer::NoAddress => Ok(answers::address_missing(&self.deps, question).await?),
            Answer::Erased => Ok(answers::account_erased(&self.deps, question).await?),
        }
    }
}

/// One call for many orders.
fn call_span(questions: &[Question]) -> Span {
    let span = info_span!("addresses", questions = questions.len(), trace_id = Empty);
    telemetry::join_first(&span, questions.iter().filter_map(|question| question.traceparent.as_deref()));
    span
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

/// What accounts says of a customer. What the address is, is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// There is one.
    Address,
    /// There is none yet.
    NoAddress,
    /// There will never be one.
    Erased,
}

/// What accounts says of several.
struct Answers {
    with_address: HashSet<AccountId>,
    without: HashSet<AccountId>,
    unreadable: HashSet<AccountId>,
    erased: HashSet<AccountId>,
}

impl Answers {
    fn of(&self, customer: AccountId) -> Result<Answer, Status> {
        if self.unreadable.contains(&customer) {
            return Err(rpc::status(ProblemCode::Internal, "accounts cannot read the account of the customer"));
        }
        if self.erased.contains(&customer) {
            return Ok(Answer::Erased);
        }
        if self.with_address.contains(&customer) {
            return Ok(Answer::Address);
        }
        if !self.without.contains(&customer) {
            warn!(customer.id = %customer, "accounts does not know the customer of a completed order");
        }
        Ok(Answer::NoAddress)
    }
}

/// Asks whether accounts knows where parcels of these customers go.
async fn ask(deps: &Deps, customers: &BTreeSet<AccountId>) -> Result<Answers, Status> {
    let request = GetAddressesRequest { account_ids: customers.iter().map(AccountId::to_string).collect() };
    let answer = rpc::ask(BUDGET, request, |request| {
        let mut accounts = deps.accounts.clone();
        async move { accounts.get_addresses(request).await }
    });
    let GetAddressesResponse { destinations, unreadable_ids, erased_ids } = answer.await?;
    let ids = |ids: Vec<String>| ids.iter().filter_map(|id| id.parse().ok()).collect();
    let (with_address, without): (Vec<_>, Vec<_>) =
        destinations.into_iter().partition(|destination| destination.address.is_some());
    let of = |destinations: Vec<Destination>| ids(destinations.into_iter().map(|to| to.account_id).collect());
    Ok(Answers {
        with_address: of(with_address),
        without: of(without),
        unreadable: ids(unreadable_ids),
        erased: ids(erased_ids),
    })
}

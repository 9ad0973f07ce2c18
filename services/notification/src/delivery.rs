//! Sending what is due: a customer's address is asked for, the message is handed to the mailer, and that it was sent is noted.
//!
//! Of the messages that are claimed together each customer's address is asked for once, and it is forgotten with the last of
//! them. What is sent while others are noted is noted together next: nothing that was sent waits for anything else.
//!
//! A crash between the last two sends the message again, with the same Message-ID, by which mail servers and readers know
//! that it is the same.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use batcher::{Batch, Batcher, Limits, Refused};
use lettre::message::Mailbox;
use metrics::counter;
use rpc::server::LIST_ITEMS_MAX;
use service_runtime::{KeptConnection, LookBack, kill_point, telemetry, worker::Worker};
use tracing::{Instrument, Span, error, field::Empty, info, info_span, warn};
use uuid::Uuid;

use crate::{Deps, contact::Contacts, message::DueMessage, store};

/// How often it looks for messages that are due when nobody wakes it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a claimed message is nobody else's: longer than asking accounts (3 s) and sending (21 s) can take.
const LEASE: Duration = Duration::from_secs(40);

/// How long it is tried to note that a message was sent, while the database is away: what is left of the lease then. Whoever
/// does not know it sends the message again.
const NOTED_WITHIN: Duration = Duration::from_secs(15);

/// How often a message is tried that is refused for good, until it is FAILED. Some refusals are somebody's mistake, and
/// mended soon.
const REFUSALS_MAX: u32 = 5;

/// Why a message was not sent. No text holds personal data: it is logged and kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// This message will not be taken: tried a few times more.
    #[error("{0}")]
    Refused(String),
    /// Something is away or busy: tried for as long as it takes.
    #[error("{0}")]
    Outage(String),
    /// Whom it is for is nobody any more: never tried again.
    #[error("the account was erased")]
    Erased,
}

/// Runs until the end of the process is requested. Every replica may.
pub async fn run(deps: Deps) {
    let at_once = deps.mailer.at_once();
    let worker = Worker { name: "delivery", at_once, wake: deps.written.clone(), look_every: LOOK_EVERY };
    let claim = {
        let (deps, kept) = (deps.clone(), Arc::new(KeptConnection::of(deps.pool.clone())));
        move |room, back| {
            let (deps, kept) = (deps.clone(), kept.clone());
            async move { claim(&deps, &kept, room, back).await }
        }
    };
    let shutdown = deps.shutdown.clone();
    let limits = Limits { queue_max: at_once, weight_max: at_once, requests_max: at_once };
    let sent = Batcher::start("notification.sent", Sent(KeptConnection::of(deps.pool.clone())), limits);
    worker
        .run(shutdown, claim, move |(message, to): (DueMessage, Recipient)| {
            let span = info_span!("delivery", message.id = %message.id, order.id = %message.order, trace_id = Empty);
            telemetry::join(&span, message.traceparent.as_deref());
            let (deps, sent) = (deps.clone(), sent.clone());
            async move { deliver(&deps, &sent, message, to).await }.instrument(span)
        })
        .await;
}

/// Whom a message goes to, or why that is not known.
type Recipient = Result<Mailbox, Undelivered>;

/// Claims messages, and asks whom they go to: one call for all.
async fn claim(
    deps: &Deps,
    kept: &KeptConnection,
    messages_max: usize,
    back: LookBack,
) -> Result<Vec<(DueMessage, Recipient)>, sqlx::Error> {
    let mut connection = kept.take().await?;
    let due = store::claim_due(&mut connection, messages_max.min(LIST_ITEMS_MAX), back, LEASE).await?;
    kept.keep(connection);
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let customers: BTreeSet<_> = due.iter().map(|message| message.customer).collect();
    let contacts = Contacts::of(&deps.accounts, &customers).instrument(call_span(&due)).await;
    let with_recipient = |message: DueMessage| {
        let to = contacts.mailbox(message.customer);
        (message, to)
    };
    Ok(due.into_iter().map(with_recipient).collect())
}

/// One call for many messages.
fn call_span(due: &[DueMessage]) -> Span {
    let span = info_span!("contacts", messages = due.len(), trace_id = Empty);
    telemetry::join_first(&span, due.iter().filter_map(|message| message.traceparent.as_deref()));
    span
}

/// Tries one message once, and notes what came of it.
async fn deliver(deps: &Deps, sent: &Batcher<Sent>, message: DueMessage, to: Recipient) {
    let noted = match send(deps, &message, to).await {
        Ok(()) => {
            count("sent");
            kill_point!("notification.sent.before-commit");
            let marked = mark_sent(sent, &message).await;
            kill_point!("notification.sent.after-commit");
            marked.inspect(|()| info!("sent")).map_err(|error| error.to_string())
        }
        Err(Undelivered::Outage(reason)) => {
            count("postponed");
            warn!(reason, "not sent, trying again later");
            store::postpone(&deps.pool, message.id, &reason).await.map_err(|error| error.to_string())
        }
        Err(nobody @ Undelivered::Erased) => {
            count("erased");
            info!(reason = %nobody, "not sent, the message is FAILED");
            let failed = store::refuse(&deps.pool, message.id, &nobody.to_string(), 1).await;
            failed.map(|_| ()).map_err(|error| error.to_string())
        }
        Err(Undelivered::Refused(reason)) => refused(deps, &message, &reason).await.map_err(|error| error.to_string()),
    };
    if let Err(error) = noted {
        warn!(error, "what came of the message could not be noted, it is tried again when its lease ends");
    }
}

/// Notes which messages were sent.
struct Sent(KeptConnection);

impl Batch for Sent {
    type Request = Uuid;
    type Answer = ();
    type Error = Arc<sqlx::Error>;

    async fn write(&self, ids: &[Uuid]) -> Result<Vec<()>, Arc<sqlx::Error>> {
        let mut connection = self.0.take().await?;
        store::mark_sent(&mut connection, ids).await?;
        self.0.keep(connection);
        Ok(vec![(); ids.len()])
    }

    // it says nothing of a message but its name
    fn is_of_one_request(_error: &Arc<sqlx::Error>) -> bool {
        false
    }
}

async fn mark_sent(sent: &Batcher<Sent>, message: &DueMessage) -> Result<(), Refused<Arc<sqlx::Error>>> {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(1))
        .with_total_delay(Some(NOTED_WITHIN))
        .without_max_times();
    (|| sent.submit(message.id)).retry(pauses).await
}

async fn send(deps: &Deps, message: &DueMessage, to: Recipient) -> Result<(), Undelivered> {
    let (deps, message, to) = (deps.clone(), message.clone(), to?);
    let sending = async move { deps.mailer.send(&message, to).await };
    // a task of its own: a message that makes us panic must not be tried for ever
    let sent = tokio::spawn(sending.in_current_span()).await;
    sent.unwrap_or_else(|_| Err(Undelivered::Refused("a fault of ours: sending it panicked".to_owned())))
}

async fn refused(deps: &Deps, message: &DueMessage, reason: &str) -> Result<(), sqlx::Error> {
    if store::refuse(&deps.pool, message.id, reason, REFUSALS_MAX).await? {
        count("failed");
        error!(reason, customer.id = %message.customer, "refused {REFUSALS_MAX} times, the message is FAILED");
    } else {
        count("refused");
        warn!(reason, "refused, trying again later");
    }
    Ok(())
}

fn count(outcome: &'static str) {
    counter!("message_attempts_total", "outcome" => outcome).increment(1);
}

//! Calls about one thing each, made together: whoever asks while a list is on its way is in the next one.
//!
//! A call costs much more than what is asked in it. So what is asked at the same time goes as one call with a list, and its outcomes
//! come back one by one, as each settles: nobody waits for another's. Alone, an item leaves at once; under load the lists grow
//! by themselves. The next list leaves when the service has taken the one before, or after [`TAKEN_WITHIN`]: one that stands
//! still holds up nobody's way to the others.

use std::{collections::HashMap, fmt, future::Future, sync::Arc, time::Duration};

use contracts::problem::ProblemCode;
use metrics::{counter, describe_counter};
use service_runtime::telemetry;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tonic::{Code, Request, Response, Status, Streaming};
use tracing::Span;

use crate::{
    asking,
    client::{again_and_again, or_broken, too_late},
    not_sent::NotSent,
    observe,
    retries::Retries,
    server::LIST_ITEMS_MAX,
    status,
};

/// How long the next list waits for the one before to be taken.
const TAKEN_WITHIN: Duration = Duration::from_millis(5);

/// Items that wait to be sent; what comes then is refused.
const WAITING_MAX: usize = 4_096;

/// A call whose items are gathered. Clones share the lists; with the last of them the gathering ends.
pub struct Lists<Q, A> {
    rpc: &'static str,
    queue: mpsc::Sender<Waiting<Q, A>>,
    /// By items: of a list that is lost only some may come again.
    retries: Arc<Retries>,
}

/// An item on its way.
struct Waiting<Q, A> {
    id: String,
    item: Q,
    until: Instant,
    answer: Answer<A>,
}

type Answer<A> = oneshot::Sender<Result<A, Status>>;

/// Who waits for the outcomes of a list, by the ids of the items.
type Waiters<A> = HashMap<String, Answer<A>>;

impl<Q: Send + 'static, A: Send + 'static> Lists<Q, A> {
    /// Gathers the items of `rpc`, which is for metrics and spans; `call` makes the call, and `id_of` tells whose an outcome is.
    /// Must be called where tasks can be spawned.
    pub fn start<C, F>(rpc: &'static str, id_of: fn(&A) -> &str, call: C) -> Self
    where
        C: Fn(Request<Vec<Q>>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Response<Streaming<A>>, Status>> + Send + 'static,
    {
        describe_counter!("rpc_lists_total", "Lists that were sent");
        describe_counter!("rpc_list_items_total", "Items in them: over rpc_lists_total, how many share a call");
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(send_lists(rpc, id_of, Arc::new(call), waiting));
        Self { rpc, queue, retries: Arc::new(Retries::new()) }
    }

    /// Asks about the item `id` and gives its outcome, within `budget`. A service that cannot be reached is asked again, as by
    /// [`crate::ask`]: `item` makes the item anew for each try, from the `traceparent` that it is to carry.
    pub async fn ask(&self, budget: Duration, id: &str, item: impl Fn(String) -> Q) -> Result<A, Status> {
        let until = Instant::now() + budget;
        again_and_again(until, |before| self.ask_until(until, before, id, &item)).await
    }

    async fn ask_until(
        &self,
        until: Instant,
        tries_before: u32,
        id: &str,
        item: &impl Fn(String) -> Q,
    ) -> Result<A, Status> {
        if tries_before > 0 {
            self.retries.again(self.rpc)?;
        } else {
            self.retries.first();
        }
        // the call's own span knows nothing of the traces of its items
        let span = if telemetry::is_exported() { asking::span_of(self.rpc) } else { Span::current() };
        let traceparent = span.in_scope(telemetry::traceparent).unwrap_or_default();
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { id: id.to_owned(), item: item(traceparent), until, answer };
        let outcome = if self.queue.try_send(waiting).is_ok() {
            // dropped unanswered: a panic in the task of the list
            let broken = || Status::unavailable("the call ended without an outcome");
            timeout_at(until, answered)
                .await
                .map_or_else(|_| Err(too_late()), |told| told.unwrap_or_else(|_| Err(broken())))
        } else {
            Err(NotSent::Crowded.tell(status(ProblemCode::Unavailable, NotSent::Crowded.to_string())))
        };
        let code = outcome.as_ref().map_or_else(Status::code, |_| Code::Ok);
        observe::ended(&span, code, code != Code::Ok);
        outcome
    }
}

async fn send_lists<Q, A, C, F>(
    rpc: &'static str,
    id_of: fn(&A) -> &str,
    call: Arc<C>,
    mut waiting: mpsc::Receiver<Waiting<Q, A>>,
) where
    Q: Send + 'static,
    A: Send + 'static,
    C: Fn(Request<Vec<Q>>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Response<Streaming<A>>, Status>> + Send + 'static,
{
    // came out of the queue while an item of its id was in the list
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(first) => first,
            None => match waiting.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        let mut until = first.until;
        let mut items = vec![first.item];
        let mut waiters = HashMap::from([(first.id, first.answer)]);
        while items.len() < LIST_ITEMS_MAX {
            let Ok(another) = waiting.try_recv() else { break };
            if another.answer.is_closed() {
                continue;
            }
            if waiters.contains_key(&another.id) {
                next = Some(another);
                break;
            }
            until = until.max(another.until);
            items.push(another.item);
            waiters.insert(another.id, another.answer);
        }
        counter!("rpc_lists_total", "rpc" => rpc).increment(1);
        counter!("rpc_list_items_total", "rpc" => rpc).increment(items.len() as u64);
        let mut request = Request::new(items);
        request.set_timeout(until.saturating_duration_since(Instant::now()));
        let (taken, is_taken) = oneshot::channel::<()>();
        let answering = call(request);
        tokio::spawn(async move {
            let answered = timeout_at(until, answering).await.unwrap_or_else(|_| Err(too_late()));
            drop(taken);
            match answered {
                Ok(outcomes) => hear(outcomes.into_inner(), id_of, waiters, until).await,
                Err(status) => tell_all(waiters, &or_broken(status)),
            }
        });
        // in either case the next one may go
        let _ = timeout(TAKEN_WITHIN, is_taken).await;
    }
}

/// Gives each outcome to who waits for it, until all have theirs or the list's time is over.
async fn hear<A>(mut outcomes: Streaming<A>, id_of: fn(&A) -> &str, mut waiters: Waiters<A>, until: Instant) {
    while !waiters.is_empty() {
        match timeout_at(until, outcomes.message()).await {
            Ok(Ok(Some(outcome))) => {
                if let Some(answer) = waiters.remove(id_of(&outcome)) {
                    // whoever asked may have gone away
                    let _ = answer.send(Ok(outcome));
                }
            }
            Ok(Ok(None)) => {
                return tell_all(waiters, &status(ProblemCode::Unavailable, "the call ended without an outcome"));
            }
            Ok(Err(status)) => return tell_all(waiters, &or_broken(status)),
            Err(_) => return tell_all(waiters, &too_late()),
        }
    }
}

fn tell_all<A>(waiters: Waiters<A>, status: &Status) {
    for answer in waiters.into_values() {
        let _ = answer.send(Err(status.clone()));
    }
}

impl<Q, A> Clone for Lists<Q, A> {
    fn clone(&self) -> Self {
        Self { rpc: self.rpc, queue: self.queue.clone(), retries: self.retries.clone() }
    }
}

impl<Q, A> fmt::Debug for Lists<Q, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lists").field("rpc", &self.rpc).finish_non_exhaustive()
    }
}

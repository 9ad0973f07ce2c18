//! Who does not answer is not asked: a circuit breaker.
//!
//! What counts is whether anybody there says anything. A connection on which [`LOST_MAX`] calls in a row were lost is silent and gets no more
//! calls; when all connections to a service are, its circuit is open: calls fail at once, instead of waiting for their deadlines.
//! Now and then one call is let through all the same, and the first sign of life closes the circuit.
//!
//! A call is lost when it is thrown back, or when its time is over and nothing has come back, not even the head of an answer. It
//! counts only if nobody else was answered on the connection while it waited. So none of these opens a circuit:
//! - a call that is slow by nature, while others are answered; of a list or a stream the head comes at once, whatever its outcomes
//!   take;
//! - an answer that says no. That goes for an UNAVAILABLE that a service says itself, because it has too much to do: it answers fast and
//!   takes what it can, and to ask it nothing any more would make less of it, not more;
//! - callers that had hardly any time left;
//! - a connection that ends, with all calls on it: another is opened, and only who finds none for a while gives up on it.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{describe_gauge, gauge};
use tokio::time::Instant;
use tonic::{
    Code, Status,
    codegen::http::{HeaderMap, Response, StatusCode, Uri},
};
use tracing::{info, warn};

/// So many calls in a row are lost before nobody is asked any more.
const LOST_MAX: u32 = 5;

/// A call that waited less says nothing about who did not answer it: a commit takes as long on a busy disk.
const PATIENCE: Duration = Duration::from_millis(500);

/// A silent connection gets one call in this time when there is no other, so that a service that answers again is heard soon,
const TRY_EVERY: Duration = Duration::from_millis(250);

/// and in this time when there are others, because that call is mostly lost.
const TRY_EVERY_BESIDE_OTHERS: Duration = Duration::from_secs(5);

/// The signs of life on one connection.
#[derive(Debug)]
pub(crate) struct Pulse {
    began: Instant,
    /// When somebody was answered last, in microseconds since it began.
    heard: AtomicU64,
    /// How many calls were lost since.
    lost: AtomicU32,
    /// When a silent one was last given a call, in the same.
    tried: AtomicU64,
}

impl Pulse {
    /// Of a connection on which somebody has just answered.
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            heard: AtomicU64::default(),
            lost: AtomicU32::default(),
            tried: AtomicU64::default(),
        }
    }

    fn time(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether it gets no calls.
    pub(crate) fn is_silent(&self) -> bool {
        self.lost.load(Ordering::Relaxed) >= LOST_MAX
    }

    /// Somebody was answered.
    pub(crate) fn hear(&self) {
        self.heard.store(self.time(Instant::now()), Ordering::Relaxed);
        // it is 0 nearly always, and a cache line that is only read is everybody's
        if self.lost.load(Ordering::Relaxed) != 0 {
            self.lost.store(0, Ordering::Relaxed);
        }
    }

    /// A call that was sent `at` then has ended without an answer.
    pub(crate) fn lose(&self, at: Instant) {
        if self.heard.load(Ordering::Relaxed) > self.time(at) {
            return;
        }
        if self.lost.fetch_add(1, Ordering::Relaxed) + 1 == LOST_MAX {
            self.tried.store(self.time(Instant::now()), Ordering::Relaxed);
        }
    }

    /// As [`Self::lose`], of a call that was given up; if it was too soon that says nothing.
    pub(crate) fn give_up(&self, at: Instant) {
        if at.elapsed() >= PATIENCE {
            self.lose(at);
        }
    }

    /// Whether it is time for a silent one to be given a call, which is then the only one for a while.
    pub(crate) fn is_tried(&self, now: Instant, has_others: bool) -> bool {
        let pause = if has_others { TRY_EVERY_BESIDE_OTHERS } else { TRY_EVERY };
        let (now, last) = (self.time(now), self.tried.load(Ordering::Relaxed));
        u128::from(now.saturating_sub(last)) >= pause.as_micros()
            && self.tried.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// What has come back of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Somebody there has answered.
    Answer,
    /// The time was over, by a clock that was there or on the way.
    TooLate,
    /// A proxy has told that nobody there answers.
    Nobody,
}

impl Sign {
    /// Of the head of an answer.
    pub(crate) fn of<B>(response: &Response<B>) -> Self {
        let headers = response.headers();
        let code = headers.get(Status::GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()));
        match (code, response.status()) {
            (Some(Code::DeadlineExceeded), _) => Self::TooLate,
            // what a service says itself has details
            (Some(Code::Unavailable), _) if !has_details(headers) => Self::Nobody,
            (None, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) => {
                Self::Nobody
            }
            _ => Self::Answer,
        }
    }
}

fn has_details(headers: &HeaderMap) -> bool {
    headers.get(Status::GRPC_STATUS_DETAILS).is_some_and(|details| !details.is_empty())
}

/// Whether calls to a service are made. Open from the first call that was refused until somebody there gives a sign of life.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    /// The gRPC service that is asked, for metrics and the log.
    service: OnceLock<String>,
    is_open: AtomicBool,
    /// Calls in a row that found no connection.
    unreached: AtomicU32,
}

impl Circuit {
    /// Notes whom the calls are for, by the path of one.
    pub(crate) fn is_of(&self, path: &str) {
        if self.service.get().is_some() {
            return;
        }
        let service = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        if self.service.set(service.to_owned()).is_ok() {
            describe_gauge!(
                "rpc_circuit",
                "Ways to a service on which calls are refused at once, because nobody answers"
            );
            self.add(0.0);
        }
    }

    fn service(&self) -> &str {
        self.service.get().map_or("", String::as_str)
    }

    // a process may have two ways to a service, each with connections of its own
    fn add(&self, ways: f64) {
        gauge!("rpc_circuit", "rpc_service" => self.service().to_owned()).increment(ways);
    }

    /// Whether a call that finds no connection need not wait for one.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.is_open.load(Ordering::Relaxed) || self.unreached.load(Ordering::Relaxed) >= LOST_MAX
    }

    /// A call has waited for a connection and found none.
    pub(crate) fn miss(&self) {
        self.unreached.fetch_add(1, Ordering::Relaxed);
    }

    /// A call is refused.
    pub(crate) fn open(&self, origin: &Uri, why: &str) {
        if !self.is_open.swap(true, Ordering::Relaxed) {
            self.add(1.0);
            warn!(service = self.service(), %origin, why, "calls fail at once until somebody answers");
        }
    }

    /// Somebody has answered a call, or the first one on a new connection.
    pub(crate) fn close(&self, origin: &Uri) {
        if self.unreached.load(Ordering::Relaxed) != 0 {
            self.unreached.store(0, Ordering::Relaxed);
        }
        if self.is_open.load(Ordering::Relaxed) && self.is_open.swap(false, Ordering::Relaxed) {
            self.add(-1.0);
            info!(service = self.service(), %origin, "somebody answers again");
        }
    }
}

impl Drop for Circuit {
    fn drop(&mut self) {
        if *self.is_open.get_mut() {
            self.add(-1.0);
        }
    }
}

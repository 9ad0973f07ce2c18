//! One connection for each address that a name has, and every call over the one that has least to do.
//!
//! The name is looked up again every few seconds, and as soon as nobody is left who could be asked. Each address has a task that
//! opens its connection and opens it anew when it ends. An address is given calls only while its connection stands, and it does
//! when the other side has answered on it: who accepts and says nothing, or refuses our certificate, gets none. So a call never
//! waits for one that is dead while another lives, and a call that finds a connection closing before it was sent goes to another,
//! also if it must not be repeated. An address that left the name gets no call any more; those under way on it end in peace.
//! A connection that stands and on which nobody answers calls gets none either: see [`crate::circuit`].
//!
//! Why not tonic's balancer: `docs/adr/0005-balancing-is-ours.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error as _,
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::{
    Status,
    body::Body,
    codegen::{
        BoxFuture, StdError,
        http::{Request, Response, Uri, uri::PathAndQuery},
    },
};
use tracing::{debug, warn};

use crate::{
    circuit::{Circuit, Pulse, Sign},
    client::{CONNECT_DEADLINE, KEEPALIVE},
    not_sent::NotSent,
    tls::{Tls, Wire},
};

/// How often the name is looked up while somebody can be asked.
const LOOK_UP_EVERY: Duration = Duration::from_secs(5);

/// How often while nobody can be asked.
const LOOK_UP_PAUSE: Duration = Duration::from_secs(1);

/// How long looking up may take. The system's resolver cannot be interrupted and keeps its thread until it gives up by itself, so
/// this is no shorter than the time between two.
const LOOK_UP_DEADLINE: Duration = Duration::from_secs(5);

/// The most addresses of one name that are connected to.
const ADDRESSES_MAX: usize = 64;

/// The pauses between two attempts to connect to an address grow from the first to the second.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// And are no longer than this while calls find nobody.
const RETRY_PAUSE_WHEN_MISSED: Duration = Duration::from_millis(100);

/// For how long the addresses of a name that is not found any more are tried: they may be somebody else's by then.
const NOT_FOUND_MAX: Duration = Duration::from_mins(1);

/// Why nobody is asked though connections stand.
const SILENT: &str = "the last calls were not answered";

/// What every service of ours answers.
const FIRST_CALL: &str = "/grpc.health.v1.Health/Check";

/// Gives the addresses that a name has now.
pub(crate) type LookUp = Box<dyn Fn() -> BoxFuture<Vec<SocketAddr>, io::Error> + Send + Sync>;

/// All connections to the service of one name. Its tasks end with its last clone.
#[derive(Clone)]
pub(crate) struct Balance {
    lines: Arc<Lines>,
    _looking_up: Arc<AbortOnDropHandle<()>>,
}

impl Balance {
    /// Begins to look up and to connect. Must be called where tasks can be spawned.
    pub fn begin(origin: Uri, tls: Tls, look_up: LookUp) -> Self {
        let lines = Arc::new(Lines {
            origin,
            tls,
            state: watch::Sender::new(State::default()),
            missed: watch::Sender::new(Instant::now()),
            turn: AtomicUsize::new(0),
            circuit: Circuit::default(),
        });
        let looking_up = tokio::spawn(follow_the_name(lines.clone(), look_up));
        Self { lines, _looking_up: Arc::new(AbortOnDropHandle::new(looking_up)) }
    }

    /// Sends one call.
    pub async fn call(self, mut request: Request<Body>) -> Result<Response<Body>, StdError> {
        self.lines.circuit.is_of(request.uri().path());
        *request.uri_mut() = at(&self.lines.origin, request.uri())?;
        let began = Instant::now();
        loop {
            let line = self.lines.find(began).await?;
            let mut under_way = UnderWay::begin(&self.lines, line);
            let mut sender = under_way.line.sender.clone();
            let sent = sender.try_send_request(request).await;
            under_way.is_waiting = false;
            match sent {
                Ok(response) => {
                    under_way.see(Sign::of(&response));
                    return Ok(response.map(|body| {
                        Body::new(body.map_frame(move |frame| {
                            // a stream is under way until its body is dropped
                            under_way.see(Sign::Answer);
                            frame
                        }))
                    }));
                }
                Err(mut failed) => {
                    let Some(unsent) = failed.take_message() else {
                        let error = failed.into_error();
                        // whose connection has ended is not silent: it is opened anew
                        if was_thrown_back(&error) {
                            under_way.see(Sign::Nobody);
                        }
                        return Err(error.into());
                    };
                    // the connection was closing and nothing has left: another one may have it, whatever it asks for
                    self.lines.lose(&under_way.line);
                    request = unsent;
                }
            }
        }
    }
}

impl fmt::Debug for Balance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Balance").field("origin", &self.lines.origin).finish_non_exhaustive()
    }
}

/// What calls and tasks share.
struct Lines {
    origin: Uri,
    tls: Tls,
    state: watch::Sender<State>,
    /// When a call last found nobody.
    missed: watch::Sender<Instant>,
    /// Who is looked at first: those with equally much to do take turns.
    turn: AtomicUsize,
    circuit: Circuit,
}

#[derive(Default)]
struct State {
    addresses: BTreeMap<SocketAddr, Standing>,
    /// The last time that looking up gave nothing, if it was the last time at all, and the first time of these.
    not_found: Option<(Trouble, Instant)>,
}

/// How things stand with one address.
#[derive(Default)]
struct Standing {
    line: Option<Arc<Line>>,
    /// The last attempt to connect that failed.
    failed: Option<Trouble>,
}

struct Trouble {
    at: Instant,
    why: String,
}

impl Trouble {
    fn now(why: impl fmt::Display) -> Self {
        Self { at: Instant::now(), why: why.to_string() }
    }
}

/// A connection that stands.
struct Line {
    address: SocketAddr,
    sender: SendRequest<Body>,
    under_way: AtomicUsize,
    pulse: Pulse,
}

/// A call on a connection.
struct UnderWay {
    lines: Arc<Lines>,
    line: Arc<Line>,
    began: Instant,
    /// Whether nothing has come back yet.
    is_waiting: bool,
}

impl UnderWay {
    fn begin(lines: &Arc<Lines>, line: Arc<Line>) -> Self {
        line.under_way.fetch_add(1, Ordering::Relaxed);
        Self { lines: lines.clone(), line, began: Instant::now(), is_waiting: true }
    }

    fn see(&self, sign: Sign) {
        match sign {
            Sign::Answer => {
                self.line.pulse.hear();
                self.lines.circuit.close(&self.lines.origin);
            }
            Sign::TooLate => self.line.pulse.give_up(self.began),
            Sign::Nobody => self.line.pulse.lose(self.began),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.line.under_way.fetch_sub(1, Ordering::Relaxed);
        // the caller's time is over, or he has gone away
        if self.is_waiting {
            self.line.pulse.give_up(self.began);
        }
    }
}

/// Who could have a call.
enum Found {
    Line(Arc<Line>),
    /// There are connections, and nobody answers on any.
    Silent,
    /// There is none.
    Nobody,
}

impl State {
    fn lines(&self) -> impl Iterator<Item = &Arc<Line>> {
        self.addresses.values().filter_map(|standing| standing.line.as_ref())
    }

    /// What went wrong last, of what is told to those who ask.
    fn last_trouble(&self) -> Option<&Trouble> {
        let failed = self.addresses.values().filter_map(|standing| standing.failed.as_ref());
        let not_found = self.not_found.as_ref().map(|(last, _)| last);
        failed.chain(not_found).max_by_key(|trouble| trouble.at)
    }

    /// Why a call that began then need not wait any longer.
    fn hopeless_since(&self, began: Instant) -> Option<&Trouble> {
        if self.addresses.is_empty() {
            // the name is not looked up for each call, so what was found a moment ago holds
            return self.not_found.as_ref().map(|(last, _)| last).filter(|last| last.at + LOOK_UP_PAUSE > began);
        }
        // and each address was tried since
        let mut troubles = self.addresses.values().map(|standing| match &standing.line {
            Some(_) => None,
            None => standing.failed.as_ref().filter(|trouble| trouble.at > began),
        });
        let first = troubles.next().flatten()?;
        troubles.all(|trouble| trouble.is_some()).then_some(first)
    }
}

impl Lines {
    /// The connection with least to do. Waits for one if there is none, but no longer than opening one may take, and not at all
    /// when others have waited in vain just before.
    async fn find(&self, began: Instant) -> Result<Arc<Line>, Status> {
        let found = self.least_busy(&self.state.borrow(), began);
        match found {
            Found::Line(line) => return Ok(line),
            Found::Silent => return Err(self.refused(SILENT)),
            Found::Nobody => {}
        }
        let mut state = self.state.subscribe();
        self.missed.send_replace(Instant::now());
        if self.circuit.is_hopeless() {
            let why = state.borrow().last_trouble().map_or_else(|| "no connection".to_owned(), |last| last.why.clone());
            return Err(self.refused(&why));
        }
        loop {
            {
                let state = state.borrow_and_update();
                match self.least_busy(&state, Instant::now()) {
                    Found::Line(line) => return Ok(line),
                    Found::Silent => return Err(self.refused(SILENT)),
                    Found::Nobody => {}
                }
                if let Some(trouble) = state.hopeless_since(began) {
                    self.circuit.miss();
                    return Err(self.unreachable(&trouble.why));
                }
            }
            // the sender of the state lives as long as this call
            if timeout_at(began + CONNECT_DEADLINE, state.changed()).await.is_err() {
                self.circuit.miss();
                return Err(self.unreachable(&format!("no connection in {CONNECT_DEADLINE:?}")));
            }
        }
    }

    fn unreachable(&self, why: &str) -> Status {
        NotSent::Unreachable.tell(Status::unavailable(format!("{} cannot be reached: {why}", self.origin)))
    }

    /// Of a call that is not even tried.
    fn refused(&self, why: &str) -> Status {
        self.circuit.open(&self.origin, why);
        NotSent::Silent.tell(Status::unavailable(format!("{} was not asked: {why}", self.origin)))
    }

    fn least_busy(&self, state: &State, now: Instant) -> Found {
        let lines: Vec<_> = state.lines().collect();
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % lines.len().max(1);
        let (before, after) = lines.split_at(first);
        let heard = |line: &&&Arc<Line>| !line.pulse.is_silent();
        let under_way = |line: &&&Arc<Line>| line.under_way.load(Ordering::Relaxed);
        let best = after.iter().chain(before).filter(heard).min_by_key(under_way);
        let mut silent = lines.iter().filter(|line| line.pulse.is_silent());
        match silent.find(|line| line.pulse.is_tried(now, best.is_some())).or(best) {
            Some(&line) => Found::Line(line.clone()),
            None if lines.is_empty() => Found::Nobody,
            None => Found::Silent,
        }
    }

    /// Keeps the state of the addresses that were found, and begins that of new ones.
    fn found(&self, found: &BTreeSet<SocketAddr>) {
        self.state.send_modify(|state| {
            state.not_found = None;
            state.addresses.retain(|address, _| found.contains(address));
            for &address in found {
                state.addresses.entry(address).or_default();
            }
        });
    }

    /// A name that is not found may be a server of names that is away: whoever is known stays for a while, and whoever can be
    /// asked as long as he can.
    fn not_found(&self, why: impl fmt::Display) {
        self.state.send_modify(|state| {
            let last = Trouble::now(why);
            let since = state.not_found.as_ref().map_or(last.at, |&(_, since)| since);
            if since == last.at {
                warn!(origin = %self.origin, why = last.why, "the name was not found, asking those who are known");
            }
            if since.elapsed() > NOT_FOUND_MAX {
                state.addresses.retain(|_, standing| standing.line.is_some());
            }
            state.not_found = Some((last, since));
        });
    }

    /// Opens a connection and waits for the first answer on it. Opening alone says nothing: a kernel accepts for a process that
    /// stands still, and with TLS 1.3 a certificate is refused when the one who showed it is already done.
    async fn open(&self, address: SocketAddr) -> Result<(SendRequest<Body>, Connection), StdError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.secured(self.origin.host().unwrap_or_default(), stream).await?;
        let (mut sender, mut connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await?;
        let mut first_call = Request::post(at(&self.origin, &Uri::from_static(FIRST_CALL))?);
        first_call = first_call.header("content-type", "application/grpc").header("te", "trailers");
        // an empty message: whatever is answered, somebody is there
        let answering = sender.send_request(first_call.body(Body::new(Full::from(vec![0; 5])))?);
        tokio::select! {
            answered = answering => answered.map(drop)?,
            ended = &mut connection => return Err(ended.err().map_or_else(|| "it was closed at once".into(), Into::into)),
        }
        Ok((sender, connection))
    }

    fn connected(&self, address: SocketAddr, sender: SendRequest<Body>) -> Arc<Line> {
        debug!(origin = %self.origin, %address, "connected");
        let line = Arc::new(Line { address, sender, under_way: AtomicUsize::new(0), pulse: Pulse::begin() });
        self.state.send_modify(|state| {
            // it may have left the name meanwhile
            if let Some(standing) = state.addresses.get_mut(&address) {
                *standing = Standing { line: Some(line.clone()), failed: None };
            }
        });
        self.circuit.close(&self.origin);
        line
    }

    fn lose(&self, line: &Arc<Line>) {
        self.state.send_modify(|state| {
            if let Some(standing) = state.addresses.get_mut(&line.address) {
                standing.line.take_if(|current| Arc::ptr_eq(current, line));
            }
        });
    }

    fn failed(&self, address: SocketAddr, error: &StdError) {
        self.state.send_modify(|state| {
            let Some(standing) = state.addresses.get_mut(&address) else { return };
            let trouble = Trouble::now(format_args!("{address}: {error}"));
            // told once, not at each attempt
            if standing.failed.as_ref().is_none_or(|last| last.why != trouble.why) {
                warn!(origin = %self.origin, why = trouble.why, "not connected");
            }
            standing.failed = Some(trouble);
        });
    }
}

/// Looks the name up for ever, and has a task for each address that it has.
async fn follow_the_name(lines: Arc<Lines>, look_up: LookUp) {
    let mut kept = BTreeMap::new();
    loop {
        match timeout(LOOK_UP_DEADLINE, look_up()).await {
            Ok(Ok(found)) if !found.is_empty() => {
                // sorted first, so that of too many the same are left out each time
                let found: BTreeSet<SocketAddr> =
                    found.into_iter().collect::<BTreeSet<_>>().into_iter().take(ADDRESSES_MAX).collect();
                lines.found(&found);
                kept.retain(|address, keeping: &mut AbortOnDropHandle<()>| {
                    found.contains(address) && !keeping.is_finished()
                });
                for address in found {
                    kept.entry(address)
                        .or_insert_with(|| AbortOnDropHandle::new(tokio::spawn(keep(lines.clone(), address))));
                }
            }
            Ok(Ok(_)) => lines.not_found("it has no address"),
            Ok(Err(error)) => lines.not_found(error),
            Err(_) => lines.not_found(format_args!("no answer in {LOOK_UP_DEADLINE:?}")),
        }
        kept.retain(|address, _| lines.state.borrow().addresses.contains_key(address));
        let began = Instant::now();
        sleep(LOOK_UP_PAUSE).await;
        let mut state = lines.state.subscribe();
        let nobody = state.wait_for(|state| state.lines().next().is_none());
        // over when nobody is left, or when it is time
        let _ = timeout_at(began + LOOK_UP_EVERY, nobody).await.map(drop);
    }
}

/// Keeps a connection to an address, for ever.
async fn keep(lines: Arc<Lines>, address: SocketAddr) {
    let (shortest, longest) = RETRY_PAUSES;
    let mut pause = shortest;
    loop {
        let began = Instant::now();
        // a call that finds nobody from now on is in a hurry
        let mut ended = began;
        match timeout(CONNECT_DEADLINE, lines.open(address)).await.unwrap_or_else(|late| Err(late.into())) {
            Ok((sender, connection)) => {
                let line = lines.connected(address, sender);
                // calls under way go on without it: they outlive their address, and the last clone of the channel
                let how = connection.await;
                debug!(origin = %lines.origin, %address, ended = ?how, "the connection has ended");
                ended = Instant::now();
                lines.lose(&line);
            }
            Err(error) => lines.failed(address, &error),
        }
        if began.elapsed() > longest + CONNECT_DEADLINE {
            pause = shortest;
        }
        sleep(pause.min(RETRY_PAUSE_WHEN_MISSED)).await;
        let mut missed = lines.missed.subscribe();
        let missed = missed.wait_for(|&at| at > ended);
        let _ = timeout(pause.saturating_sub(RETRY_PAUSE_WHEN_MISSED), missed).await.map(drop);
        pause = (pause * 2).min(longest);
    }
}

/// Whether the call alone has ended, and not its connection.
fn was_thrown_back(error: &hyper::Error) -> bool {
    error.source().and_then(|cause| cause.downcast_ref::<h2::Error>()).is_some_and(h2::Error::is_reset)
}

type Connection = http2::Connection<TokioIo<Box<dyn Wire>>, Body, TokioExecutor>;

/// The path of a call, at the origin that it goes to.
fn at(origin: &Uri, path: &Uri) -> Result<Uri, StdError> {
    let mut parts = origin.clone().into_parts();
    parts.path_and_query = Some(path.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    Ok(Uri::from_parts(parts)?)
}

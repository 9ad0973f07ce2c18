//! A network between a producer and its brokers that loses an answer.
//!
//! It knows as much of Kafka's protocol as that takes: a frame is its length and its bytes; a request begins with the API's
//! key, its version and a number, an answer with the same number. Brokers tell clients where they are, so in those answers
//! their ports are replaced by the proxy's.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// The keys of the APIs that matter here; see <https://kafka.apache.org/protocol#protocol_api_keys>.
const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;

const PASSES: u8 = 0;
const SWALLOWS_NEXT: u8 = 1;
const HAS_SWALLOWED: u8 = 2;

/// A proxy before each broker. It ends when it is dropped.
pub struct Proxy {
    bootstrap: String,
    state: Arc<AtomicU8>,
    _listening: JoinSet<()>,
}

impl Proxy {
    pub async fn start(brokers: &str) -> Self {
        let mut routes = Vec::new();
        let mut listeners = Vec::new();
        for broker in brokers.split(',') {
            let broker: SocketAddr = broker.parse().expect("an address");
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
            routes.push((broker.port(), listener.local_addr().expect("it listens").port()));
            listeners.push((listener, broker));
        }
        let bootstrap: Vec<String> = routes.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect();
        let (state, routes) = (Arc::new(AtomicU8::new(PASSES)), Arc::new(routes));
        let mut listening = JoinSet::new();
        for (listener, broker) in listeners {
            let (state, routes) = (state.clone(), routes.clone());
            listening.spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    connections.spawn(connection(client, broker, state.clone(), routes.clone()));
                }
            });
        }
        Self { bootstrap: bootstrap.join(","), state, _listening: listening }
    }

    /// What the producer connects to.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The next answer to a letter does not arrive: the connection breaks.
    pub fn swallow_next_answer(&self) {
        self.state.store(SWALLOWS_NEXT, Ordering::SeqCst);
    }

    pub fn has_swallowed(&self) -> bool {
        self.state.load(Ordering::SeqCst) == HAS_SWALLOWED
    }
}

/// The API of each request that is not answered yet, by its number.
type Asked = Mutex<HashMap<[u8; 4], i16>>;

/// Carries frames both ways until one side ends, or an answer is swallowed.
async fn connection(client: TcpStream, broker: SocketAddr, state: Arc<AtomicU8>, routes: Arc<Vec<(u16, u16)>>) {
    let Ok(broker) = TcpStream::connect(broker).await else { return };
    let ((mut from_client, mut to_client), (mut from_broker, mut to_broker)) =
        (client.into_split(), broker.into_split());
    let asked = Asked::default();
    let requests = async {
        while let Some(frame) = read(&mut from_client).await {
            let api = i16::from_be_bytes([frame[0], frame[1]]);
            asked.lock().expect("nobody panics").insert([frame[4], frame[5], frame[6], frame[7]], api);
            if write(&mut to_broker, &frame).await.is_none() {
                return;
            }
        }
    };
    let answers = async {
        while let Some(mut frame) = read(&mut from_broker).await {
            let number = [frame[0], frame[1], frame[2], frame[3]];
            let api = asked.lock().expect("nobody panics").remove(&number);
            let is_swallowed = api == Some(PRODUCE)
                && state.compare_exchange(SWALLOWS_NEXT, HAS_SWALLOWED, Ordering::SeqCst, Ordering::SeqCst).is_ok();
            if is_swallowed {
                return;
            }
            if matches!(api, Some(METADATA | FIND_COORDINATOR)) {
                replace_ports(&mut frame, &routes);
            }
            if write(&mut to_client, &frame).await.is_none() {
                return;
            }
        }
    };
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
}

/// A broker is told as its host, a string, and after that its port in four bytes.
fn replace_ports(frame: &mut [u8], routes: &[(u16, u16)]) {
    const HOST: &[u8] = b"127.0.0.1";
    for at in 0..frame.len().saturating_sub(HOST.len() + 3) {
        let (port, end) = (at + HOST.len(), at + HOST.len() + 4);
        if &frame[at..port] != HOST {
            continue;
        }
        let replaced = routes.iter().find(|(from, _)| frame[port..end] == u32::from(*from).to_be_bytes());
        if let Some((_, to)) = replaced {
            frame[port..end].copy_from_slice(&u32::from(*to).to_be_bytes());
        }
    }
}

async fn read(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let length = from.read_u32().await.ok()?;
    let mut frame = vec![0; usize::try_from(length).ok()?];
    from.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> Option<()> {
    to.write_u32(u32::try_from(frame.len()).ok()?).await.ok()?;
    to.write_all(frame).await.ok()
}

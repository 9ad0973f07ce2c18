//! Connections that want nothing but a place: half of them say nothing at all, the other half begins a request and never ends it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{Instant, sleep},
};

/// How many there are at once.
pub const CONNECTIONS: u32 = 10_000;

/// Addresses that they come from: one has too few ports for those that are open and those that were.
const ADDRESSES: u32 = 16;

/// Between two of them at the beginning, so that those who are cut off do not all come back at once.
const APART: Duration = Duration::from_micros(900);

/// How long they may take to be there.
const GATHERED: Duration = Duration::from_mins(1);

/// Who is refused tries again after this.
const AGAIN: Duration = Duration::from_millis(100);

/// What the second half says.
const BEGINNING: &[u8] = b"GET /v1/products HTTP/1.1\r\nHost: postbox\r\nAccept:";

/// All of them, as long as this lives. Who is cut off comes again.
#[derive(Debug)]
pub struct Crowd {
    _clients: JoinSet<()>,
    open: Arc<AtomicU32>,
}

impl Crowd {
    /// Waits until they are there. `url` is that of an HTTP service.
    pub async fn gather(url: &str) -> Result<Self> {
        let address: SocketAddr =
            url.trim_start_matches("http://").parse().with_context(|| format!("{url} is no address"))?;
        let (mut clients, open) = (JoinSet::new(), Arc::new(AtomicU32::new(0)));
        for number in 0..CONNECTIONS {
            let open = open.clone();
            clients.spawn(async move {
                sleep(APART * number).await;
                loop {
                    if let Ok(stream) = connect(address, number).await {
                        open.fetch_add(1, Ordering::Relaxed);
                        stay(stream, number.is_multiple_of(2)).await;
                        open.fetch_sub(1, Ordering::Relaxed);
                    } else {
                        sleep(AGAIN).await;
                    }
                }
            });
        }
        let crowd = Self { _clients: clients, open };
        let until = Instant::now() + GATHERED;
        // a hundredth is on its way back
        while crowd.open() < CONNECTIONS - CONNECTIONS / 100 {
            if Instant::now() > until {
                bail!("only {} of {CONNECTIONS} connections are open; raise `ulimit -n`", crowd.open());
            }
            sleep(AGAIN).await;
        }
        Ok(crowd)
    }

    /// How many are open.
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }
}

async fn connect(address: SocketAddr, number: u32) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let from = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number % ADDRESSES);
    socket.bind((from, 0).into())?;
    Ok(socket.connect(address).await?)
}

/// Until the other side has enough of it.
async fn stay(mut stream: TcpStream, is_silent: bool) {
    if is_silent || stream.write_all(BEGINNING).await.is_ok() {
        let mut answer = [0; 64];
        while stream.read(&mut answer).await.is_ok_and(|bytes| bytes > 0) {}
    }
}

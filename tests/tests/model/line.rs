//! The line between a service and its database, on which the service can be made to die: at a statement, before the database
//! has it or after the database has done it.
//!
//! It carries Postgres' protocol as it is and looks only for the ends of statements: a simple query, or the Sync after an
//! Execute. So a story can end a process between any two of its commits, and within its transactions, and no service has
//! anything built in for it.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

/// When a process dies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The database never sees the statement.
    Before,
    /// The database has done the statement; the process never learns.
    After,
}

/// The way to one database.
pub struct Line {
    /// Where the service finds it.
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    database: SocketAddr,
    death: Mutex<Death>,
    /// Whether the process is dead; nothing passes from then on.
    dead: watch::Sender<bool>,
    connections: Mutex<JoinSet<()>>,
}

#[derive(Clone, Copy)]
enum Death {
    /// None is near.
    None,
    /// After so many further statements.
    Near(u8, Moment),
    /// It has come: nothing passes any more.
    Come,
}

impl Line {
    /// A line to the database server at this address.
    pub async fn to(database: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            database,
            death: Mutex::new(Death::None),
            dead: watch::Sender::new(false),
            connections: Mutex::default(),
        });
        let accepting = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = accepting.clone();
                accepting.connections.lock().unwrap().spawn(async move {
                    // either side may hang up at any time
                    let _ = carry(client, state).await;
                });
            }
        });
        Ok(Self { address, state })
    }

    /// After so many further statements, the process at this end dies. `None`: it does not.
    pub fn expect(&self, death: Option<(u8, Moment)>) {
        let mut known = self.state.death.lock().unwrap();
        if !matches!(*known, Death::Come) {
            *known = death.map_or(Death::None, |(statements, moment)| Death::Near(statements, moment));
        }
    }

    /// Returns when the process is to be dead.
    pub async fn died(&self) {
        // the line itself has the sender
        let _ = self.state.dead.subscribe().wait_for(|dead| *dead).await;
    }

    /// Cuts all connections. The line is for a new process then.
    pub async fn cut(&self) {
        let mut connections = std::mem::take(&mut *self.state.connections.lock().unwrap());
        connections.shutdown().await;
        *self.state.death.lock().unwrap() = Death::None;
        self.state.dead.send_replace(false);
    }
}

impl State {
    /// Whether a statement passes; and if not, or not wholly, when the process dies.
    fn statement(&self) -> Option<Moment> {
        let mut death = self.death.lock().unwrap();
        match *death {
            Death::None => None,
            Death::Near(0, moment) => {
                *death = Death::Come;
                Some(moment)
            }
            Death::Near(left, moment) => {
                *death = Death::Near(left - 1, moment);
                None
            }
            Death::Come => Some(Moment::Before),
        }
    }
}

async fn carry(client: TcpStream, state: Arc<State>) -> io::Result<()> {
    let server = TcpStream::connect(state.database).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    // the first message has no type
    let length = from_client.read_u32().await?;
    let mut startup = length.to_be_bytes().to_vec();
    read_rest(&mut from_client, length, &mut startup).await?;
    to_server.write_all(&startup).await?;
    let last = Arc::new(Mutex::new(false));
    tokio::select! {
        ended = forth(from_client, to_server, &state, &last) => ended,
        ended = back(from_server, to_client, &state, &last) => ended,
    }
}

/// Carries what the service says. `last` is set before the last statement of a process that dies after it.
async fn forth(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State, last: &Mutex<bool>) -> io::Result<()> {
    let mut batch = Vec::new();
    let mut executes = false;
    loop {
        let kind = read_message(&mut from, &mut batch).await?;
        executes |= kind == b'E';
        match kind {
            b'Q' | b'S' => {
                if kind == b'Q' || executes {
                    match state.statement() {
                        None => {}
                        Some(Moment::After) => *last.lock().unwrap() = true,
                        Some(Moment::Before) => {
                            state.dead.send_replace(true);
                            return std::future::pending().await;
                        }
                    }
                }
                executes = false;
            }
            // parts of a batch wait for its end
            b'P' | b'B' | b'D' | b'E' | b'C' => continue,
            _ => {}
        }
        to.write_all(&batch).await?;
        batch.clear();
    }
}

/// Carries what the database answers.
async fn back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State, last: &Mutex<bool>) -> io::Result<()> {
    let mut message = Vec::new();
    loop {
        message.clear();
        let kind = read_message(&mut from, &mut message).await?;
        if *last.lock().unwrap() {
            // ReadyForQuery: it is done
            if kind == b'Z' {
                state.dead.send_replace(true);
                return std::future::pending().await;
            }
        } else {
            to.write_all(&message).await?;
        }
    }
}

/// Appends the next message to `bytes` and gives its type.
async fn read_message(from: &mut OwnedReadHalf, bytes: &mut Vec<u8>) -> io::Result<u8> {
    let kind = from.read_u8().await?;
    let length = from.read_u32().await?;
    bytes.push(kind);
    bytes.extend(length.to_be_bytes());
    read_rest(from, length, bytes).await?;
    Ok(kind)
}

/// Appends what follows a length, which counts itself.
async fn read_rest(from: &mut OwnedReadHalf, length: u32, bytes: &mut Vec<u8>) -> io::Result<()> {
    let start = bytes.len();
    let rest = length.checked_sub(4).ok_or(io::ErrorKind::InvalidData)?;
    bytes.resize(start + usize::try_from(rest).expect("32 bits fit"), 0);
    from.read_exact(&mut bytes[start..]).await.map(drop)
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::After => "after",
        })
    }
}

//! A door to Postgres that can be told to close at the worst moment.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What commits: the end of a transaction, and the statement that writes new orders with their letters, of which this is the type.
const COMMITS: [&[u8]; 2] = [b"COMMIT", b"order.created"];

/// What becomes of the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The connection breaks before Postgres has it.
    Commit,
    /// The connection breaks when Postgres has committed, before it can say so.
    Reply,
}

/// Passes everything on, but for the one commit that is lost.
#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    next_commit: Arc<Mutex<Option<Lost>>>,
}

impl Proxy {
    /// A door to Postgres at `postgres` (`host:port`).
    pub async fn open(postgres: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), next_commit: Arc::default() };
        let next_commit = proxy.next_commit.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&postgres).await.unwrap();
                // however it ends, both connections are closed
                tokio::spawn(pass_on(client, server, next_commit.clone()));
            }
        });
        proxy
    }

    /// Loses the next commit.
    pub fn lose(&self, what: Lost) {
        *self.next_commit.lock().unwrap() = Some(what);
    }

    /// Whether it was lost.
    pub fn has_lost_it(&self) -> bool {
        self.next_commit.lock().unwrap().is_none()
    }
}

async fn pass_on(
    mut client: TcpStream,
    mut server: TcpStream,
    next_commit: Arc<Mutex<Option<Lost>>>,
) -> io::Result<()> {
    let (mut asked, mut answered) = ([0; 16_384], [0; 16_384]);
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let question = &asked[..length?];
                if question.is_empty() {
                    return Ok(());
                }
                let is_commit = COMMITS.iter().any(|commit| question.windows(commit.len()).any(|word| word == *commit));
                match is_commit.then(|| next_commit.lock().unwrap().take()).flatten() {
                    None => server.write_all(question).await?,
                    Some(Lost::Commit) => return Ok(()),
                    Some(Lost::Reply) => {
                        server.write_all(question).await?;
                        // it has committed when it answers
                        server.read_exact(&mut [0]).await?;
                        return Ok(());
                    }
                }
            }
            length = server.read(&mut answered) => {
                let answer = &answered[..length?];
                if answer.is_empty() {
                    return Ok(());
                }
                client.write_all(answer).await?;
            }
        }
    }
}

//! A connection to PostgreSQL that does one thing at little cost: executes prepared statements that write one row.
//!
//! What a client costs is taken from the server it shares the machine with, so this speaks the protocol itself
//! (<https://www.postgresql.org/docs/17/protocol-message-formats.html>): one write and, as a rule, one read for a statement, as
//! pgbench does.

use std::fmt::Write;

use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::{
    digest::{self, SHA256},
    hmac::{self, HMAC_SHA256},
    pbkdf2::{self, PBKDF2_HMAC_SHA256},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Buf, Bytes, BytesMut};
use reqwest::Url;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

/// Version 3.0 of the protocol.
const PROTOCOL: i32 = 196_608;

/// What stands before a message's body: its kind, and its length.
const HEADER_BYTES: usize = 5;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What came and was not looked at.
    inbox: BytesMut,
    /// What is to be sent.
    outbox: Vec<u8>,
}

impl Connection {
    /// Connects to the database of this URL, by SCRAM-SHA-256.
    pub async fn connect(url: &Url) -> Result<Self> {
        let (host, port) = (url.host_str().context("no host")?, url.port().unwrap_or(5432));
        let stream = TcpStream::connect((host, port)).await.context("Postgres takes no connection")?;
        stream.set_nodelay(true)?;
        let mut connection = Self { stream, inbox: BytesMut::with_capacity(8_192), outbox: Vec::new() };
        let mut startup = PROTOCOL.to_be_bytes().to_vec();
        for word in ["user", url.username(), "database", url.path().trim_start_matches('/'), ""] {
            put_text(&mut startup, word);
        }
        put_with_length(&mut connection.outbox, &startup);
        connection.log_in(url.password().unwrap_or_default()).await?;
        connection.until_ready().await?;
        Ok(connection)
    }

    /// Prepares a statement, to be executed under this number.
    pub async fn prepare(&mut self, number: usize, sql: &str) -> Result<()> {
        let mut parse = Vec::new();
        put_text(&mut parse, &number.to_string());
        put_text(&mut parse, sql);
        // all types as the server infers them
        parse.extend(0_i16.to_be_bytes());
        self.put(b'P', &parse);
        self.put(b'S', &[]);
        self.until_ready().await.with_context(|| format!("preparing {sql}"))?;
        Ok(())
    }

    /// Executes a prepared statement in a transaction of its own. Fails unless it wrote one row.
    pub async fn execute<'a>(
        &mut self,
        number: usize,
        parameters: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<()> {
        let mut bind = Vec::with_capacity(128);
        // the portal without a name
        put_text(&mut bind, "");
        put_text(&mut bind, &number.to_string());
        // all parameters as text
        bind.extend(0_i16.to_be_bytes());
        bind.extend(i16::try_from(parameters.len())?.to_be_bytes());
        for parameter in parameters {
            bind.extend(i32::try_from(parameter.len())?.to_be_bytes());
            bind.extend(parameter.as_bytes());
        }
        bind.extend(0_i16.to_be_bytes());
        self.put(b'B', &bind);
        // of the portal without a name, all rows
        self.put(b'E', &[0; 5]);
        self.put(b'S', &[]);
        let done = self.until_ready().await?;
        ensure!(done.as_deref().is_some_and(|done| done.ends_with(b" 1\0")), "not one row was written but: {done:?}");
        Ok(())
    }

    /// RFC 5802. Who the server is, is not checked: it was started by ourselves.
    async fn log_in(&mut self, password: &str) -> Result<()> {
        self.flush().await?;
        self.authentication(10).await.context("the server wants no SCRAM")?;
        let bare = format!("n=,r={}", Uuid::now_v7().simple());
        let first = format!("n,,{bare}");
        let mut initial = Vec::new();
        put_text(&mut initial, "SCRAM-SHA-256");
        initial.extend(i32::try_from(first.len())?.to_be_bytes());
        initial.extend(first.as_bytes());
        self.put(b'p', &initial);
        self.flush().await?;

        let challenge = self.authentication(11).await?;
        let challenge = std::str::from_utf8(&challenge)?;
        let attribute = |name: &str| challenge.split(',').find_map(|it| it.strip_prefix(name)).context("no challenge");
        let (nonce, salt) = (attribute("r=")?, STANDARD.decode(attribute("s=")?)?);
        let mut salted = [0; 32];
        pbkdf2::derive(PBKDF2_HMAC_SHA256, attribute("i=")?.parse()?, &salt, password.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(HMAC_SHA256, key), text.as_bytes());
        let client_key = sign(&salted, "Client Key");
        let stored_key = digest::digest(&SHA256, client_key.as_ref());
        let mut last = format!("c=biws,r={nonce}");
        let signature = sign(stored_key.as_ref(), &format!("{bare},{challenge},{last}"));
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        write!(last, ",p={}", STANDARD.encode(proof))?;
        self.put(b'p', last.as_bytes());
        Ok(())
    }

    /// The next message, which must be this step of authentication.
    async fn authentication(&mut self, expected: i32) -> Result<Bytes> {
        let (kind, mut body) = self.receive().await?;
        ensure!(kind == b'R' && body.len() >= 4, "no authentication but {}", char::from(kind));
        let step = body.get_i32();
        ensure!(step == expected, "authentication came to step {step}, not {expected}");
        Ok(body)
    }

    /// Sends what is to be sent, and reads until the server is ready for more. Gives what it says that it did, if anything.
    async fn until_ready(&mut self) -> Result<Option<Bytes>> {
        self.flush().await?;
        let mut done = None;
        loop {
            match self.receive().await? {
                (b'Z', _) => return Ok(done),
                (b'C', tag) => done = Some(tag),
                _ => {}
            }
        }
    }

    /// The next message: its kind and its body. Fails when it is an error.
    async fn receive(&mut self) -> Result<(u8, Bytes)> {
        loop {
            if let Some(header) = self.inbox.first_chunk::<HEADER_BYTES>() {
                let [kind, length @ ..] = *header;
                let whole = usize::try_from(i32::from_be_bytes(length))? + 1;
                if self.inbox.len() >= whole {
                    let mut body = self.inbox.split_to(whole).freeze();
                    body.advance(HEADER_BYTES);
                    if kind == b'E' {
                        bail!("Postgres refused: {}", String::from_utf8_lossy(&body).replace('\0', " "));
                    }
                    return Ok((kind, body));
                }
            }
            let read = self.stream.read_buf(&mut self.inbox).await?;
            ensure!(read > 0, "Postgres closed the connection");
        }
    }

    async fn flush(&mut self) -> Result<()> {
        self.stream.write_all(&self.outbox).await?;
        self.outbox.clear();
        Ok(())
    }

    fn put(&mut self, kind: u8, body: &[u8]) {
        self.outbox.push(kind);
        put_with_length(&mut self.outbox, body);
    }
}

/// A length counts itself.
fn put_with_length(message: &mut Vec<u8>, body: &[u8]) {
    let length = i32::try_from(body.len() + 4).expect("messages are short");
    message.extend(length.to_be_bytes());
    message.extend(body);
}

fn put_text(message: &mut Vec<u8>, text: &str) {
    message.extend(text.as_bytes());
    message.push(0);
}

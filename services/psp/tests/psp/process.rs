//! Starts the real binary on free ports, and speaks to it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

/// How long the process may take to answer, and a request to be answered.
const DEADLINE: Duration = Duration::from_secs(20);

/// A running card network. Dropping it kills the process and removes its books.
pub struct Psp {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
    client: Client,
}

impl Psp {
    /// A network with empty books.
    pub async fn start() -> Self {
        Self::start_with_books("").await
    }

    /// A network that finds these books.
    pub async fn start_with_books(books: &str) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("psp-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("books.jsonl"), books).unwrap();
        let (process, address) = spawn(serve(), &folder);
        let psp = Self { process, address, folder, client: http1() };
        psp.until_it_answers().await;
        psp
    }

    /// A network whose books the system does not let grow beyond some 4 KiB.
    pub async fn start_on_a_small_disk() -> Self {
        let mut psp = Self::start().await;
        psp.kill();
        // the signal is ignored, so that the process sees an error, as of a full disk
        let limited = "trap '' XFSZ; ulimit -f 8; exec \"$0\" serve";
        let mut command = Command::new("sh");
        command.args(["-c", limited, env!("CARGO_BIN_EXE_psp")]);
        (psp.process, psp.address) = spawn(command, &psp.folder);
        psp.until_it_answers().await;
        psp
    }

    /// Waits until the process ends by itself, and starts a new one on the same books.
    pub async fn restart_after_its_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "psp does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        (self.process, self.address) = spawn(serve(), &self.folder);
        self.until_it_answers().await;
        status
    }

    /// kill -9, and a new process on the same books.
    pub async fn kill_and_restart(&mut self) {
        self.kill();
        (self.process, self.address) = spawn(serve(), &self.folder);
        self.until_it_answers().await;
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Runs a second process on the same books to its end.
    pub async fn second_process_on_the_same_books(&self) -> Output {
        run_to_its_end(&self.folder).await
    }

    /// From now on speaks HTTP/2 over one connection.
    pub fn over_http2(mut self) -> Self {
        self.client = Client::builder().http2_prior_knowledge().build().unwrap();
        self
    }

    /// What stands in the books.
    pub fn books(&self) -> String {
        fs::read_to_string(self.books_path()).unwrap()
    }

    pub fn books_path(&self) -> PathBuf {
        self.folder.join("books.jsonl")
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn post(&self, path: &str, body: &Value) -> reqwest::Result<Response> {
        self.client.post(self.url(path)).timeout(DEADLINE).json(body).send().await
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.client.get(self.url(path)).timeout(DEADLINE).send().await.unwrap()).await
    }

    /// Charges 12.50 EUR; an error is a dropped connection.
    pub async fn try_charge(&self, reference: &str, card_token: &str) -> reqwest::Result<(StatusCode, Value)> {
        let body = json!({
            "merchant_reference": reference,
            "amount": {"amount_minor": 1250, "currency": "EUR"},
            "card_token": card_token,
        });
        Ok(read(self.post("/charges", &body).await?).await)
    }

    pub async fn charge(&self, reference: &str, card_token: &str) -> (StatusCode, Value) {
        self.try_charge(reference, card_token).await.unwrap()
    }

    pub async fn void(&self, reference: &str) -> (StatusCode, Value) {
        read(self.post(&format!("/charges/{reference}/void"), &json!({})).await.unwrap()).await
    }

    pub async fn refund(&self, reference: &str, refund_reference: &str, minor: u64) -> (StatusCode, Value) {
        let body = json!({
            "refund_reference": refund_reference,
            "amount": {"amount_minor": minor, "currency": "EUR"},
        });
        read(self.post(&format!("/charges/{reference}/refunds"), &body).await.unwrap()).await
    }

    /// Every capture, in pages of `limit`.
    pub async fn captures(&self, limit: usize) -> Vec<Value> {
        let mut captures = Vec::new();
        let mut cursor = String::new();
        loop {
            let (status, page) = self.get(&format!("/captures?limit={limit}{cursor}")).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            captures.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return captures,
            }
        }
    }

    /// How many captures stand under this reference.
    pub async fn captures_of(&self, reference: &str) -> usize {
        self.captures(100).await.iter().filter(|capture| capture["merchant_reference"] == reference).count()
    }

    async fn until_it_answers(&self) {
        let deadline = Instant::now() + DEADLINE;
        while self.client.get(self.url("/captures")).send().await.is_err() {
            assert!(Instant::now() < deadline, "psp does not answer at {}", self.address);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Psp {
    fn drop(&mut self) {
        self.kill();
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// Runs a process on damaged books to its end: nothing listens, so it is not waited for.
pub async fn run_on_books(name: &str, books: &[u8]) -> Output {
    let folder = std::env::temp_dir().join(format!("psp-test-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("books.jsonl"), books).unwrap();
    let output = run_to_its_end(&folder).await;
    fs::remove_dir_all(&folder).unwrap();
    output
}

fn serve() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_psp"));
    command.arg("serve");
    command
}

fn spawn(mut command: Command, folder: &Path) -> (Child, SocketAddr) {
    let address = free_address();
    on_books(&mut command, folder).env("LISTEN_ADDR", address.to_string());
    (command.spawn().unwrap(), address)
}

async fn run_to_its_end(folder: &Path) -> Output {
    let mut command = serve();
    on_books(&mut command, folder).env("LISTEN_ADDR", free_address().to_string());
    let output = tokio::process::Command::from(command).kill_on_drop(true).output();
    tokio::time::timeout(DEADLINE, output).await.expect("psp serves, and should have refused").unwrap()
}

fn on_books<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command
        .env("OPS_ADDR", free_address().to_string())
        .env("PSP_BOOKS", folder.join("books.jsonl"))
        .env("RUST_LOG", "warn")
        .stdout(Stdio::null())
}

fn free_address() -> SocketAddr {
    let [address] = testkit::free_addresses();
    address
}

fn http1() -> Client {
    Client::builder().http1_only().build().unwrap()
}

async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    (status, response.json().await.unwrap())
}

//! Payment and the card network as processes, and what their records say.

use std::{
    env, fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use contracts::{
    ids::OrderId,
    money::v1::Money,
    payment::v1::{
        Charge, ChargeRequest, GetPaymentRequest, PaymentState, VoidCharge, VoidRequest, charge_response,
        payment_service_client::PaymentServiceClient, void_response,
    },
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use testkit::{SOON, TestDatabase, eventually};
use tonic::{Code, Status, transport::Channel};

/// Enough for anything that the network answers at all.
pub const BUDGET: Duration = Duration::from_secs(10);

/// A database, a card network and a payment process. Dropping it kills both.
pub struct Platform {
    pub database: TestDatabase,
    psp: Option<Process>,
    psp_address: SocketAddr,
    payment: Process,
    payment_address: SocketAddr,
    folder: PathBuf,
}

impl Platform {
    /// Everything up.
    pub async fn start() -> Self {
        let mut platform = Self::start_without_psp().await;
        platform.start_psp();
        platform
    }

    /// The card network is not there yet.
    pub async fn start_without_psp() -> Self {
        Self::start_with_psp_at(free_address()).await
    }

    /// Payment takes whatever listens here for the card network.
    pub async fn start_with_psp_at(psp_address: SocketAddr) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("payment-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let database = testkit::database("payments", &[&payment::MIGRATOR]).await;
        let (payment, payment_address) = spawn_payment(&database.app_url, psp_address, free_address());
        let platform = Self { database, psp: None, psp_address, payment, payment_address, folder };
        platform.until_payment_answers().await;
        platform
    }

    /// Starts the card network on its books.
    pub fn start_psp(&mut self) {
        self.psp = Some(spawn_psp(&self.folder.join("books.jsonl"), self.psp_address));
    }

    /// The card network stops in the middle of whatever it does.
    pub fn pause_psp(&self) {
        self.psp.as_ref().expect("psp was started").signal(Signal::SIGSTOP);
    }

    /// The card network goes on.
    pub fn resume_psp(&self) {
        self.psp.as_ref().expect("psp was started").signal(Signal::SIGCONT);
    }

    /// kill -9 of payment.
    pub fn kill_payment(&mut self) {
        self.payment.kill();
    }

    /// A new payment process on the same database.
    pub async fn restart_payment(&mut self) {
        (self.payment, self.payment_address) = spawn_payment(&self.database.app_url, self.psp_address, free_address());
        self.until_payment_answers().await;
    }

    pub fn client(&self) -> PaymentServiceClient<Channel> {
        PaymentServiceClient::new(rpc::channel(&format!("http://{}", self.payment_address)).unwrap())
    }

    /// Charges 12.50 EUR.
    pub async fn charge(&self, order_id: OrderId, card_token: &str) -> charge_response::Outcome {
        self.charge_within(BUDGET, order_id, card_token).await
    }

    pub async fn charge_within(
        &self,
        budget: Duration,
        order_id: OrderId,
        card_token: &str,
    ) -> charge_response::Outcome {
        let charge = charge_item(order_id, 1250, card_token, budget);
        let mut outcomes = self.client().charge(ChargeRequest { items: vec![charge] }).await.unwrap().into_inner();
        outcomes.message().await.unwrap().unwrap().outcome.unwrap()
    }

    /// The network captures, and payment has stopped waiting for it by then.
    pub async fn charge_and_lose_the_reply(&self, order_id: OrderId) {
        let outcome = self.charge_within(Duration::from_millis(500), order_id, "tok_slow_2s").await;
        assert!(matches!(outcome, charge_response::Outcome::Unknown(_)), "{outcome:?}");
        eventually(SOON, "the network has captured", async || self.captures(order_id) == 1).await;
    }

    /// Charges, and does not wait for the outcome.
    pub fn begin_charge(&self, order_id: OrderId, card_token: &str) {
        let mut client = self.client();
        let request = ChargeRequest { items: vec![charge_item(order_id, 1250, card_token, BUDGET)] };
        tokio::spawn(async move {
            let mut outcomes = client.charge(request).await?.into_inner();
            outcomes.message().await
        });
    }

    pub async fn void(&self, order_id: OrderId) -> void_response::Outcome {
        self.void_within(BUDGET, order_id).await
    }

    pub async fn void_within(&self, budget: Duration, order_id: OrderId) -> void_response::Outcome {
        let request = VoidRequest { items: vec![void_item(order_id, budget)] };
        let mut outcomes = self.client().void(request).await.unwrap().into_inner();
        outcomes.message().await.unwrap().unwrap().outcome.unwrap()
    }

    /// Voids, and does not wait for the outcome.
    pub fn begin_void(&self, order_id: OrderId) {
        let mut client = self.client();
        let request = VoidRequest { items: vec![void_item(order_id, BUDGET)] };
        tokio::spawn(async move {
            let mut outcomes = client.void(request).await?.into_inner();
            outcomes.message().await
        });
    }

    pub async fn state(&self, order_id: OrderId) -> Result<PaymentState, Status> {
        let request = GetPaymentRequest { order_id: order_id.to_string() };
        let payment = self.client().get_payment(request).await?.into_inner().payment.unwrap();
        Ok(payment.state())
    }

    pub async fn until_state(&self, order_id: OrderId, state: PaymentState) {
        let what = format!("the payment is {state:?}");
        eventually(SOON, &what, async || self.state(order_id).await.is_ok_and(|found| found == state)).await;
    }

    /// How often the card network's own books have the order captured.
    pub fn captures(&self, order_id: OrderId) -> usize {
        self.in_books(order_id, |change| change["captured"].is_object())
    }

    /// How often the card network's own books have the order voided.
    pub fn voids(&self, order_id: OrderId) -> usize {
        self.in_books(order_id, |change| change == "voided")
    }

    fn in_books(&self, order_id: OrderId, wanted: impl Fn(&Value) -> bool) -> usize {
        let books = fs::read_to_string(self.folder.join("books.jsonl")).unwrap();
        let entries = books.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        entries.filter(|entry| entry["merchant_reference"] == order_id.to_string() && wanted(&entry["change"])).count()
    }

    /// What the ledger holds for an order: the kinds of its transfers, in their order.
    pub async fn transfers(&self, order_id: OrderId) -> Vec<String> {
        sqlx::query_scalar("SELECT kind FROM transfers WHERE order_id = $1 ORDER BY kind")
            .bind(order_id.as_uuid())
            .fetch_all(&self.database.owner)
            .await
            .unwrap()
    }

    /// The balance of what the card network owes us, in minor units.
    pub async fn owed_by_the_network(&self) -> i64 {
        sqlx::query_scalar(
            "SELECT COALESCE(SUM(CASE WHEN debit_account = 'card-network' THEN amount_minor
                                      WHEN credit_account = 'card-network' THEN -amount_minor END), 0)::bigint
             FROM transfers",
        )
        .fetch_one(&self.database.owner)
        .await
        .unwrap()
    }

    async fn until_payment_answers(&self) {
        eventually(SOON, "payment answers", async || {
            self.state(OrderId::new()).await.is_err_and(|status| status.code() == Code::NotFound)
        })
        .await;
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // the card network holds its books open no longer once it is killed
        self.psp = None;
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

pub fn charge_item(order_id: OrderId, amount_minor: i64, card_token: &str, budget: Duration) -> Charge {
    Charge {
        order_id: order_id.to_string(),
        amount: Some(Money { amount_minor, currency: "EUR".to_owned() }),
        card_token: card_token.to_owned(),
        budget_ms: u32::try_from(budget.as_millis()).unwrap(),
    }
}

pub fn void_item(order_id: OrderId, budget: Duration) -> VoidCharge {
    VoidCharge { order_id: order_id.to_string(), budget_ms: u32::try_from(budget.as_millis()).unwrap() }
}

pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A child that does not outlive its test.
struct Process(Child);

impl Process {
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn_payment(database_url: &str, psp: SocketAddr, ops: SocketAddr) -> (Process, SocketAddr) {
    let address = free_address();
    let mut command = Command::new(env!("CARGO_BIN_EXE_payment"));
    command
        .arg("serve")
        .env("DATABASE_URL", database_url)
        .env("LISTEN_ADDR", address.to_string())
        .env("OPS_ADDR", ops.to_string())
        .env("PSP_URL", format!("http://{psp}"))
        .env("RUST_LOG", "error")
        .stdout(Stdio::null());
    (Process(command.spawn().unwrap()), address)
}

fn spawn_psp(books: &Path, address: SocketAddr) -> Process {
    // a service never depends on another, so cargo does not build psp for this test
    let binary = Path::new(env!("CARGO_BIN_EXE_payment")).with_file_name("psp");
    let mut command = Command::new(&binary);
    command
        .arg("serve")
        .env("LISTEN_ADDR", address.to_string())
        .env("OPS_ADDR", free_address().to_string())
        .env("PSP_BOOKS", books)
        .env("RUST_LOG", "error")
        .stdout(Stdio::null());
    Process(command.spawn().unwrap_or_else(|error| panic!("{}: {error}; run cargo build -p psp", binary.display())))
}

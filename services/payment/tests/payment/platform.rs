//! Payment and the card network as processes, and what their records say.

use std::{
    env, fs,
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use contracts::{
    ids::OrderId,
    money::v1::Money,
    payment::v1::{
        Charge, ChargeRequest, GetPaymentRequest, PaymentState, RefundCharge, RefundRequest, VoidCharge, VoidRequest,
        charge_response, payment_service_client::PaymentServiceClient, refund_response, void_response,
    },
};
use nix::sys::signal::Signal;
use rpc::Channel;
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use testkit::{SOON, TestDatabase, eventually};
use tonic::{Code, Status};

use crate::{
    order_desk::OrderDesk,
    post::Post,
    processes::{PaymentProcess, Process, spawn_psp},
};

/// Enough for anything that the network answers at all.
pub const BUDGET: Duration = Duration::from_secs(10);

/// A database, topics, a card network, what stands for order, and a payment process. Dropping it ends them.
pub struct Platform {
    pub database: TestDatabase,
    pub post: Post,
    pub order: OrderDesk,
    psp: Option<Process>,
    psp_address: SocketAddr,
    payment: PaymentProcess,
    pub folder: PathBuf,
}

impl Platform {
    /// Everything up.
    pub async fn start() -> Self {
        let mut platform = Self::start_without_psp().await;
        platform.start_psp().await;
        platform.order.open();
        platform
    }

    /// Neither the card network nor order is there yet.
    pub async fn start_without_psp() -> Self {
        Self::start_with_psp_at(free_address()).await
    }

    /// Payment takes whatever listens here for the card network.
    pub async fn start_with_psp_at(psp_address: SocketAddr) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("payment-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let database = testkit::database("payments", &payment::MIGRATORS).await;
        let post = Post::new().await;
        let order = OrderDesk::closed_at(free_address());
        let payment = PaymentProcess::spawn(&database, &post, psp_address, order.address);
        let platform = Self { database, post, order, psp: None, psp_address, payment, folder };
        platform.until_payment_answers().await;
        platform
    }

    /// Starts the card network on its books, and waits until it is there: a short budget must not run out before.
    pub async fn start_psp(&mut self) {
        self.psp = Some(spawn_psp(&self.folder.join("books.jsonl"), self.psp_address));
        let there = async || tokio::net::TcpStream::connect(self.psp_address).await.is_ok();
        eventually(SOON, "the card network is there", there).await;
    }

    /// The card network stops in the middle of whatever it does.
    pub fn pause_psp(&self) {
        self.psp.as_ref().expect("psp was started").signal(Signal::SIGSTOP);
    }

    /// The card network goes on.
    pub fn resume_psp(&self) {
        self.psp.as_ref().expect("psp was started").signal(Signal::SIGCONT);
    }

    /// kill -9 of the card network. Its books stay.
    pub fn kill_psp(&mut self) {
        self.psp = None;
    }

    /// kill -9 of payment.
    pub fn kill_payment(&mut self) {
        self.payment.process.kill();
    }

    /// A new payment process on the same database.
    pub async fn restart_payment(&mut self) {
        self.payment = PaymentProcess::spawn(&self.database, &self.post, self.psp_address, self.order.address);
        self.until_payment_answers().await;
    }

    pub fn client(&self) -> PaymentServiceClient<Channel> {
        PaymentServiceClient::new(rpc::channel(&format!("http://{}", self.payment.address)).unwrap())
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

    pub async fn refund(&self, order_id: OrderId) -> refund_response::Outcome {
        self.refund_within(BUDGET, order_id).await
    }

    pub async fn refund_within(&self, budget: Duration, order_id: OrderId) -> refund_response::Outcome {
        let request = RefundRequest { items: vec![refund_item(order_id, budget)] };
        let mut outcomes = self.client().refund(request).await.unwrap().into_inner();
        outcomes.message().await.unwrap().unwrap().outcome.unwrap()
    }

    /// Refunds, and does not wait for the outcome.
    pub fn begin_refund(&self, order_id: OrderId) {
        let mut client = self.client();
        let request = RefundRequest { items: vec![refund_item(order_id, BUDGET)] };
        tokio::spawn(async move {
            let mut outcomes = client.refund(request).await?.into_inner();
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

    /// Voids the charge as somebody would who is not payment.
    pub async fn void_behind_our_back(&self, order_id: OrderId) {
        let url = format!("http://{}/charges/{order_id}/void", self.psp_address);
        let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        let answer = client.post(url).send().await.unwrap();
        assert!(answer.status().is_success());
    }

    /// What payment tells of itself under this name, if it does.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let url = format!("http://{}/metrics", self.payment.ops_address);
        let metrics = reqwest::get(url).await.ok()?.text().await.ok()?;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    /// Locks the order's row in this table, so that payment has to wait where it wants to change it.
    pub async fn lock(&self, table: &str, order_id: OrderId) -> Transaction<'static, Postgres> {
        self.lock_with(format!("SELECT FROM {table} WHERE order_id = '{order_id}' FOR UPDATE")).await
    }

    /// Writes the order's work down and leaves that open, so that payment has to wait where it wants to do the same.
    pub async fn lock_before_insert(&self, order_id: OrderId) -> Transaction<'static, Postgres> {
        self.lock_with(format!("INSERT INTO charge_work (order_id, reserved) VALUES ('{order_id}', '')")).await
    }

    async fn lock_with(&self, locking: String) -> Transaction<'static, Postgres> {
        let mut lock = self.database.owner.begin().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(locking)).execute(&mut *lock).await.unwrap();
        lock
    }

    /// Waits until payment waits at the lock, and kills it there.
    pub async fn die_at(&mut self, lock: Transaction<'static, Postgres>) {
        eventually(SOON, "payment waits at the lock", async || !self.waiting().await.is_empty()).await;
        self.kill_payment();
        // the database does not notice that its client is dead, and would commit for it once the lock is gone
        for pid in self.waiting().await {
            let gone = sqlx::query_scalar("SELECT pg_terminate_backend($1, 10000)").bind(pid);
            let gone: bool = gone.fetch_one(&self.database.app).await.unwrap();
            assert!(gone);
        }
        lock.rollback().await.unwrap();
    }

    /// The database's processes that work for payment and wait for a lock. Asked as payment's role, which sees its own.
    async fn waiting(&self) -> Vec<i32> {
        let waiting =
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        sqlx::query_scalar(waiting).fetch_all(&self.database.app).await.unwrap()
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
        traceparent: String::new(),
    }
}

pub fn void_item(order_id: OrderId, budget: Duration) -> VoidCharge {
    VoidCharge { order_id: order_id.to_string(), budget_ms: u32::try_from(budget.as_millis()).unwrap() }
}

pub fn refund_item(order_id: OrderId, budget: Duration) -> RefundCharge {
    RefundCharge { order_id: order_id.to_string(), budget_ms: u32::try_from(budget.as_millis()).unwrap() }
}

pub fn free_address() -> SocketAddr {
    let [address] = testkit::free_addresses();
    address
}

//! Order with a database of its own, at work but for recovery and the relay: what a test leaves behind stays as it is.

use std::{str::FromStr, sync::Arc, time::Duration};

use contracts::{
    ids::{AccountId, OrderId},
    order::v1::{
        CancelOrderRequest, CancelOrderResponse, GetOrderRequest, GetPaymentInstructionRequest, ListOrdersRequest,
        Operator, Order as OrderMessage, OrderLine, OrderStatus, PlaceOrder, PlaceOrdersRequest, PlaceOrdersResponse,
        PlacedBy, ShipmentStatus, Viewer, WatchOrderRequest, WatchOrderResponse, cancel_order_response,
        get_payment_instruction_response::Instruction, order_service_client::OrderServiceClient,
        order_service_server::OrderServiceServer, viewer::Who,
    },
    problem::ProblemCode,
};
use jiff::Timestamp;
use order::{
    Deps,
    grpc::OrderApi,
    hear::hear,
    keep::keep_in_tx,
    order::{Change, Heard, Shipment},
    saga::{Fact, State},
    store::{self, Attempt},
    telephone::Telephone,
    watch,
    writer::Writer,
};
use outbox::{Relay, RelayConfig};
use rpc::Channel;
use service_runtime::{Shutdown, clock::Clock, config::BatchConfig};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use testkit::{SOON, TestDatabase, eventually};
use tokio::sync::Notify;
use tonic::{Code, Status, Streaming};

use crate::letters;

/// An Idempotency-Key.
pub const KEY: &str = "a-key-of-mine";

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

/// How soon a request that has been answered is out of the way. By itself the database would forget it at the first deadline.
const AFTER_THE_ANSWER: Duration = Duration::from_secs(3);

/// What `DECIDE_LETTERS_WITHIN` says here: longer than any test.
pub const LETTERS_DECIDE_WITHIN: Duration = Duration::from_hours(2);

/// Answers calls until it is dropped.
pub struct Desk {
    pub database: TestDatabase,
    pub deps: Deps,
    /// Whose orders they are, unless a test says otherwise.
    pub customer: AccountId,
    client: OrderServiceClient<Channel>,
}

impl Desk {
    pub async fn open() -> Self {
        let database = Self::database().await;
        let pool = database.app.clone();
        Self::open_on(database, pool, Clock::System).await
    }

    /// A database that nobody serves from yet.
    pub async fn database() -> TestDatabase {
        testkit::database("orders", &order::MIGRATORS).await
    }

    /// Connections to this database through a door at this port.
    pub fn pool_through(database: &TestDatabase, port: u16) -> PgPool {
        let options = PgConnectOptions::from_str(&database.app_url).unwrap().host("127.0.0.1").port(port);
        PgPoolOptions::new().max_connections(4).test_before_acquire(false).connect_lazy_with(options)
    }

    /// On this database, which is reached through `pool`.
    pub async fn open_on(database: TestDatabase, pool: PgPool, clock: Clock) -> Self {
        let relay = Relay::new(RelayConfig {
            database_url: database.app_url.clone().into(),
            kafka_bootstrap_servers: String::new(),
            kafka_namespace: String::new(),
            retention_days: RelayConfig::RETENTION_DAYS,
        });
        let shutdown = Shutdown::new();
        let (watches, new_watches) = watch::watches();
        let nobody = || rpc::channel(NOBODY).unwrap();
        let relay = relay.unwrap().waker();
        let deps = Deps {
            writer: Writer::start(&pool, BatchConfig::default(), &relay),
            pool,
            telephone: Telephone::new(nobody(), nobody(), nobody()),
            relay,
            recovery: Arc::new(Notify::new()),
            watches,
            letters_decide_within: LETTERS_DECIDE_WITHIN,
            clock,
            shutdown: shutdown.clone(),
        };
        shutdown.spawn_part("watches", watch::run(deps.clone(), new_watches));
        let [address] = testkit::free_addresses();
        let routes = rpc::Served::new(OrderServiceServer::new(OrderApi::new(deps.clone())));
        tokio::spawn(async move { rpc::server::serve(address, routes, &shutdown).await.unwrap() });
        let client = OrderServiceClient::new(rpc::channel(&format!("http://{address}")).unwrap());
        let desk = Self { database, deps, customer: AccountId::new(), client };
        eventually(SOON, "order answers", async || {
            desk.find(OrderId::new(), operator()).await.is_err_and(|status| status.code() == Code::NotFound)
        })
        .await;
        desk
    }

    /// A request for [`letters::LINES`].
    pub fn request(&self, placed_by: PlacedBy, key: &str) -> PlaceOrder {
        let line = |&(sku, quantity, _): &(&str, u32, i64)| OrderLine { sku: sku.to_owned(), quantity };
        PlaceOrder {
            order_id: OrderId::new().to_string(),
            customer_id: self.customer.to_string(),
            idempotency_key: key.to_owned(),
            lines: letters::LINES.iter().map(line).collect(),
            card_token: "tok_visa".to_owned(),
            budget_ms: 100,
            placed_by: placed_by.into(),
            traceparent: String::new(),
        }
    }

    pub async fn place(&self, request: PlaceOrder) -> PlaceOrdersResponse {
        let request = PlaceOrdersRequest { items: vec![request] };
        let mut answers = self.client.clone().place_orders(request).await.unwrap().into_inner();
        answers.message().await.unwrap().expect("each order has its outcome")
    }

    /// A new order that came in by letter.
    pub async fn by_letter(&self) -> OrderId {
        self.placed(PlacedBy::Letter).await
    }

    /// A new order that came in by telephone, and was not decided in the caller's time.
    pub async fn by_telephone(&self) -> OrderId {
        self.placed(PlacedBy::Telephone).await
    }

    async fn placed(&self, placed_by: PlacedBy) -> OrderId {
        let key = format!("key-{}", OrderId::new());
        self.place(self.request(placed_by, &key)).await.requested_order_id.parse().unwrap()
    }

    /// A completed order that came in by letter. Its version is 2.
    pub async fn completed(&self) -> OrderId {
        let order = self.by_letter().await;
        self.tell(order, letters::priced(Fact::Captured)).await;
        order
    }

    /// An order whose parcel is being stopped. Its version is 3.
    pub async fn stopping(&self) -> OrderId {
        let order = self.completed().await;
        self.tell(order, Fact::CancelAsked).await;
        order
    }

    /// A rejected order. Its version is 2.
    pub async fn rejected(&self) -> OrderId {
        let order = self.by_letter().await;
        self.tell(order, Fact::StockRefused(order::saga::Refusal::OutOfStock)).await;
        order
    }

    /// Tells an order a fact, as an answer on the telephone would be told. It must change the order.
    pub async fn tell(&self, id: OrderId, heard: impl Into<Heard>) {
        let kept = store::find_own(&self.deps.pool, id).await.unwrap().expect("the order is kept");
        let heard = heard.into();
        let Change::Advanced(order) = hear(&kept.order, &heard) else {
            panic!("{heard:?} is no news to an order that is {:?}", kept.order.state)
        };
        self.keep(&kept, &order).await;
    }

    /// Moves the parcel of an order.
    pub async fn move_parcel(&self, id: OrderId, status: ShipmentStatus, version: i64) {
        let kept = store::find_own(&self.deps.pool, id).await.unwrap().expect("the order is kept");
        let shipment = Shipment { status, tracking_number: String::new(), version };
        let order = kept.order.shipment_moved(shipment).expect("the parcel moves");
        self.keep(&kept, &order).await;
    }

    async fn keep(&self, before: &store::Kept, changed: &order::order::Order) {
        let mut tx = self.deps.pool.begin().await.unwrap();
        let kept = keep_in_tx(&mut tx, self.deps.clock, before, changed, None, Attempt::AsBefore).await.unwrap();
        assert!(kept.is_some(), "nobody else changes the order");
        tx.commit().await.unwrap();
    }

    pub async fn find(&self, id: OrderId, viewer: Viewer) -> Result<OrderMessage, Status> {
        let request = GetOrderRequest { order_id: id.to_string(), viewer: Some(viewer) };
        Ok(self.client.clone().get_order(request).await?.into_inner().order.expect("an answer has one"))
    }

    /// The order as the outside sees it.
    pub async fn order(&self, id: OrderId) -> OrderMessage {
        self.find(id, operator()).await.unwrap()
    }

    /// Where the saga stands.
    pub async fn state(&self, id: OrderId) -> State {
        store::find_own(&self.deps.pool, id).await.unwrap().expect("the order is kept").order.state
    }

    pub async fn reaches(&self, id: OrderId, state: State) {
        eventually(SOON, &format!("the order is {state:?}"), async || self.state(id).await == state).await;
    }

    /// Cancels one of [`Self::customer`]'s.
    pub async fn cancel(&self, id: OrderId, key: &str, budget: Duration) -> CancelOrderResponse {
        self.cancel_for(id, self.own(), key, budget).await.unwrap()
    }

    pub async fn cancel_for(
        &self,
        id: OrderId,
        viewer: Viewer,
        key: &str,
        budget: Duration,
    ) -> Result<CancelOrderResponse, Status> {
        let request = CancelOrderRequest {
            order_id: id.to_string(),
            viewer: Some(viewer),
            idempotency_key: key.to_owned(),
            budget_ms: budget.as_millis().try_into().unwrap(),
        };
        Ok(self.client.clone().cancel_order(request).await?.into_inner())
    }

    pub async fn watch(
        &self,
        id: OrderId,
        viewer: Viewer,
        after_version: i64,
    ) -> Result<Streaming<WatchOrderResponse>, Status> {
        let request = WatchOrderRequest { order_id: id.to_string(), viewer: Some(viewer), after_version };
        Ok(self.client.clone().watch_order(request).await?.into_inner())
    }

    pub async fn payment_instruction(&self, id: OrderId) -> Result<Instruction, Status> {
        let request = GetPaymentInstructionRequest { order_id: id.to_string() };
        let answer = self.client.clone().get_payment_instruction(request).await?.into_inner();
        Ok(answer.instruction.expect("an answer has one"))
    }

    /// The ids of all orders with a status, newest first.
    pub async fn list(&self, status: i32) -> Result<Vec<OrderId>, Status> {
        let request =
            ListOrdersRequest { viewer: Some(operator()), status, limit: 100, ..ListOrdersRequest::default() };
        let items = self.client.clone().list_orders(request).await?.into_inner().items;
        Ok(items.iter().map(|order| order.order_id.parse().unwrap()).collect())
    }

    /// Type and version of each letter about an order, in the order in which they are published.
    pub async fn story(&self, id: OrderId) -> Vec<(String, i64)> {
        let story = sqlx::query_as("SELECT event_type, sequence FROM outbox WHERE key = $1 ORDER BY id");
        story.bind(id.to_string()).fetch_all(&self.database.owner).await.unwrap()
    }

    /// Whether the letters about an order are these, from version 1 without gaps.
    pub async fn assert_story(&self, id: OrderId, event_types: &[&str]) {
        let expected: Vec<(String, i64)> = event_types.iter().map(|&it| it.to_owned()).zip(1..).collect();
        assert_eq!(self.story(id).await, expected);
        assert_eq!(self.order(id).await.version, expected.last().unwrap().1);
    }

    /// When recovery may take an order up; `None` for never.
    pub async fn attempt_at(&self, id: OrderId) -> Option<Timestamp> {
        let attempt_at = sqlx::query_scalar("SELECT attempt_at FROM orders WHERE order_id = $1").bind(id.as_uuid());
        let attempt_at: Option<jiff_sqlx::Timestamp> = attempt_at.fetch_one(&self.database.owner).await.unwrap();
        attempt_at.map(jiff_sqlx::Timestamp::to_jiff)
    }

    /// Waits until an order is recovery's at once: its request has given it up.
    pub async fn handed_over(&self, id: OrderId) {
        eventually(AFTER_THE_ANSWER, "the order is handed over to recovery", async || {
            let (attempt_at, now) = (self.attempt_at(id).await, self.now().await);
            attempt_at.is_some_and(|attempt_at| attempt_at <= now)
        })
        .await;
    }

    /// Waits until nobody who asked to cancel an order waits for his answer any more.
    pub async fn landed(&self, id: OrderId) {
        eventually(AFTER_THE_ANSWER, "all requests have landed", async || {
            let in_flight = "SELECT count(*) FROM cancel_request WHERE order_id = $1 AND in_flight_until > now()";
            let in_flight: i64 =
                sqlx::query_scalar(in_flight).bind(id.as_uuid()).fetch_one(&self.database.owner).await.unwrap();
            in_flight == 0
        })
        .await;
    }

    /// When an order is to be decided.
    pub async fn decide_by(&self, id: OrderId) -> Timestamp {
        let decide_by = sqlx::query_scalar("SELECT decide_by FROM orders WHERE order_id = $1").bind(id.as_uuid());
        let decide_by: jiff_sqlx::Timestamp = decide_by.fetch_one(&self.database.owner).await.unwrap();
        decide_by.to_jiff()
    }

    /// The time by the database's clock.
    pub async fn now(&self) -> Timestamp {
        let now = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&self.database.owner).await;
        jiff_sqlx::Timestamp::to_jiff(now.unwrap())
    }

    /// What operators have done to an order, oldest first: who, what, and what is told of it.
    pub async fn noted(&self, id: OrderId) -> Vec<(String, String, serde_json::Value)> {
        sqlx::query_as("SELECT operator, action, detail FROM operator_log WHERE object = $1 ORDER BY id")
            .bind(format!("order/{id}"))
            .fetch_all(&self.database.owner)
            .await
            .unwrap()
    }

    /// Changes an order behind the service's back: `change` is what an UPDATE sets.
    pub async fn set(&self, id: OrderId, change: &'static str) {
        let update = sqlx::AssertSqlSafe(format!("UPDATE orders SET {change} WHERE order_id = $1"));
        let updated = sqlx::query(update).bind(id.as_uuid()).execute(&self.database.owner).await.unwrap();
        assert_eq!(updated.rows_affected(), 1);
    }

    /// Who sees the orders of [`Self::customer`].
    pub fn own(&self) -> Viewer {
        customer(self.customer)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.deps.shutdown.request();
    }
}

pub fn customer(id: AccountId) -> Viewer {
    Viewer { who: Some(Who::CustomerId(id.to_string())) }
}

pub fn operator() -> Viewer {
    operator_with(AccountId::new())
}

pub fn operator_with(account: AccountId) -> Viewer {
    Viewer { who: Some(Who::Operator(Operator { account_id: account.to_string() })) }
}

/// The problem that a call was refused with.
pub fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> ProblemCode {
    rpc::problem_of(&answer.expect_err("the call is refused"))
}

/// The status of the order that a cancel was answered with, or the code that it was refused with.
pub fn outcome(answer: &CancelOrderResponse) -> Result<OrderStatus, &str> {
    match answer.outcome.as_ref().expect("an answer has one") {
        cancel_order_response::Outcome::Cancelled(order) | cancel_order_response::Outcome::Cancelling(order) => {
            Ok(order.status())
        }
        cancel_order_response::Outcome::Refused(problem) => Err(&problem.code),
    }
}

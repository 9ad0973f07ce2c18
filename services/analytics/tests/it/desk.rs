//! A running analytics.

use std::time::Duration;

use analytics::Deps;
use contracts::{
    analytics::v1::{
        GetSalesRequest, GetTimelineRequest, ProductSales, Sales, SalesPosition, TimelineEntry, TopProductsRequest,
        WatchSalesRequest, WatchSalesResponse, Window, analytics_service_client::AnalyticsServiceClient,
    },
    ids::OrderId,
    timestamp_to_proto,
};
use jiff::Timestamp;
use rpc::Channel;
use service_runtime::{
    Shutdown,
    clock::Clock,
    config::{DatabaseConfig, KafkaConfig, OpsConfig, TlsConfig},
};
use testkit::TestDatabase;
use tonic::{Status, Streaming};

use crate::{letters::time, post::Post};

/// Thousands of letters, on a machine with other work.
const READ_DEADLINE: Duration = Duration::from_mins(1);

/// Reads and answers until it is dropped.
pub struct Desk {
    pub database: TestDatabase,
    pub deps: Deps,
    client: AnalyticsServiceClient<Channel>,
}

impl Desk {
    /// With an empty database.
    pub async fn open(post: &Post) -> Self {
        let database = testkit::database("analytics", &analytics::MIGRATORS).await;
        Self::open_on(database, post)
    }

    /// With a database that may have rows and other desks.
    pub fn open_on(database: TestDatabase, post: &Post) -> Self {
        let [listen_addr] = testkit::free_addresses();
        let config = analytics::Config {
            listen_addr,
            tls: TlsConfig::default(),
            ops: OpsConfig { ops_addr: listen_addr },
            database: DatabaseConfig {
                database_url: database.app_url.clone().into(),
                database_connections: 8,
                database_acquire_timeout_ms: 10_000,
            },
            kafka: KafkaConfig {
                kafka_bootstrap_servers: post.kafka.bootstrap.clone(),
                kafka_namespace: post.kafka.namespace.clone(),
            },
            high_value_from_minor: "50000".parse().unwrap(),
        };
        let shutdown = Shutdown::new();
        let deps = Deps { pool: database.app.clone(), clock: Clock::Fixed(now()), shutdown: shutdown.clone() };
        let routes = analytics::start(&config, deps.clone());
        tokio::spawn(async move { rpc::server::serve(listen_addr, routes, &shutdown).await.unwrap() });
        let client = AnalyticsServiceClient::new(rpc::channel(&format!("http://{listen_addr}")).unwrap());
        Self { database, deps, client }
    }

    /// Waits until the group is past every letter that was sent.
    pub async fn has_read(&self, post: &Post) {
        testkit::eventually(READ_DEADLINE, "every letter is read", async || {
            self.number("SELECT coalesce(sum(next), 0)::bigint FROM consumer_position").await == post.sent()
        })
        .await;
    }

    pub async fn sales(&self, window: Window, from: &str, to: &str) -> Result<Vec<Sales>, Status> {
        let (from, to) = (Some(timestamp_to_proto(time(from))), Some(timestamp_to_proto(time(to))));
        self.get_sales(GetSalesRequest { window: window.into(), from, to }).await
    }

    pub async fn get_sales(&self, request: GetSalesRequest) -> Result<Vec<Sales>, Status> {
        Ok(self.client.clone().get_sales(request).await?.into_inner().items)
    }

    /// Watches sales, after a position or from the recent ones on.
    pub async fn watch(&self, after: Option<SalesPosition>) -> Result<Streaming<WatchSalesResponse>, Status> {
        Ok(self.client.clone().watch_sales(WatchSalesRequest { after }).await?.into_inner())
    }

    pub async fn top_products(&self, from: &str, to: &str, limit: u32) -> Result<Vec<ProductSales>, Status> {
        let (from, to) = (Some(timestamp_to_proto(time(from))), Some(timestamp_to_proto(time(to))));
        self.get_top_products(TopProductsRequest { from, to, limit }).await
    }

    pub async fn get_top_products(&self, request: TopProductsRequest) -> Result<Vec<ProductSales>, Status> {
        Ok(self.client.clone().top_products(request).await?.into_inner().items)
    }

    pub async fn timeline(&self, order: OrderId) -> Vec<TimelineEntry> {
        self.get_timeline(&order.to_string()).await.unwrap()
    }

    pub async fn get_timeline(&self, order_id: &str) -> Result<Vec<TimelineEntry>, Status> {
        let request = GetTimelineRequest { order_id: order_id.to_owned() };
        Ok(self.client.clone().get_timeline(request).await?.into_inner().items)
    }

    /// What a query counts.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.owner).await.unwrap()
    }

    /// The rows of a query that gives text.
    pub async fn texts(&self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(&self.database.owner).await.unwrap()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.deps.shutdown.request();
    }
}

/// What every desk's clock shows.
pub fn now() -> Timestamp {
    time("2026-11-21T12:00:30Z")
}

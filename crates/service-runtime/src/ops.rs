//! `/livez`, `/readyz` and `/metrics`: what operators and supervisors ask a service, on a port that is never public.
//!
//! The mechanism crates and the service put their operator routes beside them: dead letters, lag, stuck orders.
//!
//! # Metrics
//! Of every service: `allocations_total`, how often it has asked for memory.
//!
//! Of one with a database, whatever it does beside that:
//!
//! | name | what |
//! |---|---|
//! | `database_connections{state}`, `database_connections_max` | connections of this process, `in_use` and `idle` in its pool, and `kept` beside it by what writes again and again; the most that the pool may have |
//! | `database_size_bytes`, `database_sessions` | the whole database, the same from every replica |
//! | `database_oldest_transaction_seconds` | age of the oldest transaction of this login |
//! | `database_transactions_total{outcome}`, `database_blocks_total{from}`, `database_deadlocks_total` | as Postgres counts them: `committed` and `rolled_back`; from the `cache` and from the `disk` |
//!
//! And of one whose spans are exported: `spans_total{outcome}`, those that the collector took (`exported`) and those that were dropped
//! (`lost`), because it did not or because there was no room for them.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub use axum::Router;
use axum::{extract::State, http::StatusCode, middleware::from_fn, routing::get};
use metrics::{counter, describe_counter};
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tracing::error;

use crate::{
    Error, Shutdown,
    broker_names::BrokerNames,
    config::{KafkaConfig, OpsConfig},
    database_metrics,
    operator::traced,
    recorder::recorder,
};

/// How long a readiness check may take.
const CHECK_DEADLINE: Duration = Duration::from_secs(1);

/// How often metrics are folded; without it, histograms that nobody reads grow.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Something else that must work in the database, and why it does not, in words for operators.
pub type DatabaseCheck = fn(PgPool) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What must work for the service to be ready. Of Kafka only that its name is known, [`Readiness::and_kafka`]: letters wait in
/// the outbox.
#[derive(Debug, Clone)]
pub enum Readiness {
    /// Ready as soon as it serves.
    Always,
    /// Ready while its database answers.
    Database(PgPool),
    /// Ready while its database answers and this passes.
    DatabaseAnd(PgPool, DatabaseCheck),
    /// Ready once the flag is raised, and from then on.
    Flag {
        /// Raised by the part that waits.
        ready: Arc<AtomicBool>,
        /// What is told until then.
        waiting_for: &'static str,
    },
    /// Ready while the first is, once a name of the second was found.
    Named(Box<Self>, BrokerNames),
}

impl Readiness {
    /// Ready as before, and only once one of these brokers was found by its name since the process began.
    #[must_use]
    pub fn and_kafka(self, kafka: &KafkaConfig) -> Self {
        Self::Named(Box::new(self), BrokerNames::of(kafka))
    }

    /// The database that is asked.
    fn pool(&self) -> Option<&PgPool> {
        match self {
            Self::Database(pool) | Self::DatabaseAnd(pool, _) => Some(pool),
            Self::Named(first, _) => first.pool(),
            Self::Always | Self::Flag { .. } => None,
        }
    }

    async fn check(&self) -> Result<(), String> {
        match self {
            Self::Named(first, names) => {
                names.check()?;
                Box::pin(first.check()).await
            }
            Self::Always => Ok(()),
            Self::Database(pool) => within_deadline(answers(pool.clone())).await,
            Self::DatabaseAnd(pool, check) => {
                within_deadline(answers(pool.clone())).await?;
                within_deadline(check(pool.clone())).await
            }
            Self::Flag { ready, .. } if ready.load(Ordering::Relaxed) => Ok(()),
            Self::Flag { waiting_for, .. } => Err(format!("waiting for {waiting_for}")),
        }
    }
}

async fn answers(pool: PgPool) -> Result<(), String> {
    let answer = sqlx::query("SELECT 1").execute(&pool).await;
    answer.map(drop).map_err(|error| format!("the database does not answer: {error}"))
}

async fn within_deadline(check: impl Future<Output = Result<(), String>> + Send + 'static) -> Result<(), String> {
    // spawned: a check that is dropped in the middle would poison the connection that it borrowed
    match tokio::time::timeout(CHECK_DEADLINE, tokio::spawn(check)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Err(format!("the check failed: {error}")),
        Err(_) => Err(format!("the database did not answer in {CHECK_DEADLINE:?}")),
    }
}

struct Ops {
    readiness: Readiness,
    metrics: PrometheusHandle,
    shutdown: Shutdown,
}

/// Serves the ops endpoints and the operator's `routes` until the end of the process, also while it drains, so that a
/// balancer sees it go. Panics when a route is there twice.
pub async fn serve(config: &OpsConfig, readiness: Readiness, routes: Router, shutdown: &Shutdown) -> Result<(), Error> {
    let metrics = recorder()?;
    describe_counter!("allocations_total", "How often memory was asked for");
    let listener = TcpListener::bind(config.ops_addr)
        .await
        .map_err(|error| Error::Config(format!("OPS_ADDR {}: {error}", config.ops_addr)))?;
    tokio::spawn({
        let metrics = metrics.clone();
        async move {
            loop {
                tokio::time::sleep(METRICS_UPKEEP).await;
                metrics.run_upkeep();
            }
        }
    });
    if let Some(pool) = readiness.pool() {
        tokio::spawn(database_metrics::run(pool.clone()));
    }
    if let Readiness::Named(_, names) = &readiness {
        tokio::spawn(names.clone().find());
    }
    let ops = Arc::new(Ops { readiness, metrics, shutdown: shutdown.clone() });
    let routes = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_now))
        .with_state(ops)
        .merge(routes.layer(from_fn(traced)));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            error!(%error, "the ops endpoints ended");
        }
    });
    Ok(())
}

async fn metrics_now(State(ops): State<Arc<Ops>>) -> String {
    counter!("allocations_total").absolute(allocator::allocations());
    ops.metrics.render()
}

async fn readyz(State(ops): State<Arc<Ops>>) -> (StatusCode, String) {
    if ops.shutdown.token().is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned());
    }
    match ops.readiness.check().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

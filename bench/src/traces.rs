//! What it costs to export spans: as many orders as the machine takes, with a collector that is told of them and with one that is not.

use std::{
    ffi::OsString,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use serde::Serialize;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

use crate::{
    figure::Figures,
    orders::Customer,
    platform::{Platform, Start},
};

/// Customers who each order again as soon as they have an answer.
const CUSTOMERS: u32 = 16;

/// Orders left out at the start, of all customers together: connections are opened and statements prepared.
const WARM_UP: u32 = 500;

/// How long what the orders cause may go on before processor time is read.
const SETTLED: Duration = Duration::from_secs(5);

/// How often, and how much.
#[derive(Debug, Clone, Args, Serialize)]
pub struct Traces {
    /// How often each side is measured.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,

    /// How many orders are placed each time.
    #[arg(long, default_value = "500", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    orders: u32,
}

impl Traces {
    /// Places orders on a platform that exports its spans and on one that does not. Which is first takes turns.
    pub async fn measure(self, figures: &mut Figures) -> Result<()> {
        cost(self.rounds, self.orders, figures).await
    }
}

async fn cost(rounds: u8, count: u32, figures: &mut Figures) -> Result<()> {
    let collector = Collector::start().await?;
    for round in 0..rounds {
        let exported_first = round % 2 == 0;
        for exported in [exported_first, !exported_first] {
            let before = collector.spans.load(Ordering::Relaxed);
            orders(&collector, exported, count, figures).await?;
            let told = collector.spans.load(Ordering::Relaxed) - before;
            ensure!((told > 0) == exported, "the collector was told of {told} spans");
            if exported {
                figures.pieces("spans that reached the collector, for each order", told, count + WARM_UP);
            }
        }
    }
    Ok(())
}

async fn orders(collector: &Collector, exported: bool, count: u32, figures: &mut Figures) -> Result<()> {
    let name = if exported { "spans exported" } else { "spans kept" };
    let endpoint = exported.then(|| ("OTEL_EXPORTER_OTLP_ENDPOINT", OsString::from(&collector.endpoint)));
    let start = Start { variables: endpoint.into_iter().collect(), ..Start::default() };
    let platform = Platform::up_with(start).await?;
    let mut customers = Vec::new();
    for number in 0..CUSTOMERS {
        customers.push(Customer::register(&platform, &format!("customer-{number}@example.com")).await?);
    }
    place(&customers, "warm-up-order", WARM_UP).await?;
    tokio::time::sleep(SETTLED).await;
    let used_before = platform.processor_time()?;
    let began = Instant::now();
    place(&customers, "measured-order", count).await?;
    let took = began.elapsed();
    // what followers do for the orders, and what is still to be exported, is part of it
    tokio::time::sleep(SETTLED).await;
    let used = platform.processor_time()?.saturating_sub(used_before);
    figures.per_second(format!("orders by telephone, {CUSTOMERS} customers, {name}"), count, took);
    figures.milliseconds(format!("processor time of all services for an order, {name}"), used / count);
    platform.down().await
}

/// Places so many orders, each customer one after another.
async fn place(customers: &[Customer], keys: &str, count: u32) -> Result<()> {
    let next = Arc::new(AtomicU32::new(0));
    let mut ordering = JoinSet::new();
    for customer in customers {
        let (customer, keys, next) = (customer.clone(), keys.to_owned(), next.clone());
        ordering.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(());
                }
                customer.order(&format!("{keys}-{number}"), false).await?;
            }
        });
    }
    while let Some(customer) = ordering.join_next().await {
        customer??;
    }
    Ok(())
}

/// Counts the spans that it is told of, and keeps none.
struct Collector {
    endpoint: String,
    spans: Arc<AtomicU64>,
}

impl Collector {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port is free")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let spans = Arc::new(AtomicU64::new(0));
        let service = TraceServiceServer::new(Count(spans.clone()));
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
        Ok(Self { endpoint, spans })
    }
}

struct Count(Arc<AtomicU64>);

#[tonic::async_trait]
impl TraceService for Count {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let told = request.into_inner().resource_spans;
        let told = told.iter().flat_map(|process| &process.scope_spans).map(|scope| scope.spans.len() as u64);
        self.0.fetch_add(told.sum(), Ordering::Relaxed);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

//! One trace, from the request to what the last follower wrote down; and its spans, as a collector is told of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use contracts::topics::{self, Topic};
use journeys::{
    customer::{Customer, new_key},
    platform::Platform,
    repository::root,
};
use postbox::manifest;
use sqlx::PgPool;
use testkit::{CollectedSpan, Collector, SOON, SpanKind, eventually};

/// Where a trace is written down with what belongs to an order.
const LETTERS: &str = "SELECT traceparent FROM outbox WHERE key = $1";
const MESSAGES: &str = "SELECT traceparent FROM message WHERE order_id = $1::uuid";

/// Every service that has to do with an order and hears of its trace: the card network is somebody else.
const HEARERS: [&str; 8] =
    ["accounts", "analytics", "gateway", "inventory", "notification", "order", "payment", "shipping"];

/// Service, name and kind of a span.
type Told = (&'static str, Name, &'static str);

/// What a span is called.
#[derive(Debug, Clone, Copy)]
enum Name {
    Call(&'static str),
    /// A letter in the hands of a group.
    Handle(Topic, &'static str),
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(call) => formatter.write_str(call),
            Self::Handle(topic, group) => write!(formatter, "handle {} {group}", topic.name()),
        }
    }
}

/// What an order that is placed by telephone is seen as at least.
const BY_TELEPHONE: [Told; 11] = [
    ("gateway", Name::Call("POST /v1/orders"), "Server"),
    ("gateway", Name::Call("order.v1.OrderService/PlaceOrders"), "Client"),
    ("order", Name::Call("order.v1.OrderService/PlaceOrders"), "Server"),
    ("order", Name::Call("inventory.v1.InventoryService/Reserve"), "Client"),
    ("inventory", Name::Call("inventory.v1.InventoryService/Reserve"), "Server"),
    ("payment", Name::Call("payment.v1.PaymentService/Charge"), "Server"),
    ("inventory", Name::Handle(topics::ORDERS, "inventory.follow-orders"), "Consumer"),
    ("shipping", Name::Handle(topics::ORDERS, "shipping.prepare-parcels"), "Consumer"),
    ("notification", Name::Handle(topics::ORDERS, "notification.write-messages"), "Consumer"),
    ("analytics", Name::Handle(topics::ORDERS, "analytics.count"), "Consumer"),
    ("order", Name::Handle(topics::SHIPMENTS, "order.saga"), "Consumer"),
];

/// And one that came by letter.
const BY_LETTER: [Told; 6] = [
    ("gateway", Name::Call("POST /v1/orders"), "Server"),
    ("order", Name::Call("order.v1.OrderService/PlaceOrders"), "Server"),
    ("inventory", Name::Handle(topics::ORDERS, "inventory.follow-orders"), "Consumer"),
    ("payment", Name::Handle(topics::RESERVATIONS, "payment.charge-held-orders"), "Consumer"),
    ("order", Name::Handle(topics::PAYMENTS, "order.saga"), "Consumer"),
    ("shipping", Name::Handle(topics::ORDERS, "shipping.prepare-parcels"), "Consumer"),
];

/// How long spans may take to come together: those of a letter are made when it is read.
const TOLD: Duration = Duration::from_mins(1);

#[tokio::test]
async fn the_spans_of_an_order_come_from_every_service_and_lack_no_parent() {
    let collector = Collector::start().await;
    let manifests = manifest::read_all(&root().join("services")).expect("the manifests are right");
    let settings: Vec<(&str, &str, &str)> = manifests
        .iter()
        .flat_map(|service| {
            [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")]
                .map(|(variable, value)| (service.name.as_str(), variable, value))
        })
        .collect();
    let mut platform = Platform::start_with(testkit::kafka(), &settings).await;
    let customer = Customer::register(&platform).await;
    let by_telephone = customer.order_a_mug().await.expect(201).order_id();
    let by_letter = customer.order_by_letter(&new_key(), "tee", 1, "tok_visa").await.expect(202).order_id();
    let on_their_way = [("order", topics::ORDERS), ("shipping", topics::SHIPMENTS)];
    let by_letter_also = [("inventory", topics::RESERVATIONS), ("payment", topics::PAYMENTS)];
    for (order, told, published) in [
        (by_telephone, BY_TELEPHONE.as_slice(), on_their_way.to_vec()),
        (by_letter, BY_LETTER.as_slice(), [on_their_way, by_letter_also].concat()),
    ] {
        let trace = traces(platform.database("orders"), LETTERS, &order).await.pop_first().expect("it has a letter");
        collector.when(TOLD, |spans| Trace::of(spans, &trace).lacks(told, &published)).await;
    }

    platform.kill("analytics").await;
    customer.get("/v1/products").await.expect(200);
    let operator = Customer::operator(&platform).await;
    operator.get("/v1/analytics/sales").await.expect(503);
    let ended = |spans: &[CollectedSpan], name: &str| {
        let found = spans.iter().find(|span| span.service == "gateway" && span.name == name);
        let found = found.ok_or_else(|| format!("no {name}"))?;
        Ok((found.is_failed, found.attribute("http.response.status_code").unwrap_or_default()))
    };
    let failed = collector.when(TOLD, |spans| ended(spans, "GET /v1/analytics/sales")).await;
    assert_eq!(failed, (true, "503".to_owned()));
    let call = "analytics.v1.AnalyticsService/GetSales";
    assert!(collector.when(TOLD, |spans| ended(spans, call)).await.0, "the call has not failed");
    let answered = collector.when(TOLD, |spans| ended(spans, "GET /v1/products")).await;
    assert_eq!(answered, (false, "200".to_owned()));
}

/// The spans of a trace, and those beside it that link to it or are linked to.
struct Trace<'a> {
    id: &'a str,
    spans: Vec<&'a CollectedSpan>,
    by_id: BTreeMap<&'a str, &'a CollectedSpan>,
    all: &'a [CollectedSpan],
}

impl<'a> Trace<'a> {
    fn of(all: &'a [CollectedSpan], id: &'a str) -> Self {
        let spans = all.iter().filter(|span| span.trace_id == id).collect();
        Self { id, spans, by_id: all.iter().map(|span| (span.id.as_str(), span)).collect(), all }
    }

    /// What it lacks, of all that a trace of an order has.
    fn lacks(&self, told: &[Told], published: &[(&str, Topic)]) -> Result<(), String> {
        let mut lacking = Vec::new();
        let services: BTreeSet<&str> = self.spans.iter().map(|span| span.service.as_str()).collect();
        lacking
            .extend(HEARERS.iter().filter(|name| !services.contains(*name)).map(|name| format!("no span of {name}")));
        for &(service, name, kind) in told {
            let name = name.to_string();
            let is = |span: &&&CollectedSpan| {
                (span.service.as_str(), span.name.as_str(), format!("{:?}", span.kind).as_str())
                    == (service, name.as_str(), kind)
            };
            if self.spans.iter().find(is).is_none() {
                lacking.push(format!("no {kind} span {name} of {service}"));
            }
        }
        for span in &self.spans {
            let parent = self.by_id.get(span.parent_id.as_str()).filter(|parent| parent.trace_id == self.id);
            // the customer brings no trace, so it begins with what the gateway does
            let is_first = span.parent_id.is_empty() && span.service == "gateway";
            // an order that was taken up by its id knows its trace alone
            let is_taken_up = span.name == "recovery" && self.id.ends_with(&span.parent_id);
            if parent.is_none() && !is_first && !is_taken_up {
                lacking.push(format!("{} of {} has the parent {:?}", span.name, span.service, span.parent_id));
            }
            let is_uncalled =
                span.kind == SpanKind::Server && parent.is_some_and(|parent| parent.kind != SpanKind::Client);
            if is_uncalled {
                lacking.push(format!("{} of {} is not the child of a call", span.name, span.service));
            }
            if span.name.starts_with("handle ") && !self.is_in_a_batch(span) {
                lacking.push(format!("{} of {} is in no batch", span.name, span.service));
            }
        }
        for &(service, topic) in published {
            let name = format!("publish {}", topic.name());
            let links_here = |span: &&CollectedSpan| {
                span.service == service && span.name == name && span.links.iter().any(|(trace, _)| trace == self.id)
            };
            if self.all.iter().find(links_here).is_none() {
                lacking.push(format!("no {name} of {service} links to it"));
            }
        }
        if lacking.is_empty() {
            return Ok(());
        }
        let spans: Vec<String> = self.spans.iter().map(|span| format!("{} of {}", span.name, span.service)).collect();
        Err(format!("{}\nand of trace {}: {spans:#?}", lacking.join("\n"), self.id))
    }

    fn is_in_a_batch(&self, handled: &CollectedSpan) -> bool {
        handled.links.iter().any(|(_, batch)| {
            let batch = self.by_id.get(batch.as_str());
            batch.is_some_and(|batch| batch.name.starts_with("batch ") && batch.service == handled.service)
        })
    }
}

#[tokio::test]
async fn what_an_order_makes_others_do_belongs_to_the_trace_of_its_request() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let by_telephone = customer.order_a_mug().await.expect(201).order_id();
    let by_letter = customer.order_by_letter(&new_key(), "tee", 1, "tok_visa").await.expect(202).order_id();
    let at_all = ["orders", "shipping"].as_slice();
    let by_letter_also = ["orders", "inventory", "payments", "shipping"].as_slice();
    for (order, databases) in [(by_telephone, at_all), (by_letter, by_letter_also)] {
        customer.order_with_status(&order, "COMPLETED").await;
        eventually(SOON, "its customer is told", async || {
            !traces(platform.database("notifications"), MESSAGES, &order).await.is_empty()
        })
        .await;
        eventually(SOON, "its shipment is told of", async || customer.read_order(&order).await["shipment"].is_object())
            .await;
        let mut all = traces(platform.database("notifications"), MESSAGES, &order).await;
        for database in databases {
            let letters = traces(platform.database(database), LETTERS, &order).await;
            assert!(!letters.is_empty(), "{database} has no letter of {order}");
            all.extend(letters);
        }
        assert!(all.len() == 1 && !all.contains(""), "{order} is in several traces, or in none: {all:?}");
    }
}

/// The traces of these rows; the empty text for a row without one.
async fn traces(database: &PgPool, query: &'static str, order: &str) -> BTreeSet<String> {
    let rows: Vec<Option<String>> =
        sqlx::query_scalar(query).bind(order).fetch_all(database).await.expect("the owner may read it");
    let trace =
        |row: Option<String>| row.and_then(|text| text.split('-').nth(1).map(str::to_owned)).unwrap_or_default();
    rows.into_iter().map(trace).collect()
}

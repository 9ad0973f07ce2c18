//! What is true now, read from all four databases and from the card network.

use std::collections::HashMap;

use contracts::{event::Event, ids::OrderId};
use outbox::LetterRow;
use psp::charges::Charge;
use sqlx::{PgConnection, Postgres, Transaction, postgres::PgRow, prelude::FromRow, types::Json};
use uuid::Uuid;

use crate::platform::{Platform, Service};

/// All that the rules speak of.
#[derive(Debug, Clone, Default)]
pub struct Books {
    /// By their Idempotency-Keys.
    pub orders: HashMap<String, OrderRow>,
    /// By order, as everything that follows.
    pub reservations: HashMap<Uuid, Reservation>,
    pub payments: HashMap<Uuid, Payment>,
    pub transfers: HashMap<Uuid, Vec<(String, i64)>>,
    pub parcels: HashMap<Uuid, Parcel>,
    /// What the card network has.
    pub charges: HashMap<Uuid, Charge>,
    /// By SKU.
    pub stock: HashMap<String, Stock>,
    /// Pieces that arrived, by delivery.
    pub receipts: HashMap<String, (String, i64)>,
    /// Everything that services wrote, with who wrote it on which topic; in its order.
    pub letters: Vec<(Service, String, Event)>,
    /// Orders that payment is to charge.
    pub to_charge: Vec<Uuid>,
    /// Orders whose address shipping is to ask for.
    pub to_ask: Vec<Uuid>,
}

#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct OrderRow {
    pub order_id: Uuid,
    pub idempotency_key: String,
    pub saga_state: String,
    pub reason: Option<String>,
    pub version: i64,
    pub total_minor: Option<i64>,
    pub has_card: bool,
    pub answer: Option<Vec<u8>>,
    pub lines: Json<Vec<Line>>,
    /// Whether recovery may come for it.
    pub is_due_some_time: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Line {
    pub sku: String,
    pub quantity: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Reservation {
    order_id: Uuid,
    pub state: String,
    pub refusal: Option<String>,
    pub lines: Json<Vec<Line>>,
}

impl Reservation {
    /// Whether its pieces are reserved or sold.
    pub fn has_pieces(&self) -> bool {
        ["HELD", "SETTLED"].contains(&self.state.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Payment {
    order_id: Uuid,
    pub state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Parcel {
    order_id: Uuid,
    pub status: String,
    pub version: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    pub available: i64,
    pub reserved: i64,
    pub sold: i64,
    pub received: i64,
}

impl Books {
    /// Reads everything; each database as it is at one moment.
    pub async fn read(platform: &Platform) -> Self {
        let mut books = Self::default();
        let mut orders = look_into(platform, Service::Order).await;
        let rows: Vec<OrderRow> = all(
            &mut orders,
            "SELECT order_id, idempotency_key, saga_state, reason, version, total_minor, answer, lines,
                 card_token IS NOT NULL AS has_card, attempt_at IS NOT NULL AS is_due_some_time
             FROM orders",
        )
        .await;
        books.orders = rows.into_iter().map(|row| (row.idempotency_key.clone(), row)).collect();
        books.read_letters(Service::Order, orders).await;

        let mut inventory = look_into(platform, Service::Inventory).await;
        let rows: Vec<Reservation> =
            all(&mut inventory, "SELECT order_id, state, refusal, lines FROM reservation").await;
        books.reservations = rows.into_iter().map(|row| (row.order_id, row)).collect();
        let rows: Vec<(String, i64, i64, i64, i64)> =
            all(&mut inventory, "SELECT sku, available, reserved, sold, received FROM stock").await;
        let stock = |(sku, available, reserved, sold, received)| (sku, Stock { available, reserved, sold, received });
        books.stock = rows.into_iter().map(stock).collect();
        let rows: Vec<(String, String, i64)> =
            all(&mut inventory, "SELECT idempotency_key, sku, quantity FROM restock_receipt").await;
        books.receipts = rows.into_iter().map(|(key, sku, pieces)| (key, (sku, pieces))).collect();
        books.read_letters(Service::Inventory, inventory).await;

        let mut payments = look_into(platform, Service::Payment).await;
        let rows: Vec<Payment> = all(&mut payments, "SELECT order_id, state FROM payments").await;
        books.payments = rows.into_iter().map(|row| (row.order_id, row)).collect();
        let rows: Vec<(Uuid, String, i64)> =
            all(&mut payments, "SELECT order_id, kind, amount_minor FROM transfers").await;
        for (order, kind, amount) in rows {
            books.transfers.entry(order).or_default().push((kind, amount));
        }
        let rows: Vec<(Uuid,)> = all(&mut payments, "SELECT order_id FROM charge_work ORDER BY order_id").await;
        books.to_charge = rows.into_iter().map(|(order,)| order).collect();
        books.read_letters(Service::Payment, payments).await;

        let mut shipping = look_into(platform, Service::Shipping).await;
        let rows: Vec<Parcel> = all(&mut shipping, "SELECT order_id, status, version FROM shipment").await;
        books.parcels = rows.into_iter().map(|row| (row.order_id, row)).collect();
        let rows: Vec<(Uuid,)> = all(&mut shipping, "SELECT order_id FROM address_question ORDER BY order_id").await;
        books.to_ask = rows.into_iter().map(|(order,)| order).collect();
        books.read_letters(Service::Shipping, shipping).await;

        for order in books.orders.values() {
            let reference = order.order_id.to_string().try_into().expect("a UUID is a reference");
            let found = platform.network.read(|charges| charges.find(&reference).cloned()).await;
            if let Some(charge) = found.expect("the books are on the disk") {
                books.charges.insert(order.order_id, charge);
            }
        }
        books
    }

    async fn read_letters(&mut self, service: Service, mut database: Transaction<'static, Postgres>) {
        let rows: Vec<LetterRow> = all(
            &mut database,
            "SELECT id, topic, event_id, key, sequence, event_type, source, occurred_at, traceparent, payload
             FROM outbox ORDER BY id",
        )
        .await;
        self.letters.extend(rows.into_iter().map(|row| (service, row.topic.clone(), row.into())));
        database.commit().await.unwrap();
    }

    /// What the card network keeps of an order's money, in minor units.
    pub fn kept(&self, order: Uuid) -> i64 {
        let Some(charge) = self.charges.get(&order) else { return 0 };
        let captured = charge.captured_at().and(charge.terms.as_ref()).map_or(0, |terms| terms.amount.minor());
        // less than nothing, if it was given back twice
        let signed = |minor: u64| i64::try_from(minor).expect("small amounts");
        if charge.voided { 0 } else { signed(captured) - signed(charge.refunded_minor()) }
    }

    /// What the ledger says that was kept of it.
    pub fn booked(&self, order: Uuid) -> i64 {
        let transfers = self.transfers.get(&order).into_iter().flatten();
        transfers.map(|(kind, amount)| if kind == "CAPTURE" { *amount } else { -amount }).sum()
    }

    /// Type and sequence of the letters of a service about an order.
    pub fn letters(&self, service: Service, order: Uuid) -> Vec<(&str, i64)> {
        let key = OrderId::from(order).to_string();
        let letters = self.letters.iter().filter(|(writer, _, letter)| *writer == service && letter.subject == key);
        letters.map(|(.., letter)| (letter.event_type.as_str(), letter.sequence)).collect()
    }
}

/// What a database says at one moment, whatever is written meanwhile.
async fn look_into(platform: &Platform, service: Service) -> Transaction<'static, Postgres> {
    let pool = &platform.database(service).owner;
    pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.unwrap()
}

async fn all<R>(database: &mut PgConnection, query: &'static str) -> Vec<R>
where
    R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    sqlx::query_as(query).fetch_all(database).await.unwrap_or_else(|error| panic!("{query}: {error}"))
}

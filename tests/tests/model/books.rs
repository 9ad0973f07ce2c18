//! What is true now, read from all four databases and from the card network.

use std::collections::HashMap;

use contracts::ids::OrderId;
use psp::charges::Charge;
use sqlx::{PgPool, prelude::FromRow, types::Json};
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
    /// Type and sequence of the letters of a service about an order, in the order of writing.
    pub letters: HashMap<(Service, String), Vec<(String, i64)>>,
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
    /// Reads everything.
    pub async fn read(platform: &Platform) -> Self {
        let pool = |service| &platform.database(service).owner;
        let (orders, inventory) = (pool(Service::Order), pool(Service::Inventory));
        let (payments, shipping) = (pool(Service::Payment), pool(Service::Shipping));
        let mut books = Self::default();
        let rows: Vec<OrderRow> = all(orders, "SELECT order_id, idempotency_key, saga_state, reason, version, total_minor, card_token IS NOT NULL AS has_card, answer, lines, attempt_at IS NOT NULL AS is_due_some_time FROM orders").await;
        books.orders = rows.into_iter().map(|row| (row.idempotency_key.clone(), row)).collect();
        let rows: Vec<Reservation> = all(inventory, "SELECT order_id, state, refusal, lines FROM reservation").await;
        books.reservations = rows.into_iter().map(|row| (row.order_id, row)).collect();
        let rows: Vec<(String, i64, i64, i64, i64)> =
            all(inventory, "SELECT sku, available, reserved, sold, received FROM stock").await;
        let stock = |(sku, available, reserved, sold, received)| (sku, Stock { available, reserved, sold, received });
        books.stock = rows.into_iter().map(stock).collect();
        let rows: Vec<(String, String, i64)> =
            all(inventory, "SELECT idempotency_key, sku, quantity FROM restock_receipt").await;
        books.receipts = rows.into_iter().map(|(key, sku, pieces)| (key, (sku, pieces))).collect();
        let rows: Vec<Payment> = all(payments, "SELECT order_id, state FROM payments").await;
        books.payments = rows.into_iter().map(|row| (row.order_id, row)).collect();
        let rows: Vec<(Uuid, String, i64)> =
            all(payments, "SELECT order_id, kind, amount_minor FROM transfers ORDER BY kind").await;
        for (order, kind, amount) in rows {
            books.transfers.entry(order).or_default().push((kind, amount));
        }
        let rows: Vec<(Uuid,)> = all(payments, "SELECT order_id FROM charge_work ORDER BY order_id").await;
        books.to_charge = rows.into_iter().map(|(order,)| order).collect();
        let rows: Vec<Parcel> = all(shipping, "SELECT order_id, status, version FROM shipment").await;
        books.parcels = rows.into_iter().map(|row| (row.order_id, row)).collect();
        let rows: Vec<(Uuid,)> = all(shipping, "SELECT order_id FROM address_question ORDER BY order_id").await;
        books.to_ask = rows.into_iter().map(|(order,)| order).collect();
        for service in Service::ALL {
            let rows: Vec<(String, String, i64)> =
                all(pool(service), "SELECT key, event_type, sequence FROM outbox ORDER BY id").await;
            for (key, kind, sequence) in rows {
                books.letters.entry((service, key)).or_default().push((kind, sequence));
            }
        }
        for order in books.orders.values() {
            let reference = order.order_id.to_string().try_into().expect("a UUID is a reference");
            let found = platform.network.read(|charges| charges.find(&reference).cloned()).await;
            if let Some(charge) = found.expect("the books are on the disk") {
                books.charges.insert(order.order_id, charge);
            }
        }
        books
    }

    /// What the card network keeps of an order's money, in minor units.
    pub fn kept(&self, order: Uuid) -> i64 {
        let Some(charge) = self.charges.get(&order) else { return 0 };
        let captured = charge.captured_at().and(charge.terms.as_ref()).map_or(0, |terms| terms.amount.minor());
        if charge.voided { 0 } else { i64::try_from(captured - charge.refunded_minor()).expect("small amounts") }
    }

    /// What the ledger says that was kept of it.
    pub fn booked(&self, order: Uuid) -> i64 {
        let transfers = self.transfers.get(&order).into_iter().flatten();
        transfers.map(|(kind, amount)| if kind == "CAPTURE" { *amount } else { -amount }).sum()
    }

    /// The letters of a service about an order.
    pub fn letters(&self, service: Service, order: Uuid) -> &[(String, i64)] {
        self.letters.get(&(service, OrderId::from(order).to_string())).map_or(&[], Vec::as_slice)
    }
}

async fn all<R>(pool: &PgPool, query: &'static str) -> Vec<R>
where
    R: for<'r> FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
{
    sqlx::query_as(query).fetch_all(pool).await.unwrap_or_else(|error| panic!("{query}: {error}"))
}

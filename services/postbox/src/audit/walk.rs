//! Walking over all orders: everybody keeps something about each, and all of it is read sorted by order and merged, so that
//! no more than one order is in memory. Joins are made by the databases where both sides are in one of them.

use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row as _};
use uuid::Uuid;

use super::case::{Capture, Case, Letter, Order, Parcel, Payment, Reservation, Row};
use super::network;
use super::outboxes::{OUTBOXES, Outbox};
use super::sources::{Sources, unread};
use super::topics::Letters;
use super::watermark::MARGIN_SECONDS;
use crate::failure::Failure;

/// Which orders are walked over.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// These only; none: all.
    pub only: Option<Vec<Uuid>>,
    /// Of history (letters and what was made of them) only what was written since, in seconds since 1970; none: all of it.
    pub since: Option<f64>,
}

/// Things sorted by what they are about.
struct Ordered<'a, T> {
    rest: BoxStream<'a, Result<(Uuid, T), Failure>>,
    head: Option<(Uuid, T)>,
}

impl<'a, T> Ordered<'a, T> {
    /// Reads the first, so that the database has taken its picture of the table when this returns.
    async fn begin(mut rest: BoxStream<'a, Result<(Uuid, T), Failure>>) -> Result<Self, Failure> {
        let head = rest.try_next().await?;
        Ok(Self { rest, head })
    }

    fn next(&self) -> Option<Uuid> {
        self.head.as_ref().map(|(id, _)| *id)
    }

    async fn take(&mut self, id: Uuid) -> Result<Vec<T>, Failure> {
        let mut taken = Vec::new();
        while let Some((_, thing)) = self.head.take_if(|(next, _)| *next == id) {
            taken.push(thing);
            self.head = self.rest.try_next().await?;
        }
        Ok(taken)
    }
}

/// A walk that has begun.
pub struct Walk<'a> {
    orders: Ordered<'a, Order>,
    payments: Ordered<'a, Payment>,
    captures: Ordered<'a, Capture>,
    reservations: Ordered<'a, Reservation>,
    parcels: Ordered<'a, Parcel>,
    rows: Vec<Ordered<'a, Row>>,
    letters: Ordered<'a, Letter>,
    counted: Ordered<'a, Uuid>,
    messages: Ordered<'a, Uuid>,
}

const ORDERS: &str = "SELECT order_id AS about, saga_state, reason, placed_by, version, total_minor, currency, answer,
        shipment_version, extract(epoch FROM updated_at)::float8 AS updated_at,
        extract(epoch FROM now() - CASE WHEN saga_state IN ('AWAITING_STOCK', 'AWAITING_PAYMENT')
            THEN decide_by ELSE updated_at END)::bigint AS seconds_late
    FROM orders
    WHERE $1::uuid[] IS NULL OR order_id = ANY($1)
    ORDER BY order_id";

const PAYMENTS: &str = "SELECT order_id AS about, payments.state, moved.captured, moved.voided, moved.refunded,
        moved.transfers, moved.misposted
    FROM payments FULL JOIN charge_work USING (order_id)
    CROSS JOIN LATERAL (
        SELECT (sum(amount_minor) FILTER (WHERE kind = 'CAPTURE'))::bigint AS captured,
            (sum(amount_minor) FILTER (WHERE kind = 'VOID'))::bigint AS voided,
            (sum(amount_minor) FILTER (WHERE kind = 'REFUND'))::bigint AS refunded,
            count(*) AS transfers,
            count(*) FILTER (WHERE transfers.currency <> payments.currency
                OR debit_account || '>' || credit_account <> CASE kind
                    WHEN 'CAPTURE' THEN 'card-network>orders' ELSE 'orders>card-network' END) AS misposted
        FROM transfers WHERE transfers.order_id = payments.order_id
    ) AS moved
    WHERE $1::uuid[] IS NULL OR order_id = ANY($1)
    ORDER BY order_id";

const RESERVATIONS: &str = "SELECT order_id AS about, state, (
        SELECT sum(line.quantity * line.unit_price_minor)::bigint
        FROM jsonb_to_recordset(lines) AS line(quantity bigint, unit_price_minor bigint)
    ) AS total_minor
    FROM reservation
    WHERE $1::uuid[] IS NULL OR order_id = ANY($1)
    ORDER BY order_id";

const PARCELS: &str = "SELECT order_id AS about, status, shipment.version,
        extract(epoch FROM updated_at)::float8 AS updated_at
    FROM shipment FULL JOIN address_question USING (order_id)
    WHERE $1::uuid[] IS NULL OR order_id = ANY($1)
    ORDER BY order_id";

// every key is a UUID, written as PostgreSQL writes it: so the text is sorted as the UUIDs are
const ROWS: &str =
    "SELECT key::uuid AS about, id, event_id, sequence, extract(epoch FROM inserted_at)::float8 AS inserted_at
    FROM outbox
    WHERE topic = $3 AND key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        AND ($1::uuid[] IS NULL OR key = ANY($1::text[]))
        AND ($2::float8 IS NULL OR inserted_at >= to_timestamp($2))
    ORDER BY key COLLATE \"C\"";

const COUNTED: &str = "SELECT order_id AS about, event_id AS id
    FROM timeline
    WHERE ($1::uuid[] IS NULL OR order_id = ANY($1)) AND ($2::float8 IS NULL OR occurred_at >= to_timestamp($2))
    ORDER BY order_id";

const MESSAGES: &str = "SELECT order_id AS about, message_id AS id
    FROM message
    WHERE ($1::uuid[] IS NULL OR order_id = ANY($1)) AND ($2::float8 IS NULL OR created_at >= to_timestamp($2))
    ORDER BY order_id";

impl<'a> Walk<'a> {
    /// Begins: from here on the databases show what they had at this moment. `letters` were read before, so that whatever
    /// is on a topic has its row. The card network's books are read after, so that whatever order has is in them; captures of
    /// that time are left out.
    pub async fn begin(sources: &'a Sources, scope: &Scope, letters: Letters) -> Result<Self, Failure> {
        #[expect(clippy::disallowed_methods, reason = "the command has no other clock")]
        let began = jiff::Timestamp::now();
        let tables = async {
            tokio::try_join!(
                table(sources, "orders", ORDERS, scope),
                table(sources, "payments", PAYMENTS, scope),
                table(sources, "inventory", RESERVATIONS, scope),
                table(sources, "shipping", PARCELS, scope),
                ids(sources, "analytics", COUNTED, scope.only.as_deref(), scope.since),
                // a message is written after its letter was put on the topic
                ids(
                    sources,
                    "notifications",
                    MESSAGES,
                    scope.only.as_deref(),
                    scope.since.map(|since| since + MARGIN_SECONDS)
                ),
                futures::future::try_join_all(
                    (0_u8..).zip(OUTBOXES).map(|(place, outbox)| rows(sources, place, outbox, scope))
                ),
            )
        };
        let (orders, payments, reservations, parcels, counted, messages, rows) = tables.await?;
        let captures = match &scope.only {
            Some(only) => stream(network::captures_of(sources, only).await?.into_iter().map(Ok)),
            None => stream(network::captures(sources, began).await?),
        };
        let (captures, letters) = (Ordered::begin(captures).await?, Ordered::begin(stream(letters)).await?);
        Ok(Self { orders, payments, captures, reservations, parcels, rows, letters, counted, messages })
    }

    /// The next order, or account, in the order of the ids; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Case>, Failure> {
        let heads = [
            self.orders.next(),
            self.payments.next(),
            self.captures.next(),
            self.reservations.next(),
            self.parcels.next(),
            self.letters.next(),
            self.counted.next(),
            self.messages.next(),
        ];
        let heads = heads.into_iter().chain(self.rows.iter().map(Ordered::next));
        let Some(id) = heads.flatten().min() else { return Ok(None) };
        let mut case = Case {
            id,
            order: self.orders.take(id).await?.pop(),
            payment: self.payments.take(id).await?.pop(),
            captures: self.captures.take(id).await?,
            reservation: self.reservations.take(id).await?.pop(),
            parcel: self.parcels.take(id).await?.pop(),
            rows: Vec::new(),
            letters: self.letters.take(id).await?,
            counted: self.counted.take(id).await?,
            messages: self.messages.take(id).await?,
        };
        for rows in &mut self.rows {
            case.rows.extend(rows.take(id).await?);
        }
        Ok(Some(case))
    }
}

fn stream<'a, T: Send + 'a>(
    things: impl Iterator<Item = Result<(Uuid, T), Failure>> + Send + 'a,
) -> BoxStream<'a, Result<(Uuid, T), Failure>> {
    futures::stream::iter(things).boxed()
}

/// The rows of a table that says how things stand now.
async fn table<'a, T: for<'r> FromRow<'r, PgRow> + Send + Unpin + 'a>(
    sources: &'a Sources,
    database: &'static str,
    sql: &'static str,
    scope: &Scope,
) -> Result<Ordered<'a, T>, Failure> {
    let query = sqlx::query(sql).bind(scope.only.clone());
    Ordered::begin(fetch(sources.database(database)?, database, query, |row| T::from_row(row))).await
}

/// The ids of a table of history.
async fn ids<'a>(
    sources: &'a Sources,
    database: &'static str,
    sql: &'static str,
    only: Option<&[Uuid]>,
    since: Option<f64>,
) -> Result<Ordered<'a, Uuid>, Failure> {
    let query = sqlx::query(sql).bind(only.map(<[Uuid]>::to_vec)).bind(since);
    Ordered::begin(fetch(sources.database(database)?, database, query, |row| row.try_get("id"))).await
}

/// The rows of an outbox.
async fn rows<'a>(sources: &'a Sources, topic: u8, outbox: Outbox, scope: &Scope) -> Result<Ordered<'a, Row>, Failure> {
    let query = sqlx::query(ROWS).bind(scope.only.clone()).bind(scope.since).bind(outbox.topic.name());
    let read = move |row: &PgRow| Ok(Row { topic, ..Row::from_row(row)? });
    Ordered::begin(fetch(sources.database(outbox.database)?, outbox.database, query, read)).await
}

type Query = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn fetch<'a, T: Send + 'a>(
    pool: &'a PgPool,
    database: &'static str,
    query: Query,
    read: impl Fn(&PgRow) -> Result<T, sqlx::Error> + Send + 'a,
) -> BoxStream<'a, Result<(Uuid, T), Failure>> {
    // planned for its parameters: a plan for all orders is no plan for one
    query
        .persistent(false)
        .fetch(pool)
        .map(move |row| {
            let row = row?;
            Ok((row.try_get("about")?, read(&row)?))
        })
        .map_err(|error: sqlx::Error| unread(database)(error))
        .boxed()
}

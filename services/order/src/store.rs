//! All SQL of order.
//!
//! An order and its letter are written by one statement, which needs no transaction around it; a changed one by compare-and-set on its
//! version. Expiry and leases are decided by this database's clock alone.

pub mod cancel_requests;
mod row;
pub mod stuck;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use contracts::{
    event::Event,
    ids::{AccountId, OrderId},
    money::Money,
    order::v1::{OrderStatus, decided_answer::Answer},
    topics::ORDERS,
};
use jiff_sqlx::ToSqlx;
use service_runtime::LookBack;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    error::OrderError,
    keep::Keep,
    order::Order,
    saga::{Reason, State},
};
use row::{OrderRow, encode_answer, line_rows, placed_by_name, shipment_name, state_and_door};

/// An order as the database has it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The order.
    pub order: Order,
    /// The answer that was given, once decided.
    pub answer: Option<Answer>,
}

/// The order that an Idempotency-Key made.
#[derive(Debug)]
pub struct KeptByKey {
    /// The order.
    pub kept: Kept,
    /// What the request asked for, digested.
    pub fingerprint: Vec<u8>,
    /// Whether the first request may still be waiting for its answer.
    pub first_deadline_is_ahead: bool,
}

/// When a new order is taken up, from now on.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Until then the order belongs to its request, and recovery leaves it alone.
    pub first_attempt: Duration,
    /// What is not decided by then is unwound.
    pub decide: Duration,
}

/// When recovery may take up an order that was changed. One with nothing left to do is never taken up.
#[derive(Debug, Clone, Copy)]
pub enum Attempt {
    /// When it was before the change.
    AsBefore,
    /// So long from now, as if for the first time.
    After(Duration),
}

/// Which of the orders that are due: a lane that is stuck holds up no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Whose parcel is to be stopped, which is shipping's business.
    Parcel,
    /// All others that were not taken up before.
    Fresh,
    /// All others that were, in vain.
    Repeated,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 3] = [Self::Parcel, Self::Fresh, Self::Repeated];
}

/// An order that recovery has claimed.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// The order.
    pub id: OrderId,
    /// How long until `decide_by`; zero when it has passed.
    pub decide_in: Duration,
    /// The trace in which it was placed; 0 when there was none.
    pub trace_id: u128,
}

/// On whose behalf orders are read. Every read takes one.
#[derive(Debug, Clone, Copy)]
pub enum Viewer {
    /// Sees this customer's orders only.
    Customer(AccountId),
    /// Sees everyone's.
    Operator,
}

/// Which orders to list.
#[derive(Debug, Clone)]
pub struct Page {
    /// On whose behalf.
    pub viewer: Viewer,
    /// This customer's only.
    pub customer_id: Option<AccountId>,
    /// These only.
    pub status: Option<OrderStatus>,
    /// Older than this order.
    pub before: Option<OrderId>,
    /// At most so many.
    pub limit: u32,
}

/// The columns of an [`OrderRow`].
macro_rules! columns {
    () => {
        "order_id, customer_id, saga_state, reason, version, placed_by, lines, total_minor, currency, card_token,
         shipment_status, tracking_number, shipment_version, trace_id, created_at, updated_at, answer"
    };
}

/// A new order, PENDING, with what is kept beside it.
#[derive(Debug)]
pub struct New {
    /// The order.
    pub order: Order,
    /// The answer, where it is decided already.
    pub answer: Option<Answer>,
    /// The customer's name for the request.
    pub idempotency_key: String,
    /// What was asked for, digested.
    pub fingerprint: [u8; 32],
    /// When it is taken up.
    pub times: Times,
}

/// Writes new orders, each with its letter, and says of each whether it was written: not when its id or its key has an order already,
/// or is that of one before it in the list. Read that back with [`find_by_key`], in a new statement, which sees what the other
/// transaction committed.
pub async fn insert_all(conn: &mut PgConnection, new: &[&New], letters: &[&Event]) -> Result<Vec<bool>, OrderError> {
    let orders = || new.iter().map(|new| &new.order);
    let written: Vec<i64> = sqlx::query_scalar_with(
        concat!(
            "WITH new AS MATERIALIZED (
                 SELECT * FROM unnest($10::uuid[], $11::uuid[], $12::text[], $13::bytea[], $14::text[], $15::text[],
                         $16::bigint[], $17::text[], $18::jsonb[], $19::text[], $20::timestamptz[], $21::float8[],
                         $22::float8[], $23::bytea[])
                     WITH ORDINALITY AS new (order_id, customer_id, idempotency_key, fingerprint, trace_id, saga_state,
                         version, placed_by, lines, card_token, created_at, first_attempt, decide, answer, place)
             ), inserted AS (
                 INSERT INTO orders (order_id, customer_id, idempotency_key, fingerprint, trace_id, saga_state, version,
                     placed_by, lines, card_token, created_at, updated_at, attempt_at, decide_by, answer)
                 SELECT order_id, customer_id, idempotency_key, fingerprint, trace_id, saga_state, version,
                     placed_by, lines, card_token, created_at, created_at,
                     now() + make_interval(secs => first_attempt), now() + make_interval(secs => decide), answer
                 -- sorted, so that two transactions wait for each other in one direction only
                 FROM new ORDER BY customer_id, idempotency_key, place
                 ON CONFLICT DO NOTHING
                 RETURNING order_id, customer_id, idempotency_key
             ), written AS (
                 -- of several that are alike the first was written
                 SELECT min(place) AS place
                 FROM new JOIN inserted USING (order_id, customer_id, idempotency_key) GROUP BY order_id
             ), told AS (",
            outbox::insert_letters!("WHERE letter.place IN (SELECT place FROM written)"),
            ")
             SELECT place FROM written"
        ),
        outbox::first_parameters(ORDERS, letters)?,
    )
    .bind(orders().map(|order| order.id.as_uuid()).collect::<Vec<_>>())
    .bind(orders().map(|order| order.customer_id.as_uuid()).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.idempotency_key.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.fingerprint.as_slice()).collect::<Vec<_>>())
    .bind(orders().map(|order| order.trace_id.as_str()).collect::<Vec<_>>())
    .bind(orders().map(|order| order.state.name()).collect::<Vec<_>>())
    .bind(orders().map(|order| order.version).collect::<Vec<_>>())
    .bind(orders().map(|order| placed_by_name(order.placed_by)).collect::<Vec<_>>())
    .bind(orders().map(line_rows).collect::<Vec<_>>())
    .bind(orders().map(|order| order.card_token.as_deref()).collect::<Vec<_>>())
    .bind(orders().map(|order| order.created_at.to_sqlx()).collect::<Vec<jiff_sqlx::Timestamp>>())
    .bind(new.iter().map(|new| new.times.first_attempt.as_secs_f64()).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.times.decide.as_secs_f64()).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.answer.as_ref().map(encode_answer)).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .inspect_err(outbox::note_failure)?;
    Ok(places(&written, new.len()))
}

/// Which of so many are named, counted from 1 as the database does.
fn places(named: &[i64], count: usize) -> Vec<bool> {
    let mut places = vec![false; count];
    for place in named {
        places[usize::try_from(place - 1).expect("the database counts from 1")] = true;
    }
    places
}

/// The order that a customer's key made.
pub async fn find_by_key(pool: &PgPool, customer_id: AccountId, key: &str) -> Result<Option<KeptByKey>, OrderError> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(flatten)]
        order: OrderRow,
        fingerprint: Vec<u8>,
        first_deadline_is_ahead: bool,
    }
    let row: Option<Row> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        ", fingerprint, saga_state IN ('AWAITING_STOCK', 'AWAITING_PAYMENT') AND attempts = 0
             AND coalesce(attempt_at > now(), false) AS first_deadline_is_ahead
         FROM orders WHERE customer_id = $1 AND idempotency_key = $2"
    ))
    .bind(customer_id.as_uuid())
    .bind(key)
    .fetch_optional(pool)
    .await?;
    row.map(|row| {
        Ok(KeptByKey {
            kept: row.order.try_into()?,
            fingerprint: row.fingerprint,
            first_deadline_is_ahead: row.first_deadline_is_ahead,
        })
    })
    .transpose()
}

/// One order, for somebody who may see it.
pub async fn find(pool: &PgPool, id: OrderId, viewer: Viewer) -> Result<Option<Kept>, OrderError> {
    let owner = viewer.owner();
    let row: Option<OrderRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM orders WHERE order_id = $1 AND ($2::uuid IS NULL OR customer_id = $2)"
    ))
    .bind(id.as_uuid())
    .bind(owner.map(AccountId::as_uuid))
    .fetch_optional(pool)
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// One order, for order itself.
pub async fn find_own(pool: &PgPool, id: OrderId) -> Result<Option<Kept>, OrderError> {
    find(pool, id, Viewer::Operator).await
}

/// Orders, locked until the transaction ends, so that letters about them are applied to what they say now. One that there is not is
/// left out.
pub async fn lock_all_in_tx(
    conn: &mut PgConnection,
    ids: &BTreeSet<OrderId>,
) -> Result<BTreeMap<OrderId, Kept>, OrderError> {
    let rows: Vec<OrderRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        // whoever locks several does so in this sequence
        " FROM orders WHERE order_id = ANY ($1) ORDER BY order_id FOR NO KEY UPDATE"
    ))
    .bind(ids.iter().map(|id| id.as_uuid()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    let kept = |row| Kept::try_from(row).map(|kept| (kept.order.id, kept));
    rows.into_iter().map(kept).collect()
}

/// Orders, newest first.
pub async fn list(pool: &PgPool, page: &Page) -> Result<Vec<Order>, OrderError> {
    let customer = page.viewer.owner().or(page.customer_id);
    let (states, reasons) = page.status.map(states_seen_as).unzip();
    let rows: Vec<OrderRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM orders
         WHERE ($1::uuid IS NULL OR customer_id = $1)
             AND ($2::text[] IS NULL OR (saga_state, coalesce(reason, '')) IN (SELECT * FROM unnest($2, $5::text[])))
             AND ($3::uuid IS NULL OR order_id < $3)
         ORDER BY order_id DESC LIMIT $4"
    ))
    .bind(customer.map(AccountId::as_uuid))
    .bind(states)
    .bind(page.before.map(OrderId::as_uuid))
    .bind(i64::from(page.limit))
    .bind(reasons)
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(|row| Ok(Kept::try_from(row)?.order)).collect()
}

/// Writes changed orders over the versions that were seen, each with its letters, and says of each whether it was written: not when
/// somebody else has changed it since.
pub async fn update_all(conn: &mut PgConnection, changes: &[&Keep]) -> Result<Vec<bool>, OrderError> {
    let letters: Vec<&Event> = changes.iter().flat_map(|change| &change.letters).collect();
    let changes_of_letters =
        changes.iter().zip(1_i64..).flat_map(|(change, place)| change.letters.iter().map(move |_| place));
    let orders = || changes.iter().map(|change| &change.kept.order);
    let shipments = || {
        orders().map(|order| match &order.shipment {
            Some(shipment) => (shipment_name(shipment.status), shipment.tracking_number.as_str(), shipment.version),
            None => (None, "", 0),
        })
    };
    let pause = |change: &&Keep| match change.attempt {
        Attempt::AsBefore => None,
        Attempt::After(pause) => Some(pause.as_secs_f64()),
    };
    let lines = |change: &&Keep| change.has_other_lines.then(|| line_rows(&change.kept.order));
    let written: Vec<i64> = sqlx::query_scalar_with(
        concat!(
            "WITH written AS (
                 UPDATE orders SET saga_state = change.saga_state, reason = change.reason, version = change.version,
                     lines = coalesce(change.lines, orders.lines), total_minor = change.total_minor,
                     currency = change.currency, card_token = change.card_token,
                     shipment_status = change.shipment_status, tracking_number = change.tracking_number,
                     shipment_version = change.shipment_version, updated_at = change.updated_at,
                     answer = coalesce(orders.answer, change.answer),
                     attempt_at = CASE WHEN change.is_settled THEN NULL
                         ELSE coalesce(now() + make_interval(secs => change.pause), orders.attempt_at) END,
                     attempts = CASE WHEN change.pause IS NULL THEN orders.attempts ELSE 0 END, last_error = NULL
                 -- sorted, so that two transactions wait for each other in one direction only
                 FROM (SELECT *
                       FROM unnest($11::uuid[], $12::bigint[], $13::text[], $14::text[], $15::bigint[], $16::jsonb[],
                               $17::bigint[], $18::text[], $19::text[], $20::text[], $21::text[], $22::bigint[],
                               $23::timestamptz[], $24::bytea[], $25::bool[], $26::float8[])
                           WITH ORDINALITY AS change (order_id, seen, saga_state, reason, version, lines, total_minor,
                               currency, card_token, shipment_status, tracking_number, shipment_version, updated_at,
                               answer, is_settled, pause, place)
                       ORDER BY order_id) AS change
                 WHERE orders.order_id = change.order_id AND orders.version = change.seen
                     AND orders.order_id = ANY ($11)
                 RETURNING change.place
             ), told AS (",
            outbox::insert_letters!("WHERE ($10::bigint[])[letter.place::int] IN (SELECT place FROM written)"),
            ")
             SELECT place FROM written"
        ),
        outbox::first_parameters(ORDERS, &letters)?,
    )
    .bind(changes_of_letters.collect::<Vec<_>>())
    .bind(orders().map(|order| order.id.as_uuid()).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.seen).collect::<Vec<_>>())
    .bind(orders().map(|order| order.state.name()).collect::<Vec<_>>())
    .bind(orders().map(|order| order.state.reason().map(Reason::name)).collect::<Vec<_>>())
    .bind(orders().map(|order| order.version).collect::<Vec<_>>())
    .bind(changes.iter().map(lines).collect::<Vec<_>>())
    .bind(orders().map(|order| order.total.map(Money::minor_units)).collect::<Vec<_>>())
    .bind(orders().map(|order| order.total.map(Money::currency_code)).collect::<Vec<_>>())
    .bind(orders().map(|order| order.card_token.as_deref()).collect::<Vec<_>>())
    .bind(shipments().map(|(status, ..)| status).collect::<Vec<_>>())
    .bind(shipments().map(|(_, tracking_number, _)| tracking_number).collect::<Vec<_>>())
    .bind(shipments().map(|(.., version)| version).collect::<Vec<_>>())
    .bind(orders().map(|order| order.updated_at.to_sqlx()).collect::<Vec<jiff_sqlx::Timestamp>>())
    .bind(changes.iter().map(|change| change.kept.answer.as_ref().map(encode_answer)).collect::<Vec<_>>())
    .bind(orders().map(|order| order.state.is_settled()).collect::<Vec<_>>())
    .bind(changes.iter().map(pause).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .inspect_err(outbox::note_failure)?;
    Ok(places(&written, changes.len()))
}

/// Claims orders that nobody carries on and that became due since `back`, for `lease`. Whoever claims and then crashes loses the lease, nothing else. The
/// orders are read one by one afterwards, so that one that cannot be read holds up no other.
pub async fn claim_due(
    pool: &PgPool,
    lane: Lane,
    orders_max: usize,
    back: LookBack,
    lease: Duration,
) -> Result<Vec<Due>, OrderError> {
    let rows: Vec<(Uuid, f64, String)> = sqlx::query_as(
        "UPDATE orders SET attempt_at = now() + make_interval(secs => $2), attempts = attempts + 1
         -- an array is made once, and its orders are found by their ids; a join may be planned as a scan of all orders
         WHERE order_id = ANY (ARRAY (
             -- SKIP LOCKED: two processes take different orders instead of waiting for each other
             SELECT order_id FROM orders
             WHERE attempt_at <= now() AND attempt_at > now() - make_interval(secs => $4)
                 AND CASE WHEN saga_state = 'STOPPING' THEN 'PARCEL' WHEN attempts = 0 THEN 'FRESH' ELSE 'REPEATED' END = $3
             ORDER BY attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED))
         RETURNING order_id, greatest(extract(epoch FROM decide_by - now()), 0)::float8, trace_id",
    )
    .bind(i64::try_from(orders_max).unwrap_or(i64::MAX))
    .bind(lease.as_secs_f64())
    .bind(match lane {
        Lane::Parcel => "PARCEL",
        Lane::Fresh => "FRESH",
        Lane::Repeated => "REPEATED",
    })
    .bind(back.seconds())
    .fetch_all(pool)
    .await?;
    let due = |(id, seconds, trace_id): (Uuid, f64, String)| Due {
        id: id.into(),
        decide_in: Duration::from_secs_f64(seconds),
        trace_id: u128::from_str_radix(&trace_id, 16).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(due).collect())
}

/// Gives a claimed order back, to be taken up again after a pause that doubles with each attempt, up to `pause_max`. An
/// order that is still wanted is taken up at `decide_by` at the latest, and at once when that has passed meanwhile. `obstacle`
/// is why the attempt came to nothing, for operators; without one, the last is kept.
pub async fn postpone(
    pool: &PgPool,
    id: OrderId,
    pause_max: Duration,
    obstacle: Option<&str>,
) -> Result<(), OrderError> {
    sqlx::query(
        "UPDATE orders SET attempt_at = CASE
             WHEN decide_by > now() THEN least(decide_by, now() + pause)
             WHEN saga_state IN ('AWAITING_STOCK', 'AWAITING_PAYMENT') THEN now()
             ELSE now() + pause END,
             last_error = coalesce(left($3, 500), last_error)
         FROM (SELECT make_interval(secs => least($2, 0.25 * 2 ^ least(attempts, 20))) AS pause
               FROM orders WHERE order_id = $1) AS backoff
         WHERE order_id = $1 AND attempt_at IS NOT NULL",
    )
    .bind(id.as_uuid())
    .bind(pause_max.as_secs_f64())
    .bind(obstacle)
    .execute(pool)
    .await?;
    Ok(())
}

impl Viewer {
    /// The customer that a query is limited to.
    const fn owner(self) -> Option<AccountId> {
        match self {
            Self::Customer(id) => Some(id),
            Self::Operator => None,
        }
    }
}

/// The states that the outside sees as `status`, by name and reason.
fn states_seen_as(status: OrderStatus) -> (Vec<&'static str>, Vec<&'static str>) {
    let seen = State::all().filter(|state| state.status() == status);
    seen.map(|state| (state.name(), state.reason().map_or("", Reason::name))).unzip()
}

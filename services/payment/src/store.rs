//! All SQL on payments and the ledger.

use std::collections::BTreeMap;

use contracts::{ids::OrderId, money::Money};
use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::{
    error::PaymentError,
    ledger,
    payment::{CardFingerprint, Payment, Posting, State, Terms},
};

/// The payment of this order.
pub async fn find(pool: &PgPool, order_id: OrderId) -> Result<Option<Payment>, PaymentError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT order_id, state, version, amount_minor, currency, card_fingerprint, captured_at, decline_reason
         FROM payments
         WHERE order_id = $1",
    )
    .bind(order_id.as_uuid())
    .fetch_optional(pool)
    .await?;
    row.map(Payment::try_from).transpose()
}

/// The first row of a payment.
#[derive(Debug, Clone)]
pub struct First {
    /// Whose.
    pub order_id: OrderId,
    /// What is asked for.
    pub state: State,
    /// How much is to be charged, and from which card; none when it is to be voided before it was ever charged.
    pub terms: Option<Terms>,
}

/// Writes first rows, and gives each as it is then; none for an order that has one already.
pub async fn insert_all(
    executor: impl PgExecutor<'_>,
    firsts: &[&First],
) -> Result<Vec<Option<Payment>>, PaymentError> {
    let terms = || firsts.iter().map(|first| first.terms.as_ref());
    let rows: Vec<Row> = sqlx::query_as(
        "INSERT INTO payments (order_id, state, amount_minor, currency, card_fingerprint)
         SELECT order_id, state, amount_minor, currency, card_fingerprint
         FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::bytea[]) WITH ORDINALITY
             AS first (order_id, state, amount_minor, currency, card_fingerprint, place)
         ORDER BY order_id, place
         ON CONFLICT (order_id) DO NOTHING
         RETURNING order_id, state, version, amount_minor, currency, card_fingerprint, captured_at, decline_reason",
    )
    .bind(firsts.iter().map(|first| first.order_id.as_uuid()).collect::<Vec<_>>())
    .bind(firsts.iter().map(|first| state_to_sql(first.state)).collect::<Vec<_>>())
    .bind(terms().map(|terms| terms.map(|terms| terms.amount.minor_units())).collect::<Vec<_>>())
    .bind(terms().map(|terms| terms.map(|terms| terms.amount.currency_code())).collect::<Vec<_>>())
    .bind(terms().map(|terms| terms.map(|terms| terms.card.0.as_slice())).collect::<Vec<_>>())
    .fetch_all(executor)
    .await?;
    let mut inserted = BTreeMap::new();
    for row in rows {
        let payment = Payment::try_from(row)?;
        inserted.insert(payment.order_id, payment);
    }
    // of two first rows of one order, the one that comes first was written
    Ok(firsts.iter().map(|first| inserted.remove(&first.order_id)).collect())
}

/// A change of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub order_id: OrderId,
    /// The version that is to be changed.
    pub seen: i64,
    /// Where it goes.
    pub state: State,
    /// What moves in the ledger.
    pub posting: Posting,
    /// When the network captured, if the change tells.
    pub captured_at: Option<Timestamp>,
    /// Why the network declined, if the change tells.
    pub decline_reason: Option<String>,
}

/// Changes payments and writes their transfers, and gives each as it is then; none when somebody else changed it since it was
/// seen.
pub async fn advance_all(
    executor: impl PgExecutor<'_>,
    changes: &[&Change],
) -> Result<Vec<Option<Payment>>, PaymentError> {
    #[derive(sqlx::FromRow)]
    struct Changed {
        place: i64,
        #[sqlx(flatten)]
        payment: Row,
    }
    let (mut places, mut transfers) = (Vec::new(), Vec::new());
    for (place, change) in (1_i64..).zip(changes) {
        for transfer in ledger::transfers(change.posting) {
            places.push(place);
            transfers.push(transfer);
        }
    }
    // one statement, so one round trip and one commit. A conflict is a capture that stands in the ledger already; a
    // payment without an amount was never asked for by us, and moves nothing of ours
    let rows: Vec<Changed> = sqlx::query_as(
        "WITH changed AS (
             UPDATE payments
             SET state = change.state, version = version + 1,
                 captured_at = COALESCE(payments.captured_at, change.captured_at),
                 decline_reason = COALESCE(payments.decline_reason, change.decline_reason), updated_at = now()
             -- sorted, so that two transactions wait for each other in one direction only
             FROM (SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[])
                       WITH ORDINALITY AS change (order_id, seen, state, captured_at, decline_reason, place)
                   ORDER BY order_id) AS change
             WHERE payments.order_id = change.order_id AND payments.version = change.seen
                 AND payments.order_id = ANY ($1)
             RETURNING change.place, payments.order_id, payments.state, version, amount_minor, currency, card_fingerprint,
                 payments.captured_at, payments.decline_reason
         ), posted AS (
             INSERT INTO transfers (order_id, kind, debit_account, credit_account, amount_minor, currency)
             SELECT changed.order_id, posting.kind, posting.debit, posting.credit, changed.amount_minor, changed.currency
             FROM changed JOIN unnest($6::bigint[], $7::text[], $8::text[], $9::text[])
                 AS posting (place, kind, debit, credit) ON posting.place = changed.place
             WHERE changed.amount_minor IS NOT NULL
             ON CONFLICT (order_id, kind) DO NOTHING
         )
         SELECT place, order_id, state, version, amount_minor, currency, card_fingerprint, captured_at, decline_reason
         FROM changed",
    )
    .bind(changes.iter().map(|change| change.order_id.as_uuid()).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.seen).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| state_to_sql(change.state)).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.captured_at.map(ToSqlx::to_sqlx)).collect::<Vec<Option<SqlTimestamp>>>())
    .bind(changes.iter().map(|change| change.decline_reason.as_deref()).collect::<Vec<_>>())
    .bind(places)
    .bind(transfers.iter().map(|transfer| transfer.kind).collect::<Vec<_>>())
    .bind(transfers.iter().map(|transfer| transfer.debit_account).collect::<Vec<_>>())
    .bind(transfers.iter().map(|transfer| transfer.credit_account).collect::<Vec<_>>())
    .fetch_all(executor)
    .await?;
    let mut advanced: Vec<Option<Payment>> = changes.iter().map(|_| None).collect();
    for Changed { place, payment } in rows {
        let place = usize::try_from(place - 1).expect("the database counts from 1");
        advanced[place] = Some(payment.try_into()?);
    }
    Ok(advanced)
}

/// Notes that an order which was placed by letter is done with, and gives its payment as it now stands. `None` when that
/// was noted before, or there is no payment. The row stays locked until the transaction ends.
pub async fn answer_in_tx(conn: &mut PgConnection, order_id: OrderId) -> Result<Option<Payment>, PaymentError> {
    let row: Option<Row> = sqlx::query_as(
        "UPDATE payments SET answered_at = now()
         WHERE order_id = $1 AND answered_at IS NULL
         RETURNING order_id, state, version, amount_minor, currency, card_fingerprint, captured_at, decline_reason",
    )
    .bind(order_id.as_uuid())
    .fetch_optional(conn)
    .await?;
    row.map(Payment::try_from).transpose()
}

#[derive(sqlx::FromRow)]
struct Row {
    order_id: Uuid,
    state: String,
    version: i64,
    amount_minor: Option<i64>,
    currency: Option<String>,
    card_fingerprint: Option<Vec<u8>>,
    captured_at: Option<SqlTimestamp>,
    decline_reason: Option<String>,
}

impl TryFrom<Row> for Payment {
    type Error = PaymentError;

    fn try_from(row: Row) -> Result<Self, PaymentError> {
        let order_id = OrderId::from(row.order_id);
        let unreadable = |column| PaymentError::Unreadable { order_id, column };
        let terms = match (row.amount_minor, row.currency, row.card_fingerprint) {
            (Some(minor), Some(currency), Some(card)) => {
                let amount = Money::from_code(minor, &currency).map_err(|_| unreadable("amount"))?;
                Some(Terms { amount, card: CardFingerprint(card) })
            }
            _ => None,
        };
        Ok(Self {
            order_id,
            state: state_from_sql(&row.state).ok_or_else(|| unreadable("state"))?,
            version: row.version,
            terms,
            captured_at: row.captured_at.map(SqlTimestamp::to_jiff),
            decline_reason: row.decline_reason,
        })
    }
}

/// The words of the column `state`. `UNASKED` is never written: it is the absence of the row.
const fn state_to_sql(state: State) -> &'static str {
    match state {
        State::Unasked => "UNASKED",
        State::Attempting => "ATTEMPTING",
        State::Captured => "CAPTURED",
        State::Declined => "DECLINED",
        State::UnknownCard => "UNKNOWN_CARD",
        State::Voiding => "VOIDING",
        State::Voided => "VOIDED",
        State::Refunding => "REFUNDING",
        State::Refunded => "REFUNDED",
    }
}

fn state_from_sql(word: &str) -> Option<State> {
    match word {
        "ATTEMPTING" => Some(State::Attempting),
        "CAPTURED" => Some(State::Captured),
        "DECLINED" => Some(State::Declined),
        "UNKNOWN_CARD" => Some(State::UnknownCard),
        "VOIDING" => Some(State::Voiding),
        "VOIDED" => Some(State::Voided),
        "REFUNDING" => Some(State::Refunding),
        "REFUNDED" => Some(State::Refunded),
        _ => None,
    }
}

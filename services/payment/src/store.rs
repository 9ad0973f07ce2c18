//! All SQL on payments and the ledger.

use contracts::{ids::OrderId, money::Money};
use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use sqlx::{PgConnection, PgPool};
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

/// Writes the first row of a payment. `None` when there is one already.
pub async fn insert(
    pool: &PgPool,
    order_id: OrderId,
    state: State,
    terms: Option<&Terms>,
) -> Result<Option<Payment>, PaymentError> {
    let row: Option<Row> = sqlx::query_as(
        "INSERT INTO payments (order_id, state, amount_minor, currency, card_fingerprint)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (order_id) DO NOTHING
         RETURNING order_id, state, version, amount_minor, currency, card_fingerprint, captured_at, decline_reason",
    )
    .bind(order_id.as_uuid())
    .bind(state_to_sql(state))
    .bind(terms.map(|terms| terms.amount.minor_units()))
    .bind(terms.map(|terms| terms.amount.currency_code()))
    .bind(terms.map(|terms| terms.card.0.as_slice()))
    .fetch_optional(pool)
    .await?;
    row.map(Payment::try_from).transpose()
}

/// A change of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it goes.
    pub state: State,
    /// What moves in the ledger.
    pub posting: Posting,
    /// When the network captured, if the change tells.
    pub captured_at: Option<Timestamp>,
    /// Why the network declined, if the change tells.
    pub decline_reason: Option<String>,
}

/// Changes the payment and writes its transfers, in one statement. `None` when somebody else changed it since it was
/// `seen`.
pub async fn advance(pool: &PgPool, seen: &Payment, change: &Change) -> Result<Option<Payment>, PaymentError> {
    let transfers = ledger::transfers(change.posting);
    let kinds: Vec<&str> = transfers.iter().map(|transfer| transfer.kind).collect();
    let debits: Vec<&str> = transfers.iter().map(|transfer| transfer.debit_account).collect();
    let credits: Vec<&str> = transfers.iter().map(|transfer| transfer.credit_account).collect();
    // one statement, so one round trip and one commit. A conflict is a capture that stands in the ledger already; a
    // payment without an amount was never asked for by us, and moves nothing of ours
    let row: Option<Row> = sqlx::query_as(
        "WITH changed AS (
             UPDATE payments
             SET state = $3, version = version + 1, captured_at = COALESCE(captured_at, $4),
                 decline_reason = COALESCE(decline_reason, $5), updated_at = now()
             WHERE order_id = $1 AND version = $2
             RETURNING order_id, state, version, amount_minor, currency, card_fingerprint, captured_at, decline_reason
         ), posted AS (
             INSERT INTO transfers (order_id, kind, debit_account, credit_account, amount_minor, currency)
             SELECT changed.order_id, posting.kind, posting.debit, posting.credit, changed.amount_minor, changed.currency
             FROM changed CROSS JOIN UNNEST($6::text[], $7::text[], $8::text[]) AS posting (kind, debit, credit)
             WHERE changed.amount_minor IS NOT NULL
             ON CONFLICT (order_id, kind) DO NOTHING
         )
         SELECT order_id, state, version, amount_minor, currency, card_fingerprint, captured_at, decline_reason
         FROM changed",
    )
    .bind(seen.order_id.as_uuid())
    .bind(seen.version)
    .bind(state_to_sql(change.state))
    .bind(change.captured_at.map(ToSqlx::to_sqlx))
    .bind(change.decline_reason.as_deref())
    .bind(kinds)
    .bind(debits)
    .bind(credits)
    .fetch_optional(pool)
    .await?;
    row.map(Payment::try_from).transpose()
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

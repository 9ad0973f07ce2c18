//! Writing an entry, in the transaction of the change that it tells about.

use service_runtime::telemetry;
use sqlx::{PgConnection, types::Json};

use crate::action::Action;

/// Notes an action under the trace that this is a part of; the caller commits.
///
/// Call it after the row that it is about was changed or locked in the same transaction: then the entries of one object are in
/// the order of its changes. Fails as any statement of the transaction may, which is to be rolled back then.
pub async fn note_in_tx(conn: &mut PgConnection, action: &Action) -> Result<(), sqlx::Error> {
    // all zeros outside of any trace
    let trace_id = Some(telemetry::trace_id()).filter(|id| id.bytes().any(|digit| digit != b'0'));
    sqlx::query("INSERT INTO operator_log (operator, action, object, detail, trace_id) VALUES ($1, $2, $3, $4, $5)")
        .bind(action.operator.to_string())
        .bind(action.word)
        .bind(&action.object)
        .bind(Json(&action.detail))
        .bind(trace_id)
        .execute(conn)
        .await?;
    Ok(())
}

//! 12: an acknowledged order survives kill -9 of anything. What a load wrote down as acknowledged, against the database.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use uuid::Uuid;

use super::Finding;
use crate::audit::sources::{Sources, unread};
use crate::failure::Failure;

/// Acknowledgements that are looked up at once.
const CHUNK: usize = 1_000;

/// A line of the journal, as far as it concerns the database.
#[derive(Debug, Deserialize)]
struct Acknowledged {
    key: String,
    customer: String,
    order_id: Uuid,
    status: u16,
}

#[derive(sqlx::FromRow)]
struct Kept {
    order_id: Uuid,
    customer: String,
    key: String,
    state: String,
}

/// Every acknowledged order is there, under its customer and key, and became what its answer said.
pub async fn are_kept(sources: &Sources, journal: Option<&Path>, finding: &mut Finding) -> Result<(), Failure> {
    let Some(path) = journal else {
        finding.note =
            Some("no journal to compare with: `postbox load --journal FILE`, then --journal FILE".to_owned());
        return Ok(());
    };
    let file = File::open(path).map_err(|error| Failure::usage(format!("--journal {}: {error}", path.display())))?;
    let mut chunk = Vec::with_capacity(CHUNK);
    for (number, line) in (1..).zip(BufReader::new(file).split(b'\n')) {
        let line = line.map_err(Failure::io("read", path))?;
        let acknowledged = serde_json::from_slice(&line).map_err(|error| {
            Failure::usage(format!("--journal {}: line {number} is no acknowledgement: {error}", path.display()))
        })?;
        chunk.push(acknowledged);
        if chunk.len() == CHUNK {
            compare(sources, &chunk, finding).await?;
            chunk.clear();
        }
    }
    compare(sources, &chunk, finding).await
}

async fn compare(sources: &Sources, chunk: &[Acknowledged], finding: &mut Finding) -> Result<(), Failure> {
    let ids: Vec<Uuid> = chunk.iter().map(|acknowledged| acknowledged.order_id).collect();
    let rows: Vec<Kept> = sqlx::query_as(
        "SELECT order_id, customer_id::text AS customer, idempotency_key AS key, saga_state AS state
         FROM orders WHERE order_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(sources.database("orders")?)
    .await
    .map_err(unread("orders"))?;
    let kept: HashMap<Uuid, Kept> = rows.into_iter().map(|row| (row.order_id, row)).collect();
    for acknowledged in chunk {
        finding.checked += 1;
        if let Some(differs) = difference(acknowledged, kept.get(&acknowledged.order_id)) {
            let id = acknowledged.order_id;
            finding.suspect(Some(id), format!("acknowledged order {id}"), differs);
        }
    }
    Ok(())
}

fn difference(acknowledged: &Acknowledged, kept: Option<&Kept>) -> Option<String> {
    let Acknowledged { key, customer, status, .. } = acknowledged;
    let Some(kept) = kept else { return Some(format!("was answered {status} and is lost")) };
    if (&kept.customer, &kept.key) != (customer, key) {
        return Some(format!(
            "is customer {}'s under key {:?}, not {customer}'s under {key:?}",
            kept.customer, kept.key
        ));
    }
    let may_be: &[&str] = match status {
        201 => &["COMPLETED", "STOPPING", "REFUNDING", "REFUNDED"],
        402 | 409 | 422 => &["REJECTED", "CANCELLED"],
        // accepted: it may become anything
        _ => return None,
    };
    let state = kept.state.as_str();
    (!may_be.contains(&state)).then(|| format!("was answered {status} and is {state}"))
}

//! Lists, a page at a time.

use contracts::problem::ProblemCode;
use schemars::JsonSchema;
use serde::Serialize;
use tonic::Status;

use crate::{
    fields::{FieldError, Fields, FromFields, Noted},
    problem::Problem,
};

const LIMIT_MAX: i64 = 100;
const LIMIT_DEFAULT: u32 = 20;

/// Longer than any cursor that a service gives out.
const CURSOR_LENGTH_MAX: usize = 500;

/// Which page: `?limit=20&cursor=…`.
#[derive(Debug)]
pub struct Page {
    /// The most items.
    pub limit: u32,
    /// Where it begins: what the page before named as its `next_cursor`; empty for the first.
    pub cursor: String,
}

/// `limit`, the most items that are asked for: 1 to 100, 20 when it is not there.
pub fn limit(fields: &mut Fields<'_>) -> Result<u32, Noted> {
    let limit = fields.optional("limit", |value| value.whole_number_in_text(1..=LIMIT_MAX))?;
    Ok(limit.map_or(LIMIT_DEFAULT, |limit| u32::try_from(limit).expect("1 to 100")))
}

impl FromFields for Page {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let limit = limit(fields);
        let cursor = fields.optional("cursor", |value| value.text(1..=CURSOR_LENGTH_MAX));
        Ok(Self { limit: limit?, cursor: cursor?.unwrap_or_default() })
    }
}

impl Page {
    /// The problem of a list call. A cursor means something to the service that made it alone, so that is who finds it
    /// wrong.
    pub fn problem(&self, status: Status) -> Problem {
        if !self.cursor.is_empty() && rpc::problem_of(&status) == ProblemCode::Invalid {
            let detail = "must be the next_cursor of the page before".to_owned();
            return Problem::invalid(vec![FieldError { pointer: "/cursor".to_owned(), detail }]);
        }
        status.into()
    }
}

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct PageJson<T> {
    items: Vec<T>,
    /// Where the next page begins: its `cursor`. Null when this is the last.
    next_cursor: Option<String>,
}

impl<T> PageJson<T> {
    /// The page of these items; an empty cursor says that it is the last.
    pub fn new<P: Into<T>>(items: Vec<P>, next_cursor: String) -> Self {
        let next_cursor = Some(next_cursor).filter(|cursor| !cursor.is_empty());
        Self { items: items.into_iter().map(Into::into).collect(), next_cursor }
    }
}

/// A list that is told whole.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ListOf{T}")]
pub struct ListJson<T> {
    /// All of it.
    pub items: Vec<T>,
}

impl<T> ListJson<T> {
    /// The list of these items.
    pub fn new<P: Into<T>>(items: Vec<P>) -> Self {
        Self { items: items.into_iter().map(Into::into).collect() }
    }
}

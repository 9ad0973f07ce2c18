//! An action and who took it.

use std::fmt;

use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Who took an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Whoever has logged in to this account.
    Account(Uuid),
    /// Whoever reaches the ops port of a service, which asks nobody who he is.
    Ops,
    /// Whoever runs a service's program, with a password of its database.
    CommandLine,
    /// A caller that names nobody: a process from before operators were named, or somebody who calls a service himself.
    Unnamed,
}

/// Text that names no operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an operator is named by the id of an account, like 01936b1e-7c5a-7cc2-a3f1-0242ac120002")]
pub struct InvalidOperator;

impl Operator {
    /// Whom a call names, by the id of an account; empty: nobody.
    pub fn of_call(account_id: &str) -> Result<Self, InvalidOperator> {
        if account_id.is_empty() {
            return Ok(Self::Unnamed);
        }
        // the hyphenated form only: an operator must not have several names
        let is_hyphenated = account_id.len() == uuid::fmt::Hyphenated::LENGTH;
        Uuid::try_parse(account_id).ok().filter(|_| is_hyphenated).map(Self::Account).ok_or(InvalidOperator)
    }
}

impl fmt::Display for Operator {
    /// As the log has it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => id.hyphenated().fmt(formatter),
            Self::Ops => formatter.write_str("ops"),
            Self::CommandLine => formatter.write_str("command line"),
            Self::Unnamed => formatter.write_str("unnamed"),
        }
    }
}

/// What an operator has done.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    pub(crate) operator: Operator,
    pub(crate) word: &'static str,
    pub(crate) object: String,
    pub(crate) detail: Map<String, Value>,
}

impl Action {
    /// `word` names what was done, in `a-z` and `-`, at most 40; `object` on what, as kind and name, `product/mug`, at most 300 bytes.
    pub fn new(operator: Operator, word: &'static str, object: impl Into<String>) -> Self {
        Self { operator, word, object: object.into(), detail: Map::new() }
    }

    /// Something that is known of it. All that is said of an action takes at most 8 KiB.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(field.to_owned(), storable(value.into()));
        self
    }

    /// What it has changed. Nothing is said of a field that is as it was.
    #[must_use]
    pub fn changed(self, field: &str, before: impl Into<Value>, after: impl Into<Value>) -> Self {
        let (before, after) = (storable(before.into()), storable(after.into()));
        if before == after { self } else { self.with(field, json!({ "before": before, "after": after })) }
    }
}

/// Postgres keeps no NUL, and what is noted may quote what somebody sent: an action must not fail of it.
fn storable(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "\u{fffd}")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_names_an_account_or_nobody() {
        let id = "01936b1e-7c5a-7cc2-a3f1-0242ac120002";
        assert_eq!(Operator::of_call(id).unwrap().to_string(), id);
        assert_eq!(Operator::of_call(""), Ok(Operator::Unnamed));
        for wrong in
            ["ops", "command line", "01936b1e7c5a7cc2a3f10242ac120002", "{01936b1e-7c5a-7cc2-a3f1-0242ac120002}"]
        {
            assert_eq!(Operator::of_call(wrong), Err(InvalidOperator), "{wrong}");
        }
    }

    #[test]
    fn only_what_has_changed_is_told_with_before_and_after() {
        let action = Action::new(Operator::Ops, "put-product", "product/mug")
            .changed("name", "Mug", "Mug")
            .changed("price", 1, 2)
            .changed("colour", Value::Null, "white");
        let told = json!({"price": {"before": 1, "after": 2}, "colour": {"before": null, "after": "white"}});
        assert_eq!(Value::Object(action.detail), told);
    }
}

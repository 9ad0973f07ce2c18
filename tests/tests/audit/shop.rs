//! A platform where something of everything has happened, and its audit.

use std::{collections::BTreeSet, io::Write};

use journeys::{
    command_line::CommandLine,
    customer::{Answer, Customer, new_key},
    platform::Platform,
};
use serde_json::{Value, json};
use testkit::{SOON, eventually};

/// What the platform is given to settle; as for everybody.
const GRACE_MS: &str = "30000";

/// A platform, who bought there, and what was bought.
pub struct Shop {
    pub platform: Platform,
    pub command_line: CommandLine,
    pub customer: Customer,
    /// The order that was cancelled before it was charged.
    pub cancelled: String,
    /// What was acknowledged, as `postbox load` writes it down.
    pub journal: tempfile::NamedTempFile,
}

/// The rows of an audit.
#[derive(Debug)]
pub struct Rows(Vec<Value>);

impl Shop {
    /// Opens, and has orders of all kinds through both doors.
    pub async fn open() -> Self {
        // no parcel leaves while somebody looks
        let mut platform = Platform::start_with(testkit::kafka(), &[("shipping", "DISPATCH_AFTER", "86400")]).await;
        let customer = Customer::register(&platform).await;
        let mut journal = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        let customer_id = customer.account_id();
        let mut note = |key: &str, answer: Answer, status: u16| {
            let id = answer.expect(status).order_id();
            let line = json!({"key": key, "customer": customer_id, "order_id": id, "status": status});
            writeln!(journal, "{line}").expect("the journal can be written");
            id
        };
        let key = new_key();
        let completed = note(&key, customer.order(&key, "mug", 2, "tok_visa").await, 201);
        let key = new_key();
        let another = note(&key, customer.order(&key, "tee", 1, "tok_visa").await, 201);
        let key = new_key();
        let refunded = note(&key, customer.order(&key, "poster", 1, "tok_visa").await, 201);
        let key = new_key();
        note(&key, customer.order(&key, "sold-out", 1, "tok_visa").await, 409);
        let key = new_key();
        note(&key, customer.order(&key, "mug", 1, "tok_declined").await, 402);
        let key = new_key();
        let answer = customer.order(&key, "mug", 1, "tok_charged_no_reply").await;
        let status = answer.status.as_u16();
        let unanswered = note(&key, answer, status);
        let mut by_letter = Vec::new();
        for card in ["tok_visa", "tok_declined", "tok_charged_no_reply"] {
            let key = new_key();
            by_letter.push(note(&key, customer.order_by_letter(&key, "sticker", 3, card).await, 202));
        }
        customer.order_with_status(&refunded, "COMPLETED").await;
        cancel(&customer, &refunded).await;

        // cancelled before it was charged
        platform.stop("payment").await;
        let key = new_key();
        let cancelled = note(&key, customer.order_by_letter(&key, "mug", 1, "tok_visa").await, 202);
        cancel(&customer, &cancelled).await;
        platform.start_again("payment").await;

        for id in [&completed, &another, &by_letter[0], &by_letter[2], &unanswered] {
            customer.order_with_status(id, "COMPLETED").await;
        }
        for id in [&refunded, &cancelled] {
            customer.order_with_status(id, "CANCELLED").await;
        }
        let command_line = CommandLine::of(&platform);
        Self { platform, command_line, customer, cancelled, journal }
    }

    /// Audits as anybody does, until all is right.
    pub async fn audited(&self) -> Rows {
        let journal = self.journal.path().to_str().expect("a plain path");
        let audit = self.command_line.start(&["audit", "--json", "--journal", journal, "--grace-ms", GRACE_MS]);
        Rows::read(&audit.succeeds().await)
    }

    /// Audits something that is broken, and gives the rows.
    pub async fn broken(&self, more: &[&str]) -> Rows {
        let mut arguments = vec!["audit", "--json", "--grace-ms", GRACE_MS];
        arguments.extend(more);
        let audit = self.command_line.start(&arguments);
        Rows::read(&audit.prints_and_fails_with(1).await)
    }

    /// Changes a database as its owner may.
    pub async fn sql(&self, database: &str, sql: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(self.platform.database(database))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Asks a database for one text or number.
    pub async fn ask<T>(&self, database: &str, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()))
            .fetch_one(self.platform.database(database))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// Cancels; on a busy machine the answer may be to ask again with the same key.
pub async fn cancel(customer: &Customer, order: &str) {
    let key = new_key();
    eventually(SOON, "the cancel is taken", async || customer.cancel(&key, order).await.status.is_success()).await;
}

impl Rows {
    fn read(printed: &str) -> Self {
        let report: Value = serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        Self(report["items"].as_array().expect("a list").clone())
    }

    /// Every row.
    pub fn all(&self) -> &[Value] {
        &self.0
    }

    /// The numbers of the promises.
    pub fn numbers(&self) -> BTreeSet<u64> {
        self.0.iter().filter_map(|row| row["number"].as_u64()).collect()
    }

    /// Every finding, with the number of the promise that it breaks.
    pub fn findings(&self) -> Vec<(u64, String)> {
        let mut findings = Vec::new();
        for row in &self.0 {
            let number = row["number"].as_u64().expect("a row has a number");
            let found = row["found"].as_array().expect("a row lists what was found");
            assert_eq!(row["violations"], found.len(), "more was found than is listed: {row:#}");
            findings.extend(found.iter().filter_map(Value::as_str).map(|found| (number, found.to_owned())));
        }
        findings
    }
}

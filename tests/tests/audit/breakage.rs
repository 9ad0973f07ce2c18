//! Something that is broken on purpose: what the audit must find of it, and how it is mended.

use std::collections::BTreeSet;

use contracts::ids::OrderId;
use journeys::locks::Lock;
use serde_json::{Value, json};

use crate::shop::{Rows, Shop};

/// What was broken. It has rows of its own, so that many are broken at once and each is found by itself.
#[must_use = "the audit is to find it, and it is to be mended"]
pub struct Breakage {
    /// Promise and words of each finding that it must cause, and it alone.
    finds: Vec<(u64, Vec<String>)>,
    mends: Vec<Mend>,
}

/// How something is mended.
enum Mend {
    Sql { database: &'static str, sql: String },
    Unlock(Lock),
    Void { reference: String },
    Resume { service: &'static str },
    Gateway { url: String },
}

impl Breakage {
    fn mended_by(mends: impl IntoIterator<Item = Mend>) -> Self {
        Self { finds: Vec::new(), mends: mends.into_iter().collect() }
    }

    /// Something that needs no mending.
    pub fn passing() -> Self {
        Self::mended_by([])
    }

    /// Breaks with some SQL and is mended with other.
    pub async fn sql(shop: &Shop, database: &'static str, broken: &str, mended: String) -> Self {
        shop.sql(database, broken).await;
        Self::mended_by([Mend::Sql { database, sql: mended }])
    }

    /// The columns of the one row that `which` finds are given other values.
    pub async fn changed(
        shop: &Shop,
        database: &'static str,
        table: &str,
        which: &str,
        values: &[(&str, &str)],
    ) -> Self {
        let saved = saved();
        let list = |item: &dyn Fn(&str, &str) -> String| {
            values.iter().map(|(column, value)| item(column, value)).collect::<Vec<_>>().join(", ")
        };
        let (was, set) =
            (list(&|column, _| format!("{column} AS was_{column}")), list(&|c, value| format!("{c} = {value}")));
        let back = list(&|column, _| format!("{column} = was_{column}"));
        let broken = format!(
            "CREATE TABLE {saved} AS SELECT {was} FROM {table} WHERE {which};
             UPDATE {table} SET {set} WHERE {which}"
        );
        let mended = format!("UPDATE {table} SET {back} FROM {saved} WHERE {which}; DROP TABLE {saved}");
        Self::sql(shop, database, &broken, mended).await
    }

    /// The rows that `which` finds are taken away.
    pub async fn without(shop: &Shop, database: &'static str, table: &str, which: &str) -> Self {
        let saved = saved();
        let broken = format!(
            "CREATE TABLE {saved} AS SELECT * FROM {table} WHERE {which};
             DELETE FROM {table} WHERE {which}"
        );
        let mended = format!("INSERT INTO {table} SELECT * FROM {saved}; DROP TABLE {saved}");
        Self::sql(shop, database, &broken, mended).await
    }

    /// A row is added; `which` finds it.
    pub async fn with(
        shop: &Shop,
        database: &'static str,
        table: &str,
        columns: &str,
        values: &str,
        which: &str,
    ) -> Self {
        let broken = format!("INSERT INTO {table} ({columns}) VALUES ({values})");
        Self::sql(shop, database, &broken, format!("DELETE FROM {table} WHERE {which}")).await
    }

    /// What guards a table against others is taken away.
    pub async fn unguarded(
        shop: &Shop,
        database: &'static str,
        table: &str,
        constraint: &str,
        definition: &str,
    ) -> Self {
        let broken = format!("ALTER TABLE {table} DROP CONSTRAINT {constraint}");
        let mended = format!("ALTER TABLE {table} ADD CONSTRAINT {constraint} {definition}");
        Self::sql(shop, database, &broken, mended).await
    }

    /// The card network captures something that nobody asked for.
    pub async fn charged(shop: &Shop, reference: &str) -> Self {
        let amount = json!({"amount_minor": 100, "currency": "EUR"});
        let charge = json!({"merchant_reference": reference, "amount": amount, "card_token": "tok_visa"});
        post_to_the_network(shop, "/charges", charge).await;
        Self::mended_by([Mend::Void { reference: reference.to_owned() }])
    }

    /// A service is there and answers nobody.
    pub fn silent(shop: &Shop, service: &'static str) -> Self {
        shop.platform.pause(service);
        Self::mended_by([Mend::Resume { service }])
    }

    /// Who asks the gateway asks somebody else.
    pub fn misled(shop: &Shop, door: &str) -> Self {
        shop.command_line.put_service("gateway", door);
        Self::mended_by([Mend::Gateway { url: shop.platform.url("gateway").to_owned() }])
    }

    /// Nobody can take what is locked: workers pass it by. It is let go after what was broken later is mended.
    pub fn locked(lock: Lock) -> Self {
        Self::mended_by([Mend::Unlock(lock)])
    }

    /// A finding that it must cause: of this promise, with all these words.
    pub fn fires(mut self, promise: u64, words: &[&str]) -> Self {
        self.finds.push((promise, words.iter().map(|&word| word.to_owned()).collect()));
        self
    }

    /// Both are one; the other was broken later.
    pub fn and(mut self, other: Self) -> Self {
        self.finds.extend(other.finds);
        self.mends.extend(other.mends);
        self
    }
}

/// A name that no table has.
fn saved() -> String {
    format!("saved_{}", OrderId::new().to_string().replace('-', ""))
}

async fn post_to_the_network(shop: &Shop, path: &str, body: Value) {
    let url = format!("{}{path}", shop.platform.url("psp"));
    let answer = reqwest::Client::new().post(url).json(&body).send().await.expect("the network answers");
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
}

/// Takes back all of them, the last first.
pub async fn mend(shop: &Shop, breakages: Vec<Breakage>) {
    for mend in breakages.into_iter().flat_map(|breakage| breakage.mends).rev() {
        match mend {
            Mend::Sql { database, sql } => shop.sql(database, &sql).await,
            Mend::Unlock(lock) => lock.release().await,
            Mend::Void { reference } => {
                post_to_the_network(shop, &format!("/charges/{reference}/void"), json!({})).await;
            }
            Mend::Resume { service } => shop.platform.resume(service),
            Mend::Gateway { url } => shop.command_line.put_service("gateway", &url),
        }
    }
}

/// Each breakage is found, and nothing is found that none of them explains. Gives the promises that fired.
#[track_caller]
pub fn assert_found(rows: &Rows, breakages: &[Breakage]) -> BTreeSet<u64> {
    let mut unexplained = rows.findings();
    let mut missed = Vec::new();
    for find in breakages.iter().flat_map(|breakage| &breakage.finds) {
        let (promise, words) = find;
        let is_it =
            |(number, found): &(u64, String)| number == promise && words.iter().all(|word| found.contains(word));
        match unexplained.iter().position(is_it) {
            Some(at) => drop(unexplained.swap_remove(at)),
            None => missed.push(find),
        }
    }
    assert!(missed.is_empty() && unexplained.is_empty(), "missed: {missed:#?}\nunexplained: {unexplained:#?}");
    breakages.iter().flat_map(|breakage| &breakage.finds).map(|(promise, _)| *promise).collect()
}

//! Looking for words in all that a database holds.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, PgPool};

/// What ANALYZE has sampled of the tables.
const SAMPLES: &str = "pg_catalog.pg_stats";

/// Where a database holds any of these words, each place as `table: word`: in every table there is, whatever its columns are
/// called and whatever their types are, in bytes as well, and in what ANALYZE has sampled (`pg_catalog.pg_stats`). Case is not looked
/// at, save in bytes: say a word as it was written. A word is plain ASCII without quotes and backslashes. Ask as the owner, who may look everywhere.
pub async fn places_with(database: &PgPool, words: &[&str]) -> BTreeSet<String> {
    let mut tables: Vec<String> = sqlx::query_scalar(
        "SELECT pg_class.oid::regclass::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
         -- of what is partitioned the whole, not each part
         WHERE relkind IN ('r', 'p', 'm') AND NOT relispartition AND nspname NOT IN ('pg_catalog', 'information_schema')",
    )
    .fetch_all(database)
    .await
    .expect("the catalogue can be read");
    tables.push(SAMPLES.to_owned());
    let mut places = BTreeSet::new();
    for table in tables {
        let query = format!(
            "SELECT word FROM unnest($1::text[]) AS word
             WHERE EXISTS (
                 SELECT FROM {table} AS whole_row
                 WHERE strpos(lower(whole_row::text), lower(word)) > 0
                     -- a row shows its bytes in hexadecimal
                     OR strpos(whole_row::text, encode(convert_to(word, 'UTF8'), 'hex')) > 0)"
        );
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query))
            .bind(words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
            .fetch_all(database)
            .await
            .unwrap_or_else(|error| panic!("{table} cannot be looked through: {error}"));
        places.extend(found.into_iter().map(|word| format!("{table}: {word}")));
    }
    places
}

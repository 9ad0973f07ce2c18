//! What every test needs: a database with a log, and something that operators change.

use operator_log::{Action, Operator, note_in_tx};
use sqlx::{FromRow, PgConnection};
use testkit::TestDatabase;
use uuid::Uuid;

/// An entry as it lies in the database.
#[derive(Debug, PartialEq, FromRow)]
pub struct Entry {
    pub operator: String,
    pub action: String,
    pub object: String,
    pub detail: serde_json::Value,
    pub trace_id: Option<String>,
}

pub struct World {
    pub database: TestDatabase,
}

impl World {
    pub async fn new() -> Self {
        let database = testkit::database("log", &[&operator_log::MIGRATOR]).await;
        sqlx::raw_sql("CREATE TABLE thing (size bigint NOT NULL); INSERT INTO thing VALUES (1)")
            .execute(&database.owner)
            .await
            .unwrap();
        Self { database }
    }

    /// Notes an action of each of these operators, one after another, each on an object of its number.
    pub async fn note(&self, operators: &[Operator]) {
        let mut conn = self.database.app.acquire().await.unwrap();
        for (number, &operator) in operators.iter().enumerate() {
            note_in_tx(&mut conn, &Action::new(operator, "paint", format!("thing/{number}"))).await.unwrap();
        }
    }

    /// All entries, oldest first.
    pub async fn entries(&self) -> Vec<Entry> {
        sqlx::query_as("SELECT operator, action, object, detail, trace_id FROM operator_log ORDER BY id")
            .fetch_all(&self.database.owner)
            .await
            .unwrap()
    }

    pub async fn size(&self) -> i64 {
        sqlx::query_scalar("SELECT size FROM thing").fetch_one(&self.database.owner).await.unwrap()
    }
}

/// Somebody.
pub fn somebody() -> Operator {
    Operator::Account(Uuid::now_v7())
}

/// Makes the thing so large, with its entry.
pub async fn resize_in_tx(conn: &mut PgConnection, operator: Operator, size: i64) {
    let before: i64 = sqlx::query_scalar("SELECT size FROM thing FOR UPDATE").fetch_one(&mut *conn).await.unwrap();
    sqlx::query("UPDATE thing SET size = $1").bind(size).execute(&mut *conn).await.unwrap();
    let action = Action::new(operator, "resize", "thing/the-one").changed("size", before, size);
    note_in_tx(conn, &action).await.unwrap();
}

//! What was noted stays as it was noted.

use operator_log::Operator;
use sqlx::{AssertSqlSafe, PgPool};

use crate::world::World;

/// SQLSTATE of what the role may not do.
const NOT_ALLOWED: &str = "42501";

/// The SQLSTATE that a statement is refused with.
async fn refusal(pool: &PgPool, statement: &str) -> Option<String> {
    let outcome = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(pool).await;
    outcome.err().and_then(|error| error.as_database_error()?.code().map(std::borrow::Cow::into_owned))
}

#[tokio::test]
async fn the_login_that_serves_can_neither_change_nor_delete_an_entry_nor_choose_its_time() {
    let world = World::new().await;
    world.note(&[Operator::Ops, Operator::CommandLine]).await;
    let before = world.entries().await;
    for statement in [
        "UPDATE operator_log SET operator = 'unnamed'",
        "UPDATE operator_log SET done_at = now()",
        "DELETE FROM operator_log",
        "TRUNCATE operator_log",
        "DROP TABLE operator_log",
        "ALTER TABLE operator_log ALTER COLUMN done_at SET DEFAULT '2000-01-01'",
        "INSERT INTO operator_log (done_at, operator, action, object, detail) VALUES ('2000-01-01', 'ops', 'a', 'b', '{}')",
        "INSERT INTO operator_log (id, operator, action, object, detail) OVERRIDING SYSTEM VALUE VALUES (9, 'ops', 'a', 'b', '{}')",
        "CREATE TRIGGER t BEFORE INSERT ON operator_log FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "SELECT FROM operator_log FOR UPDATE",
    ] {
        assert_eq!(refusal(&world.database.app, statement).await.as_deref(), Some(NOT_ALLOWED), "{statement}");
    }
    assert_eq!(world.entries().await, before);
}

#[tokio::test]
async fn the_reader_for_audits_reads_and_does_no_more() {
    let world = World::new().await;
    world.note(&[Operator::Ops]).await;
    let audit = PgPool::connect(&world.database.audit_url).await.unwrap();
    let entries: i64 = sqlx::query_scalar("SELECT count(*) FROM operator_log").fetch_one(&audit).await.unwrap();
    assert_eq!(entries, 1);
    let insert = "INSERT INTO operator_log (operator, action, object, detail) VALUES ('ops', 'a', 'b', '{}')";
    for statement in [insert, "DELETE FROM operator_log"] {
        assert_eq!(refusal(&audit, statement).await.as_deref(), Some(NOT_ALLOWED), "{statement}");
    }
}

#[tokio::test]
async fn an_entry_without_an_operator_a_word_or_an_object_is_refused() {
    let world = World::new().await;
    for values in [
        "'', 'put', 'a/b', '{}'",
        "'ops', '', 'a/b', '{}'",
        "'ops', 'two words', 'a/b', '{}'",
        "'ops', 'put', '', '{}'",
        "'ops', 'put', 'a/b', '[]'",
    ] {
        let insert = format!("INSERT INTO operator_log (operator, action, object, detail) VALUES ({values})");
        // check_violation
        assert_eq!(refusal(&world.database.app, &insert).await.as_deref(), Some("23514"), "{values}");
    }
}

//! The schema in which a replay works, and what becomes of it.

use std::collections::BTreeMap;

use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};

use super::{
    Failure,
    tables::{self, execute, quoted},
};
use crate::{
    group::{Group, Partition},
    handler::Kind,
};

/// How long a swap waits for locks. Readers of the tables wait behind it.
const SWAP_LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '1s'";

/// The limits of the role that serves (`local_servers::provision`), for a session of the owner. An outbox relies on the
/// first: a letter that is written by a longer transaction may never be published.
const SESSION_LIMITS: &str = "SET transaction_timeout = '10s'; SET idle_in_transaction_session_timeout = '10s';
     SET lock_timeout = '5s'";

/// A schema of a replay's own. While it is there, nobody but the replay looks into it; all that a replay has to remember lies
/// there, so dropping it undoes all.
#[derive(Debug, Clone)]
pub(crate) struct Generation {
    pub schema: String,
    kind: Kind,
}

impl Generation {
    /// That of a group's replay.
    pub fn of(group: &str, kind: Kind) -> Self {
        Self { schema: schema_of(group), kind }
    }

    /// Makes the schema; the caller commits. One that a replay left behind that was killed is dropped first.
    pub async fn make_in_tx(&self, conn: &mut PgConnection) -> Result<(), Failure> {
        let schema = quoted(&self.schema);
        execute(conn, format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")).await?;
        // in place of those in `public`, for every statement that names no schema
        for table in ["consumer_position", "consumer_parked"] {
            execute(conn, format!("CREATE TABLE {schema}.{table} (LIKE public.{table} INCLUDING ALL)")).await?;
        }
        if let Kind::Projection { tables } = self.kind {
            execute(conn, format!("CREATE TABLE {schema}.consumer_inbox (LIKE public.consumer_inbox INCLUDING ALL)"))
                .await?;
            self.switch_letters_off_in_tx(conn).await?;
            for table in tables {
                let known: bool = sqlx::query_scalar("SELECT to_regclass('public.' || quote_ident($1)) IS NOT NULL")
                    .bind(table)
                    .fetch_one(&mut *conn)
                    .await?;
                if !known {
                    return Err(Failure::Other(format!(
                        "there is no table {table}, which the handler names as its own"
                    )));
                }
            }
            tables::make_in_tx(conn, &self.schema, tables).await?;
            self.compare_in_tx(conn).await?;
        }
        Ok(())
    }

    /// Letters that the handler writes go nowhere, if the service has an outbox.
    async fn switch_letters_off_in_tx(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let publishes: bool =
            sqlx::query_scalar("SELECT to_regclass('public.outbox') IS NOT NULL").fetch_one(&mut *conn).await?;
        if publishes {
            let schema = quoted(&self.schema);
            execute(
                conn,
                format!(
                    "CREATE TABLE {schema}.outbox (LIKE public.outbox);
                     CREATE RULE letters_off AS ON INSERT TO {schema}.outbox DO INSTEAD NOTHING"
                ),
            )
            .await?;
        }
        Ok(())
    }

    /// Fails when a new table is not in every respect as the one in whose place it is to be put.
    async fn compare_in_tx(&self, conn: &mut PgConnection) -> Result<(), Failure> {
        let Kind::Projection { tables } = self.kind else { return Ok(()) };
        for table in tables {
            if let Some(difference) = tables::difference_in_tx(conn, &self.schema, table).await? {
                return Err(Failure::Other(format!(
                    "table {table} cannot be replaced by a new one: `{difference}` is not the same in both; if it was \
                     changed just now, begin again"
                )));
            }
        }
        Ok(())
    }

    /// Connections for which tables without a schema are those of the generation.
    pub fn pool(&self, live: &PgPool) -> PgPool {
        let path = format!("SET search_path = {}, public; {SESSION_LIMITS}", quoted(&self.schema));
        PgPoolOptions::new()
            // one at work, one for whatever is asked meanwhile
            .max_connections(2)
            .test_before_acquire(false)
            .after_connect(move |conn, _| {
                let path = path.clone();
                Box::pin(async move { execute(conn, path).await })
            })
            .connect_lazy_with((*live.connect_options()).clone())
    }

    /// Puts the replay to its start.
    pub async fn start_at(
        &self,
        pool: &PgPool,
        group: &Group,
        starts: &BTreeMap<Partition, i64>,
    ) -> Result<(), Failure> {
        let (topics, numbers): (Vec<&str>, Vec<i32>) = starts.keys().map(|it| (it.topic, it.number)).unzip();
        sqlx::query(
            r#"INSERT INTO consumer_position ("group", topic, partition, next)
               SELECT $1, topic, partition, next FROM unnest($2::text[], $3::integer[], $4::bigint[])
                   AS start (topic, partition, next)"#,
        )
        .bind(group.name)
        .bind(topics)
        .bind(numbers)
        .bind(starts.values().copied().collect::<Vec<_>>())
        .execute(pool)
        .await?;
        Ok(())
    }

    /// Has the planner know the new tables from their first query on.
    pub async fn analyze(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let Kind::Projection { tables } = self.kind else { return Ok(()) };
        for table in tables {
            execute(conn, format!("ANALYZE {}.{}", quoted(&self.schema), quoted(table))).await?;
        }
        Ok(())
    }

    /// Puts the generation in the place of the old one: tables, parked letters, and which letters had their effect. The
    /// caller has locked the group's positions, and seen that the replay's are the same; it commits.
    ///
    /// Fails with [`Failure::Busy`] when somebody holds a lock for long.
    pub async fn swap_in_tx(&self, conn: &mut PgConnection, group: &Group) -> Result<(), Failure> {
        let Kind::Projection { tables } = self.kind else { return Ok(()) };
        let schema = quoted(&self.schema);
        let names: Vec<String> = tables.iter().map(|table| quoted(table)).collect();
        let old = names.iter().map(|name| format!("public.{name}")).collect::<Vec<_>>().join(", ");
        execute(conn, SWAP_LOCK_TIMEOUT.to_owned()).await?;
        // the order in which retries lock: the letter, then the tables
        sqlx::query(r#"SELECT FROM consumer_parked WHERE "group" = $1 FOR UPDATE"#)
            .bind(group.name)
            .execute(&mut *conn)
            .await?;
        execute(conn, format!("LOCK TABLE {old} IN ACCESS EXCLUSIVE MODE")).await?;
        self.compare_in_tx(conn).await?;
        execute(conn, "SET LOCAL search_path = public".to_owned()).await?;
        execute(conn, format!("DROP TABLE {old}")).await?;
        for name in &names {
            execute(conn, format!("ALTER TABLE {schema}.{name} SET SCHEMA public")).await?;
        }
        self.swap_parked_in_tx(conn, group).await?;
        self.swap_inbox_in_tx(conn, group).await?;
        execute(conn, format!("DROP SCHEMA {schema} CASCADE")).await?;
        Ok(())
    }

    /// What the new generation could not take waits in it as it does in the old one, to be tried afresh.
    async fn swap_parked_in_tx(&self, conn: &mut PgConnection, group: &Group) -> Result<(), sqlx::Error> {
        sqlx::query(r#"DELETE FROM public.consumer_parked WHERE "group" = $1"#)
            .bind(group.name)
            .execute(&mut *conn)
            .await?;
        execute(
            conn,
            format!(
                r#"INSERT INTO public.consumer_parked ("group", topic, partition, "offset", key, header_names,
                       header_values, payload, traceparent, error, next_retry_at)
                   SELECT "group", topic, partition, "offset", key, header_names, header_values, payload, traceparent,
                       error, now()
                   FROM {}.consumer_parked ORDER BY id"#,
                quoted(&self.schema)
            ),
        )
        .await
    }

    async fn swap_inbox_in_tx(&self, conn: &mut PgConnection, group: &Group) -> Result<(), sqlx::Error> {
        sqlx::query(r#"DELETE FROM public.consumer_inbox WHERE "group" = $1"#)
            .bind(group.name)
            .execute(&mut *conn)
            .await?;
        let schema = quoted(&self.schema);
        execute(conn, format!("INSERT INTO public.consumer_inbox SELECT * FROM {schema}.consumer_inbox")).await
    }

    /// Drops all that the replay made for itself.
    pub async fn drop(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        execute(conn, format!("DROP SCHEMA IF EXISTS {} CASCADE", quoted(&self.schema))).await
    }
}

/// A group's name with `_replay`; Postgres cuts names at 63 bytes, and a group's is shorter.
fn schema_of(group: &str) -> String {
    format!("{group}_replay")
}

//! The groups that are replayed.

use consumer::{
    ConsumerConfig, ConsumerService, EventHandler, HandlerError, Kind,
    replay::{self, ReplayConfig},
};
use contracts::{
    event::Event,
    topics::{ORDERS, SHIPMENTS},
};
use service_runtime::{
    Error, Shutdown,
    config::{KafkaConfig, MigrateConfig},
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{recorder::record, world::World};

/// Tables with all that a projection's may have.
const TABLES: &str = "
    CREATE TABLE per_key (
        key text CONSTRAINT key_counted_once PRIMARY KEY,
        letters bigint NOT NULL DEFAULT 0 CONSTRAINT letters_are_counted CHECK (letters >= 0)
    ) WITH (fillfactor = 25);
    CREATE TABLE seen (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        event_id uuid NOT NULL CONSTRAINT seen_once UNIQUE,
        key text COLLATE \"C\" NOT NULL CONSTRAINT seen_of_key REFERENCES per_key (key),
        sequence bigint NOT NULL CHECK (sequence > 0),
        twice bigint GENERATED ALWAYS AS (sequence * 2) STORED
    );
    CREATE INDEX seen_by_key ON seen (lower(key), sequence DESC) INCLUDE (event_id) WITH (fillfactor = 90)
        WHERE sequence > 0;
    CREATE TABLE aside (event_id uuid PRIMARY KEY);
    CREATE TABLE alone (event_id uuid PRIMARY KEY)";

/// What the catalog says of them by name.
const NAMES: &str = "
    SELECT indexdef AS line FROM pg_indexes WHERE schemaname = 'public' AND tablename IN ('seen', 'per_key')
    UNION ALL
    SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid IN ('public.seen'::regclass, 'public.per_key'::regclass)
    UNION ALL
    SELECT relname || ' ' || relkind::text || ' ' || coalesce(reloptions::text, '') || ' '
        || (SELECT string_agg(acl::text, ' ' ORDER BY acl::text) FROM unnest(relacl) AS acl)
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname ~ '^(seen|per_key)' AND relkind IN ('r', 'S')
    ORDER BY line";

/// Counts the letters of each key, keeps each, and tells of it by a letter of its own.
pub struct Count;

impl EventHandler for Count {
    const GROUP: &'static str = "test.count";
    const KIND: Kind = Kind::Projection { tables: &["per_key", "seen"] };

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        if event.event_type == "test.bad" {
            return Err(HandlerError::reject("no good"));
        }
        let known = sqlx::query("INSERT INTO per_key (key) VALUES ($1) ON CONFLICT DO NOTHING").bind(&event.subject);
        known.execute(&mut *conn).await?;
        let kept = sqlx::query(
            "INSERT INTO seen (event_id, key, sequence) VALUES ($1, $2, $3) ON CONFLICT (event_id) DO NOTHING",
        );
        let kept = kept.bind(event.id).bind(&event.subject).bind(event.sequence).execute(&mut *conn).await?;
        if kept.rows_affected() == 1 {
            let count = sqlx::query("UPDATE per_key SET letters = letters + 1 WHERE key = $1").bind(&event.subject);
            count.execute(&mut *conn).await?;
            let letter = Event { id: Uuid::now_v7(), ..event.clone() };
            outbox::append_in_tx(conn, SHIPMENTS, &letter)
                .await
                .map_err(|error| HandlerError::reject(error.to_string()))?;
        }
        Ok(())
    }
}

/// A projection that forgets to name one of its tables, or reaches for the real outbox.
pub struct Careless(pub &'static str);

impl EventHandler for Careless {
    const GROUP: &'static str = "test.careless";
    const KIND: Kind = Kind::Projection { tables: &["alone"] };

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        sqlx::query(self.0).bind(event.id).execute(conn).await?;
        Ok(())
    }
}

/// One row for each letter, which is its natural key.
pub struct Keep;

impl EventHandler for Keep {
    const GROUP: &'static str = "test.keep";
    const KIND: Kind = Kind::Effect;

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        if event.event_type == "test.bad" {
            return Err(HandlerError::reject("no good"));
        }
        let kept = sqlx::query("INSERT INTO aside (event_id) VALUES ($1) ON CONFLICT DO NOTHING").bind(event.id);
        if kept.execute(&mut *conn).await?.rows_affected() == 1 {
            record(conn, event).await?;
        }
        Ok(())
    }
}

/// Makes the tables, and an outbox.
pub async fn prepare(world: &World) {
    outbox::MIGRATOR.run(&world.database.owner).await.unwrap();
    sqlx::raw_sql(TABLES).execute(&world.database.owner).await.unwrap();
}

/// Names, definitions and grants of the projection's tables.
pub async fn names(world: &World) -> Vec<String> {
    sqlx::query_scalar(NAMES).fetch_all(&world.database.owner).await.unwrap()
}

/// Nothing of a replay is left.
pub async fn nothing_is_left(world: &World) {
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%replay%'";
    assert_eq!(world.number(schemas).await, 0, "schemas of replays");
}

/// As `<service> replay GROUP --from …`.
pub async fn replay(world: &World, group: &str, from: &str) -> Result<(), Error> {
    replay_with(world, group, from, all).await
}

pub async fn replay_with(
    world: &World,
    group: &str,
    from: &str,
    handlers: impl FnOnce(ConsumerConfig, PgPool) -> ConsumerService,
) -> Result<(), Error> {
    let config = ReplayConfig {
        group: group.to_owned(),
        from: from.to_owned(),
        to: None,
        json: true,
        database: MigrateConfig { database_url: world.database.owner_url.clone().into() },
        kafka: KafkaConfig {
            kafka_bootstrap_servers: world.kafka.bootstrap.clone(),
            kafka_namespace: world.kafka.namespace.clone(),
        },
    };
    replay::run(config, "test", handlers, &Shutdown::new()).await
}

/// The handlers of the imagined service.
pub fn all(config: ConsumerConfig, pool: PgPool) -> ConsumerService {
    ConsumerService::new(config, pool).on(ORDERS, Count).on(ORDERS, Keep)
}

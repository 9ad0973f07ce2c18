//! Where a group is. All SQL on `consumer_position`.

use std::collections::BTreeMap;

use sqlx::{PgConnection, PgPool};

use crate::group::{Group, Partition};

/// A step of a group through a partition: the letters from `from` up to, not including, `to`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub partition: Partition,
    pub from: i64,
    pub to: i64,
}

/// The positions of these partitions. One that the group has never been to gets a row, at 0.
pub(crate) async fn read(
    pool: &PgPool,
    group: &Group,
    partitions: &[Partition],
) -> Result<BTreeMap<Partition, i64>, sqlx::Error> {
    let (topics, numbers): (Vec<&str>, Vec<i32>) = partitions.iter().map(|p| (p.topic, p.number)).unzip();
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        r#"WITH wanted AS MATERIALIZED (
               SELECT * FROM unnest($2::text[], $3::integer[]) WITH ORDINALITY AS wanted (topic, partition, place)
           ), made AS (
               INSERT INTO consumer_position ("group", topic, partition, next)
               SELECT $1, topic, partition, 0 FROM wanted ORDER BY topic, partition
               ON CONFLICT DO NOTHING
           )
           SELECT place - 1, coalesce(next, 0)
           FROM wanted LEFT JOIN consumer_position AS known
               ON known."group" = $1 AND known.topic = wanted.topic AND known.partition = wanted.partition"#,
    )
    .bind(group.name)
    .bind(topics)
    .bind(numbers)
    .fetch_all(pool)
    .await?;
    let place = |place: i64| usize::try_from(place).expect("the database counts from 0");
    Ok(rows.into_iter().map(|(at, next)| (partitions[place(at)], next)).collect())
}

/// The positions of these partitions, all of which have a row, locked: the group stands still until the transaction ends.
pub(crate) async fn lock_in_tx(
    conn: &mut PgConnection,
    group: &Group,
    partitions: &[Partition],
) -> Result<BTreeMap<Partition, i64>, sqlx::Error> {
    let (topics, numbers): (Vec<&str>, Vec<i32>) = partitions.iter().map(|p| (p.topic, p.number)).unzip();
    let rows: Vec<(String, i32, i64)> = sqlx::query_as(
        r#"SELECT topic, partition, next FROM consumer_position
           WHERE "group" = $1 AND (topic, partition) IN (SELECT * FROM unnest($2::text[], $3::integer[]))
           ORDER BY topic, partition
           FOR UPDATE"#,
    )
    .bind(group.name)
    .bind(topics)
    .bind(numbers)
    .fetch_all(conn)
    .await?;
    let known = rows
        .into_iter()
        .filter_map(|(topic, number, next)| Some((Partition { topic: group.topic(&topic)?, number }, next)));
    Ok(known.collect())
}

/// A group that was moved on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Advanced {
    /// Whether any letter of the group is parked. Nobody else can park one of these partitions before this transaction ends: that moves the
    /// position as well.
    pub has_parked: bool,
}

/// Moves the group on in all these partitions; `None` when it is not where one of the moves starts from, because another member has
/// moved it. Whoever makes effects does it in the same transaction, and rolls back then; until its end the rows stay locked, so
/// nobody else's batch of these partitions runs at the same time.
pub(crate) async fn advance(
    conn: &mut PgConnection,
    group: &Group,
    moves: &[Move],
) -> Result<Option<Advanced>, sqlx::Error> {
    let topics: Vec<&str> = moves.iter().map(|step| step.partition.topic).collect();
    let numbers: Vec<i32> = moves.iter().map(|step| step.partition.number).collect();
    let from: Vec<i64> = moves.iter().map(|step| step.from).collect();
    let to: Vec<i64> = moves.iter().map(|step| step.to).collect();
    let (rows, has_parked): (i64, bool) = sqlx::query_as(
        r#"WITH moved AS (
               UPDATE consumer_position AS position
               SET next = step.after
               FROM unnest($2::text[], $3::integer[], $4::bigint[], $5::bigint[])
                   AS step (topic, partition, before, after)
               WHERE position."group" = $1 AND position.topic = step.topic AND position.partition = step.partition
                   AND position.next = step.before
               RETURNING position.partition
           )
           SELECT (SELECT count(*) FROM moved), EXISTS (SELECT FROM consumer_parked WHERE "group" = $1)"#,
    )
    .bind(group.name)
    .bind(topics)
    .bind(numbers)
    .bind(from)
    .bind(to)
    .fetch_one(conn)
    .await?;
    Ok((usize::try_from(rows) == Ok(moves.len())).then_some(Advanced { has_parked }))
}

/// Every partition in which some group of the database has a position: topic and number.
pub(crate) async fn known(conn: &mut PgConnection) -> Result<Vec<(String, i32)>, sqlx::Error> {
    sqlx::query_as("SELECT DISTINCT topic, partition FROM consumer_position ORDER BY topic, partition")
        .fetch_all(conn)
        .await
}

/// Moves every group back to these places, each a topic, a partition and an offset. Nobody is moved forward. Tells how many
/// positions there are in these partitions.
pub(crate) async fn move_back_in_tx(
    conn: &mut PgConnection,
    places: &[(String, i32, i64)],
) -> Result<u64, sqlx::Error> {
    let topics: Vec<&str> = places.iter().map(|(topic, ..)| topic.as_str()).collect();
    let numbers: Vec<i32> = places.iter().map(|&(_, number, _)| number).collect();
    let offsets: Vec<i64> = places.iter().map(|&(.., offset)| offset).collect();
    let moved = sqlx::query(
        "UPDATE consumer_position AS position
         SET next = least(position.next, place.next)
         FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS place (topic, partition, next)
         WHERE position.topic = place.topic AND position.partition = place.partition",
    )
    .bind(topics)
    .bind(numbers)
    .bind(offsets)
    .execute(conn)
    .await?;
    Ok(moved.rows_affected())
}

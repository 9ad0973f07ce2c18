//! How far everybody says to have come: relays, consumer groups, and which letters the groups have refused.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::types::Uuid;

use super::case::Letter;
use super::dead_letters::{self, Copy};
use super::outboxes::{self, FOLLOWERS, OUTBOXES};
use super::sources::{Sources, unread};
use super::streams;
use crate::failure::Failure;

/// Refused letters that are read of one database. Consumers park no more than that.
const PARKED_MAX: i64 = 100_000;

/// What stands in the databases before anything else is read: so a letter that it speaks of is found later.
#[derive(Debug, Default)]
pub struct Marks {
    /// By the place of the topic.
    relays: Vec<Relay>,
    /// By group, topic and partition: the first offset that has had no effect yet.
    pub positions: BTreeMap<(String, u8, i32), i64>,
    /// Every letter that is set aside.
    pub parked: Vec<Parked>,
    /// Every copy of a dead letter.
    pub copies: BTreeSet<Copy>,
    /// Which group has refused which letter at some time: by topic, partition, offset and group.
    refused: BTreeSet<(u8, i32, i64, String)>,
}

/// What the relay of an outbox has published.
#[derive(Debug)]
struct Relay {
    floor: i64,
    above: Vec<(i64, i64)>,
    /// Seconds since 1970: what was written before may have been dropped.
    oldest: f64,
}

/// A letter that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Parked {
    pub id: i64,
    pub group: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub is_dead: bool,
    /// Seconds since its copy was due; none when it has one or needs none.
    pub copy_late_seconds: Option<i64>,
    /// Seconds since it should have been tried again; none when another letter of its key comes first.
    pub retry_late_seconds: Option<i64>,
}

impl Marks {
    /// Reads them all.
    pub async fn read(sources: &Sources) -> Result<Self, Failure> {
        let mut marks = Self::default();
        for outbox in OUTBOXES {
            marks.relays.push(Relay::read(sources, outbox.database).await?);
        }
        for database in FOLLOWERS {
            marks.read_positions(sources, database).await?;
            marks.read_parked(sources, database).await?;
        }
        marks.copies = dead_letters::copies(sources).await?;
        marks.read_stream_positions(sources).await?;
        let parked = marks.parked.iter().filter_map(|letter| {
            Some((outboxes::place(&letter.topic)?, letter.partition, letter.offset, letter.group.clone()))
        });
        let copied = marks
            .copies
            .iter()
            .filter_map(|copy| Some((outboxes::place(&copy.topic)?, copy.partition, copy.offset, copy.group.clone())));
        marks.refused = parked.chain(copied).collect();
        Ok(marks)
    }

    async fn read_positions(&mut self, sources: &Sources, database: &'static str) -> Result<(), Failure> {
        // a replay's positions say nothing about the group
        let rows: Vec<(String, String, i32, i64)> = sqlx::query_as(
            r#"SELECT "group", topic, partition, next FROM consumer_position WHERE "group" NOT LIKE '%@%'"#,
        )
        .fetch_all(sources.database(database)?)
        .await
        .map_err(unread(database))?;
        let known = rows
            .into_iter()
            .filter_map(|(group, topic, partition, next)| Some(((group, outboxes::place(&topic)?, partition), next)));
        self.positions.extend(known);
        Ok(())
    }

    /// A group with dead letters and no position here is a stream: Kafka knows how far it has come.
    async fn read_stream_positions(&mut self, sources: &Sources) -> Result<(), Failure> {
        let known: BTreeSet<&String> = self.positions.keys().map(|(group, ..)| group).collect();
        let mut streams: BTreeMap<&str, BTreeSet<(String, i32)>> = BTreeMap::new();
        for copy in self.copies.iter().filter(|copy| !known.contains(&copy.group)) {
            streams.entry(&copy.group).or_default().insert((copy.topic.clone(), copy.partition));
        }
        for (group, partitions) in streams {
            let positions = streams::positions(sources, group, partitions).await?;
            self.positions.extend(positions.into_iter().filter_map(|((topic, partition), next)| {
                Some(((group.to_owned(), outboxes::place(&topic)?, partition), next))
            }));
        }
        Ok(())
    }

    async fn read_parked(&mut self, sources: &Sources, database: &'static str) -> Result<(), Failure> {
        let rows: Vec<Parked> = sqlx::query_as(
            r#"SELECT id, "group", topic, partition, "offset", state = 'dead' AS is_dead,
                   CASE WHEN state = 'dead' THEN extract(epoch FROM now() - copy_due_at)::bigint END
                       AS copy_late_seconds,
                   CASE WHEN state = 'parked' AND NOT EXISTS (
                       SELECT FROM consumer_parked AS earlier
                       WHERE earlier."group" = parked."group" AND earlier.topic = parked.topic
                           AND earlier.key_hash = parked.key_hash AND earlier.id < parked.id
                   ) THEN extract(epoch FROM now() - next_retry_at)::bigint END AS retry_late_seconds
               FROM consumer_parked AS parked
               ORDER BY id LIMIT $1"#,
        )
        .bind(PARKED_MAX)
        .fetch_all(sources.database(database)?)
        .await
        .map_err(unread(database))?;
        self.parked.extend(rows);
        Ok(())
    }

    /// Whether the relay of this topic says that it has published the row with this id.
    pub fn is_published(&self, topic: u8, id: i64) -> bool {
        let relay = &self.relays[usize::from(topic)];
        id <= relay.floor || relay.above.iter().any(|&(first, last)| (first..=last).contains(&id))
    }

    /// Since when the outbox of this topic has dropped nothing, in seconds since 1970.
    pub fn kept_since(&self, topic: u8) -> f64 {
        self.relays[usize::from(topic)].oldest
    }

    /// Whether a group has passed this letter, and has not set it aside: then it must have had its effect.
    pub fn has_had_effect(&self, group: &str, letter: &Letter) -> bool {
        let (topic, partition, offset) = (letter.topic, letter.partition, letter.offset);
        let passed = self.positions.get(&(group.to_owned(), topic, partition)).is_some_and(|&next| offset < next);
        passed && !self.refused.contains(&(topic, partition, offset, group.to_owned()))
    }

    /// Whether some group has refused what lies there.
    pub fn is_refused(&self, topic: u8, partition: i32, offset: i64) -> bool {
        let from = (topic, partition, offset, String::new());
        self.refused.range(from..).next().is_some_and(|(t, p, o, _)| (*t, *p, *o) == (topic, partition, offset))
    }

    /// Whether this group has refused what lies there.
    pub fn is_refused_by(&self, group: &str, topic: u8, partition: i32, offset: i64) -> bool {
        self.refused.contains(&(topic, partition, offset, group.to_owned()))
    }
}

impl Relay {
    async fn read(sources: &Sources, database: &'static str) -> Result<Self, Failure> {
        let pool = sources.database(database)?;
        let rows: Vec<(i64, Option<i64>, Option<i64>)> = sqlx::query_as(
            "SELECT floor, lower(published_range), upper(published_range) - 1
             FROM outbox_progress LEFT JOIN LATERAL unnest(published) AS published_range ON true",
        )
        .fetch_all(pool)
        .await
        .map_err(unread(database))?;
        // whole days are dropped, so the oldest day that there is tells
        let oldest: Option<f64> = sqlx::query_scalar(
            "SELECT extract(epoch FROM min(to_date(right(child.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC'))::float8
             FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
             WHERE inhparent = 'outbox'::regclass AND child.relname ~ '^outbox_[0-9]{8}$'",
        )
        .fetch_one(pool)
        .await
        .map_err(unread(database))?;
        let floor = rows.first().map_or(0, |&(floor, ..)| floor);
        let above = rows.into_iter().filter_map(|(_, first, last)| Some((first?, last?))).collect();
        Ok(Self { floor, above, oldest: oldest.unwrap_or_default() })
    }
}

/// The subject under which a letter is shown.
pub fn letter(topic: u8, event_id: Uuid) -> String {
    format!("{} letter {event_id}", outboxes::name(topic))
}

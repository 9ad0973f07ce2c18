//! The ceiling: what the database server of the platform can do at all with the SQL of an order, from a client as light as
//! pgbench. The servers' distribution brings no pgbench along, so `script` reads its scripts and `wire` speaks the
//! protocol; each client has a connection and prepared statements, and all share one thread.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use reqwest::Url;
use sqlx::{Connection as _, Executor, PgConnection};
use tokio::task::JoinSet;

use crate::{
    platform::Platform,
    script::Script,
    slice::{Departures, Pace, Tally},
    wire::Connection,
};

/// A database beside those of the services.
const DATABASE: &str = "ceiling";

/// A database with an order's tables, and the two ways to write one.
#[derive(Debug)]
pub struct Ceiling {
    url: Url,
    database: PgConnection,
    /// One statement, one commit.
    pub one_commit: Arc<Script>,
    /// Three statements, three commits.
    pub three_commits: Arc<Script>,
}

impl Ceiling {
    /// Makes the database on the platform's server.
    pub async fn prepare(platform: &Platform) -> Result<Self> {
        let mut server = PgConnection::connect(&platform.database_url("postgres")).await?;
        // a new server has no such database
        server.execute("CREATE DATABASE ceiling").await?;
        server.close().await?;
        let url = platform.database_url(DATABASE);
        let mut database = PgConnection::connect(&url).await?;
        sqlx::raw_sql(include_str!("../sql/tables.sql")).execute(&mut database).await?;
        Ok(Self {
            url: url.parse().context("the server has no address")?,
            database,
            one_commit: Arc::new(Script::parse(include_str!("../sql/p1.sql"))?),
            three_commits: Arc::new(Script::parse(include_str!("../sql/p3.sql"))?),
        })
    }

    /// Forgets the orders of the slice before, and has the server write out what it has in memory: every slice, also one of
    /// the platform, begins right after a checkpoint, and pays for the first change of each page.
    pub async fn sweep(&mut self) -> Result<()> {
        // one by one: VACUUM and CHECKPOINT take no transaction
        for statement in ["TRUNCATE reservation, payment, orders, outbox, timeline", "VACUUM stock", "CHECKPOINT"] {
            self.database.execute(statement).await.with_context(|| statement)?;
        }
        Ok(())
    }

    /// Opens a connection for each of so many clients, with the script's statements prepared.
    pub async fn clients(&self, script: &Arc<Script>, count: u16) -> Result<Clients> {
        let mut connections = Vec::with_capacity(count.into());
        for _ in 0..count {
            let mut connection = Connection::connect(&self.url).await?;
            for (number, statement) in script.statements().iter().enumerate() {
                connection.prepare(number, &statement.sql).await?;
            }
            connections.push(connection);
        }
        Ok(Clients { connections, script: script.clone() })
    }
}

/// Clients with open connections, for one slice.
#[derive(Debug)]
pub struct Clients {
    connections: Vec<Connection>,
    script: Arc<Script>,
}

impl Clients {
    /// Orders for so long. Gives what came of it, and how long it was until the last answer.
    pub async fn order(self, pace: Pace, length: Duration) -> Result<(Tally, Duration)> {
        let departures = Arc::new(Departures::begin(pace, length));
        let mut clients = JoinSet::new();
        for connection in self.connections {
            clients.spawn(order(connection, self.script.clone(), departures.clone()));
        }
        let mut tally = Tally::default();
        while let Some(client) = clients.join_next().await {
            tally.add(client??);
        }
        Ok((tally, departures.elapsed()))
    }
}

async fn order(mut connection: Connection, script: Arc<Script>, departures: Arc<Departures>) -> Result<Tally> {
    let mut tally = Tally::default();
    while let Some(departure) = departures.next().await {
        let drawn = script.draw(departure.number);
        for (number, statement) in script.statements().iter().enumerate() {
            let parameters = statement.parameters.iter().map(|&variable| drawn[variable].as_str());
            connection.execute(number, parameters).await?;
        }
        tally.taken(departure.due);
    }
    Ok(tally)
}

//! What an audit reads from: the databases through roles that can only read, the card network, the topics, the services.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::failure::Failure;
use crate::http;
use crate::state::{ServiceAddress, State};

/// How long a connection to a database may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Streams that are open at once on one database, and one more.
const CONNECTIONS: u32 = 4;

/// How long a service may take to answer one question.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Everything that is read.
#[derive(Debug)]
pub struct Sources {
    databases: BTreeMap<String, PgPool>,
    /// For everything that is asked by HTTP.
    pub http: reqwest::Client,
    /// Kafka's `host:port` list.
    pub bootstrap: String,
    /// What stands before every topic and group.
    pub namespace: String,
    /// The services.
    pub services: Vec<ServiceAddress>,
    /// The whole state, for who speaks to the gateway as a customer does.
    pub state: State,
}

impl Sources {
    /// Of a running platform. Nothing is connected yet.
    pub fn of(state: State, namespace: &str) -> Result<Self, Failure> {
        let connect = |url: &str| {
            let options = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(CONNECT_DEADLINE);
            options
                .connect_lazy(url)
                .map_err(|error| Failure::usage(format!("the state has a bad database URL: {error}")))
        };
        let databases = state.databases.iter().map(|(name, urls)| Ok((name.clone(), connect(&urls.audit)?)));
        Ok(Self {
            databases: databases.collect::<Result<_, Failure>>()?,
            http: http::client(ANSWER_DEADLINE),
            bootstrap: state.bootstrap.clone(),
            namespace: namespace.to_owned(),
            services: state.services.clone(),
            state,
        })
    }

    /// The database of this name, read-only.
    pub fn database(&self, name: &str) -> Result<&PgPool, Failure> {
        let missing = || Failure::unreachable(format!("the running platform has no database `{name}`"));
        self.databases.get(name).ok_or_else(missing)
    }

    /// Where a service answers calls.
    pub fn url(&self, service: &str) -> Result<&str, Failure> {
        let url = self.state.service(service)?.url.as_deref();
        url.ok_or_else(|| Failure::usage(format!("services/{service}/service.toml names no port")))
    }

    /// A topic's name on the wire.
    pub fn on_the_wire(&self, topic: &str) -> String {
        format!("{}{topic}", self.namespace)
    }
}

/// For `map_err`: a database did not tell.
pub fn unread(database: &str) -> impl FnOnce(sqlx::Error) -> Failure {
    move |error| Failure::unreachable(format!("the database {database} cannot be read: {error}"))
}

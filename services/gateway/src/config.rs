//! The command line. Each flag is also an environment variable of the same name.

use std::net::SocketAddr;

use clap::{Args, Parser};
use service_runtime::config::TlsConfig;

/// `gateway serve`.
#[derive(Debug, Parser)]
#[command(version, about = "The HTTP front door")]
pub enum Cli {
    /// Serves until SIGTERM or SIGINT.
    Serve(Config),
}

/// Settings of `gateway serve`.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Address of the public HTTP interface.
    #[arg(long, env = "LISTEN_ADDR", default_value = "127.0.0.1:8080")]
    pub listen_addr: SocketAddr,

    /// Address of `/livez`, `/readyz` and `/metrics`. Never public.
    #[arg(long, env = "OPS_ADDR", default_value = "127.0.0.1:9050")]
    pub ops_addr: SocketAddr,

    /// Where accounts answers.
    #[arg(long, env = "ACCOUNTS_URL", default_value = "http://127.0.0.1:50051")]
    pub accounts_url: String,

    /// Where order answers.
    #[arg(long, env = "ORDER_URL", default_value = "http://127.0.0.1:50052")]
    pub order_url: String,

    /// Where inventory answers.
    #[arg(long, env = "INVENTORY_URL", default_value = "http://127.0.0.1:50053")]
    pub inventory_url: String,

    /// Where shipping answers.
    #[arg(long, env = "SHIPPING_URL", default_value = "http://127.0.0.1:50055")]
    pub shipping_url: String,

    /// Where notification answers.
    #[arg(long, env = "NOTIFICATION_URL", default_value = "http://127.0.0.1:50056")]
    pub notification_url: String,

    /// Where analytics answers.
    #[arg(long, env = "ANALYTICS_URL", default_value = "http://127.0.0.1:50057")]
    pub analytics_url: String,

    /// Connections at once; more wait to be accepted. Each takes one open file.
    #[arg(long, env = "CONNECTIONS_MAX", default_value = "16384", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_max: u32,

    /// Requests that are worked on at once; more are shed with 503.
    #[arg(long, env = "REQUESTS_MAX", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub requests_max: u32,

    /// Streams of events at once, beside those requests; more are refused with 503. Each is a call to order under way, and
    /// order takes 1,024 of these on one connection.
    #[arg(long, env = "SSE_STREAMS_MAX", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub sse_streams_max: u32,

    /// Who issues tokens.
    #[command(flatten)]
    pub issuer: IssuerConfig,

    /// How services speak with each other.
    #[command(flatten)]
    pub tls: TlsConfig,
}

/// Who issues the tokens that are taken: accounts, unless the first three are set.
#[derive(Debug, Clone, Args)]
pub struct IssuerConfig {
    /// `iss` of the tokens of an OpenID Connect issuer, which are taken in place of those of accounts.
    #[arg(long, env = "TOKEN_ISSUER", default_value = "")]
    pub token_issuer: String,

    /// What `aud` of its tokens must be or hold.
    #[arg(long, env = "TOKEN_AUDIENCE", default_value = "")]
    pub token_audience: String,

    /// Where its keys are, as a JWK set: https, or http inside of a network that can be trusted.
    #[arg(long, env = "JWKS_URL", default_value = "")]
    pub jwks_url: String,

    /// Certificates of the CA that vouches for that server, in PEM; empty: those that browsers know.
    #[arg(long, env = "JWKS_CA_FILE", default_value = "")]
    pub jwks_ca_file: String,

    /// The claim of its tokens that lists roles, by its name or by a path like `realm_access.roles`.
    #[arg(long, env = "TOKEN_ROLES_CLAIM", default_value = "roles")]
    pub token_roles_claim: String,

    /// The role of whoever has neither `customer` nor `operator` among theirs: `customer`, or empty for none.
    #[arg(long, env = "TOKEN_DEFAULT_ROLE", default_value = "")]
    pub token_default_role: String,
}

//! The command line. Each flag is also an environment variable of the same name.

use std::net::SocketAddr;

use clap::{Args, Parser};
use service_runtime::config::TlsConfig;

use crate::{client_address::TrustedProxies, cross_origin::AllowedOrigins};

/// `gateway serve`.
#[derive(Debug, Parser)]
#[command(version, about = "The HTTP front door")]
pub enum Cli {
    /// Serves until SIGTERM or SIGINT.
    Serve(Config),
    /// Prints what the HTTP interface is, as OpenAPI 3.1.
    Openapi(Config),
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

    /// Streams of events at once, beside those requests; more are refused with 503. Each is a call to order or analytics under
    /// way, which take 1,024 of these on one connection.
    #[arg(long, env = "SSE_STREAMS_MAX", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub sse_streams_max: u32,

    /// Streams of events at once of one account; more are refused with 429.
    #[arg(long, env = "SSE_STREAMS_OF_ACCOUNT_MAX", default_value = "32", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub sse_streams_of_account_max: u32,

    /// What bodies may take at once, in KiB, from when they come until their requests are answered; more are shed with 503.
    #[arg(long, env = "BODIES_KIB_MAX", default_value = "16384", value_parser = clap::value_parser!(u32).range(256..=4_194_304))]
    pub bodies_kib_max: u32,

    /// Who issues tokens.
    #[command(flatten)]
    pub issuer: IssuerConfig,

    /// How many requests are taken from whom.
    #[command(flatten)]
    pub rate_limits: RateLimitConfig,

    /// Networks whose word counts on where a request comes from, as `10.0.0.0/8,192.0.2.7`. From everybody else the headers
    /// X-Forwarded-For and Forwarded are not looked at.
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "")]
    pub trusted_proxies: TrustedProxies,

    /// Origins whose pages may use the API, like `https://shop.example`, separated by commas; `*`: any; empty: none.
    #[arg(long, env = "CORS_ALLOWED_ORIGINS", default_value = "")]
    pub cors_allowed_origins: AllowedOrigins,

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

/// Requests a minute, which may come all at once; what is over is refused with 429. 0: no limit. A request counts for one of
/// these, and each process counts for itself.
#[derive(Debug, Clone, Copy, Args)]
pub struct RateLimitConfig {
    /// Requests a minute from one customer.
    #[arg(long, env = "RATE_LIMIT_CUSTOMER", default_value = "3000", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub rate_limit_customer: u32,

    /// Requests a minute from one operator.
    #[arg(long, env = "RATE_LIMIT_OPERATOR", default_value = "12000", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub rate_limit_operator: u32,

    /// Requests a minute from one address that bring no token, or none that was verified before.
    #[arg(long, env = "RATE_LIMIT_ADDRESS", default_value = "6000", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub rate_limit_address: u32,

    /// Requests a minute from one address that cost accounts a password hash: new accounts and new tokens. 0: these
    /// count as all others from there.
    #[arg(long, env = "RATE_LIMIT_PASSWORD", default_value = "300", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub rate_limit_password: u32,
}

//! The real process of accounts, on a real database and a real Kafka.

use std::{
    io::Write,
    process::{Child, Command, Output, Stdio},
};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use contracts::{
    accounts::v1::{
        Account, Address, EnsureAccountRequest, EraseAccountRequest, GetAccountRequest, JwksRequest, LoginRequest,
        RegisterRequest, SetAddressRequest, accounts_service_client::AccountsServiceClient,
    },
    problem::ProblemCode,
    topics::ACCOUNTS,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, jwk::JwkSet};
use rpc::Channel;
use serde_json::Value;
use testkit::{SOON, TestDatabase, TestKafka};
use tonic::Status;

pub const PASSWORD: &str = "correct horse";

/// A running accounts process; ended when the test ends.
pub struct Process {
    child: Child,
    pub client: AccountsServiceClient<Channel>,
    pub database: TestDatabase,
    pub kafka: TestKafka,
}

impl Drop for Process {
    fn drop(&mut self) {
        // a process that is gone already has ended
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn accounts(args: &[&str], database_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accounts"));
    command.args(args).env("DATABASE_URL", database_url).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Runs a command to its end, with `input` on its standard input.
pub fn run(args: &[&str], database_url: &str, input: &str) -> Output {
    let mut child = accounts(args, database_url).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

pub async fn start() -> Process {
    let database = testkit::database("accounts", &[]).await;
    assert!(run(&["migrate"], &database.owner_url, "").status.success());
    let kafka = testkit::kafka();
    // one partition, so that what was written earlier is also read earlier
    kafka.create_topic(ACCOUNTS.name(), 1).await;
    let mut key = tempfile::NamedTempFile::new().unwrap();
    key.write_all(new_key_pem().as_bytes()).unwrap();
    let [port, ops_port] = free_ports();
    let child = accounts(&["serve"], &database.app_url)
        .env("ACCOUNTS_SIGNING_KEY_FILE", key.path())
        .env("KAFKA_BOOTSTRAP_SERVERS", &kafka.bootstrap)
        .env("KAFKA_NAMESPACE", &kafka.namespace)
        .env("LISTEN_ADDR", format!("127.0.0.1:{port}"))
        .env("OPS_ADDR", format!("127.0.0.1:{ops_port}"))
        .spawn()
        .unwrap();
    let client = AccountsServiceClient::new(rpc::channel(&format!("http://127.0.0.1:{port}")).unwrap());
    testkit::eventually(SOON, "accounts answers", async || client.clone().jwks(JwksRequest {}).await.is_ok()).await;
    Process { child, client, database, kafka }
}

/// Ports that nothing listens on.
fn free_ports() -> [u16; 2] {
    testkit::free_addresses().map(|address| address.port())
}

fn new_key_pem() -> String {
    let key = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
    let base64 = base64::engine::general_purpose::STANDARD.encode(key.as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
}

impl Process {
    pub async fn register(&self, email: &str) -> Result<Account, Status> {
        self.register_as(newcomer(email, None)).await
    }

    pub async fn register_as(&self, request: RegisterRequest) -> Result<Account, Status> {
        let response = self.client.clone().register(request).await?;
        Ok(response.into_inner().account.unwrap())
    }

    /// The token, when the login succeeds.
    pub async fn login(&self, email: &str, password: &str) -> Result<String, Status> {
        let request = LoginRequest { email: email.to_owned(), password: password.to_owned() };
        let response = self.client.clone().login(request).await?.into_inner();
        assert_eq!(response.expires_in_seconds, 900);
        Ok(response.access_token)
    }

    pub async fn set_address(&self, id: &str, address: Address) -> Result<Account, Status> {
        let request = SetAddressRequest { account_id: id.to_owned(), address: Some(address) };
        Ok(self.client.clone().set_address(request).await?.into_inner().account.unwrap())
    }

    /// As the gateway says it of somebody whom another issuer vouches for.
    pub async fn ensure(&self, id: &str, email: &str, name: &str) -> Result<(), Status> {
        let request =
            EnsureAccountRequest { account_id: id.to_owned(), email: email.to_owned(), name: name.to_owned() };
        self.client.clone().ensure_account(request).await?;
        Ok(())
    }

    pub async fn account(&self, id: &str) -> Result<Account, Status> {
        let request = GetAccountRequest { account_id: id.to_owned() };
        Ok(self.client.clone().get_account(request).await?.into_inner().account.unwrap())
    }

    pub async fn erase(&self, id: &str) -> Result<(), Status> {
        let request = EraseAccountRequest { account_id: id.to_owned() };
        self.client.clone().erase_account(request).await.map(|_| ())
    }

    /// The claims of a token, verified as the world verifies it: with nothing but the JWKS.
    pub async fn verified(&self, token: &str) -> Value {
        let jwks = self.client.clone().jwks(JwksRequest {}).await.unwrap().into_inner().jwks_json;
        let jwks: JwkSet = serde_json::from_str(&jwks).unwrap();
        let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&["postbox-accounts"]);
        validation.set_audience(&["postbox"]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        let key = DecodingKey::from_jwk(jwks.find(&kid).unwrap()).unwrap();
        decode::<Value>(token, &key, &validation).unwrap().claims
    }

    pub async fn accounts_kept(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM account").fetch_one(&self.database.owner).await.unwrap()
    }

    /// Makes an account unreadable: it has an email that is none.
    pub async fn spoil(&self, id: &str) {
        let spoil = "UPDATE account SET email = 'nobody' WHERE account_id = $1::uuid";
        sqlx::query(spoil).bind(id).execute(&self.database.owner).await.unwrap();
    }
}

/// Someone called Ada.
pub fn newcomer(email: &str, address: Option<Address>) -> RegisterRequest {
    RegisterRequest { email: email.to_owned(), password: PASSWORD.to_owned(), name: "Ada".to_owned(), address }
}

pub fn address(line1: &str) -> Address {
    Address {
        line1: line1.to_owned(),
        line2: String::new(),
        city: "Oxford".to_owned(),
        postal_code: "OX1 1AA".to_owned(),
        country: "GB".to_owned(),
    }
}

pub fn refused_as<T: std::fmt::Debug>(answer: Result<T, Status>) -> ProblemCode {
    rpc::problem_of(&answer.unwrap_err())
}

//! The real accounts, with a database of its own.

use std::{
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use contracts::{
    accounts::v1::{EraseAccountRequest, JwksRequest, RegisterRequest, accounts_service_client::AccountsServiceClient},
    ids::AccountId,
};
use rpc::Channel;
use tempfile::NamedTempFile;
use testkit::{SOON, TestDatabase, TestKafka};

use crate::process::{Process, free_address};

/// A running accounts; dropping it kills it.
pub struct Accounts {
    pub address: SocketAddr,
    ops_address: SocketAddr,
    client: AccountsServiceClient<Channel>,
    process: Process,
    database: TestDatabase,
    kafka: TestKafka,
    signing_key: NamedTempFile,
}

impl Accounts {
    pub async fn start() -> Self {
        let database = testkit::database("accounts", &[]).await;
        let migrated = binary().arg("migrate").env("DATABASE_URL", &database.owner_url).output().unwrap();
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        let kafka = testkit::kafka();
        let mut signing_key = NamedTempFile::new().unwrap();
        signing_key.write_all(new_key_pem().as_bytes()).unwrap();
        let (address, ops_address) = (free_address(), free_address());
        let client = AccountsServiceClient::new(rpc::channel(&format!("http://{address}")).unwrap());
        let process = serve([address, ops_address], &database, &kafka, &signing_key);
        let accounts = Self { address, ops_address, client, process, database, kafka, signing_key };
        accounts.until_it_answers().await;
        accounts
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again where it was.
    pub async fn start_again(&mut self) {
        self.process = serve([self.address, self.ops_address], &self.database, &self.kafka, &self.signing_key);
        self.until_it_answers().await;
    }

    /// A new customer.
    pub async fn register(&self, name: &str, email: &str) -> AccountId {
        let request = RegisterRequest {
            name: name.to_owned(),
            email: email.to_owned(),
            password: "correct horse".to_owned(),
            address: None,
        };
        let answer = self.client.clone().register(request).await.unwrap();
        answer.into_inner().account.unwrap().account_id.parse().unwrap()
    }

    /// Nobody any more.
    pub async fn erase(&self, customer: AccountId) {
        let request = EraseAccountRequest { account_id: customer.to_string() };
        self.client.clone().erase_account(request).await.unwrap();
    }

    /// How many calls of this name it has answered since it was started.
    pub async fn calls(&self, name: &str) -> u64 {
        let page = reqwest::get(format!("http://{}/metrics", self.ops_address)).await.unwrap().text().await.unwrap();
        let calls = page.lines().filter(|line| line.starts_with("rpc_requests_total{") && line.contains(name));
        calls.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    async fn until_it_answers(&self) {
        testkit::eventually(SOON, "accounts answers", async || self.client.clone().jwks(JwksRequest {}).await.is_ok())
            .await;
    }
}

fn serve(
    [address, ops_address]: [SocketAddr; 2],
    database: &TestDatabase,
    kafka: &TestKafka,
    signing_key: &NamedTempFile,
) -> Process {
    let mut command = binary();
    command
        .arg("serve")
        .env("ACCOUNTS_SIGNING_KEY_FILE", signing_key.path())
        .env("DATABASE_URL", &database.app_url)
        .env("KAFKA_BOOTSTRAP_SERVERS", &kafka.bootstrap)
        .env("KAFKA_NAMESPACE", &kafka.namespace)
        .env("LISTEN_ADDR", address.to_string())
        .env("OPS_ADDR", ops_address.to_string())
        .env("RUST_LOG", "error")
        .stdout(Stdio::null());
    Process(command.spawn().unwrap())
}

fn binary() -> Command {
    // a service never depends on another, so cargo does not build accounts for this test
    let binary = Path::new(env!("CARGO_BIN_EXE_notification")).with_file_name("accounts");
    assert!(binary.is_file(), "{} is missing; run cargo build -p accounts", binary.display());
    Command::new(binary)
}

fn new_key_pem() -> String {
    let key = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
    let base64 = base64::engine::general_purpose::STANDARD.encode(key.as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
}

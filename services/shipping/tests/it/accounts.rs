//! A running accounts with a database of its own.

use std::{io::Write, net::SocketAddr, process::Command};

use contracts::{
    accounts::v1::{
        Address, EraseAccountRequest, RegisterRequest, SetAddressRequest,
        accounts_service_client::AccountsServiceClient,
    },
    ids::AccountId,
};
use rpc::Channel;
use tempfile::NamedTempFile;
use testkit::{SOON, TestDatabase, TestKafka};

use crate::process::{Process, free_address, program};

/// The example of RFC 8410, section 10.3. Nobody logs in here, but accounts does not start without a key.
const SIGNING_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";

/// Serves until it is dropped.
pub struct Accounts {
    pub database: TestDatabase,
    pub address: SocketAddr,
    ops_address: SocketAddr,
    kafka: TestKafka,
    key: NamedTempFile,
    process: Option<Process>,
    client: AccountsServiceClient<Channel>,
}

impl Accounts {
    pub async fn open(kafka: &TestKafka) -> Self {
        let database = testkit::database("accounts", &[]).await;
        let migrated =
            Command::new(program("accounts")).arg("migrate").env("DATABASE_URL", &database.owner_url).output();
        let migrated = migrated.unwrap();
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        let mut key = NamedTempFile::new().unwrap();
        key.write_all(SIGNING_KEY.as_bytes()).unwrap();
        let address = free_address();
        let client = AccountsServiceClient::new(rpc::channel(&format!("http://{address}")).unwrap());
        let ops_address = free_address();
        let mut accounts = Self { database, address, ops_address, kafka: kafka.clone(), key, process: None, client };
        accounts.start();
        accounts
    }

    /// A new process on the same database and address.
    pub fn start(&mut self) {
        let mut command = Command::new(program("accounts"));
        command
            .arg("serve")
            .env("DATABASE_URL", &self.database.app_url)
            .env("KAFKA_BOOTSTRAP_SERVERS", &self.kafka.bootstrap)
            .env("KAFKA_NAMESPACE", &self.kafka.namespace)
            .env("ACCOUNTS_SIGNING_KEY_FILE", self.key.path())
            .env("LISTEN_ADDR", self.address.to_string())
            .env("OPS_ADDR", self.ops_address.to_string());
        self.process = Some(Process::start(&mut command));
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Keeps whoever asks waiting.
    pub fn pause(&self) {
        self.process.as_ref().expect("accounts runs").pause();
    }

    /// Answers whoever asked.
    pub fn resume(&self) {
        self.process.as_ref().expect("accounts runs").resume();
    }

    /// How many calls of this name it has answered since it was started.
    pub async fn calls(&self, name: &str) -> u64 {
        let page = reqwest::get(format!("http://{}/metrics", self.ops_address)).await.unwrap().text().await.unwrap();
        let calls = page.lines().filter(|line| line.starts_with("rpc_requests_total{") && line.contains(name));
        calls.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Somebody new.
    pub async fn register(&self, address: Option<Address>) -> AccountId {
        let request = RegisterRequest {
            email: format!("{}@example.com", AccountId::new()),
            password: "correct horse".to_owned(),
            name: "Ada".to_owned(),
            address,
        };
        let registered = testkit::eventually_some(SOON, "accounts registers", async || {
            self.client.clone().register(request.clone()).await.ok()
        });
        registered.await.into_inner().account.unwrap().account_id.parse().unwrap()
    }

    /// Another address than the one before.
    pub async fn move_house(&self, customer: AccountId) {
        let address = Address { line1: format!("{} High Street", AccountId::new()), ..home() };
        let request = SetAddressRequest { account_id: customer.to_string(), address: Some(address) };
        self.client.clone().set_address(request).await.unwrap();
    }

    /// Nobody any more.
    pub async fn erase(&self, customer: AccountId) {
        let request = EraseAccountRequest { account_id: customer.to_string() };
        self.client.clone().erase_account(request).await.unwrap();
    }

    /// As [`Self::move_house`], but without a letter.
    pub async fn move_house_in_silence(&self, customer: AccountId) {
        sqlx::query(
            "INSERT INTO address (account_id, line1, line2, city, postal_code, country)
             VALUES ($1, '1 High Street', '', 'Oxford', 'OX1', 'GB')",
        )
        .bind(customer.as_uuid())
        .execute(&self.database.owner)
        .await
        .unwrap();
    }
}

pub fn home() -> Address {
    Address {
        line1: "1 High Street".to_owned(),
        line2: String::new(),
        city: "Oxford".to_owned(),
        postal_code: "OX1 1AA".to_owned(),
        country: "GB".to_owned(),
    }
}

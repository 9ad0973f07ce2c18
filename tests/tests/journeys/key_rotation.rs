//! The key that tokens are signed with is changed while customers are there: the steps of docs/runbooks/the-signing-key-is-changed.md.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use journeys::{
    customer::{Customer, new_key},
    platform::Platform,
};
use postbox::secret::Secret;
use testkit::{SOON, eventually};
use tokio::task::JoinHandle;

const KEY_FILE: &str = "ACCOUNTS_SIGNING_KEY_FILE";

/// `{"alg":"EdDSA","kid":"nobody's"}` and nothing else that is right.
const FORGED: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6Im5vYm9keSdzIn0.e30.AAAA";

/// Somebody who looks at their orders, and orders now and then, without a pause. Every answer is a good one.
struct Shopper {
    answers: Arc<AtomicUsize>,
    leaving: Arc<AtomicBool>,
    shopping: JoinHandle<()>,
}

impl Shopper {
    fn begin(customer: Customer) -> Self {
        let (answers, leaving) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let shopping = tokio::spawn({
            let (answers, leaving) = (answers.clone(), leaving.clone());
            async move {
                while !leaving.load(Ordering::Relaxed) {
                    customer.get("/v1/orders").await.expect(200);
                    if answers.fetch_add(1, Ordering::Relaxed).is_multiple_of(20) {
                        customer.order(&new_key(), "mug", 1, "tok_visa").await.expect(201);
                    }
                }
            }
        });
        Self { answers, leaving, shopping }
    }

    /// Some more answers, since now.
    async fn goes_on(&self) {
        let before = self.answers.load(Ordering::Relaxed);
        eventually(SOON, "more answers", async || {
            assert!(!self.shopping.is_finished(), "somebody was refused");
            self.answers.load(Ordering::Relaxed) > before + 40
        })
        .await;
    }

    async fn leave(self) {
        self.leaving.store(true, Ordering::Relaxed);
        self.shopping.await.expect("nobody was refused");
    }
}

/// Sends tokens with keys that nobody has, again and again: they make the gateway ask accounts, as often as anything can.
fn forger(platform: &Platform) -> JoinHandle<()> {
    let forged = Customer::nobody(platform).with_token(FORGED);
    tokio::spawn(async move {
        loop {
            forged.get("/v1/orders").await.expect(401);
        }
    })
}

/// Starts accounts with these keys, of which the first signs.
async fn restart(platform: &mut Platform, file: &Path, keys: &[&str]) {
    std::fs::write(file, keys.concat()).expect("it can be written");
    platform.set("accounts", KEY_FILE, Some(file.display().to_string()));
    platform.stop("accounts").await;
    platform.start_again("accounts").await;
}

/// Waits until the gateway knows so many keys. With the forger about it asks every 10 s, else every five minutes.
async fn gateway_knows(platform: &Platform, keys: usize) {
    eventually(SOON, &format!("the gateway knows {keys} keys"), async || {
        let told = Customer::nobody(platform).get("/.well-known/jwks.json").await.json();
        told["keys"].as_array().map(Vec::len) == Some(keys)
    })
    .await;
}

/// The name of the key that somebody's token is signed with.
fn kid_of(somebody: &Customer) -> String {
    jsonwebtoken::decode_header(somebody.token()).expect("a token").kid.expect("it names its key")
}

#[tokio::test]
async fn a_new_signing_key_refuses_nobody() {
    let mut platform = Platform::start().await;
    let old = PathBuf::from(platform.setting("accounts", KEY_FILE).expect("it has a key"));
    let old = std::fs::read_to_string(old).expect("it can be read");
    let new = Secret::Ed25519Pem.make();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("signing-key.pem");
    let forging = forger(&platform);
    let early = Customer::register(&platform).await;
    let (with_old, stays) = (Shopper::begin(early.clone()), early);

    // 1. the new key is told, and signs nothing
    restart(&mut platform, &file, &[&old, &new]).await;
    assert_eq!(kid_of(&Customer::operator(&platform).await), kid_of(&stays));
    gateway_knows(&platform, 2).await;
    with_old.goes_on().await;

    // 2. it signs; the old one is told for as long as its tokens are about
    restart(&mut platform, &file, &[&new, &old]).await;
    let late = Customer::register(&platform).await;
    assert_ne!(kid_of(&late), kid_of(&stays));
    let with_new = Shopper::begin(late);
    with_new.goes_on().await;
    with_old.goes_on().await;

    // 3. they have expired, and it is told no more
    with_old.leave().await;
    restart(&mut platform, &file, &[&new]).await;
    gateway_knows(&platform, 1).await;
    stays.get("/v1/orders").await.expect(401);
    with_new.goes_on().await;
    with_new.leave().await;
    assert!(!forging.is_finished(), "the forger was let in");
    forging.abort();
}

#[tokio::test]
async fn tokens_go_on_while_accounts_is_away() {
    let mut platform = Platform::start().await;
    let (known, new) = (Customer::register(&platform).await, Customer::register(&platform).await);
    known.get("/v1/orders").await.expect(200);
    platform.kill("accounts").await;
    // an unknown key makes the gateway ask in vain
    Customer::nobody(&platform).with_token(FORGED).get("/v1/orders").await.expect(401);
    for customer in [&known, &new] {
        customer.order_a_mug().await.expect(201);
    }
    assert!(platform.is_ready("gateway").await);
}

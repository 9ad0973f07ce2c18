//! The public keys that tokens are verified with. accounts owns them; the gateway keeps its own copy, so that it goes on
//! when accounts is away.

use std::{
    collections::HashMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use contracts::accounts::v1::{JwksRequest, accounts_service_client::AccountsServiceClient};
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, JwkSet},
};
use rpc::Channel;
use service_runtime::Shutdown;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use tracing::{info, warn};

/// How long accounts may take to tell its keys. A request may be waiting.
const FETCH_DEADLINE: Duration = Duration::from_secs(1);

/// How old the copy becomes when nothing asks for a new one.
const REFRESH_EVERY: Duration = Duration::from_mins(5);

/// How soon a fetch that failed is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// How often tokens with an unknown key can make the gateway ask: anybody can send such tokens.
const UNKNOWN_KEY_EVERY: Duration = Duration::from_secs(10);

/// Why there is no key to verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// accounts has no key of this name.
    #[error("accounts has no such key")]
    Unknown,
    /// accounts has not told its keys yet.
    #[error("accounts has not told its keys yet")]
    NotFetched,
}

/// What accounts tells is no JWK set.
#[derive(Debug, thiserror::Error)]
#[error("no JWK set: {0}")]
pub struct NotAKeySet(#[from] serde_json::Error);

/// Keys that came together.
#[derive(Debug)]
pub struct KeySet {
    jwks_json: String,
    by_name: HashMap<String, DecodingKey>,
}

/// The gateway's copy of the keys.
#[derive(Debug)]
pub struct Keys {
    accounts: AccountsServiceClient<Channel>,
    copy: RwLock<Option<Arc<KeySet>>>,
    present: Arc<AtomicBool>,
    /// When an unknown key last made the gateway ask.
    asked_for_unknown: Mutex<Option<Instant>>,
}

impl Keys {
    /// No keys yet.
    pub fn new(accounts: AccountsServiceClient<Channel>) -> Self {
        Self { accounts, copy: RwLock::new(None), present: Arc::default(), asked_for_unknown: Mutex::new(None) }
    }

    /// A flag that is raised when the keys have come, and stays so.
    pub fn present(&self) -> Arc<AtomicBool> {
        self.present.clone()
    }

    /// Takes `jwks_json` (RFC 7517) in place of the keys before. Keys that are not Ed25519 are passed over.
    pub fn replace(&self, jwks_json: String) -> Result<(), NotAKeySet> {
        let set: JwkSet = serde_json::from_str(&jwks_json)?;
        let named = set.keys.into_iter().filter_map(|jwk| {
            let AlgorithmParameters::OctetKeyPair(pair) = &jwk.algorithm else { return None };
            let is_ed25519 = pair.curve == EllipticCurve::Ed25519;
            let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| is_ed25519)?;
            Some((jwk.common.key_id?, key))
        });
        let copy = KeySet { by_name: named.collect(), jwks_json };
        *self.copy.write().expect("no writer panics") = Some(Arc::new(copy));
        self.present.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The JWK set as accounts told it, once it did.
    pub fn jwks_json(&self) -> Option<String> {
        self.copy().map(|copy| copy.jwks_json.clone())
    }

    /// The key of this name. One that is not known may be new, so accounts is asked, now and then.
    pub async fn find(&self, name: &str) -> Result<DecodingKey, NoKey> {
        if let Some(key) = self.known(name) {
            return Ok(key);
        }
        self.fetch_for_unknown().await;
        self.known(name).ok_or(if self.copy().is_some() { NoKey::Unknown } else { NoKey::NotFetched })
    }

    /// Keeps the copy fresh until the end is requested.
    pub async fn keep_fresh(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            let pause = if self.fetch().await { REFRESH_EVERY } else { RETRY_EVERY };
            tokio::select! {
                () = sleep(pause) => {}
                () = shutdown.requested() => return,
            }
        }
    }

    /// The keys as they are now, once there are some.
    pub fn copy(&self) -> Option<Arc<KeySet>> {
        self.copy.read().expect("no writer panics").clone()
    }

    fn known(&self, name: &str) -> Option<DecodingKey> {
        self.copy()?.by_name.get(name).cloned()
    }

    async fn fetch_for_unknown(&self) {
        // held while fetching: who comes meanwhile waits for this answer instead of asking as well
        let mut asked = self.asked_for_unknown.lock().await;
        if asked.is_none_or(|at| at.elapsed() >= UNKNOWN_KEY_EVERY) {
            *asked = Some(Instant::now());
            self.fetch().await;
        }
    }

    /// Whether the keys came.
    async fn fetch(&self) -> bool {
        let answer = rpc::ask(FETCH_DEADLINE, JwksRequest {}, |request| {
            let mut accounts = self.accounts.clone();
            async move { accounts.jwks(request).await }
        });
        let before = self.jwks_json();
        let fetched = match answer.await {
            Ok(answer) => self.replace(answer.jwks_json).map_err(|error| error.to_string()),
            Err(status) => Err(status.to_string()),
        };
        match &fetched {
            Ok(()) if self.jwks_json() == before => {}
            Ok(()) => info!("accounts told its keys"),
            Err(error) => warn!(error, "accounts does not tell its keys, going on with those before"),
        }
        fetched.is_ok()
    }
}

//! The public keys that tokens are verified with. Whoever issues the tokens owns them; the gateway keeps its own copy, so that it
//! goes on when the issuer is away.

use std::{
    collections::HashMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use contracts::accounts::v1::{JwksRequest, accounts_service_client::AccountsServiceClient};
use rpc::Channel;
use serde::Deserialize;
use serde_json::Value;
use service_runtime::Shutdown;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use tracing::{debug, info, warn};

use crate::{jwks_url::JwksUrl, key::Key};

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
    /// The issuer has no key of this name that may be used.
    #[error("the issuer of tokens has no such key")]
    Unknown,
    /// The issuer has not told its keys yet.
    #[error("the issuer of tokens has not told its keys yet")]
    NotFetched,
}

/// What the issuer tells is no JWK set.
#[derive(Debug, thiserror::Error)]
#[error("no JWK set: {0}")]
pub struct NotAKeySet(#[from] serde_json::Error);

/// Who tells the keys.
#[derive(Debug)]
pub enum Source {
    /// accounts, by telephone.
    Accounts(AccountsServiceClient<Channel>),
    /// An issuer outside, by HTTP.
    Outside(Box<JwksUrl>),
}

/// Keys that came together.
#[derive(Debug)]
pub struct KeySet {
    jwks_json: String,
    by_name: HashMap<String, Key>,
}

/// The gateway's copy of the keys.
#[derive(Debug)]
pub struct Keys {
    source: Source,
    copy: RwLock<Option<Arc<KeySet>>>,
    present: Arc<AtomicBool>,
    /// When an unknown key last made the gateway ask.
    asked_for_unknown: Mutex<Option<Instant>>,
}

/// A JWK set (RFC 7517), its members not looked at yet: one that is unknown is in nobody's way.
#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Value>,
}

impl Keys {
    /// No keys yet.
    pub fn new(source: Source) -> Self {
        Self { source, copy: RwLock::new(None), present: Arc::default(), asked_for_unknown: Mutex::new(None) }
    }

    /// A flag that is raised when keys have come, and stays so.
    pub fn present(&self) -> Arc<AtomicBool> {
        self.present.clone()
    }

    /// Takes `jwks_json` (RFC 7517) in place of the keys before. Keys that are not for tokens are passed over, and of accounts all but
    /// Ed25519.
    pub fn replace(&self, jwks_json: String) -> Result<(), NotAKeySet> {
        // tokens that were verified with the same keys need not be verified again
        if self.jwks_json().is_some_and(|before| before == jwks_json) {
            return Ok(());
        }
        let set: JwkSet = serde_json::from_str(&jwks_json)?;
        let of_accounts = matches!(self.source, Source::Accounts(_));
        let (told, mut by_name) = (set.keys.len(), HashMap::new());
        for jwk in set.keys {
            match Key::read(jwk) {
                Ok((name, key)) if key.is_ed25519() || !of_accounts => {
                    by_name.insert(name, key);
                }
                Ok((name, _)) => debug!(name, "a key of accounts is not Ed25519"),
                Err(why) => debug!(%why, "a key is passed over"),
            }
        }
        info!(told, taken = by_name.len(), "the issuer of tokens told its keys");
        if !by_name.is_empty() {
            self.present.store(true, Ordering::Relaxed);
        }
        *self.copy.write().expect("no writer panics") = Some(Arc::new(KeySet { jwks_json, by_name }));
        Ok(())
    }

    /// The JWK set as the issuer told it, once it did.
    pub fn jwks_json(&self) -> Option<String> {
        self.copy().map(|copy| copy.jwks_json.clone())
    }

    /// The key of this name. One that is not known may be new, so the issuer is asked, now and then.
    pub async fn find(&self, name: &str) -> Result<Key, NoKey> {
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

    fn known(&self, name: &str) -> Option<Key> {
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
        let told = match &self.source {
            Source::Accounts(accounts) => {
                let answer = rpc::ask(FETCH_DEADLINE, JwksRequest {}, |request| {
                    let mut accounts = accounts.clone();
                    async move { accounts.jwks(request).await }
                });
                answer.await.map(|answer| answer.jwks_json).map_err(|status| status.to_string())
            }
            Source::Outside(url) => url.fetch().await.map_err(|error| error.to_string()),
        };
        let fetched = told.and_then(|jwks_json| self.replace(jwks_json).map_err(|error| error.to_string()));
        if let Err(error) = &fetched {
            warn!(error, "the issuer of tokens does not tell its keys, going on with those before");
        }
        fetched.is_ok()
    }
}

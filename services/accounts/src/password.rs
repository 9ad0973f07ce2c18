//! Passwords: hashed with argon2id, a few at a time.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version, password_hash::phc::PasswordHash};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::{account::right_text, error::AccountsError};

/// What a hash costs: 19 MiB of memory, two passes, one lane, the least that the OWASP Password Storage Cheat Sheet
/// recommends for argon2id. About 20 ms of a core.
const PARAMS: Params = match Params::new(19_456, 2, 1, None) {
    Ok(params) => params,
    Err(_) => panic!("the parameters are inside argon2's limits"),
};

/// Hashes under way at once: more would take the cores and 19 MiB each from everything else on the machine.
const HASHING_MAX: usize = 2;

/// Requests that may wait for their turn. At 20 ms a hash the last of them waits 160 ms; who comes then is shed.
const WAITING_MAX: usize = 16;

/// Compared with when the email is unknown, so that the answer takes as long as for a wrong password. It is of no
/// password: its last part is not a result of argon2id.
const HASH_OF_NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1\
    $bm9ib2R5IGhhcyBhIHB3ZA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password as it was typed: 8 to 128 characters. Never printed.
#[derive(Debug, Clone)]
pub struct Password(SecretString);

impl TryFrom<String> for Password {
    type Error = AccountsError;

    fn try_from(text: String) -> Result<Self, AccountsError> {
        right_text("password", text, 8..=128).map(Self::to_be_checked)
    }
}

impl Password {
    /// A password that someone claims to be theirs: of any length, since only its being right matters.
    pub fn to_be_checked(text: String) -> Self {
        Self(text.into())
    }
}

/// Hashes passwords outside of the async threads, [`HASHING_MAX`] at once; refuses when too many wait, so that a storm
/// of logins is shed instead of queueing without bound.
#[derive(Debug)]
pub struct Hasher {
    room: Semaphore,
    turns: Semaphore,
}

impl Hasher {
    /// A hasher with nothing to do.
    #[expect(clippy::new_without_default, reason = "it is made once, in the wiring")]
    pub fn new() -> Self {
        Self { room: Semaphore::new(HASHING_MAX + WAITING_MAX), turns: Semaphore::new(HASHING_MAX) }
    }

    /// The hash of a new password, in PHC form, with a salt of its own.
    pub async fn hash(&self, password: Password) -> Result<String, AccountsError> {
        self.in_turn(move || {
            let hash: Result<PasswordHash, _> = argon2().hash_password(password.0.expose_secret().as_bytes());
            hash.expect("argon2 takes any password of this length, and the system has random bytes").to_string()
        })
        .await
    }

    /// Whether the password is that of `hash`. Takes the same time when there is no hash to compare with.
    pub async fn is_right(&self, password: Password, hash: Option<String>) -> Result<bool, AccountsError> {
        self.in_turn(move || {
            let stored = hash.as_deref().unwrap_or(HASH_OF_NOBODY);
            let right = argon2().verify_password(password.0.expose_secret().as_bytes(), stored).is_ok();
            right && hash.is_some()
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, AccountsError> {
        let _room = self.room.try_acquire().map_err(|_| AccountsError::Busy)?;
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        tokio::task::spawn_blocking(work).await.map_err(AccountsError::Panicked)
    }
}

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMS)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};

    use super::*;

    fn password(text: &str) -> Password {
        Password::try_from(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let hasher = Hasher::new();
        let hash = hasher.hash(password("correct horse")).await.unwrap();
        assert!(hasher.is_right(password("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!hasher.is_right(password("battery staple"), Some(hash.clone())).await.unwrap());
        assert_ne!(hasher.hash(password("correct horse")).await.unwrap(), hash, "each hash has its own salt");
    }

    #[tokio::test]
    async fn nobody_has_a_password_and_checking_it_costs_the_same() {
        assert!(!Hasher::new().is_right(password("correct horse"), None).await.unwrap());
        let nobody = PasswordHash::new(HASH_OF_NOBODY).unwrap();
        let somebody: PasswordHash = argon2().hash_password(b"correct horse").unwrap();
        assert_eq!(Params::try_from(&nobody).unwrap(), Params::try_from(&somebody).unwrap());
        assert_eq!(nobody.salt.unwrap().len(), somebody.salt.unwrap().len());
    }

    #[tokio::test]
    async fn a_storm_is_shed_at_once_and_who_waits_is_served() {
        let hasher = Arc::new(Hasher::new());
        let (opener, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let come = |_| {
            let (hasher, gate) = (hasher.clone(), gate.clone());
            tokio::spawn(async move { hasher.in_turn(move || gate.lock().unwrap().recv()).await })
        };
        let inside: Vec<_> = (0..HASHING_MAX + WAITING_MAX).map(come).collect();
        testkit::eventually(testkit::SOON, "all places are taken", async || hasher.room.available_permits() == 0).await;
        assert!(matches!(hasher.in_turn(|| ()).await, Err(AccountsError::Busy)));
        drop(opener);
        for one in inside {
            one.await.unwrap().unwrap().unwrap_err();
        }
        hasher.in_turn(|| ()).await.unwrap();
    }

    #[test]
    fn a_password_is_never_printed() {
        assert!(!format!("{:?}", password("correct horse")).contains("horse"));
    }
}

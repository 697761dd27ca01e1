//! `basic_auth_users`: who is let in by a password.
//!
//! bcrypt is meant to be slow, so that it runs one at a time off the threads that serve, and whoever
//! was let in is remembered for a while. An unknown user costs as much as a wrong password.

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;

/// Logins that are remembered: one for each user of a small team.
const REMEMBERED: usize = 16;

/// Passwords that may be waiting to be hashed; who comes then is asked to come later.
const WAITING: usize = 16;

/// The highest cost of a hash: at 18 it takes seconds already.
const COST: u32 = 18;

/// Users and their hashes.
#[derive(Default)]
pub(super) struct Users {
    hashes: BTreeMap<Vec<u8>, String>,
    /// The most expensive of the hashes: what an unknown user's password is compared with.
    decoy: Option<String>,
}

impl std::fmt::Debug for Users {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{} users", self.hashes.len())
    }
}

impl Users {
    /// Refuses what is no bcrypt hash.
    pub(super) fn new(users: BTreeMap<String, String>) -> Result<Self, String> {
        let mut costs = BTreeMap::new();
        for (name, hash) in &users {
            let parts = bcrypt::HashParts::from_str(hash).map_err(|_| {
                format!(
                    "the password of {name:?} is no bcrypt hash, which `htpasswd -nBC 10 ''` makes"
                )
            })?;
            let cost = parts.get_cost();
            if cost > COST {
                return Err(format!(
                    "the hash of {name:?} has the cost {cost}, at which a login takes too long; \
                     {COST} is the most"
                ));
            }
            costs.insert(cost, hash.clone());
        }
        let decoy = costs.pop_last().map(|(_, hash)| hash);
        let hashes = users.into_iter().map(|(name, hash)| (name.into_bytes(), hash)).collect();
        Ok(Self { hashes, decoy })
    }
}

/// What came of a request's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Verdict {
    /// They are right, or none are asked for.
    Admitted,
    /// There are none, or they are wrong.
    Refused,
    /// Too many are being checked.
    Busy,
    /// The limit of requests is reached.
    TooMany,
}

/// The checking, and those who passed.
pub(super) struct Logins {
    /// Of this process alone, so that a tag tells nothing about the password and needs no comparison
    /// in constant time.
    key: Option<hmac::Key>,
    passed: Mutex<VecDeque<Vec<u8>>>,
    hashing: Arc<Semaphore>,
    waiting: Semaphore,
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Logins")
    }
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            // Without random numbers nobody is remembered, and all is as right but slower.
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            passed: Mutex::default(),
            hashing: Arc::new(Semaphore::new(1)),
            waiting: Semaphore::new(WAITING),
        }
    }
}

impl Logins {
    pub(super) async fn check(&self, users: &Users, headers: &HeaderMap) -> Verdict {
        let Some(decoy) = &users.decoy else { return Verdict::Admitted };
        let Some((user, password)) = credentials(headers) else { return Verdict::Refused };
        let known = users.hashes.get(&user);
        let hash = known.unwrap_or(decoy).clone();
        let tag = self.key.as_ref().map(|key| tag(key, [&user, &password, hash.as_bytes()]));
        if known.is_some() && tag.as_ref().is_some_and(|tag| self.passed().contains(tag)) {
            return Verdict::Admitted;
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Verdict::Busy };
        let Ok(turn) = Arc::clone(&self.hashing).acquire_owned().await else {
            return Verdict::Busy;
        };
        let verify = move || {
            // Whoever leaves meanwhile does not end the hashing: the turn is its own.
            let _turn = turn;
            bcrypt::verify(&password, &hash).unwrap_or(false)
        };
        let right = tokio::task::spawn_blocking(verify).await.unwrap_or(false);
        if !right || known.is_none() {
            return Verdict::Refused;
        }
        if let Some(tag) = tag {
            let mut passed = self.passed();
            if !passed.contains(&tag) {
                passed.push_back(tag);
            }
            if passed.len() > REMEMBERED {
                passed.pop_front();
            }
        }
        Verdict::Admitted
    }

    fn passed(&self) -> std::sync::MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lengths go in front: no two logins give the same bytes.
fn tag(key: &hmac::Key, parts: [&[u8]; 3]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

/// User and password (RFC 7617): bytes, whatever the charset.
fn credentials(headers: &HeaderMap) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut stated = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (stated.next(), stated.next()) else { return None };
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut user = STANDARD.decode(encoded.trim()).ok()?;
    let colon = user.iter().position(|byte| *byte == b':')?;
    let password = user.split_off(colon + 1);
    user.truncate(colon);
    Some((user, password))
}

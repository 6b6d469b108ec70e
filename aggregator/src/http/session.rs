//! Sessions of browsers: a cookie names a token that is kept here, so that no page and no disk of a browser holds it.
//!
//! Bounded in number, of all and of one user, and in age. They live in memory: after a restart people sign in again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use axum::http::{HeaderMap, header::COOKIE};

/// Sessions of all users.
const MAX_SESSIONS: usize = 1_000;
/// Sessions of one user.
const MAX_OF_USER: usize = 8;
/// A session ends so long after it was opened,
const LIFETIME: Duration = Duration::from_hours(12);
/// and when it was not used for so long.
const IDLE: Duration = Duration::from_hours(2);
/// The cookie's name. Browsers take this prefix only over TLS, for this very host and all of its paths.
const NAME: &str = "__Host-coroner";
/// Bytes of a cookie's value before they are written in hexadecimal.
const SECRET_BYTES: usize = 32;

/// The hash of a cookie's value.
type Key = [u8; 32];

/// All sessions, by a hash of their cookie.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions(Arc<Mutex<BTreeMap<Key, Session>>>);

struct Session {
    token: Arc<str>,
    user: String,
    opened: Instant,
    used: Instant,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.opened) >= LIFETIME || now.saturating_duration_since(self.used) >= IDLE
    }
}

impl Sessions {
    /// Opens a session for the bearer of a token; of too many, the one of the same user (or of the user with the most)
    /// that was not used for longest ends. Gives the cookie; none if the system has no random numbers.
    pub(super) fn open(&self, token: &str, user: String, now: Instant) -> Option<String> {
        let mut secret = [0; SECRET_BYTES];
        rand::fill(&mut secret).ok()?;
        let value: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let key = key_of(&value)?;
        let mut sessions = self.sessions();
        sessions.retain(|_, session| !session.is_over(now));
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for session in sessions.values() {
            *counts.entry(&session.user).or_default() += 1;
        }
        let gives_way = match counts.get(user.as_str()) {
            Some(count) if *count >= MAX_OF_USER => Some(user.clone()),
            _ if sessions.len() < MAX_SESSIONS => None,
            _ => counts.into_iter().max_by_key(|(_, count)| *count).map(|(user, _)| user.to_owned()),
        };
        if let Some(user) = gives_way {
            end_one_of(&mut sessions, &user);
        }
        sessions.insert(key, Session { token: token.into(), user, opened: now, used: now });
        let age = LIFETIME.as_secs();
        Some(format!("{NAME}={value}; Path=/; Max-Age={age}; Secure; HttpOnly; SameSite=Lax"))
    }

    /// The token of the session that these headers name.
    pub(super) fn token(&self, headers: &HeaderMap, now: Instant) -> Option<Arc<str>> {
        let key = key_of(cookie(headers)?)?;
        let mut sessions = self.sessions();
        let session = sessions.get_mut(&key)?;
        if session.is_over(now) {
            sessions.remove(&key);
            return None;
        }
        session.used = now;
        Some(Arc::clone(&session.token))
    }

    /// Ends the session that these headers name. Gives the cookie that removes theirs.
    pub(super) fn close(&self, headers: &HeaderMap) -> String {
        if let Some(key) = cookie(headers).and_then(key_of) {
            self.sessions().remove(&key);
        }
        format!("{NAME}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<Key, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end_one_of(sessions: &mut BTreeMap<Key, Session>, user: &str) {
    let of_user = sessions.iter().filter(|(_, session)| session.user == user);
    if let Some(key) = of_user.min_by_key(|(_, session)| session.used).map(|(key, _)| *key) {
        sessions.remove(&key);
    }
}

/// Looked up by its hash: how long that takes reveals nothing about the stored secrets.
fn key_of(value: &str) -> Option<Key> {
    digest(&SHA256, value.as_bytes()).as_ref().try_into().ok()
}

/// The value of a cookie of ours.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    pairs(headers).find(|(name, _)| *name == NAME).map(|(_, value)| value)
}

/// All cookies of a request.
pub(super) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, cookie.split(';').next().unwrap().parse().unwrap())])
    }

    #[test]
    fn a_session_gives_its_token_until_it_is_closed_or_over() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let cookie = sessions.open("a.b.c", "jane".into(), now).unwrap();
        assert!(!cookie.contains("a.b.c") && cookie.ends_with("; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
        assert_eq!(sessions.token(&with(&cookie), now).as_deref(), Some("a.b.c"));
        for wrong in ["", "__Host-coroner=", "__Host-coroner=00", "coroner=1"] {
            assert_eq!(sessions.token(&with(wrong), now), None, "{wrong}");
        }
        let used = now + IDLE - Duration::from_secs(1);
        assert!(sessions.token(&with(&cookie), used).is_some());
        assert!(sessions.token(&with(&cookie), used + IDLE).is_none(), "it was not used");
        let other = sessions.open("a.b.c", "jane".into(), now).unwrap();
        assert!((0..12).all(|hour| sessions.token(&with(&other), now + Duration::from_hours(hour)).is_some()));
        assert!(sessions.token(&with(&other), now + LIFETIME).is_none(), "it is old");
        let third = sessions.open("a.b.c", "jane".into(), now).unwrap();
        assert!(sessions.close(&with(&third)).contains("Max-Age=0"));
        assert!(sessions.token(&with(&third), now).is_none());
    }

    #[test]
    fn sessions_are_bounded_and_one_user_ends_no_other_ones() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let jane = sessions.open("jane", "jane".into(), now).unwrap();
        for _ in 0..3 * MAX_OF_USER {
            sessions.open("joe", "joe".into(), now).unwrap();
        }
        assert_eq!(sessions.sessions().len(), MAX_OF_USER + 1);
        for n in 0..2 * MAX_SESSIONS {
            sessions.open("t", format!("user-{n}"), now).unwrap();
        }
        assert_eq!(sessions.sessions().len(), MAX_SESSIONS);
        drop(jane);
    }
}

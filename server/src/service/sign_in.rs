//! Signing in: proving who somebody is, at a bounded number of guesses.
//!
//! Failures lock the pair of account and address, first for a minute, then longer. Behind that
//! stand two slower limits that many failures run into: one per account over all addresses, one
//! per address over all accounts. Neither stops somebody from an address that the account has
//! signed in from in the last 30 days: an attack must not lock a county behind one NAT out.

use medrelay_core::event::Kind;
use medrelay_core::id::{OrganizationId, SessionId};
use medrelay_core::people::Actor;
use medrelay_core::time::{Span, Timestamp};

use super::input::LOGIN_CHARS;
use super::network::source_key;
use super::{About, Caller, Error, Service, Settings, token_hash};
use crate::store::{Failures, Person, Session, SessionKind, Tx, Window};

/// Failures of an account from an address at which the pair is locked.
const FAILURES: i64 = 5;
/// The first lock; each failure after it doubles the time.
const FIRST_LOCK: Span = Span::from_minutes(1);
/// The longest lock.
const LONGEST_LOCK: Span = Span::from_minutes(15);
/// Failures are forgotten after this long without another.
const FORGOTTEN_AFTER: Span = Span::from_hours(24);
/// Failures of an account from everywhere in [`LOGIN_WINDOW`] that only known addresses pass.
const LOGIN_FAILURES: i64 = 50;
const LOGIN_WINDOW: Span = Span::from_hours(1);
/// Failures from an address in [`SOURCE_WINDOW`] that only accounts known there pass.
const SOURCE_FAILURES: i64 = 300;
const SOURCE_WINDOW: Span = Span::from_minutes(10);
/// How long an address stays known for an account.
const KNOWN_FOR: Span = Span::from_hours(30 * 24);
/// A session's last use is written down at most this often.
const TOUCH_EVERY: Span = Span::from_minutes(1);
/// Sessions of one person at once; the oldest gives way.
const SESSIONS: usize = 50;

/// A new session with its secrets, which are shown once. Cannot be printed.
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// Whose.
    pub person: Person,
    /// The secret of the session.
    pub token: String,
    /// What a browser page must show with every changing call.
    pub csrf_token: String,
}

impl Service {
    /// Signs somebody in from the network address `source`.
    pub async fn sign_in(
        &self,
        login: &str,
        password: &str,
        kind: SessionKind,
        source: &str,
    ) -> Result<SignedIn, Error> {
        let (mut tx, person) = self.prove(login, password, source).await?;
        let now = self.now();
        tx.sweep_sessions(now - self.settings().session_idle, now).await?;
        let sessions = tx.sessions_of(&person.id).await?;
        for old in sessions.iter().take((sessions.len() + 1).saturating_sub(SESSIONS)) {
            tx.delete_session(&old.id).await?;
        }
        let (token, hash) = self.token();
        let (csrf_token, csrf_hash) = self.token();
        let session = Session {
            id: SessionId::new(now, &*self.parts.entropy),
            person: person.id.clone(),
            kind,
            source: source.to_owned(),
            csrf_hash,
            created_at: now,
            used_at: now,
            expires_at: now + self.settings().session_absolute,
        };
        tx.insert_session(&session, &hash).await?;
        let caller = Caller { actor: person.actor(), source: source.to_owned() };
        let about = About { organization: home(&person), ..about_session(&session) }
            .with(serde_json::json!({ "kind": kind.as_str() }));
        tx.record(vec![self.parts.event(&caller, Kind::SignedIn, about)]).await?;
        tx.commit().await?;
        Ok(SignedIn { session, person, token, csrf_token })
    }

    /// Finds the session of a token: its identifier, the hash of its CSRF token and its person
    /// with the roles they may act in now. `None` for every token that is not worth anything.
    pub async fn authenticate(
        &self,
        token: &str,
        kind: SessionKind,
        _source: &str,
    ) -> Result<Option<(SessionId, String, Actor)>, Error> {
        let now = self.now();
        let mut tx = self.db().read().await?;
        let Some(session) = tx.session_by_token(&token_hash(token)).await? else {
            return Ok(None);
        };
        if session.kind != kind || !is_live(&session, self.settings(), now) {
            return Ok(None);
        }
        match tx.person(&session.person).await? {
            Some(person) if person.disabled_at.is_none() => {}
            Some(_) | None => return Ok(None),
        }
        let grants = tx.acting_grants(&session.person).await?;
        drop(tx);
        if now.since(session.used_at) >= TOUCH_EVERY
            && let Err(error) = self.touch(&session.id, now).await
        {
            // Reading goes on when nothing can be written.
            tracing::warn!(error = ?error, session.id = %session.id, "a session's use is not noted");
        }
        Ok(Some((session.id, session.csrf_hash, Actor::Person { id: session.person, grants })))
    }

    async fn touch(&self, session: &SessionId, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        tx.touch_session(session, now).await?;
        Ok(tx.commit().await?)
    }

    /// Proves that somebody knows the password of an open account. The answer carries the
    /// transaction in which this is true; a failure is counted and committed.
    pub(super) async fn prove(
        &self,
        login: &str,
        password: &str,
        source: &str,
    ) -> Result<(Tx, Person), Error> {
        let login: String = login.trim().to_lowercase().chars().take(LOGIN_CHARS).collect();
        let address = source;
        let source = source_key(address);
        let stored = {
            let mut tx = self.db().read().await?;
            refuse_locked(&mut tx, &login, &source, self.now()).await?;
            tx.credentials(&login).await?.map(|(_, hash)| hash)
        };
        let fits = self.password_fits(password, stored.clone()).await?;
        let mut tx = self.db().write().await?;
        let now = self.now();
        // Guesses made side by side have all passed the first look: whoever comes after the lock
        // is not told whether the guess was right.
        refuse_locked(&mut tx, &login, &source, now).await?;
        let found = tx.credentials(&login).await?;
        tx.sweep_sign_ins(now - FORGOTTEN_AFTER, now - KNOWN_FOR).await?;
        match found {
            // The account may have been closed, or its password changed, while we hashed.
            Some((person, hash))
                if fits && person.disabled_at.is_none() && stored.as_ref() == Some(&hash) =>
            {
                tx.clear_sign_in_failures(&login, &source).await?;
                tx.remember_source(&login, &source, now).await?;
                Ok((tx, person))
            }
            other => {
                let person = other.map(|(person, _)| person);
                let caller = Caller { actor: Actor::Anonymous, source: address.to_owned() };
                self.count_failure(tx, &caller, (&login, &source), person.as_ref()).await?;
                Err(Error::BadCredentials)
            }
        }
    }

    async fn count_failure(
        &self,
        mut tx: Tx,
        caller: &Caller,
        (login, source): (&str, &str),
        person: Option<&Person>,
    ) -> Result<(), Error> {
        let now = self.now();
        // The account's window first: it makes failures of one account come one after the other.
        let everywhere =
            tx.count_sign_in_failure(&login_scope(login), now - LOGIN_WINDOW, now).await?;
        let here =
            tx.count_sign_in_failure(&source_scope(source), now - SOURCE_WINDOW, now).await?;
        let failures = after_failure(tx.sign_in_failures(login, source).await?, now);
        tx.save_sign_in_failures(login, source, failures).await?;
        // What was typed as an account name may be a password: only known accounts are named.
        let event = |kind, details| {
            let about = About {
                organization: person.and_then(home),
                object: person.map(|p| format!("person:{}", p.id)).unwrap_or_default(),
                ..About::default()
            };
            self.parts.event(caller, kind, about.with(details))
        };
        let mut events =
            vec![event(Kind::SignInFailed, serde_json::json!({ "failures": failures.failures }))];
        if failures.locked_until > now {
            let until = failures.locked_until.micros();
            events.push(event(
                Kind::SignInLocked,
                serde_json::json!({ "scope": "account_and_address", "until": until }),
            ));
        }
        if everywhere == LOGIN_FAILURES {
            events.push(event(Kind::SignInLocked, serde_json::json!({ "scope": "account" })));
        }
        if here == SOURCE_FAILURES {
            events.push(event(Kind::SignInLocked, serde_json::json!({ "scope": "address" })));
        }
        tx.record(events).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// An event about a session's person.
pub(super) fn about_session(session: &Session) -> About<'static> {
    About { object: format!("session:{}", session.id), ..About::default() }
}

/// The organization that a person's own events belong to: the first that they have a role in.
pub(super) fn home(person: &Person) -> Option<&OrganizationId> {
    person.grants.first().map(|grant| &grant.organization)
}

/// Whether a session is neither idle for too long nor too old.
pub(super) fn is_live(session: &Session, settings: &Settings, now: Timestamp) -> bool {
    now < session.expires_at && now.since(session.used_at) < settings.session_idle
}

async fn refuse_locked(
    tx: &mut Tx,
    login: &str,
    source: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let pair = tx.sign_in_failures(login, source).await?;
    if pair.locked_until > now {
        return Err(Error::Locked { until: pair.locked_until });
    }
    if tx.is_known_source(login, source, now - KNOWN_FOR).await? {
        return Ok(());
    }
    let everywhere = tx.sign_in_window(&login_scope(login)).await?;
    let here = tx.sign_in_window(&source_scope(source)).await?;
    let until = closed_until(everywhere, LOGIN_FAILURES, LOGIN_WINDOW, now).max(closed_until(
        here,
        SOURCE_FAILURES,
        SOURCE_WINDOW,
        now,
    ));
    until.map_or(Ok(()), |until| Err(Error::Locked { until }))
}

fn login_scope(login: &str) -> String {
    format!("login:{login}")
}

fn source_scope(source: &str) -> String {
    format!("source:{source}")
}

/// The end of a window that is full.
fn closed_until(window: Window, limit: i64, length: Span, now: Timestamp) -> Option<Timestamp> {
    let end = window.started_at + length;
    (window.failures >= limit && now < end).then_some(end)
}

/// The failures of a pair after one more at `now`.
fn after_failure(before: Failures, now: Timestamp) -> Failures {
    let old = now.since(before.last_at) >= FORGOTTEN_AFTER;
    let failures = if old { 1 } else { before.failures.saturating_add(1) };
    let locked_until = lock_after(failures).map_or(Timestamp::default(), |span| now + span);
    Failures { failures, last_at: now, locked_until }
}

/// How long a pair is locked after this many failures.
fn lock_after(failures: i64) -> Option<Span> {
    if failures < FAILURES {
        return None;
    }
    let doublings = (failures - FAILURES).min(16);
    let span = FIRST_LOCK.micros() << doublings;
    Some(Span::from_micros(span).min(LONGEST_LOCK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use medrelay_core::id::PersonId;
    use medrelay_core::time::SeededEntropy;

    const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    #[test]
    fn locks_double_from_one_minute_to_fifteen() {
        let minutes: Vec<i64> =
            (1..=12).map(|n| lock_after(n).map_or(0, Span::minutes_floor)).collect();
        assert_eq!(minutes, [0, 0, 0, 0, 1, 2, 4, 8, 15, 15, 15, 15]);
        assert_eq!(lock_after(i64::MAX).map(Span::minutes_floor), Some(15));
    }

    #[test]
    fn failures_add_up_until_a_day_passes_without_one() {
        let mut failures = Failures::default();
        for _ in 0..5 {
            failures = after_failure(failures, NOON);
        }
        assert_eq!((failures.failures, failures.locked_until), (5, NOON + FIRST_LOCK));
        let later = after_failure(failures, NOON + Span::from_hours(23));
        assert_eq!(later.failures, 6);
        let much_later = after_failure(later, NOON + Span::from_hours(47));
        assert_eq!((much_later.failures, much_later.locked_until), (1, Timestamp::default()));
    }

    #[test]
    fn a_full_window_is_closed_until_its_end() {
        let window = Window { started_at: NOON, failures: 50 };
        let hour = Span::from_hours(1);
        assert_eq!(closed_until(window, 50, hour, NOON), Some(NOON + hour));
        assert_eq!(closed_until(window, 51, hour, NOON), None);
        assert_eq!(closed_until(window, 50, hour, NOON + hour), None);
    }

    #[test]
    fn a_session_ends_idle_or_old() {
        let settings = Settings::default();
        let entropy = SeededEntropy::new(1);
        let session = Session {
            id: SessionId::new(NOON, &entropy),
            person: PersonId::new(NOON, &entropy),
            kind: SessionKind::Browser,
            source: String::new(),
            csrf_hash: String::new(),
            created_at: NOON,
            used_at: NOON,
            expires_at: NOON + settings.session_absolute,
        };
        assert!(is_live(&session, &settings, NOON + Span::from_minutes(29)));
        assert!(!is_live(&session, &settings, NOON + Span::from_minutes(30)));
        let busy = Session { used_at: NOON + Span::from_hours(12), ..session };
        assert!(!is_live(&busy, &settings, NOON + Span::from_hours(12)));
    }
}

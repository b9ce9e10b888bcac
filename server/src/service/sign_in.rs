//! Signing in: proving who somebody is, at a bounded number of guesses.
//!
//! Failures lock the pair of account and address, first for a minute, then longer. Behind that
//! stand two slower limits that many failures run into: one per account over all addresses, one
//! per address over all accounts. Neither stops somebody from an address that the account has
//! signed in from in the last 30 days: an attack must not lock a county behind one NAT out.

use medrelay_core::event::Kind;
use medrelay_core::id::{OrganizationId, SessionId};
use medrelay_core::people::{Actor, Grant};
use medrelay_core::time::{Span, Timestamp};

use super::input::LOGIN_CHARS;
use super::network::source_key;
use super::{About, Caller, Error, Service, Settings, token_hash};
use crate::secrets;
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

/// What somebody types to sign in.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// Account name.
    pub login: &'a str,
    /// Password.
    pub password: &'a str,
    /// The second factor's code, or a recovery code.
    pub code: Option<&'a str>,
}

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
    /// A second factor must be set up before anything else.
    pub must_enrol: bool,
}

/// Who a session's secret stands for.
#[derive(Debug, Clone)]
pub struct Authenticated {
    /// The session.
    pub session: Session,
    /// Its person with the roles that they may act in now.
    pub actor: Actor,
    /// A second factor must be set up before anything else.
    pub must_enrol: bool,
}

/// What failures are counted by: an account and where somebody tries to prove that it is theirs.
pub(super) struct Trial {
    login: String,
    address: String,
    source: String,
}

impl Trial {
    /// A trial for an account from a network address.
    pub(super) fn new(login: &str, address: &str) -> Self {
        let login = login.trim().to_lowercase().chars().take(LOGIN_CHARS).collect();
        Self { login, address: address.to_owned(), source: source_key(address) }
    }
}

impl Service {
    /// Signs somebody in from the network address `source`. Nothing is told of a second factor to
    /// whoever does not know the password.
    pub async fn sign_in(
        &self,
        typed: &Credentials<'_>,
        kind: SessionKind,
        source: &str,
    ) -> Result<SignedIn, Error> {
        let trial = Trial::new(typed.login, source);
        let (tx, person) = self.know_password(&trial, typed.password).await?;
        let (mut tx, factor) = self.ask_code(tx, &trial, &person, typed.code).await?;
        self.passed(&mut tx, &trial).await?;
        let mut details = serde_json::json!({ "kind": kind.as_str() });
        if let Some(factor) = factor {
            details["second_factor"] = factor.told();
        }
        let signed_in = self.open_session(&mut tx, person, kind, source, details).await?;
        tx.commit().await?;
        Ok(signed_in)
    }

    /// Opens a session for somebody who has proved who they are.
    pub(super) async fn open_session(
        &self,
        tx: &mut Tx,
        person: Person,
        kind: SessionKind,
        source: &str,
        details: serde_json::Value,
    ) -> Result<SignedIn, Error> {
        let now = self.now();
        tx.sweep_sessions(now - self.settings().session_idle, now).await?;
        let sessions = tx.sessions_of(&person.id).await?;
        for old in sessions.iter().take((sessions.len() + 1).saturating_sub(SESSIONS)) {
            tx.delete_session(&old.id).await?;
        }
        let (token, hash) = self.token();
        let csrf_token = csrf_token(&token);
        let session = Session {
            id: SessionId::new(now, &*self.parts.entropy),
            person: person.id.clone(),
            kind,
            source: source.to_owned(),
            csrf_hash: token_hash(&csrf_token),
            created_at: now,
            proved_at: now,
            used_at: now,
            expires_at: now + self.settings().session_absolute,
        };
        tx.insert_session(&session, &hash).await?;
        let caller = Caller { actor: person.actor(), source: source.to_owned() };
        let about = About { organization: home(&person), ..about_session(&session) }.with(details);
        tx.record(vec![self.parts.event(&caller, Kind::SignedIn, about)]).await?;
        let grants = tx.acting_grants(&person.id).await?;
        let must_enrol = self.must_enrol(&person, &grants);
        Ok(SignedIn { session, person, token, csrf_token, must_enrol })
    }

    /// Finds the session of a token, with its person and the roles that they may act in now. `None`
    /// for every token that is not worth anything.
    pub async fn authenticate(
        &self,
        token: &str,
        kind: SessionKind,
        _source: &str,
    ) -> Result<Option<Authenticated>, Error> {
        let now = self.now();
        let mut tx = self.db().read().await?;
        let Some(session) = tx.session_by_token(&token_hash(token)).await? else {
            return Ok(None);
        };
        if session.kind != kind || !is_live(&session, self.settings(), now) {
            return Ok(None);
        }
        let person = match tx.person(&session.person).await? {
            Some(person) if person.disabled_at.is_none() => person,
            Some(_) | None => return Ok(None),
        };
        let grants = tx.acting_grants(&session.person).await?;
        drop(tx);
        if now.since(session.used_at) >= TOUCH_EVERY
            && let Err(error) = self.touch(&session.id, now).await
        {
            // Reading goes on when nothing can be written.
            tracing::warn!(error = ?error, session.id = %session.id, "a session's use is not noted");
        }
        let must_enrol = self.must_enrol(&person, &grants);
        let actor = Actor::Person { id: person.id, grants };
        Ok(Some(Authenticated { session, actor, must_enrol }))
    }

    /// Whether the policy wants a second factor of a person with these roles who has none.
    pub(super) fn must_enrol(&self, person: &Person, grants: &[Grant]) -> bool {
        !person.second_factor && self.settings().second_factor.demands(grants)
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
        let trial = Trial::new(login, source);
        let (mut tx, person) = self.know_password(&trial, password).await?;
        // Where a code is to be guessed, too, the password alone forgives nothing.
        if !person.second_factor {
            self.passed(&mut tx, &trial).await?;
        }
        Ok((tx, person))
    }

    /// As [`Service::prove`], but earlier failures still count: something else is to be proved, too.
    pub(super) async fn know_password(
        &self,
        trial: &Trial,
        password: &str,
    ) -> Result<(Tx, Person), Error> {
        let stored = {
            let mut tx = self.db().read().await?;
            self.refuse_locked(&mut tx, trial).await?;
            tx.credentials(&trial.login).await?.map(|(_, hash)| hash)
        };
        let fits = self.password_fits(password, stored.clone()).await?;
        let mut tx = self.db().write().await?;
        let now = self.now();
        // Guesses made side by side have all passed the first look: whoever comes after the lock
        // is not told whether the guess was right.
        self.refuse_locked(&mut tx, trial).await?;
        let found = tx.credentials(&trial.login).await?;
        tx.sweep_sign_ins(now - FORGOTTEN_AFTER, now - KNOWN_FOR).await?;
        match found {
            // The account may have been closed, or its password changed, while we hashed.
            Some((person, hash))
                if fits && person.disabled_at.is_none() && stored.as_ref() == Some(&hash) =>
            {
                Ok((tx, person))
            }
            other => {
                let person = other.map(|(person, _)| person);
                self.count_failure(tx, trial, person.as_ref(), "password").await?;
                Err(Error::BadCredentials)
            }
        }
    }

    /// Everything was proved: failures are forgotten and the address is known from here on.
    pub(super) async fn passed(&self, tx: &mut Tx, trial: &Trial) -> Result<(), Error> {
        tx.clear_sign_in_failures(&trial.login, &trial.source).await?;
        Ok(tx.remember_source(&trial.login, &trial.source, self.now()).await?)
    }

    /// Refuses whoever has failed too often of late.
    pub(super) async fn refuse_locked(&self, tx: &mut Tx, trial: &Trial) -> Result<(), Error> {
        let now = self.now();
        let (login, source) = (&trial.login, &trial.source);
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

    /// Counts a failure to prove `what`, locks where that is due, and commits.
    pub(super) async fn count_failure(
        &self,
        mut tx: Tx,
        trial: &Trial,
        person: Option<&Person>,
        what: &'static str,
    ) -> Result<(), Error> {
        let now = self.now();
        let Trial { login, address, source } = trial;
        let caller = Caller { actor: Actor::Anonymous, source: address.clone() };
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
            self.parts.event(&caller, kind, about.with(details))
        };
        let mut events = vec![event(
            Kind::SignInFailed,
            serde_json::json!({ "failures": failures.failures, "wrong": what }),
        )];
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

/// What pages of a browser's session must show, made of its secret: a page that was loaded again
/// can be told it again, and it is the same in every tab.
pub fn csrf_token(session_secret: &str) -> String {
    secrets::derived_token(session_secret, "browser session csrf v1")
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

fn login_scope(login: &str) -> String {
    format!("login:{login}")
}

fn source_scope(source: &str) -> String {
    format!("source:{source}")
}

/// The end of a window that is full.
pub(super) fn closed_until(
    window: Window,
    limit: i64,
    length: Span,
    now: Timestamp,
) -> Option<Timestamp> {
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
            proved_at: NOON,
            used_at: NOON,
            expires_at: NOON + settings.session_absolute,
        };
        assert!(is_live(&session, &settings, NOON + Span::from_minutes(29)));
        assert!(!is_live(&session, &settings, NOON + Span::from_minutes(30)));
        let busy = Session { used_at: NOON + Span::from_hours(12), ..session };
        assert!(!is_live(&busy, &settings, NOON + Span::from_hours(12)));
    }
}

//! Invitations: a link that is good once, by which somebody chooses a password of their own.
//!
//! It is how a new account gets its first password and how a forgotten one is replaced. It does not
//! replace the second factor: whoever has one shows it here, too.

use medrelay_core::access::Action;
use medrelay_core::event::Kind;
use medrelay_core::id::PersonId;
use medrelay_core::people::Actor;
use medrelay_core::time::{Span, Timestamp};

use super::network::source_key;
use super::people::{must_reach_all, visible};
use super::sign_in::{SignedIn, Trial, closed_until, home};
use super::{About, Caller, Error, Service, passwords, token_hash};
use crate::store::{Person, PersonInvitation, SessionKind, StoreError, Tx};

/// How long an invitation is good unless it is asked for otherwise.
const LIFE_HOURS: i64 = 72;
/// The longest that it can be asked to be good.
const LONGEST_HOURS: i64 = 14 * 24;
/// Wrong links from an address in [`WINDOW`] after which the next ones are refused unread.
const FAILURES: i64 = 30;
const WINDOW: Span = Span::from_minutes(10);

/// An invitation that was just made. Its secret is shown once. Cannot be printed.
pub struct NewInvitation {
    /// The secret: what stands after `#` in the link.
    pub token: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// What an invitation says to whoever opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedInvitation {
    /// The name of who is invited.
    pub name: String,
    /// Their account name.
    pub login: String,
    /// The organization that they are invited to.
    pub organization_name: String,
    /// A second factor must be set up afterwards.
    pub must_enrol: bool,
    /// The account has a second factor: its code is asked for.
    pub needs_code: bool,
}

impl Service {
    /// Invites a person to choose a password, the first one or in place of a forgotten one. The
    /// present password stays until they do; an earlier invitation is worth nothing from here on.
    pub async fn invite(
        &self,
        caller: &Caller,
        id: &PersonId,
        hours: Option<i64>,
    ) -> Result<NewInvitation, Error> {
        let mut tx = self.db().write().await?;
        let person = tx.person(id).await?.ok_or(Error::hidden())?;
        let reach = visible(&mut tx, caller, Action::ManagePeople, &person).await?;
        must_reach_all(&person, &reach)?;
        if caller.actor.person() == Some(id) {
            return Err(Error::Conflict("change your own password with the present one"));
        }
        if person.disabled_at.is_some() {
            return Err(Error::Conflict("the account is closed: open it first"));
        }
        let invitation = self.put_invitation(&mut tx, caller, &person, hours).await?;
        tx.commit().await?;
        Ok(invitation)
    }

    /// Makes an invitation in the transaction.
    pub(super) async fn put_invitation(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        person: &Person,
        hours: Option<i64>,
    ) -> Result<NewInvitation, Error> {
        let hours = hours.unwrap_or(LIFE_HOURS);
        if !(1..=LONGEST_HOURS).contains(&hours) {
            return Err(Error::invalid("hours", "must be 1 to 336"));
        }
        let now = self.now();
        let (token, hash) = self.token();
        let new = PersonInvitation {
            person: person.id.clone(),
            invited_by: caller.name(),
            created_at: now,
            expires_at: now + Span::from_hours(hours),
        };
        tx.replace_person_invitation(&new, &hash).await?;
        let about = About {
            organization: home(person),
            object: format!("person:{}", person.id),
            ..About::default()
        }
        .with(serde_json::json!({ "hours": hours }));
        tx.record(vec![self.parts.event(caller, Kind::PersonInvited, about)]).await?;
        Ok(NewInvitation { token, expires_at: new.expires_at })
    }

    /// What an invitation is, for whoever has its secret.
    pub async fn open_invitation(
        &self,
        token: &str,
        source: &str,
    ) -> Result<OpenedInvitation, Error> {
        let person = self.invited(token, source).await?;
        let mut tx = self.db().read().await?;
        let organization = match home(&person) {
            Some(id) => tx.organization(id).await?,
            None => None,
        };
        let grants = tx.acting_grants(&person.id).await?;
        Ok(OpenedInvitation {
            must_enrol: self.must_enrol(&person, &grants),
            needs_code: person.second_factor,
            organization_name: organization.map(|it| it.name).unwrap_or_default(),
            name: person.name,
            login: person.login,
        })
    }

    /// Gives whoever has the secret the password that they chose and a browser's session; every
    /// other session of the person ends, and the invitation is used up. The code of a second
    /// factor is needed where there is one.
    pub async fn accept_invitation(
        &self,
        token: &str,
        password: &str,
        code: Option<&str>,
        source: &str,
    ) -> Result<SignedIn, Error> {
        // Nobody makes us hash without a good invitation.
        let person = self.invited(token, source).await?;
        passwords::check(password, &person.login)?;
        let password_hash = self.hash_password(password).await?;
        let ticket = token_hash(token);
        let trial = Trial::new(&person.login, source);
        let tx = self.db().write().await?;
        let (mut tx, factor) = self.ask_code(tx, &trial, &person, code).await?;
        match tx.use_person_invitation(&ticket, self.now()).await {
            Err(StoreError::Lost) => return Err(Error::BadTicket),
            other => other?,
        }
        let person = tx.person(&person.id).await?.ok_or(Error::BadTicket)?;
        if person.disabled_at.is_some() {
            return Err(Error::BadTicket);
        }
        tx.save_password(&person.id, &password_hash).await?;
        let ended = tx.delete_sessions_of(&person.id, None).await?;
        self.passed(&mut tx, &trial).await?;
        let caller = Caller { actor: person.actor(), source: source.to_owned() };
        let about = About {
            organization: home(&person),
            object: format!("person:{}", person.id),
            ..About::default()
        }
        .with(serde_json::json!({ "invitation": true, "sessions": ended }));
        tx.record(vec![self.parts.event(&caller, Kind::PasswordChanged, about)]).await?;
        let mut details = serde_json::json!({ "kind": "browser", "invitation": true });
        if let Some(factor) = factor {
            details["second_factor"] = factor.told();
        }
        let person = Person { invited: false, ..person };
        let browser = SessionKind::Browser;
        let signed_in = self.open_session(&mut tx, person, browser, source, details).await?;
        tx.commit().await?;
        Ok(signed_in)
    }

    /// Whom a secret invites. Wrong ones are counted by address, apart from failed sign-ins: a
    /// broken link keeps nobody from signing in.
    async fn invited(&self, token: &str, source: &str) -> Result<Person, Error> {
        let scope = format!("invitation:{}", source_key(source));
        let now = self.now();
        let mut tx = self.db().read().await?;
        let window = tx.sign_in_window(&scope).await?;
        if let Some(until) = closed_until(window, FAILURES, WINDOW, now) {
            return Err(Error::Locked { until });
        }
        if let Some(invitation) = tx.good_person_invitation(&token_hash(token), now).await?
            && let Some(person) = tx.person(&invitation.person).await?
            && person.disabled_at.is_none()
        {
            return Ok(person);
        }
        drop(tx);
        let mut tx = self.db().write().await?;
        let failures = tx.count_sign_in_failure(&scope, now - WINDOW, now).await?;
        if failures == FAILURES {
            let caller = Caller { actor: Actor::Anonymous, source: source.to_owned() };
            let about =
                About::default().with(serde_json::json!({ "scope": "invitations_by_address" }));
            tx.record(vec![self.parts.event(&caller, Kind::SignInLocked, about)]).await?;
        }
        tx.commit().await?;
        Err(Error::BadTicket)
    }
}

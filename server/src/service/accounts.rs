//! One's own account: the first administrator, sessions and the password.

use medrelay_core::event::Kind;
use medrelay_core::id::{OrganizationId, PersonId, SessionId};
use medrelay_core::people::{Actor, Grant, OrganizationKind, Role};
use medrelay_core::time::Span;

use super::sign_in::{SignedIn, about_session, csrf_token, home, is_live};
use super::{About, Caller, Error, Service, input, passwords, token_hash};
use crate::store::{Organization, Person, Session, StoreError};

/// The purpose of the ticket that makes the first administrator.
const SETUP: &str = "setup";
/// A set-up link is worth nothing after this long; the next start prints a new one.
const SETUP_LIFE: Span = Span::from_hours(7 * 24);

/// What is typed into the set-up page.
pub struct SetUp {
    /// Name of the lead hospital.
    pub hospital: String,
    /// Name of the first administrator.
    pub name: String,
    /// Account name of the first administrator.
    pub login: String,
    /// Password of the first administrator.
    pub password: String,
}

impl Service {
    /// Makes the one-time secret of the set-up link, if nobody can administer the relay yet; an
    /// older one is worth nothing from here on.
    pub async fn ensure_setup_ticket(&self) -> Result<Option<String>, Error> {
        let mut tx = self.db().write().await?;
        if tx.root_administrators(None).await? > 0 {
            return Ok(None);
        }
        let (token, hash) = self.token();
        tx.replace_ticket(SETUP, &hash, self.now()).await?;
        tx.commit().await?;
        Ok(Some(token))
    }

    /// Makes the lead hospital and its first administrator; the ticket is used up with it.
    pub async fn set_up(
        &self,
        caller: &Caller,
        token: &str,
        typed: &SetUp,
    ) -> Result<(Organization, Person), Error> {
        let ticket = token_hash(token);
        let mut tx = self.db().read().await?;
        // Nobody makes us hash without a good ticket.
        if !tx.ticket_is_good(SETUP, &ticket, self.now() - SETUP_LIFE).await? {
            return Err(Error::BadTicket);
        }
        drop(tx);
        let hospital = input::name("hospital", &typed.hospital)?;
        let name = input::name("name", &typed.name)?;
        let login = input::login(&typed.login)?;
        passwords::check(&typed.password, &login)?;
        let password_hash = self.hash_password(&typed.password).await?;

        let now = self.now();
        let entropy = &*self.parts.entropy;
        let organization = Organization {
            id: OrganizationId::new(now, entropy),
            above: Vec::new(),
            kind: OrganizationKind::LeadHospital,
            name: hospital,
            closed_at: None,
            created_at: now,
            version: 1,
        };
        let person = Person {
            id: PersonId::new(now, entropy),
            login,
            name,
            modalities: Vec::new(),
            grants: vec![Grant {
                organization: organization.id.clone(),
                role: Role::Administrator,
            }],
            invited: false,
            second_factor: false,
            disabled_at: None,
            created_at: now,
            version: 1,
        };
        let mut tx = self.db().write().await?;
        if !tx.ticket_is_good(SETUP, &ticket, now - SETUP_LIFE).await? {
            return Err(Error::BadTicket);
        }
        match tx.use_ticket(SETUP, &ticket, now).await {
            Err(StoreError::Lost) => return Err(Error::BadTicket),
            other => other?,
        }
        if tx.root_administrators(None).await? > 0 {
            return Err(Error::BadTicket);
        }
        tx.insert_organization(&organization).await?;
        tx.insert_person(&person, &password_hash).await.map_err(super::people::login_taken)?;
        let caller = Caller { actor: person.actor(), source: caller.source.clone() };
        let about = About::of(&organization.id, format!("person:{}", person.id));
        tx.record(vec![self.parts.event(&caller, Kind::SetUp, about)]).await?;
        tx.commit().await?;
        Ok((organization, person))
    }

    /// The caller's own account: with the roles that they may act in now.
    pub async fn me(&self, caller: &Caller) -> Result<Person, Error> {
        let id = caller.person()?;
        let mut tx = self.db().read().await?;
        let mut person = tx.person(id).await?.ok_or(Error::hidden())?;
        if let Actor::Person { grants, .. } = &caller.actor {
            person.grants.clone_from(grants);
        }
        Ok(person)
    }

    /// The caller's sessions that are still good, oldest first.
    pub async fn sessions(&self, caller: &Caller) -> Result<Vec<Session>, Error> {
        let id = caller.person()?;
        let now = self.now();
        let mut sessions = self.db().read().await?.sessions_of(id).await?;
        sessions.retain(|session| is_live(session, self.settings(), now));
        Ok(sessions)
    }

    /// Ends one of the caller's sessions.
    pub async fn end_session(&self, caller: &Caller, id: &SessionId) -> Result<(), Error> {
        let person = caller.person()?;
        let mut tx = self.db().write().await?;
        let session = tx
            .session(id)
            .await?
            .filter(|session| session.person == *person)
            .ok_or(Error::hidden())?;
        tx.delete_session(id).await?;
        let owner = tx.person(person).await?.ok_or(Error::hidden())?;
        let about = About { organization: home(&owner), ..about_session(&session) };
        tx.record(vec![self.parts.event(caller, Kind::SignedOut, about)]).await?;
        Ok(tx.commit().await?)
    }

    /// Ends every session of the caller, the one that asks included.
    pub async fn end_all_sessions(&self, caller: &Caller) -> Result<(), Error> {
        let id = caller.person()?;
        let mut tx = self.db().write().await?;
        let person = tx.person(id).await?.ok_or(Error::hidden())?;
        let ended = tx.delete_sessions_of(id, None).await?;
        let about = About {
            organization: home(&person),
            object: format!("person:{id}"),
            ..About::default()
        }
        .with(serde_json::json!({ "sessions": ended }));
        tx.record(vec![self.parts.event(caller, Kind::SignedOut, about)]).await?;
        Ok(tx.commit().await?)
    }

    /// Changes the caller's password, ends their other sessions and gives this one new secrets.
    pub async fn change_password(
        &self,
        caller: &Caller,
        session: &SessionId,
        current: &str,
        new: &str,
    ) -> Result<SignedIn, Error> {
        let me = self.me(caller).await?;
        passwords::check(new, &me.login)?;
        if current == new {
            return Err(Error::invalid("password", "must not be the present one"));
        }
        let new_hash = self.hash_password(new).await?;
        // The same limits as for signing in: a session left open is no way to guess the password.
        let proven = self.prove(&me.login, current, &caller.source).await;
        let (mut tx, person) = proven.map_err(|error| match error {
            Error::BadCredentials => Error::invalid("current_password", "is wrong"),
            other => other,
        })?;
        let session = tx
            .session(session)
            .await?
            .filter(|session| session.person == person.id)
            .ok_or(Error::hidden())?;
        tx.save_password(&person.id, &new_hash).await?;
        tx.delete_sessions_of(&person.id, Some(&session.id)).await?;
        let (token, hash) = self.token();
        let csrf_token = csrf_token(&token);
        let csrf_hash = token_hash(&csrf_token);
        tx.rotate_session(&session.id, &hash, &csrf_hash).await?;
        let about = About {
            organization: home(&person),
            object: format!("person:{}", person.id),
            ..About::default()
        };
        tx.record(vec![self.parts.event(caller, Kind::PasswordChanged, about)]).await?;
        tx.commit().await?;
        let must_enrol = self.must_enrol(&me, &me.grants);
        let session = Session { csrf_hash, ..session };
        Ok(SignedIn { session, person: me, token, csrf_token, must_enrol })
    }
}

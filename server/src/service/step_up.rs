//! Step-up: whoever signs at a browser has proved lately that it is they who sit there, and a page
//! that was loaded again is told where it stands.

use medrelay_core::event::Kind;
use medrelay_core::id::SessionId;
use medrelay_core::time::Timestamp;

use super::second_factor::wrong;
use super::sign_in::{Trial, about_session, csrf_token, home};
use super::{About, Caller, Error, Service, token_hash};
use crate::store::{Organization, Person, Session, SessionKind};

/// With what somebody proves again who they are.
#[derive(Clone, Copy)]
pub enum Proving<'a> {
    /// With the password.
    Password(&'a str),
    /// With a code of the second factor, or a recovery code.
    Code(&'a str),
}

/// Where a signed-in person stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Their account with the roles that they may act in now.
    pub person: Person,
    /// Until when they may sign without proving again who they are; `None` for a program, which
    /// may always.
    pub proved_until: Option<Timestamp>,
    /// A second factor must be set up before anything else.
    pub must_enrol: bool,
    /// The organizations that they act in.
    pub organizations: Vec<Organization>,
    /// What a page must show with changing calls, if its session's secret was given.
    pub csrf_token: Option<String>,
}

impl Service {
    /// Proves again who the holder of a session is; failures count toward the lock of signing in.
    /// The answer is until when that holds.
    pub async fn step_up(
        &self,
        caller: &Caller,
        session: &SessionId,
        proving: Proving<'_>,
    ) -> Result<Timestamp, Error> {
        let me = self.me(caller).await?;
        let (mut tx, by) = match proving {
            Proving::Password(password) => {
                let proven = self.prove(&me.login, password, &caller.source).await;
                (proven.map_err(wrong("password"))?.0, serde_json::json!({ "by": "password" }))
            }
            Proving::Code(code) => {
                let trial = Trial::new(&me.login, &caller.source);
                let tx = self.db().write().await?;
                let asked = self.ask_code(tx, &trial, &me, Some(code)).await;
                let (tx, factor) = asked.map_err(wrong("code"))?;
                let factor = factor.ok_or_else(|| {
                    Error::invalid("code", "there is no second factor: show the password")
                })?;
                (tx, factor.told())
            }
        };
        let now = self.now();
        let session = tx
            .session(session)
            .await?
            .filter(|session| session.person == me.id)
            .ok_or(Error::hidden())?;
        tx.save_session_proof(&session.id, now).await?;
        let about = About { organization: home(&me), ..about_session(&session) }.with(by);
        tx.record(vec![self.parts.event(caller, Kind::IdentityProved, about)]).await?;
        tx.commit().await?;
        Ok(now + self.settings().step_up)
    }

    /// Until when the holder of a browser's session may sign without proving again who they are.
    /// `None` for a program: nobody sits at its keyboard.
    pub fn proved_until(&self, session: &Session) -> Option<Timestamp> {
        match session.kind {
            SessionKind::Browser => Some(session.proved_at + self.settings().step_up),
            SessionKind::Program => None,
        }
    }

    /// Refuses who has not proved lately enough that it is they who sit there.
    pub fn must_be_proved(&self, session: &Session) -> Result<(), Error> {
        match self.proved_until(session) {
            Some(until) if until <= self.now() => Err(Error::StepUpRequired),
            Some(_) | None => Ok(()),
        }
    }

    /// Where the caller stands. `secret` is the session's own: from it a page that was loaded
    /// again gets the token back that it must show.
    pub async fn standing(
        &self,
        caller: &Caller,
        session: &SessionId,
        secret: Option<&str>,
    ) -> Result<Standing, Error> {
        let person = self.me(caller).await?;
        let mut tx = self.db().read().await?;
        let session = tx
            .session(session)
            .await?
            .filter(|session| session.person == person.id)
            .ok_or(Error::hidden())?;
        let mut organizations: Vec<Organization> = Vec::new();
        for grant in &person.grants {
            if organizations.iter().any(|known| known.id == grant.organization) {
                continue;
            }
            organizations.extend(tx.organization(&grant.organization).await?);
        }
        let token = secret.map(csrf_token);
        Ok(Standing {
            proved_until: self.proved_until(&session),
            must_enrol: self.must_enrol(&person, &person.grants),
            organizations,
            // A session from before tokens were made of its secret has another one.
            csrf_token: token.filter(|token| token_hash(token) == session.csrf_hash),
            person,
        })
    }
}

//! Joining: an administrator makes a one-time code, a gateway trades it for its first certificate.
//!
//! The code is 128 random bits of which only a hash is kept, good once and for a short time. Five
//! attempts with a wrong secret lock it; attempts with whatever code are counted per address. Every
//! code that is not good gets the same answer, so that nobody learns which ones there are.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use medrelay_core::access::Action;
use medrelay_core::event::Kind;
use medrelay_core::id::{GatewayId, OrganizationId};
use medrelay_core::people::Actor;
use medrelay_core::time::{Span, Timestamp};
use medrelay_core::transfer::join::JoinCode;

use super::consortium::{must_be_open, standing};
use super::gateways::{object, unusable};
use super::network::source_key;
use super::{About, Caller, Error, Service, allow, input, persist};
use crate::store::{Gateway, Invitation, Tx};
use crate::tls::RequestedKey;

/// Attempts with a wrong secret that a code bears.
const FAILURES: i64 = 5;
/// The longest that a code may be good.
const LONGEST: Span = Span::from_hours(24);
/// Attempts that fail, from one address in [`SOURCE_WINDOW`], before it has to wait.
const SOURCE_FAILURES: i64 = 30;
const SOURCE_WINDOW: Span = Span::from_minutes(10);

/// A code as an administrator asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewJoinCode {
    /// The name that the gateway gets; empty for the one it asks for.
    pub name: String,
    /// Minutes it is good for; as configured without it.
    pub minutes: Option<i64>,
}

/// A new code with its secret, which is shown this once. Cannot be printed.
pub struct MadeJoinCode {
    /// The code to type.
    pub code: String,
    /// What is kept of it.
    pub invitation: Invitation,
}

/// What a gateway sends to join.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// The code as it was typed.
    pub code: String,
    /// The certificate request, PEM.
    pub request: String,
    /// The gateway's program and version; may be empty.
    pub software: String,
    /// What people call the gateway; may be empty.
    pub name: String,
}

/// What a gateway that has joined needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The gateway.
    pub gateway: Gateway,
    /// Its clinic's name.
    pub clinic_name: String,
    /// Its first certificate, PEM.
    pub certificate: String,
}

/// How an attempt to join ended, other than by a fault of the relay.
enum Attempt {
    Joined(Box<Joined>),
    /// Counted and written down.
    Refused(Error),
}

impl Service {
    /// Makes a code with which one gateway may join for a clinic.
    pub async fn create_join_code(
        &self,
        caller: &Caller,
        clinic: &OrganizationId,
        new: &NewJoinCode,
    ) -> Result<MadeJoinCode, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (organization, standing) = standing(&mut tx, clinic).await?;
        allow(caller, Action::ManageGateway, &standing)?;
        must_be_open(&organization)?;
        let life = new.minutes.map_or(self.settings().link.join_life, Span::from_minutes);
        if life < Span::from_minutes(1) || life > LONGEST {
            return Err(Error::invalid("minutes", "must be 1 to 1440"));
        }
        let entropy = &*self.parts.entropy;
        let mut code = JoinCode::new(&self.parts.authority.fingerprint(), entropy);
        while tx.invitation(&code.handle_text()).await?.is_some() {
            code = JoinCode::new(&self.parts.authority.fingerprint(), entropy);
        }
        let invitation = Invitation {
            handle: code.handle_text(),
            clinic: clinic.clone(),
            secret_hash: code.secret_hash(),
            name: optional_name("name", &new.name)?,
            created_by: caller.name(),
            created_at: now,
            expires_at: now + life,
            failures: 0,
            used_at: None,
            withdrawn_at: None,
        };
        // So that the clinic is not closed at the same time.
        tx.hold_organization(clinic).await?;
        tx.insert_invitation(&invitation).await?;
        let about = About::of(clinic, code_object(&invitation.handle))
            .with(serde_json::json!({ "until": invitation.expires_at.micros() }));
        tx.record(vec![self.parts.event(caller, Kind::JoinCodeMade, about)]).await?;
        tx.commit().await?;
        Ok(MadeJoinCode { code: code.to_text(), invitation })
    }

    /// The codes of a clinic that could still be used, newest first.
    pub async fn join_codes(
        &self,
        caller: &Caller,
        clinic: &OrganizationId,
    ) -> Result<Vec<Invitation>, Error> {
        let mut tx = self.db().read().await?;
        let (_, standing) = standing(&mut tx, clinic).await?;
        allow(caller, Action::ReadGateway, &standing)?;
        let mut open = tx.open_invitations(clinic, self.now()).await?;
        open.retain(|invitation| invitation.failures < FAILURES);
        Ok(open)
    }

    /// Takes a code back by its handle. One that is taken back already stays so.
    pub async fn withdraw_join_code(&self, caller: &Caller, handle: &str) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let invitation = tx.invitation(handle).await?.ok_or(Error::hidden())?;
        let (_, standing) = standing(&mut tx, &invitation.clinic).await?;
        allow(caller, Action::ManageGateway, &standing)?;
        if invitation.withdrawn_at.is_some() {
            return Ok(());
        }
        if invitation.used_at.is_some() {
            return Err(Error::Conflict("the code was used: revoke the gateway instead"));
        }
        tx.withdraw_invitation(handle, self.now()).await?;
        let about = About::of(&invitation.clinic, code_object(handle));
        tx.record(vec![self.parts.event(caller, Kind::JoinCodeWithdrawn, about)]).await?;
        Ok(tx.commit().await?)
    }

    /// Trades a code for a gateway and its first certificate: everything or nothing.
    pub async fn join(&self, source: &str, asked: &JoinRequest) -> Result<Joined, Error> {
        // A typing mistake is told as such: it says nothing about which codes there are.
        let code = JoinCode::parse(&asked.code)
            .map_err(|fault| Error::invalid("code", fault.to_string()))?;
        let key = RequestedKey::of_pem(&asked.request).map_err(unusable)?;
        let software = optional_name("software", &asked.software)?;
        let name = optional_name("name", &asked.name)?;
        let attempt = persist!(self.attempt(source, &code, &key, (&name, &software)).await)?;
        match attempt {
            Attempt::Joined(joined) => Ok(*joined),
            Attempt::Refused(error) => Err(error),
        }
    }

    async fn attempt(
        &self,
        source: &str,
        code: &JoinCode,
        key: &RequestedKey,
        (name, software): (&str, &str),
    ) -> Result<Attempt, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let window = tx.sign_in_window(&source_scope(source)).await?;
        let until = window.started_at + SOURCE_WINDOW;
        if window.failures >= SOURCE_FAILURES && now < until {
            return Err(Error::Locked { until });
        }
        let found = tx.attempt_invitation(&code.handle_text()).await?;
        let good = found
            .as_ref()
            .filter(|invitation| is_right(invitation, code) && is_good(invitation, now));
        let clinic = match good {
            Some(invitation) => tx.organization(&invitation.clinic).await?,
            None => None,
        };
        let (Some(invitation), Some(clinic)) =
            (good, clinic.filter(|clinic| clinic.closed_at.is_none()))
        else {
            return self.refuse(tx, source, found.as_ref()).await;
        };
        let names = [invitation.name.as_str(), name, "gateway"];
        let gateway = Gateway {
            id: GatewayId::new(now, &*self.parts.entropy),
            clinic: clinic.id.clone(),
            clinic_name: clinic.name.clone(),
            name: names.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned(),
            software: software.to_owned(),
            joined_at: now,
            revoked_at: None,
            seen_at: Some(now),
            source: source.to_owned(),
            carrier: String::new(),
            certificate_until: now,
        };
        tx.use_invitation(&invitation.handle, &gateway.id, now).await?;
        tx.insert_gateway(&gateway).await?;
        let issued = self.certify(&mut tx, &gateway.id, key, now).await?;
        let gateway = Gateway { certificate_until: issued.not_after, ..gateway };
        let actor = Actor::Gateway { id: gateway.id.clone(), clinic: clinic.id.clone() };
        let caller = Caller { actor, source: source.to_owned() };
        let about = About::of(&clinic.id, object(&gateway.id))
            .with(serde_json::json!({ "code": invitation.handle, "software": software }));
        tx.record(vec![self.parts.event(&caller, Kind::GatewayJoined, about)]).await?;
        tx.commit().await?;
        let joined = Joined { gateway, clinic_name: clinic.name, certificate: issued.pem };
        Ok(Attempt::Joined(Box::new(joined)))
    }

    /// Makes a failed attempt durable: at its code, if there is such a one, and at its address.
    async fn refuse(
        &self,
        mut tx: Tx,
        source: &str,
        invitation: Option<&Invitation>,
    ) -> Result<Attempt, Error> {
        let now = self.now();
        let scope = source_scope(source);
        let here = tx.count_sign_in_failure(&scope, now - SOURCE_WINDOW, now).await?;
        let caller = Caller { actor: Actor::Anonymous, source: source.to_owned() };
        let about = match invitation {
            Some(invitation) => About::of(&invitation.clinic, code_object(&invitation.handle)),
            None => About::default(),
        };
        let failures = invitation.map(|invitation| invitation.failures);
        let about = about.with(serde_json::json!({ "failures": failures, "from_here": here }));
        tx.record(vec![self.parts.event(&caller, Kind::JoinFailed, about)]).await?;
        tx.commit().await?;
        Ok(Attempt::Refused(Error::BadJoinCode))
    }
}

/// Whether the secret is the code's; it takes the same time however much of it is right.
fn is_right(invitation: &Invitation, code: &JoinCode) -> bool {
    let (kept, shown) = (invitation.secret_hash.as_bytes(), code.secret_hash());
    verify_slices_are_equal(kept, shown.as_bytes()).is_ok()
}

/// Whether a code whose present attempt is counted already can still be used.
fn is_good(invitation: &Invitation, now: Timestamp) -> bool {
    invitation.failures <= FAILURES
        && invitation.used_at.is_none()
        && invitation.withdrawn_at.is_none()
        && now < invitation.expires_at
}

fn optional_name(field: &'static str, typed: &str) -> Result<String, Error> {
    if typed.trim().is_empty() { Ok(String::new()) } else { input::name(field, typed) }
}

fn code_object(handle: &str) -> String {
    format!("join_code:{handle}")
}

fn source_scope(source: &str) -> String {
    format!("join:{}", source_key(source))
}

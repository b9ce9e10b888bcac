//! Who is at the other end of a link: a gateway by its certificate, or a person by the session of
//! their browser.

use medrelay_core::access::{Action, Denial, Object, may};
use medrelay_core::id::{GatewayId, OrganizationId, PersonId, SessionId};
use medrelay_core::people::{Actor, Grant, Role};

use crate::service::gateways::Admission;
use crate::service::ingest::Sender;
use crate::service::sign_in::is_live;
use crate::service::{Caller, Error, Service};
use crate::store::{Organization, Tx};

/// Who is at the other end of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkPeer {
    /// The clinic that is sent for.
    pub clinic: OrganizationId,
    /// The clinic's name.
    pub clinic_name: String,
    /// By what they are known.
    pub identity: Identity,
}

/// By what somebody at the other end of a link is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A gateway, by its certificate.
    Gateway {
        /// Which.
        id: GatewayId,
        /// The public key of the certificate that it showed: SubjectPublicKeyInfo, DER.
        public_key: Vec<u8>,
        /// SHA-256 of that certificate, hexadecimal.
        fingerprint: String,
    },
    /// A person, by the session of their browser.
    Person {
        /// Who.
        id: PersonId,
        /// Which session.
        session: SessionId,
        /// As what they act.
        grants: Vec<Grant>,
    },
}

impl LinkPeer {
    /// What the protocol calls them, in WELCOME, manifests and receipts.
    pub fn name(&self) -> String {
        match &self.identity {
            Identity::Gateway { id, .. } => id.to_string(),
            Identity::Person { id, .. } => format!("person:{id}"),
        }
    }

    /// The gateway, if it is one.
    pub fn gateway(&self) -> Option<&GatewayId> {
        match &self.identity {
            Identity::Gateway { id, .. } => Some(id),
            Identity::Person { .. } => None,
        }
    }

    /// The identifier that their manifests are kept under.
    pub(super) fn id(&self) -> String {
        match &self.identity {
            Identity::Gateway { id, .. } => id.to_string(),
            Identity::Person { id, .. } => id.to_string(),
        }
    }

    /// The fingerprint of the certificate that signs their manifests; empty for a person.
    pub(super) fn fingerprint(&self) -> &str {
        match &self.identity {
            Identity::Gateway { fingerprint, .. } => fingerprint,
            Identity::Person { .. } => "",
        }
    }

    /// Them as somebody who calls use cases from the address `source`.
    pub fn caller(&self, source: &str) -> Caller {
        let actor = match &self.identity {
            Identity::Gateway { id, .. } => {
                Actor::Gateway { id: id.clone(), clinic: self.clinic.clone() }
            }
            Identity::Person { id, grants, .. } => {
                Actor::Person { id: id.clone(), grants: grants.clone() }
            }
        };
        Caller { actor, source: source.to_owned() }
    }

    /// Them as somebody who sends instances from the address `source`.
    pub fn sender(&self, source: &str) -> Sender {
        Sender { caller: self.caller(source), clinic: self.clinic.clone(), device: None }
    }
}

impl Service {
    /// The person of a browser's session as somebody who sends for `clinic`; without one, for the
    /// only clinic that they are a technician of.
    pub async fn admit_browser(
        &self,
        session: &SessionId,
        clinic: Option<&OrganizationId>,
    ) -> Result<LinkPeer, Error> {
        let mut tx = self.parts.db.read().await?;
        let (person, grants) = self.browser(&mut tx, session).await?.ok_or(UNAUTHENTICATED)?;
        let actor = Actor::Person { id: person.clone(), grants: grants.clone() };
        let mut clinics = actor.organizations_as(Role::Technician);
        let clinic = match (clinic, clinics.pop()) {
            (Some(clinic), _) => clinic.clone(),
            (None, Some(only)) if clinics.is_empty() => only,
            (None, Some(_)) => return Err(Error::invalid("clinic", "say for which clinic")),
            (None, None) => return Err(Error::Denied(Denial::Forbidden)),
        };
        let clinic = tx.organization(&clinic).await?.ok_or(Error::hidden())?;
        let object = Object::owned(clinic.id.clone(), clinic.above.clone());
        may(&actor, Action::StoreInstance, &object)?;
        Ok(peer(person, session, grants, clinic))
    }

    /// Whether somebody who is connected may go on: for the look that is taken again and again
    /// while a connection lasts.
    pub async fn link_standing(&self, peer: &LinkPeer) -> Result<Admission, Error> {
        match &peer.identity {
            Identity::Gateway { id, .. } => self.gateway_standing(id).await,
            Identity::Person { session, .. } => self.browser_standing(session, &peer.clinic).await,
        }
    }

    async fn browser_standing(
        &self,
        session: &SessionId,
        clinic: &OrganizationId,
    ) -> Result<Admission, Error> {
        let mut tx = self.parts.db.read().await?;
        let Some((person, grants)) = self.browser(&mut tx, session).await? else {
            return Ok(Admission::SessionOver);
        };
        let Some(clinic) = tx.organization(clinic).await? else {
            return Ok(Admission::SessionOver);
        };
        if clinic.closed_at.is_some() {
            return Ok(Admission::ClinicClosed);
        }
        let actor = Actor::Person { id: person.clone(), grants: grants.clone() };
        let object = Object::owned(clinic.id.clone(), clinic.above.clone());
        Ok(match may(&actor, Action::StoreInstance, &object) {
            Ok(()) => Admission::Admitted(peer(person, session, grants, clinic)),
            Err(_) => Admission::SessionOver,
        })
    }

    /// Bytes come over a link by a session: it is in use. A long upload must not end it.
    pub async fn use_session(&self, session: &SessionId) -> Result<(), Error> {
        let mut tx = self.parts.db.write().await?;
        tx.touch_session(session, self.now()).await?;
        Ok(tx.commit().await?)
    }

    /// The person behind a session that is not over, and as what they act in open organizations.
    async fn browser(
        &self,
        tx: &mut Tx,
        session: &SessionId,
    ) -> Result<Option<(PersonId, Vec<Grant>)>, Error> {
        let Some(session) = tx.session(session).await? else { return Ok(None) };
        if !is_live(&session, self.settings(), self.now()) {
            return Ok(None);
        }
        let person = tx.person(&session.person).await?;
        if person.is_none_or(|person| person.disabled_at.is_some()) {
            return Ok(None);
        }
        let grants = tx.acting_grants(&session.person).await?;
        Ok(Some((session.person, grants)))
    }
}

const UNAUTHENTICATED: Error = Error::Denied(Denial::Unauthenticated);

fn peer(id: PersonId, session: &SessionId, grants: Vec<Grant>, clinic: Organization) -> LinkPeer {
    let identity = Identity::Person { id, session: session.clone(), grants };
    LinkPeer { clinic: clinic.id, clinic_name: clinic.name, identity }
}

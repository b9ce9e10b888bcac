//! Gateways of clinics: which have joined, who may connect, and their certificates.
//!
//! A certificate is only a key with a name. Whether its gateway may do anything is looked up in
//! the database, by the certificate's fingerprint, at every connection and again while it lasts.

use medrelay_core::access::Action;
use medrelay_core::event::Kind;
use medrelay_core::id::{GatewayId, OrganizationId};
use medrelay_core::time::{Span, Timestamp};

use super::consortium::listing;
use super::link::{Identity, LinkPeer};
use super::{About, Caller, Error, Service, allow, owned_by};
use crate::store::{Gateway, GatewayCertificate, Tx};
use crate::tls::{Issued, RequestedKey, fingerprint};

/// Certificates that one gateway gets in [`RENEWALS_WINDOW`] at most: enough for answers that were
/// lost on the way, too few to fill the database.
const RENEWALS: usize = 8;
const RENEWALS_WINDOW: Span = Span::from_hours(24);

/// Whether somebody may use the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// They may.
    Admitted(LinkPeer),
    /// The certificate is nobody's, or its time is over.
    Unknown,
    /// Its gateway was revoked: it must stop trying.
    Revoked,
    /// Its clinic is closed: it must stop trying.
    ClinicClosed,
    /// The session of a browser has ended, or does not allow its person to send any more.
    SessionOver,
}

/// A gateway that was not heard of for so long is not connected: while it is, that is written down
/// every minute.
pub const ONLINE_FOR: Span = Span::from_secs(150);

impl Service {
    /// Whether a gateway is connected, as far as is written down.
    pub fn is_online(&self, gateway: &Gateway) -> bool {
        let seen = gateway.seen_at.is_some_and(|at| self.now().since(at) < ONLINE_FOR);
        seen && gateway.revoked_at.is_none() && !gateway.carrier.is_empty()
    }

    /// Gateways that the caller may see, revoked ones too, in the order of their joining.
    pub async fn gateways(
        &self,
        caller: &Caller,
        clinic: Option<&OrganizationId>,
        after: Option<&GatewayId>,
        limit: i64,
    ) -> Result<Vec<Gateway>, Error> {
        let scope = listing(caller, Action::ReadGateway)?;
        Ok(self.db().read().await?.gateways(scope.as_ref(), clinic, after, limit).await?)
    }

    /// One gateway.
    pub async fn gateway(&self, caller: &Caller, id: &GatewayId) -> Result<Gateway, Error> {
        let mut tx = self.db().read().await?;
        present(&mut tx, caller, Action::ReadGateway, id).await
    }

    /// Revokes a gateway for good: its connections are closed within seconds, on every server. One
    /// that is revoked already stays as it is. What it has sent stays.
    pub async fn revoke_gateway(&self, caller: &Caller, id: &GatewayId) -> Result<Gateway, Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let mut gateway = present(&mut tx, caller, Action::ManageGateway, id).await?;
        if gateway.revoked_at.is_some() {
            return Ok(gateway);
        }
        tx.revoke_gateway(id, now).await?;
        gateway.revoked_at = Some(now);
        let about = About::of(&gateway.clinic, object(id));
        tx.record(vec![self.parts.event(caller, Kind::GatewayRevoked, about)]).await?;
        tx.commit().await?;
        Ok(gateway)
    }

    /// Who the owner of a certificate (DER) is, and whether they may use the link now. The caller
    /// has seen proof that the other side holds the private key.
    pub async fn admit_gateway(&self, certificate_der: &[u8]) -> Result<Admission, Error> {
        let now = self.now();
        let mut tx = self.db().read().await?;
        let known = tx.gateway_certificate(&hex::encode(fingerprint(certificate_der))).await?;
        match known {
            Some(certificate) if now < certificate.expires_at => {
                admission(&mut tx, &certificate).await
            }
            Some(_) | None => Ok(Admission::Unknown),
        }
    }

    /// Whether a gateway that is connected may go on: for the look that is taken again and again
    /// while a connection lasts. The peer is given with the newest certificate.
    pub async fn gateway_standing(&self, id: &GatewayId) -> Result<Admission, Error> {
        let mut tx = self.db().read().await?;
        match tx.gateway_certificates(id).await?.first() {
            Some(newest) => admission(&mut tx, newest).await,
            None => Ok(Admission::Unknown),
        }
    }

    /// Notes where and by what (`quic` or `websocket`) a gateway is connected.
    pub async fn note_gateway(
        &self,
        id: &GatewayId,
        source: &str,
        carrier: &str,
    ) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        tx.touch_gateway(id, source, carrier, self.now()).await?;
        Ok(tx.commit().await?)
    }

    /// Gives a connected gateway a new certificate for a new key: the chain, the gateway's own
    /// first. The old one stays good until its own end, so that nothing breaks should the answer be
    /// lost.
    pub async fn renew_certificate(
        &self,
        id: &GatewayId,
        request_der: &[u8],
        source: &str,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let key = RequestedKey::of(request_der).map_err(unusable)?;
        let now = self.now();
        let mut tx = self.db().write().await?;
        let gateway = tx.gateway(id).await?.ok_or(Error::hidden())?;
        let known = tx.gateway_certificates(id).await?;
        let standing = match known.first() {
            Some(newest) => admission(&mut tx, newest).await?,
            None => Admission::Unknown,
        };
        let Admission::Admitted(peer) = standing else { return Err(Error::hidden()) };
        let public_key = hex::encode(key.public_key());
        if known.iter().any(|certificate| certificate.public_key == public_key) {
            return Err(Error::invalid("request", "must be for a new key"));
        }
        let since = now - RENEWALS_WINDOW;
        let recent: Vec<Timestamp> =
            known.iter().map(|one| one.issued_at).filter(|at| *at > since).collect();
        if recent.len() >= RENEWALS {
            let oldest = recent.into_iter().min().unwrap_or(now);
            return Err(Error::Locked { until: oldest + RENEWALS_WINDOW });
        }
        let issued = self.certify(&mut tx, &gateway.id, &key, now).await?;
        let about = About::of(&gateway.clinic, object(id))
            .with(serde_json::json!({ "until": issued.not_after.micros() }));
        let caller = peer.caller(source);
        tx.record(vec![self.parts.event(&caller, Kind::CertificateRenewed, about)]).await?;
        tx.commit().await?;
        Ok(vec![issued.der])
    }

    /// Issues a certificate and keeps its row in the transaction.
    pub(super) async fn certify(
        &self,
        tx: &mut Tx,
        gateway: &GatewayId,
        key: &RequestedKey,
        now: Timestamp,
    ) -> Result<Issued, Error> {
        let life = self.settings().link.certificate_life;
        let issued = self.parts.authority.issue(key, gateway, life, now, &*self.parts.entropy);
        let issued = issued.map_err(|error| Error::Document(error.to_string()))?;
        let row = GatewayCertificate {
            fingerprint: hex::encode(fingerprint(&issued.der)),
            gateway: gateway.clone(),
            public_key: hex::encode(key.public_key()),
            issued_at: now,
            expires_at: issued.not_after,
        };
        tx.insert_gateway_certificate(&row).await?;
        Ok(issued)
    }
}

/// How events name a gateway.
pub(super) fn object(id: &GatewayId) -> String {
    format!("gateway:{id}")
}

/// A request that no certificate is given for.
pub(super) fn unusable(fault: crate::tls::RequestFault) -> Error {
    Error::invalid("request", fault.to_string())
}

async fn present(
    tx: &mut Tx,
    caller: &Caller,
    action: Action,
    id: &GatewayId,
) -> Result<Gateway, Error> {
    let gateway = tx.gateway(id).await?.ok_or(Error::hidden())?;
    allow(caller, action, &owned_by(tx, &gateway.clinic).await?)?;
    Ok(gateway)
}

async fn admission(tx: &mut Tx, certificate: &GatewayCertificate) -> Result<Admission, Error> {
    let Some(gateway) = tx.gateway(&certificate.gateway).await? else {
        return Ok(Admission::Unknown);
    };
    if gateway.revoked_at.is_some() {
        return Ok(Admission::Revoked);
    }
    let Some(clinic) = tx.organization(&gateway.clinic).await? else {
        return Ok(Admission::Unknown);
    };
    if clinic.closed_at.is_some() {
        return Ok(Admission::ClinicClosed);
    }
    let identity = Identity::Gateway {
        id: gateway.id,
        public_key: hex::decode(&certificate.public_key).unwrap_or_default(),
        fingerprint: certificate.fingerprint.clone(),
    };
    Ok(Admission::Admitted(LinkPeer { clinic: clinic.id, clinic_name: clinic.name, identity }))
}

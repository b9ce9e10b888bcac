//! The relay's end of the clinic link: a certificate of its own authority for the name
//! `link.medrelay`, and TLS settings that admit nobody without a certificate of the same authority.
//!
//! The certificate and its key live in memory: gateways trust the authority, not the certificate,
//! so that a new one at every start goes unnoticed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use medrelay_core::time::{Clock, Entropy, Span, Timestamp};
use medrelay_core::transfer::{ALPN, SERVER_NAME};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::UnixTime;

use super::{ClinicAuthority, Current, RENEW_DAYS, TlsError, provider, validity};

/// Certificate and settings of the link.
#[derive(Debug)]
pub(super) struct LinkEnd {
    authority: Arc<ClinicAuthority>,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

impl LinkEnd {
    pub(super) fn open(
        authority: &Arc<ClinicAuthority>,
        clock: &Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Result<Self, TlsError> {
        let current = Arc::new(Current::default());
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| TlsError::Authority(error.to_string()))?;
        // One time for everything: a certificate ends by the clock that the relay goes by.
        let time = Arc::new(OurTime(Arc::clone(clock)));
        let mut config = ServerConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&current) as _);
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A session taken up again would bring its certificate along unseen.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let end = Self { authority: Arc::clone(authority), current, config: Arc::new(config) };
        end.refresh(clock.now(), entropy)?;
        Ok(end)
    }

    /// Issues the certificate again if it is due.
    pub(super) fn refresh(&self, now: Timestamp, entropy: &dyn Entropy) -> Result<(), TlsError> {
        let due = Span::from_hours(RENEW_DAYS * 24);
        let until = self.current.key().and_then(|key| validity(key.cert.first()?));
        if until.is_none_or(|(_, until)| until - due <= now) {
            self.current.set(self.authority.link_certificate(now, entropy)?);
        }
        Ok(())
    }

    /// The certificate in use, DER.
    #[cfg(test)]
    pub(super) fn shown(&self) -> Option<Vec<u8>> {
        Some(self.current.key()?.cert.first()?.to_vec())
    }

    /// Settings for QUIC.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// The same certificate for whoever asks for the link by its name, `others` for the rest.
    pub(super) fn beside(
        &self,
        others: Arc<dyn ResolvesServerCert>,
    ) -> Arc<dyn ResolvesServerCert> {
        Arc::new(ByName { link: Arc::clone(&self.current), others })
    }
}

#[derive(Debug)]
struct ByName {
    link: Arc<Current>,
    others: Arc<dyn ResolvesServerCert>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match hello.server_name() {
            Some(SERVER_NAME) => self.link.key(),
            _ => self.others.resolve(hello),
        }
    }
}

/// The relay's clock as the TLS library wants it.
struct OurTime(Arc<dyn Clock>);

impl fmt::Debug for OurTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OurTime")
    }
}

impl TimeProvider for OurTime {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = u64::try_from(self.0.now().micros()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_micros(micros)))
    }
}

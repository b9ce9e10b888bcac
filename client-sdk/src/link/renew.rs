//! Renewing the certificate over the link, from half of its life on, with a new key (PROTOCOL 8.2).

use medrelay_core::time::{Span, Timestamp};
use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;

use super::ambient::Ambient;
use super::identity::Identity;
use super::join;

/// When to ask for a new certificate, and the key that was made for it.
#[derive(Debug)]
pub(super) struct Renewal {
    ends: Timestamp,
    due: Timestamp,
    key: Option<KeyPair>,
}

impl Renewal {
    /// Half of the certificate's life, and up to a tenth more, so that the gateways of one day do
    /// not all come at once.
    pub fn new(identity: &Identity, ambient: &Ambient) -> Self {
        let (from, until) = identity.validity();
        let life = until.since(from).micros().max(0);
        let mut bytes = [0u8; 2];
        ambient.entropy.fill(&mut bytes);
        let jitter = life / 10 * i64::from(u16::from_be_bytes(bytes)) / i64::from(u16::MAX);
        Self { ends: until, due: from + Span::from_micros(life / 2 + jitter), key: None }
    }

    /// Whether the end is so near that somebody has to be told.
    pub fn is_alarming(&self, now: Timestamp) -> bool {
        now + ALARM > self.ends
    }

    /// The request (PKCS#10, DER), if one is due; the next one is due an hour later.
    pub fn request(
        &mut self,
        now: Timestamp,
        name: &str,
        ambient: &Ambient,
    ) -> Result<Option<Vec<u8>>, String> {
        if now < self.due {
            return Ok(None);
        }
        let again = ambient.jittered(AGAIN);
        self.due = now + Span::from_micros(i64::try_from(again.as_micros()).unwrap_or(0));
        let key = KeyPair::generate().map_err(|error| error.to_string())?;
        let request = join::request(&key, name).map_err(|error| error.to_string())?;
        self.key = Some(key);
        Ok(Some(request.der().to_vec()))
    }

    /// Keeps the new pair; the identity of from now on. The text of an error is for people.
    pub fn accept(
        &mut self,
        identity: &Identity,
        certificate: Option<CertificateDer<'static>>,
    ) -> Result<Identity, String> {
        let certificate = certificate.ok_or("the relay's answer is empty")?;
        let key = self.key.take().ok_or("nobody asked for this certificate")?;
        let renewed = identity.renewed(&key.serialize_pem(), certificate);
        renewed.map_err(|error| error.to_string())
    }
}

/// Seven days before the end it is said loudly.
const ALARM: Span = Span::from_hours(7 * 24);
const AGAIN: std::time::Duration = std::time::Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use medrelay_core::time::{ManualClock, SeededEntropy};

    use super::*;
    use crate::link::identity::tests::joined;

    #[test]
    fn renewal_is_due_after_half_of_its_life_and_asked_for_until_it_succeeds() -> anyhow::Result<()>
    {
        let data = tempfile::tempdir()?;
        let (_, identity) = joined(data.path())?;
        let day = |days: i64| identity.validity().0 + Span::from_hours(24 * days);
        let mut dues = Vec::new();
        for seed in 0..20 {
            let ambient = Ambient {
                clock: Arc::new(ManualClock::new(day(0))),
                entropy: Arc::new(SeededEntropy::new(seed)),
            };
            let mut renewal = Renewal::new(&identity, &ambient);
            assert_eq!(renewal.request(day(15) - Span::from_secs(1), "g", &ambient), Ok(None));
            let mut now = day(15);
            while renewal.request(now, "g", &ambient) == Ok(None) {
                now = now + Span::from_minutes(10);
            }
            assert!(now <= day(18), "later than a tenth of its life");
            dues.push(now);
            // Without answer it is asked for again after about an hour, not before.
            assert_eq!(renewal.request(now + Span::from_minutes(30), "g", &ambient), Ok(None));
            let again = renewal.request(now + Span::from_minutes(80), "g", &ambient);
            assert!(again.is_ok_and(|request| request.is_some()));
            assert!(
                !renewal.is_alarming(day(23)) && renewal.is_alarming(day(23) + Span::from_secs(1))
            );
        }
        dues.dedup();
        assert!(dues.len() > 15, "all gateways come at once");
        Ok(())
    }

    #[test]
    fn a_certificate_that_nobody_asked_for_changes_nothing() -> anyhow::Result<()> {
        let data = tempfile::tempdir()?;
        let (_, identity) = joined(data.path())?;
        let mut renewal = Renewal::new(&identity, &Ambient::system());
        let stray = CertificateDer::from(vec![1, 2, 3]);
        assert!(renewal.accept(&identity, Some(stray.clone())).is_err());
        let now = identity.validity().1;
        assert!(renewal.request(now, "g", &Ambient::system()).is_ok_and(|asked| asked.is_some()));
        assert!(renewal.accept(&identity, Some(stray)).is_err());
        assert!(renewal.accept(&identity, None).is_err());
        Ok(())
    }
}

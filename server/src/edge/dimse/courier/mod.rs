//! The way out to a clinic's PACS: one association, C-STORE of every object of a parcel.
//!
//! What may pass by itself is tried again: nobody there, time-outs, broken connections, aborts, a
//! transient rejection, a permanent one without a reason (busy systems give it), A7xx out of
//! resources, 0110 processing failure, 0213 resource limitation. Everything else needs a person on
//! one side and is refused at once and loudly: a title that is not registered, an SOP class that
//! is not taken, a certificate that is not trusted, A9xx, Cxxx, 0122, 0124. Warnings (Bxxx) and
//! 0111, the answer to an object that is there already, count as accepted: a UID of ours has one
//! content only.

mod implicit;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use medrelay_core::id::{AeTitle, Uid};
use medrelay_dicom::association::Prompt;
use medrelay_dicom::association::requestor::{
    Association, Proposal, RequestError, RequestorConfig, StoreObject, dial,
};
use medrelay_dicom::command::{Priority, Status};
use medrelay_dicom::uids::sop_class_name;

use crate::service::{Boxed, Courier, CourierError, DicomAddress, Parcel, ParcelObject};

/// Time for a TCP connection, the name look-up included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Where Debian keeps the authorities that the system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Transfer Syntax UID of the data sets that we are given.
const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
/// Transfer Syntax UID that every DICOM application must take (PS3.5 10.1).
const IMPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";

/// How the courier introduces itself, whom it trusts and how long it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CourierSettings {
    /// Our AE title.
    pub ae_title: String,
    /// The longest time that an answer to one object is waited for.
    pub attempt: Duration,
    /// PEM file of the authorities that DICOM TLS destinations are certified by; without one,
    /// those that the system trusts.
    pub authorities: Option<PathBuf>,
}

impl Default for CourierSettings {
    fn default() -> Self {
        let ae_title = "MEDRELAY".to_owned();
        Self { ae_title, attempt: Duration::from_secs(120), authorities: None }
    }
}

/// Sends parcels by DICOM.
#[derive(Clone)]
pub struct DicomCourier {
    calling: String,
    tls: Arc<ClientConfig>,
    response_timeout: Duration,
}

impl DicomCourier {
    /// A courier with these settings.
    ///
    /// # Errors
    /// The file of authorities that is named cannot be read or holds no certificate.
    pub fn new(settings: CourierSettings) -> Result<Self, TrustError> {
        let tls = client_tls(settings.authorities.as_deref())?;
        Ok(Self { calling: settings.ae_title, tls, response_timeout: settings.attempt })
    }

    async fn carry(&self, parcel: &Parcel) -> Result<(), CourierError> {
        let address = &parcel.address;
        let place = (address.host.as_str(), address.port);
        let stream = dial(place, CONNECT_TIMEOUT).await.map_err(failed)?;
        if address.tls {
            let stream = self.secured(stream, &address.host).await?;
            self.converse(stream, parcel).await
        } else {
            self.converse(stream, parcel).await
        }
    }

    async fn secured(&self, stream: Prompt, host: &str) -> Result<TlsStream<Prompt>, CourierError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| CourierError::Refused("the host is not a name for TLS".to_owned()))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        match timeout(HANDSHAKE_TIMEOUT, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(handshake_failed(&error)),
            Err(_) => Err(CourierError::Retry("timed out in the TLS handshake".to_owned())),
        }
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        stream: S,
        parcel: &Parcel,
    ) -> Result<(), CourierError> {
        let config = RequestorConfig {
            response_timeout: self.response_timeout,
            ..RequestorConfig::new(self.calling.clone(), called(&parcel.address)?)
        };
        let mut pairs = Vec::new();
        for object in &parcel.objects {
            for syntax in [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN] {
                pairs.push((uid(&object.sop_class)?, uid(syntax)?));
            }
        }
        let proposals = Proposal::pairs(pairs);
        let mut association =
            Association::open(stream, config, &proposals).await.map_err(failed)?;
        let mut problems = Vec::new();
        for object in &parcel.objects {
            // One object that is not taken does not keep the others from arriving.
            match store(&mut association, object).await {
                Ok(Ok(())) => {}
                Ok(Err(problem)) => problems.push(problem),
                Err(error) => return Err(failed(error)),
            }
        }
        // What was answered counts, however the association ends.
        if let Err(error) = association.release().await {
            tracing::debug!(%error, "a PACS did not release the association in order");
        }
        // What may pass comes first: the rest is still refused when that has passed.
        problems.sort_by_key(|problem| matches!(problem, CourierError::Refused(_)));
        problems.into_iter().next().map_or(Ok(()), Err)
    }
}

impl Courier for DicomCourier {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Boxed<'a, Result<(), CourierError>> {
        Box::pin(self.carry(parcel))
    }
}

/// Why the authorities to trust cannot be read. An operator mends it.
#[derive(Debug, Error)]
#[error("{}: {message}", path.display())]
pub struct TrustError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub message: String,
}

/// TLS settings that trust the authorities in a PEM file; without one, those of the system.
///
/// # Errors
/// The given file cannot be read or holds no certificate. A system without authorities is not an
/// error: then no destination with TLS is trusted.
fn client_tls(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, TrustError> {
    let path = authorities.unwrap_or(Path::new(SYSTEM_AUTHORITIES));
    let wrong = |message: String| TrustError { path: path.to_owned(), message };
    let mut roots = RootCertStore::empty();
    if authorities.is_some() || path.exists() {
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| wrong(error.to_string()))?;
        let (taken, _) = roots.add_parsable_certificates(certificates);
        if taken == 0 && authorities.is_some() {
            return Err(wrong("holds no certificate of an authority".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Stores one object. The inner error is the peer's answer about this object; after the outer one
/// the association is of no use any more.
async fn store<S: AsyncRead + AsyncWrite + Unpin + Send>(
    association: &mut Association<S>,
    object: &ParcelObject,
) -> Result<Result<(), CourierError>, RequestError> {
    let refuse = |text: String| Ok(Err(CourierError::Refused(text)));
    let (Ok(sop_class), Ok(sop_instance), Ok(explicit), Ok(implicit)) = (
        Uid::parse(&object.sop_class),
        Uid::parse(&object.sop_instance),
        Uid::parse(EXPLICIT_VR_LITTLE_ENDIAN),
        Uid::parse(IMPLICIT_VR_LITTLE_ENDIAN),
    ) else {
        return refuse("an object carries a UID that is none".to_owned());
    };
    let (transfer_syntax, converted);
    let data: &[u8] = if association.accepts(&sop_class, &explicit) {
        transfer_syntax = explicit;
        &object.data_set
    } else if association.accepts(&sop_class, &implicit) {
        let Some(bytes) = implicit::from_explicit(&object.data_set) else {
            return refuse("an object cannot be written in Implicit VR".to_owned());
        };
        transfer_syntax = implicit;
        converted = bytes;
        &converted
    } else {
        let name = sop_class_name(sop_class.as_str()).unwrap_or("the object");
        return refuse(format!("the PACS does not take {name}"));
    };
    let announced = StoreObject {
        sop_class,
        sop_instance,
        transfer_syntax,
        data_set_bytes: data.len() as u64,
        priority: Priority::Medium,
        move_originator: None,
    };
    let reply = association.store(&announced, data).await?;
    if reply.status.is_warning() {
        tracing::info!(dicom.status = %reply.status, "a PACS has stored a report with a warning");
    }
    Ok(verdict(reply.status))
}

/// What a status means for the delivery. The peer's comment is left out: it may quote the patient.
fn verdict(status: Status) -> Result<(), CourierError> {
    let text = format!("the PACS answered {status}");
    match status.0 {
        _ if status.is_stored() || status == Status::DUPLICATE_INSTANCE => Ok(()),
        0xA700..=0xA7FF | 0x0110 | 0x0213 => Err(CourierError::Retry(text)),
        _ => Err(CourierError::Refused(text)),
    }
}

fn failed(error: RequestError) -> CourierError {
    let text = error.to_string();
    let passes = match &error {
        RequestError::Rejected(rejection) => {
            rejection.is_transient() || rejection.text() == "no reason given"
        }
        other => other.is_transient(),
    };
    if passes { CourierError::Retry(text) } else { CourierError::Refused(text) }
}

/// Certificates and versions need a person; a connection that breaks during the handshake does not.
fn handshake_failed(error: &io::Error) -> CourierError {
    let text = format!("TLS: {error}");
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(
            rustls::Error::InvalidCertificate(_)
            | rustls::Error::InvalidMessage(_)
            | rustls::Error::PeerIncompatible(_)
            | rustls::Error::AlertReceived(_),
        ) => CourierError::Refused(text),
        _ => CourierError::Retry(text),
    }
}

fn called(address: &DicomAddress) -> Result<String, CourierError> {
    AeTitle::parse(&address.ae_title)
        .map(|title| title.as_str().to_owned())
        .map_err(|error| CourierError::Refused(error.to_string()))
}

fn uid(text: &str) -> Result<Uid, CourierError> {
    Uid::parse(text).map_err(|error| CourierError::Refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    use medrelay_dicom::pdu::Rejection;

    #[test]
    fn the_cause_decides_whether_a_person_is_needed() {
        for stored in [0x0000, 0xB000, 0xB007, 0x0111] {
            assert_eq!(verdict(Status(stored)), Ok(()), "{stored:04X}");
        }
        for passes in [0xA700, 0xA702, 0x0110, 0x0213] {
            let outcome = verdict(Status(passes));
            assert!(matches!(outcome, Err(CourierError::Retry(_))), "{passes:04X}");
        }
        for stays in [0xA900, 0xC000, 0x0122, 0x0124, 0x0117] {
            let outcome = verdict(Status(stays));
            assert!(matches!(outcome, Err(CourierError::Refused(_))), "{stays:04X}");
        }
    }

    #[test]
    fn a_title_that_is_not_registered_needs_a_person() {
        for stays in [Rejection::CALLING_AE_TITLE, Rejection::CALLED_AE_TITLE] {
            let error = failed(RequestError::Rejected(stays));
            assert!(matches!(error, CourierError::Refused(_)), "{error}");
        }
        for passes in [Rejection::CONGESTION, Rejection::LOCAL_LIMIT, Rejection::NO_REASON] {
            let error = failed(RequestError::Rejected(passes));
            assert!(matches!(error, CourierError::Retry(_)), "{error}");
        }
        let nobody = RequestError::Unreachable(io::ErrorKind::ConnectionRefused.into());
        assert!(matches!(failed(nobody), CourierError::Retry(_)));
    }

    #[test]
    fn a_named_file_of_authorities_must_hold_one() {
        assert!(client_tls(Some(Path::new("/nonexistent/ca.pem"))).is_err());
        let empty = tempfile::NamedTempFile::new().expect("a temporary file");
        assert!(client_tls(Some(empty.path())).is_err());
        assert!(client_tls(None).is_ok());
    }
}

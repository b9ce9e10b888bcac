//! What our side of an association decides: who may come in, and where objects go.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use medrelay_core::access::Denial;
use medrelay_core::id::{AeTitle, DeviceId, Uid};
use medrelay_dicom::association::acceptor::{Peer, Provider, Sink, StoreRequest};
use medrelay_dicom::command::{Reply, Status};
use medrelay_dicom::facts::{self, Envelope};
use medrelay_dicom::part10::FileMeta;
use medrelay_dicom::pdu::{AssociateRequest, Rejection};
use medrelay_dicom::scan::{Encoding, Limits, Scanner, Tag};
use medrelay_dicom::uids;

use super::Shared;
use crate::service::ingest::{Intake, Sender, Stored, device_sender};
use crate::service::{BlobError, Device, Error, Service, StoreError};

/// One connection as a [`Provider`]: what all share, and its place among those not yet admitted.
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) id: u64,
}

/// An admitted device.
pub(super) struct Admitted {
    device: Device,
    sender: Sender,
    // Held for as long as the association lives.
    _places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Provider for Connection {
    type Caller = Admitted;
    type Sink = ObjectSink;

    async fn admit(&self, request: &AssociateRequest, peer: &Peer) -> Result<Admitted, Rejection> {
        let shared = &self.shared;
        if request.called_ae_title != shared.ae_title {
            tracing::warn!(
                dimse.calling = %printable(&request.calling_ae_title),
                dimse.called = %printable(&request.called_ae_title),
                net.peer = %peer.address,
                "association refused: the sender calls another AE title than ours, {}",
                shared.ae_title
            );
            return Err(Rejection::CALLED_AE_TITLE);
        }
        let source = peer.address.ip().to_canonical();
        let calling =
            AeTitle::parse(&request.calling_ae_title).map_err(|_| Rejection::CALLING_AE_TITLE)?;
        let device = match shared.service.admit_device(&calling, source).await {
            Ok(Some(device)) => device,
            Ok(None) => {
                refused(&shared.service, &calling, &source.to_string()).await;
                return Err(Rejection::CALLING_AE_TITLE);
            }
            Err(error) => {
                tracing::error!(%error, "a caller could not be looked up");
                return Err(Rejection::CONGESTION);
            }
        };
        let Some(places) = shared.places_for(&device) else {
            tracing::warn!(
                device.id = %device.id,
                "association refused: too many are open; raise dimse.max_associations or wait"
            );
            return Err(Rejection::LOCAL_LIMIT);
        };
        shared.admitted(self.id);
        let sender = device_sender(device.id.clone(), device.clinic.clone(), source.to_string());
        Ok(Admitted { device, sender, _places: places })
    }

    fn stores_private(&self, _: &Admitted, sop_class: &str) -> bool {
        self.shared.extra_sop_classes.iter().any(|uid| uid == sop_class)
    }

    async fn echo(&self, caller: &Admitted) -> Status {
        self.shared.hear(&caller.device.id, false);
        Status::SUCCESS
    }

    async fn begin(&self, caller: &Admitted, object: &StoreRequest) -> Result<ObjectSink, Reply> {
        let refuse = |_| Reply::new(Status::INVALID_INSTANCE, "a UID of the command is invalid");
        let announced = Announced {
            sop_class: Uid::parse(object.sop_class.as_str()).map_err(refuse)?,
            sop_instance: Uid::parse(object.sop_instance.as_str()).map_err(refuse)?,
            transfer_syntax: Uid::parse(object.transfer_syntax.as_str()).map_err(refuse)?,
        };
        let encoding = uids::encoding(object.transfer_syntax.as_str())
            .ok_or(Status::CANNOT_UNDERSTAND)
            .map_err(Reply::from)?;
        let front = FileMeta {
            sop_class: announced.sop_class.clone(),
            sop_instance: announced.sop_instance.clone(),
            transfer_syntax: announced.transfer_syntax.clone(),
            source: AeTitle::parse(&caller.device.ae_title).ok(),
        };
        let service = self.shared.service.clone();
        let intake = service
            .begin_intake(&caller.sender, front.to_bytes().into())
            .await
            .map_err(|error| reply(&error))?;
        Ok(ObjectSink {
            shared: Arc::clone(&self.shared),
            device: caller.device.id.clone(),
            service,
            intake,
            scanner: Scanner::new(encoding, Limits::default()),
            encoding,
            announced,
            charset: caller.device.charset.clone(),
        })
    }
}

/// What the C-STORE command says of the object that follows.
struct Announced {
    sop_class: Uid,
    sop_instance: Uid,
    transfer_syntax: Uid,
}

/// One object on its way in: every byte passes the scanner before it is written.
pub(super) struct ObjectSink {
    shared: Arc<Shared>,
    device: DeviceId,
    service: Service,
    intake: Intake,
    scanner: Scanner,
    encoding: Encoding,
    announced: Announced,
    charset: String,
}

impl Sink for ObjectSink {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Reply> {
        self.scanner
            .feed(&chunk)
            .map_err(|error| Reply::new(Status::CANNOT_UNDERSTAND, error.to_string()))?;
        self.intake.write(chunk).await.map_err(|error| reply(&error))
    }

    async fn finish(self) -> Reply {
        let Self { shared, device, service, intake, scanner, encoding, announced, charset } = self;
        let header = match scanner.finish() {
            Ok(header) => header,
            Err(error) => {
                intake.abandon().await;
                return Reply::new(Status::CANNOT_UNDERSTAND, error.to_string());
            }
        };
        let envelope = Envelope {
            transfer_syntax: &announced.transfer_syntax,
            big_endian: encoding == Encoding::ExplicitBig,
            announced_class: Some(&announced.sop_class),
            announced_instance: Some(&announced.sop_instance),
            charset_profile: Some(charset.as_str()).filter(|profile| !profile.is_empty()),
        };
        let facts = match facts::read(&envelope, |tag| header.raw(Tag(tag.0, tag.1))) {
            Ok(facts) => facts,
            Err(error) => {
                intake.abandon().await;
                return Reply::new(Status(error.store_status()), error.to_string());
            }
        };
        match service.finish_intake(intake, facts).await {
            Ok(Stored::Fresh | Stored::Same | Stored::Quarantined(_)) => {
                shared.hear(&device, true);
                Status::SUCCESS.into()
            }
            Err(error) => reply(&error),
        }
    }

    async fn abandon(self) {
        self.intake.abandon().await;
    }
}

/// Tells the operator how to admit a sender, and the audit trail that it was refused.
async fn refused(service: &Service, calling: &AeTitle, source: &str) {
    tracing::warn!(
        dimse.calling = %calling,
        net.peer = source,
        "association refused: no device of any clinic has this AE title and address; admit it \
         with: medrelay clinic device add --clinic NAME --ae-title {calling} --address {source}"
    );
    if let Err(error) = service.note_refused_association(calling, source).await {
        tracing::error!(%error, "the refusal could not be recorded");
    }
}

/// What a log may show of a title that somebody made up.
fn printable(title: &str) -> String {
    title.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(16).collect()
}

/// The C-STORE status that an error means (PS3.4 B.2.3, PS3.7 C).
fn reply(error: &Error) -> Reply {
    let status = match error {
        Error::Denied(Denial::Hidden | Denial::Forbidden | Denial::Unauthenticated) => {
            Status::NOT_AUTHORIZED
        }
        Error::OutOfSpace
        | Error::Busy
        | Error::VersionConflict
        | Error::Store(StoreError::OutOfSpace | StoreError::Lost | StoreError::Unavailable(_))
        | Error::Blob(BlobError::OutOfSpace | BlobError::Unavailable(_)) => {
            Status::OUT_OF_RESOURCES
        }
        Error::Store(_) | Error::Blob(_) => {
            tracing::error!(error = ?error, "an instance could not be stored");
            Status::PROCESSING_FAILURE
        }
        Error::Invalid { .. }
        | Error::Taken(_)
        | Error::Agreement(_)
        | Error::Case(_)
        | Error::Ineligible(_)
        | Error::Finding(_)
        | Error::QueueEmpty
        | Error::Text(_)
        | Error::Delivery(_)
        | Error::BadCredentials
        | Error::Locked { .. }
        | Error::SecondFactorRequired
        | Error::SecondFactorWrong
        | Error::SecondFactorNeeded
        | Error::StepUpRequired
        | Error::BadTicket
        | Error::BadJoinCode
        | Error::Conflict(_)
        | Error::Image(_)
        | Error::Document(_) => Status::PROCESSING_FAILURE,
    };
    Reply::new(status, error.to_string())
}

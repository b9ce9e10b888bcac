//! Everything that can have happened: the audit trail, the notifications and the statistics all
//! come from it.
//!
//! Events are chained: the seal of each covers its own canonical bytes and the seal before it, so
//! an edit, a deletion or a change of order breaks every seal after it. The seal is keyed (HMAC),
//! so that somebody who can write to the database alone cannot make a new chain.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::people::stable_text;
use crate::time::Timestamp;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The relay started.
    Started,
    /// The relay stopped in order.
    Stopped,
    /// Somebody signed in.
    SignedIn,
    /// Somebody failed to sign in.
    SignInFailed,
    /// An account was locked for a while.
    SignInLocked,
    /// Somebody signed out or a session was ended.
    SignedOut,
    /// The first administrator was made through the set-up link.
    SetUp,
    /// An organization was made or changed.
    OrganizationChanged,
    /// A person was made or changed.
    PersonChanged,
    /// A password was changed.
    PasswordChanged,
    /// An agreement or one of its destinations was made or changed.
    AgreementChanged,
    /// A device was admitted, changed or removed.
    DeviceChanged,
    /// Something was refused for want of permission.
    AccessDenied,
    /// A device that is not admitted asked for an association.
    AssociationRefused,
    /// A one-time code for a gateway was made.
    JoinCodeMade,
    /// A join code was withdrawn before it was used.
    JoinCodeWithdrawn,
    /// Somebody asked to join with a code that is wrong, used or out of date.
    JoinFailed,
    /// A gateway joined and got its certificate.
    GatewayJoined,
    /// A gateway was revoked.
    GatewayRevoked,
    /// A gateway got a new certificate for a new key.
    CertificateRenewed,
    /// An order was written or changed.
    OrderChanged,
    /// The first instance of a study arrived.
    StudyArriving,
    /// A gateway said what belongs to a study.
    ManifestReceived,
    /// A study was called complete.
    StudyComplete,
    /// Everything that a manifest announced is stored, read back and equal.
    StudyCommitted,
    /// A study was matched with an order.
    StudyMatched,
    /// No agreement or no single order fits: a person must look.
    StudyUnmatched,
    /// An instance was put aside.
    InstanceQuarantined,
    /// An image came after its study had been called complete.
    LateImage,
    /// A study, an order or images were looked at.
    StudyRead,
    /// A case was opened.
    CaseOpened,
    /// A case entered the queue.
    CaseQueued,
    /// A case was claimed.
    CaseClaimed,
    /// A claim was renewed.
    ClaimRenewed,
    /// A draft was saved.
    DraftSaved,
    /// A case was given back.
    CaseReleased,
    /// A claim ran out.
    ClaimExpired,
    /// A case was taken from its holder.
    CaseTakenOver,
    /// A preliminary report was signed.
    PreliminarySigned,
    /// A final report was signed.
    FinalSigned,
    /// An addendum was signed.
    AddendumSigned,
    /// A signed report was looked at.
    ReportRead,
    /// A delivery attempt failed.
    DeliveryFailed,
    /// A delivery was given up and waits for a person.
    DeliveryParked,
    /// A parked delivery was started again.
    DeliveryRetried,
    /// A destination has taken a report.
    DeliverySent,
    /// Every destination of a case has its report.
    CaseDelivered,
    /// A person at the clinic acknowledged a report.
    ReportAcknowledged,
    /// A case was closed.
    CaseClosed,
    /// Somebody at the centre wrote to the clinic about a case.
    MessageWritten,
    /// A gateway has made durable what flowed back to it.
    ItemReceived,
    /// A person was invited to choose a password.
    PersonInvited,
    /// A second factor was set up or removed.
    SecondFactorChanged,
    /// Somebody proved again who they are.
    IdentityProved,
    /// A template or phrase was made, changed or removed.
    TemplateChanged,
    /// Working hours or holidays were changed.
    CalendarChanged,
    /// A paper was added to an order.
    AttachmentAdded,
    /// A paper of an order was looked at.
    AttachmentRead,
    /// A paper was taken from an order.
    AttachmentRemoved,
    /// A person decided about something that was put aside.
    QuarantineSettled,
    /// A case was given to a reader, or to whoever comes.
    CaseAssigned,
    /// A case was returned to the clinic.
    CaseReturned,
    /// The clinic sent a returned case again.
    CaseResubmitted,
    /// A critical finding was raised.
    FindingRaised,
    /// A critical finding was read back by the clinic.
    FindingAcknowledged,
    /// A critical finding was acted upon or called off.
    FindingSettled,
    /// What a reader has drawn was saved.
    AnnotationsSaved,
    /// Images were looked at.
    ImagesRead,
    /// Statistics were looked at.
    StatisticsRead,
    /// The audit trail was read.
    AuditRead,
}

stable_text!(Kind {
    Started => "started",
    Stopped => "stopped",
    SignedIn => "signed_in",
    SignInFailed => "sign_in_failed",
    SignInLocked => "sign_in_locked",
    SignedOut => "signed_out",
    SetUp => "set_up",
    OrganizationChanged => "organization_changed",
    PersonChanged => "person_changed",
    PasswordChanged => "password_changed",
    AgreementChanged => "agreement_changed",
    DeviceChanged => "device_changed",
    AccessDenied => "access_denied",
    AssociationRefused => "association_refused",
    JoinCodeMade => "join_code_made",
    JoinCodeWithdrawn => "join_code_withdrawn",
    JoinFailed => "join_failed",
    GatewayJoined => "gateway_joined",
    GatewayRevoked => "gateway_revoked",
    CertificateRenewed => "certificate_renewed",
    OrderChanged => "order_changed",
    StudyArriving => "study_arriving",
    ManifestReceived => "manifest_received",
    StudyComplete => "study_complete",
    StudyCommitted => "study_committed",
    StudyMatched => "study_matched",
    StudyUnmatched => "study_unmatched",
    InstanceQuarantined => "instance_quarantined",
    LateImage => "late_image",
    StudyRead => "study_read",
    CaseOpened => "case_opened",
    CaseQueued => "case_queued",
    CaseClaimed => "case_claimed",
    ClaimRenewed => "claim_renewed",
    DraftSaved => "draft_saved",
    CaseReleased => "case_released",
    ClaimExpired => "claim_expired",
    CaseTakenOver => "case_taken_over",
    PreliminarySigned => "preliminary_signed",
    FinalSigned => "final_signed",
    AddendumSigned => "addendum_signed",
    ReportRead => "report_read",
    DeliveryFailed => "delivery_failed",
    DeliveryParked => "delivery_parked",
    DeliveryRetried => "delivery_retried",
    DeliverySent => "delivery_sent",
    CaseDelivered => "case_delivered",
    ReportAcknowledged => "report_acknowledged",
    CaseClosed => "case_closed",
    MessageWritten => "message_written",
    ItemReceived => "item_received",
    PersonInvited => "person_invited",
    SecondFactorChanged => "second_factor_changed",
    IdentityProved => "identity_proved",
    TemplateChanged => "template_changed",
    CalendarChanged => "calendar_changed",
    AttachmentAdded => "attachment_added",
    AttachmentRead => "attachment_read",
    AttachmentRemoved => "attachment_removed",
    QuarantineSettled => "quarantine_settled",
    CaseAssigned => "case_assigned",
    CaseReturned => "case_returned",
    CaseResubmitted => "case_resubmitted",
    FindingRaised => "finding_raised",
    FindingAcknowledged => "finding_acknowledged",
    FindingSettled => "finding_settled",
    AnnotationsSaved => "annotations_saved",
    ImagesRead => "images_read",
    StatisticsRead => "statistics_read",
    AuditRead => "audit_read",
});

/// An event as it is chained and stored: who, what, which object, when, from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Place in the chain, from 1 without gaps.
    pub seq: i64,
    /// The event's identifier.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What: [`Kind::as_str`].
    pub kind: String,
    /// Who: `person:…`, `device:…`, `gateway:…`, `system`, `anonymous`.
    pub actor: String,
    /// From where: an address, or empty for the relay itself.
    pub source: String,
    /// The organization whose event it is; empty for the relay's own.
    pub organization: String,
    /// The centre that may see it too; empty if none.
    pub partner: String,
    /// Which object: `case:…`, `study:…`, …; empty if none.
    pub object: String,
    /// More, as a JSON object without patient data.
    pub details: String,
}

/// The end of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Place of the last event; 0 when there is none.
    pub seq: i64,
    /// Its seal; 64 zeros when there is none.
    pub seal: String,
}

impl Head {
    /// The head of an empty chain.
    pub fn empty() -> Self {
        Self { seq: 0, seal: "0".repeat(64) }
    }

    /// The bytes that a seal of the head itself covers, so that a chain cannot be cut short.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        format!("medrelay-head/1 {} {}", self.seq, self.seal).into_bytes()
    }
}

/// What is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainFault {
    /// A number is missing, doubled or out of order.
    #[error("after event {after} comes event {found}: something was deleted or re-ordered")]
    Gap {
        /// The last good number.
        after: i64,
        /// The number found.
        found: i64,
    },
    /// The seal does not fit the event and what came before it.
    #[error("event {seq} or something before it was changed")]
    Seal {
        /// Which event.
        seq: i64,
    },
    /// The chain ends before its head.
    #[error("the trail ends at event {last}, its head says {head}: its end was cut off")]
    Truncated {
        /// Last event present.
        last: i64,
        /// What the head says.
        head: i64,
    },
    /// The head was changed.
    #[error("the head of the trail was changed")]
    Head,
}

/// The bytes that the seal of `record` covers, after the seal `previous`.
pub fn sealed_bytes(previous: &str, record: &Record) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(previous.as_bytes());
    bytes.push(b'\n');
    // Strings and integers only: nothing here can fail to serialize.
    bytes.extend_from_slice(&serde_json::to_vec(record).unwrap_or_default());
    bytes
}

/// Checks the next event of a chain whose end is `head`; `seal` is the keyed hash (hex).
pub fn check_next(
    head: &Head,
    record: &Record,
    stored_seal: &str,
    seal: &dyn Fn(&[u8]) -> String,
) -> Result<Head, ChainFault> {
    if record.seq != head.seq + 1 {
        return Err(ChainFault::Gap { after: head.seq, found: record.seq });
    }
    if seal(&sealed_bytes(&head.seal, record)) != stored_seal {
        return Err(ChainFault::Seal { seq: record.seq });
    }
    Ok(Head { seq: record.seq, seal: stored_seal.to_owned() })
}

/// Checks that a chain walked to `walked` ends where its stored head says, and that the head is
/// the one that was sealed: without it, a chain can be cut short at its end unseen.
pub fn check_head(
    walked: &Head,
    stored: &Head,
    stored_seal: &str,
    seal: &dyn Fn(&[u8]) -> String,
) -> Result<(), ChainFault> {
    if seal(&stored.canonical_bytes()) != stored_seal {
        return Err(ChainFault::Head);
    }
    if walked.seq < stored.seq {
        return Err(ChainFault::Truncated { last: walked.seq, head: stored.seq });
    }
    if walked == stored { Ok(()) } else { Err(ChainFault::Head) }
}

//! The use cases: begin, load, `may`, `apply`, save and commit.
//!
//! Every function here is one transaction (or one before and one after some I/O). What leaves the
//! building is a job row written in the same transaction as the change that caused it.

pub mod accounts;
pub mod agreements;
pub mod annotations;
pub mod attachments;
pub mod audit;
pub mod calendars;
pub mod casebook;
pub mod consortium;
pub mod delivering;
pub mod devices;
pub mod findings;
pub mod following;
pub mod gateways;
pub mod health;
pub mod idempotency;
pub mod imaging;
pub mod ingest;
mod input;
pub mod invitations;
pub mod jobs;
pub mod joining;
pub mod life;
pub mod link;
pub mod messages;
mod network;
pub mod ordering;
mod passwords;
pub mod people;
pub mod preferences;
pub mod priors;
pub mod quarantine;
pub mod queueing;
pub mod reading;
pub mod reporting;
pub mod returning;
pub mod second_factor;
mod settings;
pub mod sign_in;
pub mod statistics;
pub mod step_up;
pub mod studies;
pub mod system;
pub mod templates;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use thiserror::Error;

use medrelay_core::access::{self, Action, Denial, Object, Partner, Standing};
use medrelay_core::case::{self, Case};
use medrelay_core::delivery;
use medrelay_core::event::Kind;
use medrelay_core::finding;
use medrelay_core::id::{EventId, JobId, OrganizationId, PersonId};
use medrelay_core::people::{Actor, AgreementFault};
use medrelay_core::queue::Ineligible;
use medrelay_core::report::TextFault;
use medrelay_core::time::{Clock, Entropy, Timestamp};

use crate::blobs::Blobs;
use crate::secrets::{Signer, Vault};
use crate::store::{Db, NewEvent, Sealer, Tx};
use crate::tls::ClinicAuthority;

pub use settings::{LinkSettings, Settings};

// What the edges see of the layers below: names only, through here.
pub use crate::blobs::BlobError;
pub use crate::store::{
    AgreementRecord, Annotations, Attachment, CaseFilter, Destination, Device, Gateway, ImageQuery,
    Instance, Invitation, Message, MessageFilter, Order, OrderFilter, Organization, PAGE_LIMIT,
    Person, Quarantined, Range, Series, SeriesHit, Session, SessionKind, StoreError, StoredImage,
    Study, StudyFilter, StudyHit, Template, TemplateFilter,
};

/// Who calls a use case, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// Network address, or empty for the relay itself.
    pub source: String,
}

impl Caller {
    /// The relay itself: jobs, start-up, the command line.
    pub fn system() -> Self {
        Self { actor: Actor::System, source: String::new() }
    }

    /// How the audit trail names the caller.
    pub fn name(&self) -> String {
        match &self.actor {
            Actor::Person { id, .. } => format!("person:{id}"),
            Actor::Device { id, .. } => format!("device:{id}"),
            Actor::Gateway { id, .. } => format!("gateway:{id}"),
            Actor::System => "system".to_owned(),
            Actor::Anonymous => "anonymous".to_owned(),
        }
    }

    /// The signed-in person; everybody else is told to sign in.
    pub fn person(&self) -> Result<&PersonId, Error> {
        self.actor.person().ok_or(Error::Denied(Denial::Unauthenticated))
    }
}

/// Why a use case did not do what was asked. Each edge maps it in one exhaustive match.
#[derive(Debug, Error)]
pub enum Error {
    /// Not allowed, or not known to exist.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// Something that was typed is not as it must be.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// Why, and what to do; never the value.
        reason: String,
    },
    /// A name or number is taken.
    #[error("{0} is already taken")]
    Taken(&'static str),
    /// The agreement cannot be as asked.
    #[error(transparent)]
    Agreement(#[from] AgreementFault),
    /// The case does not allow it.
    #[error(transparent)]
    Case(#[from] case::Refusal),
    /// The reader may not take it.
    #[error(transparent)]
    Ineligible(#[from] Ineligible),
    /// The critical finding does not allow it.
    #[error(transparent)]
    Finding(#[from] finding::Refusal),
    /// Nothing in the queue is for this reader.
    #[error("nothing in the queue is waiting for you")]
    QueueEmpty,
    /// The text cannot be saved or signed.
    #[error(transparent)]
    Text(#[from] TextFault),
    /// The delivery does not allow it.
    #[error(transparent)]
    Delivery(#[from] delivery::Refusal),
    /// Wrong account name or password, or the account is closed.
    #[error("the account name or the password is wrong")]
    BadCredentials,
    /// Too many failures from here for this account.
    #[error("too many failed attempts; try again later")]
    Locked {
        /// When it may be tried again.
        until: Timestamp,
    },
    /// The password is right; a code of the second factor is needed, too.
    #[error("enter the code of your authenticator app, or a recovery code")]
    SecondFactorRequired,
    /// The password is right; the code is wrong or was used.
    #[error("the code is wrong or was used: wait for the next one")]
    SecondFactorWrong,
    /// The policy wants a second factor that the person has not set up.
    #[error("set up the second factor of your account first")]
    SecondFactorNeeded,
    /// Too long ago that the person at the browser has proved who they are.
    #[error("prove first that it is you: your password or a code")]
    StepUpRequired,
    /// Too much is going on at once; the same call may succeed in a moment.
    #[error("the relay is busy; try again in a moment")]
    Busy,
    /// The one-time link is wrong, used or out of date.
    #[error("this link is wrong, used or out of date")]
    BadTicket,
    /// The join code is wrong, used, locked or out of date.
    #[error("this join code is wrong, used or out of date")]
    BadJoinCode,
    /// The state of the object does not allow it.
    #[error("{0}")]
    Conflict(&'static str),
    /// The object was changed in the meantime.
    #[error("somebody else changed it at the same time: load it again")]
    VersionConflict,
    /// No space is left for bytes or rows.
    #[error("no space left on the relay")]
    OutOfSpace,
    /// The image cannot be read, or not as asked.
    #[error(transparent)]
    Image(#[from] imaging::ImageError),
    /// The document cannot be typeset or built.
    #[error("the document cannot be made: {0}")]
    Document(String),
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
    /// The blob store failed.
    #[error(transparent)]
    Blob(BlobError),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::OutOfSpace => Self::OutOfSpace,
            StoreError::Lost => Self::VersionConflict,
            other => Self::Store(other),
        }
    }
}

impl From<BlobError> for Error {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::OutOfSpace => Self::OutOfSpace,
            other => Self::Blob(other),
        }
    }
}

impl Error {
    /// "As far as you can know, there is no such thing."
    pub const fn hidden() -> Self {
        Self::Denied(Denial::Hidden)
    }

    /// A typed field that is not as it must be.
    pub fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid { field, reason: reason.into() }
    }
}

/// A signed report as it is sent to a machine.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// Where to: AE title, host, port, TLS.
    pub address: DicomAddress,
    /// The objects in sending order: SR first, then the PDF that points at it.
    pub objects: Vec<ParcelObject>,
}

/// One DICOM object of a [`Parcel`].
#[derive(Debug, Clone)]
pub struct ParcelObject {
    /// SOP Class UID.
    pub sop_class: String,
    /// SOP Instance UID.
    pub sop_instance: String,
    /// The data set, explicit VR little endian.
    pub data_set: bytes::Bytes,
}

/// How to reach a DICOM node.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct DicomAddress {
    /// Its AE title.
    pub ae_title: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// DICOM TLS instead of plain TCP.
    #[serde(default)]
    pub tls: bool,
}

/// Why a parcel did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CourierError {
    /// It may pass: try again.
    #[error("{0}")]
    Retry(String),
    /// It will not pass without a person.
    #[error("{0}")]
    Refused(String),
}

/// A future that a trait object returns.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The way out: implemented by an edge, handed over by the wiring.
pub trait Courier: Send + Sync {
    /// Sends every object of a parcel; `Ok` only when the other side has accepted all of them.
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Boxed<'a, Result<(), CourierError>>;
}

/// The printer: makes the PDF of a signed report.
pub trait Printer: Send + Sync {
    /// Typesets a sheet; may take a second, so it is called off the async threads.
    fn print(&self, sheet: &crate::typeset::ReportSheet) -> Result<Vec<u8>, String>;
}

/// Everything that the use cases work with, as the wiring hands it over.
pub struct Parts {
    /// The database.
    pub db: Db,
    /// The bytes.
    pub blobs: Blobs,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The master key and what is sealed by it.
    pub vault: Arc<Vault>,
    /// The authority that gateways trust and that certifies them.
    pub authority: Arc<ClinicAuthority>,
    /// The key that signs receipts of studies.
    pub receipts: Arc<Signer>,
    /// The way out.
    pub courier: Arc<dyn Courier>,
    /// The printer.
    pub printer: Arc<dyn Printer>,
    /// What an operator can set.
    pub settings: Settings,
    /// The name of this server among several, the same after a restart.
    pub node: String,
    /// Directory of the audit trail's anchors, outside the database.
    pub anchors: std::path::PathBuf,
    /// The key that seals the audit trail and its anchors.
    pub sealer: Sealer,
    /// Directory of packs that began to arrive over the link.
    pub partials: std::path::PathBuf,
}

/// The use cases: cheap to clone, shared by every edge and the worker.
#[derive(Clone)]
pub struct Service {
    parts: Arc<Parts>,
    indexer: ingest::Indexer,
    hashing: Arc<tokio::sync::Semaphore>,
    imaging: Arc<imaging::Imaging>,
    room: Arc<health::Room>,
    link_port: Arc<AtomicU16>,
    link: Arc<link::LinkState>,
    running: Arc<system::Running>,
}

/// Job: a study's quiet time may be over. The subject is the study.
pub const JOB_SETTLE: &str = "settle_study";
/// Job: an opened case goes into the queue. The subject is the case.
pub const JOB_ROUTE: &str = "route_case";
/// Job: a claim may have run out. The subject is the case.
pub const JOB_EXPIRE: &str = "expire_claim";
/// Job: a delivery is due. The subject is the delivery.
pub const JOB_DELIVER: &str = "deliver";
/// Job: the end of the audit chain is written where the database cannot change it.
pub const JOB_ANCHOR: &str = "anchor_audit";
/// Job: what has outlived its use is removed.
pub const JOB_SWEEP: &str = "sweep";

/// How many password hashes may be computed at once: each takes 64 MiB.
const HASHING_AT_ONCE: usize = 2;

impl Service {
    /// Puts the use cases together; needs a running tokio runtime for the indexer.
    pub fn new(parts: Parts) -> Self {
        let link_port = Arc::new(AtomicU16::new(parts.settings.link.port));
        let parts = Arc::new(parts);
        let progress = Arc::<link::ProgressBoard>::default();
        let indexer = ingest::Indexer::start(Arc::clone(&parts), Arc::clone(&progress));
        let link = Arc::new(link::LinkState::new(&parts, progress));
        let running = Arc::new(system::Running::since(parts.clock.now()));
        Self {
            parts,
            indexer,
            hashing: Arc::new(tokio::sync::Semaphore::new(HASHING_AT_ONCE)),
            imaging: Arc::new(imaging::Imaging::new()),
            room: Arc::default(),
            link_port,
            link,
            running,
        }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// What an operator can set.
    pub fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// The authority that gateways trust.
    pub fn authority(&self) -> &Arc<ClinicAuthority> {
        &self.parts.authority
    }

    /// The public half of the key that signs receipts: 32 bytes, Ed25519.
    pub fn receipt_key(&self) -> &[u8] {
        self.parts.receipts.public_key()
    }

    /// The UDP port of the link that gateways are told.
    pub fn link_port(&self) -> u16 {
        let bound = || self.link_port.load(Ordering::Relaxed);
        self.settings().link.announced_port.unwrap_or_else(bound)
    }

    /// Gateways that join from now on are told this UDP port, the one that was really bound, unless
    /// the operator wants them to be told another.
    pub fn announce_link_port(&self, port: u16) {
        self.link_port.store(port, Ordering::Relaxed);
    }

    /// The database, for those who follow its events or ask for its health.
    pub(crate) fn db(&self) -> &Db {
        &self.parts.db
    }

    /// A random token of 256 bits as hex, with its SHA-256 (hex): the first is shown once, the
    /// second is stored.
    fn token(&self) -> (String, String) {
        let mut bytes = [0u8; 32];
        self.parts.entropy.fill(&mut bytes);
        let token = hex::encode(bytes);
        let hash = token_hash(&token);
        (token, hash)
    }
}

/// The stored form of a secret token.
pub fn token_hash(token: &str) -> String {
    medrelay_core::report::sha256_hex(token.as_bytes())
}

impl Parts {
    /// A new event of this moment.
    pub(crate) fn event(&self, caller: &Caller, kind: Kind, about: About<'_>) -> NewEvent {
        let now = self.clock.now();
        NewEvent {
            id: EventId::new(now, &*self.entropy),
            at: now,
            kind,
            actor: caller.name(),
            source: caller.source.clone(),
            organization: about.organization.map(ToString::to_string).unwrap_or_default(),
            partner: about.partner.map(ToString::to_string).unwrap_or_default(),
            object: about.object,
            details: about.details.map_or_else(|| "{}".to_owned(), |d| d.to_string()),
        }
    }

    /// Schedules work in the transaction.
    pub(crate) async fn schedule(
        &self,
        tx: &mut Tx,
        kind: &str,
        subject: &str,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        tx.schedule(JobId::new(now, &*self.entropy), kind, subject, due_at, now).await
    }
}

/// What an event is about.
#[derive(Debug, Default)]
pub(crate) struct About<'a> {
    pub(crate) organization: Option<&'a OrganizationId>,
    pub(crate) partner: Option<&'a OrganizationId>,
    pub(crate) object: String,
    pub(crate) details: Option<serde_json::Value>,
}

impl<'a> About<'a> {
    /// About an object of an organization.
    pub(crate) fn of(organization: &'a OrganizationId, object: String) -> Self {
        Self { organization: Some(organization), object, ..Self::default() }
    }

    /// About a case: both sides may see it.
    pub(crate) fn case(case: &'a Case) -> Self {
        Self {
            organization: Some(&case.clinic),
            partner: Some(&case.centre),
            object: format!("case:{}", case.id),
            details: None,
        }
    }

    /// With more details; never patient data.
    pub(crate) fn with(mut self, details: serde_json::Value) -> Self {
        self.details = Some(details);
        self
    }
}

/// How often a use case is tried when somebody else changes the same row at the same moment.
pub(crate) const TRIES: u32 = 3;

/// Tries a use case again while somebody else changes the same row: it loads and decides afresh.
/// A macro, because a function over async closures is not `Send` enough for the edges.
macro_rules! persist {
    ($attempt:expr) => {{
        let mut tries = 1;
        loop {
            match $attempt {
                Err($crate::service::Error::VersionConflict) if tries < $crate::service::TRIES => {
                    tries += 1;
                }
                outcome => break outcome,
            }
        }
    }};
}
pub(crate) use persist;

/// The standing of an organization that owns something, without partners.
pub(crate) async fn owned_by(tx: &mut Tx, owner: &OrganizationId) -> Result<Object, Error> {
    let above = tx.organizations_above(owner).await?;
    Ok(Object::owned(owner.clone(), above))
}

/// The standing of a clinic's object of `modality` toward the centres of its agreements.
pub(crate) async fn clinic_object(
    tx: &mut Tx,
    clinic: &OrganizationId,
    modality: &str,
    now: Timestamp,
) -> Result<Object, Error> {
    let mut object = owned_by(tx, clinic).await?;
    for agreement in tx.agreements_of_clinic(clinic).await? {
        if agreement.covers(modality) {
            let standing =
                if agreement.is_active(now) { Standing::Active } else { Standing::Expired };
            object.partners.push(Partner { centre: agreement.centre, standing });
        }
    }
    Ok(object)
}

/// The standing of a case: its centre has it while it is open or the agreement is in force.
pub(crate) async fn case_object(tx: &mut Tx, case: &Case, now: Timestamp) -> Result<Object, Error> {
    let mut object = owned_by(tx, &case.clinic).await?;
    let active = case.stage.is_open()
        || tx.agreement(&case.agreement).await?.is_some_and(|agreement| agreement.is_active(now));
    let standing = if active { Standing::Active } else { Standing::Expired };
    object.partners.push(Partner { centre: case.centre.clone(), standing });
    Ok(object)
}

/// Asks the one permission function.
pub(crate) fn allow(caller: &Caller, action: Action, object: &Object) -> Result<(), Error> {
    access::may(&caller.actor, action, object).map_err(Error::Denied)
}

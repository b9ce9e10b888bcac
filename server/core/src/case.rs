//! The lifecycle of a case: the unit of work in the queue.
//!
//! ```text
//!                Claim                SignPreliminary              Claim
//!  Submitted ─► Ready ──► InProgress ───────────────► Preliminary ──► Verifying
//!      Enqueue   ▲ │         │  │  (DOUBLE)                ▲             │ │
//!                └─┴─────────┘  │                          └─────────────┘ │
//!          Release, Expire      │ SignFinal (SINGLE_SENIOR)  Release,      │ SignFinal
//!                               ▼                            Expire        │
//!                             Final ◄──────────────────────────────────────┘
//!                               │ Delivered
//!                               ▼                Acknowledged
//!                           Delivered ──────────────────────────► Closed
//!                               ▲ Addend: back to Final, from Delivered and Closed too
//!
//!  InProgress ── Return ──► Returned ── Resubmit ──► Ready
//!  Ready ── ReturnWaiting ──►  ▲ the deadline stops, and goes on with the rest of its time
//! ```
//!
//! A returned case waits for its clinic: it is in no queue, keeps its number and its fair place,
//! and images that come are those that were asked for, not late ones. Nobody but its clinic can
//! end that. An assignment says who is to take a case; it ends when anybody takes it.
//!
//! A claim is a lease: a secret token (only its hash is kept) and a fence, a number that only
//! grows. Every write of its holder carries both.

mod steps;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::event::Kind;
use crate::id::{AgreementId, CaseId, OrderId, OrganizationId, PersonId, StudyId};
use crate::message::ReturnCode;
use crate::people::{Priority, SigningPolicy};
use crate::time::{Span, Timestamp};
pub use steps::rest_of;
use steps::{assignable, check_hold, put_back, refuse_live_claim, renew, send_back, take};

/// A case with everything its rules need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its identifier.
    pub id: CaseId,
    /// The agreement it was opened under.
    pub agreement: AgreementId,
    /// Who asks.
    pub clinic: OrganizationId,
    /// Who reads.
    pub centre: OrganizationId,
    /// The study it is about.
    pub study: StudyId,
    /// What the clinic asked, once known.
    pub order: Option<OrderId>,
    /// The study's modality.
    pub modality: String,
    /// How soon.
    pub priority: Priority,
    /// How many people sign.
    pub policy: SigningPolicy,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When the report is due.
    pub deadline: Timestamp,
    /// Virtual finish tag of the queue's fairness.
    pub fair: i64,
    /// Grows with every claim and never goes down.
    pub fence: i64,
    /// Images came after it was opened, and nobody has dealt with them yet.
    pub late_images: bool,
    /// Who is to take it, if a coordinator has said so.
    pub assigned: Option<PersonId>,
    /// How often it was returned to the clinic.
    pub returns: i64,
    /// Compare-and-set version of the row.
    pub version: i64,
    /// Where it stands.
    pub stage: Stage,
}

/// A reader's hold on a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Who holds it.
    pub holder: PersonId,
    /// SHA-256 (hex) of the secret token.
    pub token_hash: String,
    /// The case's fence when it was taken.
    pub fence: i64,
    /// When it was taken.
    pub acquired: Timestamp,
    /// When it runs out unless renewed.
    pub expires: Timestamp,
}

/// Where a case stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Opened; not yet in the queue.
    Submitted,
    /// In the queue.
    Ready,
    /// A reader has it.
    InProgress {
        /// The reader's hold.
        claim: Claim,
    },
    /// A preliminary report is signed; waits for a verifier.
    Preliminary {
        /// Who signed it.
        by: PersonId,
    },
    /// A verifier has it.
    Verifying {
        /// Who signed the preliminary report.
        by: PersonId,
        /// The verifier's hold.
        claim: Claim,
    },
    /// The clinic is to do something again or to add something.
    Returned {
        /// Who returned it.
        by: PersonId,
        /// What is the matter.
        code: ReturnCode,
        /// When.
        at: Timestamp,
        /// What was left until the deadline; negative when it was over.
        rest: Span,
    },
    /// A final report is signed; deliveries are under way.
    Final,
    /// Every destination has it; the clinic has not acknowledged.
    Delivered,
    /// Acknowledged by a person at the clinic.
    Closed,
}

/// How long a claim lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// From the claim or its last heartbeat.
    pub length: Span,
    /// From the claim, whatever the heartbeats. Nothing is longer than this.
    pub cap: Span,
}

impl Default for Lease {
    fn default() -> Self {
        Self { length: Span::from_minutes(20), cap: Span::from_hours(4) }
    }
}

/// What a holder shows with every write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Who writes.
    pub by: PersonId,
    /// SHA-256 (hex) of the token that they show.
    pub token_hash: String,
    /// The fence that they were given.
    pub fence: i64,
}

/// What can be asked of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Put it into the queue.
    Enqueue,
    /// Take it: out of the queue, or from a lease that has run out. A live claim stands even
    /// against its own holder, who may have a second window open: that is a [`Self::TakeOver`].
    Claim {
        /// Who.
        by: PersonId,
        /// Hash of the new secret token.
        token_hash: String,
        /// How long.
        lease: Lease,
    },
    /// Take it from whoever holds it, be it oneself in another window; the old hold is lost.
    TakeOver {
        /// Who.
        by: PersonId,
        /// Hash of the new secret token.
        token_hash: String,
        /// How long.
        lease: Lease,
    },
    /// Keep it a while longer.
    Heartbeat {
        /// Proof.
        hold: Hold,
        /// How long.
        lease: Lease,
    },
    /// Save a draft under it.
    SaveDraft {
        /// Proof.
        hold: Hold,
    },
    /// Give it back.
    Release {
        /// Proof.
        hold: Hold,
    },
    /// Return it to the clinic from under one's hands.
    Return {
        /// Proof.
        hold: Hold,
        /// What is the matter.
        code: ReturnCode,
    },
    /// Return it to the clinic while it waits for a reader.
    ReturnWaiting {
        /// Who.
        by: PersonId,
        /// What is the matter.
        code: ReturnCode,
    },
    /// The clinic has done what was asked for.
    Resubmit {
        /// The whole time that the agreement gives.
        agreed: Span,
    },
    /// Say who is to take it; `None`: whoever comes.
    Assign {
        /// Whom it is given to.
        to: Option<PersonId>,
    },
    /// The lease has run out.
    Expire,
    /// Sign a preliminary report.
    SignPreliminary {
        /// Proof.
        hold: Hold,
    },
    /// Sign the final report.
    SignFinal {
        /// Proof.
        hold: Hold,
    },
    /// Every machine destination has the report.
    Delivered,
    /// A person at the clinic has acknowledged it. When that comes before the last machine has
    /// the report, the caller applies [`Self::Delivered`] first, then this: both must be so.
    Acknowledged,
    /// An addendum was signed.
    Addend,
    /// An image came after the study had been called complete.
    LateImage,
}

impl Command {
    /// The stable name of the command.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Claim { .. } => "claim",
            Self::TakeOver { .. } => "take_over",
            Self::Heartbeat { .. } => "heartbeat",
            Self::SaveDraft { .. } => "save_draft",
            Self::Release { .. } => "release",
            Self::Return { .. } => "return",
            Self::ReturnWaiting { .. } => "return_waiting",
            Self::Resubmit { .. } => "resubmit",
            Self::Assign { .. } => "assign",
            Self::Expire => "expire",
            Self::SignPreliminary { .. } => "sign_preliminary",
            Self::SignFinal { .. } => "sign_final",
            Self::Delivered => "delivered",
            Self::Acknowledged => "acknowledged",
            Self::Addend => "addend",
            Self::LateImage => "late_image",
        }
    }
}

impl Stage {
    /// Names of all stages, in the order of the lifecycle.
    pub const NAMES: &'static [&'static str] = &[
        "submitted",
        "ready",
        "in_progress",
        "preliminary",
        "verifying",
        "returned",
        "final",
        "delivered",
        "closed",
    ];

    /// The stable name of the stage.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Ready => "ready",
            Self::InProgress { .. } => "in_progress",
            Self::Preliminary { .. } => "preliminary",
            Self::Verifying { .. } => "verifying",
            Self::Returned { .. } => "returned",
            Self::Final => "final",
            Self::Delivered => "delivered",
            Self::Closed => "closed",
        }
    }

    /// The live claim, if somebody holds the case.
    pub const fn claim(&self) -> Option<&Claim> {
        match self {
            Self::InProgress { claim } | Self::Verifying { claim, .. } => Some(claim),
            Self::Submitted
            | Self::Ready
            | Self::Preliminary { .. }
            | Self::Returned { .. }
            | Self::Final
            | Self::Delivered
            | Self::Closed => None,
        }
    }

    /// Who signed the preliminary report that waits or is being verified.
    pub const fn preliminary_by(&self) -> Option<&PersonId> {
        match self {
            Self::Preliminary { by } | Self::Verifying { by, .. } => Some(by),
            Self::Submitted
            | Self::Ready
            | Self::InProgress { .. }
            | Self::Returned { .. }
            | Self::Final
            | Self::Delivered
            | Self::Closed => None,
        }
    }

    /// Whether work on the case is still open: such a case outlives its agreement.
    pub const fn is_open(&self) -> bool {
        !matches!(self, Self::Closed)
    }

    /// Whether the case waits in the queue, for a reader or for a verifier.
    pub const fn is_waiting(&self) -> bool {
        matches!(self, Self::Ready | Self::Preliminary { .. })
    }
}

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The stage does not allow the command.
    #[error("a case that is {stage} does not allow {command}")]
    WrongStage {
        /// Where it stands.
        stage: &'static str,
        /// What was asked.
        command: &'static str,
    },
    /// Somebody has it.
    #[error("the case is already claimed")]
    AlreadyClaimed {
        /// Who.
        holder: PersonId,
        /// Since when.
        since: Timestamp,
        /// Until when, unless renewed.
        expires: Timestamp,
    },
    /// The hold that was shown is not the live one.
    #[error("your claim on this case has ended; your text is kept")]
    ClaimLost {
        /// Who has it now.
        holder: Option<PersonId>,
        /// Since when.
        since: Option<Timestamp>,
    },
    /// The lease is still running.
    #[error("the claim has not run out yet")]
    NotExpired,
    /// The preliminary report is this person's own.
    #[error("the preliminary report is yours: another person must verify it")]
    AuthorCannotVerify,
    /// The agreement's signing policy wants it another way.
    #[error("the signing policy {policy} does not allow this step", policy = policy.as_str())]
    Policy {
        /// Which policy.
        policy: SigningPolicy,
    },
}

/// What a command has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The case as it is now; its `version` is still the one that was read.
    pub case: Case,
    /// What happened, in this order: one event, or two when a claim ends a lease that ran out.
    pub events: Vec<Kind>,
}

/// Applies a command to a case at `now`.
///
/// Whether the actor may ask this at all is [`crate::access::may`]'s to say, and whether a reader
/// is fit for the case is [`crate::queue::eligible`]'s; here only the case itself is looked at.
pub fn apply(mut case: Case, command: Command, now: Timestamp) -> Result<Step, Refusal> {
    let name = command.name();
    let mut events = Vec::with_capacity(2);
    let (stage, event) = match (case.stage.clone(), command) {
        (Stage::Submitted, Command::Enqueue) => (Stage::Ready, Kind::CaseQueued),
        (
            from @ (Stage::Ready
            | Stage::Preliminary { .. }
            | Stage::InProgress { .. }
            | Stage::Verifying { .. }),
            Command::Claim { by, token_hash, lease },
        ) => {
            refuse_live_claim(&from, now)?;
            // A lease that ran out and was not swept yet ends here: its holder is told all the same.
            if from.claim().is_some() {
                events.push(Kind::ClaimExpired);
            }
            (take(&mut case, from, by, token_hash, lease, now)?, Kind::CaseClaimed)
        }
        (
            from @ (Stage::InProgress { .. } | Stage::Verifying { .. }),
            Command::TakeOver { by, token_hash, lease },
        ) => (take(&mut case, from, by, token_hash, lease, now)?, Kind::CaseTakenOver),
        (Stage::Ready, Command::ReturnWaiting { by, code }) => {
            (send_back(&mut case, by, code, now), Kind::CaseReturned)
        }
        (Stage::Returned { rest, .. }, Command::Resubmit { agreed }) => {
            case.deadline = now + rest_of(rest, agreed);
            // Whoever reads it now begins with everything that is there.
            case.late_images = false;
            (Stage::Ready, Kind::CaseResubmitted)
        }
        (stage, Command::Assign { to }) => {
            assignable(&stage, to.as_ref())?;
            case.assigned = to;
            (stage, Kind::CaseAssigned)
        }
        (from @ (Stage::InProgress { .. } | Stage::Verifying { .. }), Command::Expire) => {
            if from.claim().is_some_and(|claim| now < claim.expires) {
                return Err(Refusal::NotExpired);
            }
            (put_back(from), Kind::ClaimExpired)
        }
        (Stage::Final, Command::Delivered) => (Stage::Delivered, Kind::CaseDelivered),
        (Stage::Delivered, Command::Acknowledged) => (Stage::Closed, Kind::CaseClosed),
        (Stage::Final | Stage::Delivered | Stage::Closed, Command::Addend) => {
            case.late_images = false;
            (Stage::Final, Kind::AddendumSigned)
        }
        (stage, Command::LateImage) => {
            case.late_images |= !matches!(stage, Stage::Returned { .. });
            (stage, Kind::LateImage)
        }
        (
            _,
            command @ (Command::Heartbeat { .. }
            | Command::SaveDraft { .. }
            | Command::Release { .. }
            | Command::Return { .. }
            | Command::SignPreliminary { .. }
            | Command::SignFinal { .. }),
        ) => by_holder(&mut case, command, now)?,
        (stage, _) => return Err(Refusal::WrongStage { stage: stage.name(), command: name }),
    };
    case.stage = stage;
    events.push(event);
    Ok(Step { case, events })
}

/// What only the live claim's holder may do.
fn by_holder(case: &mut Case, command: Command, now: Timestamp) -> Result<(Stage, Kind), Refusal> {
    let wrong = Refusal::WrongStage { stage: case.stage.name(), command: command.name() };
    let (Command::Heartbeat { hold, .. }
    | Command::SaveDraft { hold }
    | Command::Release { hold }
    | Command::Return { hold, .. }
    | Command::SignPreliminary { hold }
    | Command::SignFinal { hold }) = &command
    else {
        return Err(wrong);
    };
    // Whoever shows a hold and finds the case elsewhere has lost it: say so, not "wrong stage",
    // unless there never was a claim to lose.
    if case.fence == 0 {
        return Err(wrong);
    }
    check_hold(&case.stage, hold, now)?;
    let holder = hold.by.clone();
    match (case.stage.clone(), command) {
        (from, Command::Heartbeat { lease, .. }) => {
            Ok((renew(from, lease, now), Kind::ClaimRenewed))
        }
        (from, Command::SaveDraft { .. }) => Ok((from, Kind::DraftSaved)),
        (from, Command::Release { .. }) => Ok((put_back(from), Kind::CaseReleased)),
        (Stage::InProgress { .. }, Command::Return { code, .. }) => {
            Ok((send_back(case, holder, code, now), Kind::CaseReturned))
        }
        (Stage::InProgress { .. }, Command::SignPreliminary { .. })
            if case.policy == SigningPolicy::Double =>
        {
            Ok((Stage::Preliminary { by: holder }, Kind::PreliminarySigned))
        }
        (Stage::InProgress { .. }, Command::SignFinal { .. })
            if case.policy == SigningPolicy::SingleSenior =>
        {
            Ok((Stage::Final, Kind::FinalSigned))
        }
        (Stage::InProgress { .. }, Command::SignPreliminary { .. } | Command::SignFinal { .. }) => {
            Err(Refusal::Policy { policy: case.policy })
        }
        // `take` lets no author in; a row that says otherwise is still not signed.
        (Stage::Verifying { by, .. }, Command::SignFinal { .. }) if by == holder => {
            Err(Refusal::AuthorCannotVerify)
        }
        (Stage::Verifying { .. }, Command::SignFinal { .. }) => {
            Ok((Stage::Final, Kind::FinalSigned))
        }
        _ => Err(wrong),
    }
}

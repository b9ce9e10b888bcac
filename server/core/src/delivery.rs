//! One report version on its way to one destination, until it is acknowledged.
//!
//! ```text
//!            Begin             Accepted
//!  Due ─────────────► Sending ──────────► Sent
//!   ▲ ▲                │   │
//!   │ └── Failed ──────┘   └─ Failed, none left ─► Parked
//!   └──────────────────────── Retry ────────────────┘
//!  Sending, time over ── Begin ──► Sending again, or Parked after the last
//!
//!  InInbox ── Acknowledge ──► Acknowledged
//!  Due, InInbox, Parked ── Supersede ──► Superseded
//! ```

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::PersonId;
use crate::time::{Entropy, Span, Timestamp};

/// What kind of place a report goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// The clinic's inbox in the API; a person there acknowledges.
    Inbox,
    /// The clinic's PACS, by C-STORE of SR and PDF.
    Dicom,
}

crate::people::stable_text!(Route { Inbox => "inbox", Dicom => "dicom" });

/// Where a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// To be sent at `at`; `attempts` have been made.
    Due {
        /// Attempts made so far.
        attempts: u32,
        /// When to try next.
        at: Timestamp,
    },
    /// Being sent; if nothing is heard until `until`, the attempt counts as failed.
    Sending {
        /// Attempts made so far, this one included.
        attempts: u32,
        /// When the attempt is given up.
        until: Timestamp,
    },
    /// The other system has taken it.
    Sent {
        /// When.
        at: Timestamp,
    },
    /// In the clinic's inbox since `since`.
    InInbox {
        /// When it was put there.
        since: Timestamp,
    },
    /// A person at the clinic has acknowledged it.
    Acknowledged {
        /// Who.
        by: PersonId,
        /// When.
        at: Timestamp,
    },
    /// Given up after the last attempt; waits for a person.
    Parked {
        /// Attempts made.
        attempts: u32,
        /// When it was given up.
        at: Timestamp,
    },
    /// A newer version of the report took its place before it left.
    Superseded,
}

/// What can happen to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// An attempt starts, or starts again when the last one's time ran out unheard.
    Begin,
    /// The other system accepted everything.
    Accepted,
    /// The attempt failed in a way that may pass.
    Failed,
    /// The attempt failed in a way that will not pass without a person.
    Refused,
    /// A person starts it again.
    Retry,
    /// A person at the clinic acknowledges.
    Acknowledge {
        /// Who.
        by: PersonId,
    },
    /// A newer version is on its way instead.
    Supersede,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a delivery that is {stage} cannot {command}")]
pub struct Refusal {
    /// Where it stands.
    pub stage: &'static str,
    /// What was asked.
    pub command: &'static str,
}

/// How often and how long a delivery is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    /// Wait before attempt 2, 3, …; after the last one the delivery is parked.
    pub waits: Vec<Span>,
    /// How long one attempt may take.
    pub attempt: Span,
}

impl Default for Backoff {
    /// 10 s, 30 s, 2 min, 10 min, 1 h, then six times 4 h: a little over a day.
    fn default() -> Self {
        let mut waits = vec![
            Span::from_secs(10),
            Span::from_secs(30),
            Span::from_minutes(2),
            Span::from_minutes(10),
            Span::from_hours(1),
        ];
        waits.extend([Span::from_hours(4); 6]);
        Self { waits, attempt: Span::from_minutes(5) }
    }
}

impl Backoff {
    /// The wait after `attempts` attempts, with up to a fifth of jitter; `None` when it was the
    /// last.
    pub fn wait(&self, attempts: u32, entropy: &dyn Entropy) -> Option<Span> {
        let base = self.waits.get(usize::try_from(attempts).ok()?.checked_sub(1)?)?.micros();
        let mut byte = [0u8; 2];
        entropy.fill(&mut byte);
        let share = i64::from(u16::from_le_bytes(byte));
        Some(Span::from_micros(base + base / 5 * share / 65_535))
    }
}

impl Stage {
    /// The stage a new delivery starts in.
    pub fn begin(route: Route, now: Timestamp) -> Self {
        match route {
            Route::Inbox => Self::InInbox { since: now },
            Route::Dicom => Self::Due { attempts: 0, at: now },
        }
    }

    /// The stable name of the stage.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Due { .. } => "due",
            Self::Sending { .. } => "sending",
            Self::Sent { .. } => "sent",
            Self::InInbox { .. } => "in_inbox",
            Self::Acknowledged { .. } => "acknowledged",
            Self::Parked { .. } => "parked",
            Self::Superseded => "superseded",
        }
    }

    /// Whether the destination has it (or never needs it any more).
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Sent { .. } | Self::Acknowledged { .. } | Self::Superseded)
    }
}

impl Command {
    /// The stable name of the command.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Accepted => "be accepted",
            Self::Failed => "fail",
            Self::Refused => "be refused",
            Self::Retry => "be retried",
            Self::Acknowledge { .. } => "be acknowledged",
            Self::Supersede => "be superseded",
        }
    }
}

/// Applies a command to a delivery.
///
/// Only a [`Stage::Sending`] that comes out of [`Command::Begin`] may be acted on: an attempt whose
/// time ran out unheard and that was the last comes out as [`Stage::Parked`].
pub fn apply(
    stage: Stage,
    command: Command,
    backoff: &Backoff,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<Stage, Refusal> {
    match (stage, command) {
        (Stage::Due { attempts, at }, Command::Begin) if at <= now => {
            Ok(Stage::Sending { attempts: attempts + 1, until: now + backoff.attempt })
        }
        // The server died during an attempt: its time is over, so the next may begin, unless it
        // was the last. What kills the server every time must not be tried for ever.
        (Stage::Sending { attempts, until }, Command::Begin) if until <= now => {
            Ok(match backoff.wait(attempts, entropy) {
                Some(_) => Stage::Sending { attempts: attempts + 1, until: now + backoff.attempt },
                None => Stage::Parked { attempts, at: now },
            })
        }
        (Stage::Sending { .. }, Command::Accepted) => Ok(Stage::Sent { at: now }),
        (Stage::Sending { attempts, .. }, Command::Failed) => {
            Ok(match backoff.wait(attempts, entropy) {
                Some(wait) => Stage::Due { attempts, at: now + wait },
                None => Stage::Parked { attempts, at: now },
            })
        }
        (Stage::Sending { attempts, .. }, Command::Refused) => {
            Ok(Stage::Parked { attempts, at: now })
        }
        (Stage::Parked { .. }, Command::Retry) => Ok(Stage::Due { attempts: 0, at: now }),
        (Stage::InInbox { .. }, Command::Acknowledge { by }) => {
            Ok(Stage::Acknowledged { by, at: now })
        }
        (Stage::Due { .. } | Stage::InInbox { .. } | Stage::Parked { .. }, Command::Supersede) => {
            Ok(Stage::Superseded)
        }
        (stage, command) => Err(Refusal { stage: stage.name(), command: command.name() }),
    }
}

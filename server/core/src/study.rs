//! What has arrived, and when a study is complete.
//!
//! ```text
//!  first instance          manifest satisfied / quiet time due / "start anyway"
//!  ───────────────► Arriving ───────────────────────────────────► Complete
//!                      ▲                                              │
//!                      └──── stays, quiet time starts again ◄─ instance│
//!                                                 late instance: event, stays Complete
//! ```
//!
//! While a manifest is open (its sender has announced more than is here) quiet time alone does not
//! complete a study: a line that is down for an hour must not open a case with half the images.

use serde::{Deserialize, Serialize};

use crate::id::{OrganizationId, Phi, StudyId, Uid};
use crate::time::{Span, Timestamp};

/// What an instance says of itself: read once at the door, decoded to UTF-8, checked.
///
/// Texts are trimmed; absent and empty are both `None`. Dates and times stay in DICOM form
/// (`YYYYMMDD`, `HHMMSS.F`) because senders leave parts out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceFacts {
    /// SOP Class UID (0008,0016).
    pub sop_class: Uid,
    /// SOP Instance UID (0008,0018).
    pub sop_instance: Uid,
    /// Transfer Syntax UID the bytes are in (0002,0010).
    pub transfer_syntax: Uid,
    /// Study Instance UID (0020,000D).
    pub study: Uid,
    /// Series Instance UID (0020,000E).
    pub series: Uid,
    /// Modality (0008,0060), `OT` when absent.
    pub modality: String,
    /// Who was imaged.
    pub patient: PatientFacts,
    /// Accession Number (0008,0050).
    pub accession: Option<String>,
    /// Study ID (0020,0010).
    pub study_number: Option<String>,
    /// Study Date (0008,0020).
    pub study_date: Option<String>,
    /// Study Time (0008,0030).
    pub study_time: Option<String>,
    /// Study Description (0008,1030).
    pub study_description: Option<String>,
    /// Series Number (0020,0011).
    pub series_number: Option<i64>,
    /// Series Description (0008,103E).
    pub series_description: Option<String>,
    /// Body Part Examined (0018,0015).
    pub body_part: Option<String>,
    /// Instance Number (0020,0013).
    pub instance_number: Option<i64>,
    /// Rows (0028,0010).
    pub rows: Option<i64>,
    /// Columns (0028,0011).
    pub columns: Option<i64>,
    /// Number of Frames (0028,0008), 1 when absent.
    pub frames: i64,
    /// How the text was decoded.
    pub charset: Charset,
}

/// Patient identification of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PatientFacts {
    /// Patient ID (0010,0020).
    pub id: Phi<String>,
    /// Issuer of Patient ID (0010,0021).
    pub issuer: Option<String>,
    /// Patient's Name (0010,0010) with its groups as sent: `Zhang^San=张^三`.
    pub name: Phi<String>,
    /// Patient's Birth Date (0010,0030).
    pub birth_date: Phi<Option<String>>,
    /// Patient's Sex (0010,0040).
    pub sex: Option<String>,
}

impl PatientFacts {
    /// The name for people to read: the ideographic group first, `^` as a space only between
    /// Latin parts (PS3.5 6.2.1).
    pub fn display_name(&self) -> String {
        display_name(self.name.reveal())
    }
}

/// A DICOM person name for people to read: ideographic group if there is one, else alphabetic.
pub fn display_name(name: &str) -> String {
    let mut groups = name.split('=');
    let alphabetic = groups.next().unwrap_or_default();
    let group = groups.next().filter(|g| !g.replace('^', "").trim().is_empty());
    let chosen = group.unwrap_or(alphabetic);
    let parts: Vec<&str> =
        chosen.split('^').map(str::trim).filter(|part| !part.is_empty()).collect();
    // From U+2E80 on: Han, Kana, Hangul. Latin letters with accents still want their space.
    let separator = if chosen.chars().any(|c| c >= '\u{2e80}') { "" } else { " " };
    parts.join(separator)
}

/// How the text of an instance was decoded (workflow rules for Chinese senders).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charset {
    /// Specific Character Set (0008,0005) as declared, empty when absent.
    pub declared: String,
    /// True when the declaration was absent or wrong and the encoding was guessed.
    pub guessed: bool,
}

/// Whether a study is still arriving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Instances come in; `settle_at` moves with each of them.
    Arriving,
    /// Believed complete, for the reason stored beside it.
    Complete,
}

/// Why a study counts as complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadyReason {
    /// Nothing arrived for the quiet time of its modality: probably complete.
    Quiet,
    /// A person said "start anyway".
    Person,
    /// Everything that its sender announced is here, read back and equal.
    Manifest,
}

/// Why somebody asks whether a study is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Its quiet time may be over.
    Quiet {
        /// A manifest announces more than is here.
        awaited: bool,
    },
    /// A person says so.
    Person,
    /// The last entry of the last open manifest is here.
    Manifest,
}

/// What the door needs to know of a study to receive one more instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The study as we hold it.
    pub study: StudyId,
    /// The clinic that owns it.
    pub clinic: OrganizationId,
    /// Where it stands.
    pub stage: Stage,
    /// Patient ID that came with its first instance.
    pub patient_id: Phi<String>,
}

/// What is known of an instance that has the UID of the arriving one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    /// SHA-256 (hex) of the bytes that are stored under this UID.
    pub sha256: String,
    /// Transfer syntax they are stored in.
    pub transfer_syntax: Uid,
    /// The clinic that owns them.
    pub clinic: OrganizationId,
}

/// What to do with an instance whose bytes are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// New: write its row.
    Accept {
        /// It came after the study had been called complete.
        late: bool,
    },
    /// The same bytes are already stored: success again, drop the copy.
    Same,
    /// Keep the bytes apart, raise an event, tell the sender "stored".
    Quarantine(QuarantineReason),
}

/// Why bytes were put aside instead of into a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineReason {
    /// The SOP Instance UID is known with other bytes.
    OtherContent,
    /// The study or instance UID belongs to another clinic.
    OtherOwner,
    /// The study UID is bound to another patient.
    OtherPatient,
}

/// Decides what becomes of an instance that has just been made durable.
///
/// `twin` is what is stored under the same SOP Instance UID, `arrival` the study it names; both
/// are looked up in the transaction that writes the verdict.
pub fn receive(
    facts: &InstanceFacts,
    sha256: &str,
    clinic: &OrganizationId,
    twin: Option<&Twin>,
    arrival: Option<&Arrival>,
) -> Verdict {
    if let Some(twin) = twin {
        let same = twin.sha256 == sha256 && twin.transfer_syntax == facts.transfer_syntax;
        return if twin.clinic != *clinic {
            Verdict::Quarantine(QuarantineReason::OtherOwner)
        } else if same {
            Verdict::Same
        } else {
            Verdict::Quarantine(QuarantineReason::OtherContent)
        };
    }
    match arrival {
        None => Verdict::Accept { late: false },
        Some(study) if study.clinic != *clinic => Verdict::Quarantine(QuarantineReason::OtherOwner),
        Some(study) if study.patient_id != facts.patient.id => {
            Verdict::Quarantine(QuarantineReason::OtherPatient)
        }
        Some(study) => Verdict::Accept { late: study.stage == Stage::Complete },
    }
}

/// How long nothing must arrive before a study of a modality is called complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietTimes {
    /// Per modality code.
    pub by_modality: Vec<(String, Span)>,
    /// For every other modality.
    pub other: Span,
}

impl Default for QuietTimes {
    fn default() -> Self {
        let seconds =
            [("CT", 60), ("MR", 60), ("CR", 20), ("DX", 20), ("DR", 20), ("US", 120), ("ECG", 5)];
        let by_modality =
            seconds.iter().map(|(code, s)| ((*code).to_owned(), Span::from_secs(*s))).collect();
        Self { by_modality, other: Span::from_secs(60) }
    }
}

impl QuietTimes {
    /// When a study settles if nothing more arrives after `now`.
    pub fn settle_at(&self, modality: &str, now: Timestamp) -> Timestamp {
        let found = self.by_modality.iter().find(|(code, _)| code == modality);
        now + found.map_or(self.other, |(_, span)| *span)
    }
}

/// Whether a study that was due to settle is complete, or when to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Complete now, for this reason.
    Complete(ReadyReason),
    /// Something arrived in between: look again then.
    NotBefore(Timestamp),
    /// It was complete already.
    Already,
}

/// How long until a study whose manifest is open is looked at again.
pub const AWAITED_AGAIN: Span = Span::from_minutes(1);

/// Decides whether a study is complete; `settle_at` is when its quiet time is over.
pub fn settle(stage: Stage, settle_at: Timestamp, occasion: Occasion, now: Timestamp) -> Settled {
    match (stage, occasion) {
        (Stage::Complete, _) => Settled::Already,
        (Stage::Arriving, Occasion::Person) => Settled::Complete(ReadyReason::Person),
        (Stage::Arriving, Occasion::Manifest) => Settled::Complete(ReadyReason::Manifest),
        (Stage::Arriving, Occasion::Quiet { .. }) if now < settle_at => {
            Settled::NotBefore(settle_at)
        }
        (Stage::Arriving, Occasion::Quiet { awaited: true }) => {
            Settled::NotBefore(now + AWAITED_AGAIN)
        }
        (Stage::Arriving, Occasion::Quiet { awaited: false }) => {
            Settled::Complete(ReadyReason::Quiet)
        }
    }
}

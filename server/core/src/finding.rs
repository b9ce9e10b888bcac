//! Critical findings (危急值): a result that must reach a person at the clinic now, whatever becomes
//! of the report.
//!
//! ```text
//!               Acknowledge (read back)                Settle
//!  Notifying ─────────────────────────► Acknowledged ─────────► Settled
//!      │                                      │
//!      └────────────── CallOff ───────────────┴─────────────► FalseAlarm
//! ```
//!
//! Whoever receives it reads it back in their own words; without that nobody knows that it was
//! understood. Calling it off is the centre's, and keeps what was read back.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::event::Kind;
use crate::id::{PersonId, Phi};
use crate::people::stable_text;
use crate::time::{Span, Timestamp};

/// Within this time the clinic is to have read it back.
pub const READ_BACK_WITHIN: Span = Span::from_minutes(10);
/// Characters of a text at most.
pub const TEXT_CHARS: usize = 1_000;
/// Characters of a read-back at least: "ok" says nothing.
pub const READ_BACK_CHARS: usize = 4;

/// What was found. The words are stored and sent and must never change; which of them a hospital
/// uses is its own list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FindingCode {
    /// 颅内出血: 30 ml above the tentorium, 10 ml below it.
    IntracranialHaemorrhage,
    /// 脑疝: midline shift of 10 mm.
    BrainHerniation,
    /// 蛛网膜下腔出血.
    SubarachnoidHaemorrhage,
    /// 大面积脑梗死.
    LargeCerebralInfarct,
    /// 后循环梗死累及脑干.
    BrainstemInfarct,
    /// 脊髓横断或受压.
    SpinalCordCompression,
    /// 张力性气胸.
    TensionPneumothorax,
    /// 大面积肺栓塞.
    PulmonaryEmbolism,
    /// 气道异物.
    AirwayForeignBody,
    /// 主动脉夹层或动脉瘤破裂.
    AorticDissection,
    /// 大量心包积液.
    PericardialEffusion,
    /// 消化道穿孔、游离气体.
    FreeGas,
    /// 实质脏器破裂出血.
    OrganRupture,
    /// 肠系膜缺血.
    MesentericIschaemia,
    /// 脊柱爆裂骨折累及椎管.
    SpineBurstFracture,
    /// 危及生命的多发骨折.
    MultipleFractures,
    /// 异位妊娠破裂.
    EctopicRupture,
    /// 急性心肌梗死心电图改变.
    AcuteMyocardialInfarction,
    /// 持续性室性心动过速.
    VentricularTachycardia,
    /// 尖端扭转型或多形性室速.
    TorsadesDePointes,
    /// 心室颤动、扑动.
    VentricularFibrillation,
    /// 快速室上性心动过速.
    RapidSupraventricularTachycardia,
    /// 快速心房颤动、扑动.
    RapidAtrialFibrillation,
    /// 预激伴房颤.
    PreexcitedAtrialFibrillation,
    /// 长 QT 伴 R-on-T.
    LongQtROnT,
    /// 三度房室传导阻滞.
    CompleteAvBlock,
    /// 严重心动过缓.
    SevereBradycardia,
    /// 长 RR 间歇.
    LongPause,
    /// 其他.
    Other,
}

stable_text!(FindingCode {
    IntracranialHaemorrhage => "INTRACRANIAL_HAEMORRHAGE",
    BrainHerniation => "BRAIN_HERNIATION",
    SubarachnoidHaemorrhage => "SUBARACHNOID_HAEMORRHAGE",
    LargeCerebralInfarct => "LARGE_CEREBRAL_INFARCT",
    BrainstemInfarct => "BRAINSTEM_INFARCT",
    SpinalCordCompression => "SPINAL_CORD_COMPRESSION",
    TensionPneumothorax => "TENSION_PNEUMOTHORAX",
    PulmonaryEmbolism => "PULMONARY_EMBOLISM",
    AirwayForeignBody => "AIRWAY_FOREIGN_BODY",
    AorticDissection => "AORTIC_DISSECTION",
    PericardialEffusion => "PERICARDIAL_EFFUSION",
    FreeGas => "FREE_GAS",
    OrganRupture => "ORGAN_RUPTURE",
    MesentericIschaemia => "MESENTERIC_ISCHAEMIA",
    SpineBurstFracture => "SPINE_BURST_FRACTURE",
    MultipleFractures => "MULTIPLE_FRACTURES",
    EctopicRupture => "ECTOPIC_RUPTURE",
    AcuteMyocardialInfarction => "ACUTE_MYOCARDIAL_INFARCTION",
    VentricularTachycardia => "VENTRICULAR_TACHYCARDIA",
    TorsadesDePointes => "TORSADES_DE_POINTES",
    VentricularFibrillation => "VENTRICULAR_FIBRILLATION",
    RapidSupraventricularTachycardia => "RAPID_SUPRAVENTRICULAR_TACHYCARDIA",
    RapidAtrialFibrillation => "RAPID_ATRIAL_FIBRILLATION",
    PreexcitedAtrialFibrillation => "PREEXCITED_ATRIAL_FIBRILLATION",
    LongQtROnT => "LONG_QT_R_ON_T",
    CompleteAvBlock => "COMPLETE_AV_BLOCK",
    SevereBradycardia => "SEVERE_BRADYCARDIA",
    LongPause => "LONG_PAUSE",
    Other => "OTHER",
});

impl FindingCode {
    /// The modalities that it is usually seen in: what is offered first, nothing is forbidden. Empty
    /// means any.
    pub const fn modalities(self) -> &'static [&'static str] {
        match self {
            Self::IntracranialHaemorrhage
            | Self::BrainHerniation
            | Self::SubarachnoidHaemorrhage
            | Self::LargeCerebralInfarct
            | Self::BrainstemInfarct
            | Self::SpinalCordCompression => &["CT", "MR"],
            Self::TensionPneumothorax | Self::FreeGas | Self::AirwayForeignBody => {
                &["CT", "DX", "CR"]
            }
            Self::PulmonaryEmbolism | Self::MesentericIschaemia => &["CT"],
            Self::AorticDissection => &["CT", "MR", "US"],
            Self::PericardialEffusion | Self::OrganRupture => &["CT", "US"],
            Self::SpineBurstFracture | Self::MultipleFractures => &["CT", "DX", "CR", "MR"],
            Self::EctopicRupture => &["US"],
            Self::AcuteMyocardialInfarction
            | Self::VentricularTachycardia
            | Self::TorsadesDePointes
            | Self::VentricularFibrillation
            | Self::RapidSupraventricularTachycardia
            | Self::RapidAtrialFibrillation
            | Self::PreexcitedAtrialFibrillation
            | Self::LongQtROnT
            | Self::CompleteAvBlock
            | Self::SevereBradycardia
            | Self::LongPause => &["ECG"],
            Self::Other => &[],
        }
    }
}

/// What was done with the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// 观察.
    Observe,
    /// 就地处置.
    Treat,
    /// 转诊.
    Refer,
    /// 急救 120.
    Emergency,
}

stable_text!(Disposition {
    Observe => "observe",
    Treat => "treat",
    Refer => "refer",
    Emergency => "emergency",
});

/// Who read it back, when and in which words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadBack {
    /// Who.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
    /// What they repeated; names the patient.
    pub words: Phi<String>,
}

/// Where a critical finding stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// The clinic is being told.
    Notifying,
    /// Somebody at the clinic has read it back.
    Acknowledged {
        /// How.
        read_back: ReadBack,
    },
    /// The clinic has said what was done.
    Settled {
        /// How it was read back.
        read_back: ReadBack,
        /// What was done.
        disposition: Disposition,
        /// More about it.
        text: Phi<String>,
        /// Who said so.
        by: PersonId,
        /// When.
        at: Timestamp,
    },
    /// The centre has called it off.
    FalseAlarm {
        /// How it was read back before that.
        read_back: Option<ReadBack>,
        /// Why.
        reason: Phi<String>,
        /// Who called it off.
        by: PersonId,
        /// When.
        at: Timestamp,
    },
}

impl Stage {
    /// Names of all stages.
    pub const NAMES: &'static [&'static str] =
        &["notifying", "acknowledged", "settled", "false_alarm"];

    /// The stable name of the stage.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Notifying => "notifying",
            Self::Acknowledged { .. } => "acknowledged",
            Self::Settled { .. } => "settled",
            Self::FalseAlarm { .. } => "false_alarm",
        }
    }

    /// How it was read back, if it was.
    pub const fn read_back(&self) -> Option<&ReadBack> {
        match self {
            Self::Notifying => None,
            Self::Acknowledged { read_back } | Self::Settled { read_back, .. } => Some(read_back),
            Self::FalseAlarm { read_back, .. } => read_back.as_ref(),
        }
    }
}

/// What can be asked of a critical finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Read it back.
    Acknowledge {
        /// Who.
        by: PersonId,
        /// In which words.
        words: Phi<String>,
    },
    /// Say what was done.
    Settle {
        /// Who.
        by: PersonId,
        /// What.
        disposition: Disposition,
        /// More about it; may be empty.
        text: Phi<String>,
    },
    /// Call it off.
    CallOff {
        /// Who.
        by: PersonId,
        /// Why.
        reason: Phi<String>,
    },
}

impl Command {
    /// The stable name of the command.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Acknowledge { .. } => "acknowledge",
            Self::Settle { .. } => "settle",
            Self::CallOff { .. } => "call_off",
        }
    }
}

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The stage does not allow the command.
    #[error("a critical finding that is {stage} does not allow {command}")]
    WrongStage {
        /// Where it stands.
        stage: &'static str,
        /// What was asked.
        command: &'static str,
    },
    /// The read-back says too little.
    #[error("read the finding back in your own words: patient and finding")]
    ReadBackMissing,
    /// What must be said is missing.
    #[error("say what it is about")]
    Empty,
    /// A text is too long.
    #[error("the text has more than 1000 characters")]
    TooLong,
    /// A text holds a character that is neither printable nor a line break or tab.
    #[error("the text holds control characters")]
    Control,
}

/// Applies a command at `now`: the next stage and what happened.
pub fn apply(stage: Stage, command: Command, now: Timestamp) -> Result<(Stage, Kind), Refusal> {
    let name = command.name();
    match (stage, command) {
        (Stage::Notifying, Command::Acknowledge { by, words }) => {
            let words = checked_text(words.reveal(), true)?;
            if words.chars().filter(|c| !c.is_whitespace()).count() < READ_BACK_CHARS {
                return Err(Refusal::ReadBackMissing);
            }
            let read_back = ReadBack { by, at: now, words: Phi::new(words) };
            Ok((Stage::Acknowledged { read_back }, Kind::FindingAcknowledged))
        }
        (Stage::Acknowledged { read_back }, Command::Settle { by, disposition, text }) => {
            let text = Phi::new(checked_text(text.reveal(), true)?);
            let settled = Stage::Settled { read_back, disposition, text, by, at: now };
            Ok((settled, Kind::FindingSettled))
        }
        (
            from @ (Stage::Notifying | Stage::Acknowledged { .. }),
            Command::CallOff { by, reason },
        ) => {
            let reason = Phi::new(checked_text(reason.reveal(), false)?);
            let read_back = from.read_back().cloned();
            Ok((Stage::FalseAlarm { read_back, reason, by, at: now }, Kind::FindingSettled))
        }
        (stage, _) => Err(Refusal::WrongStage { stage: stage.name(), command: name }),
    }
}

/// Checks a text and gives it as it is kept: without space around it, lines ended by a line feed.
pub fn checked_text(text: &str, may_be_empty: bool) -> Result<String, Refusal> {
    let text = text.replace("\r\n", "\n").trim().to_owned();
    if text.is_empty() && !may_be_empty {
        Err(Refusal::Empty)
    } else if text.chars().count() > TEXT_CHARS {
        Err(Refusal::TooLong)
    } else if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        Err(Refusal::Control)
    } else {
        Ok(text)
    }
}

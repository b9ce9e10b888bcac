//! What is said about a case: a return request ("retake, positioning") or a notice from the centre
//! to the clinic, and what both sides discuss. The words only; the stage of the case does not
//! change by them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::people::stable_text;

/// Characters of a message at most.
pub const TEXT_CHARS: usize = 2_000;

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// 退回: the clinic is to do something again or to add something.
    ReturnRequest,
    /// 通知: something to know.
    Notice,
    /// 讨论: what people of both sides say to each other.
    Discussion,
}

stable_text!(MessageKind {
    ReturnRequest => "return_request",
    Notice => "notice",
    Discussion => "discussion",
});

/// What is the matter with a study that is returned. The words go over the clinic link and must
/// never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReturnCode {
    /// 病史不全.
    MissingHistory,
    /// 图像不全.
    MissingImages,
    /// 患者不符.
    WrongPatient,
    /// 部位不符.
    WrongSite,
    /// 体位.
    Positioning,
    /// 运动伪影.
    Motion,
    /// 曝光.
    Exposure,
    /// 伪影/异物.
    Artifact,
    /// 序列缺失.
    Sequence,
    /// 期相不当.
    ContrastPhase,
    /// 导联接错.
    LeadReversal,
    /// 基线漂移.
    Baseline,
    /// 干扰.
    Noise,
    /// 无定标.
    NoCalibration,
    /// 重复申请.
    Duplicate,
    /// 超协议.
    OutOfScope,
}

stable_text!(ReturnCode {
    MissingHistory => "MISSING_HISTORY",
    MissingImages => "MISSING_IMAGES",
    WrongPatient => "WRONG_PATIENT",
    WrongSite => "WRONG_SITE",
    Positioning => "POSITIONING",
    Motion => "MOTION",
    Exposure => "EXPOSURE",
    Artifact => "ARTIFACT",
    Sequence => "SEQUENCE",
    ContrastPhase => "CONTRAST_PHASE",
    LeadReversal => "LEAD_REVERSAL",
    Baseline => "BASELINE",
    Noise => "NOISE",
    NoCalibration => "NO_CALIBRATION",
    Duplicate => "DUPLICATE",
    OutOfScope => "OUT_OF_SCOPE",
});

/// Why a message cannot be as it was written. A person mends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MessageFault {
    /// A return request without a code.
    #[error("a return request names what is the matter, such as POSITIONING")]
    CodeMissing,
    /// A notice or a word of discussion with a code.
    #[error("only a return request has a code")]
    CodeUnwanted,
    /// A notice or a word of discussion without a text.
    #[error("write something")]
    Empty,
    /// The text is too long.
    #[error("the text has more than 2000 characters")]
    TooLong,
    /// The text holds a character that is neither printable nor a line break or tab.
    #[error("the text holds control characters")]
    Control,
}

/// Checks a message and gives its text as it is kept: without space around it, lines ended by a
/// line feed. A return request may do without a text, its code says enough.
pub fn checked_text(
    kind: MessageKind,
    code: Option<ReturnCode>,
    text: &str,
) -> Result<String, MessageFault> {
    let text = text.replace("\r\n", "\n").trim().to_owned();
    match (kind, code) {
        (MessageKind::ReturnRequest, None) => Err(MessageFault::CodeMissing),
        (MessageKind::Notice | MessageKind::Discussion, Some(_)) => Err(MessageFault::CodeUnwanted),
        (MessageKind::Notice | MessageKind::Discussion, None) if text.is_empty() => {
            Err(MessageFault::Empty)
        }
        _ if text.chars().count() > TEXT_CHARS => Err(MessageFault::TooLong),
        _ if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') => {
            Err(MessageFault::Control)
        }
        _ => Ok(text),
    }
}

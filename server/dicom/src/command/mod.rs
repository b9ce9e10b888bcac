//! DIMSE command sets (PS3.7 6.3, 9.3, E): bounded to read, small to write, always Implicit VR
//! Little Endian.

use bytes::{BufMut, BytesMut};
use medrelay_core::id::Uid;

use crate::uids::{self, unpadded};

/// Longest command set that is read, in bytes. Real ones have some two hundred.
pub const COMMAND_BYTES: usize = 64 * 1024;

/// A status code (PS3.7 C, PS3.4 B.2.3), as sent and as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u16);

impl Status {
    /// Done.
    pub const SUCCESS: Self = Self(0x0000);
    /// The receiver failed for a reason of its own.
    pub const PROCESSING_FAILURE: Self = Self(0x0110);
    /// An instance with this UID is there already.
    pub const DUPLICATE_INSTANCE: Self = Self(0x0111);
    /// The SOP Instance UID is no UID.
    pub const INVALID_INSTANCE: Self = Self(0x0117);
    /// An element of the command is missing.
    pub const MISSING_ATTRIBUTE: Self = Self(0x0120);
    /// The SOP class is not stored here.
    pub const SOP_CLASS_NOT_SUPPORTED: Self = Self(0x0122);
    /// The caller may not do that.
    pub const NOT_AUTHORIZED: Self = Self(0x0124);
    /// A command that we do not know or that the context does not allow.
    pub const UNRECOGNIZED_OPERATION: Self = Self(0x0211);
    /// No room; trying again later may help.
    pub const OUT_OF_RESOURCES: Self = Self(0xA700);
    /// The data set is not an instance of the SOP class, or not the instance, that the command
    /// names.
    pub const DOES_NOT_MATCH_SOP_CLASS: Self = Self(0xA900);
    /// The data set breaks the encoding rules.
    pub const CANNOT_UNDERSTAND: Self = Self(0xC000);

    /// Whether the receiver has taken responsibility: success, or a warning about what it changed
    /// (Bxxx).
    #[must_use]
    pub fn is_stored(self) -> bool {
        self == Self::SUCCESS || self.is_warning()
    }

    /// Whether it is a warning (PS3.7 C.3): 0001, 0107, 0116 or Bxxx.
    #[must_use]
    pub fn is_warning(self) -> bool {
        matches!(self.0, 0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF)
    }

    /// What it means, for logs.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self.0 {
            0x0000 => "success",
            0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF => "stored with a warning",
            0x0110 => "processing failure",
            0x0111 => "duplicate SOP instance",
            0x0112 => "no such SOP instance",
            0x0117 => "invalid SOP instance",
            0x0120 => "missing attribute",
            0x0122 => "SOP class not supported",
            0x0124 => "not authorized",
            0x0210 => "duplicate invocation",
            0x0211 => "unrecognized operation",
            0x0212 => "mistyped argument",
            0x0213 => "resource limitation",
            0xA700..=0xA7FF => "out of resources",
            0xA900..=0xA9FF => "data set does not match SOP class",
            0xC000..=0xCFFF => "cannot understand",
            0xFE00 => "cancelled",
            _ => "unknown status",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:04X} {}", self.0, self.text())
    }
}

/// What is answered to a request: a status and, where it helps whoever reads the sender's log, a
/// comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status (0000,0900).
    pub status: Status,
    /// Error Comment (0000,0902); cut to 64 ASCII characters when written. Never patient data.
    pub comment: Option<String>,
}

impl Reply {
    /// A status with a comment.
    #[must_use]
    pub fn new(status: Status, comment: impl Into<String>) -> Self {
        Self { status, comment: Some(comment.into()) }
    }
}

impl From<Status> for Reply {
    fn from(status: Status) -> Self {
        Self { status, comment: None }
    }
}

/// A command set as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// C-ECHO-RQ (PS3.7 9.3.5.1).
    Echo {
        /// Message ID (0000,0110).
        message_id: u16,
    },
    /// C-STORE-RQ (PS3.7 9.3.1.1); its data set follows.
    Store(StoreCommand),
    /// C-CANCEL-RQ (PS3.7 9.3.2.3): there is nothing of ours to cancel.
    Cancel,
    /// A request that can be answered in only one way.
    Unacceptable(Unacceptable),
    /// The answer to a request of ours.
    Response(Response),
}

/// The parameters of C-STORE-RQ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreCommand {
    /// Message ID (0000,0110).
    pub message_id: u16,
    /// Affected SOP Class UID (0000,0002).
    pub sop_class: Uid,
    /// Affected SOP Instance UID (0000,1000).
    pub sop_instance: Uid,
    /// Priority (0000,0700).
    pub priority: Priority,
    /// Who asked for a C-MOVE of which this is a part.
    pub move_originator: Option<MoveOriginator>,
}

/// Move Originator Application Entity Title (0000,1030) and Message ID (0000,1031).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveOriginator {
    /// Title without padding.
    pub ae_title: String,
    /// Message ID of the C-MOVE-RQ.
    pub message_id: u16,
}

/// Priority (0000,0700).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// 0002
    Low,
    /// 0000
    #[default]
    Medium,
    /// 0001
    High,
}

/// A request that is refused for what its command set says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unacceptable {
    /// Command Field (0000,0100) of the request.
    pub field: u16,
    /// Message ID (0000,0110).
    pub message_id: u16,
    /// Whether a data set follows, which must be read before answering.
    pub has_data_set: bool,
    /// The answer.
    pub reply: Reply,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Command Field (0000,0100), with the response bit set.
    pub field: u16,
    /// Message ID Being Responded To (0000,0120).
    pub message_id: u16,
    /// Whether a data set follows.
    pub has_data_set: bool,
    /// Status and Error Comment.
    pub reply: Reply,
}

/// Bytes that are no command set: the association cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Elements do not add up, or do not belong to group 0000.
    #[error("malformed command set")]
    Malformed,
    /// Without its Command Field or Message ID a command cannot even be refused.
    #[error("command set without {0}")]
    Missing(&'static str),
}

impl Command {
    /// Reads a whole command set.
    ///
    /// # Errors
    /// [`CommandError`] when it cannot be answered; what can be answered is
    /// [`Command::Unacceptable`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CommandError> {
        let elements = Elements::parse(bytes)?;
        let field =
            elements.u16(tag::COMMAND_FIELD).ok_or(CommandError::Missing("command field"))?;
        let has_data_set = elements.u16(tag::DATA_SET_TYPE).is_some_and(|kind| kind != NO_DATA_SET);
        if field & RESPONSE != 0 {
            return Self::response(field, has_data_set, &elements);
        }
        if field == C_CANCEL_RQ {
            return Ok(Self::Cancel);
        }
        let message_id =
            elements.u16(tag::MESSAGE_ID).ok_or(CommandError::Missing("message ID"))?;
        let refuse =
            |reply| Self::Unacceptable(Unacceptable { field, message_id, has_data_set, reply });
        Ok(match field {
            C_ECHO_RQ if !has_data_set => Self::Echo { message_id },
            C_STORE_RQ => match store(message_id, has_data_set, &elements) {
                Ok(command) => Self::Store(command),
                Err(reply) => refuse(reply),
            },
            _ => refuse(Status::UNRECOGNIZED_OPERATION.into()),
        })
    }

    fn response(
        field: u16,
        has_data_set: bool,
        elements: &Elements<'_>,
    ) -> Result<Self, CommandError> {
        let message_id =
            elements.u16(tag::MESSAGE_ID_RESPONDED).ok_or(CommandError::Missing("message ID"))?;
        let status = elements.u16(tag::STATUS).ok_or(CommandError::Missing("status"))?;
        let comment = elements.text(tag::ERROR_COMMENT);
        let reply = Reply { status: Status(status), comment };
        Ok(Self::Response(Response { field, message_id, has_data_set, reply }))
    }
}

fn store(
    message_id: u16,
    has_data_set: bool,
    elements: &Elements<'_>,
) -> Result<StoreCommand, Reply> {
    let missing = |what| Reply::new(Status::MISSING_ATTRIBUTE, what);
    let sop_class =
        elements.raw(tag::AFFECTED_SOP_CLASS).ok_or_else(|| missing("no SOP class UID"))?;
    let sop_instance =
        elements.raw(tag::AFFECTED_SOP_INSTANCE).ok_or_else(|| missing("no SOP instance UID"))?;
    if !has_data_set {
        return Err(Reply::new(Status::CANNOT_UNDERSTAND, "C-STORE without a data set"));
    }
    let sop_class = uids::parse(sop_class)
        .map_err(|_| Reply::new(Status::SOP_CLASS_NOT_SUPPORTED, "invalid SOP class UID"))?;
    let sop_instance = uids::parse(sop_instance)
        .map_err(|_| Reply::new(Status::INVALID_INSTANCE, "invalid SOP instance UID"))?;
    let priority = match elements.u16(tag::PRIORITY) {
        Some(1) => Priority::High,
        Some(2) => Priority::Low,
        _ => Priority::Medium,
    };
    let move_originator =
        match (elements.text(tag::MOVE_AE_TITLE), elements.u16(tag::MOVE_MESSAGE_ID)) {
            (Some(ae_title), Some(message_id)) => Some(MoveOriginator { ae_title, message_id }),
            _ => None,
        };
    Ok(StoreCommand { message_id, sop_class, sop_instance, priority, move_originator })
}

/// The command set of a C-ECHO-RQ.
#[must_use]
pub fn echo_request(message_id: u16) -> BytesMut {
    command_set(|out| {
        put_uid(tag::AFFECTED_SOP_CLASS, uids::VERIFICATION, out);
        put_u16(tag::COMMAND_FIELD, C_ECHO_RQ, out);
        put_u16(tag::MESSAGE_ID, message_id, out);
        put_u16(tag::DATA_SET_TYPE, NO_DATA_SET, out);
    })
}

/// The command set of a C-STORE-RQ.
#[must_use]
pub fn store_request(command: &StoreCommand) -> BytesMut {
    command_set(|out| {
        put_uid(tag::AFFECTED_SOP_CLASS, command.sop_class.as_str(), out);
        put_u16(tag::COMMAND_FIELD, C_STORE_RQ, out);
        put_u16(tag::MESSAGE_ID, command.message_id, out);
        let priority = match command.priority {
            Priority::Medium => 0,
            Priority::High => 1,
            Priority::Low => 2,
        };
        put_u16(tag::PRIORITY, priority, out);
        put_u16(tag::DATA_SET_TYPE, DATA_SET_FOLLOWS, out);
        put_uid(tag::AFFECTED_SOP_INSTANCE, command.sop_instance.as_str(), out);
        if let Some(originator) = &command.move_originator {
            put_text(tag::MOVE_AE_TITLE, &originator.ae_title, out);
            put_u16(tag::MOVE_MESSAGE_ID, originator.message_id, out);
        }
    })
}

/// The command set of a response to a request with this command field and message ID. C-STORE
/// responses repeat the SOP class and instance.
#[must_use]
pub fn response(
    field: u16,
    message_id: u16,
    object: Option<(&str, &str)>,
    reply: &Reply,
) -> BytesMut {
    command_set(|out| {
        match object {
            Some((sop_class, _)) => put_uid(tag::AFFECTED_SOP_CLASS, sop_class, out),
            None if field == C_ECHO_RQ => {
                put_uid(tag::AFFECTED_SOP_CLASS, uids::VERIFICATION, out);
            }
            None => {}
        }
        put_u16(tag::COMMAND_FIELD, field | RESPONSE, out);
        put_u16(tag::MESSAGE_ID_RESPONDED, message_id, out);
        put_u16(tag::DATA_SET_TYPE, NO_DATA_SET, out);
        put_u16(tag::STATUS, reply.status.0, out);
        if let Some(comment) = &reply.comment {
            put_text(tag::ERROR_COMMENT, comment, out);
        }
        if let Some((_, sop_instance)) = object {
            put_uid(tag::AFFECTED_SOP_INSTANCE, sop_instance, out);
        }
    })
}

/// The elements of group 0000, borrowed from the command set.
struct Elements<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Elements<'a> {
    fn parse(mut bytes: &'a [u8]) -> Result<Self, CommandError> {
        let mut elements = Vec::new();
        while !bytes.is_empty() {
            let [g, h, e, f, a, b, c, d, rest @ ..] = bytes else {
                return Err(CommandError::Malformed);
            };
            let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
            let (value, rest) = rest.split_at_checked(length).ok_or(CommandError::Malformed)?;
            if u16::from_le_bytes([*g, *h]) != 0 || elements.len() == COMMAND_ELEMENTS {
                return Err(CommandError::Malformed);
            }
            elements.push((u16::from_le_bytes([*e, *f]), value));
            bytes = rest;
        }
        Ok(Self(elements))
    }

    fn raw(&self, element: u16) -> Option<&'a [u8]> {
        self.0.iter().find(|(known, _)| *known == element).map(|(_, value)| *value)
    }

    fn u16(&self, element: u16) -> Option<u16> {
        self.raw(element)?.try_into().ok().map(u16::from_le_bytes)
    }

    /// A short text of printable ASCII; anything else becomes a question mark, for it may be
    /// logged.
    fn text(&self, element: u16) -> Option<String> {
        let value = unpadded(self.raw(element)?);
        let printable =
            |byte: &u8| if matches!(byte, 0x20..=0x7E) { char::from(*byte) } else { '?' };
        Some(value.iter().take(COMMENT_CHARACTERS).map(printable).collect())
    }
}

fn command_set(elements: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::with_capacity(256);
    put_head(tag::GROUP_LENGTH, 4, &mut out);
    out.put_u32_le(0);
    let start = out.len();
    elements(&mut out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start - 4..start].copy_from_slice(&length.to_le_bytes());
    out
}

fn put_head(element: u16, length: usize, out: &mut BytesMut) {
    out.put_u16_le(0);
    out.put_u16_le(element);
    out.put_u32_le(u32::try_from(length).unwrap_or(u32::MAX));
}

fn put_u16(element: u16, value: u16, out: &mut BytesMut) {
    put_head(element, 2, out);
    out.put_u16_le(value);
}

fn put_uid(element: u16, uid: &str, out: &mut BytesMut) {
    put_padded(element, uid.as_bytes(), 0, out);
}

fn put_text(element: u16, text: &str, out: &mut BytesMut) {
    let plain = |character: char| match character {
        ' '..='~' if character != '\\' => character as u8,
        _ => b'?',
    };
    let text: Vec<u8> = text.chars().take(COMMENT_CHARACTERS).map(plain).collect();
    put_padded(element, &text, b' ', out);
}

fn put_padded(element: u16, value: &[u8], pad: u8, out: &mut BytesMut) {
    put_head(element, value.len().next_multiple_of(2), out);
    out.put_slice(value);
    if value.len() % 2 == 1 {
        out.put_u8(pad);
    }
}

/// Element numbers in group 0000 (PS3.7 E.1).
mod tag {
    pub(super) const GROUP_LENGTH: u16 = 0x0000;
    pub(super) const AFFECTED_SOP_CLASS: u16 = 0x0002;
    pub(super) const COMMAND_FIELD: u16 = 0x0100;
    pub(super) const MESSAGE_ID: u16 = 0x0110;
    pub(super) const MESSAGE_ID_RESPONDED: u16 = 0x0120;
    pub(super) const PRIORITY: u16 = 0x0700;
    pub(super) const DATA_SET_TYPE: u16 = 0x0800;
    pub(super) const STATUS: u16 = 0x0900;
    pub(super) const ERROR_COMMENT: u16 = 0x0902;
    pub(super) const AFFECTED_SOP_INSTANCE: u16 = 0x1000;
    pub(super) const MOVE_AE_TITLE: u16 = 0x1030;
    pub(super) const MOVE_MESSAGE_ID: u16 = 0x1031;
}

/// Command fields (PS3.7 E.1-1).
pub const C_STORE_RQ: u16 = 0x0001;
/// C-ECHO-RQ
pub const C_ECHO_RQ: u16 = 0x0030;
const C_CANCEL_RQ: u16 = 0x0FFF;
pub(crate) const RESPONSE: u16 = 0x8000;

/// Command Data Set Type (0000,0800): the one value that means "none".
const NO_DATA_SET: u16 = 0x0101;
const DATA_SET_FOLLOWS: u16 = 0x0001;

/// Error Comment is LO (PS3.7 C).
const COMMENT_CHARACTERS: usize = 64;
/// The standard defines fewer.
const COMMAND_ELEMENTS: usize = 64;

#[cfg(test)]
mod tests;

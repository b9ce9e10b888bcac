//! A-ASSOCIATE-RQ and -AC (PS3.8 9.3.2 and 9.3.3, PS3.7 D.3): read from a bounded buffer, item by
//! item.

use super::PduError;
use crate::uids::unpadded;

/// A-ASSOCIATE-RQ: who wants to send what, in which forms.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssociateRequest {
    /// Bit 0 stands for version 1, the only one there is.
    pub protocol_version: u16,
    /// Title of the application called, without padding.
    pub called_ae_title: String,
    /// Title of the application that calls, without padding. A claim, not a proof.
    pub calling_ae_title: String,
    /// [`crate::uids::APPLICATION_CONTEXT`].
    pub application_context: String,
    /// What is proposed, at most 128.
    pub contexts: Vec<ProposedContext>,
    /// Longest P-DATA-TF PDU that the peer takes, in bytes; 0 means any.
    pub max_pdu_bytes: u32,
    /// Implementation Class UID of the peer.
    pub implementation_class_uid: String,
    /// Implementation Version Name of the peer.
    pub implementation_version_name: String,
    /// Whether the peer sent a user identity (PS3.7 D.3.3.7). The secret in it is not kept.
    pub user_identity: bool,
}

/// One presentation context as proposed (PS3.8 9.3.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedContext {
    /// Odd, 1 to 255.
    pub id: u8,
    /// A SOP class.
    pub abstract_syntax: String,
    /// At least one, in the order of the peer.
    pub transfer_syntaxes: Vec<String>,
}

/// A-ASSOCIATE-AC: what of the request was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssociateAccept {
    /// Repeats the request's.
    pub called_ae_title: String,
    /// Repeats the request's.
    pub calling_ae_title: String,
    /// One answer for each context proposed.
    pub contexts: Vec<ContextAnswer>,
    /// Longest P-DATA-TF PDU that the acceptor takes, in bytes; 0 means any.
    pub max_pdu_bytes: u32,
    /// Implementation Class UID of the acceptor.
    pub implementation_class_uid: String,
    /// Implementation Version Name of the acceptor.
    pub implementation_version_name: String,
}

/// The answer to one proposed context (PS3.8 9.3.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextAnswer {
    /// Identifier of the proposal.
    pub id: u8,
    /// Accepted or why not.
    pub outcome: ContextOutcome,
    /// The transfer syntax chosen; without meaning unless accepted.
    pub transfer_syntax: String,
}

/// Result/reason of a presentation context (PS3.8 table 9-18).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextOutcome {
    /// 0
    Accepted,
    /// 1
    UserRejection,
    /// 2, and everything that the table does not know.
    NoReason,
    /// 3
    AbstractSyntaxNotSupported,
    /// 4
    TransferSyntaxesNotSupported,
}

impl ContextOutcome {
    /// The byte on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::UserRejection => 1,
            Self::NoReason => 2,
            Self::AbstractSyntaxNotSupported => 3,
            Self::TransferSyntaxesNotSupported => 4,
        }
    }

    fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Accepted,
            1 => Self::UserRejection,
            3 => Self::AbstractSyntaxNotSupported,
            4 => Self::TransferSyntaxesNotSupported,
            _ => Self::NoReason,
        }
    }
}

impl AssociateRequest {
    /// Reads the body of the PDU, after its six-byte head.
    ///
    /// # Errors
    /// [`PduError::Malformed`] when items do not add up or a rule on contexts is broken.
    pub fn parse(body: &[u8]) -> Result<Self, PduError> {
        let fixed = Fixed::parse(body)?;
        let mut request = Self {
            protocol_version: fixed.protocol_version,
            called_ae_title: fixed.called_ae_title,
            calling_ae_title: fixed.calling_ae_title,
            ..Self::default()
        };
        for item in Items(fixed.items) {
            let (kind, value) = item?;
            match kind {
                item::APPLICATION_CONTEXT => request.application_context = text(value),
                item::PROPOSED_CONTEXT => request.propose(value)?,
                item::USER_INFORMATION => {
                    let information = UserInformation::parse(value)?;
                    request.max_pdu_bytes = information.max_pdu_bytes;
                    request.implementation_class_uid = information.implementation_class_uid;
                    request.implementation_version_name = information.implementation_version_name;
                    request.user_identity = information.user_identity;
                }
                // Unknown items are for a later standard (PS3.8 9.3.1).
                _ => {}
            }
        }
        Ok(request)
    }

    fn propose(&mut self, value: &[u8]) -> Result<(), PduError> {
        let context = ProposedContext::parse(value)?;
        if self.contexts.len() == CONTEXTS {
            return Err(PduError::Malformed("more than 128 presentation contexts"));
        }
        if self.contexts.iter().any(|other| other.id == context.id) {
            return Err(PduError::Malformed("presentation context ID used twice"));
        }
        self.contexts.push(context);
        Ok(())
    }
}

impl ProposedContext {
    fn parse(value: &[u8]) -> Result<Self, PduError> {
        let (id, _, items) = context_parts(value)?;
        let mut abstract_syntax = None;
        let mut transfer_syntaxes = Vec::new();
        for item in Items(items) {
            match item? {
                (item::ABSTRACT_SYNTAX, value) => abstract_syntax = Some(text(value)),
                (item::TRANSFER_SYNTAX, value) => transfer_syntaxes.push(text(value)),
                _ => {}
            }
        }
        let Some(abstract_syntax) = abstract_syntax else {
            return Err(PduError::Malformed("presentation context without abstract syntax"));
        };
        Ok(Self { id, abstract_syntax, transfer_syntaxes })
    }
}

impl AssociateAccept {
    /// Reads the body of the PDU, after its six-byte head.
    ///
    /// # Errors
    /// [`PduError::Malformed`] when items do not add up.
    pub fn parse(body: &[u8]) -> Result<Self, PduError> {
        let fixed = Fixed::parse(body)?;
        let mut accept = Self {
            called_ae_title: fixed.called_ae_title,
            calling_ae_title: fixed.calling_ae_title,
            ..Self::default()
        };
        for item in Items(fixed.items) {
            let (kind, value) = item?;
            match kind {
                item::CONTEXT_ANSWER => {
                    if accept.contexts.len() == CONTEXTS {
                        return Err(PduError::Malformed("more than 128 presentation contexts"));
                    }
                    accept.contexts.push(ContextAnswer::parse(value)?);
                }
                item::USER_INFORMATION => {
                    let information = UserInformation::parse(value)?;
                    accept.max_pdu_bytes = information.max_pdu_bytes;
                    accept.implementation_class_uid = information.implementation_class_uid;
                    accept.implementation_version_name = information.implementation_version_name;
                }
                _ => {}
            }
        }
        Ok(accept)
    }
}

impl ContextAnswer {
    fn parse(value: &[u8]) -> Result<Self, PduError> {
        let (id, result, items) = context_parts(value)?;
        let mut transfer_syntax = String::new();
        for item in Items(items) {
            if let (item::TRANSFER_SYNTAX, value) = item? {
                transfer_syntax = text(value);
            }
        }
        Ok(Self { id, outcome: ContextOutcome::from_code(result), transfer_syntax })
    }
}

/// What -RQ and -AC have in common before their items.
struct Fixed<'a> {
    protocol_version: u16,
    called_ae_title: String,
    calling_ae_title: String,
    items: &'a [u8],
}

impl<'a> Fixed<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, PduError> {
        let (fixed, items) = body
            .split_at_checked(FIXED_BYTES)
            .ok_or(PduError::Malformed("shorter than its fixed part"))?;
        Ok(Self {
            protocol_version: u16::from_be_bytes([fixed[0], fixed[1]]),
            called_ae_title: text(&fixed[4..20]),
            calling_ae_title: text(&fixed[20..36]),
            items,
        })
    }
}

/// User information (PS3.7 D.3.3). Sub-items that we do not negotiate (asynchronous operations
/// window, role selection, extended negotiation) are passed over, which means that their defaults
/// hold.
#[derive(Default)]
struct UserInformation {
    max_pdu_bytes: u32,
    implementation_class_uid: String,
    implementation_version_name: String,
    user_identity: bool,
}

impl UserInformation {
    fn parse(value: &[u8]) -> Result<Self, PduError> {
        let mut information = Self::default();
        for item in Items(value) {
            let (kind, value) = item?;
            match kind {
                item::MAXIMUM_LENGTH => {
                    let bytes = value
                        .try_into()
                        .map_err(|_| PduError::Malformed("maximum length is not four bytes"))?;
                    information.max_pdu_bytes = u32::from_be_bytes(bytes);
                }
                item::IMPLEMENTATION_CLASS_UID => {
                    information.implementation_class_uid = text(value);
                }
                item::IMPLEMENTATION_VERSION_NAME => {
                    information.implementation_version_name = text(value);
                }
                item::USER_IDENTITY => information.user_identity = true,
                _ => {}
            }
        }
        Ok(information)
    }
}

/// Splits a presentation context item into its ID, its result byte and its sub-items.
fn context_parts(value: &[u8]) -> Result<(u8, u8, &[u8]), PduError> {
    let [id, _, result, _, items @ ..] = value else {
        return Err(PduError::Malformed("presentation context is too short"));
    };
    if id % 2 == 0 {
        return Err(PduError::ContextId(*id));
    }
    Ok((*id, *result, items))
}

/// Walks items and sub-items: type, reserved byte, two-byte length, value (PS3.8 9.3.1).
struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Result<(u8, &'a [u8]), PduError>;

    fn next(&mut self) -> Option<Self::Item> {
        let [kind, _, high, low, rest @ ..] = self.0 else {
            let trailing = !std::mem::take(&mut self.0).is_empty();
            return trailing.then_some(Err(PduError::Malformed("bytes after the last item")));
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((value, rest)) = rest.split_at_checked(length) else {
            self.0 = &[];
            return Some(Err(PduError::Malformed("item reaches beyond its end")));
        };
        self.0 = rest;
        Some(Ok((*kind, value)))
    }
}

/// Text of a PDU: basic G0 characters, padding removed, anything else shown as a question mark (it
/// will be logged).
fn text(value: &[u8]) -> String {
    let value = unpadded(value);
    let start = value.iter().position(|byte| *byte != b' ').unwrap_or(value.len());
    value[start..]
        .iter()
        .map(|byte| if matches!(byte, 0x20..=0x7E) { char::from(*byte) } else { '?' })
        .collect()
}

/// Item and sub-item types (PS3.8 9.3, PS3.7 D.3.3).
pub(super) mod item {
    pub(crate) const APPLICATION_CONTEXT: u8 = 0x10;
    pub(crate) const PROPOSED_CONTEXT: u8 = 0x20;
    pub(crate) const CONTEXT_ANSWER: u8 = 0x21;
    pub(crate) const ABSTRACT_SYNTAX: u8 = 0x30;
    pub(crate) const TRANSFER_SYNTAX: u8 = 0x40;
    pub(crate) const USER_INFORMATION: u8 = 0x50;
    pub(crate) const MAXIMUM_LENGTH: u8 = 0x51;
    pub(crate) const IMPLEMENTATION_CLASS_UID: u8 = 0x52;
    pub(crate) const IMPLEMENTATION_VERSION_NAME: u8 = 0x55;
    pub(crate) const USER_IDENTITY: u8 = 0x58;
}

/// Version, two reserved bytes, two titles, 32 reserved bytes.
const FIXED_BYTES: usize = 68;
/// As many odd numbers as fit a byte.
const CONTEXTS: usize = 128;

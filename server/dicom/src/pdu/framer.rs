//! Finds PDUs in a byte stream and hands their content out without waiting for their end.

use bytes::{Buf, BytesMut};

use super::{
    Abort, AssociateAccept, AssociateRequest, Fragment, Frame, Part, PduError, Rejection, kind,
};

/// How long a PDU may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramerLimits {
    /// Bytes of a P-DATA-TF PDU after its six-byte head.
    pub data_pdu_bytes: u32,
    /// Bytes of an A-ASSOCIATE-RQ or -AC after its head. These are collected in memory.
    pub associate_pdu_bytes: u32,
}

impl Default for FramerLimits {
    fn default() -> Self {
        Self { data_pdu_bytes: 256 * 1024, associate_pdu_bytes: 128 * 1024 }
    }
}

/// Cuts a byte stream into [`Frame`]s. Holds no bytes itself: they stay in the caller's buffer
/// until they count.
#[derive(Debug)]
pub struct Framer {
    limits: FramerLimits,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the head of a PDU.
    Head,
    /// Inside a PDU that is taken as a whole.
    Whole { kind: u8, bytes: usize },
    /// Inside a P-DATA-TF, before the head of a presentation data value.
    Values { pdu_remaining: u32 },
    /// Inside a presentation data value.
    Value { pdu_remaining: u32, value_remaining: u32, context_id: u8, part: Part, last: bool },
}

impl Framer {
    /// A framer at the start of a stream.
    #[must_use]
    pub fn new(limits: FramerLimits) -> Self {
        Self { limits, state: State::Head }
    }

    /// Whether the bytes taken so far end exactly at the end of a PDU.
    #[must_use]
    pub fn is_between_pdus(&self) -> bool {
        self.state == State::Head
    }

    /// Takes the next frame out of `buffer`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// The stream is no upper layer protocol, or breaks a limit. The framer must not be used after
    /// that.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, PduError> {
        loop {
            match self.state {
                State::Head => {
                    if buffer.len() < HEAD_BYTES {
                        return Ok(None);
                    }
                    self.state = self.head(buffer.split_to(HEAD_BYTES))?;
                }
                State::Whole { kind, bytes } => {
                    if buffer.len() < bytes {
                        return Ok(None);
                    }
                    self.state = State::Head;
                    return whole(kind, &buffer.split_to(bytes)).map(Some);
                }
                State::Values { pdu_remaining } => {
                    if pdu_remaining < VALUE_HEAD_BYTES as u32 {
                        return Err(PduError::Fragment);
                    }
                    if buffer.len() < VALUE_HEAD_BYTES {
                        return Ok(None);
                    }
                    self.state = value_head(buffer, pdu_remaining)?;
                }
                State::Value { .. } => return Ok(self.value(buffer)),
            }
        }
    }

    fn head(&self, mut head: BytesMut) -> Result<State, PduError> {
        let kind = head.get_u8();
        head.advance(1);
        let bytes = head.get_u32();
        let limit = match kind {
            kind::ASSOCIATE_RQ | kind::ASSOCIATE_AC => self.limits.associate_pdu_bytes,
            kind::P_DATA => self.limits.data_pdu_bytes,
            kind::ASSOCIATE_RJ | kind::RELEASE_RQ | kind::RELEASE_RP | kind::ABORT => SHORT_BYTES,
            other => return Err(PduError::UnknownType(other)),
        };
        if bytes > limit {
            return Err(PduError::TooLong { bytes, limit });
        }
        match kind {
            kind::P_DATA if bytes < VALUE_HEAD_BYTES as u32 => Err(PduError::Fragment),
            kind::P_DATA => Ok(State::Values { pdu_remaining: bytes }),
            _ => Ok(State::Whole { kind, bytes: bytes as usize }),
        }
    }

    /// Hands out what is there of a presentation data value.
    fn value(&mut self, buffer: &mut BytesMut) -> Option<Frame> {
        let State::Value { pdu_remaining, value_remaining, context_id, part, last } = self.state
        else {
            return None;
        };
        if buffer.is_empty() && value_remaining > 0 {
            return None;
        }
        let taken = buffer.len().min(value_remaining as usize);
        let value_remaining = value_remaining - taken as u32;
        let pdu_remaining = pdu_remaining - taken as u32;
        self.state = match (value_remaining, pdu_remaining) {
            (0, 0) => State::Head,
            (0, _) => State::Values { pdu_remaining },
            _ => State::Value { pdu_remaining, value_remaining, context_id, part, last },
        };
        let data = buffer.split_to(taken).freeze();
        Some(Frame::Fragment(Fragment {
            context_id,
            part,
            last: last && value_remaining == 0,
            data,
        }))
    }
}

/// Reads the head of a presentation data value: length, context ID, message control header (PS3.8
/// E.2).
fn value_head(buffer: &mut BytesMut, pdu_remaining: u32) -> Result<State, PduError> {
    let bytes = buffer.get_u32();
    let context_id = buffer.get_u8();
    let control = buffer.get_u8();
    let pdu_remaining = pdu_remaining.saturating_sub(VALUE_HEAD_BYTES as u32);
    let value_remaining = bytes.checked_sub(2).ok_or(PduError::Fragment)?;
    if value_remaining > pdu_remaining {
        return Err(PduError::Fragment);
    }
    if context_id.is_multiple_of(2) {
        return Err(PduError::ContextId(context_id));
    }
    let part = if control & 0x01 == 0 { Part::DataSet } else { Part::Command };
    let last = control & 0x02 != 0;
    Ok(State::Value { pdu_remaining, value_remaining, context_id, part, last })
}

fn whole(kind: u8, body: &[u8]) -> Result<Frame, PduError> {
    match kind {
        kind::ASSOCIATE_RQ => {
            AssociateRequest::parse(body).map(|request| Frame::AssociateRequest(Box::new(request)))
        }
        kind::ASSOCIATE_AC => {
            AssociateAccept::parse(body).map(|accept| Frame::AssociateAccept(Box::new(accept)))
        }
        kind::RELEASE_RQ => Ok(Frame::ReleaseRequest),
        kind::RELEASE_RP => Ok(Frame::ReleaseReply),
        kind::ASSOCIATE_RJ => match body {
            [_, result, source, reason] => Ok(Frame::AssociateReject(Rejection {
                result: *result,
                source: *source,
                reason: *reason,
            })),
            _ => Err(PduError::Malformed("A-ASSOCIATE-RJ is not four bytes long")),
        },
        kind::ABORT => match body {
            [_, _, source, reason] => Ok(Frame::Abort(Abort { source: *source, reason: *reason })),
            _ => Err(PduError::Malformed("A-ABORT is not four bytes long")),
        },
        other => Err(PduError::UnknownType(other)),
    }
}

/// Type, reserved byte, length.
const HEAD_BYTES: usize = 6;
/// Length, context ID, message control header.
const VALUE_HEAD_BYTES: usize = 6;
/// Reject, release and abort carry four bytes.
const SHORT_BYTES: u32 = 4;

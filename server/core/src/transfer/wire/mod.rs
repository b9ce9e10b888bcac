//! Control frames and stream headers as bytes (PROTOCOL 2 and 3).
//!
//! Reading is strict: what is accepted is written again as the same bytes (types from `80` on,
//! which are skipped, excepted), and whatever a length claims is checked before it is allocated.

mod code;
pub(super) mod field;

use self::field::{Reader, Writer};
use super::message::{Attachment, Item, ItemKind, Message, Partial, StreamHeader, Welcome};
use super::{CloseCode, Outcome, RefusalCode, Urgency, Violation, limits};
use crate::id;

impl Message {
    /// The whole frame: length, type, body. Texts of more than 65,535 bytes are cut.
    pub fn encode(&self) -> Vec<u8> {
        let mut frame = Writer::with_capacity(64);
        frame.u32(0).u8(self.kind());
        match self {
            Self::Hello { .. } | Self::Challenge { .. } | Self::Proof { .. } => {
                self.write_greeting(&mut frame);
            }
            Self::Welcome(welcome) => write_welcome(welcome, &mut frame),
            Self::Offer { .. } | Self::Need { .. } | Self::Stored { .. } => {
                self.write_announcement(&mut frame);
            }
            Self::Refused { .. }
            | Self::Committed { .. }
            | Self::Priority { .. }
            | Self::Withdraw { .. } => self.write_decision(&mut frame),
            Self::Item(item) => write_item(item, &mut frame),
            _ => self.write_line(&mut frame),
        }
        let mut frame = frame.into_bytes();
        let length = u32::try_from(frame.len() - LENGTH).unwrap_or(u32::MAX);
        frame[..LENGTH].copy_from_slice(&length.to_be_bytes());
        frame
    }

    /// Reads what follows the length of a frame: type and body.
    pub fn decode(frame_body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(frame_body);
        let kind = reader.u8()?;
        let message = match kind {
            0x01..=0x04 => read_greeting(kind, &mut reader),
            0x10..=0x16 => read_study(kind, &mut reader),
            0x20 => read_item(&mut reader).map(Self::Item),
            0x21..=0x3f => read_line(kind, &mut reader),
            0x80.. => return Ok(Self::Unknown(kind)),
            _ => Err(UNKNOWN),
        }?;
        reader.end()?;
        Ok(message)
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Hello { .. } => 0x01,
            Self::Challenge { .. } => 0x02,
            Self::Proof { .. } => 0x03,
            Self::Welcome(_) => 0x04,
            Self::Offer { .. } => 0x10,
            Self::Need { .. } => 0x11,
            Self::Stored { .. } => 0x12,
            Self::Refused { .. } => 0x13,
            Self::Committed { .. } => 0x14,
            Self::Priority { .. } => 0x15,
            Self::Withdraw { .. } => 0x16,
            Self::Item(_) => 0x20,
            Self::Fetch { .. } => 0x21,
            Self::Received { .. } => 0x22,
            Self::Renew { .. } => 0x30,
            Self::Certificate { .. } => 0x31,
            Self::Measure { .. } => 0x38,
            Self::Measured { .. } => 0x39,
            Self::Goaway { .. } => 0x3f,
            Self::Unknown(kind) => *kind,
        }
    }

    fn write_greeting(&self, frame: &mut Writer) {
        match self {
            Self::Hello { versions, software, clock } => {
                frame.count(versions.len());
                for version in versions {
                    frame.u16(*version);
                }
                frame.text(software).time(*clock);
            }
            Self::Challenge { nonce } => {
                frame.raw(nonce);
            }
            Self::Proof { certificate, signature } => {
                frame.bytes(certificate).bytes(signature);
            }
            _ => {}
        }
    }

    fn write_announcement(&self, frame: &mut Writer) {
        match self {
            Self::Offer { study, manifest, signature } => {
                frame.u32(*study).bytes(manifest).bytes(signature);
            }
            Self::Need { study, states, partial } => {
                frame.u32(*study).count(states.len());
                for state in states {
                    frame.u8(state.map_or(0, Outcome::code));
                }
                frame.count(partial.len());
                for partial in partial {
                    frame.u32(partial.index).raw(&partial.pack).u64(partial.offset);
                }
            }
            Self::Stored { study, entries } => {
                frame.u32(*study);
                write_outcomes(entries, frame);
            }
            _ => {}
        }
    }

    fn write_decision(&self, frame: &mut Writer) {
        match self {
            Self::Refused { study, index, code, retry_ms, detail } => {
                frame.u32(*study).u32(index.unwrap_or(WHOLE)).u8(code.code()).u32(*retry_ms);
                frame.text(detail);
            }
            Self::Committed { study, receipt, signature } => {
                frame.u32(*study).bytes(receipt).bytes(signature);
            }
            Self::Priority { study, urgency } => {
                frame.u32(*study).u8(urgency.code());
            }
            Self::Withdraw { study } => {
                frame.u32(*study);
            }
            _ => {}
        }
    }

    fn write_line(&self, frame: &mut Writer) {
        match self {
            Self::Fetch { item, offset } => {
                frame.text(item).u64(*offset);
            }
            Self::Received { item } => {
                frame.text(item);
            }
            Self::Renew { request } => {
                frame.bytes(request);
            }
            Self::Certificate { chain } => {
                frame.count(chain.len());
                for certificate in chain {
                    frame.bytes(certificate);
                }
            }
            Self::Measure { bytes } => {
                frame.u32(*bytes);
            }
            Self::Measured { bytes, micros } => {
                frame.u64(*bytes).u64(*micros);
            }
            Self::Goaway { code, retry_ms, detail } => {
                frame.u8(code.code()).u32(*retry_ms).text(detail);
            }
            _ => {}
        }
    }
}

/// Cuts the control channel into messages as its bytes come.
///
/// A length that no frame may have is noticed with its fourth byte, and nothing is kept after it.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    start: usize,
    broken: Option<Violation>,
}

impl Frames {
    /// At the beginning of a control channel.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what came. Call [`Frames::next`] until it has nothing more before feeding again:
    /// then no more is kept than one frame and what was fed with its end.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.broken.is_some() {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
        if let Err(violation) = self.length() {
            self.buffer = Vec::new();
            self.broken = Some(violation);
        }
    }

    /// The next message, `None` when more bytes are needed. An error is for good.
    #[expect(clippy::should_implement_trait, reason = "an iterator would end where this waits")]
    pub fn next(&mut self) -> Result<Option<Message>, Violation> {
        if let Some(violation) = self.broken {
            return Err(violation);
        }
        let message = self.cut();
        if let Err(violation) = message {
            self.buffer = Vec::new();
            self.start = 0;
            self.broken = Some(violation);
        }
        message
    }

    /// Bytes that are kept until the rest of their frame comes.
    pub const fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn cut(&mut self) -> Result<Option<Message>, Violation> {
        let Some(length) = self.length()? else { return Ok(None) };
        let body = self.start + LENGTH;
        let Some(frame) = self.buffer.get(body..body + length) else { return Ok(None) };
        let message = Message::decode(frame)?;
        self.start = body + length;
        Ok(Some(message))
    }

    fn length(&self) -> Result<Option<usize>, Violation> {
        let Some(length) = self.buffer[self.start..].first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        match u32::from_be_bytes(*length) {
            length @ 1..=limits::FRAME_BYTES => Ok(usize::try_from(length).ok()),
            _ => Err(Violation("a frame is empty or longer than 4 MiB")),
        }
    }
}

impl StreamHeader {
    /// Bytes of the longest header.
    pub const LONGEST: usize = 1 + 4 + 4 + 8 + 8 + 32;

    /// The header as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut header = Writer::with_capacity(Self::LONGEST);
        match self {
            Self::Instance { study, index, offset, pack_bytes, pack } => {
                header.u8(0x01).u32(*study).u32(*index).u64(*offset).u64(*pack_bytes).raw(pack);
            }
            Self::Attachment { item, offset } => {
                header.u8(0x02).text(item).u64(*offset);
            }
            Self::Measure => {
                header.u8(0x03);
            }
        }
        header.into_bytes()
    }

    /// Reads the header that a stream begins with: what it says and how many bytes it takes;
    /// `None` when more bytes are needed, which never happens from [`StreamHeader::LONGEST`] on.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let mut reader = Reader::new(bytes);
        let Ok(kind) = reader.u8() else { return Ok(None) };
        let header = match kind {
            0x01 if bytes.len() < Self::LONGEST => return Ok(None),
            0x01 => {
                let (study, index) = (reader.u32()?, reader.u32()?);
                let (offset, pack_bytes) = (reader.u64()?, reader.u64()?);
                if offset > pack_bytes {
                    return Err(Violation("a stream begins behind the end of its pack"));
                }
                Self::Instance { study, index, offset, pack_bytes, pack: reader.hash()? }
            }
            0x02 => {
                let Ok(length) = reader.u16() else { return Ok(None) };
                if usize::from(length) != id::UUID_LENGTH {
                    return Err(NO_ID);
                }
                if bytes.len() < 1 + 2 + id::UUID_LENGTH + 8 {
                    return Ok(None);
                }
                let mut reader = Reader::new(&bytes[1..]);
                Self::Attachment { item: read_id(&mut reader)?, offset: reader.u64()? }
            }
            0x03 => Self::Measure,
            _ => return Err(Violation("a stream of an unknown kind")),
        };
        let taken = header.encode().len();
        Ok(Some((header, taken)))
    }
}

fn write_welcome(welcome: &Welcome, frame: &mut Writer) {
    frame.u16(welcome.version).text(&welcome.relay).text(&welcome.gateway);
    frame.text(&welcome.clinic).text(&welcome.clinic_name).time(welcome.clock);
    frame.raw(&welcome.receipt_key);
    frame.u16(welcome.streams).u64(welcome.instance_bytes).u32(welcome.entries);
}

fn write_item(item: &Item, frame: &mut Writer) {
    frame.text(&item.id).u8(item.kind.code()).time(item.at);
    frame.text(&item.study_uid).text(&item.case_number).text(&item.code).text(&item.text);
    match &item.attachment {
        None => frame.u8(0),
        Some(Attachment { media_type, bytes, sha256 }) => {
            frame.u8(1).text(media_type).u64(*bytes).raw(sha256)
        }
    };
}

pub(super) fn write_outcomes(outcomes: &[(u32, Outcome)], frame: &mut Writer) {
    frame.count(outcomes.len());
    for (index, outcome) in outcomes {
        frame.u32(*index).u8(outcome.code());
    }
}

pub(super) fn read_outcomes(reader: &mut Reader<'_>) -> Result<Vec<(u32, Outcome)>, Violation> {
    reader.list(5, ENTRIES, |item| {
        let index = item.u32()?;
        Ok((index, Outcome::from_code(item.u8()?).ok_or(NO_OUTCOME)?))
    })
}

fn read_greeting(kind: u8, reader: &mut Reader<'_>) -> Result<Message, Violation> {
    Ok(match kind {
        0x01 => Message::Hello {
            versions: reader.list(2, VERSIONS, Reader::u16)?,
            software: reader.string()?,
            clock: reader.time()?,
        },
        0x02 => Message::Challenge { nonce: reader.hash()? },
        0x03 => Message::Proof {
            certificate: reader.bytes()?.to_vec(),
            signature: reader.bytes()?.to_vec(),
        },
        _ => Message::Welcome(Welcome {
            version: reader.u16()?,
            relay: reader.string()?,
            gateway: reader.string()?,
            clinic: reader.string()?,
            clinic_name: reader.string()?,
            clock: reader.time()?,
            receipt_key: reader.hash()?,
            streams: reader.u16()?,
            instance_bytes: reader.u64()?,
            entries: reader.u32()?,
        }),
    })
}

fn read_study(kind: u8, reader: &mut Reader<'_>) -> Result<Message, Violation> {
    let study = reader.u32()?;
    Ok(match kind {
        0x10 => Message::Offer {
            study,
            manifest: reader.bytes()?.to_vec(),
            signature: reader.bytes()?.to_vec(),
        },
        0x11 => Message::Need {
            study,
            states: reader.list(1, ENTRIES, |state| match state.u8()? {
                0 => Ok(None),
                code => Outcome::from_code(code).map(Some).ok_or(NO_OUTCOME),
            })?,
            partial: reader.list(44, ENTRIES, |item| {
                Ok(Partial { index: item.u32()?, pack: item.hash()?, offset: item.u64()? })
            })?,
        },
        0x12 => Message::Stored { study, entries: read_outcomes(reader)? },
        0x13 => Message::Refused {
            study,
            index: Some(reader.u32()?).filter(|index| *index != WHOLE),
            code: RefusalCode::from_code(reader.u8()?).ok_or(Violation("no refusal code"))?,
            retry_ms: reader.u32()?,
            detail: reader.string()?,
        },
        0x14 => Message::Committed {
            study,
            receipt: reader.bytes()?.to_vec(),
            signature: reader.bytes()?.to_vec(),
        },
        0x15 => Message::Priority {
            study,
            urgency: Urgency::from_code(reader.u8()?).ok_or(Violation("no priority"))?,
        },
        _ => Message::Withdraw { study },
    })
}

fn read_item(reader: &mut Reader<'_>) -> Result<Item, Violation> {
    Ok(Item {
        id: read_id(reader)?,
        kind: ItemKind::from_code(reader.u8()?).ok_or(Violation("no kind of item"))?,
        at: reader.time()?,
        study_uid: reader.string()?,
        case_number: reader.string()?,
        code: reader.string()?,
        text: reader.string()?,
        attachment: reader.option(|reader| {
            Ok(Attachment {
                media_type: reader.string()?,
                bytes: reader.u64()?,
                sha256: reader.hash()?,
            })
        })?,
    })
}

fn read_line(kind: u8, reader: &mut Reader<'_>) -> Result<Message, Violation> {
    Ok(match kind {
        0x21 => Message::Fetch { item: read_id(reader)?, offset: reader.u64()? },
        0x22 => Message::Received { item: read_id(reader)? },
        0x30 => Message::Renew { request: reader.bytes()?.to_vec() },
        0x31 => Message::Certificate {
            chain: reader.list(4, CERTIFICATES, |item| item.bytes().map(<[u8]>::to_vec))?,
        },
        0x38 => Message::Measure { bytes: reader.u32()? },
        0x39 => Message::Measured { bytes: reader.u64()?, micros: reader.u64()? },
        0x3f => Message::Goaway {
            code: CloseCode::from_code(reader.u8()?).ok_or(Violation("no close code"))?,
            retry_ms: reader.u32()?,
            detail: reader.string()?,
        },
        _ => return Err(UNKNOWN),
    })
}

/// An identifier of ours. Items are named by them in files too, so nothing else may come in.
fn read_id(reader: &mut Reader<'_>) -> Result<String, Violation> {
    let text = reader.text()?;
    if id::is_uuid(text) { Ok(text.to_owned()) } else { Err(NO_ID) }
}

/// Bytes of a frame's length.
const LENGTH: usize = 4;
/// The index that means the whole offer.
const WHOLE: u32 = u32::MAX;
/// Items of a list by entry at most.
const ENTRIES: usize = limits::ENTRIES as usize;
/// Versions in a HELLO at most.
const VERSIONS: usize = 64;
/// Certificates in a chain at most.
const CERTIFICATES: usize = 16;

const UNKNOWN: Violation = Violation("an unknown type");
const NO_ID: Violation = Violation("an identifier is not a UUID");
const NO_OUTCOME: Violation = Violation("no outcome");

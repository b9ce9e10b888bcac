//! Writers for PDUs. Each appends to a buffer, so that a whole answer leaves in one write.

use bytes::{BufMut, BytesMut};

use super::associate::item;
use super::{Abort, AssociateAccept, AssociateRequest, Part, Rejection, kind};
use crate::uids::APPLICATION_CONTEXT;

/// Appends an A-ASSOCIATE-RQ.
pub fn associate_request(request: &AssociateRequest, out: &mut BytesMut) {
    with_length_u32(kind::ASSOCIATE_RQ, out, |out| {
        fixed(&request.called_ae_title, &request.calling_ae_title, out);
        with_length_u16(item::APPLICATION_CONTEXT, out, |out| {
            out.put_slice(APPLICATION_CONTEXT.as_bytes());
        });
        for context in &request.contexts {
            with_length_u16(item::PROPOSED_CONTEXT, out, |out| {
                out.put_slice(&[context.id, 0, 0, 0]);
                put_text(item::ABSTRACT_SYNTAX, &context.abstract_syntax, out);
                for transfer_syntax in &context.transfer_syntaxes {
                    put_text(item::TRANSFER_SYNTAX, transfer_syntax, out);
                }
            });
        }
        user_information(
            request.max_pdu_bytes,
            &request.implementation_class_uid,
            &request.implementation_version_name,
            out,
        );
    });
}

/// Appends an A-ASSOCIATE-AC.
pub fn associate_accept(accept: &AssociateAccept, out: &mut BytesMut) {
    with_length_u32(kind::ASSOCIATE_AC, out, |out| {
        fixed(&accept.called_ae_title, &accept.calling_ae_title, out);
        with_length_u16(item::APPLICATION_CONTEXT, out, |out| {
            out.put_slice(APPLICATION_CONTEXT.as_bytes());
        });
        for context in &accept.contexts {
            with_length_u16(item::CONTEXT_ANSWER, out, |out| {
                out.put_slice(&[context.id, 0, context.outcome.code(), 0]);
                put_text(item::TRANSFER_SYNTAX, &context.transfer_syntax, out);
            });
        }
        user_information(
            accept.max_pdu_bytes,
            &accept.implementation_class_uid,
            &accept.implementation_version_name,
            out,
        );
    });
}

/// Appends an A-ASSOCIATE-RJ.
pub fn associate_reject(rejection: Rejection, out: &mut BytesMut) {
    short(kind::ASSOCIATE_RJ, [0, rejection.result, rejection.source, rejection.reason], out);
}

/// Appends an A-RELEASE-RQ.
pub fn release_request(out: &mut BytesMut) {
    short(kind::RELEASE_RQ, [0; 4], out);
}

/// Appends an A-RELEASE-RP.
pub fn release_reply(out: &mut BytesMut) {
    short(kind::RELEASE_RP, [0; 4], out);
}

/// Appends an A-ABORT.
pub fn abort(abort: Abort, out: &mut BytesMut) {
    short(kind::ABORT, [0, 0, abort.source, abort.reason], out);
}

/// Appends a whole command or data set that is in memory, in as few PDUs of at most `max_pdu_bytes`
/// as possible.
pub fn message(context_id: u8, part: Part, body: &[u8], max_pdu_bytes: u32, out: &mut BytesMut) {
    let room = (max_pdu_bytes as usize).saturating_sub(FRAGMENT_HEAD_BYTES - 6).max(1);
    let mut pieces = body.chunks(room).peekable();
    if pieces.peek().is_none() {
        out.put_slice(&fragment_head(context_id, part, true, 0));
    }
    while let Some(piece) = pieces.next() {
        out.put_slice(&fragment_head(context_id, part, pieces.peek().is_none(), piece.len()));
        out.put_slice(piece);
    }
}

/// The head of a P-DATA-TF PDU with a single presentation data value of `bytes` bytes.
pub(crate) fn fragment_head(
    context_id: u8,
    part: Part,
    last: bool,
    bytes: usize,
) -> [u8; FRAGMENT_HEAD_BYTES] {
    let control = u8::from(part == Part::Command) | (u8::from(last) << 1);
    // PDUs are far shorter than four gigabytes: their length is bounded by ours and the peer's
    // maximum.
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX - 6);
    let [a, b, c, d] = (bytes + 6).to_be_bytes();
    let [e, f, g, h] = (bytes + 2).to_be_bytes();
    [kind::P_DATA, 0, a, b, c, d, e, f, g, h, context_id, control]
}

/// Head of the PDU and head of its only presentation data value.
pub(crate) const FRAGMENT_HEAD_BYTES: usize = 12;

fn short(kind: u8, body: [u8; 4], out: &mut BytesMut) {
    out.put_slice(&[kind, 0, 0, 0, 0, 4]);
    out.put_slice(&body);
}

fn fixed(called: &str, calling: &str, out: &mut BytesMut) {
    out.put_slice(&[0, 1, 0, 0]);
    for title in [called, calling] {
        let mut field = [b' '; 16];
        let bytes = title.len().min(field.len());
        field[..bytes].copy_from_slice(&title.as_bytes()[..bytes]);
        out.put_slice(&field);
    }
    out.put_bytes(0, 32);
}

fn user_information(max_pdu_bytes: u32, class_uid: &str, version_name: &str, out: &mut BytesMut) {
    with_length_u16(item::USER_INFORMATION, out, |out| {
        with_length_u16(item::MAXIMUM_LENGTH, out, |out| out.put_u32(max_pdu_bytes));
        put_text(item::IMPLEMENTATION_CLASS_UID, class_uid, out);
        put_text(item::IMPLEMENTATION_VERSION_NAME, version_name, out);
    });
}

fn put_text(item: u8, text: &str, out: &mut BytesMut) {
    with_length_u16(item, out, |out| out.put_slice(text.as_bytes()));
}

fn with_length_u32(kind: u8, out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    out.put_slice(&[kind, 0, 0, 0, 0, 0]);
    let start = out.len();
    body(out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start - 4..start].copy_from_slice(&length.to_be_bytes());
}

fn with_length_u16(kind: u8, out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    out.put_slice(&[kind, 0, 0, 0]);
    let start = out.len();
    body(out);
    // Items hold UIDs and titles; a context with more transfer syntaxes than fit is refused by its
    // peer, not here.
    let length = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    out[start - 2..start].copy_from_slice(&length.to_be_bytes());
}

//! The framer and the writers: what is written comes back, in pieces of any size, and nothing else
//! gets through.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::*;

fn request(contexts: usize) -> AssociateRequest {
    let ids = (1..=255).step_by(2).take(contexts);
    AssociateRequest {
        protocol_version: 1,
        called_ae_title: "MEDRELAY".into(),
        calling_ae_title: "CT 1".into(),
        application_context: crate::uids::APPLICATION_CONTEXT.into(),
        contexts: ids
            .map(|id| ProposedContext {
                id,
                abstract_syntax: "1.2.840.10008.5.1.4.1.1.2".into(),
                transfer_syntaxes: vec!["1.2.840.10008.1.2.1".into(), "1.2.840.10008.1.2".into()],
            })
            .collect(),
        max_pdu_bytes: 16_384,
        implementation_class_uid: "1.2.3".into(),
        implementation_version_name: "PEER".into(),
        user_identity: false,
    }
}

/// Everything that a framer makes of `bytes` when they arrive in pieces, with the fragments of a
/// value joined.
fn frames(bytes: &[u8], piece: usize) -> Result<Vec<Frame>, PduError> {
    let mut framer = Framer::new(FramerLimits::default());
    let mut buffer = BytesMut::new();
    let mut frames: Vec<Frame> = Vec::new();
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        while let Some(frame) = framer.next(&mut buffer)? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

/// The bytes of each part of each message, whatever pieces they came in.
fn joined(frames: Vec<Frame>) -> Vec<(u8, Part, Vec<u8>)> {
    let mut parts = Vec::new();
    let mut open = Vec::new();
    for frame in frames {
        let Frame::Fragment(fragment) = frame else { continue };
        open.extend_from_slice(&fragment.data);
        if fragment.last {
            parts.push((fragment.context_id, fragment.part, std::mem::take(&mut open)));
        }
    }
    parts
}

#[test]
fn association_pdus_come_back_as_written() {
    for contexts in [0, 1, 128] {
        let request = request(contexts);
        let mut out = BytesMut::new();
        associate_request(&request, &mut out);
        for piece in [1, 7, 100_000] {
            let expected = vec![Frame::AssociateRequest(Box::new(request.clone()))];
            assert_eq!(frames(&out, piece), Ok(expected));
        }
    }
    let outcomes = [
        ContextOutcome::Accepted,
        ContextOutcome::UserRejection,
        ContextOutcome::NoReason,
        ContextOutcome::AbstractSyntaxNotSupported,
        ContextOutcome::TransferSyntaxesNotSupported,
    ];
    let answer = |(index, outcome)| ContextAnswer {
        id: 1 + 2 * index as u8,
        outcome,
        transfer_syntax: "1.2.840.10008.1.2".into(),
    };
    let accept = AssociateAccept {
        called_ae_title: "A".into(),
        calling_ae_title: "B".into(),
        contexts: outcomes.into_iter().enumerate().map(answer).collect(),
        max_pdu_bytes: 0,
        implementation_class_uid: "1.2".into(),
        implementation_version_name: "V".into(),
    };
    let mut out = BytesMut::new();
    associate_accept(&accept, &mut out);
    assert_eq!(frames(&out, 3), Ok(vec![Frame::AssociateAccept(Box::new(accept))]));
}

#[test]
fn short_pdus_come_back_as_written() {
    let mut out = BytesMut::new();
    release_request(&mut out);
    release_reply(&mut out);
    associate_reject(Rejection::CALLING_AE_TITLE, &mut out);
    abort(Abort::UNEXPECTED_PDU, &mut out);
    let expected = vec![
        Frame::ReleaseRequest,
        Frame::ReleaseReply,
        Frame::AssociateReject(Rejection::CALLING_AE_TITLE),
        Frame::Abort(Abort::UNEXPECTED_PDU),
    ];
    assert_eq!(frames(&out, 1), Ok(expected.clone()));
    assert_eq!(frames(&out, 1000), Ok(expected));
}

#[test]
fn titles_are_trimmed_and_made_fit_for_a_log() {
    let mut request = request(1);
    request.calling_ae_title = " A\nB\u{e9}".into();
    let mut out = BytesMut::new();
    associate_request(&request, &mut out);
    let Ok([Frame::AssociateRequest(read)]) = frames(&out, 1000)
        .as_deref()
        .map(|it| it.to_vec())
        .map(|frames| <[Frame; 1]>::try_from(frames).expect("one frame"))
    else {
        panic!("one request");
    };
    assert_eq!(read.calling_ae_title, "A?B??");
}

#[test]
fn several_values_in_one_pdu_are_told_apart() {
    let mut out = BytesMut::new();
    out.put_slice(&[4, 0, 0, 0, 0, 6 + 2 + 6 + 3]);
    out.put_slice(&[0, 0, 0, 4, 3, 0x03, 1, 2]);
    out.put_slice(&[0, 0, 0, 5, 3, 0x02, 4, 5, 6]);
    for piece in [1, 2, 5, 100] {
        let parts = joined(frames(&out, piece).expect("well-formed"));
        let expected = vec![(3, Part::Command, vec![1, 2]), (3, Part::DataSet, vec![4, 5, 6])];
        assert_eq!(parts, expected);
    }
}

#[test]
fn data_come_out_before_their_pdu_is_complete() {
    let mut framer = Framer::new(FramerLimits::default());
    let mut buffer = BytesMut::from(&[4, 0, 0, 1, 0, 6, 0, 1, 0, 2, 1, 0x02, 9, 9][..]);
    let frame = framer.next(&mut buffer).expect("well-formed");
    let expected = Fragment {
        context_id: 1,
        part: Part::DataSet,
        last: false,
        data: Bytes::from_static(&[9, 9]),
    };
    assert_eq!(frame, Some(Frame::Fragment(expected)));
    assert!(!framer.is_between_pdus() && buffer.is_empty());
}

#[test]
fn a_message_keeps_to_the_maximum_of_its_reader() {
    for (bytes, max) in [(0, 100), (1, 7), (94, 100), (95, 100), (1000, 100), (50, 0)] {
        let body: Vec<u8> = (0..bytes).map(|it| it as u8).collect();
        let mut out = BytesMut::new();
        message(5, Part::Command, &body, max, &mut out);
        let parts = joined(frames(&out, 1 << 20).expect("well-formed"));
        assert_eq!(parts, vec![(5, Part::Command, body)]);
        let mut rest = &out[..];
        while let [_, _, a, b, c, d, after @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            assert!(length <= max.max(7), "{length} > {max}");
            rest = &after[length as usize..];
        }
    }
}

#[test]
fn lengths_beyond_the_limit_are_refused_at_the_head() {
    let refuse = |head: [u8; 6]| frames(&head, 6).expect_err("must be refused");
    let too_long = |bytes, limit| PduError::TooLong { bytes, limit };
    assert_eq!(refuse([4, 0, 0xFF, 0xFF, 0xFF, 0xFF]), too_long(u32::MAX, 262_144));
    assert_eq!(refuse([1, 0, 0, 0x10, 0, 0]), too_long(1 << 20, 131_072));
    assert_eq!(refuse([7, 0, 0, 0, 0, 5]), too_long(5, 4));
    assert_eq!(refuse([0x16, 3, 1, 0, 0, 0]), PduError::UnknownType(0x16));
    assert_eq!(PduError::UnknownType(9).abort(), Abort::UNRECOGNIZED_PDU);
    assert_eq!(too_long(1, 0).abort(), Abort::INVALID_PARAMETER);
}

#[test]
fn values_that_do_not_fit_their_pdu_are_refused() {
    for body in [
        &[4, 0, 0, 0, 0, 0][..],
        &[4, 0, 0, 0, 0, 5, 0, 0, 0, 2, 1],
        &[4, 0, 0, 0, 0, 6, 0, 0, 0, 1, 1, 2],
        &[4, 0, 0, 0, 0, 6, 0, 0, 0, 3, 1, 2],
        &[4, 0, 0, 0, 0, 6, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2],
        &[4, 0, 0, 0, 0, 9, 0, 0, 0, 2, 1, 2, 0, 0, 0],
    ] {
        assert_eq!(frames(body, 100), Err(PduError::Fragment), "{body:?}");
    }
    let even = [4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 2, 2];
    assert_eq!(frames(&even, 100), Err(PduError::ContextId(2)));
}

#[test]
fn association_requests_that_do_not_add_up_are_refused() {
    let mut out = BytesMut::new();
    associate_request(&request(2), &mut out);
    let body = &out[6..];
    assert!(AssociateRequest::parse(body).is_ok());
    let mut refused = 0;
    for cut in 0..body.len() {
        refused += usize::from(AssociateRequest::parse(&body[..cut]).is_err());
    }
    assert!(refused >= body.len() - 6, "only cuts between items pass: {refused}");
    let mut twice = request(2);
    twice.contexts[1].id = 1;
    let mut out = BytesMut::new();
    associate_request(&twice, &mut out);
    assert!(matches!(frames(&out, 1000), Err(PduError::Malformed(_))));
    let mut even = request(1);
    even.contexts[0].id = 2;
    let mut out = BytesMut::new();
    associate_request(&even, &mut out);
    assert_eq!(frames(&out, 1000), Err(PduError::ContextId(2)));
}

#[test]
fn items_that_we_do_not_negotiate_are_passed_over() {
    let mut out = BytesMut::new();
    associate_request(&request(1), &mut out);
    let mut body = out[6..].to_vec();
    let sub_items = [
        &[0x53, 0, 0, 4, 0, 5, 0, 5][..], // asynchronous operations window
        &[0x54, 0, 0, 7, 0, 3, b'1', b'.', b'2', 1, 0], // role selection
        &[0x56, 0, 0, 6, 0, 3, b'1', b'.', b'2', 1], // extended negotiation
        &[0x58, 0, 0, 8, 1, 0, 0, 2, b'm', b'e', 0, 0], // user identity
    ]
    .concat();
    body.extend([0x50, 0, 0, sub_items.len() as u8]);
    body.extend(&sub_items);
    body.extend([0x77, 0, 0, 1, 9]);
    let read = AssociateRequest::parse(&body).expect("tolerated");
    assert!(read.user_identity);
}

proptest! {
    #[test]
    fn any_bytes_are_safe_in_any_pieces(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        kind in 0_u8..9,
        piece in 1_usize..50,
    ) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        let (whole, pieces) = (frames(&bytes, 1 << 20), frames(&bytes, piece));
        prop_assert_eq!(whole.is_ok(), pieces.is_ok());
        if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
            prop_assert_eq!(joined(whole), joined(pieces));
        }
        let _ = AssociateRequest::parse(&bytes);
        let _ = AssociateAccept::parse(&bytes);
    }

    #[test]
    fn messages_survive_any_cutting(
        body in proptest::collection::vec(any::<u8>(), 0..2_000),
        max in 7_u32..500,
        piece in 1_usize..50,
    ) {
        let mut out = BytesMut::new();
        message(9, Part::DataSet, &body, max, &mut out);
        prop_assert_eq!(
            joined(frames(&out, piece).expect("well-formed")),
            vec![(9, Part::DataSet, body)]
        );
    }
}

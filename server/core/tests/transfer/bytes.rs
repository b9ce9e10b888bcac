//! Messages and stream headers as bytes: strict, canonical, and safe to read from anybody.

use medrelay_core::transfer::message::{Message, StreamHeader};
use medrelay_core::transfer::wire::Frames;
use medrelay_core::transfer::{CloseCode, Outcome, RefusalCode, Urgency, Violation, limits};
use proptest::prelude::*;

use crate::sample;

fn body(message: &Message) -> Vec<u8> {
    let frame = message.encode();
    let (length, body) = frame.split_at(4);
    let announced = u32::from_be_bytes(length.try_into().expect("four bytes"));
    assert_eq!(announced as usize, body.len());
    body.to_vec()
}

/// Whatever is accepted is written again as the same bytes.
fn read_strictly(body: &[u8]) -> Option<Message> {
    let message = Message::decode(body).ok()?;
    if let Message::Unknown(kind) = message {
        assert!(kind >= 0x80);
    } else {
        assert_eq!(message.encode()[4..], *body, "read and written differently");
    }
    Some(message)
}

#[test]
fn every_message_comes_back_as_it_was_sent() {
    let messages = sample::messages();
    let kinds: Vec<u8> = messages.iter().map(|message| body(message)[0]).collect();
    let table = [
        0x01, 0x02, 0x03, 0x04, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x20, 0x21, 0x22, 0x30,
        0x31, 0x38, 0x39, 0x3f, 0x81,
    ];
    assert_eq!(kinds, table, "PROTOCOL 3 names the types");
    for message in messages {
        assert_eq!(Message::decode(&body(&message)), Ok(message));
    }
}

#[test]
fn the_bytes_are_those_of_the_page() {
    let refused = Message::Refused {
        study: 0x0102_0304,
        index: None,
        code: RefusalCode::OtherClinic,
        retry_ms: 258,
        detail: "né".to_owned(),
    };
    let expected = b"\0\0\0\x13\x13\x01\x02\x03\x04\xff\xff\xff\xff\x0a\0\0\x01\x02\0\x03n\xc3\xa9";
    assert_eq!(refused.encode(), expected);
    let need = Message::Need {
        study: 1,
        states: vec![None, Some(Outcome::Stored), Some(Outcome::OtherPatient)],
        partial: Vec::new(),
    };
    assert_eq!(need.encode(), b"\0\0\0\x10\x11\0\0\0\x01\0\0\0\x03\0\x01\x04\0\0\0\0");
}

#[test]
fn no_message_can_be_cut_short_or_go_on() {
    for message in sample::messages() {
        let body = body(&message);
        for end in 0..body.len() {
            let cut = Message::decode(&body[..end]);
            assert!(cut.is_err(), "{message:?} up to {end} is {cut:?}");
        }
        let longer = [body.as_slice(), &[0]].concat();
        let skipped = matches!(message, Message::Unknown(_));
        assert_eq!(Message::decode(&longer).is_ok(), skipped, "{message:?} with a byte more");
    }
}

#[test]
fn any_change_is_refused_or_means_what_it_says() {
    for message in sample::messages() {
        let body = body(&message);
        for at in 0..body.len() {
            let mut changed = body.clone();
            for value in 0..=255 {
                changed[at] = value;
                read_strictly(&changed);
            }
        }
    }
}

#[test]
fn a_count_is_believed_only_as_far_as_there_are_bytes() {
    let counts: [u32; 6] = [u32::MAX, 1 << 31, 4 << 20, 20_001, 20_000, 4_000];
    for message in sample::messages() {
        let body = body(&message);
        for at in 1..body.len().saturating_sub(3) {
            for count in counts {
                let mut changed = body.clone();
                changed[at..at + 4].copy_from_slice(&count.to_be_bytes());
                let Some(message) = read_strictly(&changed) else { continue };
                let room = match &message {
                    Message::Hello { versions, .. } => versions.capacity() * 2,
                    Message::Need { states, partial, .. } => {
                        states.capacity() + partial.capacity() * 44
                    }
                    Message::Stored { entries, .. } => entries.capacity() * 5,
                    Message::Certificate { chain } => chain.capacity() * 4,
                    _ => 0,
                };
                assert!(room <= changed.len(), "{room} for {}", changed.len());
            }
        }
    }
}

#[test]
fn small_enumerations_have_exactly_the_values_of_the_page() {
    let known = |meaning: fn(u8) -> bool| (0..=255).filter(|c| meaning(*c)).collect::<Vec<u8>>();
    assert_eq!(known(|c| Urgency::from_code(c).is_some_and(|u| u.code() == c)), [0, 1, 2]);
    assert_eq!(known(|c| Outcome::from_code(c).is_some_and(|o| o.code() == c)), [1, 2, 3, 4]);
    let codes: Vec<u8> = (1..=10).collect();
    assert_eq!(known(|c| RefusalCode::from_code(c).is_some_and(|r| r.code() == c)), codes);
    let codes: Vec<u8> = (0..=9).collect();
    assert_eq!(known(|c| CloseCode::from_code(c).is_some_and(|r| r.code() == c)), codes);
}

#[test]
fn a_text_that_is_too_long_is_cut_between_characters() {
    let detail = "é".repeat(40_000);
    let goaway = Message::Goaway { code: CloseCode::Done, retry_ms: 0, detail };
    let Ok(Message::Goaway { detail, .. }) = Message::decode(&body(&goaway)) else {
        panic!("a GOAWAY that cannot be read");
    };
    assert_eq!(detail, "é".repeat(32_767));
}

#[test]
fn items_are_named_by_nothing_but_identifiers() {
    for name in [
        "",
        "report.pdf",
        "../../../../etc/passwd-0000000000000",
        "A0000000-0000-7000-8000-000000000001",
    ] {
        let item = name.to_owned();
        assert!(Message::decode(&body(&Message::Received { item: item.clone() })).is_err());
        let fetch = Message::Fetch { item: item.clone(), offset: 0 };
        assert!(Message::decode(&body(&fetch)).is_err());
        let header = StreamHeader::Attachment { item, offset: 0 }.encode();
        assert!(StreamHeader::decode(&header).is_err(), "{name}");
    }
}

#[test]
fn stream_headers_come_back_and_say_when_they_need_more() {
    for header in sample::headers() {
        let bytes = header.encode();
        assert!(bytes.len() <= StreamHeader::LONGEST);
        for end in 0..bytes.len() {
            assert_eq!(StreamHeader::decode(&bytes[..end]), Ok(None), "{header:?} up to {end}");
        }
        let with_data = [bytes.as_slice(), &[0xAA; 100]].concat();
        assert_eq!(StreamHeader::decode(&with_data), Ok(Some((header, bytes.len()))));
        for at in 0..bytes.len() {
            let mut changed = with_data.clone();
            for value in 0..=255 {
                changed[at] = value;
                match StreamHeader::decode(&changed) {
                    Ok(Some((other, taken))) => assert_eq!(other.encode(), changed[..taken]),
                    Ok(None) => panic!("more than the longest header is asked for"),
                    Err(Violation(_)) => {}
                }
            }
        }
    }
}

#[test]
fn a_frame_that_is_too_long_is_noticed_with_its_length() {
    for length in [0, limits::FRAME_BYTES + 1, u32::MAX] {
        let mut frames = Frames::new();
        frames.feed(&length.to_be_bytes()[..3]);
        assert_eq!(frames.next(), Ok(None));
        frames.feed(&length.to_be_bytes()[3..]);
        assert_eq!(frames.buffered(), 0, "kept for a frame of {length}");
        assert!(frames.next().is_err());
        frames.feed(&[0; 1_000]);
        assert_eq!(frames.buffered(), 0, "kept after a violation");
        assert!(frames.next().is_err(), "a violation is for good");
    }
    let mut frames = Frames::new();
    frames.feed(&limits::FRAME_BYTES.to_be_bytes());
    frames.feed(&[0x30]);
    assert_eq!(frames.next(), Ok(None), "a frame of exactly 4 MiB is waited for");
}

proptest! {
    #[test]
    fn the_control_channel_may_come_in_any_pieces(
        picks in prop::collection::vec(0..19usize, 1..30),
        cuts in prop::collection::vec(1..200usize, 1..40),
    ) {
        let samples = sample::messages();
        let sent: Vec<_> = picks.iter().map(|pick| samples[*pick].clone()).collect();
        let bytes: Vec<u8> = sent.iter().flat_map(Message::encode).collect();
        let mut frames = Frames::new();
        let mut came = Vec::new();
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, later) = rest.split_at((*cut).min(rest.len()));
            frames.feed(piece);
            while let Some(message) = frames.next().expect("whole frames") {
                came.push(message);
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(came, sent);
        prop_assert_eq!(frames.buffered(), 0);
    }

    #[test]
    fn any_bytes_are_read_strictly_or_not_at_all(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_strictly(&bytes);
    }
}

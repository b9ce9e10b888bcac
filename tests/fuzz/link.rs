//! Entry point for what comes over the clinic link. It needs nothing but core, whose own tests
//! run it too.

use medrelay_core::id::Uid;
use medrelay_core::time::Timestamp;
use medrelay_core::transfer::gateway::{self, Offer, PackInfo};
use medrelay_core::transfer::join::JoinCode;
use medrelay_core::transfer::relay::{self, Greeting, Peer, Settings};
use medrelay_core::transfer::wire::Frames;
use medrelay_core::transfer::{
    Entry, Manifest, Message, Receipt, StreamHeader, Urgency, Violation, limits,
};

/// Bytes of a control channel, of a stream's beginning, of a document or of a join code: the first
/// byte chooses the size of the pieces.
pub fn link(data: &[u8]) {
    let [piece, data @ ..] = data else { return };
    let whole = read(data, data.len().max(1));
    let pieces = read(data, usize::from(*piece).max(1));
    assert_eq!(whole, pieces);
    for message in &whole.0 {
        let frame = message.encode();
        assert_eq!(Message::decode(&frame[4..]).as_ref(), Ok(message));
    }
    to_relay(&whole.0);
    to_gateway(&whole.0);
    if let Ok(Some((header, taken))) = StreamHeader::decode(data) {
        assert_eq!(header.encode(), data[..taken]);
    }
    if let Ok(manifest) = Manifest::decode(data) {
        assert!(manifest.entries.len() * 47 <= data.len());
        assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
    }
    if let Ok(receipt) = Receipt::decode(data) {
        assert_eq!(receipt.encode(), data);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(code) = JoinCode::parse(text)
    {
        assert_eq!(JoinCode::parse(&code.to_text()), Ok(code));
    }
}

fn read(data: &[u8], piece: usize) -> (Vec<Message>, Option<Violation>) {
    let mut frames = Frames::new();
    let mut messages = Vec::new();
    for piece in data.chunks(piece) {
        frames.feed(piece);
        loop {
            match frames.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(violation) => return (messages, Some(violation)),
            }
        }
        assert!(frames.buffered() <= data.len());
    }
    (messages, None)
}

fn to_relay(messages: &[Message]) {
    let settings = Settings {
        relay: String::new(),
        receipt_key: [0; 32],
        streams: limits::STREAMS,
        instance_bytes: 1 << 20,
        entries: limits::ENTRIES,
    };
    let peer = Peer { gateway: id(2), clinic: id(1), clinic_name: String::new() };
    let mut session = relay::Session::new(settings, Greeting::Certified(peer));
    for message in messages {
        let Ok(steps) = session.handle(message.clone(), Timestamp::default()) else { return };
        for step in steps {
            if let relay::Step::Register { study, manifest, .. } = step {
                let states = vec![None; manifest.entries.len()];
                session.known(study, states, Vec::new());
                assert_eq!(
                    session.progress(study),
                    u32::try_from(manifest.entries.len()).ok().map(|all| (0, all))
                );
            }
        }
    }
}

fn to_gateway(messages: &[Message]) {
    let mut session = gateway::Session::new("fuzz");
    session.start(Timestamp::default());
    let mut steps = session.offer(offer());
    for message in messages {
        let Ok(more) = session.handle(message.clone(), Timestamp::default()) else { return };
        steps.extend(more);
        while let Some(step) = steps.pop() {
            steps.extend(match step {
                gateway::Step::Prepare { key, index } => {
                    session.packed(key, index, PackInfo { bytes: 90, sha256: [7; 32] })
                }
                gateway::Step::Transmit { key, index, offset, pack, .. } => {
                    assert!(offset <= pack.bytes);
                    session.streamed(key, index)
                }
                _ => Vec::new(),
            });
        }
        if let Some(progress) = session.progress(1) {
            assert!(progress.there <= progress.entries);
            assert!(progress.bytes_there <= progress.bytes_original);
        }
    }
}

fn offer() -> Offer {
    let uid = |text: &str| Uid::parse(text).expect("a UID");
    let entry = |n: u64| Entry {
        sop_instance: uid(&format!("1.2.{n}")),
        sop_class: uid("1.2.840.10008.5.1.4.1.1.2"),
        transfer_syntax: uid("1.2.840.10008.1.2.1"),
        bytes: 100,
        sha256: [1; 32],
    };
    let manifest = Manifest {
        id: id(3),
        clinic: id(1),
        gateway: id(2),
        study: uid("1.2"),
        urgency: Urgency::Urgent,
        made: Timestamp::default(),
        entries: (0..3).map(entry).collect(),
    };
    let (raw, since) = (manifest.encode(), Timestamp::default());
    Offer { key: 1, manifest, raw, signature: Vec::new(), urgency: Urgency::Stat, since }
}

fn id(n: u64) -> String {
    format!("00000000-0000-7000-8000-{n:012x}")
}

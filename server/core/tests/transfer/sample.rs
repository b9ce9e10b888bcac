//! One of everything that the protocol has.

use medrelay_core::id::Uid;
use medrelay_core::time::{Entropy, SeededEntropy, Timestamp};
use medrelay_core::transfer::gateway::Offer;
use medrelay_core::transfer::manifest::sha256;
use medrelay_core::transfer::message::{Attachment, Item, ItemKind, Partial, Welcome};
use medrelay_core::transfer::{
    CloseCode, Entry, Hash, Manifest, Message, Outcome, Receipt, RefusalCode, StreamHeader, Urgency,
};

pub const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

pub fn uuid(n: u64) -> String {
    format!("00000000-0000-7000-8000-{n:012x}")
}

pub fn uid(text: &str) -> Uid {
    Uid::parse(text).expect("a UID")
}

pub fn hash(seed: u64) -> Hash {
    let mut hash = [0; 32];
    SeededEntropy::new(seed).fill(&mut hash);
    hash
}

/// A manifest of study `n` with entries of these lengths.
pub fn manifest(n: u64, urgency: Urgency, lengths: &[u64]) -> Manifest {
    let entry = |(index, bytes): (usize, &u64)| Entry {
        sop_instance: uid(&format!("1.2.826.0.1.{n}.{}", index * 7)),
        sop_class: uid(["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"][index % 2]),
        transfer_syntax: uid("1.2.840.10008.1.2.1"),
        bytes: *bytes,
        sha256: hash(n * 100_000 + index as u64),
    };
    Manifest {
        id: uuid(1_000 + n),
        clinic: uuid(1),
        gateway: uuid(2),
        study: uid(&format!("1.2.826.0.1.{n}")),
        urgency,
        made: NOW,
        entries: lengths.iter().enumerate().map(entry).collect(),
    }
}

pub fn offer(n: u64, urgency: Urgency, lengths: &[u64]) -> Offer {
    let manifest = manifest(n, urgency, lengths);
    let raw = manifest.encode();
    Offer { key: n, manifest, raw, signature: vec![7; 70], urgency, since: NOW }
}

pub fn receipt() -> Receipt {
    Receipt {
        relay: hex(&hash(9)),
        clinic: uuid(1),
        gateway: uuid(2),
        manifest: uuid(1_001),
        manifest_sha256: hash(8),
        study: uid("1.2.826.0.1.1"),
        instances: 3,
        bytes: 3_000,
        aside: vec![(1, Outcome::OtherContent), (2, Outcome::OtherPatient)],
        committed: NOW,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn item(n: u64, attachment: Option<&[u8]>) -> Item {
    Item {
        id: uuid(n),
        kind: ItemKind::Report,
        at: NOW,
        study_uid: "1.2.826.0.1.1".to_owned(),
        case_number: "2026-000017".to_owned(),
        code: "final".to_owned(),
        text: "报告已完成".to_owned(),
        attachment: attachment.map(|document| Attachment {
            media_type: "application/pdf".to_owned(),
            bytes: document.len() as u64,
            sha256: sha256(document),
        }),
    }
}

pub fn welcome() -> Welcome {
    Welcome {
        version: 1,
        relay: hex(&hash(9)),
        gateway: uuid(2),
        clinic: uuid(1),
        clinic_name: "Clinica Sant’Anna".to_owned(),
        clock: NOW,
        receipt_key: hash(3),
        streams: 16,
        instance_bytes: 1 << 30,
        entries: 20_000,
    }
}

/// One message of every type, in the order of their numbers. They speak of study 1, which has
/// three entries, and of item 5.
pub fn messages() -> Vec<Message> {
    let offer = offer(1, Urgency::Routine, &[1_000; 3]);
    let partial = vec![Partial { index: 2, pack: hash(4), offset: 17 }];
    vec![
        Message::Hello { versions: vec![1, 7], software: "gateway 1.0".to_owned(), clock: NOW },
        Message::Challenge { nonce: hash(1) },
        Message::Proof { certificate: vec![0x30, 0x82], signature: vec![0x30; 71] },
        Message::Welcome(welcome()),
        Message::Offer { study: 1, manifest: offer.raw, signature: offer.signature },
        Message::Need { study: 1, states: vec![None, Some(Outcome::OtherOwner), None], partial },
        Message::Stored {
            study: 1,
            entries: vec![(0, Outcome::Stored), (2, Outcome::OtherPatient)],
        },
        Message::Refused {
            study: 1,
            index: Some(0),
            code: RefusalCode::Busy,
            retry_ms: 1_500,
            detail: "later".to_owned(),
        },
        Message::Committed { study: 1, receipt: receipt().encode(), signature: vec![5; 64] },
        Message::Priority { study: 1, urgency: Urgency::Stat },
        Message::Withdraw { study: 1 },
        Message::Item(item(5, Some(b"%PDF-1.7"))),
        Message::Fetch { item: uuid(5), offset: 3 },
        Message::Received { item: uuid(5) },
        Message::Renew { request: vec![0x30; 90] },
        Message::Certificate { chain: vec![vec![0x30; 20], vec![], vec![0x31]] },
        Message::Measure { bytes: 65_536 },
        Message::Measured { bytes: 65_536, micros: 250_000 },
        Message::Goaway { code: CloseCode::Moved, retry_ms: 0, detail: String::new() },
        Message::Unknown(0x81),
    ]
}

pub fn headers() -> Vec<StreamHeader> {
    vec![
        StreamHeader::Instance { study: 1, index: 2, offset: 17, pack_bytes: 999, pack: hash(4) },
        StreamHeader::Attachment { item: uuid(5), offset: 3 },
        StreamHeader::Measure,
    ]
}

//! Prints what travels on the clinic link as hexadecimal JSON: what other implementations of the protocol are tested against
//! (`server/web/src/upload/fixtures/link.json`).
//!
//! ```text
//! cargo run -p medrelay-core --example link_bytes > server/web/src/upload/fixtures/link.json
//! ```

use std::error::Error;

use medrelay_core::id::Uid;
use medrelay_core::time::Timestamp;
use medrelay_core::transfer::message::{Partial, Welcome};
use medrelay_core::transfer::{
    CloseCode, Entry, Manifest, Message, Outcome, Receipt, RefusalCode, StreamHeader, Urgency,
};

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = manifest()?;
    let raw = manifest.encode();
    let receipt = Receipt {
        relay: "relay".into(),
        clinic: manifest.clinic.clone(),
        gateway: manifest.gateway.clone(),
        manifest: manifest.id.clone(),
        manifest_sha256: medrelay_core::transfer::manifest::sha256(&raw),
        study: manifest.study.clone(),
        instances: 3,
        bytes: manifest.bytes(),
        aside: vec![(2, Outcome::OtherContent)],
        committed: Timestamp::from_micros(1_700_000_000_000_001),
    };
    let header = StreamHeader::Instance {
        study: 7,
        index: 16,
        offset: 65_536,
        pack_bytes: 5_000_000_000,
        pack: [9; 32],
    };
    let mut lines = vec![
        line("manifest", &raw),
        line("receipt", &receipt.encode()),
        line("header", &header.encode()),
    ];
    for (name, message) in messages(raw) {
        lines.push(line(name, &message.encode()));
    }
    println!("{{\n{}\n}}", lines.join(",\n"));
    Ok(())
}

fn manifest() -> Result<Manifest, Box<dyn Error>> {
    let uid = |text: &str| Uid::parse(text);
    let entry =
        |sop: &str, class: &str, syntax: &str, bytes: u64| -> Result<Entry, Box<dyn Error>> {
            Ok(Entry {
                sop_instance: uid(sop)?,
                sop_class: uid(class)?,
                transfer_syntax: uid(syntax)?,
                bytes,
                sha256: [u8::try_from(bytes % 251)?; 32],
            })
        };
    let ct = "1.2.840.10008.5.1.4.1.1.2";
    Ok(Manifest {
        id: "0b61a1a8-6f4f-4b8a-9b3a-0d6b2f6f9f11".into(),
        clinic: "clinic".into(),
        gateway: "person:7d9f".into(),
        study: uid("1.2.826.0.1.3680043.8.498.1")?,
        urgency: Urgency::Urgent,
        made: Timestamp::from_micros(1_700_000_000_000_000),
        entries: vec![
            entry("1.2.826.0.1.3680043.8.498.1.1.1", ct, "1.2.840.10008.1.2.1", 525_312)?,
            entry("1.2.826.0.1.3680043.8.498.1.1.2", ct, "1.2.840.10008.1.2.1", 525_314)?,
            entry(
                "1.2.826.0.1.3680043.8.498.9",
                "1.2.840.10008.5.1.4.1.1.7",
                "1.2.840.10008.1.2.4.80",
                6_000_000_000,
            )?,
        ],
    })
}

fn messages(raw: Vec<u8>) -> Vec<(&'static str, Message)> {
    let at = Timestamp::from_micros(1_700_000_000_123_456);
    let welcome = Welcome {
        version: 1,
        relay: "fingerprint".into(),
        gateway: "person:7d9f".into(),
        clinic: "clinic".into(),
        clinic_name: "青山镇卫生院".into(),
        clock: at,
        receipt_key: [3; 32],
        streams: 16,
        instance_bytes: 4 << 30,
        entries: 20_000,
    };
    let partial = vec![Partial { index: 2, pack: [8; 32], offset: 131_072 }];
    vec![
        ("hello", Message::Hello { versions: vec![1], software: "browser".into(), clock: at }),
        ("welcome", Message::Welcome(welcome)),
        ("offer", Message::Offer { study: 7, manifest: raw, signature: Vec::new() }),
        (
            "need",
            Message::Need { study: 7, states: vec![None, Some(Outcome::Stored), None], partial },
        ),
        (
            "stored",
            Message::Stored {
                study: 7,
                entries: vec![(0, Outcome::Stored), (2, Outcome::OtherPatient)],
            },
        ),
        (
            "refused",
            Message::Refused {
                study: 7,
                index: None,
                code: RefusalCode::Busy,
                retry_ms: 1_500,
                detail: "busy".into(),
            },
        ),
        (
            "committed",
            Message::Committed { study: 7, receipt: vec![1, 2, 3], signature: vec![4; 64] },
        ),
        ("priority", Message::Priority { study: 7, urgency: Urgency::Stat }),
        ("withdraw", Message::Withdraw { study: 7 }),
        (
            "goaway",
            Message::Goaway { code: CloseCode::Stopping, retry_ms: 1_000, detail: "stops".into() },
        ),
    ]
}

fn line(name: &str, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("  \"{name}\": \"{hex}\"")
}

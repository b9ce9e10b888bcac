//! What the relay does not take, and whom it turns out.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use medrelay_core::transfer::gateway::Step;
use medrelay_core::transfer::manifest::sha256;
use medrelay_core::transfer::{CloseCode, Message, Outcome, RefusalCode};
use medrelay_link::CarrierError;
use medrelay_tests::clinic::Place;
use medrelay_tests::gateway::{Gateway, Line, Parcel, Way, new_id, packed};
use medrelay_tests::relay::Relay;
use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use super::{CONNECTIONS, Scene, slices};

/// The refusal of an entry.
fn refusal(line: &Line, of: Option<u32>) -> Option<RefusalCode> {
    line.seen.iter().find_map(|step| match step {
        Step::Refused { index, code, .. } if *index == of => Some(*code),
        _ => None,
    })
}

pub(super) async fn not_as_announced(relay: &mut Relay, way: Way) -> Result<()> {
    let Scene { gateway, .. } = Scene::set(relay).await?;
    let instances = slices(2, 6);
    let honest = gateway.parcel(&instances)?;
    let mut line = gateway.connect(way).await?;

    // The manifest lies about the bytes.
    let mut lying = honest.manifest.clone();
    lying.id = new_id();
    lying.entries[0].sha256 = [7; 32];
    let packs = vec![honest.pack(0), honest.pack(1)];
    let parcel = gateway.signed(lying, packs)?;
    line.offer(1, &parcel);
    line.until("a refusal", |line| refusal(line, Some(0)).is_some()).await?;
    assert_eq!(refusal(&line, Some(0)), Some(RefusalCode::OtherBytes));

    // What is no DICOM at all.
    let noise = vec![0xFFu8; 4096];
    let mut manifest = honest.manifest.clone();
    manifest.id = new_id();
    manifest.entries.truncate(1);
    manifest.entries[0].sha256 = sha256(&noise);
    manifest.entries[0].bytes = noise.len() as u64;
    let parcel = gateway.signed(manifest, vec![packed(&noise)?])?;
    let mut line = gateway.connect(way).await?;
    line.offer(1, &parcel);
    line.until("a refusal", |line| refusal(line, Some(0)).is_some()).await?;
    assert_eq!(refusal(&line, Some(0)), Some(RefusalCode::Unreadable));

    // An object of another study than the manifest says.
    let mut manifest = honest.manifest.clone();
    manifest.id = new_id();
    manifest.study = slices(1, 60).remove(0).study;
    let parcel = gateway.signed(manifest, vec![honest.pack(0), honest.pack(1)])?;
    line.offer(2, &parcel);
    line.until("a refusal", |line| {
        line.seen.iter().any(|step| matches!(step, Step::Refused { key: 2, index: Some(0), .. }))
    })
    .await?;
    let stored = relay.count("SELECT COUNT(*) FROM instances").await?;
    assert_eq!(stored, 1, "only the honest entry of the first manifest");

    // A pack that was damaged on the way is asked for again, and then taken.
    damaged_pack(&gateway, way, &honest).await
}

async fn damaged_pack(gateway: &Gateway, way: Way, honest: &Parcel) -> Result<()> {
    let mut manifest = honest.manifest.clone();
    manifest.id = new_id();
    let parcel = gateway.signed(manifest, vec![honest.pack(0), honest.pack(1)])?;
    let line = gateway.connect(way).await?;
    let offer = Message::Offer {
        study: 1,
        manifest: parcel.raw.clone(),
        signature: parcel.signature.clone(),
    };
    line.say(&offer).await?;
    ensure!(matches!(line.hear().await?, Message::Need { study: 1, .. }));
    let (info, pack) = parcel.pack(0);
    let mut damaged = pack.to_vec();
    damaged[40] ^= 1;
    line.put((1, 0), (info.bytes, info.sha256), &damaged).await?;
    match line.hear().await? {
        Message::Refused { index: Some(0), code, .. } => assert_eq!(code, RefusalCode::Damaged),
        other => anyhow::bail!("{other:?}"),
    }
    line.put((1, 0), (info.bytes, info.sha256), &pack).await?;
    match line.hear().await? {
        Message::Stored { entries, .. } => assert_eq!(entries, [(0, Outcome::Stored)]),
        other => anyhow::bail!("{other:?}"),
    }
    Ok(())
}

pub(super) async fn not_ones_own(relay: &mut Relay, way: Way) -> Result<()> {
    let Scene { people, gateway } = Scene::set(relay).await?;
    let other = Gateway::join(relay, &people, Place::ClinicB).await?;
    let instances = slices(1, 7);
    let mine = gateway.parcel(&instances)?;
    let mut line = gateway.connect(way).await?;

    // Another clinic's, under its own gateway's signature.
    line.offer(1, &other.parcel(&instances)?);
    line.until("a refusal", |line| refusal(line, None).is_some()).await?;
    assert_eq!(refusal(&line, None), Some(RefusalCode::OtherClinic));

    let mut line = gateway.connect(way).await?;
    let mut forged = mine.clone();
    forged.signature = other.parcel(&instances)?.signature;
    line.offer(1, &forged);
    line.until("a refusal", |line| refusal(line, None).is_some()).await?;
    assert_eq!(refusal(&line, None), Some(RefusalCode::BadSignature));

    // More entries than may be, and another body under a known identifier.
    let line = gateway.connect(way).await?;
    let mut many = mine.manifest.clone();
    let entry = many.entries[0].clone();
    many.entries = (0..20_001)
        .map(|n| medrelay_core::transfer::Entry {
            sop_instance: medrelay_core::id::Uid::parse(&format!("2.25.{n}")).expect("a UID"),
            ..entry.clone()
        })
        .collect();
    let raw = many.encode();
    line.say(&Message::Offer { study: 1, manifest: raw, signature: vec![1] }).await?;
    match line.hear().await? {
        Message::Refused { index: None, code, .. } => assert_eq!(code, RefusalCode::BadManifest),
        heard => anyhow::bail!("{heard:?}"),
    }
    let mut line = gateway.connect(way).await?;
    line.commit(1, &mine).await?;
    let mut body = mine.manifest.clone();
    body.urgency = medrelay_core::transfer::Urgency::Stat;
    let twin = gateway.signed(body, vec![mine.pack(0)])?;
    let mut line = gateway.connect(way).await?;
    line.offer(2, &twin);
    line.until("a refusal", |line| refusal(line, None).is_some()).await?;
    assert_eq!(refusal(&line, None), Some(RefusalCode::BadManifest));
    assert_eq!(relay.count("SELECT COUNT(*) FROM manifests").await?, 1);
    Ok(())
}

/// The code that a connection was closed with.
fn code(end: &CarrierError) -> Option<u8> {
    match end {
        CarrierError::Closed { code, .. } => *code,
        _ => None,
    }
}

pub(super) async fn violations(relay: &mut Relay, way: Way) -> Result<()> {
    let Scene { gateway, .. } = Scene::set(relay).await?;
    let pack = packed(&slices(1, 8)[0].data_set)?;
    // A stream for a study that was never offered.
    let mut line = gateway.connect(way).await?;
    line.put((1, 0), (pack.0.bytes, pack.0.sha256), &pack.1).await?;
    assert_eq!(code(&line.end().await?), Some(CloseCode::Violation as u8));
    // An entry that its manifest does not have.
    let parcel = gateway.parcel(&slices(1, 8))?;
    let mut line = gateway.connect(way).await?;
    let offer = Message::Offer { study: 1, manifest: parcel.raw, signature: parcel.signature };
    line.say(&offer).await?;
    ensure!(matches!(line.hear().await?, Message::Need { .. }));
    line.put((1, 1), (pack.0.bytes, pack.0.sha256), &pack.1).await?;
    assert_eq!(code(&line.end().await?), Some(CloseCode::Violation as u8));
    // Receipt of an item that was never sent, and an offer before the greeting.
    let mut line = gateway.connect(way).await?;
    line.say(&Message::Received { item: new_id() }).await?;
    assert_eq!(code(&line.end().await?), Some(CloseCode::Violation as u8));
    let carrier = gateway.carrier(way).await?;
    carrier.send(&Message::Withdraw { study: 1 }).await?;
    assert_eq!(code(&carrier.closed().await), Some(CloseCode::Violation as u8));
    assert_eq!(relay.count("SELECT COUNT(*) FROM instances").await?, 0);
    Ok(())
}

pub(super) async fn wrong_proof(relay: &mut Relay, way: Way) -> Result<()> {
    let Scene { people, gateway } = Scene::set(relay).await?;
    let other = Gateway::join(relay, &people, Place::ClinicB).await?;
    let carrier = gateway.carrier(way).await?;
    let hello =
        Message::Hello { versions: vec![1], software: "harness".to_owned(), clock: relay.now() };
    carrier.send(&hello).await?;
    let Some(Message::Challenge { nonce }) = carrier.receive().await? else {
        anyhow::bail!("no challenge");
    };
    // The certificate of the one with the signature of the other.
    let (certificate, _) = gateway.proof()(nonce);
    let (_, signature) = other.proof()(nonce);
    carrier.send(&Message::Proof { certificate, signature }).await?;
    assert_eq!(code(&carrier.closed().await), Some(CloseCode::Proof as u8));
    Ok(())
}

pub(super) async fn revoked(relay: &mut Relay, way: Way) -> Result<()> {
    let Scene { people, gateway } = Scene::set(relay).await?;
    let mut line = gateway.connect(way).await?;
    let path = format!("/api/v1/gateways/{}/revoke", gateway.id);
    people.root.tell(Method::POST, &path, &json!({})).await?;
    let begun = Instant::now();
    assert_eq!(code(&line.end().await?), Some(CloseCode::Revoked as u8));
    ensure!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    ensure!(gateway.connect(way).await.is_err(), "a revoked gateway comes in again");
    Ok(())
}

pub(super) async fn stops(relay: &mut Relay, way: Way) -> Result<()> {
    let Scene { gateway, .. } = Scene::set(relay).await?;
    let mut line = gateway.connect(way).await?;
    let (said, stopped) = tokio::join!(
        line.until("GOAWAY", |line| {
            let stopping =
                |step: &Step| matches!(step, Step::Goaway { code: CloseCode::Stopping, .. });
            line.seen.iter().any(stopping)
        }),
        relay.restart()
    );
    said?;
    stopped
}

pub(super) async fn crowded(relay: &mut Relay, way: Way) -> Result<()> {
    let Scene { gateway, .. } = Scene::set(relay).await?;
    let mut lines = Vec::new();
    for _ in 0..CONNECTIONS {
        lines.push(gateway.connect(way).await?);
    }
    let refused = gateway.connect(way).await.err().context("one too many")?;
    ensure!(format!("{refused:?}").contains("too many connections"), "{refused}");
    // One leaves, another may come.
    lines.remove(0).cut();
    let begun = Instant::now();
    while gateway.connect(way).await.is_err() {
        ensure!(begun.elapsed() < Duration::from_secs(10), "the place is not free again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

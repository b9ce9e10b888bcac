//! The clinic link at the relay's end, spoken to by the machine of `core::transfer` over both
//! carriers: a study is complete the moment its last image is safe, nothing is sent twice, nothing
//! is believed, and what the centre says flows back.

mod refusals;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use medrelay::config::Config;
use medrelay_client::{StudyQuery, Text};
use medrelay_core::people::Role;
use medrelay_core::report::sha256_hex;
use medrelay_core::time::Span;
use medrelay_core::transfer::gateway::Step;
use medrelay_core::transfer::manifest::sha256;
use medrelay_core::transfer::message::ItemKind;
use medrelay_core::transfer::{Message, Outcome, Receipt, RefusalCode};
use medrelay_dicom::phantom::{PhantomInstance, PhantomSpec};
use medrelay_tests::clinic::{Consortium, Place};
use medrelay_tests::gateway::{Gateway, Line, Parcel, Way, must_vouch};
use medrelay_tests::relay::{Engine, Relay, tell_with};
use medrelay_tests::volume::{MIB, Volume};
use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use refusals::{crowded, not_as_announced, not_ones_own, revoked, stops, violations, wrong_proof};

/// Connections of one gateway.
const CONNECTIONS: u32 = 8;

/// HTTPS on, so that there is a link, on whatever port is free.
fn linked(config: &mut Config) {
    config.https.enabled = true;
    config.https.listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    config.https.listen.set_port(0);
    config.link.connections_per_gateway = CONNECTIONS;
}

/// A relay with a consortium and the gateway of clinic A.
struct Scene {
    people: Consortium,
    gateway: Gateway,
}

impl Scene {
    async fn set(relay: &Relay) -> Result<Self> {
        let people = Consortium::found(relay).await?;
        let gateway = Gateway::join(relay, &people, Place::ClinicA).await?;
        Ok(Self { people, gateway })
    }
}

/// A study of small slices.
fn slices(count: u32, seed: u64) -> Vec<PhantomInstance> {
    PhantomSpec::tiny(count, seed).iter().collect()
}

/// The same image with a private element of so many random bytes: it does not get smaller.
fn swollen(mut instance: PhantomInstance, bytes: usize) -> PhantomInstance {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes & !1);
    let length = u32::try_from(noise.len()).expect("a short value");
    // (7FE1,0010) in explicit VR little endian, behind the pixels.
    instance.data_set.extend_from_slice(&[0xE1, 0x7F, 0x10, 0x00]);
    instance.data_set.extend_from_slice(b"OB\0\0");
    instance.data_set.extend_from_slice(&length.to_le_bytes());
    instance.data_set.extend_from_slice(&noise);
    instance
}

macro_rules! stories {
    ($($name:ident: $engine:ident, $way:ident, $story:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() -> Result<()> {
            tell_with(Engine::$engine, linked, async |relay: &mut Relay| {
                $story(relay, Way::$way).await?;
                relay.work().await?;
                Ok(())
            })
            .await
        }
    )*};
}

stories! {
    a_study_is_complete_at_once_over_quic_on_sqlite: Sqlite, Quic, complete_at_once;
    a_study_is_complete_at_once_over_quic_on_postgres: Postgres, Quic, complete_at_once;
    a_study_is_complete_at_once_over_a_websocket_on_sqlite: Sqlite, WebSocket, complete_at_once;
    a_study_is_complete_at_once_over_a_websocket_on_postgres: Postgres, WebSocket, complete_at_once;
    other_bytes_under_a_known_uid_are_put_aside_at_both_ends: Sqlite, Quic, put_aside;
    a_small_pack_that_is_cut_goes_on_where_it_broke_over_quic: Sqlite, Quic, small_cut;
    a_large_pack_that_is_cut_goes_on_where_it_broke_over_quic: Sqlite, Quic, large_cut;
    a_large_pack_that_is_cut_goes_on_over_a_websocket: Sqlite, WebSocket, large_cut;
    a_dead_connection_is_taken_over: Sqlite, Quic, taken_over;
    what_is_not_as_announced_is_refused: Sqlite, Quic, not_as_announced;
    a_manifest_that_is_not_ones_own_is_refused: Sqlite, WebSocket, not_ones_own;
    who_breaks_the_protocol_is_closed: Sqlite, Quic, violations;
    a_proof_by_another_key_opens_nothing: Sqlite, WebSocket, wrong_proof;
    a_revoked_gateway_is_closed_over_quic: Sqlite, Quic, revoked;
    a_revoked_gateway_is_closed_over_a_websocket: Postgres, WebSocket, revoked;
    a_report_and_a_message_flow_back_once: Sqlite, Quic, flows_back;
    a_report_flows_back_over_a_websocket: Postgres, WebSocket, flows_back;
    an_open_manifest_keeps_a_study_open: Sqlite, Quic, stays_open;
    what_is_damaged_in_the_store_gets_no_receipt: Sqlite, Quic, damaged_store;
    a_relay_that_stops_says_so: Sqlite, Quic, stops;
    only_so_many_connections: Sqlite, Quic, crowded;
    readers_see_a_study_grow_and_strangers_do_not: Sqlite, Quic, watched;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_volume_is_told_and_passes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let volume = Volume::mount(folder.path().to_owned(), 64 * MIB)?;
    let url = format!("file://{}", volume.path().join("blobs").display());
    let settings = |config: &mut Config| {
        linked(config);
        config.blobs.url = Some(url);
        config.disk.reserve_mib = 16;
    };
    tell_with(Engine::Sqlite, settings, async |relay: &mut Relay| {
        full(relay, &volume).await?;
        relay.work().await?;
        Ok(())
    })
    .await
}

async fn full(relay: &mut Relay, volume: &Volume) -> Result<()> {
    let Scene { gateway, .. } = Scene::set(relay).await?;
    volume.fill("filler", 8 * MIB)?;
    let parcel = gateway.parcel(&slices(2, 13))?;
    let raw = gateway.connect(Way::Quic).await?;
    let (manifest, signature) = (parcel.raw.clone(), parcel.signature.clone());
    raw.say(&Message::Offer { study: 1, manifest, signature }).await?;
    ensure!(matches!(raw.hear().await?, Message::Need { .. }));
    let (info, pack) = parcel.pack(0);
    raw.put((1, 0), (info.bytes, info.sha256), &pack).await?;
    match raw.hear().await? {
        Message::Refused { index: Some(0), code: RefusalCode::OutOfSpace, retry_ms, .. } => {
            ensure!(retry_ms > 0, "it is to be tried again");
        }
        other => anyhow::bail!("{other:?}"),
    }
    assert_eq!(relay.count("SELECT COUNT(*) FROM instances").await?, 0);
    // The machine tries again by itself until there is room.
    let mut line = gateway.connect(Way::WebSocket).await?;
    let (committed, removed) = tokio::join!(line.commit(1, &parcel), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        volume.remove("filler")
    });
    removed?;
    must_vouch(&gateway, &parcel, &committed?)
}

async fn complete_at_once(relay: &mut Relay, way: Way) -> Result<()> {
    let Scene { people, gateway } = Scene::set(relay).await?;
    let mut instances = slices(20, 1);
    instances[3] = swollen(instances[3].clone(), 300_000);
    let parcel = gateway.parcel(&instances)?;
    let mut line = gateway.connect(way).await?;
    let receipt = line.commit(1, &parcel).await?;
    must_vouch(&gateway, &parcel, &receipt)?;

    let reader = people.person(Place::Lead, Role::Reporter).await?;
    let study = reader.studies(&StudyQuery::default()).await?.items.remove(0);
    assert_eq!(
        (study.stage.as_str(), study.ready_reason.as_deref()),
        ("complete", Some("manifest"))
    );
    assert_eq!((study.instances, study.expected), (20, Some(20)));
    relay.work().await?;
    assert_eq!(reader.queue().await?.len(), 1, "its case is in the queue without waiting");
    let detail = reader.study(&study.id).await?;
    for stored in detail.series.iter().flat_map(|series| &series.instances) {
        let sent = instances.iter().find(|one| one.sop_instance.as_str() == stored.uid);
        let bytes = reader.instance_data_set(&stored.id).await?;
        ensure!(bytes == sent.context("one that was sent")?.data_set, "{} changed", stored.uid);
        assert_eq!(stored.sha256, sha256_hex(&bytes));
    }
    let events = relay.events().await?;
    for wanted in ["manifest_received", "study_committed", "study_complete"] {
        assert_eq!(events.iter().filter(|kind| *kind == wanted).count(), 1, "{wanted}: {events:?}");
    }

    // Asked again, on another connection: nothing is sent, the receipt is the same.
    let mut again = gateway.connect(way).await?;
    assert_eq!(again.commit(1, &parcel).await?, receipt);
    assert_eq!(again.sent, 0, "nothing is sent twice");
    assert!(again.seen.contains(&Step::Known { key: 1, have: 20 }));

    // The same images by another manifest: a receipt of its own, and still nothing sent.
    let other = gateway.parcel(&instances)?;
    let receipt = again.commit(2, &other).await?;
    must_vouch(&gateway, &other, &receipt)?;
    assert_eq!(again.sent, 0);
    relay.advance(Span::from_minutes(5)).await?;
    assert_eq!(relay.count("SELECT COUNT(*) FROM cases").await?, 1);
    Ok(())
}

async fn put_aside(relay: &mut Relay, way: Way) -> Result<()> {
    let Scene { people, gateway } = Scene::set(relay).await?;
    let instances = slices(3, 3);
    people.scanner(Place::ClinicA).send_instances(&instances[..1]).await?;
    let mut changed = instances.clone();
    changed[0] = swollen(changed[0].clone(), 100);
    let parcel = gateway.parcel(&changed)?;
    let mut line = gateway.connect(way).await?;
    let receipt = line.commit(1, &parcel).await?;
    must_vouch(&gateway, &parcel, &receipt)?;
    let aside = Step::Stored { key: 1, index: 0, outcome: Outcome::OtherContent };
    assert!(line.seen.contains(&aside), "{:?}", line.seen);
    assert_eq!(Receipt::decode(&receipt.0)?.aside, [(0, Outcome::OtherContent)]);
    let technician = people.person(Place::ClinicA, Role::Technician).await?;
    let put = technician.quarantine().await?.items;
    assert_eq!(put.len(), 1);
    // Offered again it is known as put aside and not sent again.
    let other = gateway.parcel(&changed)?;
    let before = line.sent;
    line.commit(2, &other).await?;
    assert_eq!(line.sent, before);
    Ok(())
}

async fn small_cut(relay: &mut Relay, way: Way) -> Result<()> {
    cut(relay, way, 1 << 20).await
}

async fn large_cut(relay: &mut Relay, way: Way) -> Result<()> {
    cut(relay, way, 6 << 20).await
}

/// A stream of `bytes` breaks half way and goes on from there on the next connection.
async fn cut(relay: &mut Relay, way: Way, bytes: usize) -> Result<()> {
    let Scene { gateway, .. } = Scene::set(relay).await?;
    let instances = [swollen(slices(1, 4).remove(0), bytes)];
    let parcel = gateway.parcel(&instances)?;
    let mut first = gateway.connect(way).await?;
    first.stall_after = Some(bytes / 2);
    first.offer(1, &parcel);
    first.until("a stream", |line| !line.offsets().is_empty()).await?;
    // What was put on the line is at the relay a moment later; then the line dies.
    let arrived = || first.carrier.stats().sent_bytes >= (bytes / 2) as u64;
    let begun = Instant::now();
    while !arrived() && begun.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    first.cut();
    let mut second = gateway.connect(way).await?;
    let receipt = second.commit(1, &parcel).await?;
    must_vouch(&gateway, &parcel, &receipt)?;
    let offsets = second.offsets();
    ensure!(offsets.len() == 1 && offsets[0] > 0, "it began again from {offsets:?}");
    assert_eq!(second.sent + offsets[0], parcel.pack_bytes());
    ensure!(partials(relay)?.is_empty(), "nothing is left behind: {:?}", partials(relay)?);
    Ok(())
}

/// Names of unfinished packs.
fn partials(relay: &Relay) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for clinic in std::fs::read_dir(relay.folder().join("partial"))? {
        for pack in std::fs::read_dir(clinic?.path())? {
            names.push(pack?.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// The relay does not know yet that the first connection is dead when the second comes.
async fn taken_over(relay: &mut Relay, way: Way) -> Result<()> {
    let Scene { gateway, .. } = Scene::set(relay).await?;
    let instances = [swollen(slices(1, 5).remove(0), 1 << 20)];
    let parcel = gateway.parcel(&instances)?;
    let mut first = gateway.connect(way).await?;
    first.stall_after = Some(600_000);
    first.offer(1, &parcel);
    first.until("a stream", |line| !line.offsets().is_empty()).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut second = gateway.connect(way).await?;
    second.commit(1, &parcel).await?;
    let offsets = second.offsets();
    ensure!(offsets.len() == 1 && offsets[0] > 0, "it began again from {offsets:?}");
    Ok(())
}

async fn flows_back(relay: &mut Relay, way: Way) -> Result<()> {
    let people = Consortium::found(relay).await?;
    let gateway = Gateway::join(relay, &people, Place::ClinicB).await?;
    let parcel = gateway.parcel(&slices(2, 9))?;
    let mut line = gateway.connect(way).await?;
    line.commit(1, &parcel).await?;
    relay.work().await?;
    let verifier = people.person(Place::Lead, Role::Verifier).await?;
    let claim = verifier.next_case().await?;
    let path = format!("/api/v1/cases/{}/messages", claim.case.id);
    let said = json!({ "kind": "return_request", "code": "POSITIONING", "text": "请重拍侧位。" });
    verifier.tell(Method::POST, &path, &said).await?;
    verifier.sign(&claim, &Text::new("未见异常。", "未见异常。")).await?;
    line.until("the report", |line| line.items().iter().any(|i| i.kind == ItemKind::Report))
        .await?;
    line.until("the message", |line| line.items().len() == 2).await?;
    let items = line.items();
    let report = items.iter().find(|item| item.kind == ItemKind::Report).context("a report")?;
    let message = items.iter().find(|item| item.kind == ItemKind::ReturnRequest).context("one")?;
    assert_eq!((message.code.as_str(), message.text.as_str()), ("POSITIONING", "请重拍侧位。"));
    assert_eq!(report.study_uid, parcel.manifest.study.as_str());
    assert!(report.case_number.starts_with("IMG-2026-") && report.code == "final", "{report:?}");
    let attachment = report.attachment.clone().context("a PDF comes with it")?;

    line.fetch(report, 0);
    line.until("the PDF", |line| line.attachments.contains_key(&report.id)).await?;
    let whole = line.attachments.remove(&report.id).context("it came")?;
    assert_eq!(sha256(&whole), attachment.sha256);
    assert!(whole.starts_with(b"%PDF"));
    line.fetch(report, attachment.bytes - 10);
    line.until("its end", |line| line.attachments.contains_key(&report.id)).await?;
    assert!(whole.ends_with(&line.attachments[&report.id]));
    line.received(message);
    line.until("nothing more", |_| true).await?;

    // What was received is not sent again; what was not, is.
    let wait = Instant::now();
    while relay.count("SELECT COUNT(*) FROM item_receipts").await? < 1 {
        ensure!(wait.elapsed() < Duration::from_secs(10), "the receipt is not kept");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    line.cut();
    let mut line = gateway.connect(way).await?;
    line.until("the report again", |line| !line.items().is_empty()).await?;
    assert_eq!(line.items().len(), 1);
    assert_eq!(line.items()[0].id, report.id);
    Ok(())
}

async fn stays_open(relay: &mut Relay, way: Way) -> Result<()> {
    let Scene { people, gateway } = Scene::set(relay).await?;
    let technician = people.person(Place::ClinicA, Role::Technician).await?;
    let instances = slices(4, 10);
    // Four are announced, three are sent.
    let parcel = gateway.parcel(&instances)?;
    let mut line = gateway.connect(way).await?;
    offer_without_last(&mut line, &parcel).await?;
    relay.advance(Span::from_minutes(30)).await?;
    let study = technician.studies(&StudyQuery::default()).await?.items.remove(0);
    assert_eq!((study.stage.as_str(), study.instances, study.expected), ("arriving", 3, Some(4)));
    let done = technician.complete_study(&study.id).await?;
    assert_eq!(done.ready_reason.as_deref(), Some("person"));

    // A study that its gateway gives up settles by quiet time again.
    let parcel = gateway.parcel(&slices(3, 11))?;
    let mut line = gateway.connect(way).await?;
    offer_without_last(&mut line, &parcel).await?;
    line.say(&Message::Withdraw { study: 1 }).await?;
    let begun = Instant::now();
    let withdrawn = "SELECT COUNT(*) FROM manifests WHERE withdrawn_at IS NOT NULL";
    while relay.count(withdrawn).await? == 0 {
        ensure!(begun.elapsed() < Duration::from_secs(10), "it is not withdrawn");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    relay.advance(Span::from_minutes(2)).await?;
    let studies = technician.studies(&StudyQuery::default()).await?.items;
    let quiet = studies.iter().filter(|study| study.ready_reason.as_deref() == Some("quiet"));
    assert_eq!(quiet.count(), 1, "{studies:?}");
    Ok(())
}

/// Sends all entries but the last, past the machine.
async fn offer_without_last(line: &mut Line, parcel: &Parcel) -> Result<()> {
    let offer = Message::Offer {
        study: 1,
        manifest: parcel.raw.clone(),
        signature: parcel.signature.clone(),
    };
    line.say(&offer).await?;
    ensure!(matches!(line.hear().await?, Message::Need { .. }));
    let count = u32::try_from(parcel.manifest.entries.len())? - 1;
    for index in 0..count {
        let (info, pack) = parcel.pack(usize::try_from(index)?);
        line.put((1, index), (info.bytes, info.sha256), &pack).await?;
    }
    for _ in 0..count {
        let heard = line.hear().await?;
        ensure!(matches!(heard, Message::Stored { .. }), "{heard:?}");
    }
    Ok(())
}

async fn damaged_store(relay: &mut Relay, way: Way) -> Result<()> {
    let Scene { gateway, people } = Scene::set(relay).await?;
    // By the scanner, so that nothing was read back yet.
    let instances = slices(2, 12);
    people.scanner(Place::ClinicA).send_instances(&instances).await?;
    let id = relay.text("SELECT id FROM instances ORDER BY id LIMIT 1").await?;
    let name = id.replace('-', "");
    let path = relay.folder().join("blobs").join(&name[30..]).join(&name);
    let whole = std::fs::read(&path)?;
    let mut damaged = whole.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    std::fs::write(&path, &damaged)?;

    let parcel = gateway.parcel(&instances)?;
    let line = gateway.connect(way).await?;
    let offer = |study| Message::Offer {
        study,
        manifest: parcel.raw.clone(),
        signature: parcel.signature.clone(),
    };
    line.say(&offer(1)).await?;
    ensure!(matches!(line.hear().await?, Message::Need { .. }));
    match line.hear().await? {
        Message::Refused { index: None, code, .. } => assert_eq!(code, RefusalCode::Busy),
        other => anyhow::bail!("a receipt for damaged bytes? {other:?}"),
    }
    let committed = "SELECT COUNT(*) FROM manifests WHERE committed_at IS NOT NULL";
    assert_eq!(relay.count(committed).await?, 0);
    // An operator puts the bytes back.
    std::fs::write(&path, &whole)?;
    line.say(&offer(2)).await?;
    ensure!(matches!(line.hear().await?, Message::Need { .. }));
    ensure!(matches!(line.hear().await?, Message::Committed { study: 2, .. }));
    Ok(())
}

async fn watched(relay: &mut Relay, way: Way) -> Result<()> {
    let Scene { people, gateway } = Scene::set(relay).await?;
    let reader = people.person(Place::Lead, Role::Reporter).await?;
    let stranger = people.person(Place::Stranger, Role::Technician).await?;
    let mut reading = reader.open("/api/v1/events").await?;
    let mut strange = stranger.open("/api/v1/events").await?;
    let parcel = gateway.parcel(&slices(4, 14))?;
    let mut line = gateway.connect(way).await?;
    offer_without_last(&mut line, &parcel).await?;
    let progress = heard(&mut reading, "event: progress").await?;
    let study = reader.studies(&StudyQuery::default()).await?.items.remove(0);
    let told = format!(r#"{{"study":"{}","instances":3,"expected":4}}"#, study.id);
    ensure!(progress.contains(&told), "{progress}");
    // The stranger hears of its own study, and of nothing before it.
    people.scanner(Place::Stranger).send_instances(&slices(1, 15)).await?;
    let own = heard(&mut strange, "event: progress").await?;
    ensure!(own.contains(r#""instances":1,"expected":null"#), "{own}");
    ensure!(!own.contains(&study.id), "{own}");
    let technician = people.person(Place::ClinicA, Role::Technician).await?;
    technician.complete_study(&study.id).await?;
    Ok(())
}

/// What a stream of events says until a whole event with these words has come.
async fn heard(stream: &mut reqwest::Response, words: &str) -> Result<String> {
    let mut text = String::new();
    let listening = async {
        while let Some(chunk) = stream.chunk().await? {
            text.push_str(&String::from_utf8_lossy(&chunk));
            if text.find(words).is_some_and(|at| text[at..].contains("\n\n")) {
                return Ok(());
            }
        }
        anyhow::bail!("the stream ended")
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), listening).await;
    match waited {
        Ok(done) => done.map(|()| text),
        Err(_) => anyhow::bail!("{words} was not heard: {text}"),
    }
}

//! The link as a clinic uses it, against a relay made of the core's machine and the real carrier on
//! the loopback: studies, cuts, priorities, ceilings, receipts, items, both carriers, joining,
//! renewal, revocation, the self-test.

mod authority;
mod joining;
mod proxy;
mod relay;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use medrelay_client::link::shelf::Shelf as _;
use medrelay_client::link::{
    Ambient, Ceiling, Identity, Link, MemoryShelf, Phase, Problem, Schedule, Settings, selftest,
};
use medrelay_core::id::Uid;
use medrelay_core::transfer::manifest::sha256;
use medrelay_core::transfer::message::{Attachment, Item, ItemKind};
use medrelay_core::transfer::{CloseCode, Outcome, Receipt, Urgency};
use medrelay_dicom::phantom::{Modality, PhantomSpec};
use medrelay_link::Kind;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use proxy::Line;
use relay::{CLINIC, Faults, GATEWAY, Relay};

/// A joined gateway's data folder; `ports` are TCP and UDP, `days` the certificate's past and future.
fn joined(relay: &Relay, ports: (u16, u16), days: (i64, i64)) -> Result<TempDir> {
    let data = tempfile::tempdir()?;
    let folder = data.path().join("identity");
    std::fs::create_dir(&folder)?;
    let key = KeyPair::generate()?;
    let request = CertificateParams::default().serialize_request(&key)?;
    let certificate = relay.authority.issue(request.der(), days)?;
    let key_path = folder.join("key.pem");
    std::fs::write(&key_path, key.serialize_pem())?;
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&key_path, std::fs::Permissions::from_mode(0o600))?;
    std::fs::write(folder.join("certificate.pem"), pem(&certificate))?;
    std::fs::write(folder.join("authority.pem"), pem(&relay.authority.certificate))?;
    let facts = serde_json::json!({
        "host": "127.0.0.1",
        "tcp_port": ports.0,
        "udp_port": ports.1,
        "gateway": GATEWAY,
        "clinic": CLINIC,
        "clinic_name": "青山镇卫生院",
        "receipt_key": relay.receipt_key(),
        "ae_title": "MEDRELAY",
    });
    std::fs::write(folder.join("relay.json"), facts.to_string())?;
    Ok(data)
}

fn direct(relay: &Relay) -> Result<Identity> {
    let port = relay.address.port();
    Ok(Identity::load(joined(relay, (port, port), (1, 30))?.path())?)
}

fn pem(der: &[u8]) -> String {
    pem_text("CERTIFICATE", der)
}

fn pem_text(label: &str, der: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = format!("-----BEGIN {label}-----\n");
    let symbols = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let mut three = [0u8; 3];
            three[..group.len()].copy_from_slice(group);
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            for at in 0..4 {
                let symbol = symbols[(bits >> (18 - 6 * at) & 63) as usize] as char;
                text.push(if at <= group.len() { symbol } else { '=' });
            }
        }
        text.push('\n');
    }
    let _ = writeln!(text, "-----END {label}-----");
    text
}

/// A phantom's files.
fn files(folder: &Path, spec: &PhantomSpec) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for (number, instance) in spec.iter().enumerate() {
        let path = folder.join(format!("{}-{number:04}.dcm", spec.seed));
        std::fs::write(&path, instance.to_file(None))?;
        paths.push(path);
    }
    Ok(paths)
}

fn slices(instances: u32, size: u16, seed: u64) -> PhantomSpec {
    PhantomSpec { instances, rows: size, columns: size, ..PhantomSpec::new(Modality::Ct, seed) }
}

/// A shelf with a study on it.
fn shelf_with(spec: &PhantomSpec, urgency: Urgency) -> Result<(TempDir, Arc<MemoryShelf>, u64)> {
    let folder = tempfile::tempdir()?;
    let shelf = Arc::new(MemoryShelf::new());
    let paths = files(folder.path(), spec)?;
    let keys = shelf.add_files(&paths, urgency, Ambient::system().now())?;
    Ok((folder, shelf, *keys.first().context("a study")?))
}

fn unhurried(bytes_per_second: u64) -> Settings {
    let ceiling = Ceiling { from_minute: 0, bytes_per_second: Some(bytes_per_second) };
    let schedule = Schedule { ceilings: vec![ceiling], utc_offset_minutes: 480 };
    Settings { schedule, ..Settings::default() }
}

fn check_objects(relay: &Relay, spec: &PhantomSpec) -> Result<()> {
    let store = relay.store();
    for instance in spec.iter() {
        let there = store.objects.get(&instance.sop_instance).context("an object is missing")?;
        ensure!(*there == instance.data_set, "an object has changed");
    }
    Ok(())
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_study_is_committed_and_sending_it_again_costs_nothing() -> Result<()> {
    let relay = Relay::start(Faults::default()).await?;
    let spec = slices(40, 128, 1);
    let (_folder, shelf, key) = shelf_with(&spec, Urgency::Routine)?;
    let link = Link::start(direct(&relay)?, shelf.clone(), Settings::default(), Ambient::system());
    let fate = timeout(LONG, shelf.settled(key)).await?;
    let receipt = Receipt::decode(&fate.receipt.context("a receipt")?.raw)?;
    assert_eq!((receipt.instances, receipt.study), (40, spec.study_uid()));
    assert!(fate.stored.values().all(|outcome| *outcome == Outcome::Stored));
    assert_eq!(link.state().borrow().carrier, Some(Kind::Quic));
    link.stop().await;
    check_objects(&relay, &spec)?;
    // Every 16th image came before those between.
    let order = relay.store().order.clone();
    let place = |index| {
        let uid = spec.instance(0, index).sop_instance;
        order.iter().position(|there| *there == uid)
    };
    assert!(place(32) < place(39) && place(16) < place(15), "the extent was not there early");
    let taken = relay.store().taken;

    let (_folder, again, key) = shelf_with(&spec, Urgency::Routine)?;
    let link = Link::start(direct(&relay)?, again.clone(), Settings::default(), Ambient::system());
    let fate = timeout(LONG, again.settled(key)).await?;
    assert!(fate.receipt.is_some() && fate.known == 40);
    assert_eq!(relay.store().taken, taken, "what the relay has was sent again");
    link.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_cost_nothing_but_time() -> Result<()> {
    let relay = Relay::start(Faults { cut_every: Some(150_000), ..Faults::default() }).await?;
    let spec = slices(24, 256, 2);
    let (_folder, shelf, key) = shelf_with(&spec, Urgency::Routine)?;
    // Slow enough that cuts hit streams on their way.
    let link = Link::start(direct(&relay)?, shelf.clone(), unhurried(900_000), Ambient::system());
    let fate = timeout(LONG, shelf.settled(key)).await?;
    assert!(fate.receipt.is_some());
    check_objects(&relay, &spec)?;
    let (taken, cuts) = {
        let store = relay.store();
        (store.taken, store.cuts)
    };
    let packs: u64 = {
        let mut out = 0;
        for instance in spec.iter() {
            let mut scanner = medrelay_dicom::scan::Scanner::new(
                medrelay_dicom::scan::Encoding::ExplicitLittle,
                medrelay_dicom::scan::Limits::default(),
            );
            scanner.feed(&instance.data_set)?;
            let plan = medrelay_dicom::pack::plan(&scanner.finish()?);
            let bytes = instance.data_set.as_slice();
            out += medrelay_dicom::pack::pack(&plan, bytes, &mut std::io::sink(), 1)?.packed_bytes;
        }
        out
    };
    assert!(cuts >= 3, "only {cuts} cuts");
    assert_eq!(taken, packs, "after {cuts} cuts something was taken twice");
    let state = link.state().borrow().clone();
    assert!(state.connections > u64::from(cuts), "{state:?}");
    link.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stat_overtakes_and_the_ceiling_is_kept() -> Result<()> {
    let relay = Relay::start(Faults::default()).await?;
    let routine = slices(40, 192, 3);
    let (folder, shelf, slow) = shelf_with(&routine, Urgency::Routine)?;
    let rate = 400_000;
    let link = Link::start(direct(&relay)?, shelf.clone(), unhurried(rate), Ambient::system());
    timeout(LONG, relay.until(|store| (store.taken > 60_000).then_some(()))).await?;
    let began = (Instant::now(), relay.store().taken);
    let urgent = slices(2, 192, 4);
    let paths = files(folder.path(), &urgent)?;
    let fast = shelf.add_files(&paths, Urgency::Stat, Ambient::system().now())?[0];
    timeout(LONG, shelf.settled(fast)).await?;
    let stat_took = began.0.elapsed();
    assert!(shelf.fate(slow).is_some_and(|fate| fate.receipt.is_none()), "nothing was overtaken");
    assert!(stat_took < Duration::from_millis(2_000), "STAT took {stat_took:?}");
    timeout(LONG, shelf.settled(slow)).await?;
    let (took, moved) = (began.0.elapsed().as_secs_f64(), relay.store().taken - began.1);
    let measured = moved as f64 / took;
    assert!(measured < 1.15 * rate as f64, "{measured} bytes a second above the ceiling");
    assert_eq!(relay.store().committed.first(), Some(&urgent.study_uid()));
    link.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_that_the_relay_did_not_sign_commits_nothing() -> Result<()> {
    let relay = Relay::start(Faults { forged_receipts: true, ..Faults::default() }).await?;
    let (_folder, shelf, key) = shelf_with(&slices(2, 64, 5), Urgency::Routine)?;
    let link = Link::start(direct(&relay)?, shelf.clone(), Settings::default(), Ambient::system());
    let mut state = link.state();
    let doubted = state.wait_for(|state| {
        state.last_problem.as_ref().is_some_and(|(_, problem)| *problem == Problem::BadReceipt(key))
    });
    timeout(LONG, doubted).await??;
    assert_eq!(shelf.fate(key).context("the study")?.receipt, None);
    assert_eq!(shelf.waiting().await?.len(), 1, "the study must stay");
    link.stop().await;
    Ok(())
}

fn report(number: u32, bytes: &[u8]) -> Item {
    Item {
        id: format!("0190a8a0-0000-7000-8000-{number:012}"),
        kind: ItemKind::Report,
        at: Ambient::system().now(),
        study_uid: "1.2.3".to_owned(),
        case_number: "R20260105-0001".to_owned(),
        code: "final".to_owned(),
        text: String::new(),
        attachment: Some(Attachment {
            media_type: "application/pdf".to_owned(),
            bytes: bytes.len() as u64,
            sha256: sha256(bytes),
        }),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_are_kept_only_when_they_are_whole() -> Result<()> {
    let relay = Relay::start(Faults { damaged_attachments: 1, ..Faults::default() }).await?;
    let document: Vec<u8> = (0..300_000u32).map(|at| (at % 253) as u8).collect();
    relay.store().items.push((report(1, &document), document.clone()));
    let notice = Item { attachment: None, kind: ItemKind::Notice, ..report(2, &[]) };
    relay.store().items.push((notice.clone(), Vec::new()));
    let shelf = Arc::new(MemoryShelf::new());
    // A part of it came earlier.
    let begun = bytes::Bytes::copy_from_slice(&document[..1_000]);
    shelf.attach(&report(1, &document), 0, begun).await?;
    let link = Link::start(direct(&relay)?, shelf.clone(), Settings::default(), Ambient::system());
    let items = timeout(LONG, shelf.received(2)).await?;
    assert_eq!(items[0].1, document);
    assert_eq!(items[1].0.id, notice.id);
    timeout(LONG, relay.until(|store| (store.received.len() == 2).then_some(()))).await?;
    link.stop().await;

    // Damaged every time: never kept, never acknowledged.
    let relay = Relay::start(Faults { damaged_attachments: 99, ..Faults::default() }).await?;
    relay.store().items.push((report(3, &document), document));
    let shelf = Arc::new(MemoryShelf::new());
    let link = Link::start(direct(&relay)?, shelf.clone(), Settings::default(), Ambient::system());
    let mut state = link.state();
    let doubted = state.wait_for(|state| {
        state.last_problem.as_ref().is_some_and(|(_, problem)| *problem == Problem::BadAttachment)
    });
    timeout(LONG, doubted).await??;
    assert!(shelf.items().is_empty() && relay.store().received.is_empty());
    link.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_udp_the_websocket_serves_within_three_seconds() -> Result<()> {
    let relay = Relay::start(Faults { no_udp: true, ..Faults::default() }).await?;
    let spec = slices(20, 128, 6);
    let (_folder, shelf, key) = shelf_with(&spec, Urgency::Routine)?;
    let began = Instant::now();
    let link = Link::start(direct(&relay)?, shelf.clone(), Settings::default(), Ambient::system());
    let mut state = link.state();
    timeout(LONG, state.wait_for(|state| state.carrier == Some(Kind::WebSocket))).await??;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let fate = timeout(LONG, shelf.settled(key)).await?;
    assert!(fate.receipt.is_some());
    check_objects(&relay, &spec)?;
    link.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_bytes_flow_within_a_second() -> Result<()> {
    let relay = Relay::start(Faults::default()).await?;
    let line = Line::to(relay.address, Duration::from_millis(30)).await?;
    // TCP stays closed, so that only QUIC can come back.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let data = joined(&relay, (closed, line.address.port()), (1, 30))?;
    let spec = slices(60, 256, 7);
    let (_folder, shelf, key) = shelf_with(&spec, Urgency::Routine)?;
    let identity = Identity::load(data.path())?;
    let link = Link::start(identity, shelf.clone(), unhurried(500_000), Ambient::system());
    timeout(LONG, relay.until(|store| (store.taken > 100_000).then_some(()))).await?;
    for outage in [300, 2_500, 7_000] {
        line.set(false);
        tokio::time::sleep(Duration::from_millis(outage)).await;
        let taken = relay.store().taken;
        line.set(true);
        let began = Instant::now();
        let moved = relay.until(|store| (store.taken > taken).then_some(()));
        timeout(LONG, moved).await?;
        let took = began.elapsed();
        println!("outage of {outage} ms: bytes after {took:?}");
        // The promise is a second; the machine is shared with other tests.
        assert!(took < Duration::from_secs(6), "after {outage} ms: {took:?}");
        timeout(LONG, relay.until(|store| (store.taken > taken + 100_000).then_some(()))).await?;
    }
    let fate = timeout(LONG, shelf.settled(key)).await?;
    assert!(fate.receipt.is_some());
    check_objects(&relay, &spec)?;
    link.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_udp_is_blocked_on_the_way_the_websocket_takes_over_and_quic_comes_back() -> Result<()>
{
    let relay = Relay::start(Faults::default()).await?;
    let line = Line::to(relay.address, Duration::from_millis(10)).await?;
    let data = joined(&relay, (relay.address.port(), line.address.port()), (1, 30))?;
    let spec = slices(100, 256, 10);
    let (_folder, shelf, key) = shelf_with(&spec, Urgency::Routine)?;
    let identity = Identity::load(data.path())?;
    let link = Link::start(identity, shelf.clone(), unhurried(300_000), Ambient::system());
    timeout(LONG, relay.until(|store| (store.taken > 100_000).then_some(()))).await?;
    line.set(false);
    let blocked = Instant::now();
    let mut state = link.state();
    timeout(LONG, state.wait_for(|state| state.carrier == Some(Kind::WebSocket))).await??;
    println!("on the WebSocket after {:?}", blocked.elapsed());
    assert!(blocked.elapsed() < Duration::from_millis(3_300), "{:?}", blocked.elapsed());
    let taken = relay.store().taken;
    timeout(LONG, relay.until(|store| (store.taken > taken + 50_000).then_some(()))).await?;
    line.set(true);
    timeout(LONG, state.wait_for(|state| state.carrier == Some(Kind::Quic))).await??;
    let fate = timeout(LONG, shelf.settled(key)).await?;
    assert!(fate.receipt.is_some());
    check_objects(&relay, &spec)?;
    assert_eq!(relay.store().websockets, 1);
    link.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_gateway_stops_by_itself() -> Result<()> {
    let relay = Relay::start(Faults::default()).await?;
    let shelf = Arc::new(MemoryShelf::new());
    let mut link = Link::start(direct(&relay)?, shelf, Settings::default(), Ambient::system());
    let mut state = link.state();
    timeout(LONG, state.wait_for(|state| state.phase == Phase::Connected)).await??;
    relay.close(CloseCode::Revoked);
    assert_eq!(timeout(LONG, link.stopped()).await?, Some(CloseCode::Revoked));
    assert_eq!(relay.store().connections, 1, "it came again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_from_half_of_its_life_on() -> Result<()> {
    let relay = Relay::start(Faults::default()).await?;
    let port = relay.address.port();
    let data = joined(&relay, (port, port), (27, 3))?;
    let old = Identity::load(data.path())?;
    let (_folder, shelf, key) = shelf_with(&slices(4, 64, 8), Urgency::Routine)?;
    let link = Link::start(old.clone(), shelf.clone(), Settings::default(), Ambient::system());
    timeout(LONG, relay.until(|store| (store.renewed > 0).then_some(()))).await?;
    let mut state = link.state();
    let renewed = state
        .wait_for(|state| state.connections > 1 && state.certificate_ends > Some(old.validity().1));
    timeout(LONG, renewed).await??;
    // The study goes over, signed with the old key or the new one.
    assert!(timeout(LONG, shelf.settled(key)).await?.receipt.is_some());
    link.stop().await;
    let new = Identity::load(data.path())?;
    assert!(new.validity().1 > old.validity().1);
    assert!(!old.signed(b"text", &new.sign(b"text")), "the key is the old one");
    assert_eq!(relay.store().renewed, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_uid_with_other_bytes_is_put_aside_and_said() -> Result<()> {
    let relay = Relay::start(Faults::default()).await?;
    let spec = slices(3, 64, 9);
    let known: Uid = spec.instance(0, 1).sop_instance;
    relay.store().objects.insert(known, b"other bytes".to_vec());
    let (_folder, shelf, key) = shelf_with(&spec, Urgency::Routine)?;
    let link = Link::start(direct(&relay)?, shelf.clone(), Settings::default(), Ambient::system());
    let fate = timeout(LONG, shelf.settled(key)).await?;
    let receipt = Receipt::decode(&fate.receipt.context("a receipt")?.raw)?;
    assert_eq!(receipt.aside, [(1, Outcome::OtherContent)]);
    link.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_self_test_finds_a_good_link_good() -> Result<()> {
    let relay = Relay::start(Faults::default()).await?;
    let port = relay.address.port();
    let data = joined(&relay, (port, port), (1, 30))?;
    let report = timeout(LONG, selftest::run(data.path(), &Ambient::system())).await??;
    assert_eq!(report.findings.len(), 9, "{report:?}");
    assert_eq!(report.exit_code(), 0, "{report:?}");
    assert!(relay.store().measured > 500_000 && relay.store().objects.len() == 1);

    let relay = Relay::start(Faults { no_udp: true, ..Faults::default() }).await?;
    let port = relay.address.port();
    let data = joined(&relay, (port, port), (1, 30))?;
    let report = timeout(LONG, selftest::run(data.path(), &Ambient::system())).await??;
    let udp = report.findings.iter().find(|found| found.check == selftest::Check::Udp);
    assert_eq!(udp.map(|found| found.verdict), Some(selftest::Verdict::Doubtful));
    assert_eq!(report.exit_code(), 0, "one carrier is enough: {report:?}");
    Ok(())
}

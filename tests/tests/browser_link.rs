//! The link by the session of a browser: a technician's page sends studies as a gateway does, with
//! the same promises, and whoever may not is not heard.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use medrelay_client::StudyQuery;
use medrelay_core::people::Role;
use medrelay_core::report::sha256_hex;
use medrelay_core::time::Span;
use medrelay_core::transfer::gateway::Step;
use medrelay_core::transfer::{CloseCode, Message, RefusalCode};
use medrelay_dicom::phantom::{PhantomInstance, PhantomSpec};
use medrelay_link::CarrierError;
use medrelay_tests::browser::{Browser, Request};
use medrelay_tests::clinic::{Consortium, PASSWORD, Place};
use medrelay_tests::gateway::{Line, Parcel};
use medrelay_tests::receipts::vouched;
use medrelay_tests::relay::{Engine, Relay, tell};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::time::Instant;

/// What a revoked link has to be gone within.
const SOON: Duration = Duration::from_secs(5);

macro_rules! stories {
    ($($name:ident: $engine:ident, $story:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() -> Result<()> {
            tell(Engine::$engine, async |relay: &mut Relay| {
                $story(relay).await?;
                relay.work().await?;
                Ok(())
            })
            .await
        }
    )*};
}

stories! {
    a_technician_sends_a_study_on_sqlite: Sqlite, sends;
    a_technician_sends_a_study_on_postgres: Postgres, sends;
    what_was_cut_goes_on_after_a_restart_in_another_session_on_sqlite: Sqlite, goes_on;
    what_was_cut_goes_on_after_a_restart_in_another_session_on_postgres: Postgres, goes_on;
    who_may_not_send_gets_no_link: Sqlite, refused;
    a_technician_of_two_clinics_says_for_which: Sqlite, two_clinics;
    only_ones_own_manifests_are_taken: Sqlite, not_ones_own;
    a_session_that_ends_is_cut_off: Sqlite, signed_out;
    a_role_that_is_taken_away_ends_the_link: Postgres, role_removed;
    a_clinic_that_closes_ends_the_link: Sqlite, clinic_closed;
    a_browser_has_no_certificate_and_four_connections: Sqlite, bounds;
    a_browser_is_pinged: Sqlite, pinged;
    a_study_announced_anew_does_not_wait_for_the_page_that_is_gone: Sqlite, announced_anew;
    a_page_that_never_comes_back_is_not_waited_for: Postgres, forgotten;
}

fn slices(count: u32, seed: u64) -> Vec<PhantomInstance> {
    PhantomSpec::tiny(count, seed).iter().collect()
}

/// An image whose pack is about 3 MiB: random bytes behind its pixels.
fn large(seed: u64) -> PhantomInstance {
    let mut instance = slices(1, seed).remove(0);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ seed;
    let mut noise = Vec::with_capacity(3 << 20);
    while noise.len() < 3 << 20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    // (7FE1,0010) in explicit VR little endian.
    instance.data_set.extend_from_slice(&[0xE1, 0x7F, 0x10, 0x00]);
    instance.data_set.extend_from_slice(b"OB\0\0");
    instance.data_set.extend_from_slice(&(3u32 << 20).to_le_bytes());
    instance.data_set.extend_from_slice(&noise);
    instance
}

async fn technician(relay: &Relay) -> Result<(Consortium, Browser)> {
    let people = Consortium::found(relay).await?;
    let person = people.person(Place::ClinicA, Role::Technician).await?;
    let browser = Browser::sign_in(relay, &person).await?;
    Ok((people, browser))
}

fn must_vouch(line: &Line, parcel: &Parcel, receipt: &(Vec<u8>, Vec<u8>)) -> Result<()> {
    let welcome = line.welcome().context("a welcome")?;
    vouched(&welcome.receipt_key, &welcome.relay, parcel, receipt)
}

async fn sends(relay: &mut Relay) -> Result<()> {
    let (people, browser) = technician(relay).await?;
    let clinic = people.at(Place::ClinicA);
    let instances = slices(12, 1);
    let parcel = browser.parcel(clinic, &instances)?;
    let mut line = browser.connect(relay).await?;
    let welcome = line.welcome().context("a welcome")?;
    assert_eq!((&welcome.gateway, welcome.clinic.as_str()), (&browser.name, clinic));
    let receipt = line.commit(1, &parcel).await?;
    must_vouch(&line, &parcel, &receipt)?;

    let reader = people.person(Place::Lead, Role::Reporter).await?;
    let study = reader.studies(&StudyQuery::default()).await?.items.remove(0);
    assert_eq!(
        (study.stage.as_str(), study.ready_reason.as_deref(), study.instances),
        ("complete", Some("manifest"), 12)
    );
    relay.work().await?;
    assert_eq!(reader.queue().await?.len(), 1, "its case is in the queue without waiting");
    let detail = reader.study(&study.id).await?;
    for stored in detail.series.iter().flat_map(|series| &series.instances) {
        let sent = instances.iter().find(|one| one.sop_instance.as_str() == stored.uid);
        let bytes = reader.instance_data_set(&stored.id).await?;
        ensure!(bytes == sent.context("one that was sent")?.data_set, "{} changed", stored.uid);
        assert_eq!(stored.sha256, sha256_hex(&bytes));
    }
    let by_them = "SELECT COUNT(*) FROM events WHERE actor LIKE 'person:%' AND kind IN \
                   ('manifest_received', 'study_arriving', 'study_committed', 'study_complete')";
    assert_eq!(relay.count(by_them).await?, 4, "the trail names the person");
    let sender = relay.text("SELECT sender || '/' || signature FROM manifests").await?;
    assert_eq!(format!("person:{sender}"), format!("{}/", browser.name));
    // Asked again, on another connection: nothing is sent, the receipt is the same.
    let mut again = browser.connect(relay).await?;
    assert_eq!(again.commit(1, &parcel).await?, receipt);
    assert_eq!((again.sent, again.items().len()), (0, 0));
    Ok(())
}

async fn goes_on(relay: &mut Relay) -> Result<()> {
    let (people, browser) = technician(relay).await?;
    let instances = [large(2)];
    let parcel = browser.parcel(people.at(Place::ClinicA), &instances)?;
    let half = 3 << 19;
    let mut first = browser.connect(relay).await?;
    first.stall_after = Some(half);
    first.offer(1, &parcel);
    first.until("a stream", |line| !line.offsets().is_empty()).await?;
    let begun = Instant::now();
    while first.carrier.stats().sent_bytes < half as u64 && begun.elapsed() < SOON {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    first.cut();
    relay.restart().await?;

    // The page was closed meanwhile: another session, and the same study announced anew.
    let person = people.person(Place::ClinicA, Role::Technician).await?;
    let later = Browser::sign_in(relay, &person).await?;
    ensure!(later.session != browser.session, "another session");
    let mut second = later.connect(relay).await?;
    let receipt = second.commit(1, &parcel).await?;
    must_vouch(&second, &parcel, &receipt)?;
    let offsets = second.offsets();
    ensure!(offsets.len() == 1 && offsets[0] > 0, "it began again from {offsets:?}");
    assert_eq!(second.sent + offsets[0], parcel.pack_bytes());
    Ok(())
}

async fn refused(relay: &mut Relay) -> Result<()> {
    let (people, browser) = technician(relay).await?;
    let ask = async |browser: &Browser, request: Request| -> Result<StatusCode> {
        browser.knock(relay, &request).await?.err().context("a link was given")
    };
    let origin = |text: &str| Request { origin: Some(text.to_owned()), ..Request::default() };
    let cookie = |text: &str| Request { cookie: Some(text.to_owned()), ..Request::default() };
    let clinic =
        |place| Request { clinic: Some(people.at(place).to_owned()), ..Request::default() };
    for other in ["https://elsewhere.example", "null", ""] {
        let status = ask(&browser, origin(other)).await?;
        assert_eq!(status, StatusCode::FORBIDDEN, "origin {other:?}");
    }
    let made_up = format!("__Host-medrelay={}", "0".repeat(64));
    for none in [made_up.as_str(), ""] {
        let status = ask(&browser, cookie(none)).await?;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "without a session there is no link here");
    }
    for (other, expected) in [
        (Place::ClinicB, StatusCode::NOT_FOUND),
        (Place::Stranger, StatusCode::NOT_FOUND),
        (Place::Lead, StatusCode::NOT_FOUND),
    ] {
        assert_eq!(ask(&browser, clinic(other)).await?, expected, "{other:?}");
    }
    for role in [Role::Reporter, Role::Administrator] {
        let person = people.person(Place::Lead, role).await?;
        let reader = Browser::sign_in(relay, &person).await?;
        assert_eq!(ask(&reader, Request::default()).await?, StatusCode::FORBIDDEN, "{role:?}");
    }
    let doctor = people.person(Place::ClinicA, Role::ClinicDoctor).await?;
    let doctor = Browser::sign_in(relay, &doctor).await?;
    for request in [Request::default(), clinic(Place::ClinicA)] {
        assert_eq!(ask(&doctor, request).await?, StatusCode::FORBIDDEN, "a doctor sends nothing");
    }
    assert_eq!(relay.count("SELECT COUNT(*) FROM manifests").await?, 0);
    Ok(())
}

async fn two_clinics(relay: &mut Relay) -> Result<()> {
    let people = Consortium::found(relay).await?;
    let (a, b) = (people.at(Place::ClinicA), people.at(Place::ClinicB));
    let grants = json!([
        { "organization": a, "role": "technician" }, { "organization": b, "role": "technician" },
    ]);
    let body =
        json!({ "login": "both", "name": "两院技师", "password": PASSWORD, "grants": grants });
    let made = people.make("/api/v1/people", &body).await?;
    let mut person = people.person(Place::ClinicA, Role::Technician).await?;
    (person.id, person.login) = (made.id, "both".to_owned());
    let browser = Browser::sign_in(relay, &person).await?;
    let unsaid = browser.knock(relay, &Request::default()).await?.err();
    assert_eq!(unsaid, Some(StatusCode::UNPROCESSABLE_ENTITY));
    for clinic in [a, b] {
        let line = Line::greet(browser.carrier(relay, Some(clinic)).await?, None).await?;
        assert_eq!(line.welcome().context("a welcome")?.clinic, clinic);
    }
    Ok(())
}

/// The refusal of a whole offer.
fn refusal(line: &Line) -> Option<RefusalCode> {
    line.seen.iter().find_map(|step| match step {
        Step::Refused { index: None, code, .. } => Some(*code),
        _ => None,
    })
}

async fn not_ones_own(relay: &mut Relay) -> Result<()> {
    let (people, browser) = technician(relay).await?;
    let (a, b) = (people.at(Place::ClinicA), people.at(Place::ClinicB));
    let instances = slices(1, 3);
    let theirs = browser.parcel(b, &instances)?;
    let mut other = browser.parcel(a, &instances)?;
    other.manifest.gateway = format!("person:{}", people.root.id);
    let other = Browser::unsigned(other.manifest, &instances)?;
    let mut signed = browser.parcel(a, &instances)?;
    signed.signature = vec![1; 64];
    for (parcel, code) in [
        (theirs, RefusalCode::OtherClinic),
        (other, RefusalCode::BadSignature),
        (signed, RefusalCode::BadSignature),
    ] {
        let mut line = browser.connect(relay).await?;
        line.offer(1, &parcel);
        line.until("a refusal", |line| refusal(line).is_some()).await?;
        assert_eq!(refusal(&line), Some(code));
        line.cut();
    }
    assert_eq!(relay.count("SELECT COUNT(*) FROM manifests").await?, 0);
    Ok(())
}

/// The code that a connection was closed with.
fn code(end: &CarrierError) -> Option<u8> {
    match end {
        CarrierError::Closed { code, .. } => *code,
        _ => None,
    }
}

async fn must_end(line: &mut Line, with: CloseCode) -> Result<()> {
    let begun = Instant::now();
    line.until("GOAWAY", |line| {
        line.seen.iter().any(|step| matches!(step, Step::Goaway { code, .. } if *code == with))
    })
    .await?;
    assert_eq!(code(&line.end().await?), Some(with as u8));
    ensure!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
    Ok(())
}

async fn signed_out(relay: &mut Relay) -> Result<()> {
    let (people, browser) = technician(relay).await?;
    let mut line = browser.connect(relay).await?;
    let person = people.person(Place::ClinicA, Role::Technician).await?;
    let path = format!("/api/v1/sessions/{}", browser.session);
    person.tell(Method::DELETE, &path, &json!({})).await?;
    must_end(&mut line, CloseCode::Revoked).await?;
    let again = browser.knock(relay, &Request::default()).await?.err();
    assert_eq!(again, Some(StatusCode::UNAUTHORIZED));
    Ok(())
}

async fn role_removed(relay: &mut Relay) -> Result<()> {
    let (people, browser) = technician(relay).await?;
    let mut line = browser.connect(relay).await?;
    let id = browser.name.trim_start_matches("person:");
    let grants = json!([{ "organization": people.at(Place::ClinicA), "role": "clinic_doctor" }]);
    let change = json!({ "version": 1, "grants": grants });
    people.root.tell(Method::PATCH, &format!("/api/v1/people/{id}"), &change).await?;
    must_end(&mut line, CloseCode::Revoked).await
}

async fn clinic_closed(relay: &mut Relay) -> Result<()> {
    let people = Consortium::found(relay).await?;
    let body = json!({
        "parent": people.at(Place::Lead), "kind": "village_clinic", "name": "东村卫生室",
    });
    let clinic = people.make("/api/v1/organizations", &body).await?.id;
    let grants = json!([{ "organization": clinic, "role": "technician" }]);
    let body =
        json!({ "login": "east", "name": "东村技师", "password": PASSWORD, "grants": grants });
    let made = people.make("/api/v1/people", &body).await?;
    let mut person = people.person(Place::ClinicA, Role::Technician).await?;
    (person.id, person.login) = (made.id, "east".to_owned());
    let browser = Browser::sign_in(relay, &person).await?;
    let mut line = browser.connect(relay).await?;
    let change = json!({ "version": 1, "closed": true });
    let path = format!("/api/v1/organizations/{clinic}");
    people.root.tell(Method::PATCH, &path, &change).await?;
    must_end(&mut line, CloseCode::Closed).await
}

async fn bounds(relay: &mut Relay) -> Result<()> {
    let (_people, browser) = technician(relay).await?;
    let mut line = browser.connect(relay).await?;
    line.say(&Message::Renew { request: vec![1, 2, 3] }).await?;
    assert_eq!(code(&line.end().await?), Some(CloseCode::Violation as u8));
    let begun = Instant::now();
    let mut lines = Vec::new();
    while lines.len() < 4 {
        match browser.connect(relay).await {
            Ok(line) => lines.push(line),
            // The place of the one that broke the protocol is free in a moment.
            Err(error) => ensure!(begun.elapsed() < SOON, "{error:?}"),
        }
    }
    let fifth = browser.connect(relay).await.err().context("one too many")?;
    ensure!(format!("{fifth:?}").contains("too many connections"), "{fifth:?}");
    Ok(())
}

async fn pinged(relay: &mut Relay) -> Result<()> {
    use futures_util::StreamExt as _;
    let (_people, browser) = technician(relay).await?;
    let (mut socket, _) = browser
        .knock(relay, &Request::default())
        .await?
        .map_err(|status| anyhow::anyhow!("refused with {status}"))?;
    let first = tokio::time::timeout(SOON, socket.next()).await?.context("a message")??;
    ensure!(first.is_ping(), "a browser cannot ping, so the relay does: {first:?}");
    Ok(())
}

async fn announced_anew(relay: &mut Relay) -> Result<()> {
    let (people, browser) = technician(relay).await?;
    let clinic = people.at(Place::ClinicA);
    let instances = slices(6, 5);
    let mut first = browser.connect(relay).await?;
    first.stall_after = Some(0);
    first.offer(1, &browser.parcel(clinic, &instances)?);
    first.until("a stream", |line| !line.offsets().is_empty()).await?;
    first.cut();
    let parcel = browser.parcel(clinic, &instances)?;
    let mut second = browser.connect(relay).await?;
    second.commit(1, &parcel).await?;
    let stage = relay.text("SELECT stage FROM studies").await?;
    assert_eq!(stage, "complete", "what the forgotten manifest announced is all here");
    Ok(())
}

async fn forgotten(relay: &mut Relay) -> Result<()> {
    let (people, browser) = technician(relay).await?;
    let clinic = people.at(Place::ClinicA);
    let instances = slices(3, 6);
    people.scanner(Place::ClinicA).send_instances(&instances[..1]).await?;
    let mut line = browser.connect(relay).await?;
    line.stall_after = Some(0);
    line.offer(1, &browser.parcel(clinic, &instances)?);
    line.until("a stream", |line| !line.offsets().is_empty()).await?;
    line.cut();
    relay.advance(Span::from_hours(2)).await?;
    assert_eq!(relay.text("SELECT stage FROM studies").await?, "arriving", "it is awaited");
    relay.advance(Span::from_hours(23)).await?;
    relay.advance(Span::from_hours(1)).await?;
    assert_eq!(relay.text("SELECT stage FROM studies").await?, "complete");
    assert_eq!(relay.text("SELECT ready_reason FROM studies").await?, "quiet");
    Ok(())
}

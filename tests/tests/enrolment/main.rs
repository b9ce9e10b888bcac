//! How a gateway joins, what its certificate opens, and how it is shut out: codes that are used,
//! expired, guessed, replayed or mistyped, certificates over their time by a clock that moves when
//! told to, and real TLS handshakes with the relay's end of the link.

mod gateway;

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use medrelay::app::{self, Ambient};
use medrelay::service::gateways::Admission;
use medrelay::service::link::{Identity, LinkPeer};
use medrelay::service::{Error as Fault, Service};
use medrelay_client::Error;
use medrelay_core::people::Role;
use medrelay_core::time::{Clock, Entropy, ManualClock, SeededEntropy, Span};
use medrelay_core::transfer::join::JoinCode;
use medrelay_dicom::phantom::{Modality, PhantomSpec};
use medrelay_tests::binary::program;
use medrelay_tests::clinic::{Consortium, Place};
use medrelay_tests::relay::{Engine, Relay, START, tell};
use reqwest::Method;
use serde_json::{Value, json};

use gateway::{Key, Tunnel, certificate_of, joined, make_code, try_join};

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    outcome.expect_err("refused").code().unwrap_or_default().to_owned()
}

/// Tells a story on both engines, as two tests.
macro_rules! on_both {
    ($sqlite:ident, $postgres:ident, $story:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $sqlite() -> Result<()> {
            tell(Engine::Sqlite, $story).await
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $postgres() -> Result<()> {
            tell(Engine::Postgres, $story).await
        }
    };
}

on_both!(codes_that_are_not_good_fail_on_sqlite, codes_that_are_not_good_fail_on_postgres, codes);

/// The public key of the certificate that a gateway showed.
fn shown_key(peer: &LinkPeer) -> Result<&[u8]> {
    match &peer.identity {
        Identity::Gateway { public_key, .. } => Ok(public_key),
        Identity::Person { .. } => bail!("a person has no certificate"),
    }
}

async fn codes(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let clinic = consortium.at(Place::ClinicA);
    let made = make_code(&consortium, clinic, &json!({})).await?;
    let typed = made["code"].as_str().context("a code")?.to_owned();
    let hour = made["expires_at"].as_i64().context("a time")? - relay.now().micros();
    assert_eq!(hour, Span::from_minutes(60).micros());
    let parsed = JoinCode::parse(&typed)?;
    assert!(parsed.pins(relay.service().authority().certificate_der()));
    let kept = relay.text("SELECT secret_hash FROM join_codes").await?;
    assert_eq!(kept, parsed.secret_hash());
    ensure!(!kept.contains(&hex::encode(parsed.secret)), "the secret itself is not kept");

    // Mistyped: told at once, counted nowhere.
    let wrong = if typed.ends_with('0') { "1" } else { "0" };
    let mistyped = format!("{}{wrong}", &typed[..typed.len() - 1]);
    assert_eq!(code(try_join(relay, &mistyped, &Key::new()?).await), "VALIDATION");
    assert_eq!(relay.count("SELECT COUNT(*) FROM events WHERE kind = 'join_failed'").await?, 0);

    // Guessed: the handle is right, the secret is not. After five the right one does not help.
    let guess = JoinCode { secret: [7; 16], ..parsed.clone() }.to_text();
    let stranger = JoinCode { handle: [9; 4], ..parsed.clone() }.to_text();
    let mut answers = vec![try_join(relay, &stranger, &Key::new()?).await];
    for _ in 0..5 {
        answers.push(try_join(relay, &guess, &Key::new()?).await);
    }
    answers.push(try_join(relay, &typed, &Key::new()?).await);
    assert_eq!(relay.count("SELECT failures FROM join_codes").await?, 6, "counted durably");

    // Withdrawn, then expired.
    let withdrawn = make_code(&consortium, clinic, &json!({})).await?;
    let path = format!("/api/v1/join-codes/{}", withdrawn["handle"].as_str().context("a handle")?);
    consortium.root.tell(Method::DELETE, &path, &json!(null)).await?;
    let open: Value = consortium.root.get(&format!("/api/v1/clinics/{clinic}/join-codes")).await?;
    assert_eq!(open["items"], json!([]), "neither the locked one nor the withdrawn one is open");
    let withdrawn = withdrawn["code"].as_str().context("a code")?;
    answers.push(try_join(relay, withdrawn, &Key::new()?).await);
    let late = make_code(&consortium, clinic, &json!({ "minutes": 5 })).await?;
    relay.pass(Span::from_minutes(5));
    answers.push(try_join(relay, late["code"].as_str().context("a code")?, &Key::new()?).await);

    // Used: a second time is once too often, with the same key or another.
    let made = make_code(&consortium, clinic, &json!({ "name": "放射科" })).await?;
    let typed = made["code"].as_str().context("a code")?.to_lowercase().replace('-', " ");
    relay.pass(Span::from_secs(3599));
    let key = Key::new()?;
    let joined = try_join(relay, &typed, &key).await?;
    assert_eq!(joined["clinic"], clinic);
    assert_eq!((&joined["name"], &joined["ae_title"]), (&json!("放射科"), &json!("MEDRELAY")));
    answers.push(try_join(relay, &typed, &key).await);
    answers.push(try_join(relay, &typed, &Key::new()?).await);

    let told: Vec<String> = answers
        .into_iter()
        .map(|answer| answer.expect_err("no such code is good").to_string())
        .collect();
    ensure!(told.iter().all(|text| *text == told[0]), "one answer for all of them: {told:?}");
    ensure!(told[0].contains("wrong, used or out of date"), "{}", told[0]);
    assert_eq!(relay.count("SELECT COUNT(*) FROM gateways").await?, 1);
    let failed = "SELECT COUNT(*) FROM events WHERE kind = 'join_failed'";
    assert_eq!(relay.count(failed).await?, 11, "each is in the trail");
    Ok(())
}

on_both!(one_code_makes_one_gateway_on_sqlite, one_code_makes_one_gateway_on_postgres, at_once);

/// Several machines with one code at the same moment; and requests that cannot be used, which do
/// not use the code up.
async fn at_once(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let made = make_code(&consortium, consortium.at(Place::ClinicA), &json!({})).await?;
    let typed = made["code"].as_str().context("a code")?.to_owned();
    let good = Key::new()?.request()?;
    let other_curve = Key::of(&rcgen::PKCS_ECDSA_P384_SHA384)?.request()?;
    let edited = gateway::edited(&good)?;
    let long = format!("{good}{}", " ".repeat(8200));
    for request in ["", "no request", &other_curve, &edited, &long] {
        let body = json!({ "code": typed, "request": request });
        let refused: Result<Value, Error> =
            relay.client().call(Method::POST, "/api/v1/link/join", &body).await;
        assert_eq!(code(refused), "VALIDATION", "{} bytes", request.len());
    }
    let body = json!({ "code": typed, "request": "x".repeat(20_000) });
    let refused: Result<Value, Error> =
        relay.client().call(Method::POST, "/api/v1/link/join", &body).await;
    assert_eq!(code(refused), "BODY_TOO_LARGE");

    let (one, two, three) = (Key::new()?, Key::new()?, Key::new()?);
    let (first, second, third) = tokio::join!(
        try_join(relay, &typed, &one),
        try_join(relay, &typed, &two),
        try_join(relay, &typed, &three),
    );
    let joined = [first, second, third].iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(joined, 1, "one of three at the same moment");
    assert_eq!(relay.count("SELECT COUNT(*) FROM gateways").await?, 1);
    assert_eq!(relay.count("SELECT COUNT(*) FROM gateway_certificates").await?, 1);
    assert_eq!(relay.count("SELECT COUNT(*) FROM events WHERE kind = 'gateway_joined'").await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_guesses_has_to_wait() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let made = make_code(&consortium, consortium.at(Place::ClinicA), &json!({})).await?;
        let right = made["code"].as_str().context("a code")?.to_owned();
        let parsed = JoinCode::parse(&right)?;
        let key = Key::new()?;
        for guess in 0..30u8 {
            let unknown = JoinCode { handle: [guess; 4], ..parsed.clone() }.to_text();
            assert_eq!(code(try_join(relay, &unknown, &key).await), "BAD_JOIN_CODE");
        }
        assert_eq!(code(try_join(relay, &right, &key).await), "LOCKED");
        relay.pass(Span::from_minutes(10));
        try_join(relay, &right, &key).await?;
        Ok(())
    })
    .await
}

on_both!(a_certificate_opens_the_link_on_sqlite, a_certificate_opens_the_link_on_postgres, opened);

/// What a certificate is, and what of it the link's own verifier and the database admit.
async fn opened(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let clinic = consortium.at(Place::ClinicA);
    let made = make_code(&consortium, clinic, &json!({})).await?;
    let key = Key::new()?;
    let joined = try_join(relay, made["code"].as_str().context("a code")?, &key).await?;
    let id = joined["gateway"].as_str().context("a gateway")?.to_owned();
    let authority = relay.client().open("/api/v1/link/authority").await?;
    let pem = String::from_utf8(authority.bytes().await?.to_vec())?;
    assert_eq!(joined["authority"].as_str(), Some(pem.as_str()));
    let receipts = hex::encode(relay.service().receipt_key());
    assert_eq!(joined["receipt_key"].as_str(), Some(receipts.as_str()));
    assert_eq!(joined["port"], 8443);

    let certificate = certificate_of(&joined)?;
    let Admission::Admitted(peer) = relay.service().admit_gateway(&certificate).await? else {
        bail!("a gateway that has just joined is not admitted");
    };
    assert_eq!((peer.name(), peer.clinic.as_str()), (id.clone(), clinic));
    assert_eq!(peer.clinic_name, Place::ClinicA.name());
    ensure!(key.signed(b"a manifest", shown_key(&peer)?)?, "signatures are checked by this key");

    let tunnel = Tunnel::of(relay)?;
    let open = |shown: (&Vec<u8>, &Key)| tunnel.open(relay.now(), Some((shown.0, shown.1)));
    assert_eq!(open((&certificate, &key))?, certificate, "what the relay sees");
    ensure!(tunnel.open(relay.now(), None).is_err(), "nobody gets in without a certificate");
    let foreign = gateway::foreign(peer.gateway().context("a gateway")?, &key, relay.now())?;
    ensure!(open((&foreign, &key)).is_err(), "nor with another authority's");
    assert_eq!(relay.service().admit_gateway(&foreign).await?, Admission::Unknown);
    ensure!(tunnel.is_trusted_over_https(relay.now(), "link.medrelay")?, "by the link's name");

    // Its time is over: by the relay's clock, at TLS and in the database.
    relay.pass(Span::from_secs(30 * 86_400 - 1));
    assert_eq!(open((&certificate, &key))?, certificate);
    assert!(matches!(relay.service().admit_gateway(&certificate).await?, Admission::Admitted(_)));
    relay.pass(Span::from_secs(2));
    ensure!(open((&certificate, &key)).is_err(), "30 days are over");
    assert_eq!(relay.service().admit_gateway(&certificate).await?, Admission::Unknown);
    Ok(())
}

on_both!(a_revoked_gateway_is_shut_out_on_sqlite, a_revoked_gateway_is_shut_out_on_postgres, shut);

async fn shut(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let (id, certificate, _) = joined(relay, &consortium, consortium.at(Place::ClinicA)).await?;
    let service = relay.service();
    service.note_gateway(&id, "192.0.2.4", "quic").await?;
    let seen: Value = consortium.root.get(&format!("/api/v1/gateways/{id}")).await?;
    assert_eq!((&seen["source"], &seen["carrier"]), (&json!("192.0.2.4"), &json!("quic")));
    let signal = service.event_signal();

    let path = format!("/api/v1/gateways/{id}/revoke");
    for _ in 0..2 {
        let revoked: Value = consortium.root.call(Method::POST, &path, &json!(null)).await?;
        assert_eq!(revoked["revoked_at"], relay.now().micros());
    }
    ensure!(signal.has_changed()?, "whoever holds its connections is woken");
    assert_eq!(service.admit_gateway(&certificate).await?, Admission::Revoked);
    assert_eq!(service.gateway_standing(&id).await?, Admission::Revoked);
    let request = Key::new()?.request_der()?;
    let refused = service.renew_certificate(&id, &request, "192.0.2.4").await;
    assert!(matches!(refused, Err(Fault::Denied(_))), "{refused:?}");
    assert_eq!(relay.count("SELECT COUNT(*) FROM events WHERE kind = 'gateway_revoked'").await?, 1);

    // A clinic that is closed has no gateways either, nor codes.
    let stranger = consortium.at(Place::Stranger);
    let (id, certificate, _) = joined(relay, &consortium, stranger).await?;
    let made = make_code(&consortium, stranger, &json!({})).await?;
    let devices: Value = consortium.root.get(&format!("/api/v1/devices?clinic={stranger}")).await?;
    let device = devices["items"][0]["id"].as_str().context("the scanner")?;
    let device = format!("/api/v1/devices/{device}");
    consortium.root.tell(Method::DELETE, &device, &json!(null)).await?;
    let close = json!({ "version": 1, "closed": true });
    consortium
        .root
        .tell(Method::PATCH, &format!("/api/v1/organizations/{stranger}"), &close)
        .await?;
    assert_eq!(service.admit_gateway(&certificate).await?, Admission::ClinicClosed);
    assert_eq!(service.gateway_standing(&id).await?, Admission::ClinicClosed);
    let late = try_join(relay, made["code"].as_str().context("a code")?, &Key::new()?).await;
    assert_eq!(code(late), "BAD_JOIN_CODE");
    let path = format!("/api/v1/clinics/{stranger}/join-codes");
    let refused: Result<Value, Error> = consortium.root.call(Method::POST, &path, &json!({})).await;
    assert_eq!(code(refused), "STATE_CONFLICT");
    Ok(())
}

on_both!(a_certificate_is_renewed_on_sqlite, a_certificate_is_renewed_on_postgres, renewed);

async fn renewed(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let (id, old, old_key) = joined(relay, &consortium, consortium.at(Place::ClinicA)).await?;
    let service = relay.service();
    let tunnel = Tunnel::of(relay)?;
    relay.pass(Span::from_hours(15 * 24));
    let key = Key::new()?;
    let chain = service.renew_certificate(&id, &key.request_der()?, "192.0.2.4").await?;
    let new = chain.first().context("a chain")?.clone();
    ensure!(new != old);
    for (certificate, key) in [(&old, &old_key), (&new, &key)] {
        assert_eq!(&tunnel.open(relay.now(), Some((certificate, key)))?, certificate);
        let admitted = service.admit_gateway(certificate).await?;
        let Admission::Admitted(peer) = admitted else { bail!("both are good for a while") };
        ensure!(key.signed(b"a manifest", shown_key(&peer)?)?, "each by its own key");
    }
    for unusable in [key.request_der()?, old_key.request_der()?, b"nothing".to_vec()] {
        let refused = service.renew_certificate(&id, &unusable, "").await;
        assert!(matches!(refused, Err(Fault::Invalid { field: "request", .. })), "{refused:?}");
    }

    // A certificate is good through its last second.
    relay.pass(Span::from_secs(15 * 86_400 + 1));
    assert_eq!(service.admit_gateway(&old).await?, Admission::Unknown, "each to its own end");
    ensure!(tunnel.open(relay.now(), Some((&old, &old_key))).is_err());
    assert!(matches!(service.admit_gateway(&new).await?, Admission::Admitted(_)));
    assert_eq!(tunnel.open(relay.now(), Some((&new, &key)))?, new);

    // Answers get lost; a machine that asks without end is stopped.
    for _ in 0..8 {
        service.renew_certificate(&id, &Key::new()?.request_der()?, "").await?;
    }
    let refused = service.renew_certificate(&id, &Key::new()?.request_der()?, "").await;
    assert!(matches!(refused, Err(Fault::Locked { .. })), "{refused:?}");
    relay.pass(Span::from_hours(24));
    service.renew_certificate(&id, &Key::new()?.request_der()?, "").await?;
    let renewals = "SELECT COUNT(*) FROM events WHERE kind = 'certificate_renewed'";
    assert_eq!(relay.count(renewals).await?, 10);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_are_their_own_clinics_business() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let (id, _, _) = joined(relay, &consortium, consortium.at(Place::ClinicA)).await?;
        let one = format!("/api/v1/gateways/{id}");
        for (place, role, sees, revokes) in [
            (Place::ClinicB, Role::Administrator, "NOT_FOUND", "NOT_FOUND"),
            (Place::Stranger, Role::Administrator, "NOT_FOUND", "NOT_FOUND"),
            (Place::ClinicB, Role::Technician, "NOT_FOUND", "FORBIDDEN"),
            (Place::ClinicA, Role::Technician, "", "FORBIDDEN"),
            (Place::ClinicA, Role::ClinicDoctor, "FORBIDDEN", "FORBIDDEN"),
            (Place::Lead, Role::Coordinator, "FORBIDDEN", "FORBIDDEN"),
            (Place::ClinicA, Role::Administrator, "", ""),
        ] {
            let person = consortium.person(place, role).await?;
            let seen: Result<Value, Error> = person.get(&one).await;
            let list: Result<Value, Error> = person.get("/api/v1/gateways").await;
            let listed = list.is_ok_and(|list| list["items"].to_string().contains(id.as_str()));
            assert_eq!(listed, sees.is_empty(), "{role:?} of {place:?}");
            let revoked: Result<Value, Error> =
                person.call(Method::POST, &format!("{one}/revoke"), &json!(null)).await;
            for (answer, expected) in [(seen, sees), (revoked, revokes)] {
                let found = answer.err().and_then(|error| error.code().map(str::to_owned));
                assert_eq!(found.unwrap_or_default(), expected, "{role:?} of {place:?}");
            }
        }
        Ok(())
    })
    .await
}

/// The keys of the link are the relay's, not one server's: they outlive a restart, and a second
/// server on the same database has the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_server_of_a_relay_has_the_same_authority() -> Result<()> {
    tell(Engine::Postgres, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let (_, certificate, key) =
            joined(relay, &consortium, consortium.at(Place::ClinicA)).await?;
        let keys =
            |service: &Service| (service.authority().fingerprint(), service.receipt_key().to_vec());
        let before = keys(relay.service());
        relay.restart().await?;
        assert_eq!(keys(relay.service()), before);

        let (elsewhere, master) = (tempfile::tempdir()?, medrelay::secrets::MASTER_KEY_FILE);
        let mut config = relay.config().clone();
        config.data.dir = elsewhere.path().to_owned();
        std::fs::create_dir(config.keys_dir())?;
        std::fs::copy(relay.config().keys_dir().join(master), config.keys_dir().join(master))?;
        let ambient = Ambient {
            clock: Arc::new(ManualClock::new(START)) as Arc<dyn Clock>,
            entropy: Arc::new(SeededEntropy::new(77)) as Arc<dyn Entropy>,
            jobs_by_themselves: false,
        };
        let second = app::assemble(&config, &ambient).await?;
        assert_eq!(keys(&second), before);
        assert!(matches!(second.admit_gateway(&certificate).await?, Admission::Admitted(_)));
        second.close().await;
        let shown = Some((certificate.as_slice(), &key));
        assert_eq!(Tunnel::of(relay)?.open(relay.now(), shown)?, certificate, "after the restart");

        // With another master key the database's keys stay shut, and nothing is made in their place.
        std::fs::remove_dir_all(config.keys_dir())?;
        let error = app::assemble(&config, &ambient).await.err().context("not ours")?;
        ensure!(format!("{error:#}").contains("authority of the clinic link"), "{error:#}");
        Ok(())
    })
    .await
}

on_both!(a_centre_writes_to_a_clinic_on_sqlite, a_centre_writes_to_a_clinic_on_postgres, written);

async fn written(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let spec =
        PhantomSpec { rows: 16, columns: 16, instances: 1, ..PhantomSpec::new(Modality::Ct, 31) };
    consortium.scanner(Place::ClinicA).send(&spec).await?;
    relay.advance(Span::from_minutes(2)).await?;
    let reporter = consortium.person(Place::Lead, Role::Reporter).await?;
    let technician = consortium.person(Place::ClinicA, Role::Technician).await?;
    let case = reporter.next_case().await?.case.id;
    let path = format!("/api/v1/cases/{case}/messages");
    let write = |body: Value| {
        let (reporter, path) = (reporter.clone(), path.clone());
        async move { reporter.call::<Value>(Method::POST, &path, &body).await }
    };
    for wrong in [
        json!({ "kind": "return_request" }),
        json!({ "kind": "return_request", "code": "positioning" }),
        json!({ "kind": "notice" }),
        json!({ "kind": "notice", "code": "MOTION", "text": "甲" }),
        json!({ "kind": "greeting", "text": "甲" }),
        json!({ "kind": "notice", "text": "重".repeat(2001) }),
    ] {
        assert_eq!(code(write(wrong).await), "VALIDATION");
    }
    let asked = json!({ "kind": "return_request", "code": "POSITIONING", "text": "请重拍 张三" });
    let first = write(asked).await?;
    relay.pass(Span::from_secs(1));
    write(json!({ "kind": "notice", "text": "明日停机" })).await?;
    for (person, unread) in [(&reporter, false), (&technician, true), (&technician, false)] {
        let seen: Value = person.get(&path).await?;
        let mut shown = first.clone();
        shown["unread"] = unread.into();
        assert_eq!(seen["items"][0], shown);
        assert_eq!(seen["items"][0]["written_by_name"], reporter.name.as_str());
        assert_eq!(seen["items"].as_array().map(Vec::len), Some(2));
        assert_eq!(seen["items"][1]["code"], Value::Null);
    }
    let answered: Result<Value, Error> =
        technician.call(Method::POST, &path, &json!({ "kind": "notice", "text": "甲" })).await;
    assert_eq!(code(answered), "FORBIDDEN");
    assert_eq!(reporter.case(&case).await?.case.stage, "in_progress", "the stage stays");
    let told = "SELECT details FROM events WHERE kind = 'message_written' ORDER BY seq LIMIT 1";
    let told = relay.text(told).await?;
    ensure!(told.contains("POSITIONING") && !told.contains("张三"), "{told}");
    Ok(())
}

/// The command line makes a code that works, and shuts a gateway out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_prints_a_code() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let name = Place::ClinicA.name();
        let made = command(relay, &["clinic", "join-code", "--clinic", name, "--minutes", "5"])?;
        let made: Value = serde_json::from_str(&made)?;
        let typed = made["code"].as_str().context("a code")?;
        let told = made["command"].as_str().context("a command")?;
        assert_eq!(told, format!("medrelay-gateway join https://RELAY:8443 {typed}"));
        // The program goes by the real time.
        let parsed = JoinCode::parse(typed)?;
        let life = "SELECT expires_at - created_at FROM join_codes";
        assert_eq!(relay.count(life).await?, Span::from_minutes(5).micros());
        ensure!(parsed.pins(relay.service().authority().certificate_der()));

        let (id, certificate, _) =
            joined(relay, &consortium, consortium.at(Place::ClinicA)).await?;
        let list = command(relay, &["clinic", "gateway", "list", "--clinic", name])?;
        ensure!(list.contains(id.as_str()), "{list}");
        let own = "gateway of a test";
        command(relay, &["clinic", "gateway", "revoke", own, "--clinic", name])?;
        assert_eq!(relay.service().admit_gateway(&certificate).await?, Admission::Revoked);
        Ok(())
    })
    .await
}

/// Runs the built program beside the relay, on its data; what it prints as JSON.
fn command(relay: &Relay, words: &[&str]) -> Result<String> {
    let mut command = std::process::Command::new(program()?);
    command.arg("--data").arg(relay.folder()).arg("--json").args(words);
    let output = command.env_clear().output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{words:?}: {} {errors}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

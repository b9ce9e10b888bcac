//! What people need beside reading: papers of an order, working hours, statistics, how the relay
//! is, the search of the audit trail, what was put aside.

use anyhow::{Context, Result, ensure};
use medrelay::config::Config;
use medrelay_client::{NewOrder, Text};
use medrelay_core::people::{Priority, Role};
use medrelay_core::report::sha256_hex;
use medrelay_core::time::Span;
use medrelay_dicom::phantom::{Modality as Kind, PhantomInstance, PhantomSpec};
use medrelay_tests::clinic::{Consortium, Person, Place};
use medrelay_tests::gateway::{Gateway, Way};
use medrelay_tests::relay::{Engine, Relay, START, tell, tell_with};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

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
    an_order_has_papers_on_sqlite: Sqlite, papers;
    an_order_has_papers_on_postgres: Postgres, papers;
    a_paper_is_what_it_says_and_not_too_long: Sqlite, refused_papers;
    a_case_is_due_by_the_working_hours_of_its_centre_on_sqlite: Sqlite, working_hours;
    a_case_is_due_by_the_working_hours_of_its_centre_on_postgres: Postgres, working_hours;
    what_was_read_is_counted_on_sqlite: Sqlite, statistics;
    what_was_read_is_counted_on_postgres: Postgres, statistics;
    the_trail_is_searched_on_sqlite: Sqlite, audit;
    the_trail_is_searched_on_postgres: Postgres, audit;
    what_was_put_aside_is_decided_about_on_sqlite: Sqlite, put_aside;
    what_was_put_aside_is_decided_about_on_postgres: Postgres, put_aside;
}

const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n";
const MINUTE: i64 = 60_000_000;

/// A call with a raw body.
async fn upload(
    relay: &Relay,
    person: &Person,
    order: &str,
    name: &str,
    media_type: &str,
    body: Vec<u8>,
) -> Result<Response> {
    let name: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let url = format!("{}/api/v1/orders/{order}/attachments?name={name}", relay.url());
    let request = reqwest::Client::new().post(url).body(body);
    let request = request.header("content-type", media_type);
    Ok(request.bearer_auth(person.token().context("signed in")?).send().await?)
}

async fn download(relay: &Relay, person: &Person, id: &str) -> Result<Response> {
    let url = format!("{}/api/v1/attachments/{id}", relay.url());
    let request = reqwest::Client::new().get(url);
    Ok(request.bearer_auth(person.token().context("signed in")?).send().await?)
}

/// A CT study of a clinic with its order: the order's identifier.
async fn ordered(
    relay: &Relay,
    people: &Consortium,
    place: Place,
    seed: u64,
    priority: Priority,
) -> Result<String> {
    let spec = PhantomSpec {
        accession: Some(format!("A{seed}")),
        ..PhantomSpec { rows: 16, columns: 16, instances: 2, ..PhantomSpec::new(Kind::Ct, seed) }
    };
    let doctor = people.person(place, Role::ClinicDoctor).await?;
    let order = NewOrder {
        accession: spec.accession.clone(),
        priority,
        ..NewOrder::new(people.at(place), spec.patient.id.clone(), "甲", Kind::Ct.code())
    };
    let order = doctor.create_order(&order).await?;
    people.scanner(place).send(&spec).await?;
    relay.advance(Span::from_minutes(2)).await?;
    Ok(order.id)
}

async fn papers(relay: &mut Relay) -> Result<()> {
    let people = Consortium::found(relay).await?;
    let order = ordered(relay, &people, Place::ClinicB, 1, Priority::Routine).await?;
    let doctor = people.person(Place::ClinicB, Role::ClinicDoctor).await?;
    let verifier = people.person(Place::Lead, Role::Verifier).await?;
    let made: Value =
        upload(relay, &doctor, &order, "知情同意书.pdf", "application/pdf", PDF.into())
            .await?
            .error_for_status()?
            .json()
            .await?;
    assert_eq!(made["name"], "知情同意书.pdf");
    assert_eq!((made["bytes"].as_u64(), made["order"].as_str()), (Some(29), Some(&*order)));
    assert_eq!(made["sha256"], sha256_hex(PDF));
    let id = made["id"].as_str().context("an identifier")?.to_owned();

    let list = format!("/api/v1/orders/{order}/attachments");
    let seen: Value = verifier.get(&list).await?;
    assert_eq!(seen["items"][0]["id"], made["id"], "the reader sees it as the clinic does");
    let answer = download(relay, &verifier, &id).await?;
    let header = |name: &str| {
        answer.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
    };
    assert_eq!(header("content-security-policy"), "sandbox; default-src 'none'");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-type"), "application/pdf");
    assert_eq!(header("cache-control"), "no-store");
    ensure!(header("content-disposition").starts_with("attachment; filename=\"_____.pdf\"; "));
    ensure!(header("content-disposition").contains("filename*=UTF-8''%E7%9F%A5"), "RFC 8187");
    assert_eq!(answer.bytes().await?, PDF);
    let stranger = people.person(Place::Stranger, Role::ClinicDoctor).await?;
    assert_eq!(download(relay, &stranger, &id).await?.status(), StatusCode::NOT_FOUND);
    let other = upload(relay, &stranger, &order, "a.pdf", "application/pdf", PDF.into()).await?;
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
    let theirs = upload(relay, &verifier, &order, "a.pdf", "application/pdf", PDF.into()).await?;
    assert_eq!(theirs.status(), StatusCode::FORBIDDEN, "a reader writes no papers");

    // The sweep at a start leaves papers alone; what was removed is gone.
    let second: Value = upload(relay, &doctor, &order, "b.pdf", "application/pdf", PDF.into())
        .await?
        .json()
        .await?;
    let second = second["id"].as_str().context("an identifier")?.to_owned();
    doctor.tell(Method::DELETE, &format!("/api/v1/attachments/{second}"), &json!({})).await?;
    assert_eq!(download(relay, &doctor, &second).await?.status(), StatusCode::NOT_FOUND);
    relay.pass(Span::from_hours(3));
    relay.service().sweep_orphans(relay.now()).await?;
    assert_eq!(download(relay, &doctor, &id).await?.bytes().await?, PDF);

    let claim = verifier.next_case().await?;
    verifier.sign(&claim, &Text::new("甲", "乙")).await?;
    let late = doctor.tell(Method::DELETE, &format!("/api/v1/attachments/{id}"), &json!({})).await;
    assert_eq!(late.expect_err("refused").code(), Some("STATE_CONFLICT"), "a report rests on it");
    let events = relay.events().await?;
    for (kind, times) in [("attachment_added", 2), ("attachment_removed", 1)] {
        assert_eq!(events.iter().filter(|event| *event == kind).count(), times, "{kind}");
    }
    ensure!(events.iter().any(|event| event == "attachment_read"));
    let named = "SELECT COUNT(*) FROM events WHERE details LIKE '%知情%'";
    assert_eq!(relay.count(named).await?, 0, "a name may be the patient's");
    Ok(())
}

async fn refused_papers(relay: &mut Relay) -> Result<()> {
    let people = Consortium::found(relay).await?;
    let order = ordered(relay, &people, Place::ClinicB, 2, Priority::Routine).await?;
    let doctor = people.person(Place::ClinicB, Role::ClinicDoctor).await?;
    let long = |bytes: usize| [PDF, &vec![b'x'; bytes - PDF.len()]].concat();
    for (name, media_type, body, status) in [
        ("a.pdf", "application/pdf", b"<html>".to_vec(), StatusCode::UNPROCESSABLE_ENTITY),
        ("a.svg", "image/svg+xml", b"<svg/>".to_vec(), StatusCode::UNPROCESSABLE_ENTITY),
        ("a.png", "image/png", PDF.to_vec(), StatusCode::UNPROCESSABLE_ENTITY),
        ("", "application/pdf", PDF.to_vec(), StatusCode::UNPROCESSABLE_ENTITY),
        ("a\nb.pdf", "application/pdf", PDF.to_vec(), StatusCode::UNPROCESSABLE_ENTITY),
        ("a.pdf", "application/pdf", long((8 << 20) + 1), StatusCode::PAYLOAD_TOO_LARGE),
        ("a.pdf", "application/pdf", long(8 << 20), StatusCode::CREATED),
    ] {
        let answer = upload(relay, &doctor, &order, name, media_type, body).await?;
        assert_eq!(answer.status(), status, "{name:?} as {media_type}");
    }
    for number in 1..20 {
        let name = format!("{number}.pdf");
        let answer = upload(relay, &doctor, &order, &name, "application/pdf", PDF.into()).await?;
        assert_eq!(answer.status(), StatusCode::CREATED);
    }
    let more = upload(relay, &doctor, &order, "21.pdf", "application/pdf", PDF.into()).await?;
    assert_eq!(more.status(), StatusCode::CONFLICT);
    // Everything else is still as short as before.
    let long = json!({ "login": "x".repeat(2 << 20), "password": "x" });
    let url = format!("{}/api/v1/sessions", relay.url());
    let answer = reqwest::Client::new().post(url).json(&long).send().await?;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let blobs = "SELECT COUNT(*) FROM attachments";
    assert_eq!(relay.count(blobs).await?, 20);
    Ok(())
}

async fn working_hours(relay: &mut Relay) -> Result<()> {
    let people = Consortium::found(relay).await?;
    let path = format!("/api/v1/organizations/{}/calendar", people.at(Place::Lead));
    let reader = people.person(Place::Lead, Role::Reporter).await?;
    let none: Value = reader.get(&path).await?;
    assert_eq!((&none["version"], &none["offset_minutes"]), (&json!(0), &json!(480)));
    let day = json!([["08:00", "12:00"], ["14:00", "17:30"]]);
    let calendar = |version: i64| {
        json!({
            "week": [day, day, day, day, day, [], []], "holidays": ["2026-01-06"],
            "workdays": ["2026-01-10"], "offset_minutes": 480, "version": version,
        })
    };
    let set: Value = people.root.call(Method::PUT, &path, &calendar(0)).await?;
    assert_eq!(set["version"], 1);
    assert_eq!(reader.get::<Value>(&path).await?, set);
    let stale = people.root.call::<Value>(Method::PUT, &path, &calendar(0)).await;
    assert_eq!(stale.expect_err("stale").code(), Some("VERSION_CONFLICT"));
    let mut bad = calendar(1);
    bad["holidays"] = json!(["2026-02-30"]);
    let bad = people.root.call::<Value>(Method::PUT, &path, &bad).await;
    assert_eq!(bad.expect_err("no such day").code(), Some("VALIDATION"));

    // Monday morning: the noon break does not count; what is STAT goes by the clock.
    let allowed = [(Priority::Routine, 240 + 120), (Priority::Stat, 60), (Priority::Urgent, 120)];
    for (seed, (priority, minutes)) in (10..).zip(allowed) {
        ordered(relay, &people, Place::ClinicA, seed, priority).await?;
        let cases: Value = reader.get("/api/v1/cases").await?;
        let lines = cases["items"].as_array().context("a list")?;
        let mut all = lines.iter().map(|line| &line["case"]);
        let case = all.find(|case| case["priority"] == priority.as_str());
        let case = case.with_context(|| format!("its case: {cases}"))?;
        let time = |name: &str| case[name].as_i64().context("a time");
        let due = (time("deadline")? - time("opened_at")?) / MINUTE;
        assert_eq!(due, minutes, "{priority:?}");
    }
    // Monday evening; Tuesday is a holiday: Wednesday at noon.
    relay.advance(Span::from_hours(9)).await?;
    ordered(relay, &people, Place::ClinicB, 20, Priority::Routine).await?;
    let last = "SELECT MAX(deadline) FROM cases";
    let noon = START.micros() + (2 * 24 * 60 + 150) * MINUTE;
    assert_eq!(relay.count(last).await?, noon);
    Ok(())
}

async fn statistics(relay: &mut Relay) -> Result<()> {
    let people = Consortium::found(relay).await?;
    let verifier = people.person(Place::Lead, Role::Verifier).await?;
    for (seed, minutes) in [(31, 10), (32, 30), (33, 200)] {
        ordered(relay, &people, Place::ClinicB, seed, Priority::Urgent).await?;
        relay.advance(Span::from_minutes(minutes)).await?;
        let claim = verifier.next_case().await?;
        verifier.sign(&claim, &Text::new("甲", "乙")).await?;
    }
    for _ in 0..2 {
        // Somebody uses every session now and then.
        relay.advance(Span::from_hours(12)).await?;
        people.root.get::<Value>("/api/v1/me").await?;
        verifier.get::<Value>("/api/v1/me").await?;
    }
    ordered(relay, &people, Place::ClinicA, 34, Priority::Stat).await?;
    relay.advance(Span::from_hours(2)).await?;
    let coordinator = people.person(Place::Lead, Role::Coordinator).await?;
    let (from, to) = (START.micros(), relay.now().micros());
    let ask = |by: &str| format!("/api/v1/statistics?from={from}&to={to}&by={by}");
    let day: Value = coordinator.get(&ask("day")).await?;
    let total = &day["total"];
    for (name, expected) in [
        ("cases", 4),
        ("stat", 1),
        ("urgent", 3),
        ("signed", 3),
        ("overdue", 2),
        ("returned", 0),
        ("critical", 0),
        ("instances", 8),
    ] {
        assert_eq!(total[name], expected, "{name}: {total}");
    }
    // The quiet time of a minute is over two minutes after the last image.
    let median = total["median_minutes"].as_i64().context("a median")?;
    ensure!((30..=32).contains(&median), "{total}");
    ensure!(total["p90_minutes"].as_i64().is_some_and(|p90| p90 >= 200), "{total}");
    let rows = |body: &Value| body["rows"].as_array().cloned().unwrap_or_default();
    let keys = |body: &Value| {
        rows(body)
            .iter()
            .map(|row| row["key"].as_str().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&day), ["2026-01-05", "2026-01-06"]);
    let clinics: Value = coordinator.get(&ask("clinic")).await?;
    let mut labels: Vec<_> = rows(&clinics).iter().map(|row| row["label"].clone()).collect();
    labels.sort_by_key(Value::to_string);
    assert_eq!(labels, [json!(Place::ClinicB.name()), json!(Place::ClinicA.name())]);
    let readers: Value = coordinator.get(&ask("reader")).await?;
    assert_eq!(keys(&readers), std::slice::from_ref(&verifier.id));
    assert_eq!((&rows(&readers)[0]["cases"], &readers["total"]["cases"]), (&json!(3), &json!(4)));
    assert_eq!(keys(&coordinator.get(&ask("modality")).await?), ["CT"]);

    // Nobody counts what is not theirs; too much time is refused.
    let other = people.person(Place::County, Role::Coordinator).await?;
    assert_eq!(other.get::<Value>(&ask("day")).await?["total"]["cases"], 0);
    assert_eq!(people.root.get::<Value>(&ask("day")).await?["total"]["cases"], 4);
    let own = people.person(Place::ClinicA, Role::Administrator).await?;
    assert_eq!(own.get::<Value>(&ask("day")).await?["total"]["cases"], 1);
    system(&people, &own).await?;
    let long = format!("/api/v1/statistics?from=0&to={to}");
    let refused = coordinator.get::<Value>(&long).await.expect_err("56 years");
    assert_eq!(refused.code(), Some("VALIDATION"));
    Ok(())
}

/// How the relay is while one case of clinic A is overdue.
async fn system(people: &Consortium, own: &Person) -> Result<()> {
    let system: Value = people.root.get("/api/v1/system").await?;
    assert_eq!(system["ready"], true);
    assert_eq!(system["queue"], json!({ "ready": 1, "in_progress": 0, "overdue": 1 }));
    assert_eq!(system["jobs"]["failed"], 0);
    assert_eq!(system["started_at"], START.micros());
    ensure!(system["database"]["bytes"].as_i64().is_some_and(|bytes| bytes > 0), "{system}");
    ensure!(system["disk"]["total"].as_u64() > system["disk"]["free"].as_u64(), "{system}");
    assert_eq!(own.get::<Value>("/api/v1/system").await?["queue"]["ready"], 1);
    let stranger = people.person(Place::Stranger, Role::Administrator).await?;
    assert_eq!(stranger.get::<Value>("/api/v1/system").await?["queue"]["ready"], 0);
    Ok(())
}

async fn audit(relay: &mut Relay) -> Result<()> {
    let people = Consortium::found(relay).await?;
    let doctor = people.person(Place::ClinicB, Role::ClinicDoctor).await?;
    ordered(relay, &people, Place::ClinicB, 41, Priority::Routine).await?;
    relay.pass(Span::from_hours(1));
    let between = relay.now().micros();
    ordered(relay, &people, Place::ClinicA, 42, Priority::Routine).await?;
    let auditor = people.person(Place::Lead, Role::Auditor).await?;
    let search = async |query: &str| -> Result<Vec<Value>> {
        let page: Value = auditor.get(&format!("/api/v1/audit?limit=200&{query}")).await?;
        Ok(page["items"].as_array().cloned().unwrap_or_default())
    };
    let kinds: Value = auditor.get("/api/v1/audit/kinds").await?;
    ensure!(kinds["items"].as_array().is_some_and(|all| all.contains(&json!("case_opened"))));
    assert_eq!(search("kind=order_changed").await?.len(), 2);
    let theirs = search(&format!("kind=order_changed&actor=person:{}", doctor.id)).await?;
    assert_eq!(theirs.len(), 1);
    assert_eq!(theirs[0]["actor_name"], doctor.name);
    let device = search("kind=study_arriving").await?;
    assert_eq!(device[0]["actor_name"], "CT_A", "{device:?}");
    assert_eq!(search("kind=started").await?[0]["actor_name"], Value::Null);
    assert_eq!(search(&format!("kind=case_opened&from={between}")).await?.len(), 1);
    assert_eq!(search(&format!("kind=case_opened&to={between}")).await?.len(), 1);
    let of_b = format!("kind=case_opened&organization={}", people.at(Place::ClinicB));
    assert_eq!(search(&of_b).await?.len(), 1);
    let mut after = String::new();
    let mut seen = 0;
    loop {
        let page: Value = auditor.get(&format!("/api/v1/audit?limit=7{after}")).await?;
        seen += page["items"].as_array().map_or(0, Vec::len);
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    ensure!(seen > 30, "{seen} events page by page");
    let unknown = auditor.get::<Value>("/api/v1/audit?kind=nonsense").await;
    assert_eq!(unknown.expect_err("no such kind").code(), Some("VALIDATION"));
    let own = people.person(Place::ClinicA, Role::Auditor).await?;
    let seen: Value = own.get("/api/v1/audit?kind=case_opened").await?;
    assert_eq!(seen["items"].as_array().map(Vec::len), Some(1), "only one's own");
    Ok(())
}

/// The same image with two bytes more.
fn changed(one: &PhantomInstance) -> PhantomInstance {
    let mut other = one.clone();
    other.data_set.extend_from_slice(b"\xE1\x7F\x10\x00OB\0\0\x02\0\0\0\x01\x02");
    other
}

async fn put_aside(relay: &mut Relay) -> Result<()> {
    let people = Consortium::found(relay).await?;
    let one = PhantomSpec::tiny(1, 51).iter().next().context("an image")?;
    let scanner = people.scanner(Place::ClinicB);
    let other = changed(&one);
    scanner.send_instances(&[one]).await?;
    scanner.send_instances(&[other]).await?;
    let technician = people.person(Place::ClinicB, Role::Technician).await?;
    let open: Value = technician.get("/api/v1/quarantine?settled=false").await?;
    let found = &open["items"][0];
    assert_eq!((&found["reason"], &found["settled_at"]), (&json!("other_content"), &Value::Null));
    let path = format!("/api/v1/quarantine/{}/settle", found["id"].as_str().context("an id")?);
    let settle = async |person: &Person, reason: &str| {
        person.call::<Value>(Method::POST, &path, &json!({ "reason": reason })).await
    };
    let stranger = people.person(Place::Stranger, Role::Technician).await?;
    assert_eq!(settle(&stranger, "看不见").await.expect_err("hidden").code(), Some("NOT_FOUND"));
    assert_eq!(settle(&technician, "  ").await.expect_err("why?").code(), Some("VALIDATION"));
    let coordinator = people.person(Place::Lead, Role::Coordinator).await?;
    let settled = settle(&coordinator, "重复发送，原图有效").await?;
    assert_eq!(settled["settled_reason"], "重复发送，原图有效");
    assert_eq!(settled["settled_by_name"], coordinator.name);
    assert_eq!(settled["settled_at"], relay.now().micros());
    let again = settle(&technician, "再次").await;
    assert_eq!(again.expect_err("once").code(), Some("STATE_CONFLICT"));
    for (query, count) in [("?settled=false", 0), ("?settled=true", 1), ("", 1)] {
        let list: Value = technician.get(&format!("/api/v1/quarantine{query}")).await?;
        assert_eq!(list["items"].as_array().map(Vec::len), Some(count), "{query}");
    }
    ensure!(relay.events().await?.iter().any(|event| event == "quarantine_settled"));

    // The device was heard: it has stored something, and has not asked whether we are there.
    let devices: Value = technician.get("/api/v1/devices").await?;
    assert_eq!(devices["items"][0]["stored_at"], START.micros());
    assert_eq!(devices["items"][0]["echoed_at"], Value::Null);
    scanner.echo().await?;
    let mut tries = 0;
    while technician.get::<Value>("/api/v1/devices").await?["items"][0]["echoed_at"].is_null() {
        tries += 1;
        ensure!(tries < 100, "an echo is noted beside the association");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_is_online_while_it_is_connected() -> Result<()> {
    let linked = |config: &mut Config| {
        config.https.enabled = true;
        config.https.listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        config.https.listen.set_port(0);
    };
    tell_with(Engine::Sqlite, linked, async |relay: &mut Relay| {
        let people = Consortium::found(relay).await?;
        let gateway = Gateway::join(relay, &people, Place::ClinicA).await?;
        let path = format!("/api/v1/gateways/{}", gateway.id);
        let seen: Value = people.root.get(&path).await?;
        assert_eq!(
            (&seen["online"], &seen["clinic_name"]),
            (&json!(false), &json!(Place::ClinicA.name()))
        );
        let line = gateway.connect(Way::WebSocket).await?;
        let mut tries = 0;
        while people.root.get::<Value>(&path).await?["online"] == false {
            tries += 1;
            ensure!(tries < 100, "a connected gateway is online");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let system: Value = people.root.get("/api/v1/system").await?;
        assert_eq!(system["gateways"], json!({ "online": 1, "offline": 0 }));
        ensure!(system["certificate_until"].as_i64() > Some(relay.now().micros()), "{system}");
        line.cut();
        relay.pass(Span::from_minutes(3));
        assert_eq!(people.root.get::<Value>(&path).await?["online"], false);
        Ok(())
    })
    .await
}

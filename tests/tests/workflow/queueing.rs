//! Who comes next, and the parts of the queue.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use medrelay_client::{NewOrder, Text};
use medrelay_core::people::{Priority, Role};
use medrelay_core::time::Span;
use medrelay_dicom::phantom::PhantomSpec;
use medrelay_tests::clinic::{Person, Place};
use medrelay_tests::relay::{Engine, Relay, tell};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Cast, at, items, line, of_patient, post, proof, refusal, signed, text};

/// Given to one, kept from the others, and never stranded.
pub async fn assignment(relay: &mut Relay) -> Result<()> {
    let cast = Cast::assemble(relay).await?;
    let other = cast.consortium.numbered(Place::Lead, Role::Reporter, 2).await?;
    let first = cast.waiting(relay, &of_patient(0, 401)).await?;
    let second = cast.waiting(relay, &of_patient(1, 402)).await?;
    let to = |person: &Person| json!({ "person": person.id });

    let wrong = post(&cast.coordinator, &at(&second, "assign"), to(&cast.doctor)).await;
    assert_eq!(refusal(wrong), "VALIDATION", "not a reader");
    let unasked = post(&cast.reporter, &at(&second, "assign"), to(&cast.reporter)).await;
    assert_eq!(refusal(unasked), "FORBIDDEN");
    let given = post(&cast.coordinator, &at(&second, "assign"), to(&other)).await?;
    assert_eq!(text(&given["assigned"]), other.id);
    let seen = line(&cast.coordinator, &second).await?;
    assert_eq!((text(&seen["assigned"]), text(&seen["assigned_name"])), (&*other.id, &*other.name));
    let readers = format!("/api/v1/centres/{}/readers", cast.consortium.at(Place::Lead));
    let staff: Value = cast.coordinator.get(&readers).await?;
    let found = items(&staff).iter().find(|it| it["person"] == other.id.as_str());
    let found = found.context("everybody who reads is listed")?;
    assert_eq!((&found["waiting"], &found["holds"]), (&json!(1), &json!(0)));
    assert_eq!(found["roles"], json!(["reporter"]));
    let mine: Value = other.get("/api/v1/queue?tab=mine").await?;
    assert_eq!((items(&mine).len(), &mine["counts"]["mine"]), (1, &json!(1)));

    // Nobody else gets it, neither by picking nor as the next one.
    let picked = cast.reporter.claim(&second).await.expect_err("another's");
    assert_eq!(picked.code(), Some("ASSIGNED_TO_ANOTHER"));
    // Its assignee gets it before what stands higher.
    let claim = other.next_case().await?;
    assert_eq!(claim.case.id, second);
    other.release(&claim, "换班").await?;
    post(&cast.coordinator, &at(&second, "assign"), to(&other)).await?;
    let taken = cast.reporter.next_case().await?;
    assert_eq!(taken.case.id, first);
    let none = cast.reporter.next_case().await.expect_err("the other one is another's");
    assert_eq!(none.code(), Some("QUEUE_EMPTY"));
    let held = post(&cast.coordinator, &at(&first, "assign"), to(&other)).await;
    assert_eq!(refusal(held), "STATE_CONFLICT", "somebody works on it");

    // An account that is closed keeps nothing from the others.
    let path = format!("/api/v1/people/{}", other.id);
    let person: Value = cast.consortium.root.get(&path).await?;
    let close = json!({ "version": person["version"], "disabled": true });
    cast.consortium.root.tell(Method::PATCH, &path, &close).await?;
    let freed = cast.reporter.next_case().await?;
    assert_eq!(freed.case.id, second);
    assert_eq!(line(&cast.coordinator, &second).await?["assigned"], Value::Null);

    // The first signature ends the assignment: its author could not verify it anyway.
    cast.reporter.sign(&freed, &Text::new("未见异常。", "未见异常。")).await?;
    let own = post(&cast.coordinator, &at(&second, "assign"), to(&cast.reporter)).await;
    assert_eq!(refusal(own), "AUTHOR_CANNOT_VERIFY");
    let junior = cast.consortium.numbered(Place::Lead, Role::Reporter, 3).await?;
    let junior = post(&cast.coordinator, &at(&second, "assign"), to(&junior)).await;
    assert_eq!(refusal(junior), "VALIDATION", "a final report needs a verifier");
    post(&cast.coordinator, &at(&second, "assign"), to(&cast.verifier)).await?;
    let colleague = cast.consortium.numbered(Place::Lead, Role::Verifier, 2).await?;
    let none = colleague.next_case().await.expect_err("it is the other verifier's");
    assert_eq!(none.code(), Some("QUEUE_EMPTY"));
    let whoever =
        post(&cast.coordinator, &at(&second, "assign"), json!({ "person": null })).await?;
    assert_eq!(whoever["assigned"], Value::Null);
    assert_eq!(colleague.next_case().await?.case.id, second);
    Ok(())
}

async fn tab(person: &Person, query: &str) -> Result<(Value, Vec<String>)> {
    let page: Value = person.get(&format!("/api/v1/queue?{query}")).await?;
    let ids = items(&page).iter().map(|it| text(&it["case"]["id"]).to_owned()).collect();
    Ok((page, ids))
}

/// Tabs, counts, filters, pages; what a clinic may expect.
pub async fn parts(relay: &mut Relay) -> Result<()> {
    let cast = Cast::assemble(relay).await?;
    // Somebody has read something lately: ten minutes for a case.
    let read = cast.waiting(relay, &of_patient(9, 410)).await?;
    let unknown = line(&cast.doctor, &read).await?;
    assert_eq!(unknown["forecast"], json!({ "ahead": 0, "expected_at": null }), "nothing is known");
    let claim = cast.reporter.claim(&read).await?;
    relay.pass(Span::from_minutes(10));
    cast.reporter.sign(&claim, &Text::new("未见异常。", "未见异常。")).await?;

    let mut cases = Vec::new();
    for number in 0..4 {
        let accession = format!("Q_{number}%");
        let spec =
            PhantomSpec { accession: Some(accession), ..of_patient(number, 411 + number as u64) };
        if number == 3 {
            let clinic = cast.consortium.at(Place::ClinicA);
            let order = NewOrder {
                accession: spec.accession.clone(),
                priority: Priority::Stat,
                ..NewOrder::new(clinic, spec.patient.id.clone(), spec.patient.name.clone(), "CT")
            };
            cast.doctor.create_order(&order).await?;
        }
        cases.push(cast.waiting(relay, &spec).await?);
    }
    let elsewhere = cast.arrived(relay, Place::ClinicB, &of_patient(5, 419)).await?;

    let (page, ready) = tab(&cast.reporter, "tab=ready").await?;
    assert_eq!(ready.len(), 5);
    assert_eq!(ready[0], cases[3], "STAT first");
    assert_eq!((&page["total"], &items(&page)[0]["rank"]), (&json!(5), &json!(1)));
    let counts = json!({
        "ready": 5, "mine": 0, "review": 1, "returned": 0, "critical": 0, "receiving": 0, "all": 6,
        "signed_today": 1,
    });
    assert_eq!(page["counts"], counts);
    let (_, waiting) = tab(&cast.reporter, "").await?;
    assert_eq!(waiting.len(), 6, "without a tab: what waits for anybody");
    let (_, review) = tab(&cast.reporter, "tab=review").await?;
    assert_eq!(review, [read.as_str()]);
    let (_, first) = tab(&cast.reporter, "tab=ready&limit=2").await?;
    let (_, then) = tab(&cast.reporter, "tab=ready&limit=2&offset=2").await?;
    assert_eq!([first, then].concat(), ready[..4], "pages follow each other");

    // Filters; a percent sign is only itself.
    let (_, stat) = tab(&cast.reporter, "priority=stat").await?;
    assert_eq!(stat, [cases[3].as_str()]);
    let (_, text_found) = tab(&cast.reporter, "tab=all&text=q_2%25").await?;
    assert_eq!(text_found, [cases[2].as_str()]);
    let (_, nothing) = tab(&cast.reporter, "tab=all&text=%25%25").await?;
    assert!(nothing.is_empty());
    // Names are typed as people read them, without the marks between their parts.
    for name in ["张小东", "Zhang Xiaodong", "张^小东"] {
        let (_, named) = tab(&cast.reporter, &format!("tab=ready&text={name}")).await?;
        assert_eq!(named, [cases[0].as_str()], "{name}");
    }
    let clinic = format!("tab=all&clinic={}", cast.consortium.at(Place::ClinicB));
    assert_eq!(tab(&cast.reporter, &clinic).await?.1, [elsewhere.as_str()]);
    assert!(tab(&cast.reporter, "modality=MR").await?.1.is_empty());
    assert!(tab(&cast.reporter, "overdue=true").await?.1.is_empty());
    let by_text: Value = cast.doctor.get("/api/v1/cases?text=q_1%25&priority=routine").await?;
    assert_eq!((items(&by_text).len(), text(&items(&by_text)[0]["case"]["id"])), (1, &*cases[1]));

    forecast(relay, &cast, &cases[2], &page).await?;
    moved_on(relay, &cast, &cases).await
}

/// What the clinic may expect: those before it, by the pace of the last readings.
async fn forecast(relay: &Relay, cast: &Cast, case: &str, page: &Value) -> Result<()> {
    let listed = items(page).iter().find(|it| it["case"]["id"] == case).context("it waits")?;
    let ahead = line(&cast.doctor, case).await?["forecast"].clone();
    let before = ahead["ahead"].as_i64().context("a number")?;
    assert_eq!(listed["rank"].as_i64(), Some(before + 1));
    let expected = ahead["expected_at"].as_i64().context("somebody reads")?;
    assert_eq!(expected - relay.now().micros(), Span::from_minutes(10 * before).micros());
    assert_eq!(listed["forecast"]["ahead"], ahead["ahead"]);
    relay.advance(Span::from_minutes(31)).await?;
    let idle = line(&cast.doctor, case).await?["forecast"].clone();
    assert_eq!(idle["expected_at"], Value::Null, "nobody is at work");

    Ok(())
}

/// Held, returned, and gone when it is signed.
async fn moved_on(relay: &Relay, cast: &Cast, cases: &[String]) -> Result<()> {
    let claim = cast.reporter.claim(&cases[0]).await?;
    assert_eq!(tab(&cast.reporter, "tab=mine").await?.1, [cases[0].as_str()]);
    assert!(tab(&cast.coordinator, "tab=mine").await?.1.is_empty());
    let back = json!({ "proof": proof(&claim), "code": "MOTION" });
    post(&cast.reporter, &at(&cases[0], "return"), back).await?;
    let (page, returned) = tab(&cast.reporter, "tab=returned").await?;
    assert_eq!((returned, &items(&page)[0]["rank"]), (vec![cases[0].clone()], &json!(0)));
    relay.advance(Span::from_hours(5)).await?;
    let (_, overdue) = tab(&cast.reporter, "tab=all&overdue=true").await?;
    ensure!(!overdue.contains(&cases[0]), "the time of what is with its clinic stands still");
    assert_eq!(overdue.len(), 5);
    signed(cast, &cases[1]).await?;
    let (page, all) = tab(&cast.reporter, "tab=all").await?;
    ensure!(!all.contains(&cases[1]), "what is signed is gone");
    assert_eq!(page["counts"]["returned"], 1);
    Ok(())
}

/// Fifty thousand cases wait: a page is what is looked up, the rest is only put in order. The limit
/// is for an unoptimized build on a busy machine; a release build takes a fraction of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_of_fifty_thousand_answers_in_pages() -> Result<()> {
    tell(Engine::Sqlite, crowded).await
}

const CROWD: i64 = 50_000;
const CROWDED_WITHIN: Duration = Duration::from_secs(6);

async fn crowded(relay: &mut Relay) -> Result<()> {
    let cast = Cast::assemble(relay).await?;
    cast.waiting(relay, &of_patient(0, 431)).await?;
    let pool = relay.sql().await?;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 49999)";
    let id = |kind: &str| format!("printf('0190a5c0-{kind}-7000-8000-%012x', n.i)");
    let (study, case) = (id("0001"), id("0002"));
    let studies = format!(
        "INSERT INTO studies (id, uid, clinic_id, patient_id, patient_name, modality, charset, \
         charset_guessed, instances, bytes, stage, first_at, last_at, settle_at, version) \
         {many} SELECT {study}, '1.2.' || n.i, clinic_id, 'P' || n.i, 'Y^' || n.i, modality, \
         charset, 0, 1, 1, stage, first_at, last_at, settle_at, 1 FROM studies, n"
    );
    let cases = format!(
        "INSERT INTO cases (id, number, agreement_id, clinic_id, centre_id, study_id, modality, \
         priority, policy, opened_at, deadline, fair, fence, late_images, stage, state, version) \
         {many} SELECT {case}, 'IMG-' || n.i, agreement_id, clinic_id, centre_id, {study}, \
         modality, priority, policy, opened_at + n.i, deadline + n.i * 1000003 % 9000000000, \
         n.i * 7919 % 49999, 0, 0, stage, state, 1 FROM cases, n"
    );
    for sql in [studies, cases] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await?;
    }
    pool.close().await;
    let begun = Instant::now();
    let (page, ready) = tab(&cast.reporter, "tab=ready&limit=200&offset=49000").await?;
    let taken = begun.elapsed();
    println!("a page of {CROWD} cases: {} ms", taken.as_millis());
    assert_eq!((&page["total"], ready.len()), (&json!(CROWD), 200));
    assert_eq!(items(&page)[0]["rank"], 49_001);
    ensure!(taken < CROWDED_WITHIN, "a page took {taken:?}");
    let begun = Instant::now();
    cast.reporter.next_case().await?;
    println!("the next of them: {} ms", begun.elapsed().as_millis());
    Ok(())
}

//! The ways of a case between its clinic, its centre and a reader: sent back and sent again, given
//! to somebody, found critical and read back, discussed, compared with what was before, drawn on.
//! On both engines.

mod queueing;

use anyhow::{Context, Result, ensure};
use medrelay::secrets;
use medrelay_client::{Claim, Error, Text};
use medrelay_core::people::Role;
use medrelay_core::report::sha256_hex;
use medrelay_core::time::Span;
use medrelay_dicom::phantom::{Modality as Kind, PhantomPatient, PhantomSpec};
use medrelay_tests::clinic::{Consortium, Person, Place};
use medrelay_tests::relay::{Engine, Relay, tell};
use reqwest::Method;
use serde_json::{Value, json};

use queueing::{assignment, parts};

/// The quiet time of CT.
const QUIET: Span = Span::from_secs(60);

macro_rules! on_both_engines {
    ($($story:ident => $sqlite:ident, $postgres:ident;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $sqlite() -> Result<()> {
            tell(Engine::Sqlite, $story).await
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $postgres() -> Result<()> {
            tell(Engine::Postgres, $story).await
        }
    )+};
}

on_both_engines! {
    sent_back => a_case_goes_back_and_comes_again_on_sqlite,
        a_case_goes_back_and_comes_again_on_postgres;
    critical => a_critical_finding_is_read_back_on_sqlite,
        a_critical_finding_is_read_back_on_postgres;
    discussed => both_sides_discuss_a_case_on_sqlite, both_sides_discuss_a_case_on_postgres;
    before => what_was_before_is_found_on_sqlite, what_was_before_is_found_on_postgres;
    drawn => what_is_drawn_is_signed_on_sqlite, what_is_drawn_is_signed_on_postgres;
    assignment => a_case_is_given_to_a_reader_on_sqlite, a_case_is_given_to_a_reader_on_postgres;
    parts => the_queue_has_its_parts_on_sqlite, the_queue_has_its_parts_on_postgres;
}

/// Everybody who has to do with cases of clinic A.
struct Cast {
    consortium: Consortium,
    technician: Person,
    doctor: Person,
    reporter: Person,
    verifier: Person,
    coordinator: Person,
}

impl Cast {
    async fn assemble(relay: &Relay) -> Result<Self> {
        let consortium = Consortium::found(relay).await?;
        Ok(Self {
            technician: consortium.person(Place::ClinicA, Role::Technician).await?,
            doctor: consortium.person(Place::ClinicA, Role::ClinicDoctor).await?,
            reporter: consortium.person(Place::Lead, Role::Reporter).await?,
            verifier: consortium.person(Place::Lead, Role::Verifier).await?,
            coordinator: consortium.person(Place::Lead, Role::Coordinator).await?,
            consortium,
        })
    }

    /// Sends a study of clinic A until it waits; its case.
    async fn waiting(&self, relay: &Relay, spec: &PhantomSpec) -> Result<String> {
        self.arrived(relay, Place::ClinicA, spec).await
    }

    async fn arrived(&self, relay: &Relay, place: Place, spec: &PhantomSpec) -> Result<String> {
        self.consortium.scanner(place).send(spec).await?;
        relay.advance(QUIET + QUIET).await?;
        let uid = spec.study_uid().to_string();
        let cases: Value = self.coordinator.get("/api/v1/cases").await?;
        let found = items(&cases).iter().find(|line| line["study_uid"] == uid.as_str());
        Ok(text(&found.context("the study has its case")?["case"]["id"]).to_owned())
    }
}

/// A study of a patient.
fn of_patient(number: usize, seed: u64) -> PhantomSpec {
    PhantomSpec { patient: PhantomPatient::sample(number), ..PhantomSpec::tiny(1, seed) }
}

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn proof(claim: &Claim) -> Value {
    json!({ "token": claim.token, "fence": claim.fence })
}

fn at(case: &str, what: &str) -> String {
    format!("/api/v1/cases/{case}/{what}")
}

async fn post(person: &Person, path: &str, body: Value) -> Result<Value, Error> {
    person.call(Method::POST, path, &body).await
}

fn refusal(outcome: Result<Value, Error>) -> String {
    match outcome {
        Ok(answer) => format!("accepted: {answer}"),
        Err(error) => error.code().unwrap_or("no code").to_owned(),
    }
}

async fn line(person: &Person, case: &str) -> Result<Value> {
    let cases: Value = person.get("/api/v1/cases").await?;
    let found = items(&cases).iter().find(|line| line["case"]["id"] == case);
    Ok(found.context("it is in the list")?.clone())
}

/// Returned by its reader and by a coordinator; the clock stands still; it keeps number and place.
async fn sent_back(relay: &mut Relay) -> Result<()> {
    let cast = Cast::assemble(relay).await?;
    let spec = of_patient(0, 301);
    let case = cast.waiting(relay, &spec).await?;
    let number = text(&line(&cast.doctor, &case).await?["number"]).to_owned();
    let due = cast.reporter.case(&case).await?.case.deadline;
    let claim = cast.reporter.claim(&case).await?;
    cast.reporter.save_draft(&claim, &Text::new("左肺", "")).await?;

    let back = |proof: Value| json!({ "proof": proof, "code": "MISSING_IMAGES", "text": "缺肺窗" });
    let unproven = post(&cast.reporter, &at(&case, "return"), back(Value::Null)).await;
    assert_eq!(refusal(unproven), "VALIDATION", "a reader shows the claim");
    let wrong = json!({ "token": "0", "fence": 1 });
    let wrong = post(&cast.reporter, &at(&case, "return"), back(wrong)).await;
    assert_eq!(refusal(wrong), "CLAIM_LOST");
    let held = post(&cast.coordinator, &at(&case, "return"), back(Value::Null)).await;
    assert_eq!(refusal(held), "STATE_CONFLICT", "somebody has it");
    relay.pass(Span::from_minutes(15));
    let left = due - relay.now().micros();
    ensure!(left > Span::from_hours(2).micros(), "more than half is left");
    let returned = post(&cast.reporter, &at(&case, "return"), back(proof(&claim))).await?;
    assert_eq!((text(&returned["stage"]), &returned["returns"]), ("returned", &json!(1)));
    assert_eq!(returned["hold"], Value::Null);

    seen_as_returned(&cast, &case).await?;
    assert!(cast.reporter.queue().await?.is_empty(), "it is in no queue");
    assert_eq!(cast.reporter.next_case().await.expect_err("none").code(), Some("QUEUE_EMPTY"));
    let beat = cast.reporter.heartbeat(&claim).await.expect_err("the claim is gone");
    assert_eq!(beat.code(), Some("CLAIM_LOST"));
    assert_eq!(cast.reporter.drafts(&case).await?[0].state, "orphan", "the text is kept");

    // The images that were asked for are not late, and one event is enough.
    let more = PhantomSpec { instances: 3, ..spec };
    let missing: Vec<_> = more.iter().skip(1).collect();
    cast.consortium.scanner(Place::ClinicA).send_instances(&missing).await?;
    assert!(!relay.events().await?.contains(&"late_image".to_owned()));
    assert!(!cast.doctor.case(&case).await?.case.late_images);

    // A night later the clinic sends it again: the clock goes on, and it has its old place.
    relay.advance(Span::from_hours(12)).await?;
    let again = json!({ "text": "已补传肺窗" });
    let strange = post(&cast.reporter, &at(&case, "resubmit"), again.clone()).await;
    assert_eq!(refusal(strange), "FORBIDDEN", "the clinic's to say");
    let now = relay.now();
    let ready = post(&cast.doctor, &at(&case, "resubmit"), again).await?;
    assert_eq!(text(&ready["stage"]), "ready");
    let rest = ready["deadline"].as_i64().context("a time")? - now.micros();
    assert_eq!(rest, left, "what was left when it was returned");
    let queue = cast.reporter.queue().await?;
    assert_eq!((queue.len(), queue[0].rank, queue[0].line.instances), (1, 1, 3));
    assert_eq!(queue[0].line.number, number, "the number is kept");
    assert_eq!(line(&cast.reporter, &case).await?["discussion"], 1, "what was done is told");

    nearly_late(relay, &cast, &case, left).await?;
    signed(&cast, &case).await?;
    let happened = relay.events().await?;
    assert_eq!(happened.iter().filter(|kind| *kind == "case_returned").count(), 2);
    assert_eq!(happened.iter().filter(|kind| *kind == "case_resubmitted").count(), 2);
    ensure!(relay.verify_audit().await?.fault.is_none(), "the trail is whole");
    Ok(())
}

/// Returned again by a coordinator and resubmitted, `left` before it would be due.
async fn nearly_late(relay: &Relay, cast: &Cast, case: &str, left: i64) -> Result<()> {
    // A coordinator sends it back when nearly everything is used up: half of it is given again.
    relay.pass(Span::from_micros(left - Span::from_minutes(5).micros()));
    let idle = post(&cast.coordinator, &at(case, "return"), json!({ "code": "MOTION" })).await?;
    assert_eq!((text(&idle["stage"]), &idle["returns"]), ("returned", &json!(2)));
    let ready = post(&cast.technician, &at(case, "resubmit"), json!({})).await?;
    let rest = ready["deadline"].as_i64().context("a time")? - relay.now().micros();
    assert_eq!(rest, Span::from_hours(2).micros());
    let twice = post(&cast.technician, &at(case, "resubmit"), json!({})).await;
    assert_eq!(refusal(twice), "STATE_CONFLICT");
    Ok(())
}

/// What the clinic and the centre see of a returned case.
async fn seen_as_returned(cast: &Cast, case: &str) -> Result<()> {
    for person in [&cast.technician, &cast.doctor, &cast.coordinator] {
        let seen = line(person, case).await?;
        let why = &seen["returned"];
        assert_eq!((text(&why["code"]), text(&why["text"])), ("MISSING_IMAGES", "缺肺窗"));
        assert_eq!((&why["times"], &why["by"]), (&json!(1), &json!(cast.reporter.id)));
        let detail: Value = person.get(&format!("/api/v1/cases/{case}")).await?;
        assert_eq!(&detail["returned"], why);
    }
    let asked: Value = cast.technician.get("/api/v1/messages?kind=return_request").await?;
    assert_eq!(items(&asked).len(), 1);
    assert_eq!(
        (text(&items(&asked)[0]["code"]), &items(&asked)[0]["unread"]),
        ("MISSING_IMAGES", &json!(true))
    );
    Ok(())
}

/// Read and signed by two people; the final version.
async fn signed(cast: &Cast, case: &str) -> Result<String> {
    let claim = cast.reporter.claim(case).await?;
    cast.reporter.sign(&claim, &Text::new("双肺未见异常。", "未见异常。")).await?;
    let claim = cast.verifier.claim(case).await?;
    let report = cast.verifier.sign(&claim, &Text::new("双肺未见异常。", "未见异常。")).await?;
    assert_eq!(report.kind, "final");
    Ok(report.id)
}

/// Raised before anything is signed, read back in words, settled; or called off by the centre.
async fn critical(relay: &mut Relay) -> Result<()> {
    let cast = Cast::assemble(relay).await?;
    let case = cast.waiting(relay, &of_patient(0, 311)).await?;
    let claim = cast.reporter.claim(&case).await?;
    let codes: Value = cast.doctor.get("/api/v1/findings/codes").await?;
    ensure!(items(&codes).iter().any(|it| it["code"] == "AORTIC_DISSECTION"), "{codes}");
    let body = json!({ "code": "AORTIC_DISSECTION", "text": "升主动脉夹层" });
    let unknown = post(&cast.reporter, &at(&case, "findings"), json!({ "code": "BAD" })).await;
    assert_eq!(refusal(unknown), "VALIDATION");
    let wordless = post(&cast.reporter, &at(&case, "findings"), json!({ "code": "OTHER" })).await;
    assert_eq!(refusal(wordless), "VALIDATION", "other than what?");
    let not_theirs = post(&cast.doctor, &at(&case, "findings"), body.clone()).await;
    assert_eq!(refusal(not_theirs), "FORBIDDEN");
    let raised = post(&cast.reporter, &at(&case, "findings"), body.clone()).await?;
    assert_eq!(
        (text(&raised["stage"]), text(&raised["clinic_name"])),
        ("notifying", Place::ClinicA.name())
    );
    let due = raised["due_at"].as_i64().context("a time")?;
    assert_eq!(due - relay.now().micros(), Span::from_minutes(10).micros());
    assert_eq!(line(&cast.doctor, &case).await?["critical"], "notifying");
    let told: Value = cast.technician.get("/api/v1/messages?kind=notice").await?;
    ensure!(text(&items(&told)[0]["text"]).contains("升主动脉夹层"), "gateways show it: {told}");
    let open: Value = cast.coordinator.get("/api/v1/queue?tab=critical").await?;
    assert_eq!((items(&open).len(), &open["counts"]["critical"]), (1, &json!(1)));

    let id = text(&raised["id"]).to_owned();
    let of = |what: &str| format!("/api/v1/findings/{id}/{what}");
    let early = json!({ "disposition": "refer", "text": "" });
    let early = post(&cast.doctor, &of("settle"), early).await;
    assert_eq!(refusal(early), "STATE_CONFLICT", "first it is read back");
    let nod = post(&cast.doctor, &of("acknowledge"), json!({ "read_back": "收到" })).await;
    assert_eq!(refusal(nod), "READ_BACK_MISSING");
    let own = json!({ "read_back": "患者主动脉夹层" });
    let own = post(&cast.reporter, &of("acknowledge"), own).await;
    assert_eq!(refusal(own), "FORBIDDEN", "whoever raised it does not read it back");
    relay.pass(Span::from_minutes(4));
    let words = json!({ "read_back": "患者，升主动脉夹层，已通知值班医生" });
    let heard = post(&cast.doctor, &of("acknowledge"), words.clone()).await?;
    assert_eq!(text(&heard["acknowledged_by_name"]), cast.doctor.name);
    assert_eq!((text(&heard["stage"]), &heard["read_back"]), ("acknowledged", &words["read_back"]));
    let twice = post(&cast.technician, &of("acknowledge"), words).await;
    assert_eq!(refusal(twice), "STATE_CONFLICT");
    let what = json!({ "disposition": "refer", "text": "转市医院" });
    let settled = post(&cast.doctor, &of("settle"), what).await?;
    assert_eq!((text(&settled["stage"]), text(&settled["disposition"])), ("settled", "refer"));
    assert_eq!(
        (text(&settled["settled_text"]), settled["version"].as_i64()),
        ("转市医院", Some(3))
    );
    assert_eq!(line(&cast.reporter, &case).await?["critical"], "settled");

    called_off(&cast, &case, &id, body).await?;

    // It goes on whatever becomes of the report.
    cast.reporter.sign(&claim, &Text::new("夹层。", "主动脉夹层。")).await?;
    let told = relay.events().await?;
    for kind in ["finding_raised", "finding_acknowledged", "finding_settled"] {
        ensure!(told.iter().any(|it| it == kind), "no {kind}");
    }
    Ok(())
}

/// A second finding is called off: by the centre only, and the first stays as it is.
async fn called_off(cast: &Cast, case: &str, first: &str, body: Value) -> Result<()> {
    let second = post(&cast.reporter, &at(case, "findings"), body).await?;
    assert_eq!(line(&cast.reporter, case).await?["critical"], "notifying", "the most pressing");
    let off = format!("/api/v1/findings/{}/false-alarm", text(&second["id"]));
    let clinic = post(&cast.doctor, &off, json!({ "reason": "误报" })).await;
    assert_eq!(refusal(clinic), "FORBIDDEN", "the clinic cannot call it off");
    let called_off = post(&cast.verifier, &off, json!({ "reason": "运动伪影" })).await?;
    assert_eq!(text(&called_off["stage"]), "false_alarm");
    let of_case: Value = cast.doctor.get(&at(case, "findings")).await?;
    let stages: Vec<&str> = items(&of_case).iter().map(|it| text(&it["stage"])).collect();
    assert_eq!(stages, ["settled", "false_alarm"]);
    let page: Value = cast.doctor.get("/api/v1/findings?stage=settled").await?;
    assert_eq!((items(&page).len(), items(&page)[0]["id"] == first), (1, true));
    let stranger = cast.consortium.person(Place::Stranger, Role::ClinicDoctor).await?;
    let none: Value = stranger.get("/api/v1/findings").await?;
    assert!(items(&none).is_empty());
    Ok(())
}

/// Either side writes, each sees what the other has written, gateways get none of it.
async fn discussed(relay: &mut Relay) -> Result<()> {
    let cast = Cast::assemble(relay).await?;
    let case = cast.waiting(relay, &of_patient(0, 321)).await?;
    let say = |text: &str| json!({ "kind": "discussion", "text": text });
    let asked = post(&cast.reporter, &at(&case, "messages"), say("有旧片吗？")).await?;
    assert_eq!(text(&asked["organization_name"]), Place::Lead.name());
    assert_eq!(line(&cast.doctor, &case).await?["discussion"], 1);
    let unread: Value = cast.doctor.get("/api/v1/messages?unread=true").await?;
    assert_eq!((items(&unread).len(), text(&items(&unread)[0]["text"])), (1, "有旧片吗？"));
    let own: Value = cast.reporter.get("/api/v1/messages?unread=true").await?;
    assert!(items(&own).is_empty(), "what one has written oneself is read");

    relay.pass(Span::from_secs(30));
    let answer = post(&cast.doctor, &at(&case, "messages"), say("有，2024年县医院。")).await?;
    assert_eq!(text(&answer["organization_name"]), Place::ClinicA.name());
    let notice = json!({ "kind": "notice", "text": "请阅" });
    let notice = post(&cast.doctor, &at(&case, "messages"), notice).await;
    assert_eq!(refusal(notice), "FORBIDDEN", "a notice is the centre's");
    let empty = post(&cast.doctor, &at(&case, "messages"), say("  ")).await;
    assert_eq!(refusal(empty), "VALIDATION");
    let stranger = cast.consortium.person(Place::Stranger, Role::ClinicDoctor).await?;
    let outside = post(&stranger, &at(&case, "messages"), say("？")).await;
    assert_eq!(refusal(outside), "NOT_FOUND");

    let thread: Value = cast.reporter.get(&at(&case, "messages")).await?;
    let said: Vec<&str> = items(&thread).iter().map(|it| text(&it["text"])).collect();
    assert_eq!(said, ["有旧片吗？", "有，2024年县医院。"]);
    assert_eq!(items(&thread)[1]["unread"], true, "until it was listed");
    let thread: Value = cast.reporter.get(&at(&case, "messages")).await?;
    assert_eq!(items(&thread)[1]["unread"], false);
    let still: Value = cast.coordinator.get("/api/v1/messages?unread=true&limit=1").await?;
    assert_eq!(
        text(&items(&still)[0]["text"]),
        "有，2024年县医院。",
        "newest first, for each person"
    );
    let next = text(&still["next"]);
    let rest: Value = cast.coordinator.get(&format!("/api/v1/messages?after={next}")).await?;
    assert_eq!(items(&rest).len(), 1);
    let none: Value = stranger.get("/api/v1/messages").await?;
    assert!(items(&none).is_empty());
    Ok(())
}

/// The same number at the same clinic, or the same person by name elsewhere; only what one may see.
async fn before(relay: &mut Relay) -> Result<()> {
    let cast = Cast::assemble(relay).await?;
    let first = PhantomSpec { study_date: "20240105".to_owned(), ..of_patient(0, 331) };
    let old = cast.waiting(relay, &first).await?;
    let report = signed(&cast, &old).await?;
    let mut elsewhere = of_patient(0, 332);
    elsewhere.patient.id = "B-77".to_owned();
    elsewhere.study_date = "20250203".to_owned();
    cast.arrived(relay, Place::ClinicB, &elsewhere).await?;
    // The same number and another birth date is another person, whatever the clinic's computer says.
    let mut recycled = of_patient(0, 333);
    recycled.patient.birth_date = "20190101".to_owned();
    cast.waiting(relay, &recycled).await?;
    // Read by another centre: its readers and the clinic see it, the lead hospital does not.
    let magnet =
        PhantomSpec { rows: 16, columns: 16, instances: 1, ..PhantomSpec::new(Kind::Mr, 334) };
    let magnet = PhantomSpec { patient: PhantomPatient::sample(0), ..magnet };
    cast.consortium.scanner(Place::ClinicA).send(&magnet).await?;
    let case = cast.waiting(relay, &of_patient(0, 335)).await?;

    let priors: Value = cast.reporter.get(&at(&case, "priors")).await?;
    let seen: Vec<(&str, bool)> = items(&priors)
        .iter()
        .map(|it| (text(&it["study_uid"]), it["same_patient_id"] == true))
        .collect();
    let (elsewhere, first) = (elsewhere.study_uid().to_string(), first.study_uid().to_string());
    assert_eq!(seen, [(elsewhere.as_str(), false), (first.as_str(), true)], "the newest first");
    assert_eq!(text(&items(&priors)[0]["clinic_name"]), Place::ClinicB.name());
    assert_eq!(items(&priors)[0]["report"], Value::Null, "nothing is signed there yet");
    assert_eq!(text(&items(&priors)[1]["report"]), report);
    assert_eq!(line(&cast.reporter, &case).await?["priors"], 2, "the count is what is listed");

    let own: Value = cast.doctor.get(&at(&case, "priors")).await?;
    let own: Vec<&str> = items(&own).iter().map(|it| text(&it["study_uid"])).collect();
    let magnet = magnet.study_uid().to_string();
    ensure!(
        own.len() == 2 && own.contains(&magnet.as_str()) && own.contains(&first.as_str()),
        "the clinic sees its own: {own:?}"
    );
    assert_eq!(line(&cast.doctor, &case).await?["priors"], 2);
    // A study that is listed can be opened.
    for prior in items(&priors) {
        cast.reporter.study(text(&prior["study"])).await?;
    }
    Ok(())
}

/// Drawn under the claim, signed with the report, carried on by the next version.
async fn drawn(relay: &mut Relay) -> Result<()> {
    let cast = Cast::assemble(relay).await?;
    let case = cast.waiting(relay, &of_patient(0, 341)).await?;
    let claim = cast.reporter.claim(&case).await?;
    let path = at(&case, "annotations");
    let nothing: Value = cast.reporter.get(&path).await?;
    assert_eq!(nothing, json!({ "body": null, "saved_at": null }));
    let arrows = json!({ "arrows": [{ "x": 1.5, "y": -2, "text": "结节6mm" }] });
    let put = async |person: &Person, proof: Value, body: &Value| {
        let body = json!({ "proof": proof, "body": body });
        person.call::<Value>(Method::PUT, &path, &body).await
    };
    assert_eq!(refusal(put(&cast.reporter, proof(&claim), &json!([1])).await), "VALIDATION");
    let heavy = json!({ "text": "x".repeat(513 << 10) });
    assert_eq!(refusal(put(&cast.reporter, proof(&claim), &heavy).await), "VALIDATION");
    assert_eq!(refusal(put(&cast.verifier, proof(&claim), &arrows).await), "CLAIM_LOST");
    put(&cast.reporter, proof(&claim), &json!({ "arrows": [] })).await?;
    let saved = put(&cast.reporter, proof(&claim), &arrows).await?;
    assert_eq!(text(&saved["sha256"]), sha256_hex(arrows.to_string().as_bytes()));
    let kept: Value = cast.reporter.get(&path).await?;
    assert_eq!(kept["body"], arrows);

    let words = Text::new("右肺结节。", "随访。");
    let preliminary = cast.reporter.sign(&claim, &words).await?;
    assert_eq!(refusal(put(&cast.reporter, proof(&claim), &arrows).await), "CLAIM_LOST");
    covered(&cast.verifier, &preliminary.id, Some(&saved)).await?;
    let claim = cast.verifier.claim(&case).await?;
    let shown: Value = cast.verifier.get(&path).await?;
    assert_eq!(shown["body"], arrows, "the verifier begins with what is there");
    let finale = cast.verifier.sign(&claim, &words).await?;
    covered(&cast.doctor, &finale.id, Some(&saved)).await?;
    let added = cast.verifier.add_addendum(&case, &Text::new("补充。", "随访。"), "旧片").await?;
    covered(&cast.doctor, &added.id, Some(&saved)).await?;

    // Nothing drawn is nothing signed: the format is the one that it always was.
    let plain = cast.waiting(relay, &of_patient(1, 342)).await?;
    let report = signed(&cast, &plain).await?;
    covered(&cast.doctor, &report, None).await?;
    let pool = relay.sql().await?;
    let forge = "UPDATE report_annotations SET body = '{\"arrows\":[]}'";
    sqlx::query(forge).execute(&pool).await?;
    pool.close().await;
    let said = cast.verifier.verify_report(&finale.id).await?;
    ensure!(!said.holds && said.signature_holds, "what was drawn is proven, too: {said:?}");
    Ok(())
}

/// Whether a signed version covers what was drawn, by the relay's word and by our own arithmetic.
async fn covered(person: &Person, report: &str, saved: Option<&Value>) -> Result<()> {
    let said = person.verify_report(report).await?;
    ensure!(said.holds, "{said:?}");
    let report = person.report(report).await?;
    let key = hex::decode(&said.public_key)?;
    let signature = hex::decode(&report.signature)?;
    ensure!(secrets::verify(&key, report.canonical.as_bytes(), &signature), "signed");
    let canonical: Value = serde_json::from_str(&report.canonical)?;
    let path = format!("/api/v1/reports/{}/annotations", report.id);
    match saved {
        Some(saved) => {
            assert_eq!(canonical["format"], "medrelay-report/2");
            assert_eq!(canonical["annotations_sha256"], saved["sha256"]);
            let kept: Value = person.get(&path).await?;
            assert_eq!(kept["sha256"], saved["sha256"]);
        }
        None => {
            assert_eq!(canonical["format"], "medrelay-report/1");
            let none = person.get::<Value>(&path).await;
            assert_eq!(refusal(none), "NOT_FOUND");
        }
    }
    Ok(())
}

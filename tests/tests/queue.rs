//! The door, the queue and the claims: who comes first, who holds a case, and what is kept of a
//! text whose writer has lost it. On both engines.

use anyhow::{Context, Result, ensure};
use medrelay_client::{Claim, Error, NewOrder, StudyQuery, Text};
use medrelay_core::people::{Priority, Role};
use medrelay_core::time::Span;
use medrelay_dicom::association::requestor::RequestError;
use medrelay_dicom::pdu::Rejection;
use medrelay_dicom::phantom::{PhantomPatient, PhantomSpec};
use medrelay_tests::clinic::{Consortium, Person, Place};
use medrelay_tests::modality::Modality;
use medrelay_tests::relay::{Engine, Relay, tell};

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
    door => the_door_keeps_what_it_cannot_place_on_sqlite,
        the_door_keeps_what_it_cannot_place_on_postgres;
    matching => studies_and_orders_find_each_other_on_sqlite,
        studies_and_orders_find_each_other_on_postgres;
    order_of_reading => the_urgent_is_read_first_on_sqlite, the_urgent_is_read_first_on_postgres;
    claims => a_lost_claim_keeps_the_text_on_sqlite, a_lost_claim_keeps_the_text_on_postgres;
    heartbeats => a_claim_lives_by_heartbeats_up_to_its_cap_on_sqlite,
        a_claim_lives_by_heartbeats_up_to_its_cap_on_postgres;
}

/// Who is not known is refused; what does not fit is put aside and called stored.
async fn door(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let technician = consortium.person(Place::ClinicA, Role::Technician).await?;
    let spec = PhantomSpec::tiny(1, 31);
    let instance = spec.instance(0, 0);
    for (stranger, reason) in [
        (Modality::new("NOBODY", relay.dicom()), Rejection::CALLING_AE_TITLE),
        (Modality::new("CT_A", relay.dicom()).calling("OTHER"), Rejection::CALLED_AE_TITLE),
    ] {
        match stranger.offer(std::slice::from_ref(&instance)).await {
            Err(RequestError::Rejected(rejection)) => assert_eq!(rejection, reason),
            other => anyhow::bail!("{stranger:?} was let in: {other:?}"),
        }
    }
    ensure!(relay.events().await?.contains(&"association_refused".to_owned()), "it is told");

    let scanner = consortium.scanner(Place::ClinicA);
    for _ in 0..2 {
        scanner.send_instances(std::slice::from_ref(&instance)).await?;
    }
    assert_eq!(relay.count("SELECT COUNT(*) FROM instances").await?, 1, "twice is once");
    let studies = technician.studies(&StudyQuery::default()).await?;
    assert_eq!(studies.items.first().context("a study")?.instances, 1);

    let mut forged = instance.clone();
    let last = forged.data_set.len() - 1;
    forged.data_set[last] ^= 0xff;
    scanner.send_instances(std::slice::from_ref(&forged)).await?;
    scanner.send_instances(std::slice::from_ref(&forged)).await?;
    consortium.scanner(Place::ClinicB).send_instances(std::slice::from_ref(&instance)).await?;
    let mut other_patient = PhantomSpec { patient: PhantomPatient::sample(3), ..spec.clone() };
    other_patient.seed += 1;
    other_patient.study = Some(spec.study_uid());
    scanner.send(&other_patient).await?;
    assert_eq!(relay.count("SELECT COUNT(*) FROM instances").await?, 1);
    let mut reasons: Vec<String> =
        technician.quarantine().await?.into_iter().map(|object| object.reason).collect();
    reasons.sort();
    assert_eq!(reasons, ["other_content", "other_patient"], "the same bytes twice are one row");
    let other = consortium.person(Place::ClinicB, Role::Technician).await?;
    let seen: Vec<_> = other.quarantine().await?.items;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].reason, "other_owner", "clinic B sees what it sent and nothing else");
    assert!(other.studies(&StudyQuery::default()).await?.items.is_empty());
    let told = relay.events().await?;
    assert_eq!(told.iter().filter(|kind| *kind == "instance_quarantined").count(), 3);
    // The original is what it was.
    let study = technician.study(&studies.items[0].id).await?;
    let stored = &study.series[0].instances[0];
    assert_eq!(technician.instance_data_set(&stored.id).await?, instance.data_set);
    Ok(())
}

fn of_patient(number: usize, accession: &str, seed: u64) -> PhantomSpec {
    let accession = Some(accession.to_owned()).filter(|text| !text.is_empty());
    PhantomSpec { patient: PhantomPatient::sample(number), accession, ..PhantomSpec::tiny(1, seed) }
}

fn order(clinic: &str, spec: &PhantomSpec) -> NewOrder {
    NewOrder {
        accession: spec.accession.clone(),
        ..NewOrder::new(clinic, spec.patient.id.clone(), spec.patient.name.clone(), "CT")
    }
}

/// How many studies somebody finds with a UID.
async fn with_uid(person: &Person, uid: &str) -> Result<usize> {
    let named = StudyQuery { uid: Some(uid.to_owned()), ..StudyQuery::default() };
    Ok(person.studies(&named).await?.items.len())
}

/// Before, after, by a person, or not at all; whatever waits is visible.
async fn matching(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let clinic = consortium.at(Place::ClinicA).to_owned();
    let doctor = consortium.person(Place::ClinicA, Role::ClinicDoctor).await?;
    let coordinator = consortium.person(Place::Lead, Role::Coordinator).await?;
    let scanner = consortium.scanner(Place::ClinicA);

    // Afterwards: the case is open and follows the order that comes.
    let late = of_patient(0, "", 41);
    scanner.send(&late).await?;
    relay.advance(QUIET).await?;
    let queue = coordinator.queue().await?;
    assert_eq!((queue.len(), queue[0].line.case.order.as_deref()), (1, None));
    let wanted = NewOrder {
        study_uid: Some(late.study_uid().to_string()),
        priority: Priority::Stat,
        ..order(&clinic, &late)
    };
    let written = doctor.create_order(&wanted).await?;
    let case = coordinator.case(&queue[0].line.case.id).await?;
    assert_eq!(written.study.as_deref(), Some(case.study.id.as_str()));
    assert_eq!(case.case.order.as_deref(), Some(written.id.as_str()));
    assert_eq!(case.case.priority, Priority::Stat);
    assert_eq!(case.case.deadline - case.case.opened_at, Span::from_minutes(60).micros());

    // Two orders with one number: nothing is guessed, a person says which.
    let unclear = of_patient(2, "A7", 42);
    relay.pass(Span::from_secs(1));
    let first = doctor.create_order(&order(&clinic, &unclear)).await?;
    let second = doctor.create_order(&order(&clinic, &unclear)).await?;
    scanner.send(&unclear).await?;
    relay.advance(QUIET).await?;
    assert_eq!(coordinator.queue().await?.len(), 1, "it waits outside the queue");
    let trouble = StudyQuery { trouble: true, ..StudyQuery::default() };
    let waiting = coordinator.studies(&trouble).await?.items;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].trouble.as_deref(), Some("ambiguous_order"));
    assert_eq!(with_uid(&coordinator, &waiting[0].uid).await?, 1);
    assert_eq!(with_uid(&coordinator, "1.2.3").await?, 0);
    let matched = coordinator.match_study(&waiting[0].id, &second.id).await?;
    assert_eq!((matched.order.as_deref(), matched.trouble), (Some(second.id.as_str()), None));
    relay.work().await?;
    assert_eq!(coordinator.queue().await?.len(), 2);
    assert!(doctor.order(&first.id).await?.study.is_none());
    let again = coordinator.match_study(&waiting[0].id, &first.id).await.expect_err("has one");
    assert_eq!(again.code(), Some("STATE_CONFLICT"));

    // No agreement: the clinic sees it waiting, and nobody else does.
    consortium.scanner(Place::Stranger).send(&of_patient(4, "A9", 43)).await?;
    relay.advance(QUIET).await?;
    let technician = consortium.person(Place::Stranger, Role::Technician).await?;
    let alone = technician.studies(&trouble).await?.items;
    assert_eq!(alone[0].trouble.as_deref(), Some("no_agreement"));
    assert!(coordinator.studies(&trouble).await?.items.is_empty());
    assert_eq!(coordinator.queue().await?.len(), 2);

    // "Start anyway" does not wait for the quiet time.
    scanner.send(&of_patient(5, "", 44)).await?;
    let arriving = StudyQuery { stage: Some("arriving".to_owned()), ..StudyQuery::default() };
    let study = coordinator.studies(&arriving).await?.items.remove(0);
    let complete = coordinator.complete_study(&study.id).await?;
    assert_eq!(
        (complete.stage.as_str(), complete.ready_reason.as_deref()),
        ("complete", Some("person"))
    );
    relay.work().await?;
    assert_eq!(coordinator.queue().await?.len(), 3);
    relay.advance(QUIET).await?;
    Ok(())
}

/// STAT before everything; then by the time that is left, older work upward.
async fn order_of_reading(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let clinic = consortium.at(Place::ClinicA).to_owned();
    let doctor = consortium.person(Place::ClinicA, Role::ClinicDoctor).await?;
    let reporter = consortium.person(Place::Lead, Role::Reporter).await?;
    let scanner = consortium.scanner(Place::ClinicA);
    let mut expected = Vec::new();
    for (number, priority) in
        [Priority::Routine, Priority::Urgent, Priority::Stat, Priority::Routine]
            .into_iter()
            .enumerate()
    {
        let spec = of_patient(number, &format!("Q{number}"), 50 + number as u64);
        let wanted = NewOrder { priority, ..order(&clinic, &spec) };
        doctor.create_order(&wanted).await?;
        scanner.send(&spec).await?;
        relay.advance(QUIET).await?;
        expected.push(spec.study_uid().to_string());
    }
    let queue = reporter.queue().await?;
    let mut order = Vec::new();
    for line in &queue {
        order.push(reporter.case(&line.line.case.id).await?.study.uid);
    }
    // Urgent is due in two hours, the routine ones in four.
    let [routine, urgent, stat, later] = expected.as_slice() else { unreachable!("four") };
    assert_eq!(order, [stat, urgent, routine, later].map(String::clone));
    assert_eq!(queue.iter().map(|line| line.rank).collect::<Vec<_>>(), [1, 2, 3, 4]);

    let claim = reporter.next_case().await?;
    assert_eq!(claim.case.priority, Priority::Stat);
    for _ in 0..2 {
        reporter.next_case().await?;
    }
    let full = reporter.next_case().await.expect_err("three at once are enough");
    assert_eq!(full.code(), Some("CLAIM_LIMIT"));
    let released = reporter.release(&claim, "换人").await?;
    assert_eq!(released.stage, "ready");
    assert_eq!(reporter.queue().await?[0].line.case.id, claim.case.id, "first again");

    // Two wait. Whoever picks the second of them leaves a trace of it.
    let picked = reporter.queue().await?[1].line.case.id.clone();
    reporter.claim(&picked).await?;
    let last = "SELECT details FROM events WHERE kind = 'case_claimed' ORDER BY seq DESC LIMIT 1";
    assert_eq!(relay.text(last).await?, r#"{"rank":2}"#);
    let first = "SELECT details FROM events WHERE kind = 'case_claimed' ORDER BY seq LIMIT 1";
    assert_eq!(relay.text(first).await?, r#"{"rank":1}"#);
    Ok(())
}

/// One case of clinic B in the queue; a verifier may sign it alone.
async fn one_case(relay: &Relay, consortium: &Consortium) -> Result<(Person, Person)> {
    consortium.scanner(Place::ClinicB).send(&PhantomSpec::tiny(1, 61)).await?;
    relay.advance(QUIET).await?;
    let first = consortium.numbered(Place::Lead, Role::Verifier, 1).await?;
    let second = consortium.numbered(Place::Lead, Role::Verifier, 2).await?;
    Ok((first, second))
}

fn text(findings: &str) -> Text {
    Text::new(findings, "未见异常。")
}

fn lost<T: std::fmt::Debug>(outcome: Result<T, Error>, holder: Option<&str>) -> Result<()> {
    let error = outcome.expect_err("the claim is lost");
    let problem = error.problem().context("the relay says so")?;
    assert_eq!((problem.status, problem.code.as_str()), (409, "CLAIM_LOST"));
    let context = problem.context.clone().context("with the facts")?;
    assert_eq!(context["holder"].as_str(), holder);
    Ok(())
}

async fn orphans(person: &Person, claim: &Claim) -> Result<Vec<String>> {
    let mut texts: Vec<String> = person
        .drafts(&claim.case.id)
        .await?
        .into_iter()
        .filter(|draft| draft.state == "orphan")
        .map(|draft| draft.text.findings)
        .collect();
    texts.sort();
    Ok(texts)
}

async fn claims(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let (first, second) = one_case(relay, &consortium).await?;
    let coordinator = consortium.person(Place::Lead, Role::Coordinator).await?;
    let claim = first.next_case().await?;
    first.save_draft(&claim, &text("一")).await?;

    // The lease runs out: the case waits again, the draft stays.
    relay.advance(Span::from_minutes(20)).await?;
    assert_eq!(first.case(&claim.case.id).await?.case.stage, "ready");
    lost(first.heartbeat(&claim).await, None)?;
    lost(first.save_draft(&claim, &text("一，续")).await, None)?;
    lost(first.sign(&claim, &text("一，续")).await, None)?;
    assert!(orphans(&first, &claim).await?.contains(&"一，续".to_owned()), "the text is kept");

    // The next reader sees what was left behind.
    let next = second.claim(&claim.case.id).await?;
    assert_eq!(next.fence, 2);
    assert!(orphans(&second, &next).await?.contains(&"一，续".to_owned()));
    lost(first.save_draft(&claim, &text("一，再续")).await, Some(&second.id))?;
    second.save_draft(&next, &text("二")).await?;

    // Taken over: the holder is told by whom, and keeps the text.
    let unsaid = first.take_over(&claim.case.id, " ").await.expect_err("why?");
    assert_eq!(unsaid.code(), Some("VALIDATION"));
    let taken = first.take_over(&claim.case.id, "交接班").await?;
    assert_eq!(taken.fence, 3);
    lost(second.save_draft(&next, &text("二，续")).await, Some(&first.id))?;
    assert!(orphans(&first, &taken).await?.contains(&"二，续".to_owned()));

    // A coordinator takes it from a reader who cannot be reached, and gives it back to the queue.
    let freed = coordinator.take_over(&claim.case.id, "医生失联").await?;
    lost(first.save_draft(&taken, &text("一，又续")).await, Some(&coordinator.id))?;
    let unread = coordinator.save_draft(&freed, &text("协调员")).await.expect_err("no reader");
    assert_eq!(unread.code(), Some("FORBIDDEN"));
    coordinator.release(&freed, "医生失联").await?;
    let taken = first.claim(&claim.case.id).await?;
    assert_eq!(taken.fence, 5);

    // A second window of the same reader is a take-over too.
    let own = first.claim(&claim.case.id).await.expect_err("one's own window holds it");
    assert_eq!(own.code(), Some("ALREADY_CLAIMED"));
    let window = first.take_over(&claim.case.id, "第二个窗口").await?;
    lost(first.release(&taken, "").await, Some(&first.id))?;
    let report = first.sign(&window, &text("三")).await?;
    assert_eq!(report.text.findings, "三");
    lost(second.sign(&next, &text("二，签")).await, None)?;
    assert_eq!(second.reports(&claim.case.id).await?.len(), 1, "one signature");

    let happened = relay.events().await?;
    for kind in ["claim_expired", "case_taken_over", "final_signed"] {
        ensure!(happened.iter().any(|it| it == kind), "no {kind} in {happened:?}");
    }
    relay.work().await.map(drop)
}

async fn heartbeats(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let (first, second) = one_case(relay, &consortium).await?;
    let claim = first.next_case().await?;
    let begun = relay.now();
    let cap = (begun + Span::from_hours(4)).micros();
    for minutes in 1..=15 {
        relay.advance(Span::from_minutes(15)).await?;
        let case = first.heartbeat(&claim).await?;
        let expires = case.hold.context("still held")?.expires;
        let wanted = (begun + Span::from_minutes(minutes * 15 + 20)).micros();
        assert_eq!(expires, wanted.min(cap), "after {minutes} times a quarter of an hour");
    }
    let stolen =
        Claim { token: claim.token.replace(|c: char| c.is_ascii_digit(), "0"), ..claim.clone() };
    lost(first.heartbeat(&stolen).await, Some(&first.id))?;
    lost(second.heartbeat(&claim).await, Some(&first.id))?;
    relay.advance(Span::from_minutes(15)).await?;
    lost(first.heartbeat(&claim).await, None)?;
    assert_eq!(first.case(&claim.case.id).await?.case.stage, "ready");

    // A reporter's second window: the same right as a verifier's.
    consortium.scanner(Place::ClinicA).send(&of_patient(6, "", 62)).await?;
    relay.advance(QUIET).await?;
    let reporter = consortium.person(Place::Lead, Role::Reporter).await?;
    let claim = reporter.next_case().await?;
    let window = reporter.take_over(&claim.case.id, "第二个窗口").await?;
    assert_eq!(window.fence, claim.fence + 1);
    let other = consortium.numbered(Place::Lead, Role::Reporter, 2).await?;
    let refused = other.take_over(&claim.case.id, "插队").await.expect_err("not a reporter's");
    assert_eq!(refused.code(), Some("FORBIDDEN"));
    Ok(())
}

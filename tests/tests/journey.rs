//! One study, from the scanner to the acknowledged report, through the real edges: DIMSE in, the
//! HTTP interface for everybody, DIMSE out to the clinic's PACS. On both engines, with names that
//! only GB18030 can write and foreign programs to judge what is sent.

use anyhow::{Context, Result, ensure};
use medrelay::secrets;
use medrelay_client::{Claim, DeliveryQuery, NewOrder, Report, StudyQuery, Text};
use medrelay_core::people::{Priority, Role};
use medrelay_core::report::sha256_hex;
use medrelay_core::time::Span;
use medrelay_dicom::command::Status;
use medrelay_dicom::pdu::Rejection;
use medrelay_dicom::phantom::{PhantomInstance, PhantomPatient, PhantomSpec, TextEncoding};
use medrelay_tests::clinic::{Consortium, Pact, Person, Place};
use medrelay_tests::documents::{must_conform, pdf_inside, text_of_pdf, text_of_sr};
use medrelay_tests::pacs::{BASIC_TEXT_SR, ClinicPacs, ENCAPSULATED_PDF, Mood};
use medrelay_tests::relay::{Engine, Relay, tell, tell_with};

/// What the reader types; with a character outside the basic plane.
const FINDINGS: &str = "双肺纹理清晰，右肺上叶见一枚直径约6mm结节，患者𠮷䶮。";
const IMPRESSION: &str = "右肺上叶结节，建议随访。";
const ADDED: &str = "补充：与旧片比较，结节未见增大。";
const REASON: &str = "收到旧片";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_study_becomes_an_acknowledged_report_on_sqlite() -> Result<()> {
    tell(Engine::Sqlite, whole_way).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_study_becomes_an_acknowledged_report_on_postgres() -> Result<()> {
    tell(Engine::Postgres, whole_way).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pacs_that_is_unwell_gets_its_report_later_on_sqlite() -> Result<()> {
    tell_with(Engine::Sqlite, impatient, unwell_pacs).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pacs_that_is_unwell_gets_its_report_later_on_postgres() -> Result<()> {
    tell_with(Engine::Postgres, impatient, unwell_pacs).await
}

/// Everybody in the story.
struct Cast {
    consortium: Consortium,
    pacs: ClinicPacs,
    doctor: Person,
    author: Person,
    verifier: Person,
    reporter: Person,
}

impl Cast {
    async fn assemble(relay: &Relay) -> Result<Self> {
        let consortium = Consortium::found(relay).await?;
        let pacs = ClinicPacs::start("PACS_A").await?;
        consortium.send_to(Pact::Double, &pacs).await?;
        Ok(Self {
            doctor: consortium.person(Place::ClinicA, Role::ClinicDoctor).await?,
            author: consortium.numbered(Place::Lead, Role::Verifier, 1).await?,
            verifier: consortium.numbered(Place::Lead, Role::Verifier, 2).await?,
            reporter: consortium.person(Place::Lead, Role::Reporter).await?,
            consortium,
            pacs,
        })
    }
}

async fn whole_way(relay: &mut Relay) -> Result<()> {
    let cast = Cast::assemble(relay).await?;
    let (case, sent) = arrives(relay, &cast).await?;
    let claim = claimed(relay, &cast, &case).await?;
    read(&cast, &claim, &sent).await?;
    let preliminary = signed_preliminary(&cast, &claim).await?;
    let report = signed_final(&cast, &case, &preliminary).await?;
    delivered(relay, &cast, &case, &report).await?;
    acknowledged(&cast, &case, 1).await?;
    added_to(relay, &cast, &case, &report).await?;
    late_image(relay, &cast, &case).await?;
    trail(relay).await
}

fn scan() -> PhantomSpec {
    PhantomSpec {
        patient: PhantomPatient::sample(1),
        charset: TextEncoding::Gb18030,
        accession: Some("A0001".to_owned()),
        ..PhantomSpec::tiny(3, 11)
    }
}

/// Steps in, complete and queued: the order was there first, the study comes in two parts.
async fn arrives(relay: &Relay, cast: &Cast) -> Result<(String, Vec<PhantomInstance>)> {
    let clinic = cast.consortium.at(Place::ClinicA);
    let order = NewOrder {
        accession: Some("A0001".to_owned()),
        question: "结节？".to_owned(),
        ..NewOrder::new(clinic, "PH000002", "𠮷䶮", "CT")
    };
    let order = cast.doctor.create_order(&order).await?;
    assert!(order.study.is_none() && order.number.starts_with("ORD-2026-"), "{order:?}");

    let spec = scan();
    let instances: Vec<PhantomInstance> = spec.iter().collect();
    let scanner = cast.consortium.scanner(Place::ClinicA);
    assert_eq!(scanner.echo().await?, Status::SUCCESS);
    scanner.send_instances(&instances[..1]).await?;
    let arriving = cast.reporter.studies(&StudyQuery::default()).await?;
    let study = arriving.items.first().context("a reader sees it from its first instance")?;
    assert_eq!((study.stage.as_str(), study.instances), ("arriving", 1));
    assert_eq!((study.patient.as_str(), study.patient_name.as_str()), ("𠮷䶮", "Ji^Yan=𠮷^䶮"));
    assert_eq!((study.charset.as_str(), study.charset_guessed), ("GB18030", false));
    assert_eq!(study.uid, spec.study_uid().to_string());

    relay.pass(Span::from_secs(30));
    scanner.send_instances(&instances[1..]).await?;
    relay.advance(Span::from_secs(30)).await?;
    let detail = cast.reporter.study(&study.id).await?;
    assert_eq!(detail.study.stage, "arriving", "the quiet time starts again with each instance");
    assert!(cast.reporter.queue().await?.is_empty());
    relay.advance(Span::from_secs(30)).await?;
    let detail = cast.reporter.study(&study.id).await?;
    assert_eq!(detail.study.stage, "complete");
    assert_eq!(detail.study.ready_reason.as_deref(), Some("quiet"));
    assert_eq!(detail.study.order.as_deref(), Some(order.id.as_str()));
    assert_eq!(cast.doctor.order(&order.id).await?.study.as_deref(), Some(study.id.as_str()));

    let queue = cast.reporter.queue().await?;
    ensure!(queue.len() == 1, "{queue:?}");
    let line = &queue[0].line;
    assert_eq!((queue[0].rank, line.case.stage.as_str()), (1, "ready"));
    assert_eq!((line.case.policy.as_str(), line.case.priority), ("double", Priority::Routine));
    assert_eq!(line.case.deadline - line.case.opened_at, Span::from_hours(4).micros());
    assert_eq!((line.patient.as_str(), line.instances), ("𠮷䶮", 3));
    assert_eq!(line.question.as_deref(), Some("结节？"));
    assert!(line.number.starts_with("IMG-2026-"), "{}", line.number);
    Ok((line.case.id.clone(), instances))
}

/// Step claimed: one gets it, the other is told who has it.
async fn claimed(relay: &Relay, cast: &Cast, case: &str) -> Result<Claim> {
    let claim = cast.author.claim(case).await?;
    assert_eq!((claim.fence, claim.case.stage.as_str()), (1, "in_progress"));
    let hold = claim.case.hold.clone().context("somebody has it")?;
    assert_eq!(hold.holder, cast.author.id);
    assert_eq!(hold.expires, (relay.now() + Span::from_minutes(20)).micros());
    let refused = cast.reporter.claim(case).await.expect_err("it is taken");
    assert_eq!(refused.code(), Some("ALREADY_CLAIMED"));
    let context = refused.problem().and_then(|problem| problem.context.clone());
    assert_eq!(context.context("the loser is told")?["holder"], cast.author.id.as_str());
    assert!(cast.reporter.queue().await?.is_empty());
    let empty = cast.reporter.next_case().await.expect_err("nothing waits");
    assert_eq!(empty.code(), Some("QUEUE_EMPTY"));
    Ok(claim)
}

/// Step read: the bytes are those that were sent, the text is saved as it is typed.
async fn read(cast: &Cast, claim: &Claim, sent: &[PhantomInstance]) -> Result<()> {
    let detail = cast.author.study(&claim.case.study).await?;
    let stored: Vec<_> = detail.series.iter().flat_map(|series| &series.instances).collect();
    assert_eq!(stored.len(), sent.len());
    for instance in sent {
        let uid = instance.sop_instance.to_string();
        let found = stored.iter().find(|it| it.uid == uid).context("every instance is there")?;
        let bytes = cast.author.instance_data_set(&found.id).await?;
        ensure!(bytes == instance.data_set, "the bytes of {uid} changed on the way");
        assert_eq!(found.sha256, sha256_hex(&instance.data_set));
        let file = cast.author.instance_file(&found.id).await?;
        assert_eq!(&file[128..132], b"DICM");
        assert!(file.ends_with(&instance.data_set));
    }
    let first = cast.author.save_draft(claim, &Text::new("双肺", "")).await?;
    let second = cast.author.save_draft(claim, &Text::new(FINDINGS, "")).await?;
    assert_eq!(first.id, second.id, "one live text a claim");
    let drafts = cast.author.drafts(&claim.case.id).await?;
    assert_eq!(drafts.len(), 1);
    assert_eq!((drafts[0].state.as_str(), drafts[0].text.findings.as_str()), ("live", FINDINGS));
    Ok(())
}

/// Step signed, first half: a preliminary report is the centre's own business.
async fn signed_preliminary(cast: &Cast, claim: &Claim) -> Result<Report> {
    let case = &claim.case.id;
    let missing = cast.author.sign(claim, &Text::new(FINDINGS, " ")).await;
    let missing = missing.expect_err("an impression is required");
    assert_eq!(missing.code(), Some("VALIDATION"));
    let preliminary = cast.author.sign(claim, &Text::new(FINDINGS, IMPRESSION)).await?;
    assert_eq!((preliminary.number, preliminary.kind.as_str()), (1, "preliminary"));
    assert!(preliminary.verifier.is_none() && preliminary.predecessor.is_none());
    let detail = cast.doctor.case(case).await?;
    assert_eq!(detail.case.stage, "preliminary");
    assert!(cast.doctor.reports(case).await?.is_empty(), "nothing was released to the clinic");
    let hidden = cast.doctor.report(&preliminary.id).await.expect_err("hidden");
    assert_eq!(hidden.code(), Some("NOT_FOUND"));
    assert!(cast.doctor.inbox(None).await?.items.is_empty());
    let all = DeliveryQuery { case: Some(case.clone()), ..DeliveryQuery::default() };
    assert!(cast.doctor.deliveries(&all).await?.items.is_empty());
    Ok(preliminary)
}

/// Step signed, second half: another person verifies.
async fn signed_final(cast: &Cast, case: &str, preliminary: &Report) -> Result<Report> {
    let own = cast.author.claim(case).await.expect_err("one's own report");
    assert_eq!(own.code(), Some("AUTHOR_CANNOT_VERIFY"));
    let junior = cast.reporter.claim(case).await.expect_err("not a verifier");
    assert_eq!(junior.code(), Some("FORBIDDEN"));
    let claim = cast.verifier.next_case().await?;
    assert_eq!((claim.case.id.as_str(), claim.case.stage.as_str()), (case, "verifying"));
    let report = cast.verifier.sign(&claim, &Text::new(FINDINGS, IMPRESSION)).await?;
    assert_eq!((report.number, report.kind.as_str()), (2, "final"));
    assert_eq!(report.predecessor.as_ref(), Some(&preliminary.sha256));
    assert_eq!(report.reporter.person, cast.author.id, "whoever wrote it stays its reporter");
    let verifier = report.verifier.as_ref().context("somebody verified it")?;
    assert_eq!((&verifier.person, &verifier.name), (&cast.verifier.id, &cast.verifier.name));
    proven(cast, &report).await?;
    Ok(report)
}

/// The signature holds, by the relay's word and by our own arithmetic.
async fn proven(cast: &Cast, report: &Report) -> Result<()> {
    let canonical = report.canonical.as_bytes();
    assert_eq!(sha256_hex(canonical), report.sha256);
    assert!(report.canonical.contains(FINDINGS), "the bytes that were signed hold the text");
    let said = cast.verifier.verify_report(&report.id).await?;
    ensure!(said.holds && said.chain_holds && said.signer_holds, "{said:?}");
    let key = hex::decode(&said.public_key)?;
    let signature = hex::decode(&report.signature)?;
    assert_eq!((key.len(), signature.len()), (32, 64));
    assert!(secrets::verify(&key, canonical, &signature));
    let other = report.canonical.replacen("6mm", "9mm", 1);
    assert!(!secrets::verify(&key, other.as_bytes(), &signature), "another text is not signed");
    Ok(())
}

/// Step delivered: the clinic's PACS has SR and PDF, the inbox has the report.
async fn delivered(relay: &Relay, cast: &Cast, case: &str, report: &Report) -> Result<()> {
    let all = DeliveryQuery { case: Some(case.to_owned()), ..DeliveryQuery::default() };
    let stages = async || -> Result<Vec<(String, String)>> {
        let page = cast.doctor.deliveries(&all).await?;
        let mut stages: Vec<_> = page.into_iter().map(|it| (it.route, it.stage)).collect();
        stages.sort();
        Ok(stages)
    };
    let pair = |route: &str, stage: &str| (route.to_owned(), stage.to_owned());
    assert_eq!(stages().await?, [pair("dicom", "due"), pair("inbox", "in_inbox")]);
    assert_eq!(cast.doctor.case(case).await?.case.stage, "final");
    relay.work().await?;
    assert_eq!(stages().await?, [pair("dicom", "sent"), pair("inbox", "in_inbox")]);
    assert_eq!(cast.doctor.case(case).await?.case.stage, "delivered");
    assert_eq!(cast.pacs.received().len(), 2, "a structured report and a PDF");
    judged(relay, cast, report, &[FINDINGS, IMPRESSION]).await
}

/// Foreign programs find nothing wrong with what the PACS got, and find the sentences in it.
async fn judged(relay: &Relay, cast: &Cast, report: &Report, sentences: &[&str]) -> Result<()> {
    let structured = cast.pacs.newest(BASIC_TEXT_SR)?;
    let encapsulated = cast.pacs.newest(ENCAPSULATED_PDF)?;
    assert_eq!((&structured.sop_instance, &structured.from), (&report.sr_uid, &"MEDRELAY".into()));
    assert_eq!(encapsulated.sop_instance, report.pdf_uid);
    let file = structured.write_to(relay.folder())?;
    must_conform(&file, "BasicTextSR")?;
    let tree = without_spaces(&text_of_sr(&file)?);
    must_conform(&encapsulated.write_to(relay.folder())?, "EncapsulatedPDF")?;
    let inside = text_of_pdf(&pdf_inside(&encapsulated.data_set)?, relay.folder())?;
    let given = cast.doctor.report_pdf(&report.id).await?;
    let given = text_of_pdf(&given, relay.folder())?;
    let (inside, given) = (without_spaces(&inside), without_spaces(&given));
    for sentence in sentences.iter().map(|sentence| without_spaces(sentence)) {
        ensure!(tree.contains(&sentence), "the structured report lacks {sentence}:\n{tree}");
        ensure!(inside.contains(&sentence), "the PDF object lacks {sentence}:\n{inside}");
        ensure!(given.contains(&sentence), "the PDF lacks {sentence}:\n{given}");
    }
    ensure!(inside.contains("𠮷䶮") && tree.contains("𠮷^䶮"), "the rare name is printed");
    let sr = cast.doctor.report_sr(&report.id).await?;
    assert!(sr.ends_with(&structured.data_set), "one UID, one content, by whatever way");
    Ok(())
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Step acknowledged: a person at the clinic says so, and the case is closed.
async fn acknowledged(cast: &Cast, case: &str, versions: usize) -> Result<()> {
    let inbox = cast.doctor.inbox(None).await?.items;
    assert_eq!(inbox.len(), versions);
    let waiting: Vec<_> = inbox.iter().filter(|entry| !entry.acknowledged).collect();
    ensure!(waiting.len() == 1 && waiting[0].case == case, "{inbox:?}");
    assert_eq!(
        (waiting[0].id.as_str(), waiting[0].patient_name.as_str()),
        (inbox[0].id.as_str(), "𠮷䶮")
    );
    let reader = cast.verifier.acknowledge(&waiting[0].id).await.expect_err("not the clinic");
    assert_eq!(reader.code(), Some("FORBIDDEN"));
    let delivery = cast.doctor.acknowledge(&waiting[0].id).await?;
    assert_eq!(delivery.stage, "acknowledged");
    let again = cast.doctor.acknowledge(&waiting[0].id).await.expect_err("once is enough");
    assert_eq!(again.code(), Some("STATE_CONFLICT"));
    assert_eq!(cast.doctor.case(case).await?.case.stage, "closed");
    Ok(())
}

/// An addendum is a new version, goes out again and is acknowledged again; nothing signed changes.
async fn added_to(relay: &Relay, cast: &Cast, case: &str, report: &Report) -> Result<()> {
    relay.pass(Span::from_minutes(10));
    let text = Text { recommendation: ADDED.to_owned(), ..Text::new(FINDINGS, IMPRESSION) };
    let early = cast.verifier.add_addendum(case, &text, " ").await.expect_err("why?");
    assert_eq!(early.code(), Some("VALIDATION"));
    let addendum = cast.verifier.add_addendum(case, &text, REASON).await?;
    assert_eq!((addendum.number, addendum.kind.as_str()), (3, "addendum"));
    assert_eq!(addendum.predecessor.as_ref(), Some(&report.sha256));
    assert_eq!(cast.doctor.case(case).await?.case.stage, "final");
    relay.work().await?;
    assert_eq!(cast.doctor.case(case).await?.case.stage, "delivered");
    assert_eq!(cast.pacs.received().len(), 4);
    judged(relay, cast, &addendum, &[FINDINGS, ADDED, REASON]).await?;
    acknowledged(cast, case, 2).await?;
    assert_eq!(cast.doctor.report(&report.id).await?, *report, "what was signed stays");
    let versions = cast.verifier.reports(case).await?;
    assert_eq!(versions.iter().map(|it| it.number).collect::<Vec<_>>(), [1, 2, 3]);
    for version in versions {
        ensure!(cast.verifier.verify_report(&version.id).await?.holds, "{}", version.kind);
    }
    Ok(())
}

/// An image that comes when all is done is kept and told of.
async fn late_image(relay: &Relay, cast: &Cast, case: &str) -> Result<()> {
    let longer = PhantomSpec { instances: 5, ..scan() };
    let late: Vec<PhantomInstance> = longer.iter().skip(3).collect();
    cast.consortium.scanner(Place::ClinicA).send_instances(&late).await?;
    relay.work().await?;
    let detail = cast.verifier.case(case).await?;
    assert_eq!((detail.case.stage.as_str(), detail.case.late_images), ("closed", true));
    assert_eq!((detail.study.instances, detail.study.stage.as_str()), (5, "complete"));
    let told = relay.events().await?.into_iter().filter(|kind| kind == "late_image").count();
    assert_eq!(told, 1, "one event until somebody has dealt with it");
    Ok(())
}

/// The whole way stands in the audit trail, in order.
async fn trail(relay: &Relay) -> Result<()> {
    let happened = relay.events().await?;
    let mut rest = happened.iter();
    for kind in [
        "set_up",
        "agreement_changed",
        "order_changed",
        "study_arriving",
        "study_complete",
        "study_matched",
        "case_opened",
        "case_queued",
        "case_claimed",
        "study_read",
        "draft_saved",
        "preliminary_signed",
        "case_claimed",
        "final_signed",
        "delivery_sent",
        "case_delivered",
        "report_acknowledged",
        "case_closed",
        "addendum_signed",
        "delivery_sent",
        "case_closed",
        "late_image",
    ] {
        ensure!(rest.any(|it| it == kind), "no {kind} (in its place) in {happened:?}");
    }
    Ok(())
}

fn impatient(config: &mut medrelay::config::Config) {
    config.delivery.backoff_seconds = vec![10, 60];
    config.delivery.attempt_seconds = 1;
}

/// Retried with back-off, parked after the last attempt, started again by the coordinator; a PACS
/// that hangs costs one attempt's time; one that refuses needs a person at once.
async fn unwell_pacs(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let pacs = ClinicPacs::start("PACS_B").await?;
    consortium.send_to(Pact::SingleSenior, &pacs).await?;
    let doctor = consortium.person(Place::ClinicB, Role::ClinicDoctor).await?;
    let verifier = consortium.person(Place::Lead, Role::Verifier).await?;
    let coordinator = consortium.person(Place::Lead, Role::Coordinator).await?;
    let machine = async || -> Result<medrelay_client::Delivery> {
        let page = coordinator.deliveries(&DeliveryQuery::default()).await?;
        page.into_iter().find(|it| it.route == "dicom").context("a delivery to the PACS")
    };

    pacs.set(Mood::Rejects(Rejection::CONGESTION));
    consortium.scanner(Place::ClinicB).send(&PhantomSpec::tiny(1, 21)).await?;
    relay.advance(Span::from_secs(60)).await?;
    let claim = verifier.next_case().await?;
    let report = verifier.sign(&claim, &Text::new(FINDINGS, IMPRESSION)).await?;
    assert_eq!(report.kind, "final", "a verifier signs alone");
    relay.work().await?;
    let first = machine().await?;
    assert_eq!((first.stage.as_str(), first.attempts), ("due", 1));
    assert!(first.last_error.is_some());
    let wait = first.next_at.context("it is tried again")? - relay.now().micros();
    assert!((10_000_000..=12_000_000).contains(&wait), "ten seconds and up to a fifth: {wait}");
    relay.advance(Span::from_secs(9)).await?;
    assert_eq!(pacs.associations(), 1, "not before its time");

    let entry = doctor.inbox(None).await?.items.remove(0);
    doctor.acknowledge(&entry.id).await?;
    let case = doctor.case(&claim.case.id).await?.case;
    assert_eq!(case.stage, "final", "the machine must have it too");

    pacs.set(Mood::Hangs);
    relay.advance(Span::from_secs(3)).await?;
    assert_eq!(machine().await?.attempts, 2);
    pacs.set(Mood::Answers(Status::OUT_OF_RESOURCES));
    relay.advance(Span::from_secs(72)).await?;
    let parked = machine().await?;
    assert_eq!((parked.stage.as_str(), parked.attempts, parked.next_at), ("parked", 3, None));
    relay.advance(Span::from_hours(12)).await?;
    assert_eq!(pacs.associations(), 3, "parked means that a person must look");

    pacs.set(Mood::Answers(Status::CANNOT_UNDERSTAND));
    coordinator.retry_delivery(&parked.id).await?;
    relay.work().await?;
    let refused = machine().await?;
    assert_eq!(refused.stage, "parked", "what a person must mend is not tried again");
    let stranger = consortium.person(Place::County, Role::Coordinator).await?;
    let hidden = stranger.retry_delivery(&parked.id).await.expect_err("not theirs");
    assert_eq!(hidden.code(), Some("NOT_FOUND"));

    pacs.set(Mood::Well);
    coordinator.retry_delivery(&parked.id).await?;
    relay.work().await?;
    assert_eq!(machine().await?.stage, "sent");
    assert_eq!(pacs.received().len(), 2);
    assert_eq!(doctor.case(&claim.case.id).await?.case.stage, "closed");
    let happened = relay.events().await?;
    for kind in ["delivery_failed", "delivery_parked", "delivery_retried", "delivery_sent"] {
        ensure!(happened.iter().any(|it| it == kind), "no {kind} in {happened:?}");
    }
    Ok(())
}

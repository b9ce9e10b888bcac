//! One contract for both engines, told through the use cases: names are taken once, of two changes
//! one is lost, of two claims one wins, the same image on eight lines is one image, and work is
//! taken by one at a time. (Every route's statements run on both engines in `access.rs`.)

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use medrelay_client::{CaseQuery, DeliveryQuery, Error, NewOrder, OrderQuery, StudyQuery, Text};
use medrelay_core::people::Role;
use medrelay_core::time::Span;
use medrelay_dicom::command::Status;
use medrelay_dicom::phantom::{PhantomInstance, PhantomSpec};
use medrelay_tests::clinic::{Consortium, PASSWORD, Person, Place};
use medrelay_tests::relay::{Engine, Relay, tell};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

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
    names => names_are_taken_once_on_sqlite, names_are_taken_once_on_postgres;
    lost_updates => of_two_changes_one_is_lost_on_sqlite, of_two_changes_one_is_lost_on_postgres;
    claims => of_many_claims_one_wins_on_sqlite, of_many_claims_one_wins_on_postgres;
    signatures => of_two_signatures_one_counts_on_sqlite, of_two_signatures_one_counts_on_postgres;
    ingest => an_image_on_eight_lines_is_one_image_on_sqlite,
        an_image_on_eight_lines_is_one_image_on_postgres;
    leases => a_job_is_taken_by_one_at_a_time_on_sqlite,
        a_job_is_taken_by_one_at_a_time_on_postgres;
    filters => lists_find_what_is_asked_for_on_sqlite, lists_find_what_is_asked_for_on_postgres;
    again => a_restart_finds_everything_on_sqlite, a_restart_finds_everything_on_postgres;
}

/// Runs the same call many times at once.
async fn at_once<T, F>(count: usize, call: impl Fn(usize) -> F) -> Vec<Result<T, Error>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for number in 0..count {
        tasks.spawn(call(number));
    }
    tasks.join_all().await
}

/// The codes of those that were refused.
fn codes<T>(outcomes: &[Result<T, Error>]) -> Vec<String> {
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    refused.map(|error| error.code().unwrap_or("no problem").to_owned()).collect()
}

async fn names(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let root = consortium.root.client.clone();
    let clinic = consortium.at(Place::ClinicA).to_owned();
    let grants = json!([{ "organization": clinic, "role": "technician" }]);
    let body =
        json!({ "login": "wang.li", "name": "王丽", "password": PASSWORD, "grants": grants });
    let outcomes = at_once(3, |_| {
        let (root, body) = (root.clone(), body.clone());
        async move { root.call::<Value>(Method::POST, "/api/v1/people", &body).await }
    })
    .await;
    assert_eq!(codes(&outcomes), ["TAKEN", "TAKEN"], "of three at once");
    let upper =
        json!({ "login": "WANG.LI", "name": "王丽", "password": PASSWORD, "grants": grants });
    let again = root.call::<Value>(Method::POST, "/api/v1/people", &upper).await;
    assert_eq!(codes(&[again]), ["TAKEN"], "case does not make another name");

    // An AE title is a clinic's; the same one from the same address would be ambiguous.
    let device = json!({ "clinic": clinic, "name": "CT", "ae_title": "CT_A" });
    let twice = root.call::<Value>(Method::POST, "/api/v1/devices", &device).await;
    assert_eq!(codes(&[twice]), ["TAKEN"]);

    // Numbers for people are given out once each, however many ask.
    let doctor = consortium.person(Place::ClinicA, Role::ClinicDoctor).await?;
    let made = at_once(8, |number| {
        let (doctor, clinic) = (doctor.client.clone(), clinic.clone());
        async move {
            let order = NewOrder::new(clinic, format!("P{number}"), "张^三", "CT");
            doctor.create_order(&order).await
        }
    })
    .await;
    let mut numbers = BTreeSet::new();
    for order in made {
        numbers.insert(order?.number);
    }
    let expected: BTreeSet<String> = (1..=8).map(|n| format!("ORD-2026-{n:06}")).collect();
    assert_eq!(numbers, expected);
    Ok(())
}

async fn lost_updates(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let doctor = consortium.person(Place::ClinicA, Role::ClinicDoctor).await?;
    let order = NewOrder::new(consortium.at(Place::ClinicA), "P1", "张^三", "CT");
    let order = doctor.create_order(&order).await?;
    let paths = [
        (doctor.client.clone(), format!("/api/v1/orders/{}", order.id), "question"),
        (
            consortium.root.client.clone(),
            format!("/api/v1/organizations/{}", consortium.at(Place::ClinicB)),
            "name",
        ),
        (consortium.root.client.clone(), format!("/api/v1/people/{}", doctor.id), "name"),
    ];
    for (client, path, field) in paths {
        let outcomes = at_once(4, |number| {
            let (client, path) = (client.clone(), path.clone());
            async move {
                let body = json!({ "version": 1, field: format!("第{number}个") });
                client.call::<Value>(Method::PATCH, &path, &body).await
            }
        })
        .await;
        assert_eq!(codes(&outcomes), ["VERSION_CONFLICT"; 3], "{path}");
        let won = outcomes.into_iter().find_map(Result::ok).context("one wins")?;
        let now: Value = client.get(&path).await?;
        assert_eq!((&now[field], &now["version"]), (&won[field], &json!(2)));
    }
    Ok(())
}

async fn one_case(relay: &Relay, consortium: &Consortium, seed: u64) -> Result<String> {
    consortium.scanner(Place::ClinicB).send(&PhantomSpec::tiny(1, seed)).await?;
    relay.advance(Span::from_secs(60)).await?;
    let verifier = consortium.numbered(Place::Lead, Role::Verifier, 1).await?;
    Ok(verifier.queue().await?.first().context("a case waits")?.line.case.id.clone())
}

async fn claims(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let mut readers: Vec<Person> = Vec::new();
    for number in 1..=4 {
        readers.push(consortium.numbered(Place::Lead, Role::Verifier, number).await?);
    }
    for round in 0..3 {
        let case = one_case(relay, &consortium, 90 + round).await?;
        let outcomes = at_once(8, |number| {
            let (reader, case) = (readers[number % 4].client.clone(), case.clone());
            async move { reader.claim(&case).await }
        })
        .await;
        let won: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "round {round}: exactly one holds it");
        let holder = won[0].case.hold.as_ref().context("a hold")?.holder.clone();
        assert_eq!(won[0].fence, 1);
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            let problem = error.problem().context("a problem")?;
            assert_eq!(problem.code, "ALREADY_CLAIMED", "round {round}");
            let context = problem.context.as_ref().context("facts")?;
            assert_eq!(context["holder"], holder.as_str(), "the loser is told who has it");
        }
        let kinds = relay.events().await?;
        let claimed = kinds.iter().filter(|kind| *kind == "case_claimed").count();
        assert_eq!(claimed as u64, round + 1, "one event a claim");
        let winner = readers.iter().find(|reader| reader.id == holder).context("one of them")?;
        winner.sign(won[0], &Text::new("甲", "乙")).await?;
        relay.work().await?;
    }

    // Whoever asks for "the next one" at the same moment gets different ones.
    for seed in [95, 96, 97, 98] {
        one_case(relay, &consortium, seed).await?;
    }
    let outcomes = at_once(4, |number| {
        let reader = readers[number].client.clone();
        async move { reader.next_case().await }
    })
    .await;
    let mut cases = BTreeSet::new();
    for outcome in outcomes {
        cases.insert(outcome?.case.id);
    }
    assert_eq!(cases.len(), 4);
    Ok(())
}

async fn signatures(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let case = one_case(relay, &consortium, 101).await?;
    let reader = consortium.numbered(Place::Lead, Role::Verifier, 1).await?;
    let claim = reader.claim(&case).await?;
    let outcomes = at_once(4, |number| {
        let (reader, claim) = (reader.client.clone(), claim.clone());
        async move { reader.sign(&claim, &Text::new(format!("甲{number}"), "乙")).await }
    })
    .await;
    assert_eq!(codes(&outcomes), ["CLAIM_LOST"; 3], "a second click signs nothing");
    assert_eq!(reader.reports(&case).await?.len(), 1);

    // Addenda of two people at once are two versions, one after the other.
    let added = at_once(3, |number| {
        let (reader, case) = (reader.client.clone(), case.clone());
        async move {
            let text = Text::new(format!("补{number}"), "乙");
            reader.add_addendum(&case, &text, "补充").await
        }
    })
    .await;
    for outcome in added {
        outcome?;
    }
    let versions = reader.reports(&case).await?;
    assert_eq!(versions.iter().map(|it| it.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    for pair in versions.windows(2) {
        assert_eq!(
            pair[1].predecessor.as_ref(),
            Some(&pair[0].sha256),
            "each names the one before"
        );
    }
    relay.work().await.map(drop)
}

fn blobs(folder: &Path) -> Result<usize> {
    let mut count = 0;
    let mut folders: Vec<PathBuf> = vec![folder.join("blobs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                count += 1;
            }
        }
    }
    Ok(count)
}

async fn ingest(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let scanner = consortium.scanner(Place::ClinicA);
    let before = blobs(relay.folder())?;
    let same = PhantomSpec::tiny(1, 111).instance(0, 0);
    let whole: Vec<PhantomInstance> = PhantomSpec::tiny(24, 112).iter().collect();
    let mut tasks = JoinSet::new();
    for line in 0..8 {
        // Every line sends the same image, its own third of the study, and the next line's too.
        let mut sent = vec![same.clone()];
        sent.extend(whole.iter().cycle().skip(line * 3).take(6).cloned());
        let scanner = scanner.clone();
        tasks.spawn(async move { scanner.offer(&sent).await });
    }
    for outcome in tasks.join_all().await {
        for reply in outcome? {
            ensure!(reply.status == Status::SUCCESS, "every sender is told success: {reply:?}");
        }
    }
    assert_eq!(relay.count("SELECT COUNT(*) FROM instances").await?, 25);
    assert_eq!(relay.count("SELECT COUNT(*) FROM studies").await?, 2);
    assert_eq!(relay.count("SELECT COUNT(*) FROM series").await?, 2);
    assert_eq!(relay.count("SELECT COUNT(*) FROM quarantine").await?, 0);
    assert_eq!(blobs(relay.folder())? - before, 25, "the bytes of each are there once");
    let total = relay.count("SELECT CAST(SUM(instances) AS BIGINT) FROM studies").await?;
    assert_eq!(total, 25, "and counted once");
    let kinds = relay.events().await?;
    assert_eq!(kinds.iter().filter(|kind| *kind == "study_arriving").count(), 2);

    let technician = consortium.person(Place::ClinicA, Role::Technician).await?;
    let studies = technician.studies(&StudyQuery::default()).await?;
    let study = studies.into_iter().find(|it| it.instances == 24).context("the whole study")?;
    let detail = technician.study(&study.id).await?;
    for (instance, sent) in detail.series[0].instances.iter().zip(&whole) {
        assert_eq!(instance.uid, sent.sop_instance.to_string(), "in the order of their numbers");
        assert_eq!(technician.instance_data_set(&instance.id).await?, sent.data_set);
    }
    relay.advance(Span::from_secs(60)).await.map(drop)
}

async fn leases(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    relay.work().await?;
    consortium.scanner(Place::ClinicB).send(&PhantomSpec::tiny(1, 121)).await?;
    relay.pass(Span::from_secs(60));
    let service = relay.service().clone();
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        let service = service.clone();
        tasks.spawn(async move { service.take_job().await });
    }
    let mut taken = Vec::new();
    for outcome in tasks.join_all().await {
        taken.extend(outcome?);
    }
    let settling: Vec<_> = taken.iter().filter(|job| job.kind() == "settle_study").collect();
    assert_eq!(settling.len(), 1, "one of six takes it");
    ensure!(service.take_job().await?.is_none(), "what is under a lease is nobody else's");

    // Whoever took it died; after the lease somebody else does it, and the first one's late
    // answer changes nothing.
    relay.pass(Span::from_minutes(10));
    let again = service.take_job().await?.context("free again")?;
    let stale = taken.into_iter().find(|job| job.kind() == again.kind());
    service.work(again).await?;
    relay.work().await?;
    let verifier = consortium.person(Place::Lead, Role::Verifier).await?;
    assert_eq!(verifier.queue().await?.len(), 1);
    if let Some(stale) = stale {
        service.work(stale).await?;
    }
    relay.work().await?;
    assert_eq!(verifier.queue().await?.len(), 1, "done once");
    assert_eq!(relay.count("SELECT COUNT(*) FROM cases").await?, 1);
    Ok(())
}

async fn filters(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let case = one_case(relay, &consortium, 131).await?;
    let clinic = consortium.at(Place::ClinicB).to_owned();
    let verifier = consortium.numbered(Place::Lead, Role::Verifier, 1).await?;
    let doctor = consortium.person(Place::ClinicB, Role::ClinicDoctor).await?;
    let order = NewOrder {
        accession: Some("A1".to_owned()),
        ..NewOrder::new(&clinic, "P1", "张^三", "CT")
    };
    doctor.create_order(&order).await?;
    let claim = verifier.claim(&case).await?;
    let count =
        async |query: CaseQuery| -> Result<usize> { Ok(verifier.cases(&query).await?.items.len()) };
    let none = CaseQuery::default;
    let other = Some(consortium.at(Place::ClinicA).to_owned());
    assert_eq!(count(none()).await?, 1);
    assert_eq!(count(CaseQuery { stage: Some("in_progress".to_owned()), ..none() }).await?, 1);
    assert_eq!(count(CaseQuery { stage: Some("ready".to_owned()), ..none() }).await?, 0);
    assert_eq!(count(CaseQuery { clinic: Some(clinic.clone()), ..none() }).await?, 1);
    assert_eq!(count(CaseQuery { clinic: other.clone(), ..none() }).await?, 0);
    assert_eq!(count(CaseQuery { holder: Some(verifier.id.clone()), ..none() }).await?, 1);
    assert_eq!(count(CaseQuery { holder: Some(doctor.id.clone()), ..none() }).await?, 0);
    assert_eq!(count(CaseQuery { after: Some(case.clone()), ..none() }).await?, 0);

    let orders =
        async |query: OrderQuery| -> Result<usize> { Ok(doctor.orders(&query).await?.items.len()) };
    let none = OrderQuery::default;
    assert_eq!(orders(OrderQuery { matched: Some(false), ..none() }).await?, 1);
    assert_eq!(orders(OrderQuery { matched: Some(true), ..none() }).await?, 0);
    assert_eq!(orders(OrderQuery { accession: Some("A1".to_owned()), ..none() }).await?, 1);
    assert_eq!(orders(OrderQuery { clinic: other, ..none() }).await?, 0);
    let complete = StudyQuery { stage: Some("complete".to_owned()), ..StudyQuery::default() };
    assert_eq!(doctor.studies(&complete).await?.items.len(), 1);

    verifier.sign(&claim, &Text::new("甲", "乙")).await?;
    relay.work().await?;
    let stage = |stage: &str| DeliveryQuery {
        case: Some(case.clone()),
        stage: Some(stage.to_owned()),
        ..DeliveryQuery::default()
    };
    assert_eq!(doctor.deliveries(&stage("in_inbox")).await?.items.len(), 1);
    assert_eq!(doctor.deliveries(&stage("sent")).await?.items.len(), 0);
    let people = format!("/api/v1/people?organization={clinic}");
    let people: Value = consortium.root.get(&people).await?;
    assert_eq!(people["items"].as_array().map(Vec::len), Some(1), "{people}");
    let devices: Value = consortium.root.get(&format!("/api/v1/devices?clinic={clinic}")).await?;
    assert_eq!(devices["items"].as_array().map(Vec::len), Some(1));
    Ok(())
}

/// What was acknowledged before a stop is there after the start, and work goes on where it was.
async fn again(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let spec = PhantomSpec::tiny(2, 141);
    let sent = consortium.scanner(Place::ClinicB).send(&spec).await?;
    let verifier = consortium.person(Place::Lead, Role::Verifier).await?;
    let token = verifier.token().context("signed in")?.to_owned();
    relay.restart().await?;
    relay.advance(Span::from_secs(60)).await?;
    let verifier = relay.client().with_token(token);
    let claim = verifier.next_case().await?;
    verifier.save_draft(&claim, &Text::new("甲", "")).await?;
    relay.restart().await?;
    let verifier = relay.client().with_token(verifier.token().unwrap_or_default());
    let drafts = verifier.drafts(&claim.case.id).await?;
    assert_eq!(drafts.first().map(|draft| draft.text.findings.as_str()), Some("甲"));
    verifier.heartbeat(&claim).await?;
    let detail = verifier.study(&claim.case.study).await?;
    for (instance, sent) in detail.series[0].instances.iter().zip(&sent) {
        assert_eq!(verifier.instance_data_set(&instance.id).await?, sent.data_set);
    }
    verifier.sign(&claim, &Text::new("甲", "乙")).await?;
    relay.work().await.map(drop)
}

/// A store function that nobody calls has nobody who notices when it is wrong.
#[test]
fn every_store_function_has_a_caller() -> Result<()> {
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src");
    let mut callers = String::new();
    for folder in ["service", "store", "app"] {
        read_all(&server.join(folder), &mut callers)?;
    }
    let mut functions = String::new();
    read_all(&server.join("store"), &mut functions)?;
    let mut idle = Vec::new();
    for rest in functions.split("pub async fn ").skip(1) {
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let calls = [format!(".{name}("), format!("::{name}(")];
        if !calls.iter().any(|call| callers.contains(call)) {
            idle.push(name);
        }
    }
    // What the wiring and health checks call.
    idle.retain(|name| !["open", "close", "ping"].contains(&name.as_str()));
    ensure!(idle.is_empty(), "nobody calls {idle:?}");
    Ok(())
}

fn read_all(folder: &Path, into: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

//! Reports and their way out, told with a virtual clock, a PACS that does as it is told and a
//! printer that prints its sheet as text.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use medrelay_core::case::{Case, Stage};
use medrelay_core::delivery::Route;
use medrelay_core::id::{
    AgreementId, DeliveryId, DestinationId, InstanceId, OrganizationId, Phi, SeriesId, StudyId, Uid,
};
use medrelay_core::people::{
    Actor, Agreement, Grant, OrganizationKind, Priority, Role, SigningPolicy, TimeLimits,
};
use medrelay_core::study::{Charset, InstanceFacts, PatientFacts};
use medrelay_core::time::{Clock, Entropy, ManualClock, SeededEntropy, Span};

use super::*;
use crate::blobs::Blobs;
use crate::config::Secret;
use crate::secrets::{MasterKey, Signer, Vault};
use crate::service::delivering::{Delivery, DeliveryFilter};
use crate::service::{Boxed, Courier, CourierError, Parcel, Parts, Printer, Settings};
use crate::store::{Db, Destination, NewInstance, Organization, Person};
use crate::tls::{ClinicAuthority, root_files};
use crate::typeset::ReportSheet;

/// A PACS that answers what it is told to and remembers what it got.
#[derive(Default)]
struct Pacs {
    answers: Mutex<Vec<CourierError>>,
    got: Mutex<Vec<Parcel>>,
}

impl Courier for Pacs {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Boxed<'a, Result<(), CourierError>> {
        Box::pin(async move {
            self.got.lock().expect("whole").push(parcel.clone());
            match self.answers.lock().expect("whole").pop() {
                Some(error) => Err(error),
                None => Ok(()),
            }
        })
    }
}

struct TextPrinter;

impl Printer for TextPrinter {
    fn print(&self, sheet: &ReportSheet) -> Result<Vec<u8>, String> {
        let lines = [&sheet.report_number, &sheet.patient_age, &sheet.findings, &sheet.impression];
        Ok(format!("%PDF-{}", lines.map(String::as_str).join("|")).into_bytes())
    }
}

/// A relay with one clinic, one centre, one case in the queue.
struct House {
    service: Service,
    clock: Arc<ManualClock>,
    pacs: Arc<Pacs>,
    case: CaseId,
    reporter: Caller,
    verifier: Caller,
    doctor: Caller,
    coordinator: Caller,
    stranger: Caller,
    _dir: tempfile::TempDir,
}

impl House {
    async fn build(policy: SigningPolicy, routes: &[Route]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_772_331_600_000_000)));
        let entropy = Arc::new(SeededEntropy::new(11));
        let pacs = Arc::new(Pacs::default());
        let service = relay(dir.path(), &clock, &entropy, &pacs).await?;
        let mut tx = service.parts.db.write().await?;
        let (now, entropy) = (clock.now(), &*entropy);
        let clinic = organization(&mut tx, "示例镇卫生院", now, entropy).await?;
        let centre = organization(&mut tx, "示例县人民医院", now, entropy).await?;
        let other = organization(&mut tx, "别处卫生院", now, entropy).await?;
        let mut people = Vec::new();
        for (login, place, role) in [
            ("reporter", &centre, Role::Reporter),
            ("verifier", &centre, Role::Verifier),
            ("doctor", &clinic, Role::ClinicDoctor),
            ("coordinator", &centre, Role::Coordinator),
            ("stranger", &other, Role::ClinicDoctor),
        ] {
            people.push(person(&mut tx, login, place, role, now, entropy).await?);
        }
        let sides = (&clinic, &centre);
        let agreement = agreement(&mut tx, sides, policy, routes, now, entropy).await?;
        let study = study(&mut tx, &clinic, now, entropy).await?;
        let case = Case {
            id: CaseId::new(now, entropy),
            agreement,
            clinic,
            centre,
            study,
            order: None,
            modality: "CT".to_owned(),
            priority: Priority::Routine,
            policy,
            opened_at: now,
            deadline: now + Span::from_hours(4),
            fair: 0,
            fence: 0,
            late_images: false,
            assigned: None,
            returns: 0,
            version: 1,
            stage: Stage::Ready,
        };
        tx.insert_case(&case, "IMG-2026-000001").await?;
        tx.commit().await?;
        let [reporter, verifier, doctor, coordinator, stranger] =
            people.try_into().map_err(|_| anyhow::anyhow!("five people"))?;
        let case = case.id;
        Ok(Self {
            service,
            clock,
            pacs,
            case,
            reporter,
            verifier,
            doctor,
            coordinator,
            stranger,
            _dir: dir,
        })
    }

    async fn claim(&self, caller: &Caller) -> Result<Proof> {
        let claimed = self.service.claim(caller, &self.case).await?;
        Ok(Proof { token: claimed.token, fence: claimed.case.fence })
    }

    async fn signed(&self, caller: &Caller, findings: &str) -> Result<ReportView> {
        let proof = self.claim(caller).await?;
        Ok(self.service.sign(caller, &self.case, &proof, text(findings)).await?)
    }

    async fn stage(&self) -> Result<&'static str> {
        let mut tx = self.service.parts.db.read().await?;
        Ok(tx.case(&self.case).await?.context("the case")?.stage.name())
    }

    async fn deliveries(&self) -> Result<Vec<Delivery>> {
        let filter = DeliveryFilter { case: Some(self.case.clone()), stage: None };
        let views = self.service.deliveries(&self.coordinator, &filter, None, 50).await?;
        Ok(views.into_iter().map(|view| view.delivery).collect())
    }

    async fn on(&self, route: Route) -> Result<Delivery> {
        let found = self.deliveries().await?.into_iter().find(|d| d.route == route);
        found.context("a delivery on this route")
    }

    async fn deliver(&self, id: &DeliveryId) -> Result<Option<Timestamp>> {
        Ok(self.service.deliver(id).await?)
    }

    fn pacs_says(&self, error: CourierError) {
        self.pacs.answers.lock().expect("whole").push(error);
    }

    async fn happened(&self) -> Result<Vec<String>> {
        let mut tx = self.service.parts.db.read().await?;
        let events = tx.events_after(0, 1_000).await?;
        Ok(events.into_iter().map(|(record, _)| record.kind).collect())
    }
}

async fn relay(
    dir: &Path,
    clock: &Arc<ManualClock>,
    entropy: &Arc<SeededEntropy>,
    pacs: &Arc<Pacs>,
) -> Result<Service> {
    let secret = Secret::new("5a".repeat(32));
    let master = MasterKey::open(dir, Some(&secret), &**entropy)?;
    let vault = master.vault()?;
    let sealer: crate::store::Sealer = Arc::new(sha256_hex);
    let url = format!("sqlite://{}?mode=rwc", dir.join("relay.db").display());
    Ok(Service::new(Parts {
        db: Db::open(&url, 4, Arc::clone(&sealer)).await?,
        blobs: Blobs::directory(&dir.join("blobs"))?,
        clock: clock.clone(),
        entropy: entropy.clone(),
        authority: Arc::new(authority(dir, &vault, &**clock, &**entropy)?),
        receipts: Arc::new(Signer::generate(&vault, "receipts", &**entropy)?.0),
        vault: Arc::new(vault),
        courier: pacs.clone(),
        printer: Arc::new(TextPrinter),
        settings: Settings::default(),
        node: "test".to_owned(),
        anchors: dir.join("audit"),
        partials: dir.join("partial"),
        sealer,
    }))
}

fn authority(
    dir: &Path,
    vault: &Vault,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<ClinicAuthority> {
    let (pem, sealed) = root_files(&dir.join("keys"), vault, clock.now(), entropy)?;
    Ok(ClinicAuthority::open(&pem, &sealed, vault)?)
}

async fn agreement(
    tx: &mut Tx,
    (clinic, centre): (&OrganizationId, &OrganizationId),
    policy: SigningPolicy,
    routes: &[Route],
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<AgreementId> {
    let agreement = Agreement {
        id: AgreementId::new(now, entropy),
        clinic: clinic.clone(),
        centre: centre.clone(),
        modalities: Vec::new(),
        limits: TimeLimits::default(),
        policy,
        weight: 1,
        valid_from: now,
        valid_to: None,
    };
    tx.insert_agreement(&agreement, now).await?;
    for route in routes {
        let address = serde_json::json!({ "ae_title": "PACS", "host": "pacs", "port": 104 });
        let settings = if *route == Route::Inbox { serde_json::json!({}) } else { address };
        tx.insert_destination(&Destination {
            id: DestinationId::new(now, entropy),
            agreement: agreement.id.clone(),
            route: *route,
            name: route.as_str().to_owned(),
            settings: settings.to_string(),
            removed_at: None,
            created_at: now,
        })
        .await?;
    }
    Ok(agreement.id)
}

async fn organization(
    tx: &mut Tx,
    name: &str,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<OrganizationId> {
    let id = OrganizationId::new(now, entropy);
    tx.insert_organization(&Organization {
        id: id.clone(),
        above: Vec::new(),
        kind: OrganizationKind::TownshipClinic,
        name: name.to_owned(),
        closed_at: None,
        created_at: now,
        version: 1,
    })
    .await?;
    Ok(id)
}

async fn person(
    tx: &mut Tx,
    login: &str,
    organization: &OrganizationId,
    role: Role,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Caller> {
    let id = PersonId::new(now, entropy);
    let grants = vec![Grant { organization: organization.clone(), role }];
    let person = Person {
        id: id.clone(),
        login: login.to_owned(),
        name: format!("张{login}"),
        modalities: Vec::new(),
        grants: grants.clone(),
        invited: false,
        second_factor: false,
        disabled_at: None,
        created_at: now,
        version: 1,
    };
    tx.insert_person(&person, "no password").await?;
    Ok(Caller { actor: Actor::Person { id, grants }, source: "192.0.2.1".to_owned() })
}

async fn study(
    tx: &mut Tx,
    clinic: &OrganizationId,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<StudyId> {
    let facts = InstanceFacts {
        sop_class: Uid::parse("1.2.840.10008.5.1.4.1.1.2")?,
        sop_instance: Uid::random(entropy),
        transfer_syntax: Uid::parse("1.2.840.10008.1.2.1")?,
        study: Uid::random(entropy),
        series: Uid::random(entropy),
        modality: "CT".to_owned(),
        patient: PatientFacts {
            id: Phi::new("P0001".to_owned()),
            issuer: None,
            name: Phi::new("Li^Si=李^四".to_owned()),
            birth_date: Phi::new(Some("19620504".to_owned())),
            sex: Some("M".to_owned()),
        },
        accession: Some("A1".to_owned()),
        study_number: None,
        study_date: Some("20260301".to_owned()),
        study_time: None,
        study_description: None,
        series_number: Some(1),
        series_description: None,
        body_part: Some("CHEST".to_owned()),
        instance_number: Some(1),
        rows: Some(4),
        columns: Some(4),
        frames: 1,
        charset: Charset { declared: "ISO_IR 192".to_owned(), guessed: false },
    };
    let new = NewInstance {
        id: InstanceId::new(now, entropy),
        facts,
        clinic: clinic.clone(),
        device: None,
        sha256: sha256_hex(b"pixels"),
        bytes: 6,
        data_offset: 0,
    };
    let id = StudyId::new(now, entropy);
    tx.insert_study(&id, &new, now, now).await?;
    let series = SeriesId::new(now, entropy);
    tx.insert_series(&series, &id, &new.facts).await?;
    tx.insert_instance(&new, &id, &series, now, now).await?;
    Ok(id)
}

fn text(findings: &str) -> Text {
    Text {
        findings: Phi::new(findings.to_owned()),
        impression: Phi::new("右肺炎症".to_owned()),
        recommendation: Phi::new("两周后复查".to_owned()),
    }
}

const BOTH: &[Route] = &[Route::Inbox, Route::Dicom];

#[tokio::test]
async fn two_people_sign_and_the_clinic_gets_it_everywhere() -> Result<()> {
    let house = House::build(SigningPolicy::Double, BOTH).await?;
    let first = house.signed(&house.reporter, "初步所见").await?;
    assert_eq!(
        (first.report.kind, house.stage().await?),
        (VersionKind::Preliminary, "preliminary")
    );
    assert!(house.deliveries().await?.is_empty(), "a preliminary report does not leave");
    let hidden = house.service.report(&house.doctor, &first.report.id).await;
    assert!(matches!(hidden, Err(Error::Denied(_))), "nor does the clinic see it");

    let last = house.signed(&house.verifier, "右肺下叶见斑片影").await?;
    assert_eq!((last.report.kind, house.stage().await?), (VersionKind::Final, "final"));
    assert_eq!(last.signed.reporter.name, "张reporter");
    assert_eq!(last.signed.verifier.map(|v| v.name).as_deref(), Some("张verifier"));
    assert_eq!(last.signed.predecessor, Some(first.report.sha256.clone()));

    // The PACS is away once, then takes it: the same bytes both times.
    let machine = house.on(Route::Dicom).await?;
    house.pacs_says(CourierError::Retry("nobody there".to_owned()));
    let again = house.deliver(&machine.id).await?.context("another attempt")?;
    assert!(again > house.clock.now());
    assert_eq!(house.deliver(&machine.id).await?, Some(again), "not before its time");
    house.clock.set(again);
    assert_eq!(house.deliver(&machine.id).await?, None);
    let got = house.pacs.got.lock().expect("whole").clone();
    assert_eq!(got.len(), 2);
    for (a, b) in got[0].objects.iter().zip(&got[1].objects) {
        assert_eq!((&a.sop_instance, &a.data_set), (&b.sop_instance, &b.data_set));
    }
    let classes: Vec<&str> = got[1].objects.iter().map(|o| o.sop_class.as_str()).collect();
    assert_eq!(classes, ["1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.104.1"]);
    assert_eq!(house.stage().await?, "delivered");

    let inbox = house.service.inbox(&house.doctor, None, 10).await?;
    assert_eq!(inbox.len(), 1);
    assert!(house.service.inbox(&house.stranger, None, 10).await?.is_empty());
    let refused = house.service.acknowledge(&house.stranger, &inbox[0].delivery).await;
    assert!(matches!(refused, Err(Error::Denied(access::Denial::Hidden))));
    house.service.acknowledge(&house.doctor, &inbox[0].delivery).await?;
    assert_eq!(house.stage().await?, "closed");
    let twice = house.service.acknowledge(&house.doctor, &inbox[0].delivery).await;
    assert!(matches!(twice, Err(Error::Delivery(_))));

    let pdf = house.service.report_pdf(&house.doctor, &last.report.id).await?;
    let pdf = String::from_utf8_lossy(&pdf.bytes).into_owned();
    ensure!(pdf.contains("IMG-2026-000001-2|63岁|右肺下叶见斑片影"), "{pdf}");
    let sr = house.service.report_sr(&house.doctor, &last.report.id).await?;
    assert_eq!(sr.bytes.get(128..132), Some(b"DICM".as_slice()));
    let happened = house.happened().await?;
    for kind in [
        "preliminary_signed",
        "final_signed",
        "delivery_failed",
        "delivery_sent",
        "case_delivered",
        "report_acknowledged",
        "case_closed",
        "report_read",
    ] {
        ensure!(happened.iter().any(|known| known == kind), "{kind} is missing: {happened:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_refused_delivery_is_parked_until_a_person_mends_it() -> Result<()> {
    let house = House::build(SigningPolicy::SingleSenior, BOTH).await?;
    house.signed(&house.verifier, "所见").await?;
    let machine = house.on(Route::Dicom).await?;
    house.pacs_says(CourierError::Refused("calling AE title not recognized".to_owned()));
    assert_eq!(house.deliver(&machine.id).await?, None);
    let parked = house.on(Route::Dicom).await?;
    assert_eq!(parked.stage.name(), "parked");
    assert_eq!(parked.last_error.as_deref(), Some("calling AE title not recognized"));
    assert!(house.happened().await?.iter().any(|kind| kind == "delivery_parked"));

    // Acknowledged before the PACS has it: the case waits for the PACS, then closes at once.
    let inbox = house.on(Route::Inbox).await?;
    house.service.acknowledge(&house.doctor, &inbox.id).await?;
    assert_eq!(house.stage().await?, "final");
    let forbidden = house.service.retry(&house.doctor, &machine.id).await;
    assert!(matches!(forbidden, Err(Error::Denied(access::Denial::Forbidden))));
    house.service.retry(&house.coordinator, &machine.id).await?;
    assert_eq!(house.deliver(&machine.id).await?, None);
    assert_eq!(house.stage().await?, "closed");
    assert_eq!(house.on(Route::Dicom).await?.attempts, 2);
    Ok(())
}

#[tokio::test]
async fn the_text_of_a_lost_claim_is_kept_for_whoever_comes_next() -> Result<()> {
    let house = House::build(SigningPolicy::Double, BOTH).await?;
    let proof = house.claim(&house.reporter).await?;
    let saved = house.service.save_draft(&house.reporter, &house.case, &proof, text("甲")).await?;
    let again = house.service.save_draft(&house.reporter, &house.case, &proof, text("乙")).await?;
    assert_eq!(saved.id, again.id, "one live draft for each claim");

    let taken = house.service.take_over(&house.verifier, &house.case, "交班").await?;
    for written in ["丙", "丁", "丁"] {
        let late = house.service.save_draft(&house.reporter, &house.case, &proof, text(written));
        assert!(matches!(late.await, Err(Error::Case(Refusal::ClaimLost { .. }))));
    }
    let late = house.service.sign(&house.verifier, &house.case, &proof, text("戊")).await;
    assert!(matches!(late, Err(Error::Case(Refusal::ClaimLost { .. }))), "another's token");

    let offered = house.service.drafts(&house.verifier, &house.case).await?;
    let found = |text: &str, author: &str| {
        offered.iter().any(|view| {
            view.draft.text.findings.reveal() == text
                && view.author_name == author
                && view.draft.state == DraftState::Orphan
        })
    };
    assert!(found("丁", "张reporter") && found("戊", "张verifier"), "{offered:?}");
    let own = house.service.drafts(&house.reporter, &house.case).await?;
    assert!(own.iter().all(|view| view.author_name == "张reporter") && !own.is_empty());

    let proof = Proof { token: taken.token, fence: taken.case.fence };
    let mut empty = text("");
    empty.impression = Phi::new(String::new());
    let nothing = house.service.sign(&house.verifier, &house.case, &proof, empty).await;
    assert!(matches!(nothing, Err(Error::Text(_))));
    house.service.sign(&house.verifier, &house.case, &proof, text("终")).await?;
    Ok(())
}

#[tokio::test]
async fn an_addendum_carries_the_report_and_goes_out_anew() -> Result<()> {
    let house = House::build(SigningPolicy::SingleSenior, BOTH).await?;
    house.signed(&house.verifier, "原文").await?;
    let unsent = house.on(Route::Dicom).await?;
    let missing = house.service.addendum(&house.verifier, &house.case, text("补充"), " ").await;
    assert!(matches!(missing, Err(Error::Text(_))));
    let added =
        house.service.addendum(&house.verifier, &house.case, text("补充"), "晚到图像").await?;
    assert_eq!((added.report.kind, added.report.number), (VersionKind::Addendum, 2));

    let deliveries = house.deliveries().await?;
    let stage_of =
        |id: &DeliveryId| deliveries.iter().find(|d| d.id == *id).map(|d| d.stage.name());
    assert_eq!(stage_of(&unsent.id), Some("superseded"), "it had not left yet");
    assert_eq!(house.deliver(&unsent.id).await?, None);
    assert!(house.pacs.got.lock().expect("whole").is_empty());
    let waiting = deliveries.iter().filter(|d| d.stage.name() == "in_inbox").count();
    assert_eq!(waiting, 2, "what lies in the inbox stays there");

    let due = deliveries.iter().find(|d| d.stage.name() == "due").context("the addendum")?;
    assert_eq!(house.deliver(&due.id).await?, None);
    assert_eq!(house.stage().await?, "delivered");
    let pdf = house.service.report_pdf(&house.doctor, &added.report.id).await?;
    let pdf = String::from_utf8_lossy(&pdf.bytes).into_owned();
    ensure!(pdf.contains("原文") && pdf.contains("补充"), "{pdf}");
    for delivery in deliveries.iter().filter(|d| d.route == Route::Inbox) {
        assert_eq!(house.stage().await?, "delivered");
        house.service.acknowledge(&house.doctor, &delivery.id).await?;
    }
    assert_eq!(house.stage().await?, "closed");
    Ok(())
}

#[tokio::test]
async fn a_version_that_was_changed_is_found_out() -> Result<()> {
    let house = House::build(SigningPolicy::Double, &[Route::Inbox]).await?;
    house.signed(&house.reporter, "初步").await?;
    let last = house.signed(&house.verifier, "正式").await?;
    let found = house.service.verify(&house.verifier, &last.report.id).await?;
    ensure!(found.holds(), "{found:?}");
    assert_eq!(house.stage().await?, "delivered", "no machine to wait for");

    let mut tx = house.service.parts.db.read().await?;
    let mut changed = last.report.clone();
    changed.canonical = Phi::new(changed.canonical.reveal().replace("正式", "伪造"));
    let found = verification(&mut tx, &changed).await?;
    assert!(!found.hash_holds && !found.signature_holds && found.row_holds);
    changed.sha256 = sha256_hex(changed.canonical.reveal().as_bytes());
    let found = verification(&mut tx, &changed).await?;
    assert!(found.hash_holds && !found.signature_holds && !found.holds());

    let changed = Report { signed_at: Timestamp::from_micros(1), ..last.report.clone() };
    assert!(!verification(&mut tx, &changed).await?.row_holds);
    let first = tx.reports_of_case(&house.case).await?.remove(0);
    let changed = Report { key: first.key, ..last.report.clone() };
    let found = verification(&mut tx, &changed).await?;
    assert!(!found.signer_holds && !found.signature_holds);
    let spaced = format!(" {}", last.report.canonical.reveal());
    let changed = Report { canonical: Phi::new(spaced), ..last.report };
    assert!(!verification(&mut tx, &changed).await?.row_holds, "not canonical any more");
    Ok(())
}

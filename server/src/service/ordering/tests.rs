//! Orders as they are typed, and how each finds its study whichever of the two comes first.

use medrelay_core::case::Case;
use medrelay_core::id::{AgreementId, InstanceId, PersonId, SeriesId};
use medrelay_core::people::{
    Actor, Agreement, Grant, OrganizationKind, Role, SigningPolicy, TimeLimits,
};
use medrelay_core::study::{Charset, InstanceFacts, PatientFacts};
use medrelay_core::time::{SeededEntropy, Span};

use super::*;
use crate::app::{Ambient, assemble};
use crate::config::Config;
use crate::store::{NewInstance, Organization, Person};

fn order() -> Order {
    let (now, entropy) = (Timestamp::from_micros(1), SeededEntropy::new(1));
    Order {
        id: OrderId::new(now, &entropy),
        number: "ORD-2026-000001".to_owned(),
        clinic: OrganizationId::new(now, &entropy),
        patient_id: Phi::new(" P1 ".to_owned()),
        patient_name: Phi::new("张三".to_owned()),
        patient_birth_date: Phi::new(Some("19600229".to_owned())),
        patient_sex: Some("F".to_owned()),
        modality: "ct".to_owned(),
        body_part: Some("chest".to_owned()),
        accession: Some("  ".to_owned()),
        study_uid: None,
        priority: Priority::Stat,
        history: Phi::new("咳嗽\n发热".to_owned()),
        question: Phi::new(String::new()),
        ordered_by: PersonId::new(now, &entropy),
        study: None,
        created_at: now,
        version: 1,
    }
}

#[test]
fn what_was_typed_is_tidied_before_it_is_checked() {
    let mut order = order();
    tidy(&mut order);
    check(&order).expect("a good order");
    assert_eq!(order.patient_id.reveal(), "P1");
    assert_eq!(order.modality, "CT");
    assert_eq!(order.body_part.as_deref(), Some("CHEST"));
    assert_eq!(order.accession, None);
}

#[test]
fn what_is_wrong_is_named_without_its_value() {
    type Spoil = fn(&mut Order);
    let cases: [(&str, Spoil); 7] = [
        ("patient_id", |o| o.patient_id = Phi::new(String::new())),
        ("patient_name", |o| o.patient_name = Phi::new("Secret\\Name".to_owned())),
        ("patient_birth_date", |o| o.patient_birth_date = Phi::new(Some("20260230".to_owned()))),
        ("patient_sex", |o| o.patient_sex = Some("X".to_owned())),
        ("modality", |o| o.modality = "C T".to_owned()),
        ("accession", |o| o.accession = Some("Secret-Number-Too-Long".to_owned())),
        ("history", |o| o.history = Phi::new("a\u{0}b".to_owned())),
    ];
    for (field, spoil) in cases {
        let mut order = order();
        spoil(&mut order);
        tidy(&mut order);
        let error = check(&order).expect_err(field).to_string();
        assert!(error.starts_with(field) && !error.contains("Secret"), "{error}");
    }
}

#[test]
fn a_change_leaves_alone_what_it_does_not_name() {
    let mut changed = order();
    let change = OrderChange {
        accession: Some("A7".to_owned()),
        body_part: Some(String::new()),
        ..OrderChange::default()
    };
    change.apply(&mut changed).expect("applies");
    tidy(&mut changed);
    assert_eq!(changed.accession.as_deref(), Some("A7"));
    assert_eq!(changed.body_part, None);
    assert_eq!(changed.patient_name, order().patient_name);
    assert_eq!(changed.priority, Priority::Stat);
}

/// A clinic with a technician, a centre, and an agreement between the two.
struct Scene {
    service: Service,
    clinic: OrganizationId,
    technician: Caller,
    _data: tempfile::TempDir,
}

impl Scene {
    async fn new() -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let mut config = Config::default();
        config.data.dir = data.path().to_owned();
        let service = assemble(&config, &Ambient::system()).await?;
        let (now, entropy) = (service.now(), &*service.parts.entropy);
        let clinic = OrganizationId::new(now, entropy);
        let centre = OrganizationId::new(now, entropy);
        let person = Person {
            id: PersonId::new(now, entropy),
            login: "tech".to_owned(),
            name: "技师".to_owned(),
            modalities: Vec::new(),
            grants: vec![Grant { organization: clinic.clone(), role: Role::Technician }],
            invited: false,
            second_factor: false,
            disabled_at: None,
            created_at: now,
            version: 1,
        };
        let mut tx = service.db().write().await?;
        for (id, kind) in
            [(&centre, OrganizationKind::LeadHospital), (&clinic, OrganizationKind::TownshipClinic)]
        {
            let organization = Organization {
                id: id.clone(),
                above: Vec::new(),
                kind,
                name: kind.as_str().to_owned(),
                closed_at: None,
                created_at: now,
                version: 1,
            };
            tx.insert_organization(&organization).await?;
        }
        tx.insert_person(&person, "none").await?;
        let agreement = Agreement {
            id: AgreementId::new(now, entropy),
            clinic: clinic.clone(),
            centre,
            modalities: vec!["CT".to_owned()],
            limits: TimeLimits::default(),
            policy: SigningPolicy::SingleSenior,
            weight: 1,
            valid_from: now - Span::from_hours(1),
            valid_to: None,
        };
        tx.insert_agreement(&agreement, now).await?;
        tx.commit().await?;
        let actor = Actor::Person { id: person.id, grants: person.grants };
        let technician = Caller { actor, source: "10.0.0.7".to_owned() };
        Ok(Self { service, clinic, technician, _data: data })
    }

    fn typed(&self, patient: &str, accession: Option<&str>, study: Option<&Uid>) -> NewOrder {
        NewOrder {
            clinic: self.clinic.clone(),
            patient_id: Phi::new(patient.to_owned()),
            patient_name: Phi::new("张三".to_owned()),
            patient_birth_date: Phi::new(None),
            patient_sex: None,
            modality: "CT".to_owned(),
            body_part: None,
            accession: accession.map(str::to_owned),
            study_uid: study.cloned(),
            priority: Priority::Stat,
            history: Phi::new(String::new()),
            question: Phi::new(String::new()),
        }
    }

    async fn write(
        &self,
        patient: &str,
        accession: Option<&str>,
        study: Option<&Uid>,
    ) -> Result<Order, Error> {
        self.service.create_order(&self.technician, self.typed(patient, accession, study)).await
    }

    /// One instance of a new study, as if a scanner had sent it.
    async fn arrive(&self, patient: &str, accession: Option<&str>) -> anyhow::Result<Study> {
        let (now, entropy) = (self.service.now(), &*self.service.parts.entropy);
        let facts = InstanceFacts {
            sop_class: Uid::parse("1.2.840.10008.5.1.4.1.1.2")?,
            sop_instance: Uid::random(entropy),
            transfer_syntax: Uid::parse("1.2.840.10008.1.2.1")?,
            study: Uid::random(entropy),
            series: Uid::random(entropy),
            modality: "CT".to_owned(),
            patient: PatientFacts { id: Phi::new(patient.to_owned()), ..PatientFacts::default() },
            accession: accession.map(str::to_owned),
            study_number: None,
            study_date: None,
            study_time: None,
            study_description: None,
            series_number: None,
            series_description: None,
            body_part: None,
            instance_number: None,
            rows: None,
            columns: None,
            frames: 1,
            charset: Charset { declared: String::new(), guessed: false },
        };
        let new = NewInstance {
            id: InstanceId::new(now, entropy),
            facts,
            clinic: self.clinic.clone(),
            device: None,
            sha256: "00".repeat(32),
            bytes: 10,
            data_offset: 0,
        };
        let id = StudyId::new(now, entropy);
        let mut tx = self.service.db().write().await?;
        tx.insert_study(&id, &new, now, now).await?;
        let series = SeriesId::new(now, entropy);
        tx.insert_series(&series, &id, &new.facts).await?;
        tx.insert_instance(&new, &id, &series, now, now).await?;
        let study = tx.study(&id).await?;
        tx.commit().await?;
        study.ok_or_else(|| anyhow::anyhow!("the study was just written"))
    }

    async fn complete(&self, study: &Study) -> Result<Study, Error> {
        self.service.complete_study(&self.technician, &study.id).await
    }

    async fn look(&self, study: &Study) -> anyhow::Result<(Study, Option<Case>)> {
        let mut tx = self.service.db().read().await?;
        let found = tx.study(&study.id).await?;
        let case = tx.case_of_study(&study.id).await?;
        Ok((found.ok_or_else(|| anyhow::anyhow!("the study is there"))?, case))
    }
}

#[tokio::test]
async fn an_order_before_its_study_decides_how_soon() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let order = scene.write("P1", Some("A1"), None).await?;
    let study = scene.arrive("P1", Some("A1")).await?;
    let study = scene.complete(&study).await?;
    assert_eq!(study.order, Some(order.id.clone()));
    let case = scene.look(&study).await?.1.expect("a case");
    assert_eq!((case.order, case.priority), (Some(order.id.clone()), Priority::Stat));
    let read = scene.service.order(&scene.technician, &order.id).await?;
    assert_eq!(read.study, Some(study.id));
    let late = OrderChange { priority: Some(Priority::Routine), ..OrderChange::default() };
    let refused = scene.service.update_order(&scene.technician, &order.id, late).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn an_order_after_its_study_moves_the_waiting_case() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let study = scene.arrive("P1", None).await?;
    scene.complete(&study).await?;
    let before = scene.look(&study).await?.1.expect("a case without an order");
    assert_eq!((before.order.clone(), before.priority), (None, Priority::Routine));
    let order = scene.write("P1", None, Some(&study.uid)).await?;
    assert_eq!(order.study, Some(study.id.clone()));
    let (study, case) = scene.look(&study).await?;
    let case = case.expect("the same case");
    assert_eq!(study.order, Some(order.id.clone()));
    assert_eq!((case.id, case.order, case.priority), (before.id, Some(order.id), Priority::Stat));
    assert_eq!(case.deadline, case.opened_at + Span::from_minutes(60));
    Ok(())
}

#[tokio::test]
async fn what_is_not_certain_waits_for_a_person() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let first = scene.write("P1", Some("A1"), None).await?;
    scene.write("P1", Some("A1"), None).await?;
    let study = scene.arrive("P1", Some("A1")).await?;
    let study = scene.complete(&study).await?;
    assert_eq!(study.trouble.as_deref(), Some("ambiguous_order"));
    assert!(scene.look(&study).await?.1.is_none(), "no case before a person has looked");
    let study = scene.service.match_study(&scene.technician, &study.id, &first.id).await?;
    assert_eq!((study.trouble.clone(), study.order.clone()), (None, Some(first.id)));
    assert!(scene.look(&study).await?.1.is_some(), "now it has its case");

    let stranger = scene.arrive("P2", Some("A2")).await?;
    let order = scene.write("P1", Some("A2"), None).await?;
    assert_eq!(order.study, None, "the accession number is right, the patient is not");
    // The clinic mends its slip of the pen, and the two find each other.
    let change =
        OrderChange { patient_id: Some(Phi::new("P2".to_owned())), ..OrderChange::default() };
    let mended = scene.service.update_order(&scene.technician, &order.id, change).await?;
    assert_eq!(mended.study, Some(stranger.id.clone()));
    assert_eq!((mended.version, order.version), (3, 1));
    let report = scene.service.verify_audit().await?;
    assert_eq!(report.fault, None);
    Ok(())
}

#[tokio::test]
async fn nobody_writes_or_sees_the_orders_of_another_clinic() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let order = scene.write("P1", None, None).await?;
    let now = scene.service.now();
    let elsewhere = OrganizationId::new(now, &*scene.service.parts.entropy);
    let grants = vec![Grant { organization: elsewhere, role: Role::Technician }];
    let Actor::Person { id, .. } = &scene.technician.actor else { return Ok(()) };
    let actor = Actor::Person { id: id.clone(), grants };
    let stranger = Caller { actor, source: String::new() };
    let hidden = |result: Result<Order, Error>| {
        let text = result.map(|order| order.number).map_err(|error| error.to_string());
        assert_eq!(text, Err(Error::hidden().to_string()));
    };
    hidden(scene.service.order(&stranger, &order.id).await);
    hidden(scene.service.create_order(&stranger, scene.typed("P1", None, None)).await);
    let change = OrderChange::default();
    hidden(scene.service.update_order(&stranger, &order.id, change).await);
    let list = scene.service.orders(&stranger, &OrderFilter::default(), None, 10).await?;
    assert!(list.is_empty());
    let own = scene.service.orders(&scene.technician, &OrderFilter::default(), None, 10).await?;
    assert_eq!(own.len(), 1);
    Ok(())
}

//! The eight sample studies: what they are, and their way through the door.

use anyhow::{Context as _, anyhow};

use medrelay_core::id::{Phi, Uid};
use medrelay_core::people::{Priority, Role};
use medrelay_core::time::{Span, Timestamp};
use medrelay_dicom::phantom::{Modality, PhantomPatient, PhantomSpec, TextEncoding};

use super::consortium::{CLINICS, Consortium};
use super::sending::{Line, SlowLine};
use crate::app::Relay;
use crate::service::Error;
use crate::service::ordering::NewOrder;
use crate::store::StudyFilter;

/// A sample study.
struct Plan {
    /// What it shows, for the list that is printed.
    title: &'static str,
    /// Number of the clinic in [`CLINICS`].
    clinic: usize,
    /// The device that sends it.
    device: &'static str,
    /// Kind of images.
    modality: Modality,
    /// Instances; 0 for as many as are usual.
    instances: u32,
    /// Number of the invented patient.
    patient: usize,
    /// How the text is written.
    charset: TextEncoding,
    /// How many days ago it was taken.
    days_ago: i64,
    /// Part of the body and description, where they are not the usual ones.
    body_part: Option<(&'static str, &'static str)>,
    /// The order that the clinic's doctor writes before it is sent.
    order: Option<Order>,
    /// Over a slow line, still arriving when the demonstration begins.
    slow: bool,
}

/// A sample order.
struct Order {
    priority: Priority,
    history: &'static str,
    question: &'static str,
}

const PLAIN: Plan = Plan {
    title: "",
    clinic: 0,
    device: "",
    modality: Modality::Ct,
    instances: 0,
    patient: 0,
    charset: TextEncoding::Utf8,
    days_ago: 0,
    body_part: None,
    order: None,
    slow: false,
};

const STUDIES: [Plan; 8] = [
    Plan {
        title: "胸部CT，一年前，是下一个检查的既往检查 / chest CT of last year, the prior of the next",
        device: "CLINIC1CT",
        instances: 24,
        days_ago: 365,
        ..PLAIN
    },
    Plan {
        title: "胸部CT，有既往检查 / chest CT with a prior",
        device: "CLINIC1CT",
        instances: 40,
        order: Some(Order {
            priority: Priority::Routine,
            history: "咳嗽两周，无发热。一年前胸部CT示右上肺小结节。",
            question: "结节有无变化？",
        }),
        ..PLAIN
    },
    Plan {
        title: "颅脑CT，急诊 / head CT, STAT",
        clinic: 1,
        device: "CLINIC2CT",
        instances: 24,
        patient: 7,
        body_part: Some(("HEAD", "颅脑CT平扫")),
        order: Some(Order {
            priority: Priority::Stat,
            history: "跌倒后意识模糊两小时，高血压病史。",
            question: "有无颅内出血？",
        }),
        ..PLAIN
    },
    Plan {
        title: "颅脑MR / brain MR",
        clinic: 1,
        device: "CLINIC2MR",
        modality: Modality::Mr,
        patient: 4,
        order: Some(Order {
            priority: Priority::Urgent,
            history: "头晕三天，右侧肢体麻木。",
            question: "有无急性脑梗死？",
        }),
        ..PLAIN
    },
    Plan {
        title: "胸部正位片 / chest radiograph",
        clinic: 2,
        device: "CLINIC3DR",
        modality: Modality::Dx,
        patient: 3,
        charset: TextEncoding::Iso2022Ir58,
        ..PLAIN
    },
    Plan {
        title: "腹部彩超动态 / abdominal ultrasound, colour clip",
        clinic: 2,
        device: "CLINIC3US",
        modality: Modality::Us,
        patient: 6,
        ..PLAIN
    },
    Plan {
        title: "胸部正位片，姓名含生僻字（GB18030） / radiograph, GB18030 with a rare character",
        device: "CLINIC1DR",
        modality: Modality::Dx,
        patient: 1,
        charset: TextEncoding::Gb18030,
        ..PLAIN
    },
    Plan {
        title: "胸部CT，网速慢，尚未传完 / chest CT over a slow line, still arriving",
        device: "CLINIC1CT",
        instances: 24,
        patient: 5,
        charset: TextEncoding::Gb18030,
        slow: true,
        ..PLAIN
    },
];

/// How many instances of the slow study are there when the demonstration begins.
const SLOW_FIRST: u32 = 6;
/// The offset of the clinics' clocks: they write local time.
const LOCAL_TIME: Span = Span::from_hours(8);

/// Enters the orders, sends the studies over DICOM and says for each that it is complete, as its
/// technician would. The slow one goes on arriving afterwards.
pub(super) async fn send(
    relay: &Relay,
    consortium: &Consortium,
    say: &impl Fn(&str),
) -> anyhow::Result<()> {
    let line = Line::to(relay)?;
    for (number, plan) in STUDIES.iter().enumerate() {
        let spec = spec(plan, number, relay.service.now());
        if let Some(order) = &plan.order {
            write_order(relay, consortium, plan, order, &spec).await?;
        }
        if plan.slow {
            let slow = SlowLine::open(&line, plan.device, spec, SLOW_FIRST).await?;
            let stop = relay.lifecycle.soft();
            drop(relay.lifecycle.spawn(slow.go_on(stop)));
        } else {
            let uid = spec.study_uid();
            line.send(plan.device, spec).await?;
            complete(relay, consortium, plan, &uid).await?;
        }
        say(&format!("  {}/{}  {}", number + 1, STUDIES.len(), plan.title));
    }
    Ok(())
}

fn spec(plan: &Plan, number: usize, now: Timestamp) -> PhantomSpec {
    // Every start of a demonstration gives the same studies, but taken just now.
    let usual = PhantomSpec::new(plan.modality, 20_260_000 + number as u64);
    // Between half an hour and a few minutes ago, in the order of sending.
    let minutes_ago = 30 - 3 * i64::try_from(number).unwrap_or_default();
    let taken =
        now + LOCAL_TIME - Span::from_hours(24 * plan.days_ago) - Span::from_minutes(minutes_ago);
    let (study_date, study_time) = date_and_time(taken);
    let (body_part, description) = match plan.body_part {
        Some((part, description)) => (part.to_owned(), description.to_owned()),
        None => (usual.body_part.clone(), usual.description.clone()),
    };
    PhantomSpec {
        instances: if plan.instances == 0 { usual.instances } else { plan.instances },
        patient: PhantomPatient::sample(plan.patient),
        charset: plan.charset,
        accession: Some(format!("DEMO{:04}", number + 1)),
        institution: CLINICS[plan.clinic].name.to_owned(),
        body_part,
        description,
        study_date,
        study_time,
        ..usual
    }
}

/// `YYYYMMDD` and `HHMMSS` of a moment that is local time already.
fn date_and_time(moment: Timestamp) -> (String, String) {
    let moment = chrono::DateTime::from_timestamp_micros(moment.micros()).unwrap_or_default();
    (moment.format("%Y%m%d").to_string(), moment.format("%H%M%S").to_string())
}

async fn write_order(
    relay: &Relay,
    consortium: &Consortium,
    plan: &Plan,
    order: &Order,
    spec: &PhantomSpec,
) -> anyhow::Result<()> {
    let clinic = consortium.clinic(plan.clinic).ok_or_else(|| anyhow!("no such clinic"))?;
    let doctor = consortium
        .somebody(Role::ClinicDoctor, plan.clinic)
        .ok_or_else(|| anyhow!("no doctor at the clinic"))?;
    let new = NewOrder {
        clinic: clinic.id.clone(),
        patient_id: Phi::new(spec.patient.id.clone()),
        patient_name: Phi::new(spec.patient.name.clone()),
        patient_birth_date: Phi::new(Some(spec.patient.birth_date.clone())),
        patient_sex: Some(spec.patient.sex.clone()),
        modality: spec.modality.code().to_owned(),
        body_part: Some(spec.body_part.clone()),
        accession: spec.accession.clone(),
        study_uid: None,
        priority: order.priority,
        history: Phi::new(order.history.to_owned()),
        question: Phi::new(order.question.to_owned()),
    };
    relay.service.create_order(&doctor, new).await.context("an order cannot be entered")?;
    Ok(())
}

/// The technician says that everything was sent, instead of waiting for the quiet time.
async fn complete(
    relay: &Relay,
    consortium: &Consortium,
    plan: &Plan,
    uid: &Uid,
) -> anyhow::Result<()> {
    let technician = consortium
        .somebody(Role::Technician, plan.clinic)
        .ok_or_else(|| anyhow!("no technician at the clinic"))?;
    let filter = StudyFilter::default();
    let studies = relay.service.studies(&technician, &filter, None, 200).await?;
    let study = studies
        .into_iter()
        .find(|study| study.uid == *uid)
        .ok_or_else(|| anyhow!("a study was sent and is not there"))?;
    match relay.service.complete_study(&technician, &study.id).await {
        // On a very slow machine the quiet time may have been first.
        Ok(_) | Err(Error::Conflict(_)) => Ok(()),
        Err(error) => Err(error).context("a study cannot be completed"),
    }
}

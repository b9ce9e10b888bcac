//! The sample consortium: one lead hospital, three clinics, people of every role, devices.

use medrelay_core::id::OrganizationId;
use medrelay_core::people::{Grant, OrganizationKind, Role, SigningPolicy, TimeLimits};

use super::texts;
use crate::service::agreements::NewAgreement;
use crate::service::devices::NewDevice;
use crate::service::people::NewPerson;
use crate::service::{Caller, Error, Service};
use crate::store::{Organization, Person};

/// The password of every sample account. Only sample data has one that is known beforehand.
pub(super) const PASSWORD: &str = "sample-data-only-2026";
/// Sample devices may send from this machine only.
const LOOPBACK: &str = "127.0.0.0/8";

/// The lead hospital.
pub(super) const HOSPITAL: &str = "县人民医院";

/// A sample clinic.
pub(super) struct ClinicPlan {
    /// Its name.
    pub(super) name: &'static str,
    /// Modalities of its agreement; empty means every one.
    pub(super) modalities: &'static [&'static str],
    /// Who signs.
    pub(super) policy: SigningPolicy,
    /// AE titles and names of its devices.
    pub(super) devices: &'static [(&'static str, &'static str)],
}

/// The sample clinics.
pub(super) const CLINICS: [ClinicPlan; 3] = [
    ClinicPlan {
        name: "青山镇卫生院",
        modalities: &[],
        policy: SigningPolicy::Double,
        devices: &[("CLINIC1CT", "CT 机房"), ("CLINIC1DR", "DR 机房")],
    },
    ClinicPlan {
        name: "白河乡卫生院",
        modalities: &[],
        policy: SigningPolicy::SingleSenior,
        devices: &[("CLINIC2CT", "CT 机房"), ("CLINIC2MR", "磁共振室")],
    },
    ClinicPlan {
        name: "石门镇卫生院",
        modalities: &["DX", "US"],
        policy: SigningPolicy::SingleSenior,
        devices: &[("CLINIC3DR", "DR 机房"), ("CLINIC3US", "超声室")],
    },
];

/// A sample account.
pub(super) struct Account {
    /// Account name.
    pub(super) login: &'static str,
    /// Name.
    pub(super) name: &'static str,
    /// As what.
    pub(super) role: Role,
    /// Number of the clinic in [`CLINICS`]; `None` is the lead hospital.
    pub(super) clinic: Option<usize>,
}

const fn account(
    login: &'static str,
    name: &'static str,
    role: Role,
    clinic: Option<usize>,
) -> Account {
    Account { login, name, role, clinic }
}

/// The sample accounts.
pub(super) const ACCOUNTS: [Account; 11] = [
    account("admin", "周管理", Role::Administrator, None),
    account("coordinator", "钱协调", Role::Coordinator, None),
    account("reporter", "李报告", Role::Reporter, None),
    account("verifier", "王审核", Role::Verifier, None),
    account("auditor", "孙审计", Role::Auditor, None),
    account("tech1", "吴技师", Role::Technician, Some(0)),
    account("doctor1", "郑医生", Role::ClinicDoctor, Some(0)),
    account("tech2", "冯技师", Role::Technician, Some(1)),
    account("doctor2", "陈医生", Role::ClinicDoctor, Some(1)),
    account("tech3", "褚技师", Role::Technician, Some(2)),
    account("doctor3", "卫医生", Role::ClinicDoctor, Some(2)),
];

/// The consortium as it was made.
pub(super) struct Consortium {
    clinics: Vec<Organization>,
    people: Vec<Person>,
}

impl Consortium {
    /// A clinic by its number in [`CLINICS`].
    pub(super) fn clinic(&self, number: usize) -> Option<&Organization> {
        self.clinics.get(number)
    }

    /// Somebody with `role` at a clinic, as the caller of a use case on this machine.
    pub(super) fn somebody(&self, role: Role, clinic: usize) -> Option<Caller> {
        let grant = Grant { organization: self.clinic(clinic)?.id.clone(), role };
        let person = self.people.iter().find(|person| person.grants.contains(&grant))?;
        Some(Caller { actor: person.actor(), source: "127.0.0.1".to_owned() })
    }

    /// Somebody with `role` anywhere.
    #[cfg(test)]
    pub(super) fn of_role(&self, role: Role) -> Option<Caller> {
        let actors = self.people.iter().map(Person::actor);
        let actor = actors.into_iter().find(|actor| actor.has_role(role))?;
        Some(Caller { actor, source: String::new() })
    }
}

/// Makes the consortium, with the hospital's texts for reports.
pub(super) async fn make(service: &Service) -> Result<Consortium, Error> {
    let system = Caller::system();
    let hospital = service
        .create_organization(&system, None, OrganizationKind::LeadHospital, HOSPITAL)
        .await?;
    texts::make(service, &hospital.id).await?;
    let mut clinics = Vec::new();
    for plan in &CLINICS {
        clinics.push(make_clinic(service, &hospital.id, plan).await?);
    }
    let mut people = Vec::new();
    for account in &ACCOUNTS {
        let place = account.clinic.and_then(|number| clinics.get(number)).unwrap_or(&hospital);
        let new = NewPerson {
            login: account.login.to_owned(),
            name: account.name.to_owned(),
            password: Some(PASSWORD.to_owned()),
            modalities: Vec::new(),
            grants: vec![Grant { organization: place.id.clone(), role: account.role }],
        };
        let (person, _) = service.create_person(&system, new).await?;
        people.push(person);
    }
    Ok(Consortium { clinics, people })
}

async fn make_clinic(
    service: &Service,
    hospital: &OrganizationId,
    plan: &ClinicPlan,
) -> Result<Organization, Error> {
    let system = Caller::system();
    let kind = OrganizationKind::TownshipClinic;
    let clinic = service.create_organization(&system, Some(hospital), kind, plan.name).await?;
    let agreement = NewAgreement {
        clinic: clinic.id.clone(),
        centre: hospital.clone(),
        modalities: plan.modalities.iter().map(ToString::to_string).collect(),
        limits: TimeLimits::default(),
        policy: plan.policy,
        weight: 1,
        valid_from: None,
        valid_to: None,
    };
    service.create_agreement(&system, agreement).await?;
    for (ae_title, name) in plan.devices {
        let device = NewDevice {
            name: (*name).to_owned(),
            ae_title: (*ae_title).to_owned(),
            address: LOOPBACK.to_owned(),
            charset: String::new(),
        };
        service.create_device(&system, &clinic.id, device).await?;
    }
    Ok(clinic)
}

//! People and places: roles, organization kinds, signing policies, agreements.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::{AgreementId, DeviceId, GatewayId, OrganizationId, PersonId};
use crate::time::{Span, Timestamp};

/// Implements the stable text of an enum: what is stored, sent and read back.
macro_rules! stable_text {
    ($name:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable text of the value, as stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads the stable text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use stable_text;

/// What somebody does in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 技师: sends studies, mends matching.
    Technician,
    /// 申请医生: orders, reads and acknowledges reports.
    ClinicDoctor,
    /// 报告医师: claims and signs preliminary reports.
    Reporter,
    /// 审核医师: verifies, signs final reports, adds addenda.
    Verifier,
    /// 协调员: watches the queue, takes over, mends deliveries.
    Coordinator,
    /// 系统管理员: organizations, people, agreements, devices. No clinical content.
    Administrator,
    /// 审计管理员: reads the audit trail and nothing else.
    Auditor,
}

stable_text!(Role {
    Technician => "technician",
    ClinicDoctor => "clinic_doctor",
    Reporter => "reporter",
    Verifier => "verifier",
    Coordinator => "coordinator",
    Administrator => "administrator",
    Auditor => "auditor",
});

/// A role that a person holds in an organization.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// Where.
    pub organization: OrganizationId,
    /// As what.
    pub role: Role,
}

/// Who asks for something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in person with their roles.
    Person {
        /// Who.
        id: PersonId,
        /// As what, where.
        grants: Vec<Grant>,
    },
    /// A registered device, known by its calling AE title and address.
    Device {
        /// Which.
        id: DeviceId,
        /// The clinic that owns it.
        clinic: OrganizationId,
    },
    /// A gateway that has joined, known by its certificate.
    Gateway {
        /// Which.
        id: GatewayId,
        /// The clinic that it sends for.
        clinic: OrganizationId,
    },
    /// The relay itself: jobs that fall due.
    System,
    /// Nobody in particular.
    Anonymous,
}

impl Actor {
    /// The person, if it is one.
    pub fn person(&self) -> Option<&PersonId> {
        match self {
            Self::Person { id, .. } => Some(id),
            Self::Device { .. } | Self::Gateway { .. } | Self::System | Self::Anonymous => None,
        }
    }

    /// Whether the actor holds `role` anywhere.
    pub fn has_role(&self, role: Role) -> bool {
        matches!(self, Self::Person { grants, .. } if grants.iter().any(|g| g.role == role))
    }

    /// Where the actor holds `role`.
    pub fn organizations_as(&self, role: Role) -> Vec<OrganizationId> {
        match self {
            Self::Person { grants, .. } => {
                grants.iter().filter(|g| g.role == role).map(|g| g.organization.clone()).collect()
            }
            Self::Device { .. } | Self::Gateway { .. } | Self::System | Self::Anonymous => {
                Vec::new()
            }
        }
    }
}

/// Who must have a second factor to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactorPolicy {
    /// Whoever wants one.
    Optional,
    /// Everybody who reads and signs.
    Readers,
    /// Everybody.
    Everybody,
}

impl SecondFactorPolicy {
    /// Whether somebody with these roles must have one.
    pub fn demands(self, grants: &[Grant]) -> bool {
        let signs = |grant: &Grant| matches!(grant.role, Role::Reporter | Role::Verifier);
        match self {
            Self::Optional => false,
            Self::Readers => grants.iter().any(signs),
            Self::Everybody => true,
        }
    }
}

/// What a text for reports is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateKind {
    /// A whole report (模板).
    Template,
    /// What expands while one writes (短语).
    Phrase,
}

stable_text!(TemplateKind { Template => "template", Phrase => "phrase" });

/// What kind of place an organization is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationKind {
    /// 牵头医院.
    LeadHospital,
    /// 县级医院.
    CountyHospital,
    /// 乡镇卫生院.
    TownshipClinic,
    /// 村卫生室.
    VillageClinic,
}

stable_text!(OrganizationKind {
    LeadHospital => "lead_hospital",
    CountyHospital => "county_hospital",
    TownshipClinic => "township_clinic",
    VillageClinic => "village_clinic",
});

/// How many people sign a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigningPolicy {
    /// A verifier alone.
    SingleSenior,
    /// Preliminary by a reporter, final by another person who is a verifier.
    Double,
}

stable_text!(SigningPolicy { SingleSenior => "single_senior", Double => "double" });

/// The clinic's word for how soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// 急诊: before everything else.
    Stat,
    /// 加急.
    Urgent,
    /// 常规.
    Routine,
}

stable_text!(Priority { Stat => "stat", Urgent => "urgent", Routine => "routine" });

/// Minutes within which a report is due, by priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeLimits {
    /// For [`Priority::Stat`].
    pub stat_minutes: i64,
    /// For [`Priority::Urgent`].
    pub urgent_minutes: i64,
    /// For [`Priority::Routine`].
    pub routine_minutes: i64,
}

impl Default for TimeLimits {
    /// CT and MR of an emergency within 60 minutes, of an out-patient within four hours.
    fn default() -> Self {
        Self { stat_minutes: 60, urgent_minutes: 120, routine_minutes: 240 }
    }
}

impl TimeLimits {
    /// The span that a priority is given.
    pub const fn span(&self, priority: Priority) -> Span {
        Span::from_minutes(match priority {
            Priority::Stat => self.stat_minutes,
            Priority::Urgent => self.urgent_minutes,
            Priority::Routine => self.routine_minutes,
        })
    }
}

/// Which clinic sends what to which centre, and how it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// Its identifier.
    pub id: AgreementId,
    /// The inviting side (邀请方).
    pub clinic: OrganizationId,
    /// The invited side (受邀方).
    pub centre: OrganizationId,
    /// Modalities it covers; empty means every one.
    pub modalities: Vec<String>,
    /// How soon reports are due.
    pub limits: TimeLimits,
    /// How many people sign.
    pub policy: SigningPolicy,
    /// Share of the readers' time relative to other clinics, 1 to 100.
    pub weight: i64,
    /// From when.
    pub valid_from: Timestamp,
    /// Until when; `None` is open-ended.
    pub valid_to: Option<Timestamp>,
}

/// Why an agreement cannot be as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AgreementFault {
    /// The end is not after the beginning.
    #[error("valid_to must be after valid_from")]
    Period,
    /// A limit is outside one minute to 30 days.
    #[error("time limits must be between 1 and 43200 minutes, stat <= urgent <= routine")]
    Limits,
    /// The weight is outside 1 to 100.
    #[error("weight must be between 1 and 100")]
    Weight,
    /// A modality code is not a DICOM code string.
    #[error(
        "modalities are DICOM codes such as CT, MR, DX: capital letters and digits, at most 16"
    )]
    Modality,
}

impl Agreement {
    /// Whether the agreement holds at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.valid_from <= now && self.valid_to.is_none_or(|end| now < end)
    }

    /// Whether it covers a modality.
    pub fn covers(&self, modality: &str) -> bool {
        self.modalities.is_empty() || self.modalities.iter().any(|m| m == modality)
    }

    /// Checks what a person typed.
    pub fn validate(&self) -> Result<(), AgreementFault> {
        let limits =
            [self.limits.stat_minutes, self.limits.urgent_minutes, self.limits.routine_minutes];
        let code = |m: &String| {
            (1..=16).contains(&m.len())
                && m.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        if self.valid_to.is_some_and(|end| end <= self.valid_from) {
            Err(AgreementFault::Period)
        } else if !limits.is_sorted() || limits[0] < 1 || limits[2] > 43_200 {
            Err(AgreementFault::Limits)
        } else if !(1..=100).contains(&self.weight) {
            Err(AgreementFault::Weight)
        } else if !self.modalities.iter().all(code) {
            Err(AgreementFault::Modality)
        } else {
            Ok(())
        }
    }
}

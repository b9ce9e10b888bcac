//! Who may do what: one table and one function.
//!
//! Another organization's objects do not exist for you: whoever has no standing toward an object
//! is told [`Denial::Hidden`], which every edge must make indistinguishable from absence. Only
//! somebody who may know of the object is told [`Denial::Forbidden`].

use thiserror::Error;

use crate::id::OrganizationId;
use crate::people::{Actor, Role};

/// Everything that can be asked of the relay. Every route and every DIMSE service names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// See and end one's own sessions, change one's password, follow one's own live events.
    UseOwnAccount,
    /// See an organization.
    ReadOrganization,
    /// Create below it, rename it, close it.
    ManageOrganization,
    /// See its people and their roles.
    ReadPeople,
    /// Create people, change their roles, reset passwords.
    ManagePeople,
    /// See an agreement and its destinations.
    ReadAgreement,
    /// Make, change or end an agreement.
    ManageAgreement,
    /// See a clinic's devices.
    ReadDevice,
    /// Admit, change or remove a device.
    ManageDevice,
    /// See a clinic's gateways and open join codes.
    ReadGateway,
    /// Let a gateway join, revoke it.
    ManageGateway,
    /// Write an order.
    WriteOrder,
    /// See an order.
    ReadOrder,
    /// See a study and its images.
    ReadStudy,
    /// Say which order an unmatched study belongs to.
    MatchStudy,
    /// Say that a study is complete before the quiet time is over.
    CompleteStudy,
    /// See what was put aside at the door.
    ReadQuarantine,
    /// See the queue of a centre.
    ListQueue,
    /// See a case.
    ReadCase,
    /// Ask the clinic of a case for something, or tell it something.
    WriteMessage,
    /// See what was said to the clinic about a case.
    ReadMessage,
    /// Claim a case; keep, draft and release one's own claim.
    ClaimCase,
    /// Take a case from its holder.
    TakeOverCase,
    /// Sign a preliminary report.
    SignPreliminary,
    /// Sign a final report or an addendum.
    SignFinal,
    /// See signed reports.
    ReadReport,
    /// Acknowledge a report in the clinic's inbox.
    AcknowledgeReport,
    /// See deliveries.
    ReadDelivery,
    /// Start a parked delivery again.
    RetryDelivery,
    /// See the texts for reports.
    ReadTemplate,
    /// Make, change or remove a text for everybody at an organization.
    ManageTemplate,
    /// Give a case to a reader.
    AssignCase,
    /// Return a case to its clinic.
    ReturnCase,
    /// Send a returned case again.
    ResubmitCase,
    /// Raise a critical finding, or call one off.
    RaiseFinding,
    /// See critical findings.
    ReadFinding,
    /// Read a critical finding back, and say what was done.
    AcknowledgeFinding,
    /// Decide about something that was put aside.
    SettleQuarantine,
    /// Change working hours and holidays.
    ManageCalendar,
    /// See statistics.
    ReadStatistics,
    /// See how the relay is.
    ReadSystem,
    /// Read the audit trail.
    ReadAudit,
    /// Send an instance.
    StoreInstance,
}

impl Action {
    /// Every action.
    pub const ALL: &'static [Self] = &[
        Self::UseOwnAccount,
        Self::ReadOrganization,
        Self::ManageOrganization,
        Self::ReadPeople,
        Self::ManagePeople,
        Self::ReadAgreement,
        Self::ManageAgreement,
        Self::ReadDevice,
        Self::ManageDevice,
        Self::ReadGateway,
        Self::ManageGateway,
        Self::WriteOrder,
        Self::ReadOrder,
        Self::ReadStudy,
        Self::MatchStudy,
        Self::CompleteStudy,
        Self::ReadQuarantine,
        Self::ListQueue,
        Self::ReadCase,
        Self::WriteMessage,
        Self::ReadMessage,
        Self::ClaimCase,
        Self::TakeOverCase,
        Self::SignPreliminary,
        Self::SignFinal,
        Self::ReadReport,
        Self::AcknowledgeReport,
        Self::ReadDelivery,
        Self::RetryDelivery,
        Self::ReadTemplate,
        Self::ManageTemplate,
        Self::AssignCase,
        Self::ReturnCase,
        Self::ResubmitCase,
        Self::RaiseFinding,
        Self::ReadFinding,
        Self::AcknowledgeFinding,
        Self::SettleQuarantine,
        Self::ManageCalendar,
        Self::ReadStatistics,
        Self::ReadSystem,
        Self::ReadAudit,
        Self::StoreInstance,
    ];
}

/// How a role's organization must stand to the object for a rule to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// It owns the object.
    Own,
    /// It owns the object or stands above its owner in the tree.
    Below,
    /// It is the centre that the object reaches by an agreement in force.
    Partner,
}

/// Whether the agreement that ties an object to a centre is in force for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// In force now, or the case was opened under it and is still open.
    Active,
    /// Over.
    Expired,
}

/// The centre that an object reaches by agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// Which.
    pub centre: OrganizationId,
    /// Whether still.
    pub standing: Standing,
}

/// What `may` needs to know of the thing that is acted upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The organization that owns it.
    pub owner: OrganizationId,
    /// The organizations above the owner, nearest first.
    pub above: Vec<OrganizationId>,
    /// The centres that have it by agreement.
    pub partners: Vec<Partner>,
}

impl Object {
    /// Something that only its owner (and those above) knows of.
    pub fn owned(owner: OrganizationId, above: Vec<OrganizationId>) -> Self {
        Self { owner, above, partners: Vec::new() }
    }

    fn within(&self, organization: &OrganizationId, reach: Reach) -> bool {
        let own = self.owner == *organization;
        match reach {
            Reach::Own => own,
            Reach::Below => own || self.above.contains(organization),
            Reach::Partner => self.partners.iter().any(|partner| {
                partner.centre == *organization && partner.standing == Standing::Active
            }),
        }
    }
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Denial {
    /// As far as this actor can know, the object does not exist.
    #[error("no such object")]
    Hidden,
    /// The actor may know of the object but not do this to it.
    #[error("your role does not allow this")]
    Forbidden,
    /// Nobody is signed in.
    #[error("sign in first")]
    Unauthenticated,
}

/// Everybody, at home.
const EVERYBODY: &[(Role, Reach)] = &[
    (Role::Technician, Reach::Own),
    (Role::ClinicDoctor, Reach::Own),
    (Role::Reporter, Reach::Own),
    (Role::Verifier, Reach::Own),
    (Role::Coordinator, Reach::Own),
    (Role::Administrator, Reach::Own),
    (Role::Auditor, Reach::Own),
];
/// Everybody at home, the centre's people at its partners, the offices below.
const NEIGHBOURS: &[(Role, Reach)] = &[
    (Role::Technician, Reach::Own),
    (Role::ClinicDoctor, Reach::Own),
    (Role::Reporter, Reach::Own),
    (Role::Reporter, Reach::Partner),
    (Role::Verifier, Reach::Own),
    (Role::Verifier, Reach::Partner),
    (Role::Coordinator, Reach::Own),
    (Role::Coordinator, Reach::Partner),
    (Role::Administrator, Reach::Below),
    (Role::Auditor, Reach::Below),
];

/// The roles that may do an action, and how far they reach. An empty list means: no person.
pub const fn rule(action: Action) -> &'static [(Role, Reach)] {
    use Reach::{Below, Own, Partner};
    use Role::{Administrator, Auditor, ClinicDoctor, Coordinator, Reporter, Technician, Verifier};
    match action {
        Action::UseOwnAccount => EVERYBODY,
        Action::ReadOrganization => NEIGHBOURS,
        Action::ManageOrganization
        | Action::ReadPeople
        | Action::ManagePeople
        | Action::ManageAgreement
        | Action::ManageDevice
        | Action::ManageGateway => &[(Administrator, Below)],
        Action::ReadAgreement => &[
            (Technician, Own),
            (ClinicDoctor, Own),
            (Coordinator, Own),
            (Coordinator, Partner),
            (Administrator, Below),
        ],
        Action::ReadDevice | Action::ReadGateway => &[(Technician, Own), (Administrator, Below)],
        Action::WriteOrder
        | Action::AcknowledgeReport
        | Action::ResubmitCase
        | Action::AcknowledgeFinding => &[(Technician, Own), (ClinicDoctor, Own)],
        Action::ReadOrder
        | Action::ReadStudy
        | Action::ReadCase
        | Action::ReadMessage
        | Action::ReadReport
        | Action::ReadFinding => &[
            (Technician, Own),
            (ClinicDoctor, Own),
            (Reporter, Partner),
            (Verifier, Partner),
            (Coordinator, Partner),
        ],
        Action::MatchStudy | Action::CompleteStudy | Action::ReadQuarantine => {
            &[(Technician, Own), (Coordinator, Partner)]
        }
        Action::ListQueue => &[(Reporter, Own), (Verifier, Own), (Coordinator, Own)],
        Action::ClaimCase | Action::SignPreliminary => &[(Reporter, Partner), (Verifier, Partner)],
        Action::WriteMessage => &[(Reporter, Partner), (Verifier, Partner), (Coordinator, Partner)],
        Action::TakeOverCase => &[(Verifier, Partner), (Coordinator, Partner)],
        Action::SignFinal => &[(Verifier, Partner)],
        Action::ReadDelivery => &[
            (Technician, Own),
            (ClinicDoctor, Own),
            (Coordinator, Partner),
            (Administrator, Below),
        ],
        Action::RetryDelivery => &[(Coordinator, Partner), (Administrator, Below)],
        Action::ReadTemplate => {
            &[(Reporter, Own), (Verifier, Own), (Coordinator, Own), (Administrator, Below)]
        }
        Action::ManageTemplate => &[(Verifier, Own), (Coordinator, Own), (Administrator, Below)],
        Action::AssignCase => &[(Coordinator, Partner)],
        Action::ReturnCase => &[(Reporter, Partner), (Verifier, Partner), (Coordinator, Partner)],
        Action::RaiseFinding => &[(Reporter, Partner), (Verifier, Partner)],
        Action::SettleQuarantine => &[(Technician, Own), (Coordinator, Partner)],
        Action::ManageCalendar => &[(Administrator, Below)],
        Action::ReadStatistics => &[(Coordinator, Own), (Administrator, Below)],
        Action::ReadSystem => &[(Administrator, Below)],
        Action::ReadAudit => &[(Auditor, Below)],
        Action::StoreInstance => &[(Technician, Own)],
    }
}

/// Decides whether `actor` may do `action` to `object`.
pub fn may(actor: &Actor, action: Action, object: &Object) -> Result<(), Denial> {
    match actor {
        Actor::System => Ok(()),
        Actor::Anonymous => Err(Denial::Unauthenticated),
        Actor::Device { clinic, .. } | Actor::Gateway { clinic, .. } if *clinic != object.owner => {
            Err(Denial::Hidden)
        }
        Actor::Device { .. } | Actor::Gateway { .. } if action == Action::StoreInstance => Ok(()),
        Actor::Device { .. } | Actor::Gateway { .. } => Err(Denial::Forbidden),
        Actor::Person { grants, .. } => {
            let allowed = grants.iter().any(|grant| {
                rule(action).iter().any(|(role, reach)| {
                    *role == grant.role && object.within(&grant.organization, *reach)
                })
            });
            let visible = grants.iter().any(|grant| {
                let tree = matches!(grant.role, Role::Administrator | Role::Auditor);
                object.within(&grant.organization, if tree { Reach::Below } else { Reach::Own })
                    || (!tree && object.within(&grant.organization, Reach::Partner))
            });
            match (allowed, visible) {
                (true, _) => Ok(()),
                (false, true) => Err(Denial::Forbidden),
                (false, false) => Err(Denial::Hidden),
            }
        }
    }
}

/// Whether the actor's roles allow `action` on anything at all: what a list asks before it
/// filters.
pub fn may_somewhere(actor: &Actor, action: Action) -> Result<(), Denial> {
    match actor {
        Actor::System => Ok(()),
        Actor::Anonymous => Err(Denial::Unauthenticated),
        Actor::Device { .. } | Actor::Gateway { .. } if action == Action::StoreInstance => Ok(()),
        Actor::Device { .. } | Actor::Gateway { .. } => Err(Denial::Forbidden),
        Actor::Person { .. } if rule(action).iter().any(|(role, _)| actor.has_role(*role)) => {
            Ok(())
        }
        Actor::Person { .. } => Err(Denial::Forbidden),
    }
}

/// The organizations whose objects an actor may do `action` to, by the way they reach them:
/// what a list filters by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Owners whose objects are in reach.
    pub own: Vec<OrganizationId>,
    /// Owners whose objects, and those of everyone below them, are in reach.
    pub below: Vec<OrganizationId>,
    /// Centres whose partners' objects are in reach while the agreement is in force.
    pub partner: Vec<OrganizationId>,
}

/// The scope of an action for an actor; empty for everybody who is not a person.
pub fn scope(actor: &Actor, action: Action) -> Scope {
    let mut scope = Scope::default();
    for (role, reach) in rule(action) {
        let list = match reach {
            Reach::Own => &mut scope.own,
            Reach::Below => &mut scope.below,
            Reach::Partner => &mut scope.partner,
        };
        for organization in actor.organizations_as(*role) {
            if !list.contains(&organization) {
                list.push(organization);
            }
        }
    }
    scope
}

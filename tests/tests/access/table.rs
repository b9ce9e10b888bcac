//! Who may do what at which route, written by hand from what people do.

use medrelay_core::people::Role;
use medrelay_tests::clinic::Place;

use Place::{ClinicA, County, Lead};
use Role::{
    Administrator as Admin, Auditor, ClinicDoctor as Doctor, Coordinator, Reporter, Technician,
    Verifier,
};

/// What a route is about, and so who may know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Nobody needs to sign in.
    Public,
    /// One's own account.
    Self_,
    /// A list: everybody with one of the roles, each seeing their own.
    List,
    /// Something that only clinic A and those above it know of.
    Owned,
    /// Something that clinic A's centre knows of, too, while their agreement is in force.
    Shared,
    /// The centre itself: only its own people know of it in this way.
    Centre,
    /// An agreement of clinic A: both of its sides' administrators know of it in any case.
    Pact,
}

/// One line: a route, what it is about, which roles the route is open to at all, and who may do it
/// to an object of clinic A.
pub struct Line {
    pub route: &'static str,
    pub about: About,
    pub roles: &'static [Role],
    pub may: &'static [(Role, Place)],
}

const fn line(
    route: &'static str,
    about: About,
    roles: &'static [Role],
    may: &'static [(Role, Place)],
) -> Line {
    Line { route, about, roles, may }
}

pub const ALL: &[Role] = &[Technician, Doctor, Reporter, Verifier, Coordinator, Admin, Auditor];
const CLINICAL: &[Role] = &[Technician, Doctor, Reporter, Verifier, Coordinator];
const READERS: &[Role] = &[Reporter, Verifier];
const ADMIN: &[Role] = &[Admin];
const BELOW: &[(Role, Place)] = &[(Admin, ClinicA), (Admin, Lead)];
const KEPT: &[(Role, Place)] = &[(Technician, ClinicA), (Admin, ClinicA), (Admin, Lead)];
const TEMPLATE_READERS: &[Role] = &[Reporter, Verifier, Coordinator, Admin];
const LOOKED_AFTER: &[(Role, Place)] =
    &[(Verifier, ClinicA), (Coordinator, ClinicA), (Admin, ClinicA), (Admin, Lead)];
const BOTH_SIDES: &[(Role, Place)] = &[(Admin, Lead)];
const SEEN: &[(Role, Place)] = &[
    (Technician, ClinicA),
    (Doctor, ClinicA),
    (Reporter, Lead),
    (Verifier, Lead),
    (Coordinator, Lead),
];
const GIVEN_HERE: &[(Role, Place)] = &[(Coordinator, Lead)];
const READ_HERE: &[(Role, Place)] = &[(Reporter, Lead), (Verifier, Lead)];
const HELD_HERE: &[(Role, Place)] = &[(Reporter, Lead), (Verifier, Lead), (Coordinator, Lead)];
const FREED_HERE: &[(Role, Place)] = &[(Verifier, Lead), (Coordinator, Lead)];
const TIDIED: &[(Role, Place)] = &[(Technician, ClinicA), (Coordinator, Lead)];
const ASKED: &[(Role, Place)] = &[(Technician, ClinicA), (Doctor, ClinicA)];
const PACT_SEEN: &[(Role, Place)] = &[
    (Technician, ClinicA),
    (Doctor, ClinicA),
    (Coordinator, ClinicA),
    (Admin, ClinicA),
    (Coordinator, Lead),
    (Admin, Lead),
    (Admin, County),
];
const PACT_READERS: &[Role] = &[Technician, Doctor, Coordinator, Admin];
const ORGANIZATION_SEEN: &[(Role, Place)] = &[
    (Technician, ClinicA),
    (Doctor, ClinicA),
    (Reporter, ClinicA),
    (Verifier, ClinicA),
    (Coordinator, ClinicA),
    (Admin, ClinicA),
    (Auditor, ClinicA),
    (Reporter, Lead),
    (Verifier, Lead),
    (Coordinator, Lead),
    (Admin, Lead),
    (Auditor, Lead),
];

pub const TABLE: &[Line] = &[
    line("POST /api/v1/setup", About::Public, &[], &[]),
    line("POST /api/v1/sessions", About::Public, &[], &[]),
    line("GET /api/v1/sessions", About::Self_, ALL, &[]),
    line("DELETE /api/v1/sessions", About::Self_, ALL, &[]),
    line("DELETE /api/v1/sessions/current", About::Self_, ALL, &[]),
    line("DELETE /api/v1/sessions/{id}", About::Self_, ALL, &[]),
    line("GET /api/v1/me", About::Self_, ALL, &[]),
    line("POST /api/v1/me/password", About::Self_, ALL, &[]),
    line("GET /api/v1/me/preferences", About::Self_, ALL, &[]),
    line("PUT /api/v1/me/preferences", About::Self_, ALL, &[]),
    line("POST /api/v1/me/second-factor", About::Self_, ALL, &[]),
    line("POST /api/v1/me/second-factor/confirm", About::Self_, ALL, &[]),
    line("POST /api/v1/me/second-factor/remove", About::Self_, ALL, &[]),
    line("POST /api/v1/me/step-up", About::Self_, ALL, &[]),
    line("POST /api/v1/invitations/open", About::Public, &[], &[]),
    line("POST /api/v1/invitations/accept", About::Public, &[], &[]),
    line("GET /api/v1/events", About::Self_, ALL, &[]),
    line("GET /api/v1/organizations", About::List, ALL, &[]),
    line("POST /api/v1/organizations", About::Owned, ADMIN, BELOW),
    line("GET /api/v1/organizations/{id}", About::Shared, ALL, ORGANIZATION_SEEN),
    line("PATCH /api/v1/organizations/{id}", About::Shared, ADMIN, BELOW),
    line("GET /api/v1/organizations/{id}/calendar", About::Shared, ALL, ORGANIZATION_SEEN),
    line("PUT /api/v1/organizations/{id}/calendar", About::Shared, ADMIN, BELOW),
    line("GET /api/v1/people", About::List, ADMIN, &[]),
    line("POST /api/v1/people", About::Owned, ADMIN, BELOW),
    line("GET /api/v1/people/{id}", About::Owned, ADMIN, BELOW),
    line("PATCH /api/v1/people/{id}", About::Owned, ADMIN, BELOW),
    line("POST /api/v1/people/{id}/password", About::Owned, ADMIN, BELOW),
    line("POST /api/v1/people/{id}/invitation", About::Owned, ADMIN, BELOW),
    line("POST /api/v1/people/{id}/second-factor/remove", About::Owned, ADMIN, BELOW),
    line("GET /api/v1/templates", About::List, TEMPLATE_READERS, &[]),
    // One's own may be made by whoever reads; what is asked about here is everybody's.
    line("POST /api/v1/templates", About::Owned, TEMPLATE_READERS, LOOKED_AFTER),
    line("PATCH /api/v1/templates/{id}", About::Owned, TEMPLATE_READERS, LOOKED_AFTER),
    line("DELETE /api/v1/templates/{id}", About::Owned, TEMPLATE_READERS, LOOKED_AFTER),
    line("GET /api/v1/agreements", About::List, PACT_READERS, &[]),
    line("POST /api/v1/agreements", About::Owned, ADMIN, BOTH_SIDES),
    line("GET /api/v1/agreements/{id}", About::Pact, PACT_READERS, PACT_SEEN),
    line("PATCH /api/v1/agreements/{id}", About::Pact, ADMIN, BOTH_SIDES),
    line("GET /api/v1/agreements/{id}/destinations", About::Pact, PACT_READERS, PACT_SEEN),
    line("POST /api/v1/agreements/{id}/destinations", About::Pact, ADMIN, BOTH_SIDES),
    line("DELETE /api/v1/destinations/{id}", About::Pact, ADMIN, BOTH_SIDES),
    line("GET /api/v1/connection", About::List, &[Technician, Admin], &[]),
    line("GET /api/v1/devices", About::List, &[Technician, Admin], &[]),
    line("POST /api/v1/devices", About::Owned, ADMIN, BELOW),
    line("GET /api/v1/devices/{id}", About::Owned, &[Technician, Admin], KEPT),
    line("PATCH /api/v1/devices/{id}", About::Owned, ADMIN, BELOW),
    line("DELETE /api/v1/devices/{id}", About::Owned, ADMIN, BELOW),
    line("GET /api/v1/gateways", About::List, &[Technician, Admin], &[]),
    line("GET /api/v1/gateways/{id}", About::Owned, &[Technician, Admin], KEPT),
    line("POST /api/v1/gateways/{id}/revoke", About::Owned, ADMIN, BELOW),
    line("GET /api/v1/clinics/{id}/join-codes", About::Owned, &[Technician, Admin], KEPT),
    line("POST /api/v1/clinics/{id}/join-codes", About::Owned, ADMIN, BELOW),
    line("DELETE /api/v1/join-codes/{id}", About::Owned, ADMIN, BELOW),
    line("GET /api/v1/link/authority", About::Public, &[], &[]),
    line("POST /api/v1/link/join", About::Public, &[], &[]),
    line("GET /api/v1/orders", About::List, CLINICAL, &[]),
    line("POST /api/v1/orders", About::Owned, &[Technician, Doctor], ASKED),
    line("GET /api/v1/orders/{id}", About::Shared, CLINICAL, SEEN),
    line("PATCH /api/v1/orders/{id}", About::Shared, &[Technician, Doctor], ASKED),
    line("GET /api/v1/orders/{id}/attachments", About::Shared, CLINICAL, SEEN),
    line("POST /api/v1/orders/{id}/attachments", About::Shared, &[Technician, Doctor], ASKED),
    line("GET /api/v1/attachments/{id}", About::Shared, CLINICAL, SEEN),
    line("DELETE /api/v1/attachments/{id}", About::Shared, &[Technician, Doctor], ASKED),
    line("GET /api/v1/studies", About::List, CLINICAL, &[]),
    line("GET /api/v1/studies/{id}", About::Shared, CLINICAL, SEEN),
    line("POST /api/v1/studies/{id}/complete", About::Shared, &[Technician, Coordinator], TIDIED),
    line("POST /api/v1/studies/{id}/match", About::Shared, &[Technician, Coordinator], TIDIED),
    line("GET /api/v1/instances/{id}/dicom", About::Shared, CLINICAL, SEEN),
    line("GET /api/v1/quarantine", About::List, &[Technician, Coordinator], &[]),
    line("POST /api/v1/quarantine/{id}/settle", About::Shared, &[Technician, Coordinator], TIDIED),
    line("GET /api/v1/queue", About::List, &[Reporter, Verifier, Coordinator], &[]),
    line("POST /api/v1/queue/next", About::List, READERS, &[]),
    line("GET /api/v1/cases", About::List, CLINICAL, &[]),
    line("GET /api/v1/cases/{id}", About::Shared, CLINICAL, SEEN),
    line("POST /api/v1/cases/{id}/claim", About::Shared, READERS, READ_HERE),
    line("POST /api/v1/cases/{id}/heartbeat", About::Shared, READERS, READ_HERE),
    line("POST /api/v1/cases/{id}/release", About::Shared, CLINICAL, HELD_HERE),
    // A reporter may take over too, from themselves in a second window.
    line("POST /api/v1/cases/{id}/take-over", About::Shared, CLINICAL, FREED_HERE),
    line("GET /api/v1/cases/{id}/messages", About::Shared, CLINICAL, SEEN),
    // A notice is the centre's; both sides discuss.
    line("POST /api/v1/cases/{id}/messages", About::Shared, CLINICAL, HELD_HERE),
    line("GET /api/v1/messages", About::List, CLINICAL, &[]),
    line(
        "POST /api/v1/cases/{id}/return",
        About::Shared,
        &[Reporter, Verifier, Coordinator],
        HELD_HERE,
    ),
    line("POST /api/v1/cases/{id}/resubmit", About::Shared, &[Technician, Doctor], ASKED),
    line("POST /api/v1/cases/{id}/assign", About::Shared, &[Coordinator], GIVEN_HERE),
    line("GET /api/v1/centres/{id}/readers", About::Centre, &[Coordinator], GIVEN_HERE),
    line("GET /api/v1/cases/{id}/priors", About::Shared, CLINICAL, SEEN),
    line("POST /api/v1/cases/{id}/findings", About::Shared, READERS, READ_HERE),
    line("GET /api/v1/cases/{id}/findings", About::Shared, CLINICAL, SEEN),
    line("GET /api/v1/findings", About::List, CLINICAL, &[]),
    line("GET /api/v1/findings/codes", About::List, CLINICAL, &[]),
    line("POST /api/v1/findings/{id}/acknowledge", About::Shared, &[Technician, Doctor], ASKED),
    line("POST /api/v1/findings/{id}/settle", About::Shared, &[Technician, Doctor], ASKED),
    line("POST /api/v1/findings/{id}/false-alarm", About::Shared, READERS, READ_HERE),
    line("GET /api/v1/cases/{id}/annotations", About::Shared, READERS, READ_HERE),
    line("PUT /api/v1/cases/{id}/annotations", About::Shared, READERS, READ_HERE),
    line("GET /api/v1/reports/{id}/annotations", About::Shared, CLINICAL, SEEN),
    line("PUT /api/v1/cases/{id}/draft", About::Shared, READERS, READ_HERE),
    line("GET /api/v1/cases/{id}/drafts", About::Shared, READERS, READ_HERE),
    line("POST /api/v1/cases/{id}/sign", About::Shared, READERS, READ_HERE),
    line("POST /api/v1/cases/{id}/addenda", About::Shared, &[Verifier], &[(Verifier, Lead)]),
    line("GET /api/v1/cases/{id}/reports", About::Shared, CLINICAL, SEEN),
    line("GET /api/v1/reports/{id}", About::Shared, CLINICAL, SEEN),
    line("GET /api/v1/reports/{id}/pdf", About::Shared, CLINICAL, SEEN),
    line("GET /api/v1/reports/{id}/sr", About::Shared, CLINICAL, SEEN),
    line("GET /api/v1/reports/{id}/verification", About::Shared, CLINICAL, SEEN),
    line("GET /api/v1/inbox", About::List, &[Technician, Doctor], &[]),
    line("POST /api/v1/deliveries/{id}/acknowledge", About::Shared, &[Technician, Doctor], ASKED),
    line("GET /api/v1/deliveries", About::List, &[Technician, Doctor, Coordinator, Admin], &[]),
    line(
        "POST /api/v1/deliveries/{id}/retry",
        About::Shared,
        &[Coordinator, Admin],
        &[(Coordinator, Lead), (Admin, ClinicA), (Admin, Lead)],
    ),
    line("GET /api/v1/audit", About::List, &[Auditor], &[]),
    line("GET /api/v1/system", About::List, ADMIN, &[]),
    line("GET /api/v1/statistics", About::List, &[Coordinator, Admin], &[]),
    line("GET /api/v1/audit/kinds", About::List, &[Auditor], &[]),
    line("GET /dicomweb/studies", About::List, CLINICAL, &[]),
    line("GET /dicomweb/series", About::List, CLINICAL, &[]),
    line("GET /dicomweb/instances", About::List, CLINICAL, &[]),
    line("GET /dicomweb/studies/{study}/series", About::Shared, CLINICAL, SEEN),
    line("GET /dicomweb/studies/{study}/instances", About::Shared, CLINICAL, SEEN),
    line("GET /dicomweb/studies/{study}/series/{series}/instances", About::Shared, CLINICAL, SEEN),
    line("GET /dicomweb/studies/{study}/metadata", About::Shared, CLINICAL, SEEN),
    line("GET /dicomweb/studies/{study}/series/{series}/metadata", About::Shared, CLINICAL, SEEN),
    line(
        "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/metadata",
        About::Shared,
        CLINICAL,
        SEEN,
    ),
    line(
        "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/frames/{frames}",
        About::Shared,
        CLINICAL,
        SEEN,
    ),
    line("GET /dicomweb/studies/{study}/rendered", About::Shared, CLINICAL, SEEN),
    line("GET /dicomweb/studies/{study}/thumbnail", About::Shared, CLINICAL, SEEN),
    line("GET /dicomweb/studies/{study}/series/{series}/rendered", About::Shared, CLINICAL, SEEN),
    line("GET /dicomweb/studies/{study}/series/{series}/thumbnail", About::Shared, CLINICAL, SEEN),
    line(
        "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/rendered",
        About::Shared,
        CLINICAL,
        SEEN,
    ),
    line(
        "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/thumbnail",
        About::Shared,
        CLINICAL,
        SEEN,
    ),
    line(
        "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/frames/{frame}/rendered",
        About::Shared,
        CLINICAL,
        SEEN,
    ),
    line(
        "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/frames/{frame}/thumbnail",
        About::Shared,
        CLINICAL,
        SEEN,
    ),
    line("GET /dicomweb/studies/{study}", About::Shared, CLINICAL, SEEN),
    line("GET /dicomweb/studies/{study}/series/{series}", About::Shared, CLINICAL, SEEN),
    line(
        "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}",
        About::Shared,
        CLINICAL,
        SEEN,
    ),
    line(
        "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path}",
        About::Shared,
        CLINICAL,
        SEEN,
    ),
];

impl Line {
    /// Whether somebody may know of clinic A's object at all.
    pub fn visible(&self, role: Role, place: Place) -> bool {
        let tree = matches!(role, Admin | Auditor);
        // An agreement has two sides, and the clinic's administrator knows nothing of the other.
        if self.route == "POST /api/v1/agreements" {
            return place == Lead;
        }
        if self.about == About::Centre {
            return place == Lead;
        }
        match (self.about, place) {
            (About::Public | About::Self_ | About::List, _) | (_, ClinicA) => true,
            (About::Owned, Lead) => tree,
            (About::Shared | About::Pact, Lead) => true,
            (About::Pact, County) => role == Admin,
            _ => false,
        }
    }

    /// What an answer must be: its status, or `None` for "not about permission".
    pub fn expected(&self, role: Role, place: Place) -> Option<u16> {
        let may = self.may.contains(&(role, place))
            || matches!(self.about, About::Public | About::Self_ | About::List);
        if !self.roles.contains(&role) && self.about != About::Public {
            Some(403)
        } else if may {
            None
        } else if self.visible(role, place) {
            Some(403)
        } else {
            Some(404)
        }
    }
}

//! Who may do what: every action × role × standing toward the object, against a matrix written by
//! hand, so that a change of the rule table must be made twice.

use std::collections::HashSet;

use medrelay_core::access::{
    Action, Denial, Object, Partner, Scope, Standing, may, may_somewhere, scope,
};
use medrelay_core::id::{DeviceId, GatewayId, OrganizationId, PersonId};
use medrelay_core::people::{Actor, Grant, Role};
use proptest::prelude::*;

/// Per role three letters, for an object that the role's organization owns, that an organization
/// below it owns, and that it reaches as centre by an agreement in force.
/// `y` allowed, `f` forbidden, `-` hidden. With an agreement that is over, for an object of an
/// organization above, and for a stranger's, every cell is hidden; that is checked too.
const MATRIX: &str = "
action              technician clinic_doctor reporter verifier coordinator administrator auditor
UseOwnAccount       y-f        y-f           y-f      y-f      y-f         yf-           yf-
ReadOrganization    y-f        y-f           y-y      y-y      y-y         yy-           yy-
ManageOrganization  f-f        f-f           f-f      f-f      f-f         yy-           ff-
ReadPeople          f-f        f-f           f-f      f-f      f-f         yy-           ff-
ManagePeople        f-f        f-f           f-f      f-f      f-f         yy-           ff-
ReadAgreement       y-f        y-f           f-f      f-f      y-y         yy-           ff-
ManageAgreement     f-f        f-f           f-f      f-f      f-f         yy-           ff-
ReadDevice          y-f        f-f           f-f      f-f      f-f         yy-           ff-
ManageDevice        f-f        f-f           f-f      f-f      f-f         yy-           ff-
ReadGateway         y-f        f-f           f-f      f-f      f-f         yy-           ff-
ManageGateway       f-f        f-f           f-f      f-f      f-f         yy-           ff-
WriteOrder          y-f        y-f           f-f      f-f      f-f         ff-           ff-
ReadOrder           y-f        y-f           f-y      f-y      f-y         ff-           ff-
ReadStudy           y-f        y-f           f-y      f-y      f-y         ff-           ff-
MatchStudy          y-f        f-f           f-f      f-f      f-y         ff-           ff-
CompleteStudy       y-f        f-f           f-f      f-f      f-y         ff-           ff-
ReadQuarantine      y-f        f-f           f-f      f-f      f-y         ff-           ff-
ListQueue           f-f        f-f           y-f      y-f      y-f         ff-           ff-
ReadCase            y-f        y-f           f-y      f-y      f-y         ff-           ff-
WriteMessage        f-f        f-f           f-y      f-y      f-y         ff-           ff-
ReadMessage         y-f        y-f           f-y      f-y      f-y         ff-           ff-
ClaimCase           f-f        f-f           f-y      f-y      f-f         ff-           ff-
TakeOverCase        f-f        f-f           f-f      f-y      f-y         ff-           ff-
SignPreliminary     f-f        f-f           f-y      f-y      f-f         ff-           ff-
SignFinal           f-f        f-f           f-f      f-y      f-f         ff-           ff-
ReadReport          y-f        y-f           f-y      f-y      f-y         ff-           ff-
AcknowledgeReport   y-f        y-f           f-f      f-f      f-f         ff-           ff-
ReadDelivery        y-f        y-f           f-f      f-f      f-y         yy-           ff-
RetryDelivery       f-f        f-f           f-f      f-f      f-y         yy-           ff-
ReadTemplate        f-f        f-f           y-f      y-f      y-f         yy-           ff-
ManageTemplate      f-f        f-f           f-f      y-f      y-f         yy-           ff-
AssignCase          f-f        f-f           f-f      f-f      f-y         ff-           ff-
ReturnCase          f-f        f-f           f-y      f-y      f-y         ff-           ff-
ResubmitCase        y-f        y-f           f-f      f-f      f-f         ff-           ff-
RaiseFinding        f-f        f-f           f-y      f-y      f-f         ff-           ff-
ReadFinding         y-f        y-f           f-y      f-y      f-y         ff-           ff-
AcknowledgeFinding  y-f        y-f           f-f      f-f      f-f         ff-           ff-
SettleQuarantine    y-f        f-f           f-f      f-f      f-y         ff-           ff-
ManageCalendar      f-f        f-f           f-f      f-f      f-f         yy-           ff-
ReadStatistics      f-f        f-f           f-f      f-f      y-f         yy-           ff-
ReadSystem          f-f        f-f           f-f      f-f      f-f         yy-           ff-
ReadAudit           f-f        f-f           f-f      f-f      f-f         ff-           yy-
StoreInstance       y-f        f-f           f-f      f-f      f-f         ff-           ff-
";

/// The actor's organization is 2, 1 stands above it, 3 below it; 9 is a stranger's clinic.
const ABOVE: u64 = 1;
const OWN: u64 = 2;
const BELOW: u64 = 3;
const STRANGER: u64 = 9;

fn organization(n: u64) -> OrganizationId {
    OrganizationId::parse(&format!("00000000-0000-7000-8000-{n:012x}")).expect("a UUID")
}

fn person(grants: &[(u64, Role)]) -> Actor {
    Actor::Person {
        id: PersonId::parse("00000000-0000-7000-8000-0000000000aa").expect("a UUID"),
        grants: grants
            .iter()
            .map(|(at, role)| Grant { organization: organization(*at), role: *role })
            .collect(),
    }
}

fn object(owner: u64, above: &[u64], partner: Option<Standing>) -> Object {
    let partner = partner.map(|standing| Partner { centre: organization(OWN), standing });
    Object {
        owner: organization(owner),
        above: above.iter().copied().map(organization).collect(),
        partners: partner.into_iter().collect(),
    }
}

fn letter(result: Result<(), Denial>) -> char {
    match result {
        Ok(()) => 'y',
        Err(Denial::Forbidden) => 'f',
        Err(Denial::Hidden) => '-',
        Err(Denial::Unauthenticated) => '?',
    }
}

/// A new action does not compile until it has its place; the place must be the one in `ALL`.
fn place(action: Action) -> usize {
    match action {
        Action::UseOwnAccount => 0,
        Action::ReadOrganization => 1,
        Action::ManageOrganization => 2,
        Action::ReadPeople => 3,
        Action::ManagePeople => 4,
        Action::ReadAgreement => 5,
        Action::ManageAgreement => 6,
        Action::ReadDevice => 7,
        Action::ManageDevice => 8,
        Action::ReadGateway => 9,
        Action::ManageGateway => 10,
        Action::WriteOrder => 11,
        Action::ReadOrder => 12,
        Action::ReadStudy => 13,
        Action::MatchStudy => 14,
        Action::CompleteStudy => 15,
        Action::ReadQuarantine => 16,
        Action::ListQueue => 17,
        Action::ReadCase => 18,
        Action::WriteMessage => 19,
        Action::ReadMessage => 20,
        Action::ClaimCase => 21,
        Action::TakeOverCase => 22,
        Action::SignPreliminary => 23,
        Action::SignFinal => 24,
        Action::ReadReport => 25,
        Action::AcknowledgeReport => 26,
        Action::ReadDelivery => 27,
        Action::RetryDelivery => 28,
        Action::ReadTemplate => 29,
        Action::ManageTemplate => 30,
        Action::AssignCase => 31,
        Action::ReturnCase => 32,
        Action::ResubmitCase => 33,
        Action::RaiseFinding => 34,
        Action::ReadFinding => 35,
        Action::AcknowledgeFinding => 36,
        Action::SettleQuarantine => 37,
        Action::ManageCalendar => 38,
        Action::ReadStatistics => 39,
        Action::ReadSystem => 40,
        Action::ReadAudit => 41,
        Action::StoreInstance => 42,
    }
}

fn table() -> (Vec<&'static str>, Vec<Vec<&'static str>>) {
    let mut lines = MATRIX.lines().filter(|line| !line.is_empty());
    let header = lines.next().expect("a header").split_whitespace().skip(1).collect();
    (header, lines.map(|line| line.split_whitespace().collect()).collect())
}

#[test]
fn the_rules_are_the_matrix() {
    let (header, rows) = table();
    let roles: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
    assert_eq!(header, roles, "every role has a column");
    assert_eq!(rows.len(), Action::ALL.len(), "every action has a row");
    for (number, action) in Action::ALL.iter().enumerate() {
        assert_eq!(place(*action), number, "Action::ALL is complete and in order");
        let row = &rows[number];
        assert_eq!(row[0], format!("{action:?}"));
        for (column, role) in Role::ALL.iter().enumerate() {
            let actor = person(&[(OWN, *role)]);
            let cell: String = [
                object(OWN, &[ABOVE], None),
                object(BELOW, &[OWN, ABOVE], None),
                object(STRANGER, &[], Some(Standing::Active)),
            ]
            .iter()
            .map(|object| letter(may(&actor, *action, object)))
            .collect();
            assert_eq!(cell, row[column + 1], "{action:?} × {role:?} × own, below, partner");
            for (what, object) in [
                ("an agreement that is over", object(STRANGER, &[], Some(Standing::Expired))),
                ("an organization above", object(ABOVE, &[], None)),
                ("a stranger", object(STRANGER, &[8], None)),
            ] {
                let result = may(&actor, *action, &object);
                assert_eq!(result, Err(Denial::Hidden), "{action:?} × {role:?} × {what}");
            }
        }
    }
}

#[test]
fn lists_are_open_to_whoever_has_a_role_for_them() {
    for (row, action) in table().1.iter().zip(Action::ALL) {
        for (column, role) in Role::ALL.iter().enumerate() {
            let expected = row[column + 1].contains('y');
            let result = may_somewhere(&person(&[(OWN, *role)]), *action);
            assert_eq!(result.is_ok(), expected, "{action:?} × {role:?}");
        }
    }
}

#[test]
fn devices_and_gateways_send_for_their_clinic_and_nothing_else() {
    let device = Actor::Device {
        id: DeviceId::parse("00000000-0000-7000-8000-0000000000bb").expect("a UUID"),
        clinic: organization(OWN),
    };
    let gateway = Actor::Gateway {
        id: GatewayId::parse("00000000-0000-7000-8000-0000000000cc").expect("a UUID"),
        clinic: organization(OWN),
    };
    for (machine, action) in
        [device, gateway].iter().flat_map(|one| Action::ALL.iter().map(move |action| (one, action)))
    {
        let sends = *action == Action::StoreInstance;
        let expected = if sends { Ok(()) } else { Err(Denial::Forbidden) };
        assert_eq!(may(machine, *action, &object(OWN, &[ABOVE], None)), expected, "{action:?}");
        assert_eq!(may_somewhere(machine, *action), expected, "{action:?}");
        for other in [
            object(ABOVE, &[], None),
            object(BELOW, &[OWN], None),
            object(STRANGER, &[], Some(Standing::Active)),
        ] {
            assert_eq!(may(machine, *action, &other), Err(Denial::Hidden), "{action:?}");
        }
        assert_eq!(scope(machine, *action), Scope::default());
    }
}

#[test]
fn the_relay_itself_may_and_nobody_may_not() {
    for action in Action::ALL {
        for object in [object(OWN, &[], None), object(STRANGER, &[], Some(Standing::Expired))] {
            assert_eq!(may(&Actor::System, *action, &object), Ok(()));
            let anonymous = may(&Actor::Anonymous, *action, &object);
            assert_eq!(anonymous, Err(Denial::Unauthenticated), "whatever the object");
            let nobody = may(&person(&[]), *action, &object);
            assert_eq!(nobody, Err(Denial::Hidden), "an account without a role sees nothing");
        }
        assert_eq!(may_somewhere(&Actor::System, *action), Ok(()));
        assert_eq!(may_somewhere(&Actor::Anonymous, *action), Err(Denial::Unauthenticated));
        assert_eq!(scope(&Actor::Anonymous, *action), Scope::default());
        assert_eq!(scope(&Actor::System, *action), Scope::default());
    }
}

#[test]
fn roles_do_not_leak_from_one_organization_into_another() {
    // A verifier at a stranger's, a technician here: signing here is still forbidden, and the
    // administrator's reach down the tree gives the technician nothing below.
    let both = person(&[(STRANGER, Role::Verifier), (OWN, Role::Technician)]);
    let here = object(OWN, &[], None);
    assert_eq!(may(&both, Action::SignFinal, &here), Err(Denial::Forbidden));
    assert_eq!(may(&both, Action::ReadStudy, &here), Ok(()));
    let mixed = person(&[(OWN, Role::Administrator), (OWN, Role::Technician)]);
    let below = object(BELOW, &[OWN], None);
    assert_eq!(may(&mixed, Action::ReadStudy, &below), Err(Denial::Forbidden));
    assert_eq!(may(&mixed, Action::ManagePeople, &below), Ok(()));
}

/// Parents of organizations 1 to n: each hangs below one with a smaller number or is a root.
fn above_of(parents: &[u64], organization: u64) -> Vec<u64> {
    let mut above = Vec::new();
    let mut at = parents[organization as usize];
    while at != 0 {
        above.push(at);
        at = parents[at as usize];
    }
    above
}

fn within(scope: &Scope, object: &Object) -> bool {
    let active = |centre: &OrganizationId| {
        object.partners.iter().any(|p| p.centre == *centre && p.standing == Standing::Active)
    };
    scope.own.contains(&object.owner)
        || scope.below.iter().any(|o| *o == object.owner || object.above.contains(o))
        || scope.partner.iter().any(active)
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_a_list_filters_by_is_what_may_allows(
        hang in proptest::collection::vec(any::<prop::sample::Index>(), 8),
        grants in proptest::collection::vec((1u64..8, prop::sample::select(Role::ALL)), 0..5),
        partners in proptest::collection::vec((1u64..8, any::<bool>()), 0..3),
    ) {
        let parents: Vec<u64> = (0..8u64)
            .map(|n| if n == 0 { 0 } else { hang[n as usize].index(n as usize) as u64 })
            .collect();
        let actor = person(&grants);
        for owner in 1..8 {
            let object = Object {
                owner: organization(owner),
                above: above_of(&parents, owner).into_iter().map(organization).collect(),
                partners: partners
                    .iter()
                    .map(|(centre, active)| Partner {
                        centre: organization(*centre),
                        standing: if *active { Standing::Active } else { Standing::Expired },
                    })
                    .collect(),
            };
            let answers: HashSet<Option<Denial>> = Action::ALL
                .iter()
                .map(|action| {
                    let answer = may(&actor, *action, &object);
                    let listed = within(&scope(&actor, *action), &object);
                    assert_eq!(answer.is_ok(), listed, "{action:?} on {owner}");
                    assert!(!listed || may_somewhere(&actor, *action).is_ok());
                    answer.err()
                })
                .collect();
            // An object is hidden from every action or from none: existence is one fact.
            prop_assert!(!answers.contains(&Some(Denial::Hidden)) || answers.len() == 1);
        }
    }
}

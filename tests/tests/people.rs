//! People and places, told by the use cases on both databases: set-up, signing in and its limits,
//! accounts, agreements and devices.

use anyhow::{Context, Result, bail, ensure};
use medrelay::config::{Config, Sessions};
use medrelay::service::accounts::SetUp;
use medrelay::service::agreements::{AgreementChange, NewAgreement, NewDestination};
use medrelay::service::consortium::OrganizationChange;
use medrelay::service::devices::{DeviceChange, NewDevice};
use medrelay::service::people::{NewPerson, PersonChange};
use medrelay::service::sign_in::{Credentials, SignedIn};
use medrelay::service::{Caller, DicomAddress, Error, Service};
use medrelay::store::{Organization, Person, SessionKind};
use medrelay_core::access::Denial;
use medrelay_core::delivery::Route;
use medrelay_core::id::{AeTitle, OrganizationId};
use medrelay_core::people::{Actor, Grant, OrganizationKind, Role, SigningPolicy, TimeLimits};
use medrelay_core::time::Span;
use medrelay_tests::relay::{Engine, Relay, tell_with};

const PASSWORD: &str = "three quiet rivers";
const HOME: &str = "192.0.2.10";

/// A relay that was just set up: one lead hospital and its administrator.
struct Place<'a> {
    service: &'a Service,
    lead: Organization,
    boss: Person,
}

impl<'a> Place<'a> {
    async fn open(relay: &'a Relay) -> Result<Self> {
        let service = relay.service();
        let token = service.ensure_setup_ticket().await?.context("a set-up link")?;
        let (lead, boss) = service.set_up(&anonymous(), &token, &typed("boss")).await?;
        Ok(Self { service, lead, boss })
    }

    fn boss(&self) -> Caller {
        caller(&self.boss)
    }

    async fn clinic(&self, name: &str) -> Result<Organization> {
        let kind = OrganizationKind::TownshipClinic;
        Ok(self.service.create_organization(&self.boss(), Some(&self.lead.id), kind, name).await?)
    }

    async fn person(&self, login: &str, grants: &[(&OrganizationId, Role)]) -> Result<Person> {
        let grants = grants
            .iter()
            .map(|(organization, role)| Grant {
                organization: (*organization).clone(),
                role: *role,
            })
            .collect();
        let new = NewPerson {
            login: login.to_owned(),
            name: "王丽".to_owned(),
            password: Some(PASSWORD.to_owned()),
            modalities: Vec::new(),
            grants,
        };
        Ok(self.service.create_person(&Caller::system(), new).await?.0)
    }

    async fn sign_in(&self, login: &str, password: &str, from: &str) -> Result<SignedIn, Error> {
        let typed = Credentials { login, password, code: None };
        self.service.sign_in(&typed, SessionKind::Program, from).await
    }

    async fn is_good(&self, token: &str) -> Result<bool> {
        Ok(self.service.authenticate(token, SessionKind::Program, HOME).await?.is_some())
    }
}

fn anonymous() -> Caller {
    Caller { actor: Actor::Anonymous, source: HOME.to_owned() }
}

fn caller(person: &Person) -> Caller {
    Caller { actor: person.actor(), source: HOME.to_owned() }
}

fn typed(login: &str) -> SetUp {
    SetUp {
        hospital: "白河县人民医院".to_owned(),
        name: "李明".to_owned(),
        login: login.to_owned(),
        password: PASSWORD.to_owned(),
    }
}

fn agreement(clinic: &Organization, centre: &Organization) -> NewAgreement {
    NewAgreement {
        clinic: clinic.id.clone(),
        centre: centre.id.clone(),
        modalities: vec!["CT".to_owned()],
        limits: TimeLimits::default(),
        policy: SigningPolicy::Double,
        weight: 1,
        valid_from: None,
        valid_to: None,
    }
}

/// What an error is, for comparing.
fn fault<T>(result: Result<T, Error>) -> Result<&'static str> {
    Ok(match result {
        Ok(_) => "none",
        Err(Error::BadTicket) => "ticket",
        Err(Error::BadCredentials) => "credentials",
        Err(Error::Locked { .. }) => "locked",
        Err(Error::Taken(_)) => "taken",
        Err(Error::Conflict(_)) => "conflict",
        Err(Error::VersionConflict) => "version",
        Err(Error::Invalid { field, .. }) => field,
        Err(Error::Denied(Denial::Hidden)) => "hidden",
        Err(Error::Denied(Denial::Forbidden)) => "forbidden",
        Err(other) => bail!("an error that no story expects: {other:?}"),
    })
}

/// Tells a story on SQLite and on PostgreSQL, with sessions as they are by default.
macro_rules! stories {
    ($($name:ident)+) => {$(
        mod $name {
            use super::*;

            async fn on(engine: Engine) -> Result<()> {
                let usual = |config: &mut Config| config.sessions = Sessions::default();
                let story = async |relay: &mut Relay| {
                    super::$name(relay).await?;
                    relay.work().await?;
                    Ok(())
                };
                tell_with(engine, usual, story).await
            }

            #[tokio::test]
            async fn on_sqlite() -> Result<()> {
                on(Engine::Sqlite).await
            }

            #[tokio::test]
            async fn on_postgres() -> Result<()> {
                on(Engine::Postgres).await
            }
        }
    )+};
}

stories! {
    the_set_up_link_works_once
    failures_lock_an_account_at_an_address_for_a_while
    an_attack_from_elsewhere_does_not_lock_known_addresses_out
    sessions_end_idle_old_or_told_to
    a_new_password_ends_the_other_sessions
    a_clinic_administrator_cannot_take_a_doctors_account_over
    somebody_always_administers_the_relay
    agreements_need_both_sides_and_do_not_overlap
    devices_are_told_apart_by_title_and_address
    a_clinic_is_closed_last
}

async fn the_set_up_link_works_once(relay: &Relay) -> Result<()> {
    let service = relay.service();
    let first = service.ensure_setup_ticket().await?.context("a link")?;
    let second = service.ensure_setup_ticket().await?.context("another link")?;
    ensure!(fault(service.set_up(&anonymous(), &first, &typed("boss")).await)? == "ticket");
    let weak = SetUp { password: "short".to_owned(), ..typed("boss") };
    ensure!(fault(service.set_up(&anonymous(), &second, &weak).await)? == "password");
    relay.pass(Span::from_hours(8 * 24));
    ensure!(fault(service.set_up(&anonymous(), &second, &typed("boss")).await)? == "ticket");
    let third = service.ensure_setup_ticket().await?.context("a third link")?;
    let (lead, boss) = service.set_up(&anonymous(), &third, &typed("Boss")).await?;
    ensure!(boss.login == "boss" && boss.grants[0].organization == lead.id);
    ensure!(fault(service.set_up(&anonymous(), &third, &typed("other")).await)? == "ticket");
    ensure!(service.ensure_setup_ticket().await?.is_none());
    let typed = Credentials { login: "BOSS", password: PASSWORD, code: None };
    service.sign_in(&typed, SessionKind::Browser, HOME).await?;
    Ok(())
}

async fn failures_lock_an_account_at_an_address_for_a_while(relay: &Relay) -> Result<()> {
    let place = Place::open(relay).await?;
    for login in ["boss", "nobody"] {
        for _ in 0..5 {
            ensure!(fault(place.sign_in(login, "wrong", HOME).await)? == "credentials");
        }
        ensure!(fault(place.sign_in(login, PASSWORD, HOME).await)? == "locked");
    }
    // The same account from another address, and another account from here, are not locked.
    place.sign_in("boss", PASSWORD, "192.0.2.11").await?;
    place.person("wangli", &[(&place.lead.id, Role::Reporter)]).await?;
    place.sign_in("wangli", PASSWORD, HOME).await?;
    relay.pass(Span::from_secs(61));
    ensure!(fault(place.sign_in("boss", "wrong", HOME).await)? == "credentials");
    relay.pass(Span::from_secs(61));
    ensure!(fault(place.sign_in("boss", PASSWORD, HOME).await)? == "locked");
    relay.pass(Span::from_secs(60));
    place.sign_in("boss", PASSWORD, HOME).await?;
    ensure!(fault(place.sign_in("boss", "wrong", HOME).await)? == "credentials");
    place.sign_in("boss", PASSWORD, HOME).await?;
    Ok(())
}

async fn an_attack_from_elsewhere_does_not_lock_known_addresses_out(relay: &Relay) -> Result<()> {
    let place = Place::open(relay).await?;
    place.sign_in("boss", PASSWORD, HOME).await?;
    for n in 0..50 {
        let from = format!("203.0.113.{n}");
        ensure!(fault(place.sign_in("boss", "wrong", &from).await)? == "credentials");
    }
    ensure!(fault(place.sign_in("boss", PASSWORD, "203.0.113.200").await)? == "locked");
    place.sign_in("boss", PASSWORD, HOME).await?;
    relay.pass(Span::from_minutes(61));
    place.sign_in("boss", PASSWORD, "203.0.113.200").await?;
    Ok(())
}

async fn sessions_end_idle_old_or_told_to(relay: &Relay) -> Result<()> {
    let place = Place::open(relay).await?;
    let idle = place.sign_in("boss", PASSWORD, HOME).await?;
    let used = place.sign_in("boss", PASSWORD, HOME).await?;
    ensure!(place.is_good(&idle.token).await? && place.is_good(&used.token).await?);
    let as_cookie = place.service.authenticate(&idle.token, SessionKind::Browser, HOME).await?;
    ensure!(as_cookie.is_none());
    for _ in 0..3 {
        relay.pass(Span::from_minutes(10));
        ensure!(place.is_good(&used.token).await?);
    }
    ensure!(!place.is_good(&idle.token).await?);
    ensure!(place.service.sessions(&place.boss()).await?.len() == 1);
    for _ in 0..24 * 3 {
        relay.pass(Span::from_minutes(10));
        place.is_good(&used.token).await?;
    }
    ensure!(!place.is_good(&used.token).await?, "12 hours are over");

    let one = place.sign_in("boss", PASSWORD, HOME).await?;
    let two = place.sign_in("boss", PASSWORD, HOME).await?;
    let other = place.person("wangli", &[(&place.lead.id, Role::Reporter)]).await?;
    let ended = place.service.end_session(&caller(&other), &one.session.id).await;
    ensure!(fault(ended)? == "hidden");
    place.service.end_session(&place.boss(), &one.session.id).await?;
    ensure!(!place.is_good(&one.token).await? && place.is_good(&two.token).await?);
    place.service.end_all_sessions(&place.boss()).await?;
    ensure!(!place.is_good(&two.token).await?);
    Ok(())
}

async fn a_new_password_ends_the_other_sessions(relay: &Relay) -> Result<()> {
    let place = Place::open(relay).await?;
    let here = place.sign_in("boss", PASSWORD, HOME).await?;
    let there = place.sign_in("boss", PASSWORD, "192.0.2.11").await?;
    let new = "four loud mountains";
    let boss = place.boss();
    let service = place.service;
    let wrong = service.change_password(&boss, &here.session.id, "wrong", new).await;
    ensure!(fault(wrong)? == "current_password");
    let same = service.change_password(&boss, &here.session.id, PASSWORD, PASSWORD).await;
    ensure!(fault(same)? == "password");
    let changed = service.change_password(&boss, &here.session.id, PASSWORD, new).await?;
    ensure!(changed.session.id == here.session.id);
    ensure!(place.is_good(&changed.token).await?);
    ensure!(!place.is_good(&here.token).await? && !place.is_good(&there.token).await?);
    ensure!(fault(place.sign_in("boss", PASSWORD, HOME).await)? == "credentials");
    place.sign_in("boss", new, HOME).await?;
    Ok(())
}

async fn a_clinic_administrator_cannot_take_a_doctors_account_over(relay: &Relay) -> Result<()> {
    let place = Place::open(relay).await?;
    let service = place.service;
    let clinic = place.clinic("白河乡卫生院").await?;
    let other = place.clinic("清溪乡卫生院").await?;
    let manager = caller(&place.person("manager", &[(&clinic.id, Role::Administrator)]).await?);
    let doctor = place
        .person("doctor", &[(&place.lead.id, Role::Verifier), (&clinic.id, Role::ClinicDoctor)])
        .await?;
    let stranger = place.person("stranger", &[(&other.id, Role::Technician)]).await?;

    let reset = service.reset_password(&manager, &doctor.id, "four loud mountains").await;
    ensure!(fault(reset)? == "forbidden");
    ensure!(fault(service.person(&manager, &stranger.id).await)? == "hidden");
    let seen = service.person(&manager, &doctor.id).await?;
    ensure!(seen.grants.len() == 1, "roles elsewhere are not shown");
    ensure!(service.people(&manager, None, None, 50).await?.len() == 2);
    ensure!(service.people(&place.boss(), None, None, 50).await?.len() == 4);
    ensure!(service.people(&place.boss(), Some(&clinic.id), None, 50).await?.len() == 2);

    // Taking the role at the clinic leaves the one at the hospital alone.
    let grants = Some(vec![Grant { organization: clinic.id.clone(), role: Role::Technician }]);
    let change = PersonChange { version: seen.version, grants, ..PersonChange::default() };
    service.change_person(&manager, &doctor.id, change.clone()).await?;
    let whole = service.person(&place.boss(), &doctor.id).await?;
    let roles: Vec<Role> = whole.grants.iter().map(|grant| grant.role).collect();
    ensure!(roles.len() == 2 && roles.contains(&Role::Verifier));
    ensure!(fault(service.change_person(&manager, &doctor.id, change).await)? == "version");
    let up = Some(vec![Grant { organization: place.lead.id.clone(), role: Role::Verifier }]);
    let change = PersonChange { version: stranger.version, grants: up, ..PersonChange::default() };
    ensure!(fault(service.change_person(&manager, &stranger.id, change).await)? == "hidden");

    let session = place.sign_in("doctor", PASSWORD, HOME).await?;
    service.reset_password(&place.boss(), &doctor.id, "four loud mountains").await?;
    ensure!(!place.is_good(&session.token).await?);
    let session = place.sign_in("doctor", "four loud mountains", HOME).await?;
    let close =
        PersonChange { version: whole.version, disabled: Some(true), ..PersonChange::default() };
    let closed = service.change_person(&place.boss(), &doctor.id, close).await?;
    ensure!(closed.disabled_at.is_some() && !place.is_good(&session.token).await?);
    let again = place.sign_in("doctor", "four loud mountains", HOME).await;
    ensure!(fault(again)? == "credentials");
    Ok(())
}

async fn somebody_always_administers_the_relay(relay: &Relay) -> Result<()> {
    let place = Place::open(relay).await?;
    let service = place.service;
    let disable =
        |version| PersonChange { version, disabled: Some(true), ..PersonChange::default() };
    let alone = service.change_person(&place.boss(), &place.boss.id, disable(1)).await;
    ensure!(fault(alone)? == "conflict");
    place.person("second", &[(&place.lead.id, Role::Administrator)]).await?;
    service.change_person(&place.boss(), &place.boss.id, disable(1)).await?;
    let taken = service
        .create_person(
            &Caller::system(),
            NewPerson {
                login: "Second".to_owned(),
                name: "二".to_owned(),
                password: Some(PASSWORD.to_owned()),
                modalities: Vec::new(),
                grants: vec![Grant { organization: place.lead.id.clone(), role: Role::Auditor }],
            },
        )
        .await;
    ensure!(fault(taken)? == "taken");
    Ok(())
}

async fn agreements_need_both_sides_and_do_not_overlap(relay: &Relay) -> Result<()> {
    let place = Place::open(relay).await?;
    let service = place.service;
    let boss = place.boss();
    let clinic = place.clinic("白河乡卫生院").await?;
    let manager = caller(&place.person("manager", &[(&clinic.id, Role::Administrator)]).await?);
    let watcher = caller(&place.person("watcher", &[(&place.lead.id, Role::Coordinator)]).await?);
    let new = agreement(&clinic, &place.lead);
    ensure!(fault(service.create_agreement(&manager, new.clone()).await)? == "hidden");
    let made = service.create_agreement(&boss, new.clone()).await?;
    ensure!(made.clinic_name == "白河乡卫生院");
    ensure!(fault(service.create_agreement(&boss, new.clone()).await)? == "conflict");
    let mr = NewAgreement { modalities: vec!["MR".to_owned()], ..new.clone() };
    service.create_agreement(&boss, mr).await?;
    let id = &made.agreement.id;

    let inbox = service.destinations(&manager, id).await?;
    ensure!(inbox.len() == 1 && inbox[0].route == Route::Inbox);
    ensure!(fault(service.remove_destination(&boss, &inbox[0].id).await)? == "conflict");
    let pacs = NewDestination {
        route: Route::Dicom,
        name: "PACS".to_owned(),
        address: Some(DicomAddress {
            ae_title: "PACS".to_owned(),
            host: "10.0.0.9".to_owned(),
            port: 104,
            tls: false,
        }),
    };
    ensure!(fault(service.add_destination(&manager, id, pacs.clone()).await)? == "forbidden");
    service.add_destination(&boss, id, pacs.clone()).await?;
    ensure!(fault(service.add_destination(&boss, id, pacs).await)? == "taken");
    service.remove_destination(&boss, &inbox[0].id).await?;
    ensure!(fault(service.remove_destination(&boss, &inbox[0].id).await)? == "hidden");

    ensure!(service.agreements(&watcher, None, 50).await?.len() == 2);
    ensure!(service.organizations(&watcher, None, 50).await?.len() == 2);
    let stale = AgreementChange { version: 7, end: true, ..AgreementChange::default() };
    ensure!(fault(service.change_agreement(&boss, id, stale).await)? == "version");
    relay.pass(Span::from_minutes(1));
    let end = AgreementChange { version: 1, end: true, ..AgreementChange::default() };
    let ended = service.change_agreement(&boss, id, end).await?;
    ensure!(ended.version == 2 && ended.agreement.valid_to == Some(service.now()));
    ensure!(service.agreements(&watcher, None, 50).await?.len() == 1);
    ensure!(service.agreements(&boss, None, 50).await?.len() == 2);
    ensure!(fault(service.agreement(&watcher, id).await)? == "hidden");
    service.create_agreement(&boss, new).await?;
    Ok(())
}

async fn devices_are_told_apart_by_title_and_address(relay: &Relay) -> Result<()> {
    let place = Place::open(relay).await?;
    let service = place.service;
    let boss = place.boss();
    let (first, second) =
        (place.clinic("白河乡卫生院").await?, place.clinic("清溪乡卫生院").await?);
    let new = |address: &str| NewDevice {
        name: "CT".to_owned(),
        ae_title: "CT1".to_owned(),
        address: address.to_owned(),
        charset: "GB18030".to_owned(),
    };
    let one = service.create_device(&boss, &first.id, new("10.1.0.7/16")).await?;
    ensure!(one.address == "10.1.0.0/16");
    ensure!(fault(service.create_device(&boss, &second.id, new("10.1.2.3")).await)? == "taken");
    ensure!(fault(service.create_device(&boss, &second.id, new("")).await)? == "taken");
    let two = service.create_device(&boss, &second.id, new("10.2.0.0/16")).await?;
    let title = AeTitle::parse("CT1")?;
    let who = |address: &str| {
        let address = address.parse().expect("an address");
        let title = title.clone();
        async move { service.admit_device(&title, address).await }
    };
    ensure!(who("10.1.9.9").await?.is_some_and(|device| device.clinic == first.id));
    ensure!(who("::ffff:10.2.9.9").await?.is_some_and(|device| device.clinic == second.id));
    ensure!(who("10.3.0.1").await?.is_none());

    let manager = caller(&place.person("manager", &[(&first.id, Role::Administrator)]).await?);
    ensure!(service.devices(&manager, None, None, 50).await?.len() == 1);
    ensure!(fault(service.device(&manager, &two.id).await)? == "hidden");
    let wider = DeviceChange {
        version: 1,
        address: Some("10.0.0.0/8".to_owned()),
        ..DeviceChange::default()
    };
    ensure!(fault(service.change_device(&manager, &one.id, wider.clone()).await)? == "taken");
    service.remove_device(&boss, &two.id).await?;
    service.change_device(&manager, &one.id, wider.clone()).await?;
    ensure!(fault(service.change_device(&manager, &one.id, wider).await)? == "version");
    ensure!(who("10.2.9.9").await?.is_some_and(|device| device.clinic == first.id));
    Ok(())
}

async fn a_clinic_is_closed_last(relay: &Relay) -> Result<()> {
    let place = Place::open(relay).await?;
    let service = place.service;
    let boss = place.boss();
    let clinic = place.clinic("白河乡卫生院").await?;
    let close = |version| OrganizationChange { version, closed: Some(true), name: None };
    let made = service.create_agreement(&boss, agreement(&clinic, &place.lead)).await?;
    let technician = place.person("tech", &[(&clinic.id, Role::Technician)]).await?;
    let session = place.sign_in("tech", PASSWORD, HOME).await?;
    let closed = service.change_organization(&boss, &clinic.id, close(clinic.version)).await;
    ensure!(fault(closed)? == "conflict");
    relay.pass(Span::from_minutes(1));
    let end = AgreementChange { version: 1, end: true, ..AgreementChange::default() };
    service.change_agreement(&boss, &made.agreement.id, end).await?;
    let closed = service.change_organization(&boss, &clinic.id, close(clinic.version)).await?;
    ensure!(closed.closed_at.is_some());
    let found = service.authenticate(&session.token, SessionKind::Program, HOME).await?;
    let found = found.context("the session itself is good")?;
    ensure!(
        found.actor == Actor::Person { id: technician.id, grants: Vec::new() },
        "a role in a closed clinic does not count"
    );
    let again = service
        .create_organization(&boss, Some(&clinic.id), OrganizationKind::VillageClinic, "村卫生室")
        .await;
    ensure!(fault(again)? == "conflict");
    let top = service.change_organization(&boss, &place.lead.id, close(1)).await;
    ensure!(fault(top)? == "conflict");
    Ok(())
}

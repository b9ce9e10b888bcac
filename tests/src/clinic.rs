//! A small consortium, made through the HTTP interface as an administrator makes it.
//!
//! The lead hospital stands at the top with a county hospital and three clinics below it; a second
//! county hospital is the stranger. People are made when a story first needs them, because each
//! costs two password hashes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use medrelay_client::{Client, Grant};
use medrelay_core::people::Role;
use medrelay_core::time::Span;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::modality::Modality;
use crate::pacs::ClinicPacs;
use crate::relay::Relay;

/// The password of everybody; there is nobody else on the loopback.
pub const PASSWORD: &str = "three quiet rivers";
/// Account name of the first administrator.
pub const ROOT: &str = "root.admin";

/// Something that was made, by its identifier.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Made {
    /// Its identifier.
    pub id: String,
}

/// The places of a consortium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The lead hospital at the top: reads for [`Place::ClinicA`] and [`Place::ClinicB`].
    Lead,
    /// A county hospital below it: reads MR for [`Place::ClinicA`] until [`Consortium::end`].
    County,
    /// A clinic whose reports two people sign.
    ClinicA,
    /// A clinic whose reports a verifier signs alone.
    ClinicB,
    /// A clinic without any agreement, and a stranger to the others.
    Stranger,
}

impl Place {
    /// Every place.
    pub const ALL: [Self; 5] =
        [Self::Lead, Self::County, Self::ClinicA, Self::ClinicB, Self::Stranger];

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lead => "青山市第一人民医院",
            Self::County => "青山县人民医院",
            Self::ClinicA => "青山镇卫生院",
            Self::ClinicB => "白河镇卫生院",
            Self::Stranger => "远山村卫生室",
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::County => "county",
            Self::ClinicA => "clinic-a",
            Self::ClinicB => "clinic-b",
            Self::Stranger => "stranger",
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Lead => "lead_hospital",
            Self::County => "county_hospital",
            Self::ClinicA | Self::ClinicB => "township_clinic",
            Self::Stranger => "village_clinic",
        }
    }
}

/// Somebody signed in.
#[derive(Debug, Clone)]
pub struct Person {
    /// Identifier.
    pub id: String,
    /// Account name.
    pub login: String,
    /// Name.
    pub name: String,
    /// Their session.
    pub client: Client,
}

impl std::ops::Deref for Person {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Which agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pact {
    /// Clinic A with the lead hospital: two people sign.
    Double,
    /// Clinic B with the lead hospital: a verifier signs alone.
    SingleSenior,
    /// Clinic A with the county hospital, for MR only: a verifier signs alone.
    Magnet,
}

/// A consortium that stands.
pub struct Consortium {
    /// The first administrator.
    pub root: Person,
    client: Client,
    dicom: SocketAddr,
    places: BTreeMap<Place, String>,
    pacts: BTreeMap<Pact, String>,
    people: Mutex<BTreeMap<String, Person>>,
}

impl Consortium {
    /// Founds it on a fresh relay: set-up link, administrator, places, agreements, one device
    /// named `CT_A`, `CT_B` or `CT_S` per clinic; each agreement has its clinic's inbox as destination.
    pub async fn found(relay: &Relay) -> Result<Self> {
        let client = relay.client();
        let token = relay.service().ensure_setup_ticket().await?;
        let token = token.context("a fresh relay gives a set-up link")?;
        let made: Value = client
            .call(
                Method::POST,
                "/api/v1/setup",
                &json!({
                    "token": token, "hospital": Place::Lead.name(), "name": "管理员",
                    "login": ROOT, "password": PASSWORD,
                }),
            )
            .await?;
        let id = |at: &str| made[at]["id"].as_str().unwrap_or_default().to_owned();
        let root = Person {
            id: id("person"),
            login: ROOT.to_owned(),
            name: "管理员".to_owned(),
            client: client.sign_in(ROOT, PASSWORD).await?,
        };
        let places = BTreeMap::from([(Place::Lead, id("organization"))]);
        let mut consortium = Self {
            root,
            client,
            dicom: relay.dicom(),
            places,
            pacts: BTreeMap::new(),
            people: Mutex::default(),
        };
        consortium.build().await?;
        Ok(consortium)
    }

    /// Ends an agreement now.
    pub async fn end(&self, relay: &Relay, pact: Pact) -> Result<()> {
        let path = format!("/api/v1/agreements/{}", self.pact(pact));
        let change = json!({ "version": 1, "end": true });
        self.root.tell(Method::PATCH, &path, &change).await?;
        relay.pass(Span::from_secs(1));
        Ok(())
    }

    async fn build(&mut self) -> Result<()> {
        for place in Place::ALL.into_iter().skip(1) {
            let body = json!({
                "parent": self.at(Place::Lead), "kind": place.kind(), "name": place.name(),
            });
            let made = self.make("/api/v1/organizations", &body).await?;
            self.places.insert(place, made.id);
        }
        let pacts = [
            (Pact::Double, Place::ClinicA, Place::Lead, "double", vec![]),
            (Pact::SingleSenior, Place::ClinicB, Place::Lead, "single_senior", vec![]),
            (Pact::Magnet, Place::ClinicA, Place::County, "single_senior", vec!["MR"]),
        ];
        for (pact, clinic, centre, policy, modalities) in pacts {
            let body = json!({
                "clinic": self.at(clinic), "centre": self.at(centre), "policy": policy,
                "modalities": modalities,
            });
            let made = self.make("/api/v1/agreements", &body).await?;
            self.pacts.insert(pact, made.id);
        }
        let devices =
            [(Place::ClinicA, "CT_A"), (Place::ClinicB, "CT_B"), (Place::Stranger, "CT_S")];
        for (clinic, title) in devices {
            let body = json!({ "clinic": self.at(clinic), "name": title, "ae_title": title });
            self.make("/api/v1/devices", &body).await?;
        }
        Ok(())
    }

    /// Makes something as the first administrator.
    pub async fn make(&self, path: &str, body: &Value) -> Result<Made> {
        let made = self.root.call(Method::POST, path, body).await;
        made.with_context(|| format!("POST {path}"))
    }

    /// Identifier of a place.
    pub fn at(&self, place: Place) -> &str {
        self.places.get(&place).map_or("", String::as_str)
    }

    /// Identifier of an agreement.
    pub fn pact(&self, pact: Pact) -> &str {
        self.pacts.get(&pact).map_or("", String::as_str)
    }

    fn destinations(&self, pact: Pact) -> String {
        format!("/api/v1/agreements/{}/destinations", self.pact(pact))
    }

    /// Adds a PACS as a destination of an agreement.
    pub async fn send_to(&self, pact: Pact, pacs: &ClinicPacs) -> Result<Made> {
        let body = json!({
            "route": "dicom", "name": "PACS",
            "address": {
                "ae_title": pacs.ae_title, "host": "127.0.0.1",
                "port": pacs.address.port(), "tls": false,
            },
        });
        self.make(&self.destinations(pact), &body).await
    }

    /// The scanner of a clinic.
    pub fn scanner(&self, place: Place) -> Modality {
        let title = match place {
            Place::ClinicA => "CT_A",
            Place::ClinicB => "CT_B",
            Place::Lead | Place::County | Place::Stranger => "CT_S",
        };
        Modality::new(title, self.dicom)
    }

    /// The person with this role at a place, made and signed in at first need.
    pub async fn person(&self, place: Place, role: Role) -> Result<Person> {
        self.numbered(place, role, 1).await
    }

    /// The `number`-th person with this role at a place.
    pub async fn numbered(&self, place: Place, role: Role, number: u32) -> Result<Person> {
        let code = role.as_str().replace('_', "-");
        let login = format!("{}.{code}.{number}", place.code());
        let mut people = self.people.lock().await;
        if let Some(person) = people.get(&login) {
            return Ok(person.clone());
        }
        let name = format!("{}{number}", chinese(role));
        let grants = [Grant { organization: self.at(place).to_owned(), role }];
        let body = json!({ "login": login, "name": name, "password": PASSWORD, "grants": grants });
        let made = self.make("/api/v1/people", &body).await?;
        let client = self.client.sign_in(&login, PASSWORD).await?;
        let person = Person { id: made.id, login: login.clone(), name, client };
        people.insert(login, person.clone());
        Ok(person)
    }
}

const fn chinese(role: Role) -> &'static str {
    match role {
        Role::Technician => "技师",
        Role::ClinicDoctor => "申请医生",
        Role::Reporter => "报告医师",
        Role::Verifier => "审核医师",
        Role::Coordinator => "协调员",
        Role::Administrator => "系统管理员",
        Role::Auditor => "审计管理员",
    }
}

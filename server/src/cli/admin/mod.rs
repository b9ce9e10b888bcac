//! Administration without a browser: organizations, people and clinics, straight on the database.
//!
//! It works beside a running relay on the same database, and is recorded in the audit trail as
//! done by the system itself: whoever can start it can read the database, too.

mod clinic;
mod gateway;
mod organization;
mod person;

use std::fmt;

use medrelay_core::id::OrganizationId;

pub(super) use clinic::ClinicCommand;
pub(super) use organization::OrgCommand;
pub(super) use person::UserCommand;

use super::{Outcome, Place};
use crate::app::{self, Ambient};
use crate::config::Config;
use crate::service::{Caller, Error, Service};
use crate::store::{Organization, PAGE_LIMIT};

/// `medrelay org`.
pub(super) async fn org(place: &Place, command: OrgCommand) -> anyhow::Result<Outcome> {
    let desk = Desk::open(place).await?;
    let done = organization::run(&desk, command).await;
    desk.close(done).await
}

/// `medrelay user`.
pub(super) async fn user(place: &Place, command: UserCommand) -> anyhow::Result<Outcome> {
    let desk = Desk::open(place).await?;
    let done = person::run(&desk, command).await;
    desk.close(done).await
}

/// `medrelay clinic`.
pub(super) async fn clinic(place: &Place, command: ClinicCommand) -> anyhow::Result<Outcome> {
    let desk = Desk::open(place).await?;
    let done = clinic::run(&desk, command).await;
    desk.close(done).await
}

/// Where all of these commands work: the use cases, as the system.
struct Desk {
    service: Service,
    caller: Caller,
    /// Where gateways find the relay, as far as the configuration says.
    address: String,
    json: bool,
}

impl Desk {
    async fn open(place: &Place) -> anyhow::Result<Self> {
        let loaded = place.load()?;
        let service = app::assemble(&loaded.config, &Ambient::system()).await?;
        let address = address(&loaded.config);
        Ok(Self { service, caller: Caller::system(), address, json: place.json })
    }

    /// Ends the work; what was refused is said here and ends with the exit code for it.
    async fn close(self, done: anyhow::Result<Outcome>) -> anyhow::Result<Outcome> {
        self.service.close().await;
        match done {
            Err(error) if is_refusal(&error) => {
                eprintln!("medrelay: {error:#}");
                Ok(Outcome::Refused)
            }
            other => other,
        }
    }

    /// Every organization, in the order of their making.
    async fn organizations(&self) -> Result<Vec<Organization>, Error> {
        let mut all: Vec<Organization> = Vec::new();
        loop {
            let after = all.last().map(|organization| organization.id.clone());
            let page = self.service.organizations(&self.caller, after.as_ref(), PAGE_LIMIT).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// The organization that a person means: its identifier or its name.
    async fn organization(&self, text: &str) -> anyhow::Result<Organization> {
        let all = self.organizations().await?;
        let mut meant = all.into_iter().filter(|one| one.id.as_str() == text || one.name == text);
        match (meant.next(), meant.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Unclear::none("organization", text)),
            (Some(_), Some(_)) => Err(Unclear::several("organization", text)),
        }
    }

    /// Prints an answer for programs or for people.
    fn say(&self, json: &serde_json::Value, text: &str) -> anyhow::Result<Outcome> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(json)?);
        } else {
            println!("{}", text.trim_end_matches('\n'));
        }
        Ok(Outcome::Done)
    }
}

/// The HTTPS address of the relay for others: by the first of its names that is not only this
/// machine's own.
fn address(config: &Config) -> String {
    let https = &config.https;
    let own = |name: &&String| {
        let address = name.parse::<std::net::IpAddr>();
        name.as_str() != "localhost" && !address.is_ok_and(|address| address.is_loopback())
    };
    let name = https.acme_domains.iter().chain(&https.names).find(own);
    let port = https.listen.port();
    match name {
        Some(name) if name.contains(':') => format!("https://[{name}]:{port}"),
        Some(name) => format!("https://{name}:{port}"),
        None => format!("https://RELAY:{port}"),
    }
}

/// A name that was typed does not lead to one thing.
#[derive(Debug)]
struct Unclear(String);

impl Unclear {
    fn none(what: &str, text: &str) -> anyhow::Error {
        Self(format!("no {what} is called {text:?}")).into()
    }

    fn several(what: &str, text: &str) -> anyhow::Error {
        Self(format!("more than one {what} is called {text:?}: name its identifier")).into()
    }
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unclear {}

/// Whether doing it again would give the same answer.
fn is_refusal(error: &anyhow::Error) -> bool {
    let broken = |error: &Error| {
        matches!(error, Error::Store(_) | Error::Blob(_) | Error::OutOfSpace | Error::Busy)
    };
    error.is::<Unclear>() || error.downcast_ref::<Error>().is_some_and(|error| !broken(error))
}

/// The name of an organization in a list of all.
fn name_of(all: &[Organization], id: &OrganizationId) -> String {
    let found = all.iter().find(|organization| organization.id == *id);
    found.map_or_else(|| id.to_string(), |organization| organization.name.clone())
}

/// Modality codes as typed: `ct,mr` is as good as `CT,MR`.
fn codes(typed: &[String]) -> Vec<String> {
    typed.iter().map(|code| code.trim().to_ascii_uppercase()).collect()
}

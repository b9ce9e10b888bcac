//! `medrelay clinic join-code` and `medrelay clinic gateway`: how a clinic's gateway joins, which
//! have joined, and how one is shut out.

use clap::{Args, Subcommand};
use serde_json::json;

use medrelay_core::id::GatewayId;

use super::super::table::{moment, table};
use super::{Desk, Outcome, Unclear, name_of};
use crate::service::Gateway;
use crate::service::joining::NewJoinCode;
use crate::store::{Organization, PAGE_LIMIT};

/// What a join code is for.
#[derive(Debug, Args)]
pub(in crate::cli) struct JoinCodeArgs {
    /// The clinic that the gateway will belong to: name or identifier.
    #[arg(long, value_name = "CLINIC")]
    clinic: String,
    /// Minutes that the code is good, at most 1440; as configured without it.
    #[arg(long, value_name = "N")]
    minutes: Option<i64>,
    /// What people will call the gateway; what it calls itself without it.
    #[arg(long, value_name = "GATEWAY")]
    name: Option<String>,
}

/// What to do with gateways.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum GatewayCommand {
    /// Show which gateways have joined.
    List {
        /// Only those of this clinic: name or identifier.
        #[arg(long, value_name = "CLINIC")]
        clinic: Option<String>,
    },
    /// Shut a gateway out for good, within seconds. What it has sent stays; to let the machine in
    /// again takes a new join code.
    Revoke {
        /// Its identifier, or its name where one clinic alone has it.
        gateway: String,
        /// The clinic that it sends for: name or identifier.
        #[arg(long, value_name = "CLINIC")]
        clinic: Option<String>,
    },
}

pub(super) async fn join_code(desk: &Desk, asked: JoinCodeArgs) -> anyhow::Result<Outcome> {
    let clinic = desk.organization(&asked.clinic).await?;
    let new = NewJoinCode { name: asked.name.unwrap_or_default(), minutes: asked.minutes };
    let made = desk.service.create_join_code(&desk.caller, &clinic.id, &new).await?;
    let until = made.invitation.expires_at;
    let command = format!("medrelay-gateway join {} {}", desk.address, made.code);
    let json = json!({
        "code": made.code, "handle": made.invitation.handle, "clinic": clinic.id,
        "clinic_name": clinic.name, "expires_at": until, "command": command,
    });
    let text = format!(
        "join code for {}, good once until {}:\n\n    {}\n\nat the clinic type:\n\n    {command}",
        clinic.name,
        moment(until),
        made.code,
    );
    desk.say(&json, &text)
}

pub(super) async fn run(desk: &Desk, command: GatewayCommand) -> anyhow::Result<Outcome> {
    match command {
        GatewayCommand::List { clinic } => {
            let clinic = clinic_of(desk, clinic.as_deref()).await?;
            list(desk, clinic.as_ref()).await
        }
        GatewayCommand::Revoke { gateway, clinic } => {
            let clinic = clinic_of(desk, clinic.as_deref()).await?;
            let id = meant(desk, clinic.as_ref(), &gateway).await?;
            let revoked = desk.service.revoke_gateway(&desk.caller, &id).await?;
            let text = format!("{} is shut out", revoked.name);
            desk.say(&shown(&revoked), &text)
        }
    }
}

async fn clinic_of(desk: &Desk, typed: Option<&str>) -> anyhow::Result<Option<Organization>> {
    match typed {
        Some(typed) => Ok(Some(desk.organization(typed).await?)),
        None => Ok(None),
    }
}

async fn list(desk: &Desk, clinic: Option<&Organization>) -> anyhow::Result<Outcome> {
    let gateways = gateways(desk, clinic).await?;
    let places = desk.organizations().await?;
    let rows: Vec<Vec<String>> = gateways
        .iter()
        .map(|gateway| {
            let state = match gateway.revoked_at {
                Some(at) => format!("revoked {}", moment(at)),
                None => format!("certificate until {}", moment(gateway.certificate_until)),
            };
            let seen = gateway.seen_at.map_or_else(|| "never".to_owned(), moment);
            vec![
                gateway.id.to_string(),
                gateway.name.clone(),
                name_of(&places, &gateway.clinic),
                state,
                [seen, gateway.source.clone(), gateway.carrier.clone()].join(" ").trim().to_owned(),
            ]
        })
        .collect();
    let headings = ["id", "name", "clinic", "state", "last seen"];
    desk.say(&gateways.iter().map(shown).collect(), &table(&headings, &rows))
}

/// The gateway that a person means: by its identifier, or by a name that only one not revoked has.
async fn meant(
    desk: &Desk,
    clinic: Option<&Organization>,
    typed: &str,
) -> anyhow::Result<GatewayId> {
    if let Ok(id) = GatewayId::parse(typed) {
        return Ok(id);
    }
    let all = gateways(desk, clinic).await?;
    let mut named =
        all.into_iter().filter(|one| one.name == typed.trim() && one.revoked_at.is_none());
    match (named.next(), named.next()) {
        (Some(only), None) => Ok(only.id),
        (None, _) => Err(Unclear::none("gateway", typed)),
        (Some(_), Some(_)) => Err(Unclear::several("gateway", typed)),
    }
}

async fn gateways(desk: &Desk, clinic: Option<&Organization>) -> anyhow::Result<Vec<Gateway>> {
    let mut all: Vec<Gateway> = Vec::new();
    loop {
        let after = all.last().map(|gateway| gateway.id.clone());
        let clinic = clinic.map(|clinic| &clinic.id);
        let page = desk.service.gateways(&desk.caller, clinic, after.as_ref(), PAGE_LIMIT).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn shown(gateway: &Gateway) -> serde_json::Value {
    json!({
        "id": gateway.id, "clinic": gateway.clinic, "name": gateway.name,
        "software": gateway.software, "joined_at": gateway.joined_at,
        "revoked_at": gateway.revoked_at, "seen_at": gateway.seen_at, "source": gateway.source,
        "carrier": gateway.carrier, "certificate_until": gateway.certificate_until,
    })
}

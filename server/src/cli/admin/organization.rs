//! `medrelay org`: the tree of the consortium.

use clap::Subcommand;
use serde_json::json;

use medrelay_core::id::OrganizationId;
use medrelay_core::people::OrganizationKind;

use super::{Desk, Outcome};
use crate::store::Organization;

/// What to do with organizations.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum OrgCommand {
    /// Show the tree.
    List,
    /// Add an organization; the first one has nothing above it.
    Add {
        /// Its name.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// The organization above it: name or identifier.
        #[arg(long, value_name = "ORG")]
        parent: Option<String>,
        /// `lead_hospital`, `county_hospital`, `township_clinic` or `village_clinic`; without it a
        /// lead hospital at the top and a township clinic below.
        #[arg(long, value_name = "KIND", value_parser = kind)]
        kind: Option<OrganizationKind>,
    },
}

pub(super) async fn run(desk: &Desk, command: OrgCommand) -> anyhow::Result<Outcome> {
    match command {
        OrgCommand::List => list(desk).await,
        OrgCommand::Add { name, parent, kind } => add(desk, &name, parent.as_deref(), kind).await,
    }
}

async fn list(desk: &Desk) -> anyhow::Result<Outcome> {
    let all = desk.organizations().await?;
    let mut text = String::new();
    branch(&all, None, 0, &mut text);
    if all.is_empty() {
        text.push_str("no organization yet: medrelay org add --name NAME");
    }
    desk.say(&all.iter().map(shown).collect(), &text)
}

async fn add(
    desk: &Desk,
    name: &str,
    parent: Option<&str>,
    kind: Option<OrganizationKind>,
) -> anyhow::Result<Outcome> {
    let parent = match parent {
        Some(parent) => Some(desk.organization(parent).await?.id),
        None => None,
    };
    let kind = kind.unwrap_or(match parent {
        Some(_) => OrganizationKind::TownshipClinic,
        None => OrganizationKind::LeadHospital,
    });
    let made = desk.service.create_organization(&desk.caller, parent.as_ref(), kind, name).await?;
    desk.say(&shown(&made), &format!("{} {}", made.id, made.name))
}

/// An organization as JSON.
pub(super) fn shown(organization: &Organization) -> serde_json::Value {
    json!({
        "id": organization.id, "parent": organization.parent(),
        "kind": organization.kind, "name": organization.name,
        "closed_at": organization.closed_at,
    })
}

/// Draws what lies below `parent`.
fn branch(all: &[Organization], parent: Option<&OrganizationId>, depth: usize, text: &mut String) {
    for one in all.iter().filter(|one| one.parent() == parent) {
        let closed = if one.closed_at.is_some() { "  closed" } else { "" };
        let (indent, kind) = ("  ".repeat(depth), one.kind.as_str());
        text.push_str(&format!("{indent}{}  {kind}  {}{closed}\n", one.name, one.id));
        branch(all, Some(&one.id), depth + 1, text);
    }
}

/// Reads a kind of organization.
pub(super) fn kind(text: &str) -> Result<OrganizationKind, String> {
    OrganizationKind::parse(text).ok_or_else(|| {
        let known: Vec<_> = OrganizationKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("one of {}", known.join(", "))
    })
}

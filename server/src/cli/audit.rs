//! `medrelay audit`: is the trail whole?

use clap::Subcommand;

use super::{Outcome, Place};
use crate::app::{self, Ambient};

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Walk the whole trail: an edit, a deletion, another order or a cut end is found. Ends with 0
    /// when the trail is whole and with 2 when it is not.
    Verify,
}

/// Does it.
pub(super) async fn run(place: &Place, command: &AuditCommand) -> anyhow::Result<Outcome> {
    let AuditCommand::Verify = command;
    let loaded = place.load()?;
    let service = app::assemble(&loaded.config, &Ambient::system()).await?;
    let report = service.verify_audit().await;
    service.close().await;
    let report = report?;
    if place.json {
        let answer = serde_json::json!({
            "whole": report.fault.is_none(),
            "events": report.events,
            "anchors": report.anchors,
            "fault": report.fault.as_ref().map(ToString::to_string),
        });
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        println!("{report}");
    }
    Ok(match report.fault {
        None => Outcome::Done,
        Some(_) => Outcome::SomeFailed,
    })
}

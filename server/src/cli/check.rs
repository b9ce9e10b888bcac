//! `medrelay check`: what is wrong, and how to mend it.

use super::{Outcome, Place};
use crate::app::{self, Ambient};
use crate::check::{self, Finding, Probe, Severity};

/// Looks at everything and prints what it finds; exit code 2 if anything must be mended.
pub(super) async fn run(place: &Place) -> anyhow::Result<Outcome> {
    let loaded = place.load()?;
    let ambient = Ambient::system();
    let (config, surroundings) = (loaded.config.clone(), ambient.clone());
    let probe = Probe::new("database", async move {
        match app::assemble(&config, &surroundings).await {
            Ok(service) => match service.probe().await {
                Ok(()) => {
                    Finding::ok("database and store", "both answer and keep what they are given")
                }
                Err(error) => Finding::failure(
                    "database or store",
                    error.to_string(),
                    "see that it runs, can be reached and has space left",
                ),
            },
            Err(error) => Finding::failure(
                "database or store",
                format!("{error:#}"),
                "correct database.url or blobs.url, or start what they name",
            ),
        }
    });
    let findings = check::run(&loaded.config, &*ambient.clock, vec![probe]).await;
    if place.json {
        let rows: Vec<_> = findings
            .iter()
            .map(|f| {
                serde_json::json!({
                    "what": f.what, "severity": f.severity,
                    "found": f.found, "mend": f.mend,
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        for finding in &findings {
            println!("{finding}");
        }
    }
    Ok(match check::worst(&findings) {
        Severity::Ok | Severity::Warning => Outcome::Done,
        Severity::Failure => Outcome::SomeFailed,
    })
}

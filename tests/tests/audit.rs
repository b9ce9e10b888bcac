//! Whoever changes the audit trail behind the relay's back is found out: an edited field, a deleted
//! or swapped row, an end that was cut off, with and without its head, and an older copy of it all.

use anyhow::{Context, Result, bail, ensure};
use medrelay::service::audit::{AuditFault, Report};
use medrelay_core::event::ChainFault;
use medrelay_core::people::Role;
use medrelay_core::time::Span;
use medrelay_tests::clinic::{Consortium, Place};
use medrelay_tests::relay::{Engine, Relay};
use serde_json::Value;
use sqlx::Executor;

/// A relay that has something to tell, stopped, with the number of its last event.
async fn stopped() -> Result<(Relay, i64)> {
    let relay = Relay::start(Engine::Sqlite, |_| {}).await?;
    let consortium = Consortium::found(&relay).await?;
    consortium.person(Place::ClinicA, Role::Technician).await?;
    relay.advance(Span::from_minutes(1)).await?;
    relay.stop().await?;
    let last = relay.count("SELECT MAX(seq) FROM events").await?;
    ensure!(last > 10, "only {last} events");
    Ok((relay, last))
}

/// What is found after some statements were run on the database file.
async fn after(harm: &[&'static str]) -> Result<(Report, i64)> {
    let (relay, last) = stopped().await?;
    let whole = relay.verify_audit().await?;
    ensure!(whole.fault.is_none() && whole.events == last, "before any harm: {whole}");
    ensure!(whole.anchors > 0, "nothing was anchored");
    let pool = relay.sql().await?;
    for statement in harm {
        let done = pool.execute(*statement).await?;
        ensure!(done.rows_affected() > 0, "no harm done by {statement}");
    }
    pool.close().await;
    Ok((relay.verify_audit().await?, last))
}

fn fault(report: &Report) -> Result<&AuditFault> {
    ensure!(report.exit_code() == 2, "a script must see it");
    report.fault.as_ref().context("nothing was found")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_field_breaks_its_seal() -> Result<()> {
    for harm in [
        "UPDATE events SET actor = 'person:somebody-else' WHERE seq = 5",
        "UPDATE events SET at = at + 1 WHERE seq = 5",
        "UPDATE events SET details = '{}' || ' ' WHERE seq = 5",
        "UPDATE events SET kind = 'study_read' WHERE seq = 5",
        "UPDATE events SET seal = 'ff' || substr(seal, 3) WHERE seq = 5",
    ] {
        let (report, _) = after(&[harm]).await?;
        let expected = AuditFault::Chain(ChainFault::Seal { seq: 5 });
        assert_eq!(fault(&report)?, &expected, "{harm}");
        assert_eq!(report.events, 4, "what comes before is good");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_row_leaves_a_gap() -> Result<()> {
    let (report, _) = after(&["DELETE FROM events WHERE seq = 7"]).await?;
    assert_eq!(fault(&report)?, &AuditFault::Chain(ChainFault::Gap { after: 6, found: 8 }));
    // Closing the gap by renumbering breaks the seals.
    let (report, _) =
        after(&["DELETE FROM events WHERE seq = 7", "UPDATE events SET seq = 7 WHERE seq = 8"])
            .await?;
    assert_eq!(fault(&report)?, &AuditFault::Chain(ChainFault::Seal { seq: 7 }));
    let (report, _) = after(&["DELETE FROM events WHERE seq = 1"]).await?;
    assert_eq!(fault(&report)?, &AuditFault::Chain(ChainFault::Gap { after: 0, found: 2 }));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapped_rows_break_their_seals() -> Result<()> {
    let (report, _) = after(&[
        "UPDATE events SET seq = -1 WHERE seq = 4",
        "UPDATE events SET seq = 4 WHERE seq = 5",
        "UPDATE events SET seq = 5 WHERE seq = -1",
    ])
    .await?;
    assert_eq!(fault(&report)?, &AuditFault::Chain(ChainFault::Seal { seq: 4 }));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invented_row_has_no_seal() -> Result<()> {
    let (report, last) = after(&["INSERT INTO events SELECT (SELECT MAX(seq) + 1 FROM events), \
         'invented', at, kind, actor, source, organization, partner, object, details, seal \
         FROM events WHERE seq = 3"])
    .await?;
    assert_eq!(fault(&report)?, &AuditFault::Chain(ChainFault::Seal { seq: last + 1 }));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_was_cut_off_is_missed_by_its_head() -> Result<()> {
    let (report, last) =
        after(&["DELETE FROM events WHERE seq > (SELECT MAX(seq) - 2 FROM events)"]).await?;
    let expected = ChainFault::Truncated { last: last - 2, head: last };
    assert_eq!(fault(&report)?, &AuditFault::Chain(expected));
    // A head that is written anew without the key is not one.
    let (report, _) = after(&[
        "DELETE FROM events WHERE seq > (SELECT MAX(seq) - 2 FROM events)",
        "UPDATE event_head SET seq = (SELECT MAX(seq) FROM events), \
         seal = (SELECT seal FROM events ORDER BY seq DESC LIMIT 1)",
    ])
    .await?;
    assert_eq!(fault(&report)?, &AuditFault::Chain(ChainFault::Head));
    Ok(())
}

/// Somebody puts back an older copy of the database, with the head that belonged to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_the_trail_is_behind_its_anchors() -> Result<()> {
    let relay = Relay::start(Engine::Sqlite, |_| {}).await?;
    let consortium = Consortium::found(&relay).await?;
    relay.advance(Span::from_minutes(1)).await?;
    let pool = relay.sql().await?;
    pool.execute("CREATE TABLE kept AS SELECT * FROM event_head").await?;
    let old = relay.count("SELECT MAX(seq) FROM events").await?;
    consortium.person(Place::ClinicA, Role::Technician).await?;
    relay.advance(Span::from_minutes(1)).await?;
    relay.stop().await?;
    for harm in [
        "DELETE FROM events WHERE seq > (SELECT seq FROM kept)",
        "DELETE FROM event_head",
        "INSERT INTO event_head SELECT * FROM kept",
    ] {
        pool.execute(harm).await?;
    }
    pool.close().await;
    let report = relay.verify_audit().await?;
    match fault(&report)? {
        AuditFault::BehindAnchor { last, anchored } => ensure!(*last == old && *anchored > old),
        other => bail!("{other}"),
    }
    // Cutting the anchor file to the same length hides it from this machine; a changed line does
    // not pass.
    let path = relay.anchors().path().to_owned();
    let text = std::fs::read_to_string(&path)?;
    let forged = text.replace(&format!(" {old} "), &format!(" {} ", old + 1));
    ensure!(forged != text, "no anchor names event {old}:\n{text}");
    std::fs::write(&path, forged)?;
    let report = relay.verify_audit().await?;
    ensure!(matches!(fault(&report)?, AuditFault::AnchorLine { .. }), "{report}");
    Ok(())
}

/// The auditor reads the trail of everybody below; reading is an event too, and nobody else may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_auditor_reads_the_trail_and_is_seen_reading() -> Result<()> {
    let relay = Relay::start(Engine::Sqlite, |_| {}).await?;
    let consortium = Consortium::found(&relay).await?;
    let auditor = consortium.person(Place::Lead, Role::Auditor).await?;
    let clinic = consortium.person(Place::ClinicA, Role::Auditor).await?;
    let page: Value = auditor.get("/api/v1/audit?limit=200").await?;
    let items = page["items"].as_array().context("a list")?;
    let seqs: Vec<i64> = items.iter().filter_map(|item| item["seq"].as_i64()).collect();
    ensure!(seqs.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {seqs:?}");
    ensure!(items.iter().any(|item| item["kind"] == "set_up"), "from the beginning");
    let own: Value = clinic.get("/api/v1/audit?limit=200").await?;
    for item in own["items"].as_array().context("a list")? {
        assert_eq!(item["organization"], consortium.at(Place::ClinicA), "{item}");
    }
    let refused = consortium.root.get::<Value>("/api/v1/audit").await.expect_err("not for admins");
    assert_eq!(refused.code(), Some("FORBIDDEN"));
    let kinds = relay.events().await?;
    assert_eq!(kinds.iter().filter(|kind| *kind == "audit_read").count(), 2);
    relay.finish().await
}

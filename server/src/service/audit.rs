//! The audit trail: reading it, anchoring its end outside the database, proving it whole.
//!
//! Three walls stand against a changed trail. Each event is sealed over the one before it, so an
//! edit, a deletion or a change of order breaks a seal. The end of the chain is sealed too, so it
//! cannot be cut short. And a file beside the database names where the end stood minute by
//! minute, so the database cannot be put back to an older copy of itself.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error as ThisError;

use medrelay_core::access::{self, Action, Scope};
use medrelay_core::event::{ChainFault, Head, Kind, Record, check_head, check_next};
use medrelay_core::id::OrganizationId;
use medrelay_core::time::Timestamp;

use super::{About, Caller, Error, Service};
use crate::anchors::{Anchor, Anchors, Lines};
pub use crate::store::EventFilter;
use crate::store::{Db, PAGE_LIMIT, Sealer, StoreError, Tx};

/// Events read at once while the trail is walked.
const WALK: i64 = 1_000;

/// What the proof of the trail found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Events that were walked and found good.
    pub events: i64,
    /// Anchors that were compared.
    pub anchors: usize,
    /// The first thing that is wrong.
    pub fault: Option<AuditFault>,
}

impl Report {
    /// What a command should end with: 0 when the trail is whole, 2 when it is not.
    pub fn exit_code(&self) -> u8 {
        if self.fault.is_none() { 0 } else { 2 }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            None => write!(
                f,
                "the trail is whole: {} events, {} anchors compared",
                self.events, self.anchors
            ),
            Some(fault) => write!(f, "after {} good events: {fault}", self.events),
        }
    }
}

/// What is wrong with the trail.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum AuditFault {
    /// The chain itself.
    #[error(transparent)]
    Chain(#[from] ChainFault),
    /// A line of the anchor file is not one of ours.
    #[error("line {line} of the anchor file was changed")]
    AnchorLine {
        /// Which, from 1.
        line: usize,
    },
    /// The event that an anchor names has another seal now.
    #[error("event {seq} is not the one that was anchored: the trail was written anew")]
    Anchored {
        /// Which event.
        seq: i64,
    },
    /// An anchor names an event that is not there any more.
    #[error(
        "the trail ends at event {last}, but event {anchored} was anchored: its end was cut off"
    )]
    BehindAnchor {
        /// The last event present.
        last: i64,
        /// The event that the anchor names.
        anchored: i64,
    },
}

/// Why the trail could not be walked at all.
#[derive(Debug, ThisError)]
pub enum VerifyError {
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The anchor file cannot be read.
    #[error("the anchor file cannot be read: {0}")]
    Anchors(#[source] std::io::Error),
}

impl Service {
    /// The trail of the organizations that the caller audits, newest first, before event
    /// `before`, each with the name of whoever did it; reading it is an event itself.
    pub async fn audit(
        &self,
        caller: &Caller,
        filter: &EventFilter,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<(Record, Option<String>)>, Error> {
        access::may_somewhere(&caller.actor, Action::ReadAudit)?;
        let scope = access::scope(&caller.actor, Action::ReadAudit);
        let mut tx = self.db().write().await?;
        let mut owners = everyone_below(&mut tx, &scope, self.now()).await?;
        for id in &scope.below {
            // The relay's own events (start, stop, failed sign-ins) belong to the root's auditor.
            if tx.organizations_above(id).await?.is_empty() {
                owners.push(String::new());
            }
        }
        let before = before.unwrap_or(i64::MAX);
        let records = tx.events_before(Some(&owners), filter, before, limit).await?;
        let mut actors: Vec<String> = records.iter().map(|record| record.actor.clone()).collect();
        actors.sort_unstable();
        actors.dedup();
        let names = tx.actor_names(&actors).await?;
        let about = About {
            organization: scope.below.first(),
            object: filter.object.clone().unwrap_or_default(),
            details: Some(serde_json::json!({
                "events": records.len(), "kind": filter.kind, "actor": filter.actor,
                "from": filter.from, "to": filter.to,
            })),
            ..About::default()
        };
        tx.record(vec![self.parts.event(caller, Kind::AuditRead, about)]).await?;
        tx.commit().await?;
        let named = |record: Record| {
            let name = names.get(&record.actor).cloned();
            (record, name)
        };
        Ok(records.into_iter().map(named).collect())
    }

    /// Proves this relay's trail whole, or names the first thing that is wrong with it.
    pub async fn verify_audit(&self) -> Result<Report, VerifyError> {
        let anchors = Anchors::in_dir(&self.parts.anchors);
        verify_audit(self.db(), &self.parts.sealer, Some(&anchors)).await
    }

    /// Writes where the trail ends into the anchor file: a job of every minute, and the last thing
    /// before an orderly stop.
    pub async fn anchor_audit(&self) -> Result<(), Error> {
        let anchors = Anchors::in_dir(&self.parts.anchors);
        let now = self.now();
        let mut tx = self.db().read().await?;
        let (head, _) = tx.event_head().await?;
        drop(tx);
        let mac = (self.parts.sealer)(&Anchor::canonical_bytes(now, &head));
        let anchor = Anchor { at: now, head, mac };
        let written = tokio::task::spawn_blocking(move || anchors.append(&anchor)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the audit trail could not be anchored"),
            Err(error) => tracing::error!(%error, "anchoring the audit trail was cut short"),
        }
        Ok(())
    }
}

/// Every organization that a scope reaches by standing above it, the named ones included.
pub(super) async fn everyone_below(
    tx: &mut Tx,
    scope: &Scope,
    now: Timestamp,
) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    if scope.below.is_empty() {
        return Ok(all);
    }
    let below = Scope { below: scope.below.clone(), ..Scope::default() };
    let mut after: Option<OrganizationId> = None;
    loop {
        let page = tx.organizations(Some(&below), now, after.as_ref(), PAGE_LIMIT).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(last.id.clone());
        all.extend(page.into_iter().map(|organization| String::from(organization.id)));
    }
}

/// Walks the whole trail and compares it with its seals, its head and its anchors.
///
/// It may run beside a relay that writes: every page is its own short transaction.
pub async fn verify_audit(
    db: &Db,
    sealer: &Sealer,
    anchors: Option<&Anchors>,
) -> Result<Report, VerifyError> {
    // The anchors come first: events that are written meanwhile can then only be newer.
    let lines = match anchors {
        Some(anchors) => anchors.read().map_err(VerifyError::Anchors)?,
        None => Lines::new(),
    };
    let seal = |bytes: &[u8]| sealer(bytes);
    let mut report = Report { events: 0, anchors: lines.len(), fault: None };
    let anchored = match trusted(&lines, &seal) {
        Ok(anchored) => anchored,
        Err(fault) => return Ok(Report { fault: Some(fault), ..report }),
    };
    let mut walked = Head::empty();
    loop {
        let mut tx = db.read().await?;
        let page = tx.events_after(walked.seq, WALK).await?;
        for (record, stored) in &page {
            match step(&walked, record, stored, &anchored, &seal) {
                Ok(next) => walked = next,
                Err(fault) => return Ok(Report { fault: Some(fault), ..report }),
            }
            report.events = walked.seq;
        }
        if !page.is_empty() {
            continue;
        }
        let (head, head_seal) = tx.event_head().await?;
        // Written between the two reads: not an end that was cut off, but one that has moved.
        if head.seq > walked.seq && !tx.events_after(walked.seq, 1).await?.is_empty() {
            continue;
        }
        report.fault = end(&walked, &head, &head_seal, &anchored, &seal).err();
        return Ok(report);
    }
}

/// The anchors by event, once every line has proved to be ours.
fn trusted(
    lines: &Lines,
    seal: &dyn Fn(&[u8]) -> String,
) -> Result<BTreeMap<i64, String>, AuditFault> {
    let mut anchored = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        let ours = line
            .as_ref()
            .filter(|anchor| seal(&Anchor::canonical_bytes(anchor.at, &anchor.head)) == anchor.mac);
        let anchor = ours.ok_or(AuditFault::AnchorLine { line: at + 1 })?;
        let known = anchored.insert(anchor.head.seq, anchor.head.seal.clone());
        if known.is_some_and(|seal| seal != anchor.head.seal) {
            return Err(AuditFault::Anchored { seq: anchor.head.seq });
        }
    }
    Ok(anchored)
}

fn step(
    walked: &Head,
    record: &Record,
    stored: &str,
    anchored: &BTreeMap<i64, String>,
    seal: &dyn Fn(&[u8]) -> String,
) -> Result<Head, AuditFault> {
    let next = check_next(walked, record, stored, seal)?;
    match anchored.get(&next.seq) {
        Some(seal) if *seal != next.seal => Err(AuditFault::Anchored { seq: next.seq }),
        _ => Ok(next),
    }
}

fn end(
    walked: &Head,
    head: &Head,
    head_seal: &str,
    anchored: &BTreeMap<i64, String>,
    seal: &dyn Fn(&[u8]) -> String,
) -> Result<(), AuditFault> {
    check_head(walked, head, head_seal, seal)?;
    match anchored.last_key_value() {
        Some((last, _)) if *last > walked.seq => {
            Err(AuditFault::BehindAnchor { last: walked.seq, anchored: *last })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medrelay_core::event::sealed_bytes;
    use medrelay_core::report::sha256_hex;

    fn seal(bytes: &[u8]) -> String {
        sha256_hex(&[b"key", bytes].concat())
    }

    fn record(seq: i64) -> Record {
        Record {
            seq,
            id: format!("e{seq}"),
            at: Timestamp::from_micros(seq),
            kind: "started".to_owned(),
            actor: "system".to_owned(),
            source: String::new(),
            organization: String::new(),
            partner: String::new(),
            object: String::new(),
            details: "{}".to_owned(),
        }
    }

    fn chain(length: i64) -> Vec<(Record, String)> {
        let mut last = Head::empty().seal;
        let next = |seq| {
            last = seal(&sealed_bytes(&last, &record(seq)));
            (record(seq), last.clone())
        };
        (1..=length).map(next).collect()
    }

    fn anchor(seq: i64, of: &[(Record, String)]) -> Option<Anchor> {
        let at = Timestamp::from_micros(seq);
        let head = of
            .iter()
            .find(|(record, _)| record.seq == seq)
            .map_or_else(Head::empty, |(_, seal)| Head { seq, seal: seal.clone() });
        let mac = seal(&Anchor::canonical_bytes(at, &head));
        Some(Anchor { at, head, mac })
    }

    fn prove(chain: &[(Record, String)], lines: &Lines) -> Result<(), AuditFault> {
        let anchored = trusted(lines, &seal)?;
        let mut walked = Head::empty();
        for (record, stored) in chain {
            walked = step(&walked, record, stored, &anchored, &seal)?;
        }
        let head_seal = seal(&walked.canonical_bytes());
        end(&walked, &walked, &head_seal, &anchored, &seal)
    }

    #[test]
    fn a_whole_trail_agrees_with_its_anchors() {
        let trail = chain(9);
        let lines = vec![anchor(0, &trail), anchor(3, &trail), anchor(9, &trail)];
        assert_eq!(prove(&trail, &lines), Ok(()));
    }

    #[test]
    fn an_older_copy_of_the_database_is_behind_its_anchors() {
        let trail = chain(9);
        let lines = vec![anchor(3, &trail), anchor(9, &trail)];
        let fault = AuditFault::BehindAnchor { last: 5, anchored: 9 };
        assert_eq!(prove(&trail[..5], &lines), Err(fault), "its own head was rolled back as well");
    }

    #[test]
    fn a_trail_written_anew_differs_from_its_anchors() {
        let (mut other, mut last) = (Vec::new(), Head::empty().seal);
        for seq in 1..=9 {
            let record = Record { actor: "person:x".to_owned(), ..record(seq) };
            last = seal(&sealed_bytes(&last, &record));
            other.push((record, last.clone()));
        }
        let lines = vec![anchor(3, &chain(9))];
        assert_eq!(prove(&other, &lines), Err(AuditFault::Anchored { seq: 3 }));
        assert_eq!(prove(&other, &Lines::new()), Ok(()), "the chain alone cannot know");
    }

    #[test]
    fn a_line_that_was_changed_is_named() {
        let trail = chain(4);
        let mut lines = vec![anchor(1, &trail), anchor(2, &trail)];
        if let Some(anchor) = &mut lines[1] {
            anchor.head.seq = 1;
        }
        assert_eq!(prove(&trail, &lines), Err(AuditFault::AnchorLine { line: 2 }));
        assert_eq!(prove(&trail, &vec![None]), Err(AuditFault::AnchorLine { line: 1 }));
    }
}

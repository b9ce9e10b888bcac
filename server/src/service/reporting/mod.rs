//! Writing and reading reports: drafts under a claim, signed versions, proof of what was signed.
//!
//! Signing itself is in [`signing`]: one transaction, after which nothing that was signed changes.

mod signing;

use medrelay_core::access::{self, Action};
use medrelay_core::case::{self, Case, Command, Refusal};
use medrelay_core::event::Kind;
use medrelay_core::id::{CaseId, DraftId, PersonId, ReportId};
use medrelay_core::report::{self, Signed, Text, VersionKind, sha256_hex};
use medrelay_core::time::Timestamp;

use super::reading::Proof;
use super::{About, Caller, Error, Service, case_object};
use crate::secrets;
pub use crate::store::{Draft, DraftState, Report};
use crate::store::{StoreError, Tx};

/// A draft with the name of its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftView {
    /// The draft.
    pub draft: Draft,
    /// Its author's name.
    pub author_name: String,
}

/// A signed version with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportView {
    /// The version as it is stored.
    pub report: Report,
    /// What its canonical bytes say.
    pub signed: Signed,
    /// Its number for people: that of the case and the version's.
    pub report_number: String,
}

/// What a check of a signed version found. All true means that it is as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The stored SHA-256 is that of the canonical bytes.
    pub hash_holds: bool,
    /// The signature over the canonical bytes was made with the stored key.
    pub signature_holds: bool,
    /// The key belongs to the person whom the canonical bytes name as signer.
    pub signer_holds: bool,
    /// The row says what the canonical bytes say, and they are in canonical form.
    pub row_holds: bool,
    /// The version before it has the hash that this one names.
    pub chain_holds: bool,
    /// SHA-256 (hex) of the canonical bytes, computed now.
    pub sha256: String,
    /// The signature in hexadecimal.
    pub signature: String,
    /// The public key in hexadecimal, for a check elsewhere.
    pub public_key: String,
    /// Short name of the key, as printed on the report.
    pub key_name: String,
    /// When the key was taken out of use, if it was.
    pub key_retired_at: Option<Timestamp>,
}

impl Verification {
    /// Whether everything is as it was signed.
    pub const fn holds(&self) -> bool {
        self.hash_holds
            && self.signature_holds
            && self.signer_holds
            && self.row_holds
            && self.chain_holds
    }
}

impl Service {
    /// Saves what a reader has written so far. When their claim has ended, the text is kept as an
    /// orphan draft all the same, and they are told that the claim has ended.
    pub async fn save_draft(
        &self,
        caller: &Caller,
        id: &CaseId,
        proof: &Proof,
        text: Text,
    ) -> Result<Draft, Error> {
        let person = caller.person()?.clone();
        report::check_draft(&text)?;
        let mut tx = self.parts.db.write().await?;
        let case = self.visible_case(&mut tx, caller, Action::ClaimCase, id).await?;
        let command = Command::SaveDraft { hold: proof.hold(&person) };
        if let Err(refusal) = case::apply(case.clone(), command, self.now()) {
            return self.keep_orphan(tx, caller, &case, proof.fence, text, refusal).await;
        }
        let draft = self.new_draft(&case, &person, proof.fence, DraftState::Live, text);
        tx.save_live_draft(&draft).await?;
        // The row keeps the identifier of the first save.
        let drafts = tx.drafts_of_case(&case.id).await?;
        let draft = drafts
            .into_iter()
            .find(|d| d.state == DraftState::Live && d.author == person && d.fence == proof.fence)
            .ok_or(StoreError::Lost)?;
        let details = serde_json::json!({ "draft": draft.id, "state": draft.state.as_str() });
        let about = About::case(&case).with(details);
        tx.record(vec![self.parts.event(caller, Kind::DraftSaved, about)]).await?;
        tx.commit().await?;
        Ok(draft)
    }

    /// The drafts of a case that the caller may take up: their own, and for whoever holds the
    /// case now, those that others left behind. Newest first.
    pub async fn drafts(&self, caller: &Caller, id: &CaseId) -> Result<Vec<DraftView>, Error> {
        let person = caller.person()?.clone();
        let mut tx = self.parts.db.read().await?;
        let case = self.visible_case(&mut tx, caller, Action::ClaimCase, id).await?;
        let holds = case
            .stage
            .claim()
            .is_some_and(|claim| claim.holder == person && self.now() < claim.expires);
        let mut views = Vec::new();
        for draft in tx.drafts_of_case(id).await?.into_iter().rev() {
            // A live text of an earlier claim is one that was saved while the claim was lost.
            let left_behind = draft.state != DraftState::Signed
                && (draft.state == DraftState::Orphan || draft.fence != case.fence);
            let own = draft.author == person && draft.state != DraftState::Signed;
            if own || (holds && left_behind) {
                let author_name = name_of(&mut tx, &draft.author).await?;
                views.push(DraftView { draft, author_name });
            }
        }
        Ok(views)
    }

    /// The signed versions of a case in order. The clinic sees what was released to it: no
    /// preliminary report.
    pub async fn reports(&self, caller: &Caller, id: &CaseId) -> Result<Vec<ReportView>, Error> {
        let mut tx = self.parts.db.read().await?;
        let case = self.visible_case(&mut tx, caller, Action::ReadReport, id).await?;
        let inside = self.is_inside(&mut tx, caller, &case).await?;
        let mut views = Vec::new();
        for report in tx.reports_of_case(id).await? {
            if inside || report.kind != VersionKind::Preliminary {
                views.push(view(&mut tx, report).await?);
            }
        }
        Ok(views)
    }

    /// A signed version with its content; looking at it is recorded.
    pub async fn report(&self, caller: &Caller, id: &ReportId) -> Result<ReportView, Error> {
        let mut tx = self.parts.db.write().await?;
        let (case, report) = self.visible_report(&mut tx, caller, id).await?;
        let view = view(&mut tx, report).await?;
        self.record_reading(&mut tx, caller, &case, &view.report, "text").await?;
        tx.commit().await?;
        Ok(view)
    }

    /// Checks that a signed version is what was signed.
    pub async fn verify(&self, caller: &Caller, id: &ReportId) -> Result<Verification, Error> {
        let mut tx = self.parts.db.write().await?;
        let (case, report) = self.visible_report(&mut tx, caller, id).await?;
        let verification = verification(&mut tx, &report).await?;
        if !verification.holds() {
            tracing::error!(report.id = %report.id, "a signed report is not what was signed");
        }
        self.record_reading(&mut tx, caller, &case, &report, "verification").await?;
        tx.commit().await?;
        Ok(verification)
    }

    /// Loads a signed version that the caller may read.
    pub(super) async fn visible_report(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        id: &ReportId,
    ) -> Result<(Case, Report), Error> {
        let report = tx.report(id).await?.ok_or(Error::hidden())?;
        let case = self.visible_case(tx, caller, Action::ReadReport, &report.case).await?;
        if report.kind == VersionKind::Preliminary && !self.is_inside(tx, caller, &case).await? {
            return Err(Error::hidden());
        }
        Ok((case, report))
    }

    /// Records that somebody has looked at a signed version, and in which form.
    pub(super) async fn record_reading(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        case: &Case,
        report: &Report,
        form: &'static str,
    ) -> Result<(), Error> {
        let details = serde_json::json!({
            "report": report.id, "number": report.number, "form": form
        });
        let about = About::case(case).with(details);
        tx.record(vec![self.parts.event(caller, Kind::ReportRead, about)]).await?;
        Ok(())
    }

    /// Whether the caller works on the case at the centre: such people see preliminary reports.
    async fn is_inside(&self, tx: &mut Tx, caller: &Caller, case: &Case) -> Result<bool, Error> {
        let object = case_object(tx, case, self.now()).await?;
        let inside = [Action::ClaimCase, Action::TakeOverCase];
        Ok(inside.iter().any(|action| access::may(&caller.actor, *action, &object).is_ok()))
    }

    /// Keeps a text whose writer has lost the claim, and tells them so.
    async fn keep_orphan<T>(
        &self,
        mut tx: Tx,
        caller: &Caller,
        case: &Case,
        fence: i64,
        text: Text,
        refusal: Refusal,
    ) -> Result<T, Error> {
        let person = caller.person()?;
        let lost = matches!(refusal, Refusal::ClaimLost { .. });
        let written = [&text.findings, &text.impression, &text.recommendation];
        let empty = written.iter().all(|section| section.reveal().trim().is_empty());
        // A fence that was never given out belongs to no claim that could have been lost.
        if lost && !empty && (1..=case.fence).contains(&fence) {
            let drafts = tx.drafts_of_case(&case.id).await?;
            let same_hold = |d: &&Draft| d.author == *person && d.fence == fence;
            let earlier: Vec<&Draft> = drafts.iter().filter(same_hold).collect();
            if !earlier.iter().any(|d| d.text == text && d.state != DraftState::Live) {
                let orphan = earlier.iter().find(|d| d.state == DraftState::Orphan);
                let id = match orphan {
                    Some(draft) => {
                        tx.replace_orphan_draft(&draft.id, &text, self.now()).await?;
                        draft.id.clone()
                    }
                    None => {
                        let draft = self.new_draft(case, person, fence, DraftState::Orphan, text);
                        tx.insert_orphan_draft(&draft).await?;
                        draft.id
                    }
                };
                let details = serde_json::json!({ "draft": id, "state": "orphan" });
                let about = About::case(case).with(details);
                tx.record(vec![self.parts.event(caller, Kind::DraftSaved, about)]).await?;
                tx.commit().await?;
            }
        }
        Err(refusal.into())
    }

    fn new_draft(
        &self,
        case: &Case,
        author: &PersonId,
        fence: i64,
        state: DraftState,
        text: Text,
    ) -> Draft {
        let now = self.now();
        Draft {
            id: DraftId::new(now, &*self.parts.entropy),
            case: case.id.clone(),
            author: author.clone(),
            fence,
            state,
            text,
            saved_at: now,
        }
    }
}

/// What the canonical bytes of a version say.
pub(in crate::service) fn content(report: &Report) -> Result<Signed, Error> {
    serde_json::from_str(report.canonical.reveal()).map_err(|_| {
        Error::Store(StoreError::Inconsistent {
            table: "reports",
            what: "the canonical bytes do not parse",
        })
    })
}

async fn view(tx: &mut Tx, report: Report) -> Result<ReportView, Error> {
    let signed = content(&report)?;
    let case_number = tx.case_number(&report.case).await?;
    let report_number = format!("{case_number}-{}", report.number);
    Ok(ReportView { report, signed, report_number })
}

async fn name_of(tx: &mut Tx, person: &PersonId) -> Result<String, Error> {
    Ok(tx.person(person).await?.map(|person| person.name).unwrap_or_default())
}

async fn verification(tx: &mut Tx, report: &Report) -> Result<Verification, Error> {
    let canonical = report.canonical.reveal().as_bytes();
    let sha256 = sha256_hex(canonical);
    let key = tx.signing_key(&report.key).await?;
    let public_key =
        key.as_ref().and_then(|key| hex::decode(&key.public_key).ok()).unwrap_or_default();
    let signature = hex::decode(&report.signature).unwrap_or_default();
    let signed = content(report).ok();
    let signer = signed.as_ref().map(|s| &s.verifier.as_ref().unwrap_or(&s.reporter).person);
    let row_holds = signed.as_ref().is_some_and(|s| {
        s.canonical_bytes() == canonical
            && s.format_holds()
            && s.report == report.id
            && s.case == report.case
            && s.number == report.number
            && s.kind == report.kind
            && s.signed_at == report.signed_at
    });
    // What was drawn is kept beside the version; its hash is computed from its bytes, too.
    let drawn = tx.report_annotations(&report.id).await?;
    let drawn = drawn.map(|(body, _)| sha256_hex(body.reveal().as_bytes()));
    let row_holds = row_holds && signed.as_ref().is_some_and(|s| s.annotations_sha256 == drawn);
    let versions = tx.reports_of_case(&report.case).await?;
    let before = versions.iter().find(|v| v.number == report.number - 1);
    // The hash of the version before is computed from its bytes, not believed from its row.
    let expected = before.map(|v| sha256_hex(v.canonical.reveal().as_bytes()));
    let chain_holds = (before.is_some() || report.number == 1)
        && signed.as_ref().is_some_and(|s| s.predecessor == expected);
    Ok(Verification {
        hash_holds: sha256 == report.sha256,
        signature_holds: secrets::verify(&public_key, canonical, &signature),
        signer_holds: key.as_ref().is_some_and(|key| Some(&key.person) == signer),
        row_holds,
        chain_holds,
        sha256,
        signature: report.signature.clone(),
        key_name: secrets::key_id(&public_key),
        public_key: hex::encode(public_key),
        key_retired_at: key.and_then(|key| key.retired_at),
    })
}

#[cfg(test)]
mod tests;

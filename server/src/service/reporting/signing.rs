//! Signing: the canonical bytes, the signature, and everything that leaves with them, in one
//! transaction.

use medrelay_core::access::Action;
use medrelay_core::case::{self, Case, Command, Refusal, Stage};
use medrelay_core::delivery::{self, Route};
use medrelay_core::event::Kind;
use medrelay_core::id::{CaseId, DeliveryId, KeyId, PersonId, Phi, ReportId, Uid};
use medrelay_core::people::SigningPolicy;
use medrelay_core::report::{
    self, CANONICAL_FORMAT, Signed, Signer as Signatory, Text, VersionKind, sha256_hex,
};

use super::{ReportView, content, view};
use crate::secrets::{SecretError, Signer};
use crate::service::delivering::settle;
use crate::service::reading::Proof;
use crate::service::{About, Caller, Error, JOB_DELIVER, Service, allow, case_object, persist};
use crate::store::{Delivery, NewEvent, Report, SigningKey, StoreError, Tx};

/// The only algorithm so far.
const ALGORITHM: &str = "ed25519";

impl Service {
    /// Signs the report of a case that the caller holds: a preliminary or a final version, as the
    /// case's signing policy and stage want it. When their claim has ended, the text is kept as an
    /// orphan draft.
    pub async fn sign(
        &self,
        caller: &Caller,
        id: &CaseId,
        proof: &Proof,
        text: Text,
    ) -> Result<ReportView, Error> {
        persist!(self.sign_once(caller, id, proof, text.clone()).await)
    }

    /// Adds to a final report: a new version, delivered and acknowledged like the first.
    pub async fn addendum(
        &self,
        caller: &Caller,
        id: &CaseId,
        text: Text,
        reason: &str,
    ) -> Result<ReportView, Error> {
        persist!(self.add_once(caller, id, text.clone(), reason).await)
    }

    async fn sign_once(
        &self,
        caller: &Caller,
        id: &CaseId,
        proof: &Proof,
        text: Text,
    ) -> Result<ReportView, Error> {
        let person = caller.person()?.clone();
        let now = self.now();
        let mut tx = self.parts.db.write().await?;
        let case = self.visible_case(&mut tx, caller, Action::ClaimCase, id).await?;
        let (kind, action) = wanted(&case);
        let object = case_object(&mut tx, &case, now).await?;
        allow(caller, action, &object)?;
        let hold = proof.hold(&person);
        let command = match kind {
            VersionKind::Preliminary => Command::SignPreliminary { hold },
            VersionKind::Final | VersionKind::Addendum => Command::SignFinal { hold },
        };
        let step = match case::apply(case.clone(), command, now) {
            Ok(step) => step,
            Err(refusal @ Refusal::ClaimLost { .. }) if report::check_draft(&text).is_ok() => {
                return self.keep_orphan(tx, caller, &case, proof.fence, text, refusal).await;
            }
            Err(refusal) => return Err(refusal.into()),
        };
        report::check_signable(&text, kind, None)?;
        tx.sign_draft(&case.id, &person, proof.fence).await?;
        self.put_down(tx, caller, step, Writing { kind, text, reason: None }).await
    }

    async fn add_once(
        &self,
        caller: &Caller,
        id: &CaseId,
        text: Text,
        reason: &str,
    ) -> Result<ReportView, Error> {
        caller.person()?;
        let reason = reason.trim();
        report::check_signable(&text, VersionKind::Addendum, Some(reason))?;
        let mut tx = self.parts.db.write().await?;
        let case = self.visible_case(&mut tx, caller, Action::SignFinal, id).await?;
        let step = case::apply(case, Command::Addend, self.now())?;
        let reason = Some(Phi::new(reason.to_owned()));
        let writing = Writing { kind: VersionKind::Addendum, text, reason };
        self.put_down(tx, caller, step, writing).await
    }

    /// Signs, stores, sends off and commits.
    async fn put_down(
        &self,
        mut tx: Tx,
        caller: &Caller,
        step: case::Step,
        writing: Writing,
    ) -> Result<ReportView, Error> {
        let case::Step { mut case, events: mut kinds } = step;
        let person = caller.person()?;
        let drawn = drawn(&mut tx, &case, person, writing.kind).await?;
        let mut signed = self.composed(&mut tx, &case, person, writing).await?;
        signed.annotations_sha256 = drawn.as_ref().map(|(_, sha256)| sha256.clone());
        signed.format = Signed::format_of(drawn.is_some()).to_owned();
        let report = self.seal(&mut tx, person, &signed).await?;
        let (mut fresh, mut overtaken) = (Vec::new(), Vec::new());
        if report.kind != VersionKind::Preliminary {
            fresh = self.addressed(&mut tx, &case, &report).await?;
            let mut all = tx.deliveries_of_case(&case.id).await?;
            for earlier in &mut all {
                if self.overtake(earlier, report.kind) {
                    overtaken.push(earlier.clone());
                }
            }
            all.extend(fresh.iter().cloned());
            kinds.extend(settle(&mut case, &all, self.now())?);
        }
        // The case first: of two signatures at the same moment one is told to look again.
        tx.save_case(&case).await?;
        tx.insert_report(&report).await?;
        if let Some((body, sha256)) = &drawn {
            tx.insert_report_annotations(&report.id, body, sha256).await?;
        }
        for earlier in &overtaken {
            tx.save_delivery(earlier, self.now()).await?;
        }
        for delivery in &fresh {
            tx.insert_delivery(delivery).await?;
            if delivery.route == Route::Dicom {
                let subject = delivery.id.as_str();
                self.parts.schedule(&mut tx, JOB_DELIVER, subject, self.now()).await?;
            }
        }
        let events = self.signing_events(caller, &case, &report, kinds);
        let view = view(&mut tx, report).await?;
        tx.record(events).await?;
        tx.commit().await?;
        Ok(view)
    }

    /// Everything that the signature covers.
    async fn composed(
        &self,
        tx: &mut Tx,
        case: &Case,
        person: &PersonId,
        writing: Writing,
    ) -> Result<Signed, Error> {
        let now = self.now();
        let study = tx.study(&case.study).await?.ok_or(StoreError::Lost)?;
        let order = match &case.order {
            Some(order) => tx.order(order).await?,
            None => None,
        };
        let versions = tx.reports_of_case(&case.id).await?;
        let account = tx.person(person).await?.ok_or(Error::hidden())?;
        let signatory =
            Signatory { person: account.id, name: account.name, organization: case.centre.clone() };
        let preliminary = versions.iter().rev().find(|v| v.kind == VersionKind::Preliminary);
        let (reporter, verifier) = match (writing.kind, preliminary) {
            (VersionKind::Preliminary, _) => (signatory, None),
            // Whoever wrote the preliminary report remains the reporter of the final one.
            (VersionKind::Final, Some(first)) => (content(first)?.reporter, Some(signatory)),
            (VersionKind::Final, None) | (VersionKind::Addendum, _) => {
                (signatory.clone(), Some(signatory))
            }
        };
        Ok(Signed {
            format: CANONICAL_FORMAT.to_owned(),
            report: ReportId::new(now, &*self.parts.entropy),
            case: case.id.clone(),
            number: versions.last().map_or(1, |last| last.number + 1),
            kind: writing.kind,
            study: study.uid,
            accession: study.accession.or_else(|| order.and_then(|order| order.accession)),
            patient_id: study.patient_id,
            patient_name: study.patient_name,
            text: writing.text,
            reason: writing.reason,
            reporter,
            verifier,
            signed_at: now,
            predecessor: versions.last().map(|last| last.sha256.clone()),
            annotations_sha256: None,
        })
    }

    /// Signs with the person's key, which is made at the first signature.
    async fn seal(&self, tx: &mut Tx, person: &PersonId, signed: &Signed) -> Result<Report, Error> {
        let (key, signer) = match tx.signing_key_of(person).await? {
            Some(key) => {
                let signer = Signer::open(&self.parts.vault, &purpose(&key.id), &key.private_key);
                (key, signer.map_err(unusable)?)
            }
            None => self.new_key(tx, person).await?,
        };
        // A key pair whose halves do not belong together would sign what nobody can verify.
        if hex::encode(signer.public_key()) != key.public_key {
            return Err(unusable(SecretError::NotOurs));
        }
        let bytes = signed.canonical_bytes();
        let entropy = &*self.parts.entropy;
        Ok(Report {
            id: signed.report.clone(),
            case: signed.case.clone(),
            number: signed.number,
            kind: signed.kind,
            sha256: sha256_hex(&bytes),
            signature: hex::encode(signer.sign(&bytes)),
            canonical: Phi::new(String::from_utf8_lossy(&bytes).into_owned()),
            key: key.id,
            signed_at: signed.signed_at,
            sr_uid: Uid::random(entropy),
            pdf_uid: Uid::random(entropy),
            sr_series_uid: Uid::random(entropy),
            pdf_series_uid: Uid::random(entropy),
        })
    }

    async fn new_key(&self, tx: &mut Tx, person: &PersonId) -> Result<(SigningKey, Signer), Error> {
        let now = self.now();
        let id = KeyId::new(now, &*self.parts.entropy);
        let made = Signer::generate(&self.parts.vault, &purpose(&id), &*self.parts.entropy);
        let (signer, private_key) = made.map_err(unusable)?;
        let key = SigningKey {
            id,
            person: person.clone(),
            algorithm: ALGORITHM.to_owned(),
            public_key: hex::encode(signer.public_key()),
            private_key,
            created_at: now,
            retired_at: None,
        };
        tx.insert_signing_key(&key).await?;
        Ok((key, signer))
    }

    /// One delivery of a version for each destination of the agreement.
    async fn addressed(
        &self,
        tx: &mut Tx,
        case: &Case,
        report: &Report,
    ) -> Result<Vec<Delivery>, Error> {
        let now = self.now();
        let destinations = tx.destinations_of_agreement(&case.agreement).await?;
        let addressed = destinations.into_iter().map(|destination| Delivery {
            id: DeliveryId::new(now, &*self.parts.entropy),
            report: report.id.clone(),
            case: case.id.clone(),
            clinic: case.clinic.clone(),
            centre: case.centre.clone(),
            destination: destination.id,
            route: destination.route,
            stage: delivery::Stage::begin(destination.route, now),
            attempts: 0,
            last_error: None,
            created_at: now,
            updated_at: now,
            version: 1,
        });
        Ok(addressed.collect())
    }

    /// Takes an older version off its way if a new one of `kind` makes it pointless; whether it
    /// did. An addendum carries the whole report, so it replaces one that no machine has got yet;
    /// what lies in a clinic's inbox stays, because somebody may have read it already.
    fn overtake(&self, earlier: &mut Delivery, kind: VersionKind) -> bool {
        if kind == VersionKind::Addendum && earlier.route == Route::Inbox {
            return false;
        }
        let next = delivery::apply(
            earlier.stage.clone(),
            delivery::Command::Supersede,
            &self.parts.settings.backoff,
            &*self.parts.entropy,
            self.now(),
        );
        // Refused means that it has arrived or is being sent this very moment.
        next.map(|stage| earlier.stage = stage).is_ok()
    }

    fn signing_events(
        &self,
        caller: &Caller,
        case: &Case,
        report: &Report,
        kinds: Vec<Kind>,
    ) -> Vec<NewEvent> {
        let signing = [Kind::PreliminarySigned, Kind::FinalSigned, Kind::AddendumSigned];
        let event = |kind| {
            let mut about = About::case(case);
            if signing.contains(&kind) {
                about = about.with(serde_json::json!({
                    "report": report.id, "number": report.number, "kind": report.kind.as_str(),
                    "sha256": report.sha256, "key": report.key,
                }));
            }
            self.parts.event(caller, kind, about)
        };
        kinds.into_iter().map(event).collect()
    }
}

/// What is to be signed.
struct Writing {
    kind: VersionKind,
    text: Text,
    reason: Option<Phi<String>>,
}

/// What is drawn on the images of a version that is about to be signed, with its hash: what its
/// signer has drawn under their hold, else what the version before it had.
async fn drawn(
    tx: &mut Tx,
    case: &Case,
    person: &PersonId,
    kind: VersionKind,
) -> Result<Option<(Phi<String>, String)>, Error> {
    if kind != VersionKind::Addendum
        && let Some(own) = tx.annotations(&case.id, person, case.fence).await?
        && own.author == *person
        && own.fence == case.fence
    {
        return Ok(Some((own.body, own.sha256)));
    }
    let versions = tx.reports_of_case(&case.id).await?;
    match versions.last() {
        Some(last) => Ok(tx.report_annotations(&last.id).await?),
        None => Ok(None),
    }
}

/// Which version the next signature makes, and what the signer must be allowed to do for it. Where
/// nothing can be signed, the case itself says why.
const fn wanted(case: &Case) -> (VersionKind, Action) {
    match (&case.stage, case.policy) {
        (Stage::InProgress { .. }, SigningPolicy::Double) => {
            (VersionKind::Preliminary, Action::SignPreliminary)
        }
        (Stage::InProgress { .. }, SigningPolicy::SingleSenior) | (Stage::Verifying { .. }, _) => {
            (VersionKind::Final, Action::SignFinal)
        }
        (
            Stage::Submitted
            | Stage::Ready
            | Stage::Preliminary { .. }
            | Stage::Returned { .. }
            | Stage::Final
            | Stage::Delivered
            | Stage::Closed,
            _,
        ) => (VersionKind::Final, Action::SignPreliminary),
    }
}

/// What the vault binds a private key to: it cannot be put into another key's row.
fn purpose(key: &KeyId) -> String {
    format!("signing-key:{key}")
}

fn unusable(error: SecretError) -> Error {
    Error::Document(format!("the signing key cannot be used: {error}"))
}

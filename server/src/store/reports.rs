//! Drafts, signing keys, signed versions and their rendered forms.
//!
//! A signed version has no statement that changes it, here or anywhere else. Keys are retired,
//! never removed: what was signed with them must stay verifiable.

use medrelay_core::id::{CaseId, DraftId, KeyId, PersonId, Phi, ReportId, Uid};
use medrelay_core::report::{Text, VersionKind};
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::{Columns, StoreError, Tx, known, parsed, statement};

/// What became of a text that was being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DraftState {
    /// Being written under a claim.
    Live,
    /// Its writer had lost the claim, or gave it back.
    Orphan,
    /// It became a signed version.
    Signed,
}

impl DraftState {
    /// The stable text of the value, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Orphan => "orphan",
            Self::Signed => "signed",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Live, Self::Orphan, Self::Signed].into_iter().find(|state| state.as_str() == text)
    }
}

/// A text that is not signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its identifier.
    pub id: DraftId,
    /// The case it is about.
    pub case: CaseId,
    /// Who wrote it.
    pub author: PersonId,
    /// The fence of the claim that it was written under.
    pub fence: i64,
    /// What became of it.
    pub state: DraftState,
    /// What was written.
    pub text: Text,
    /// When it was saved last.
    pub saved_at: Timestamp,
}

/// A person's key for signing reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its identifier.
    pub id: KeyId,
    /// Whose.
    pub person: PersonId,
    /// `ed25519`.
    pub algorithm: String,
    /// The public half in hexadecimal.
    pub public_key: String,
    /// The private half, sealed by the vault.
    pub private_key: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was taken out of use; it still verifies what it signed.
    pub retired_at: Option<Timestamp>,
}

/// A signed version of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its identifier.
    pub id: ReportId,
    /// The case it is about.
    pub case: CaseId,
    /// 1, 2, 3, … within the case.
    pub number: i64,
    /// Which kind.
    pub kind: VersionKind,
    /// The canonical bytes that were signed (UTF-8 JSON).
    pub canonical: Phi<String>,
    /// SHA-256 (hex) of the canonical bytes.
    pub sha256: String,
    /// The key that signed.
    pub key: KeyId,
    /// Ed25519 signature over the canonical bytes, in hexadecimal.
    pub signature: String,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// SOP Instance UID of the structured report.
    pub sr_uid: Uid,
    /// SOP Instance UID of the encapsulated PDF.
    pub pdf_uid: Uid,
    /// Series Instance UID of the structured report.
    pub sr_series_uid: Uid,
    /// Series Instance UID of the encapsulated PDF.
    pub pdf_series_uid: Uid,
}

/// A form that a signed version is rendered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The PDF file.
    Pdf,
    /// The data set of the Basic Text SR.
    SrObject,
    /// The data set of the Encapsulated PDF.
    PdfObject,
}

impl Form {
    /// The stable text of the value, as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::SrObject => "sr_object",
            Self::PdfObject => "pdf_object",
        }
    }
}

/// Where the bytes of a rendered form are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendering {
    /// Name of the bytes in the blob store.
    pub blob_id: String,
    /// Their SHA-256 (hex).
    pub sha256: String,
    /// Their length.
    pub bytes: i64,
}

impl Tx {
    /// Saves the live text of a hold on a case, over what it had saved before.
    pub async fn save_live_draft(&mut self, draft: &Draft) -> Result<(), StoreError> {
        let query = statement(
            "INSERT INTO drafts (id, case_id, author_id, fence, state, findings, impression, \
             recommendation, saved_at) VALUES ($1, $2, $3, $4, 'live', $5, $6, $7, $8) \
             ON CONFLICT (case_id, author_id, fence) WHERE state = 'live' DO UPDATE SET \
             findings = excluded.findings, impression = excluded.impression, \
             recommendation = excluded.recommendation, saved_at = excluded.saved_at",
        );
        self.change_one(bind_draft(query, draft)).await
    }

    /// Adds a text that came too late for its claim.
    pub async fn insert_orphan_draft(&mut self, draft: &Draft) -> Result<(), StoreError> {
        let query = statement(
            "INSERT INTO drafts (id, case_id, author_id, fence, state, findings, impression, \
             recommendation, saved_at) VALUES ($1, $2, $3, $4, 'orphan', $5, $6, $7, $8)",
        );
        self.change_one(bind_draft(query, draft)).await
    }

    /// Replaces the text of an orphan draft by a later one from the same hold.
    pub async fn replace_orphan_draft(
        &mut self,
        id: &DraftId,
        text: &Text,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE drafts SET findings = $2, impression = $3, recommendation = $4, \
                 saved_at = $5 WHERE id = $1 AND state = 'orphan'",
            )
            .bind(id.to_string())
            .bind(text.findings.reveal().clone())
            .bind(text.impression.reveal().clone())
            .bind(text.recommendation.reveal().clone())
            .bind(now.micros()),
        )
        .await
    }

    /// Makes every live text of a case an orphan: its hold has ended.
    pub async fn orphan_drafts(&mut self, case: &CaseId) -> Result<(), StoreError> {
        self.run(
            statement("UPDATE drafts SET state = 'orphan' WHERE case_id = $1 AND state = 'live'")
                .bind(case.to_string()),
        )
        .await?;
        Ok(())
    }

    /// Marks the live text of a hold as signed.
    pub async fn sign_draft(
        &mut self,
        case: &CaseId,
        author: &PersonId,
        fence: i64,
    ) -> Result<(), StoreError> {
        self.run(
            statement(
                "UPDATE drafts SET state = 'signed' \
                 WHERE case_id = $1 AND author_id = $2 AND fence = $3 AND state = 'live'",
            )
            .bind(case.to_string())
            .bind(author.to_string())
            .bind(fence),
        )
        .await?;
        Ok(())
    }

    /// Every text that was written about a case, oldest first.
    pub async fn drafts_of_case(&mut self, case: &CaseId) -> Result<Vec<Draft>, StoreError> {
        let query =
            statement("SELECT * FROM drafts WHERE case_id = $1 ORDER BY id").bind(case.to_string());
        self.all(query).await?.iter().map(draft).collect()
    }

    /// Stores a new signing key.
    pub async fn insert_signing_key(&mut self, key: &SigningKey) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO signing_keys (id, person_id, algorithm, public_key, private_key, \
                 created_at) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(key.id.to_string())
            .bind(key.person.to_string())
            .bind(key.algorithm.clone())
            .bind(key.public_key.clone())
            .bind(key.private_key.clone())
            .bind(key.created_at.micros()),
        )
        .await
    }

    /// The key that a person signs with now, if one was made.
    pub async fn signing_key_of(
        &mut self,
        person: &PersonId,
    ) -> Result<Option<SigningKey>, StoreError> {
        let query = statement(
            "SELECT * FROM signing_keys WHERE person_id = $1 AND retired_at IS NULL \
             ORDER BY id LIMIT 1",
        )
        .bind(person.to_string());
        self.one(query).await?.as_ref().map(signing_key).transpose()
    }

    /// A signing key, in use or retired.
    pub async fn signing_key(&mut self, id: &KeyId) -> Result<Option<SigningKey>, StoreError> {
        let query = statement("SELECT * FROM signing_keys WHERE id = $1").bind(id.to_string());
        self.one(query).await?.as_ref().map(signing_key).transpose()
    }

    /// Appends a signed version; [`StoreError::Taken`] if its number is taken.
    pub async fn insert_report(&mut self, report: &Report) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO reports (id, case_id, number, kind, canonical, sha256, key_id, \
                 signature, signed_at, sr_uid, pdf_uid, sr_series_uid, pdf_series_uid) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            )
            .bind(report.id.to_string())
            .bind(report.case.to_string())
            .bind(report.number)
            .bind(report.kind.as_str().to_owned())
            .bind(report.canonical.reveal().clone())
            .bind(report.sha256.clone())
            .bind(report.key.to_string())
            .bind(report.signature.clone())
            .bind(report.signed_at.micros())
            .bind(report.sr_uid.to_string())
            .bind(report.pdf_uid.to_string())
            .bind(report.sr_series_uid.to_string())
            .bind(report.pdf_series_uid.to_string()),
        )
        .await
    }

    /// A signed version.
    pub async fn report(&mut self, id: &ReportId) -> Result<Option<Report>, StoreError> {
        let query = statement("SELECT * FROM reports WHERE id = $1").bind(id.to_string());
        self.one(query).await?.as_ref().map(report).transpose()
    }

    /// The signed versions of a case in order.
    pub async fn reports_of_case(&mut self, case: &CaseId) -> Result<Vec<Report>, StoreError> {
        let query = statement("SELECT * FROM reports WHERE case_id = $1 ORDER BY number")
            .bind(case.to_string());
        self.all(query).await?.iter().map(report).collect()
    }

    /// Where a rendered form of a version is, if it was rendered.
    pub async fn rendering(
        &mut self,
        report: &ReportId,
        form: Form,
    ) -> Result<Option<Rendering>, StoreError> {
        let row = self
            .one(
                statement("SELECT * FROM renderings WHERE report_id = $1 AND form = $2")
                    .bind(report.to_string())
                    .bind(form.as_str().to_owned()),
            )
            .await?;
        row.map(|row| {
            Ok(Rendering {
                blob_id: row.text("blob_id")?,
                sha256: row.text("sha256")?,
                bytes: row.int("bytes")?,
            })
        })
        .transpose()
    }

    /// Registers a rendered form; `false` when somebody else had rendered it already.
    pub async fn insert_rendering(
        &mut self,
        report: &ReportId,
        form: Form,
        rendering: &Rendering,
    ) -> Result<bool, StoreError> {
        let inserted = self
            .run(
                statement(
                    "INSERT INTO renderings (report_id, form, blob_id, sha256, bytes) \
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (report_id, form) DO NOTHING",
                )
                .bind(report.to_string())
                .bind(form.as_str().to_owned())
                .bind(rendering.blob_id.clone())
                .bind(rendering.sha256.clone())
                .bind(rendering.bytes),
            )
            .await?;
        Ok(inserted == 1)
    }
}

fn bind_draft<'q>(query: super::Statement<'q>, draft: &Draft) -> super::Statement<'q> {
    query
        .bind(draft.id.to_string())
        .bind(draft.case.to_string())
        .bind(draft.author.to_string())
        .bind(draft.fence)
        .bind(draft.text.findings.reveal().clone())
        .bind(draft.text.impression.reveal().clone())
        .bind(draft.text.recommendation.reveal().clone())
        .bind(draft.saved_at.micros())
}

fn draft(row: &AnyRow) -> Result<Draft, StoreError> {
    Ok(Draft {
        id: parsed(DraftId::parse(&row.text("id")?), "drafts")?,
        case: parsed(CaseId::parse(&row.text("case_id")?), "drafts")?,
        author: parsed(PersonId::parse(&row.text("author_id")?), "drafts")?,
        fence: row.int("fence")?,
        state: known(DraftState::parse(&row.text("state")?), "drafts")?,
        text: Text {
            findings: Phi::new(row.text("findings")?),
            impression: Phi::new(row.text("impression")?),
            recommendation: Phi::new(row.text("recommendation")?),
        },
        saved_at: Timestamp::from_micros(row.int("saved_at")?),
    })
}

fn signing_key(row: &AnyRow) -> Result<SigningKey, StoreError> {
    Ok(SigningKey {
        id: parsed(KeyId::parse(&row.text("id")?), "signing_keys")?,
        person: parsed(PersonId::parse(&row.text("person_id")?), "signing_keys")?,
        algorithm: row.text("algorithm")?,
        public_key: row.text("public_key")?,
        private_key: row.text("private_key")?,
        created_at: Timestamp::from_micros(row.int("created_at")?),
        retired_at: row.maybe_int("retired_at")?.map(Timestamp::from_micros),
    })
}

fn report(row: &AnyRow) -> Result<Report, StoreError> {
    let uid = |column| parsed(Uid::parse(&row.text(column)?), "reports");
    Ok(Report {
        id: parsed(ReportId::parse(&row.text("id")?), "reports")?,
        case: parsed(CaseId::parse(&row.text("case_id")?), "reports")?,
        number: row.int("number")?,
        kind: known(VersionKind::parse(&row.text("kind")?), "reports")?,
        canonical: Phi::new(row.text("canonical")?),
        sha256: row.text("sha256")?,
        key: parsed(KeyId::parse(&row.text("key_id")?), "reports")?,
        signature: row.text("signature")?,
        signed_at: Timestamp::from_micros(row.int("signed_at")?),
        sr_uid: uid("sr_uid")?,
        pdf_uid: uid("pdf_uid")?,
        sr_series_uid: uid("sr_series_uid")?,
        pdf_series_uid: uid("pdf_series_uid")?,
    })
}

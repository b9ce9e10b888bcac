//! Studies in the spool: filing what came, settling, and what the pages show.

use medrelay_core::study::PatientFacts;
use medrelay_core::time::{Span, Timestamp};
use medrelay_core::transfer::Urgency;
use sqlx::{Row as _, Sqlite, Transaction};

use super::arrival::{Taken, Whole};
use super::sight::Flag;
use super::{Spool, SpoolError, integer, natural};

/// Where a study stands, as people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StudyState {
    /// Images are still coming in from the modality.
    Gathering,
    /// A person must look before it is sent.
    Held,
    /// Offered, or to be offered.
    Waiting,
    /// The relay does not take it; a person must look.
    Refused,
    /// The relay has committed all of it.
    Committed,
}

/// A study as a line of a list. Holds patient data: for the clinic's own screen only.
#[derive(Debug, Clone, serde::Serialize)]
pub struct StudyLine {
    /// Its number in the spool.
    pub key: u64,
    /// Study Instance UID.
    pub uid: String,
    /// The patient's name, for people.
    pub patient: String,
    /// Modality.
    pub modality: String,
    /// Study Description.
    pub description: String,
    /// 0 STAT, 1 urgent, 2 routine.
    pub urgency: u8,
    /// Where it stands.
    pub state: StudyState,
    /// Objects that belong to it and are to be sent.
    pub objects: u64,
    /// Of which the relay has.
    pub stored: u64,
    /// Of which were put aside there.
    pub aside: u64,
    /// Objects that a person must look at.
    pub flagged: u64,
    /// Bytes of its objects as the modality made them.
    pub bytes: u64,
    /// When its first object came (microseconds UTC).
    pub first_at: Timestamp,
    /// When the relay committed it.
    pub committed_at: Option<Timestamp>,
}

/// The three numbers of the status page, and what stands in their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Numbers {
    /// Studies that are not committed.
    pub waiting: u64,
    /// Of which a person must look at.
    pub held: u64,
    /// Studies that were committed since midnight.
    pub done_today: u64,
    /// Bytes in the spool.
    pub held_bytes: u64,
}

/// Something that went wrong, and when last.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Problem {
    /// What, in a word that the pages translate.
    pub code: String,
    /// When.
    pub at: Timestamp,
    /// What the other side or the disk said; no patient data.
    pub detail: String,
    /// How often in a row.
    pub times: u64,
}

impl Spool {
    /// Writes the row of an object whose file is durable.
    pub(super) async fn file_object(&self, whole: Whole) -> Result<Taken, SpoolError> {
        let mut tx = self.writer().begin_with("BEGIN IMMEDIATE").await?;
        let same = sqlx::query(
            "SELECT study_key FROM objects WHERE sop_instance = $1 AND sha256 = $2 AND transfer_syntax = $3",
        )
        .bind(whole.facts.sop_instance.as_str())
        .bind(&whole.sha256)
        .bind(whole.facts.transfer_syntax.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(row) = same {
            drop(tx);
            self.forget_file(&whole.id, whole.bytes + whole.data_offset).await;
            return Ok(Taken::Same { study: natural(row.get(0)) });
        }
        let twin =
            sqlx::query("SELECT 1 FROM objects WHERE sop_instance = $1 AND state <> 'discarded'")
                .bind(whole.facts.sop_instance.as_str())
                .fetch_optional(&mut *tx)
                .await?;
        let (study, other_patient) = self.study_for(&mut tx, &whole).await?;
        let flag = match (twin, other_patient) {
            (Some(_), _) => Some(Flag::OtherContent),
            (None, true) => Some(Flag::OtherPatient),
            (None, false) => whole.flag,
        };
        self.insert_object(&mut tx, study, &whole, flag).await?;
        tx.commit().await?;
        self.note_change();
        let study = natural(study);
        Ok(flag.map_or(Taken::Fresh { study }, |flag| Taken::Flagged { study, flag }))
    }

    /// The study of an object, made if it is the first; and whether its patient is another one.
    async fn study_for(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        whole: &Whole,
    ) -> Result<(i64, bool), SpoolError> {
        let (facts, now) = (&whole.facts, self.now());
        let settle_at = (now + self.settings().settle).micros();
        let known = sqlx::query(
            "SELECT key, patient_id, patient_name, patient_birth_date FROM studies WHERE uid = $1",
        )
        .bind(facts.study.as_str())
        .fetch_optional(&mut **tx)
        .await?;
        if let Some(row) = known {
            let key: i64 = row.get(0);
            sqlx::query(
                "UPDATE studies SET last_at = $2, settle_at = $3, urgency = MIN(urgency, $4) WHERE key = $1",
            )
            .bind(key)
            .bind(now.micros())
            .bind(settle_at)
            .bind(whole.urgency as i64)
            .execute(&mut **tx)
            .await?;
            let other = is_other(&facts.patient, row.get(1), row.get(2), row.get(3));
            return Ok((key, other));
        }
        let row = sqlx::query(
            "INSERT INTO studies (uid, patient_id, patient_name, patient_birth_date, patient_sex, modality, \
             description, study_date, urgency, first_at, last_at, settle_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11) RETURNING key",
        )
        .bind(facts.study.as_str())
        .bind(facts.patient.id.reveal())
        .bind(facts.patient.name.reveal())
        .bind(facts.patient.birth_date.reveal().as_deref())
        .bind(facts.patient.sex.as_deref())
        .bind(&facts.modality)
        .bind(facts.study_description.as_deref())
        .bind(facts.study_date.as_deref())
        .bind(whole.urgency as i64)
        .bind(now.micros())
        .bind(settle_at)
        .fetch_one(&mut **tx)
        .await?;
        Ok((row.get(0), false))
    }

    async fn insert_object(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        study: i64,
        whole: &Whole,
        flag: Option<Flag>,
    ) -> Result<(), SpoolError> {
        let facts = &whole.facts;
        sqlx::query(
            "INSERT INTO objects (id, study_key, sop_instance, sop_class, transfer_syntax, series_uid, \
             series_number, instance_number, bytes, sha256, data_offset, received_at, state, flag) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(&whole.id)
        .bind(study)
        .bind(facts.sop_instance.as_str())
        .bind(facts.sop_class.as_str())
        .bind(facts.transfer_syntax.as_str())
        .bind(facts.series.as_str())
        .bind(facts.series_number)
        .bind(facts.instance_number)
        .bind(integer(whole.bytes))
        .bind(&whole.sha256)
        .bind(integer(whole.data_offset))
        .bind(self.now().micros())
        .bind(if flag.is_some() { "flagged" } else { "kept" })
        .bind(flag.map(Flag::as_str))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Says how urgent a study is; what is under way overtakes or lets others overtake.
    pub async fn set_urgency(&self, study: u64, urgency: Urgency) -> Result<(), SpoolError> {
        let done = sqlx::query("UPDATE studies SET urgency = $2 WHERE key = $1")
            .bind(integer(study))
            .bind(urgency as i64)
            .execute(self.writer())
            .await?;
        self.note_change();
        if done.rows_affected() == 0 { Err(SpoolError::Unknown) } else { Ok(()) }
    }

    /// The studies, those that are not done first, then the newest; at most `limit`.
    pub async fn lines(&self, limit: u32) -> Result<Vec<StudyLine>, SpoolError> {
        let rows = sqlx::query(LINES).bind(i64::from(limit)).fetch_all(self.db()).await?;
        Ok(rows.iter().map(line).collect())
    }

    /// One study as a line.
    pub async fn line(&self, study: u64) -> Result<StudyLine, SpoolError> {
        let row = sqlx::query(LINE).bind(integer(study)).fetch_optional(self.db()).await?;
        row.as_ref().map(line).ok_or(SpoolError::Unknown)
    }

    /// The numbers of the status page; the day begins at `midnight`.
    pub async fn numbers(&self, midnight: Timestamp) -> Result<Numbers, SpoolError> {
        let row = sqlx::query(
            "SELECT \
             (SELECT COUNT(*) FROM studies s WHERE s.settle_at IS NOT NULL OR EXISTS (SELECT 1 FROM manifests m \
               WHERE m.study_key = s.key AND m.committed_at IS NULL AND m.refused IS NULL)), \
             (SELECT COUNT(DISTINCT study_key) FROM objects WHERE state = 'flagged'), \
             (SELECT COUNT(DISTINCT study_key) FROM manifests WHERE committed_at >= $1)",
        )
        .bind(midnight.micros())
        .fetch_one(self.db())
        .await?;
        Ok(Numbers {
            waiting: natural(row.get(0)),
            held: natural(row.get(1)),
            done_today: natural(row.get(2)),
            held_bytes: self.held_bytes(),
        })
    }

    /// Notes that something went wrong; the same again only counts.
    pub async fn note_problem(
        &self,
        code: &str,
        study: Option<u64>,
        detail: &str,
    ) -> Result<(), SpoolError> {
        let now = self.now().micros();
        let again = sqlx::query(
            "UPDATE problems SET at = $1, times = times + 1 WHERE key = (SELECT MAX(key) FROM problems) \
             AND code = $2 AND detail = $3 AND study_key IS $4",
        )
        .bind(now)
        .bind(code)
        .bind(detail)
        .bind(study.map(integer))
        .execute(self.writer())
        .await?;
        if again.rows_affected() == 0 {
            sqlx::query(
                "INSERT INTO problems (at, code, study_key, detail, times) VALUES ($1, $2, $3, $4, 1)",
            )
            .bind(now)
            .bind(code)
            .bind(study.map(integer))
            .bind(detail)
            .execute(self.writer())
            .await?;
        }
        self.note_change();
        Ok(())
    }

    /// The last problem of the past day, if there is one.
    pub async fn last_problem(&self) -> Result<Option<Problem>, SpoolError> {
        let since = (self.now() - Span::from_hours(24)).micros();
        let row = sqlx::query(
            "SELECT code, at, detail, times FROM problems WHERE at >= $1 ORDER BY at DESC, key DESC LIMIT 1",
        )
        .bind(since)
        .fetch_optional(self.db())
        .await?;
        Ok(row.map(|row| Problem {
            code: row.get(0),
            at: Timestamp::from_micros(row.get(1)),
            detail: row.get(2),
            times: natural(row.get(3)),
        }))
    }
}

/// Whether an object names another patient than the study's first one. What one of them leaves
/// open is not a difference.
fn is_other(patient: &PatientFacts, id: String, name: String, birth: Option<String>) -> bool {
    let folded = |name: &str| -> String {
        let name = name.split('=').next().unwrap_or_default();
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let differ = |one: &str, other: &str| !one.is_empty() && !other.is_empty() && one != other;
    let born = patient.birth_date.reveal().as_deref().unwrap_or_default();
    differ(patient.id.reveal(), &id)
        || differ(&folded(patient.name.reveal()), &folded(&name))
        || differ(born, birth.as_deref().unwrap_or_default())
}

/// What a line needs; the state is worked out from the rows, so that it cannot disagree with them.
const LINE: &str = "SELECT s.key, s.uid, s.patient_name, s.modality, s.description, s.urgency, s.first_at, \
     s.settle_at, \
     (SELECT COUNT(*) FROM objects o WHERE o.study_key = s.key AND o.state NOT IN ('flagged', 'discarded')), \
     (SELECT COUNT(*) FROM objects o WHERE o.study_key = s.key AND o.state IN ('stored', 'aside')), \
     (SELECT COUNT(*) FROM objects o WHERE o.study_key = s.key AND o.state = 'aside'), \
     (SELECT COUNT(*) FROM objects o WHERE o.study_key = s.key AND o.state = 'flagged'), \
     (SELECT COALESCE(SUM(o.bytes), 0) FROM objects o WHERE o.study_key = s.key), \
     (SELECT COUNT(*) FROM manifests m WHERE m.study_key = s.key AND m.committed_at IS NULL AND m.refused IS NULL), \
     (SELECT COUNT(*) FROM manifests m WHERE m.study_key = s.key AND m.refused IS NOT NULL), \
     (SELECT MAX(m.committed_at) FROM manifests m WHERE m.study_key = s.key), \
     (SELECT COUNT(*) FROM objects o WHERE o.study_key = s.key AND o.state = 'refused') \
     FROM studies s WHERE s.key = $1";
const LINES: &str = "SELECT s.key, s.uid, s.patient_name, s.modality, s.description, s.urgency, s.first_at, \
     s.settle_at, \
     (SELECT COUNT(*) FROM objects o WHERE o.study_key = s.key AND o.state NOT IN ('flagged', 'discarded')), \
     (SELECT COUNT(*) FROM objects o WHERE o.study_key = s.key AND o.state IN ('stored', 'aside')), \
     (SELECT COUNT(*) FROM objects o WHERE o.study_key = s.key AND o.state = 'aside'), \
     (SELECT COUNT(*) FROM objects o WHERE o.study_key = s.key AND o.state = 'flagged'), \
     (SELECT COALESCE(SUM(o.bytes), 0) FROM objects o WHERE o.study_key = s.key), \
     (SELECT COUNT(*) FROM manifests m WHERE m.study_key = s.key AND m.committed_at IS NULL AND m.refused IS NULL), \
     (SELECT COUNT(*) FROM manifests m WHERE m.study_key = s.key AND m.refused IS NOT NULL), \
     (SELECT MAX(m.committed_at) FROM manifests m WHERE m.study_key = s.key), \
     (SELECT COUNT(*) FROM objects o WHERE o.study_key = s.key AND o.state = 'refused') \
     FROM studies s ORDER BY s.last_at DESC, s.key DESC LIMIT $1";

fn line(row: &sqlx::sqlite::SqliteRow) -> StudyLine {
    let count = |at: usize| natural(row.get::<i64, _>(at));
    let gathering = row.get::<Option<i64>, _>(7).is_some();
    let (flagged, open, refused) = (count(11), count(13), count(14) + count(16));
    let state = match () {
        () if flagged > 0 && !gathering => StudyState::Held,
        () if gathering => StudyState::Gathering,
        () if refused > 0 => StudyState::Refused,
        () if open > 0 => StudyState::Waiting,
        () => StudyState::Committed,
    };
    StudyLine {
        key: count(0),
        uid: row.get(1),
        patient: medrelay_core::study::display_name(&row.get::<String, _>(2)),
        modality: row.get(3),
        description: row.get::<Option<String>, _>(4).unwrap_or_default(),
        urgency: u8::try_from(row.get::<i64, _>(5)).unwrap_or(2),
        state,
        objects: count(8),
        stored: count(9),
        aside: count(10),
        flagged,
        bytes: count(12),
        first_at: Timestamp::from_micros(row.get(6)),
        committed_at: row.get::<Option<i64>, _>(15).map(Timestamp::from_micros),
    }
}

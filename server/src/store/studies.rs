//! Studies, series and instances: what has arrived.

use medrelay_core::access::Scope;
use medrelay_core::id::{
    DeviceId, InstanceId, OrderId, OrganizationId, Phi, SeriesId, StudyId, Uid,
};
use medrelay_core::study::{Arrival, InstanceFacts, ReadyReason, Stage, Twin};
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::{Columns, StoreError, Tx, assembled, known, parsed, statement, within};

/// A study as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Study {
    /// Its identifier.
    pub id: StudyId,
    /// Study Instance UID.
    pub uid: Uid,
    /// The clinic that owns it.
    pub clinic: OrganizationId,
    /// Patient ID.
    pub patient_id: Phi<String>,
    /// Issuer of Patient ID.
    pub patient_issuer: Option<String>,
    /// Patient's Name with its groups.
    pub patient_name: Phi<String>,
    /// Patient's Birth Date, `YYYYMMDD`.
    pub patient_birth_date: Phi<Option<String>>,
    /// Patient's Sex.
    pub patient_sex: Option<String>,
    /// Accession Number.
    pub accession: Option<String>,
    /// Study ID.
    pub study_number: Option<String>,
    /// Study Date, `YYYYMMDD`.
    pub study_date: Option<String>,
    /// Study Time.
    pub study_time: Option<String>,
    /// Study Description.
    pub description: Option<String>,
    /// Modality of its first instance.
    pub modality: String,
    /// Body Part Examined.
    pub body_part: Option<String>,
    /// Specific Character Set as declared.
    pub charset: String,
    /// The declaration was absent or wrong and the encoding was guessed.
    pub charset_guessed: bool,
    /// Instances stored.
    pub instances: i64,
    /// Bytes stored.
    pub bytes: i64,
    /// Whether it still arrives.
    pub stage: Stage,
    /// Why it counts as complete.
    pub ready_reason: Option<ReadyReason>,
    /// When the first instance was stored.
    pub first_at: Timestamp,
    /// When the last instance was stored.
    pub last_at: Timestamp,
    /// When it settles if nothing more arrives.
    pub settle_at: Timestamp,
    /// When it was called complete.
    pub completed_at: Option<Timestamp>,
    /// Why no case could be opened, until a person has dealt with it.
    pub trouble: Option<String>,
    /// The order it was matched with.
    pub order: Option<OrderId>,
    /// Instances that its manifests announce; `None` without a manifest.
    pub expected: Option<i64>,
    /// Compare-and-set version.
    pub version: i64,
}

/// A series as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Its identifier.
    pub id: SeriesId,
    /// Series Instance UID.
    pub uid: Uid,
    /// Modality.
    pub modality: String,
    /// Series Number.
    pub number: Option<i64>,
    /// Series Description.
    pub description: Option<String>,
    /// Body Part Examined.
    pub body_part: Option<String>,
}

/// An instance as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its identifier, and the name of its bytes.
    pub id: InstanceId,
    /// The series it belongs to.
    pub series: SeriesId,
    /// The study it belongs to.
    pub study: StudyId,
    /// SOP Instance UID.
    pub uid: Uid,
    /// SOP Class UID.
    pub sop_class: Uid,
    /// Transfer Syntax UID of the bytes.
    pub transfer_syntax: Uid,
    /// Instance Number.
    pub number: Option<i64>,
    /// Rows.
    pub rows: Option<i64>,
    /// Columns.
    pub columns: Option<i64>,
    /// Number of Frames.
    pub frames: i64,
    /// SHA-256 (hex) of the data set as the sender sent it.
    pub sha256: String,
    /// Length of the data set in bytes.
    pub bytes: i64,
    /// Length of the preamble and file meta group before it in the blob.
    pub data_offset: i64,
    /// When it was stored.
    pub received_at: Timestamp,
}

/// An instance whose bytes are durable and whose row is to be written.
#[derive(Debug, Clone)]
pub struct NewInstance {
    /// Its identifier, and the name of its bytes.
    pub id: InstanceId,
    /// What it says of itself.
    pub facts: InstanceFacts,
    /// The clinic that sent it.
    pub clinic: OrganizationId,
    /// The device that sent it.
    pub device: Option<DeviceId>,
    /// SHA-256 (hex) of the data set.
    pub sha256: String,
    /// Length of the data set in bytes.
    pub bytes: i64,
    /// Length of what we put before it.
    pub data_offset: i64,
}

/// What the door finds around an instance that arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// What is stored under its SOP Instance UID.
    pub twin: Option<Twin>,
    /// The study that it names.
    pub arrival: Option<Arrival>,
    /// The series that it names, in that study.
    pub series: Option<SeriesId>,
}

/// Which studies a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudyFilter {
    /// Only those that stand here.
    pub stage: Option<Stage>,
    /// Only those that wait for a person because no case could be opened.
    pub trouble: bool,
    /// Only those without an order.
    pub unmatched: bool,
    /// Only those of this clinic.
    pub clinic: Option<OrganizationId>,
    /// Only the one with this Study Instance UID.
    pub uid: Option<String>,
}

impl Tx {
    /// Everything that the door looks up for one instance, in one statement: it runs once for
    /// every slice.
    pub async fn surroundings(
        &mut self,
        facts: &InstanceFacts,
    ) -> Result<Surroundings, StoreError> {
        let row = self
            .one(
                statement(
                    "SELECT i.sha256 AS twin_sha256, i.transfer_syntax AS twin_syntax, \
                     t.clinic_id AS twin_clinic, s.id AS study_id, s.clinic_id AS study_clinic, \
                     s.stage, s.patient_id, r.id AS series_id FROM (SELECT 1 AS one) door \
                     LEFT JOIN instances i ON i.uid = $1 LEFT JOIN studies t ON t.id = i.study_id \
                     LEFT JOIN studies s ON s.uid = $2 \
                     LEFT JOIN series r ON r.study_id = s.id AND r.uid = $3",
                )
                .bind(facts.sop_instance.to_string())
                .bind(facts.study.to_string())
                .bind(facts.series.to_string()),
            )
            .await?
            .ok_or(StoreError::Inconsistent { table: "instances", what: "no answer" })?;
        let twin = row.maybe_text("twin_sha256")?.map(|sha256| {
            Ok::<_, StoreError>(Twin {
                sha256,
                transfer_syntax: parsed(Uid::parse(&row.text("twin_syntax")?), "instances")?,
                clinic: parsed(OrganizationId::parse(&row.text("twin_clinic")?), "studies")?,
            })
        });
        let arrival = row.maybe_text("study_id")?.map(|id| {
            Ok::<_, StoreError>(Arrival {
                study: parsed(StudyId::parse(&id), "studies")?,
                clinic: parsed(OrganizationId::parse(&row.text("study_clinic")?), "studies")?,
                stage: stage(&row.text("stage")?)?,
                patient_id: Phi::new(row.text("patient_id")?),
            })
        });
        let series = row.maybe_text("series_id")?;
        Ok(Surroundings {
            twin: twin.transpose()?,
            arrival: arrival.transpose()?,
            series: series.map(|id| parsed(SeriesId::parse(&id), "series")).transpose()?,
        })
    }

    /// Opens a study with what its first instance says; [`StoreError::Taken`] if it exists.
    pub async fn insert_study(
        &mut self,
        id: &StudyId,
        new: &NewInstance,
        settle_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let facts = &new.facts;
        self.change_one(
            statement(
                "INSERT INTO studies (id, uid, clinic_id, patient_id, patient_issuer, \
                 patient_name, patient_birth_date, patient_sex, accession, study_number, \
                 study_date, study_time, description, modality, body_part, charset, \
                 charset_guessed, instances, bytes, stage, first_at, last_at, settle_at, version) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
                 $17, 0, 0, 'arriving', $18, $18, $19, 1)",
            )
            .bind(id.to_string())
            .bind(facts.study.to_string())
            .bind(new.clinic.to_string())
            .bind(facts.patient.id.reveal().clone())
            .bind(facts.patient.issuer.clone())
            .bind(facts.patient.name.reveal().clone())
            .bind(facts.patient.birth_date.reveal().clone())
            .bind(facts.patient.sex.clone())
            .bind(facts.accession.clone())
            .bind(facts.study_number.clone())
            .bind(facts.study_date.clone())
            .bind(facts.study_time.clone())
            .bind(facts.study_description.clone())
            .bind(facts.modality.clone())
            .bind(facts.body_part.clone())
            .bind(facts.charset.declared.clone())
            .bind(i64::from(facts.charset.guessed))
            .bind(now.micros())
            .bind(settle_at.micros()),
        )
        .await
    }

    /// Opens a series of a study with what its first instance says.
    pub async fn insert_series(
        &mut self,
        id: &SeriesId,
        study: &StudyId,
        facts: &InstanceFacts,
    ) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "INSERT INTO series (id, study_id, uid, modality, number, description, body_part) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(id.to_string())
            .bind(study.to_string())
            .bind(facts.series.to_string())
            .bind(facts.modality.clone())
            .bind(facts.series_number)
            .bind(facts.series_description.clone())
            .bind(facts.body_part.clone()),
        )
        .await
    }

    /// Writes an instance and counts it in its study, whose quiet time starts again.
    pub async fn insert_instance(
        &mut self,
        new: &NewInstance,
        study: &StudyId,
        series: &SeriesId,
        settle_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let facts = &new.facts;
        self.change_one(
            statement(
                "INSERT INTO instances (id, series_id, study_id, uid, sop_class, transfer_syntax, \
                 number, image_rows, image_columns, frames, sha256, bytes, data_offset, \
                 device_id, received_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            )
            .bind(new.id.to_string())
            .bind(series.to_string())
            .bind(study.to_string())
            .bind(facts.sop_instance.to_string())
            .bind(facts.sop_class.to_string())
            .bind(facts.transfer_syntax.to_string())
            .bind(facts.instance_number)
            .bind(facts.rows)
            .bind(facts.columns)
            .bind(facts.frames)
            .bind(new.sha256.clone())
            .bind(new.bytes)
            .bind(new.data_offset)
            .bind(new.device.as_ref().map(ToString::to_string))
            .bind(now.micros()),
        )
        .await?;
        self.change_one(
            statement(
                "UPDATE studies SET instances = instances + 1, bytes = bytes + $2, last_at = $3, \
                 settle_at = $4, version = version + 1 WHERE id = $1",
            )
            .bind(study.to_string())
            .bind(new.bytes)
            .bind(now.micros())
            .bind(settle_at.micros()),
        )
        .await
    }

    /// A study by identifier.
    pub async fn study(&mut self, id: &StudyId) -> Result<Option<Study>, StoreError> {
        let query = statement("SELECT * FROM studies WHERE id = $1").bind(id.to_string());
        self.one(query).await?.as_ref().map(study).transpose()
    }

    /// A study by its Study Instance UID.
    pub async fn study_by_uid(&mut self, uid: &Uid) -> Result<Option<Study>, StoreError> {
        let query = statement("SELECT * FROM studies WHERE uid = $1").bind(uid.to_string());
        self.one(query).await?.as_ref().map(study).transpose()
    }

    /// Writes what may change of a study, if nobody changed it since it was read.
    pub async fn save_study(&mut self, study: &Study) -> Result<(), StoreError> {
        self.change_one(
            statement(
                "UPDATE studies SET stage = $3, ready_reason = $4, completed_at = $5, \
                 trouble = $6, order_id = $7, version = version + 1 \
                 WHERE id = $1 AND version = $2",
            )
            .bind(study.id.to_string())
            .bind(study.version)
            .bind(stage_text(study.stage).to_owned())
            .bind(study.ready_reason.map(|r| reason_text(r).to_owned()))
            .bind(study.completed_at.map(Timestamp::micros))
            .bind(study.trouble.clone())
            .bind(study.order.as_ref().map(ToString::to_string)),
        )
        .await
    }

    /// Studies in a scope, newest first, before `after`.
    pub async fn studies(
        &mut self,
        scope: &Scope,
        filter: &StudyFilter,
        after: Option<&StudyId>,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Study>, StoreError> {
        let partner = "EXISTS (SELECT 1 FROM agreements a WHERE a.clinic_id = s.clinic_id \
             AND a.centre_id IN ({}) AND (a.modalities = '[]' \
             OR a.modalities LIKE '%\"' || s.modality || '\"%') AND ((a.valid_from <= $5 \
             AND (a.valid_to IS NULL OR a.valid_to > $5)) OR EXISTS (SELECT 1 FROM cases c \
             WHERE c.study_id = s.id AND c.agreement_id = a.id AND c.stage <> 'closed')))";
        let (condition, binds) = within(scope, "s.clinic_id", partner, 9);
        let mut query = assembled(format!(
            "SELECT s.* FROM studies s WHERE {condition} \
             AND (CAST($1 AS TEXT) IS NULL OR s.id < $1) \
             AND (CAST($2 AS TEXT) IS NULL OR s.stage = $2) \
             AND ($3 = 0 OR s.trouble IS NOT NULL) AND ($7 = 0 OR s.order_id IS NULL) \
             AND (CAST($4 AS TEXT) IS NULL OR s.clinic_id = $4) AND $5 = $5 \
             AND (CAST($8 AS TEXT) IS NULL OR s.uid = $8) \
             ORDER BY s.id DESC LIMIT $6"
        ))
        .bind(after.map(ToString::to_string))
        .bind(filter.stage.map(|s| stage_text(s).to_owned()))
        .bind(i64::from(filter.trouble))
        .bind(filter.clinic.as_ref().map(ToString::to_string))
        .bind(now.micros())
        .bind(limit)
        .bind(i64::from(filter.unmatched))
        .bind(filter.uid.clone());
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await?.iter().map(study).collect()
    }

    /// The series of a study, by number.
    pub async fn series_of_study(&mut self, id: &StudyId) -> Result<Vec<Series>, StoreError> {
        let query = statement(
            "SELECT id, uid, modality, number, description, body_part FROM series \
             WHERE study_id = $1 ORDER BY number, id",
        )
        .bind(id.to_string());
        self.all(query).await?.iter().map(series).collect()
    }

    /// The instances of a study, in the order of their numbers.
    pub async fn instances_of_study(&mut self, id: &StudyId) -> Result<Vec<Instance>, StoreError> {
        let query =
            statement("SELECT * FROM instances WHERE study_id = $1 ORDER BY series_id, number, id")
                .bind(id.to_string());
        self.all(query).await?.iter().map(instance).collect()
    }

    /// An instance by identifier.
    pub async fn instance(&mut self, id: &InstanceId) -> Result<Option<Instance>, StoreError> {
        let query = statement("SELECT * FROM instances WHERE id = $1").bind(id.to_string());
        self.one(query).await?.as_ref().map(instance).transpose()
    }

    /// Which of these blob names a row refers to: instances, quarantined bytes, renderings.
    pub async fn known_blobs(&mut self, ids: &[String]) -> Result<Vec<String>, StoreError> {
        let list = super::placeholders(1, ids.len());
        let mut query = assembled(format!(
            "SELECT id FROM instances WHERE id IN ({list}) \
             UNION SELECT id FROM quarantine WHERE id IN ({list}) \
             UNION SELECT blob_id AS id FROM renderings WHERE blob_id IN ({list}) \
             UNION SELECT blob_id AS id FROM attachments \
             WHERE removed_at IS NULL AND blob_id IN ({list})"
        ));
        for id in ids {
            query = query.bind(id.clone());
        }
        self.all(query).await?.iter().map(|row| row.text("id")).collect()
    }
}

/// The stable text of a stage.
fn stage_text(stage: Stage) -> &'static str {
    match stage {
        Stage::Arriving => "arriving",
        Stage::Complete => "complete",
    }
}

fn stage(text: &str) -> Result<Stage, StoreError> {
    match text {
        "arriving" => Ok(Stage::Arriving),
        "complete" => Ok(Stage::Complete),
        _ => known(None, "studies"),
    }
}

fn reason_text(reason: ReadyReason) -> &'static str {
    match reason {
        ReadyReason::Quiet => "quiet",
        ReadyReason::Person => "person",
        ReadyReason::Manifest => "manifest",
    }
}

fn reason(text: &str) -> Result<ReadyReason, StoreError> {
    match text {
        "quiet" => Ok(ReadyReason::Quiet),
        "person" => Ok(ReadyReason::Person),
        "manifest" => Ok(ReadyReason::Manifest),
        _ => known(None, "studies"),
    }
}

/// A study out of its row.
pub(super) fn study(row: &AnyRow) -> Result<Study, StoreError> {
    let order = row.maybe_text("order_id")?;
    Ok(Study {
        id: parsed(StudyId::parse(&row.text("id")?), "studies")?,
        uid: parsed(Uid::parse(&row.text("uid")?), "studies")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "studies")?,
        patient_id: Phi::new(row.text("patient_id")?),
        patient_issuer: row.maybe_text("patient_issuer")?,
        patient_name: Phi::new(row.text("patient_name")?),
        patient_birth_date: Phi::new(row.maybe_text("patient_birth_date")?),
        patient_sex: row.maybe_text("patient_sex")?,
        accession: row.maybe_text("accession")?,
        study_number: row.maybe_text("study_number")?,
        study_date: row.maybe_text("study_date")?,
        study_time: row.maybe_text("study_time")?,
        description: row.maybe_text("description")?,
        modality: row.text("modality")?,
        body_part: row.maybe_text("body_part")?,
        charset: row.text("charset")?,
        charset_guessed: row.int("charset_guessed")? != 0,
        instances: row.int("instances")?,
        bytes: row.int("bytes")?,
        stage: stage(&row.text("stage")?)?,
        ready_reason: row.maybe_text("ready_reason")?.map(|t| reason(&t)).transpose()?,
        first_at: Timestamp::from_micros(row.int("first_at")?),
        last_at: Timestamp::from_micros(row.int("last_at")?),
        settle_at: Timestamp::from_micros(row.int("settle_at")?),
        completed_at: row.maybe_int("completed_at")?.map(Timestamp::from_micros),
        trouble: row.maybe_text("trouble")?,
        order: order.map(|id| parsed(OrderId::parse(&id), "studies")).transpose()?,
        expected: row.maybe_int("expected")?,
        version: row.int("version")?,
    })
}

pub(super) fn series(row: &AnyRow) -> Result<Series, StoreError> {
    Ok(Series {
        id: parsed(SeriesId::parse(&row.text("id")?), "series")?,
        uid: parsed(Uid::parse(&row.text("uid")?), "series")?,
        modality: row.text("modality")?,
        number: row.maybe_int("number")?,
        description: row.maybe_text("description")?,
        body_part: row.maybe_text("body_part")?,
    })
}

pub(super) fn instance(row: &AnyRow) -> Result<Instance, StoreError> {
    Ok(Instance {
        id: parsed(InstanceId::parse(&row.text("id")?), "instances")?,
        series: parsed(SeriesId::parse(&row.text("series_id")?), "instances")?,
        study: parsed(StudyId::parse(&row.text("study_id")?), "instances")?,
        uid: parsed(Uid::parse(&row.text("uid")?), "instances")?,
        sop_class: parsed(Uid::parse(&row.text("sop_class")?), "instances")?,
        transfer_syntax: parsed(Uid::parse(&row.text("transfer_syntax")?), "instances")?,
        number: row.maybe_int("number")?,
        rows: row.maybe_int("image_rows")?,
        columns: row.maybe_int("image_columns")?,
        frames: row.int("frames")?,
        sha256: row.text("sha256")?,
        bytes: row.int("bytes")?,
        data_offset: row.int("data_offset")?,
        received_at: Timestamp::from_micros(row.int("received_at")?),
    })
}

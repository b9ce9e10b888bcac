//! Searching studies, series and instances by their DICOM attributes, and finding them by UID.

use medrelay_core::access::Scope;
use medrelay_core::id::{StudyId, Uid};
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::studies::{instance, series, study};
use super::{
    Columns, Instance, Series, StoreError, Study, Tx, assembled, parsed, placeholders, statement,
    within,
};

/// What a search asks for. Texts may hold `*` and `?`; an empty list asks nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageQuery {
    /// Study Instance UIDs.
    pub studies: Vec<String>,
    /// Series Instance UIDs.
    pub series: Vec<String>,
    /// SOP Instance UIDs.
    pub instances: Vec<String>,
    /// SOP Class UIDs.
    pub sop_classes: Vec<String>,
    /// Patient ID.
    pub patient_id: Option<String>,
    /// Patient's Name: the whole of it or one of its groups, in any case.
    pub patient_name: Option<String>,
    /// Patient's Birth Date, first and last day.
    pub birth_date: Option<Range>,
    /// Patient's Sex.
    pub patient_sex: Option<String>,
    /// Accession Number.
    pub accession: Option<String>,
    /// Study ID.
    pub study_number: Option<String>,
    /// Study Description.
    pub study_description: Option<String>,
    /// Study Date.
    pub study_date: Option<Range>,
    /// Study Time.
    pub study_time: Option<Range>,
    /// Modality of a series; of any of its series for a study.
    pub modality: Option<String>,
    /// Series Description.
    pub series_description: Option<String>,
    /// Body Part Examined.
    pub body_part: Option<String>,
    /// Series Number.
    pub series_number: Option<i64>,
    /// Instance Number.
    pub instance_number: Option<i64>,
    /// How many to leave out.
    pub offset: i64,
    /// How many at most.
    pub limit: i64,
}

/// From a first to a last value, both included; either may be open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// The first; empty for none.
    pub from: String,
    /// The last; empty for none.
    pub to: String,
}

/// A study that was found.
#[derive(Debug, Clone)]
pub struct StudyHit {
    /// The study.
    pub study: Study,
    /// Modalities of its series.
    pub modalities: Vec<String>,
    /// How many series it has.
    pub series: i64,
}

/// A series that was found.
#[derive(Debug, Clone)]
pub struct SeriesHit {
    /// The study that it belongs to.
    pub study: Study,
    /// The series.
    pub series: Series,
    /// How many instances it has.
    pub instances: i64,
}

/// An instance with the series that it belongs to.
#[derive(Debug, Clone)]
pub struct StoredImage {
    /// The instance.
    pub instance: Instance,
    /// Its series.
    pub series: Series,
    /// Character set fixed for the device that sent it.
    pub profile: Option<String>,
}

/// A condition in the making.
struct Search {
    text: String,
    binds: Vec<Bind>,
}

enum Bind {
    Text(String),
    Number(i64),
}

impl Search {
    /// Only what is in the scope, as lists of studies have it.
    fn new(scope: &Scope, now: Timestamp) -> Self {
        let partner = "EXISTS (SELECT 1 FROM agreements a WHERE a.clinic_id = s.clinic_id \
             AND a.centre_id IN ({}) AND (a.modalities = '[]' \
             OR a.modalities LIKE '%\"' || s.modality || '\"%') AND ((a.valid_from <= $1 \
             AND (a.valid_to IS NULL OR a.valid_to > $1)) OR EXISTS (SELECT 1 FROM cases c \
             WHERE c.study_id = s.id AND c.agreement_id = a.id AND c.stage <> 'closed')))";
        let (condition, binds) = within(scope, "s.clinic_id", partner, 2);
        let now = Bind::Number(now.micros());
        let binds = std::iter::once(now).chain(binds.into_iter().map(Bind::Text)).collect();
        Self { text: format!("$1 = $1 AND {condition}"), binds }
    }

    fn place(&mut self, bind: Bind) -> usize {
        self.binds.push(bind);
        self.binds.len()
    }

    fn one_of(&mut self, column: &str, values: &[String]) {
        if !values.is_empty() {
            let list = placeholders(self.binds.len() + 1, values.len());
            self.binds.extend(values.iter().cloned().map(Bind::Text));
            self.text.push_str(&format!(" AND {column} IN ({list})"));
        }
    }

    fn matches(&mut self, column: &str, pattern: Option<&String>) {
        let Some(pattern) = pattern else { return };
        if pattern.contains(['*', '?']) {
            let at = self.place(Bind::Text(like(pattern)));
            self.text.push_str(&format!(" AND COALESCE({column}, '') LIKE ${at} ESCAPE '!'"));
        } else {
            let at = self.place(Bind::Text(pattern.clone()));
            self.text.push_str(&format!(" AND {column} = ${at}"));
        }
    }

    /// A name is found by any of its groups.
    fn names(&mut self, column: &str, pattern: Option<&String>) {
        if let Some(pattern) = pattern {
            let groups = format!("%={}=%", like(&pattern.to_lowercase()));
            let at = self.place(Bind::Text(groups));
            let name = format!("'=' || LOWER({column}) || '=='");
            self.text.push_str(&format!(" AND {name} LIKE ${at} ESCAPE '!'"));
        }
    }

    fn between(&mut self, column: &str, range: Option<&Range>) {
        let Some(range) = range else { return };
        for (sign, value) in [(">=", &range.from), ("<=", &range.to)] {
            if !value.is_empty() {
                let at = self.place(Bind::Text(value.clone()));
                self.text.push_str(&format!(" AND {column} {sign} ${at}"));
            }
        }
    }

    fn equals(&mut self, column: &str, number: Option<i64>) {
        if let Some(number) = number {
            let at = self.place(Bind::Number(number));
            self.text.push_str(&format!(" AND {column} = ${at}"));
        }
    }

    /// What is asked about studies.
    fn of_study(&mut self, query: &ImageQuery) {
        self.one_of("s.uid", &query.studies);
        self.matches("s.patient_id", query.patient_id.as_ref());
        self.names("s.patient_name", query.patient_name.as_ref());
        self.between("s.patient_birth_date", query.birth_date.as_ref());
        self.matches("s.patient_sex", query.patient_sex.as_ref());
        self.matches("s.accession", query.accession.as_ref());
        self.matches("s.study_number", query.study_number.as_ref());
        self.matches("s.description", query.study_description.as_ref());
        self.between("s.study_date", query.study_date.as_ref());
        self.between("s.study_time", query.study_time.as_ref());
    }

    /// What is asked about series.
    fn of_series(&mut self, query: &ImageQuery) {
        self.one_of("r.uid", &query.series);
        self.matches("r.modality", query.modality.as_ref());
        self.matches("r.description", query.series_description.as_ref());
        self.matches("r.body_part", query.body_part.as_ref());
        self.equals("r.number", query.series_number);
    }

    /// What is asked about something inside a study: the study has one that fits.
    fn has(&mut self, inside: Self) {
        self.text.push_str(&format!(" AND EXISTS ({})", inside.text));
        self.binds = inside.binds;
    }

    async fn rows(
        mut self,
        tx: &mut Tx,
        from: &str,
        order: &str,
        query: &ImageQuery,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let limit = self.place(Bind::Number(query.limit));
        let offset = self.place(Bind::Number(query.offset));
        let text =
            format!("{from} WHERE {} ORDER BY {order} LIMIT ${limit} OFFSET ${offset}", self.text);
        let mut statement = assembled(text);
        for bind in self.binds {
            statement = match bind {
                Bind::Text(text) => statement.bind(text),
                Bind::Number(number) => statement.bind(number),
            };
        }
        tx.all(statement).await
    }
}

/// A pattern of DICOM as one of SQL.
fn like(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    for letter in pattern.chars() {
        match letter {
            '*' => text.push('%'),
            '?' => text.push('_'),
            '%' | '_' | '!' => text.extend(['!', letter]),
            letter => text.push(letter),
        }
    }
    text
}

impl Tx {
    /// Studies in a scope that fit, newest first.
    pub async fn search_studies(
        &mut self,
        scope: &Scope,
        query: &ImageQuery,
        now: Timestamp,
    ) -> Result<Vec<StudyHit>, StoreError> {
        let mut search = Search::new(scope, now);
        search.of_study(query);
        let in_series = query.modality.is_some()
            || query.series_description.is_some()
            || query.body_part.is_some()
            || query.series_number.is_some()
            || !query.series.is_empty();
        if in_series {
            let begin = "SELECT 1 FROM series r WHERE r.study_id = s.id".to_owned();
            let binds = std::mem::take(&mut search.binds);
            let mut inside = Search { text: begin, binds };
            inside.of_series(query);
            search.has(inside);
        }
        let rows = search.rows(self, "SELECT s.* FROM studies s", "s.id DESC", query).await?;
        let studies: Vec<Study> = rows.iter().map(study).collect::<Result<_, _>>()?;
        let list = placeholders(1, studies.len());
        let mut modalities = assembled(format!(
            "SELECT study_id, modality, COUNT(*) AS series FROM series \
             WHERE study_id IN ({list}) GROUP BY study_id, modality ORDER BY study_id, modality"
        ));
        for study in &studies {
            modalities = modalities.bind(study.id.to_string());
        }
        let rows = self.all(modalities).await?;
        let mut hits: Vec<StudyHit> = studies
            .into_iter()
            .map(|study| StudyHit { study, modalities: Vec::new(), series: 0 })
            .collect();
        for row in rows {
            let id = row.text("study_id")?;
            if let Some(hit) = hits.iter_mut().find(|hit| hit.study.id.as_str() == id) {
                hit.modalities.push(row.text("modality")?);
                hit.series += row.int("series")?;
            }
        }
        Ok(hits)
    }

    /// Series in a scope that fit: newest study first, then by number.
    pub async fn search_series(
        &mut self,
        scope: &Scope,
        query: &ImageQuery,
        now: Timestamp,
    ) -> Result<Vec<SeriesHit>, StoreError> {
        let mut search = Search::new(scope, now);
        search.of_study(query);
        search.of_series(query);
        let from = "SELECT r.*, (SELECT COUNT(*) FROM instances i WHERE i.series_id = r.id) \
             AS instances FROM series r JOIN studies s ON s.id = r.study_id";
        let rows = search.rows(self, from, "s.id DESC, r.number, r.id", query).await?;
        let studies = self.studies_of(&rows).await?;
        let mut hits = Vec::with_capacity(rows.len());
        for row in &rows {
            let study = one_of(&studies, &row.text("study_id")?)?;
            hits.push(SeriesHit { study, series: series(row)?, instances: row.int("instances")? });
        }
        Ok(hits)
    }

    /// Instances in a scope that fit, with their studies: newest study first, then by numbers.
    pub async fn search_instances(
        &mut self,
        scope: &Scope,
        query: &ImageQuery,
        now: Timestamp,
    ) -> Result<Vec<(Study, StoredImage)>, StoreError> {
        let mut search = Search::new(scope, now);
        search.of_study(query);
        search.of_series(query);
        search.one_of("i.uid", &query.instances);
        search.one_of("i.sop_class", &query.sop_classes);
        search.equals("i.number", query.instance_number);
        let order = "s.id DESC, r.number, r.id, i.number, i.id";
        let rows = search
            .rows(self, &format!("{IMAGES} JOIN studies s ON s.id = i.study_id"), order, query)
            .await?;
        let studies = self.studies_of(&rows).await?;
        let mut hits = Vec::with_capacity(rows.len());
        for row in &rows {
            hits.push((one_of(&studies, &row.text("study_id")?)?, image(row)?));
        }
        Ok(hits)
    }

    /// The studies that rows name.
    async fn studies_of(&mut self, rows: &[AnyRow]) -> Result<Vec<Study>, StoreError> {
        let mut ids = Vec::new();
        for row in rows {
            ids.push(row.text("study_id")?);
        }
        ids.dedup();
        let list = placeholders(1, ids.len());
        let mut query = assembled(format!("SELECT * FROM studies WHERE id IN ({list})"));
        for id in ids {
            query = query.bind(id);
        }
        self.all(query).await?.iter().map(study).collect()
    }

    /// The instances of a study, or of one of its series, by numbers.
    pub async fn images(
        &mut self,
        study: &StudyId,
        series: Option<&Uid>,
    ) -> Result<Vec<StoredImage>, StoreError> {
        let query = assembled(format!(
            "{IMAGES} WHERE i.study_id = $1 AND (CAST($2 AS TEXT) IS NULL OR r.uid = $2) \
             ORDER BY r.number, r.id, i.number, i.id"
        ))
        .bind(study.to_string())
        .bind(series.map(ToString::to_string));
        self.all(query).await?.iter().map(image).collect()
    }

    /// An instance by its UIDs, all of which must fit.
    pub async fn image(
        &mut self,
        study: &StudyId,
        series: &Uid,
        instance: &Uid,
    ) -> Result<Option<StoredImage>, StoreError> {
        let query = statement(
            "SELECT i.*, r.uid AS series_uid, r.modality AS series_modality, \
             r.number AS series_number, r.description AS series_description, \
             r.body_part AS series_body_part, d.charset AS profile FROM instances i \
             JOIN series r ON r.id = i.series_id LEFT JOIN devices d ON d.id = i.device_id \
             WHERE i.uid = $1 AND r.uid = $2 AND i.study_id = $3",
        )
        .bind(instance.to_string())
        .bind(series.to_string())
        .bind(study.to_string());
        self.one(query).await?.as_ref().map(image).transpose()
    }
}

const IMAGES: &str = "SELECT i.*, r.uid AS series_uid, r.modality AS series_modality, \
     r.number AS series_number, r.description AS series_description, \
     r.body_part AS series_body_part, d.charset AS profile FROM instances i \
     JOIN series r ON r.id = i.series_id LEFT JOIN devices d ON d.id = i.device_id";

fn one_of(studies: &[Study], id: &str) -> Result<Study, StoreError> {
    let found = studies.iter().find(|study| study.id.as_str() == id).cloned();
    found.ok_or(StoreError::Inconsistent { table: "studies", what: "a series without a study" })
}

fn image(row: &AnyRow) -> Result<StoredImage, StoreError> {
    let instance = instance(row)?;
    Ok(StoredImage {
        series: Series {
            id: instance.series.clone(),
            uid: parsed(Uid::parse(&row.text("series_uid")?), "series")?,
            modality: row.text("series_modality")?,
            number: row.maybe_int("series_number")?,
            description: row.maybe_text("series_description")?,
            body_part: row.maybe_text("series_body_part")?,
        },
        instance,
        profile: row.maybe_text("profile")?.filter(|profile| !profile.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn patterns_of_dicom_become_patterns_of_sql() {
        assert_eq!(like("A*C?"), "A%C_");
        assert_eq!(like("100%_!"), "100!%!_!!");
        assert_eq!(like("张*"), "张%");
    }
}

//! The queue of a centre: the few columns that its order needs, for tens of thousands of cases at
//! once, and what the forecast goes by.

use std::collections::{HashMap, HashSet};

use medrelay_core::access::Scope;
use medrelay_core::case::Stage;
use medrelay_core::id::{CaseId, OrganizationId, PersonId};
use medrelay_core::people::{Priority, Role, SigningPolicy};
use medrelay_core::time::Timestamp;
use sqlx::any::AnyRow;

use super::{Columns, StoreError, Tx, assembled, known, parsed, placeholders, statement, within};

/// A case as the queue sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Which.
    pub case: CaseId,
    /// Whose.
    pub clinic: OrganizationId,
    /// Where it is read.
    pub centre: OrganizationId,
    /// Its modality.
    pub modality: String,
    /// How soon.
    pub priority: Priority,
    /// How many people sign.
    pub policy: SigningPolicy,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When the report is due.
    pub deadline: Timestamp,
    /// Virtual finish tag of the queue's fairness.
    pub fair: i64,
    /// Name of its stage.
    pub stage: &'static str,
    /// Who has it.
    pub holder: Option<PersonId>,
    /// Whom it was given to.
    pub assigned: Option<PersonId>,
    /// Who signed the preliminary report that waits.
    pub preliminary_by: Option<PersonId>,
}

/// Somebody who reads at a centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffMember {
    /// Where.
    pub centre: OrganizationId,
    /// Who.
    pub person: PersonId,
    /// Their name.
    pub name: String,
    /// Modalities they may read; empty means every one.
    pub modalities: Vec<String>,
    /// As what.
    pub roles: Vec<Role>,
}

/// What a reader has in hand at a centre.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Cases that they hold.
    pub holds: i64,
    /// Cases that were given to them and wait.
    pub waiting: i64,
    /// Versions that they have signed since a moment.
    pub signed: i64,
}

const QUEUED: &str = "SELECT c.id, c.clinic_id, c.centre_id, c.modality, c.priority, c.policy, \
     c.opened_at, c.deadline, c.fair, c.stage, c.holder_id, c.assigned_id, \
     CASE WHEN c.stage = 'preliminary' THEN c.state END AS state FROM cases c";
const WAITING: &str = "c.stage IN ('ready', 'preliminary')";
const ACTIVE: &str =
    "c.stage IN ('submitted', 'ready', 'in_progress', 'preliminary', 'verifying', 'returned')";
const OPEN_FINDING: &str = "f.stage IN ('notifying', 'acknowledged')";

impl Tx {
    /// The cases that wait at some centres, for a reader or for a verifier.
    pub async fn waiting_cases(
        &mut self,
        centres: &[OrganizationId],
    ) -> Result<Vec<Queued>, StoreError> {
        let list = placeholders(1, centres.len());
        let sql = format!("{QUEUED} WHERE c.centre_id IN ({list}) AND {WAITING}");
        self.at_centres(sql, centres).await?.iter().map(queued).collect()
    }

    /// Everything at some centres that is not signed yet, and what is, while a critical finding in
    /// it is open.
    pub async fn active_cases(
        &mut self,
        centres: &[OrganizationId],
        now: Timestamp,
    ) -> Result<Vec<Queued>, StoreError> {
        let list = placeholders(1, centres.len());
        let sql = format!("{QUEUED} WHERE c.centre_id IN ({list}) AND {ACTIVE}");
        let mut cases: Vec<Queued> =
            self.at_centres(sql, centres).await?.iter().map(queued).collect::<Result<_, _>>()?;
        let at = centres.len() + 1;
        let sql = format!(
            "{QUEUED} WHERE c.centre_id IN ({list}) AND NOT ({ACTIVE}) AND EXISTS (SELECT 1 \
             FROM findings f WHERE f.case_id = c.id AND f.centre_id = c.centre_id \
             AND {OPEN_FINDING}) AND (c.stage <> 'closed' OR EXISTS (SELECT 1 FROM agreements a \
             WHERE a.id = c.agreement_id AND a.valid_from <= ${at} \
             AND (a.valid_to IS NULL OR a.valid_to > ${at}))) \
             AND c.id IN (SELECT f.case_id FROM findings f WHERE {OPEN_FINDING})"
        );
        let mut query = assembled(sql);
        for centre in centres {
            query = query.bind(centre.to_string());
        }
        for row in self.all(query.bind(now.micros())).await? {
            cases.push(queued(&row)?);
        }
        Ok(cases)
    }

    /// The cases of some centres in which a critical finding is open.
    pub async fn critical_cases(
        &mut self,
        centres: &[OrganizationId],
    ) -> Result<HashSet<String>, StoreError> {
        let list = placeholders(1, centres.len());
        let sql = format!(
            "SELECT DISTINCT f.case_id AS id FROM findings f WHERE f.centre_id IN ({list}) \
             AND {OPEN_FINDING}"
        );
        self.at_centres(sql, centres).await?.iter().map(|row| row.text("id")).collect()
    }

    /// The unsigned cases of some centres whose studies lack images that were announced.
    pub async fn incomplete_cases(
        &mut self,
        centres: &[OrganizationId],
    ) -> Result<HashSet<String>, StoreError> {
        let list = placeholders(1, centres.len());
        let sql = format!(
            "SELECT c.id FROM studies s JOIN cases c ON c.study_id = s.id \
             WHERE s.expected > s.instances AND c.centre_id IN ({list}) AND {ACTIVE}"
        );
        self.at_centres(sql, centres).await?.iter().map(|row| row.text("id")).collect()
    }

    /// The cases of some centres in which a text is found: number, patient's name and number,
    /// accession number.
    pub async fn cases_with_text(
        &mut self,
        centres: &[OrganizationId],
        text: &str,
    ) -> Result<HashSet<String>, StoreError> {
        let list = placeholders(2, centres.len());
        let found = found_in("c", "s", 1);
        let mut query = assembled(format!(
            "SELECT c.id FROM cases c JOIN studies s ON s.id = c.study_id \
             WHERE {found} AND c.centre_id IN ({list})"
        ))
        .bind(pattern(text));
        for centre in centres {
            query = query.bind(centre.to_string());
        }
        self.all(query).await?.iter().map(|row| row.text("id")).collect()
    }

    /// How many studies that a scope reaches are still arriving.
    pub async fn count_arriving(
        &mut self,
        scope: &Scope,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        let partner = "EXISTS (SELECT 1 FROM agreements a WHERE a.clinic_id = s.clinic_id \
             AND a.centre_id IN ({}) AND (a.modalities = '[]' \
             OR REPLACE(a.modalities, '\"' || s.modality || '\"', '') <> a.modalities) \
             AND a.valid_from <= $1 AND (a.valid_to IS NULL OR a.valid_to > $1))";
        let (condition, binds) = within(scope, "s.clinic_id", partner, 2);
        let mut query = assembled(format!(
            "SELECT COUNT(*) AS n FROM studies s WHERE s.stage = 'arriving' AND {condition} \
             AND $1 > 0"
        ))
        .bind(now.micros());
        for value in binds {
            query = query.bind(value);
        }
        self.one(query).await?.map_or(Ok(0), |row| row.int("n"))
    }

    /// Who reads at some centres now: an open account with the role of a reporter or verifier.
    pub async fn staff(
        &mut self,
        centres: &[OrganizationId],
    ) -> Result<Vec<StaffMember>, StoreError> {
        let list = placeholders(1, centres.len());
        let sql = format!(
            "SELECT g.organization_id, g.role, p.id, p.name, p.modalities FROM grants g \
             JOIN persons p ON p.id = g.person_id WHERE g.organization_id IN ({list}) \
             AND g.role IN ('reporter', 'verifier') AND p.disabled_at IS NULL \
             ORDER BY p.name, p.id, g.organization_id, g.role"
        );
        let mut staff: Vec<StaffMember> = Vec::new();
        for row in self.at_centres(sql, centres).await? {
            let centre = parsed(OrganizationId::parse(&row.text("organization_id")?), "grants")?;
            let person = parsed(PersonId::parse(&row.text("id")?), "persons")?;
            let role = known(Role::parse(&row.text("role")?), "grants")?;
            match staff.last_mut() {
                Some(last) if last.centre == centre && last.person == person => {
                    last.roles.push(role);
                }
                _ => staff.push(StaffMember {
                    centre,
                    person,
                    name: row.text("name")?,
                    modalities: parsed(serde_json::from_str(&row.text("modalities")?), "persons")?,
                    roles: vec![role],
                }),
            }
        }
        Ok(staff)
    }

    /// What everybody has in hand at a centre, by person.
    pub async fn loads(
        &mut self,
        centre: &OrganizationId,
        since: Timestamp,
    ) -> Result<HashMap<String, Load>, StoreError> {
        let mut loads: HashMap<String, Load> = HashMap::new();
        let held = assembled(
            "SELECT holder_id AS person, COUNT(*) AS n FROM cases WHERE centre_id = $1 \
             AND stage IN ('in_progress', 'verifying') AND holder_id IS NOT NULL \
             GROUP BY holder_id"
                .to_owned(),
        );
        for row in self.all(held.bind(centre.to_string())).await? {
            loads.entry(row.text("person")?).or_default().holds = row.int("n")?;
        }
        let given = assembled(format!(
            "SELECT c.assigned_id AS person, COUNT(*) AS n FROM cases c WHERE c.centre_id = $1 \
             AND c.assigned_id IS NOT NULL AND {WAITING} GROUP BY c.assigned_id"
        ));
        for row in self.all(given.bind(centre.to_string())).await? {
            loads.entry(row.text("person")?).or_default().waiting = row.int("n")?;
        }
        let signed = assembled(
            "SELECT k.person_id AS person, COUNT(*) AS n FROM reports r \
             JOIN signing_keys k ON k.id = r.key_id JOIN cases c ON c.id = r.case_id \
             WHERE c.centre_id = $1 AND r.signed_at >= $2 GROUP BY k.person_id"
                .to_owned(),
        );
        for row in self.all(signed.bind(centre.to_string()).bind(since.micros())).await? {
            loads.entry(row.text("person")?).or_default().signed = row.int("n")?;
        }
        Ok(loads)
    }

    /// How many reports somebody has signed since a moment.
    pub async fn count_signed(
        &mut self,
        person: &PersonId,
        since: Timestamp,
    ) -> Result<i64, StoreError> {
        let query = statement(
            "SELECT COUNT(*) AS n FROM reports r JOIN signing_keys k ON k.id = r.key_id \
             WHERE k.person_id = $1 AND r.signed_at >= $2",
        );
        let query = query.bind(person.to_string()).bind(since.micros());
        self.one(query).await?.map_or(Ok(0), |row| row.int("n"))
    }

    /// How many people have worked on cases of a centre since a moment.
    pub async fn readers_since(
        &mut self,
        centre: &OrganizationId,
        since: Timestamp,
    ) -> Result<i64, StoreError> {
        let query = assembled(
            "SELECT COUNT(DISTINCT actor) AS n FROM events WHERE at >= $1 AND partner = $2 \
             AND kind IN ('case_claimed', 'case_taken_over', 'claim_renewed', 'draft_saved', \
             'preliminary_signed', 'final_signed')"
                .to_owned(),
        );
        let query = query.bind(since.micros()).bind(centre.to_string());
        self.one(query).await?.map_or(Ok(0), |row| row.int("n"))
    }

    /// When the last `limit` reports of a centre since a moment were signed, each with the moment
    /// that its signer had taken the case.
    pub async fn last_readings(
        &mut self,
        centre: &OrganizationId,
        since: Timestamp,
        limit: i64,
    ) -> Result<Vec<(Timestamp, Timestamp)>, StoreError> {
        let query = assembled(
            "SELECT e.at AS signed, (SELECT MAX(b.at) FROM events b WHERE b.object = e.object \
             AND b.seq < e.seq AND b.kind IN ('case_claimed', 'case_taken_over')) AS taken \
             FROM events e WHERE e.kind IN ('preliminary_signed', 'final_signed') \
             AND e.partner = $1 AND e.at >= $2 ORDER BY e.seq DESC LIMIT $3"
                .to_owned(),
        );
        let query = query.bind(centre.to_string()).bind(since.micros()).bind(limit);
        let mut readings = Vec::new();
        for row in self.all(query).await? {
            if let Some(taken) = row.maybe_int("taken")? {
                let signed = Timestamp::from_micros(row.int("signed")?);
                readings.push((Timestamp::from_micros(taken), signed));
            }
        }
        Ok(readings)
    }

    async fn at_centres(
        &mut self,
        sql: String,
        centres: &[OrganizationId],
    ) -> Result<Vec<AnyRow>, StoreError> {
        let mut query = assembled(sql);
        for centre in centres {
            query = query.bind(centre.to_string());
        }
        self.all(query).await
    }
}

/// A condition on a case and its study: the text of placeholder `at` is in one of the things that
/// people know a case by.
pub(super) fn found_in(case: &str, study: &str, at: usize) -> String {
    let columns = [
        format!("{case}.number"),
        format!("{study}.patient_name"),
        format!("{study}.patient_id"),
        format!("COALESCE({study}.accession, '')"),
    ];
    // Names stand with their parts apart (`Zhang^San`, `张^三`), and people type them together.
    let plain = |column: &str| format!("REPLACE(REPLACE(LOWER({column}), '^', ''), ' ', '')");
    let found = columns.map(|column| format!("{} LIKE ${at} ESCAPE '!'", plain(&column)));
    format!("({})", found.join(" OR "))
}

/// A pattern that finds a text whatever it contains, with or without the marks between the parts of
/// a name.
pub(super) fn pattern(text: &str) -> String {
    let escaped: String = text
        .to_lowercase()
        .chars()
        .filter(|c| !matches!(c, '^' | ' '))
        .flat_map(|c| {
            let escape = matches!(c, '!' | '%' | '_').then_some('!');
            escape.into_iter().chain(std::iter::once(c))
        })
        .collect();
    format!("%{escaped}%")
}

fn queued(row: &AnyRow) -> Result<Queued, StoreError> {
    let person =
        |text: Option<String>| text.map(|id| parsed(PersonId::parse(&id), "cases")).transpose();
    let stage = row.text("stage")?;
    let waits: Option<Stage> = match row.maybe_text("state")? {
        Some(state) => Some(parsed(serde_json::from_str(&state), "cases")?),
        None => None,
    };
    Ok(Queued {
        case: parsed(CaseId::parse(&row.text("id")?), "cases")?,
        clinic: parsed(OrganizationId::parse(&row.text("clinic_id")?), "cases")?,
        centre: parsed(OrganizationId::parse(&row.text("centre_id")?), "cases")?,
        modality: row.text("modality")?,
        priority: known(Priority::parse(&row.text("priority")?), "cases")?,
        policy: known(SigningPolicy::parse(&row.text("policy")?), "cases")?,
        opened_at: Timestamp::from_micros(row.int("opened_at")?),
        deadline: Timestamp::from_micros(row.int("deadline")?),
        fair: row.int("fair")?,
        stage: known(Stage::NAMES.iter().copied().find(|name| *name == stage), "cases")?,
        holder: person(row.maybe_text("holder_id")?)?,
        assigned: person(row.maybe_text("assigned_id")?)?,
        preliminary_by: waits.and_then(|stage| stage.preliminary_by().cloned()),
    })
}

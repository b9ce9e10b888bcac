//! Counts over many cases: what was read, how soon, for whom; and how things stand now.

use sqlx::any::AnyRow;

use medrelay_core::access::Scope;
use medrelay_core::time::Timestamp;

use super::{Columns, StoreError, Tx, assembled, statement, within};

/// By what cases are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// By the day on which they were opened, at an offset from UTC.
    Day,
    /// By the clinic that they came from.
    Clinic,
    /// By who signed a report; a case that two people signed counts for both.
    Reader,
    /// By modality.
    Modality,
    /// All of them together.
    All,
}

impl Grouping {
    /// The key and its label, as SQL; `$4` is the offset in microseconds.
    const fn key(self) -> (&'static str, &'static str) {
        match self {
            Self::Day => {
                const DAY: &str = "CAST((c.opened_at + $4) / 86400000000 AS TEXT)";
                (DAY, DAY)
            }
            Self::Clinic => ("c.clinic_id", "MAX(o.name)"),
            Self::Reader => ("w.person_id", "MAX(p.name)"),
            Self::Modality => ("c.modality", "c.modality"),
            Self::All => ("CAST('' AS TEXT)", "CAST('' AS TEXT)"),
        }
    }

    /// What the key needs.
    const fn joins(self) -> &'static str {
        match self {
            Self::Clinic => "JOIN organizations o ON o.id = c.clinic_id",
            Self::Reader => {
                "JOIN (SELECT DISTINCT r.case_id, k.person_id FROM reports r \
                 JOIN signing_keys k ON k.id = r.key_id) w ON w.case_id = c.id \
                 JOIN persons p ON p.id = w.person_id"
            }
            Self::Day | Self::Modality | Self::All => "",
        }
    }
}

/// Which cases are counted.
#[derive(Debug, Clone)]
pub struct Counted<'a> {
    /// Centres whose cases are, and organizations below which either side is.
    pub scope: &'a Scope,
    /// Opened from this moment on.
    pub from: Timestamp,
    /// Opened before this moment.
    pub to: Timestamp,
    /// The present moment: what is not signed may be overdue.
    pub now: Timestamp,
    /// Microseconds east of UTC.
    pub offset: i64,
}

/// The counts of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Day, clinic, person or modality.
    pub key: String,
    /// What people call it.
    pub label: String,
    /// Cases opened.
    pub cases: i64,
    /// Of these STAT.
    pub stat: i64,
    /// Of these urgent.
    pub urgent: i64,
    /// Returned to the clinic at least once.
    pub returned: i64,
    /// With a critical finding that was none of false alarm.
    pub critical: i64,
    /// With a final report.
    pub signed: i64,
    /// Signed too late, or due and not signed.
    pub overdue: i64,
    /// Images of their studies.
    pub instances: i64,
    /// Bytes of these.
    pub bytes: i64,
}

/// How many cases of a group took so long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Took {
    /// The group.
    pub key: String,
    /// Whole minutes from opening to the first final report.
    pub minutes: i64,
    /// How many.
    pub cases: i64,
}

const CASES: &str = "FROM cases c JOIN studies s ON s.id = c.study_id \
     LEFT JOIN (SELECT case_id, MIN(signed_at) AS signed_at FROM reports WHERE kind = 'final' \
     GROUP BY case_id) f ON f.case_id = c.id \
     LEFT JOIN (SELECT DISTINCT case_id FROM findings WHERE stage <> 'false_alarm') x \
     ON x.case_id = c.id";

impl Tx {
    /// The counts of each group, by key, at most `limit` of them.
    pub async fn case_counts(
        &mut self,
        of: &Counted<'_>,
        by: Grouping,
        limit: i64,
    ) -> Result<Vec<Counts>, StoreError> {
        let sum = |what: &str| format!("CAST(COALESCE(SUM({what}), 0) AS BIGINT)");
        let when = |what: &str| sum(&format!("CASE WHEN {what} THEN 1 ELSE 0 END"));
        let overdue = when(
            "f.signed_at > c.deadline OR (f.signed_at IS NULL AND c.stage <> 'returned' \
             AND c.deadline < $3)",
        );
        let (key, label) = by.key();
        let (filter, binds) = counted(of.scope, 6);
        let text = format!(
            "SELECT {key} AS group_key, {label} AS label, COUNT(*) AS cases, {} AS stat, \
             {} AS urgent, {} AS returned, {} AS critical, {} AS signed, {overdue} AS overdue, \
             {} AS instances, {} AS bytes {CASES} {} \
             WHERE c.opened_at >= $1 AND c.opened_at < $2 AND $4 = $4 AND {filter} {} LIMIT $5",
            when("c.priority = 'stat'"),
            when("c.priority = 'urgent'"),
            when("c.returns > 0"),
            when("x.case_id IS NOT NULL"),
            when("f.signed_at IS NOT NULL"),
            sum("s.instances"),
            sum("s.bytes"),
            by.joins(),
            grouped(by, key, ""),
        );
        self.all(bound(text, of, limit, binds)).await?.iter().map(counts).collect()
    }

    /// How long signed cases took, group by group and from short to long, at most `limit` lines.
    pub async fn case_times(
        &mut self,
        of: &Counted<'_>,
        by: Grouping,
        limit: i64,
    ) -> Result<Vec<Took>, StoreError> {
        const MINUTES: &str = "(f.signed_at - c.opened_at) / 60000000";
        let (key, _) = by.key();
        let (filter, binds) = counted(of.scope, 6);
        let grouping = match by {
            Grouping::All => format!("GROUP BY {MINUTES} ORDER BY {MINUTES}"),
            _ => grouped(by, key, MINUTES),
        };
        let text = format!(
            "SELECT {key} AS group_key, {MINUTES} AS minutes, COUNT(*) AS cases {CASES} {} \
             WHERE c.opened_at >= $1 AND c.opened_at < $2 AND f.signed_at IS NOT NULL \
             AND $3 = $3 AND $4 = $4 AND {filter} {grouping} LIMIT $5",
            by.joins(),
        );
        let rows = self.all(bound(text, of, limit, binds)).await?;
        let took = |row: &AnyRow| {
            Ok(Took {
                key: row.text("group_key")?,
                minutes: row.int("minutes")?,
                cases: row.int("cases")?,
            })
        };
        rows.iter().map(took).collect()
    }
}

fn grouped(by: Grouping, key: &str, and: &str) -> String {
    match (by, and) {
        (Grouping::All, _) => String::new(),
        (_, "") => format!("GROUP BY {key} ORDER BY {key}"),
        (_, and) => format!("GROUP BY {key}, {and} ORDER BY {key}, {and}"),
    }
}

fn bound<'q>(
    text: String,
    of: &Counted<'_>,
    limit: i64,
    binds: Vec<String>,
) -> super::Statement<'q> {
    let mut query = assembled(text)
        .bind(of.from.micros())
        .bind(of.to.micros())
        .bind(of.now.micros())
        .bind(of.offset)
        .bind(limit);
    for value in binds {
        query = query.bind(value);
    }
    query
}

/// Cases of centres in the scope, and those with either side below it.
fn counted(scope: &Scope, first: usize) -> (String, Vec<String>) {
    let (centre, mut binds) = within(scope, "c.centre_id", "", first);
    let below = Scope { below: scope.below.clone(), ..Scope::default() };
    let (clinic, more) = within(&below, "c.clinic_id", "", first + binds.len());
    binds.extend(more);
    (format!("({centre} OR {clinic})"), binds)
}

fn counts(row: &AnyRow) -> Result<Counts, StoreError> {
    Ok(Counts {
        key: row.text("group_key")?,
        label: row.maybe_text("label")?.unwrap_or_default(),
        cases: row.int("cases")?,
        stat: row.int("stat")?,
        urgent: row.int("urgent")?,
        returned: row.int("returned")?,
        critical: row.int("critical")?,
        signed: row.int("signed")?,
        overdue: row.int("overdue")?,
        instances: row.int("instances")?,
        bytes: row.int("bytes")?,
    })
}

/// How things stand now below some organizations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standings {
    /// Cases that wait for a reader or a verifier.
    pub ready: i64,
    /// Cases that somebody has.
    pub in_progress: i64,
    /// Of both, those whose time is over.
    pub overdue: i64,
    /// Deliveries that wait for a person.
    pub parked: i64,
    /// Studies that arrive.
    pub receiving: i64,
    /// Studies that a person must look at.
    pub unmatched: i64,
    /// Objects put aside that nobody has decided about.
    pub aside: i64,
    /// Gateways that are connected.
    pub online: i64,
    /// Gateways that are not, and are not revoked.
    pub offline: i64,
}

/// The jobs of the relay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Due and not begun.
    pub due: i64,
    /// Somebody works on them.
    pub running: i64,
    /// Given up.
    pub failed: i64,
    /// When the oldest was due that is due and not begun.
    pub oldest_due_at: Option<Timestamp>,
}

impl Tx {
    /// How things stand below the organizations of a scope; gateways heard of since `heard` are
    /// connected.
    pub async fn standings(
        &mut self,
        scope: &Scope,
        now: Timestamp,
        heard: Timestamp,
    ) -> Result<Standings, StoreError> {
        let mut found = Standings::default();
        let cases = "SELECT c.stage AS name, COUNT(*) AS n, CAST(SUM(CASE WHEN c.deadline < $1 \
                     THEN 1 ELSE 0 END) AS BIGINT) AS late FROM cases c WHERE c.stage IN \
                     ('ready', 'preliminary', 'in_progress', 'verifying')";
        for row in self.below(cases, &["c.centre_id", "c.clinic_id"], "c.stage", scope, now).await?
        {
            let count = row.int("n")?;
            match row.text("name")?.as_str() {
                "ready" | "preliminary" => found.ready += count,
                _ => found.in_progress += count,
            }
            found.overdue += row.int("late")?;
        }
        let single = [
            (
                "SELECT 'parked' AS name, COUNT(*) AS n FROM deliveries d \
                 WHERE d.stage = 'parked' AND $1 = $1",
                &["d.centre_id", "d.clinic_id"][..],
            ),
            (
                "SELECT 'receiving' AS name, COUNT(*) AS n FROM studies s \
                 WHERE s.stage = 'arriving' AND $1 = $1",
                &["s.clinic_id"],
            ),
            (
                "SELECT 'unmatched' AS name, COUNT(*) AS n FROM studies s \
                 WHERE s.trouble IS NOT NULL AND $1 = $1",
                &["s.clinic_id"],
            ),
            (
                "SELECT 'aside' AS name, COUNT(*) AS n FROM quarantine q \
                 WHERE q.settled_at IS NULL AND $1 = $1",
                &["q.clinic_id"],
            ),
        ];
        for (text, columns) in single {
            for row in self.below(text, columns, "", scope, now).await? {
                let count = row.int("n")?;
                match row.text("name")?.as_str() {
                    "parked" => found.parked = count,
                    "receiving" => found.receiving = count,
                    "unmatched" => found.unmatched = count,
                    _ => found.aside = count,
                }
            }
        }
        let gateways = "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(CASE WHEN g.carrier <> '' \
                        AND g.seen_at > $1 THEN 1 ELSE 0 END), 0) AS BIGINT) AS here \
                        FROM gateways g WHERE g.revoked_at IS NULL";
        for row in self.below(gateways, &["g.clinic_id"], "", scope, heard).await? {
            found.online = row.int("here")?;
            found.offline = row.int("n")? - found.online;
        }
        Ok(found)
    }

    /// Runs a count with `$1` as a moment over what belongs to organizations below the scope.
    async fn below(
        &mut self,
        text: &'static str,
        columns: &[&str],
        grouped: &str,
        scope: &Scope,
        at: Timestamp,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let mut binds = Vec::new();
        let mut conditions = Vec::new();
        for column in columns {
            let (condition, more) = within(scope, column, "", 2 + binds.len());
            conditions.push(condition);
            binds.extend(more);
        }
        let group = if grouped.is_empty() { String::new() } else { format!("GROUP BY {grouped}") };
        let text = format!("{text} AND ({}) {group}", conditions.join(" OR "));
        let mut query = assembled(text).bind(at.micros());
        for value in binds {
            query = query.bind(value);
        }
        self.all(query).await
    }

    /// The jobs of the relay.
    pub async fn job_counts(&mut self, now: Timestamp) -> Result<JobCounts, StoreError> {
        let query = statement(
            "SELECT CASE WHEN failed_at IS NOT NULL THEN 'failed' \
             WHEN lease_until > $1 THEN 'running' ELSE 'due' END AS name, COUNT(*) AS n, \
             MIN(due_at) AS oldest FROM jobs \
             WHERE failed_at IS NOT NULL OR lease_until > $1 OR due_at <= $1 GROUP BY 1",
        );
        let mut found = JobCounts::default();
        for row in self.all(query.bind(now.micros())).await? {
            let count = row.int("n")?;
            match row.text("name")?.as_str() {
                "failed" => found.failed = count,
                "running" => found.running = count,
                _ => {
                    found.due = count;
                    found.oldest_due_at = row.maybe_int("oldest")?.map(Timestamp::from_micros);
                }
            }
        }
        Ok(found)
    }
}

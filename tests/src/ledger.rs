//! What senders and signers were promised, kept outside the relay, and the comparison with what the relay still has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Connection, Row};
use tokio::task::JoinSet;

use crate::binary::{Api, files_below, text};

/// Instances fetched at once during the comparison.
const FETCHES: usize = 8;

/// Everything that was promised so far. Shared by all senders and signers of a test.
#[derive(Debug, Default)]
pub struct Ledger {
    promises: Mutex<Promises>,
}

#[derive(Debug, Default)]
struct Promises {
    instances: BTreeMap<String, Instance>,
    reports: BTreeMap<String, Value>,
    acknowledged: BTreeSet<String>,
    surprises: Vec<String>,
}

#[derive(Debug, Clone)]
struct Instance {
    sha256: String,
    acknowledged: bool,
}

/// How much was promised and found again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Instances sent, acknowledged or not.
    pub sent: usize,
    /// Instances acknowledged, and equal.
    pub instances: usize,
    /// Signatures acknowledged, and unchanged.
    pub reports: usize,
    /// Deliveries acknowledged by the clinic, and still so.
    pub acknowledgements: usize,
}

impl Ledger {
    /// Notes that this data set is about to be sent under this UID.
    pub fn sending(&self, uid: &str, data_set: &[u8]) {
        let fresh = || Instance { sha256: sha256(data_set), acknowledged: false };
        self.lock().instances.entry(uid.to_owned()).or_insert_with(fresh);
    }

    /// Notes that the relay has said that it has it.
    pub fn stored(&self, uid: &str) {
        if let Some(instance) = self.lock().instances.get_mut(uid) {
            instance.acknowledged = true;
        }
    }

    /// Notes a signed report as the relay has shown it.
    pub fn signed(&self, report: &Value) {
        let id = report["id"].as_str().unwrap_or_default().to_owned();
        self.lock().reports.insert(id, report.clone());
    }

    /// Notes that the clinic has acknowledged this delivery.
    pub fn acknowledged(&self, delivery: &str) {
        self.lock().acknowledged.insert(delivery.to_owned());
    }

    /// Notes an answer that should not have been given; the comparison fails with it.
    pub fn surprise(&self, what: String) {
        self.lock().surprises.push(what);
    }

    /// How many instances and reports were promised.
    pub fn counts(&self) -> (usize, usize) {
        let promises = self.lock();
        let instances = promises.instances.values().filter(|it| it.acknowledged).count();
        (instances, promises.reports.len())
    }

    /// Compares every promise with what the relay answers now. `clinician` may see the clinic's studies and `reader` the reports.
    pub async fn compare(&self, clinician: &Api, reader: &Api) -> Result<Kept> {
        let (instances, reports, acknowledged) = {
            let promises = self.lock();
            ensure!(promises.surprises.is_empty(), "{:#?}", promises.surprises);
            let maps = (&promises.instances, &promises.reports, &promises.acknowledged);
            (maps.0.clone(), maps.1.clone(), maps.2.clone())
        };
        let kept = Kept {
            sent: instances.len(),
            instances: compare_instances(&instances, clinician).await?,
            reports: reports.len(),
            acknowledgements: acknowledged.len(),
        };
        for (id, report) in &reports {
            compare_report(id, report, reader).await?;
        }
        let deliveries = clinician.all("/api/v1/deliveries?stage=acknowledged").await?;
        let there: BTreeSet<&str> = deliveries.iter().filter_map(|it| it["id"].as_str()).collect();
        for id in &acknowledged {
            ensure!(
                there.contains(id.as_str()),
                "delivery {id} was acknowledged and is not any more"
            );
        }
        Ok(kept)
    }

    fn lock(&self) -> MutexGuard<'_, Promises> {
        self.promises.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every acknowledged instance is there once and byte for byte; answers how many.
async fn compare_instances(promised: &BTreeMap<String, Instance>, api: &Api) -> Result<usize> {
    let mut there: BTreeMap<String, (String, String)> = BTreeMap::new();
    for study in api.all("/api/v1/studies").await? {
        let detail = api.get(&format!("/api/v1/studies/{}", text(&study, "id")?)).await?;
        let series = detail["series"].as_array().context("series")?;
        for instance in series.iter().filter_map(|it| it["instances"].as_array()).flatten() {
            let entry = (text(instance, "id")?, text(instance, "sha256")?);
            let before = there.insert(text(instance, "uid")?, entry);
            ensure!(before.is_none(), "instance {} is there twice", instance["uid"]);
        }
    }
    for uid in there.keys() {
        ensure!(promised.contains_key(uid), "instance {uid} was never sent");
    }
    let mut fetches = JoinSet::new();
    let mut equal = 0;
    for (uid, instance) in promised.iter().filter(|(_, instance)| instance.acknowledged) {
        let (id, claimed) = there.get(uid).with_context(|| format!("LOST: instance {uid}"))?;
        ensure!(*claimed == instance.sha256, "instance {uid}: the row has another hash");
        let (api, id, expected) = (api.clone(), id.clone(), instance.sha256.clone());
        fetches.spawn(async move {
            let bytes = api.bytes(&format!("/api/v1/instances/{id}/dicom?part=dataset")).await?;
            ensure!(sha256(&bytes) == expected, "instance {id}: other bytes than were sent");
            Ok(())
        });
        equal += 1;
        if fetches.len() >= FETCHES
            && let Some(done) = fetches.join_next().await
        {
            done??;
        }
    }
    while let Some(done) = fetches.join_next().await {
        done??;
    }
    Ok(equal)
}

/// A signed report is what it was, and its signature holds.
async fn compare_report(id: &str, promised: &Value, api: &Api) -> Result<()> {
    let now = api
        .get(&format!("/api/v1/reports/{id}"))
        .await
        .with_context(|| format!("LOST: report {id}"))?;
    for member in ["sha256", "signature", "canonical", "number", "report_number", "case"] {
        ensure!(now[member] == promised[member], "report {id}: {member} has changed");
    }
    let canonical = text(&now, "canonical")?;
    ensure!(text(&now, "sha256")? == sha256(canonical.as_bytes()), "report {id}: another text");
    let found = api.get(&format!("/api/v1/reports/{id}/verification")).await?;
    ensure!(found["holds"] == true, "report {id}: {found}");
    Ok(())
}

/// What lies in the tables of a stopped relay beside its blobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shelves {
    /// Rows that name a blob: instances, quarantine, renderings.
    pub rows: usize,
    /// Files of blobs.
    pub files: usize,
}

impl Shelves {
    /// Compares rows and files of a relay that does not run: each row has its whole file and each file its row, nothing is
    /// half-made, and nothing was done twice.
    pub async fn inspect(database: &str, blobs: &Path) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let mut db = AnyConnection::connect(database).await.context("the database of the relay")?;
        let mut named: BTreeMap<String, u64> = BTreeMap::new();
        for query in BLOBS {
            for row in sqlx::query(query).fetch_all(&mut db).await? {
                let (id, bytes): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
                let before = named.insert(id.replace('-', ""), u64::try_from(bytes)?);
                ensure!(before.is_none(), "two rows name the blob {id}");
            }
        }
        for (what, query) in DOUBLES {
            let found = sqlx::query(query).fetch_all(&mut db).await?;
            ensure!(found.is_empty(), "{what}: {} times", found.len());
        }
        db.close().await?;
        let mut files = 0;
        for path in files_below(blobs)? {
            let name = path.file_name().and_then(|name| name.to_str()).context("a name")?;
            let length = path.metadata()?.len();
            match named.remove(name) {
                Some(bytes) if bytes == length => files += 1,
                Some(bytes) => bail!("blob {name} has {length} bytes, its row says {bytes}"),
                None => bail!("ORPHAN: {} has no row", path.display()),
            }
        }
        ensure!(named.is_empty(), "LOST: rows without bytes: {:?}", named.keys());
        Ok(Self { rows: files, files })
    }
}

/// Name and length of every blob that a row refers to.
const BLOBS: [&str; 3] = [
    "SELECT id, bytes + data_offset FROM instances",
    "SELECT id, bytes + data_offset FROM quarantine",
    "SELECT blob_id, bytes FROM renderings",
];

/// What would be a thing done twice.
const DOUBLES: [(&str, &str); 6] = [
    ("a UID is indexed twice", "SELECT uid FROM instances GROUP BY uid HAVING COUNT(*) > 1"),
    ("a study has two cases", "SELECT study_id FROM cases GROUP BY study_id HAVING COUNT(*) > 1"),
    (
        "a case number was given twice",
        "SELECT number FROM cases GROUP BY number HAVING COUNT(*) > 1",
    ),
    (
        "a report number was given twice",
        "SELECT case_id FROM reports GROUP BY case_id, number HAVING COUNT(*) > 1",
    ),
    (
        "a case was signed twice",
        "SELECT case_id FROM reports WHERE kind = 'final' GROUP BY case_id HAVING COUNT(*) > 1",
    ),
    (
        "a report goes to one place twice, or not to both",
        "SELECT r.id FROM reports r LEFT JOIN deliveries d ON d.report_id = r.id GROUP BY r.id \
         HAVING COUNT(d.id) <> 2",
    ),
];

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sqlx::Executor;

    use super::*;

    const TABLES: &str = "CREATE TABLE instances (id TEXT, uid TEXT, bytes BIGINT, data_offset BIGINT); \
        CREATE TABLE quarantine (id TEXT, bytes BIGINT, data_offset BIGINT); \
        CREATE TABLE renderings (blob_id TEXT, bytes BIGINT); \
        CREATE TABLE cases (study_id TEXT, number TEXT); \
        CREATE TABLE reports (id TEXT, case_id TEXT, number BIGINT, kind TEXT); \
        CREATE TABLE deliveries (id TEXT, report_id TEXT); \
        INSERT INTO instances VALUES ('a-b', '1.2', 3, 2);";

    async fn fault(change: &str, file: &str, content: &str) -> Result<String> {
        sqlx::any::install_default_drivers();
        let folder = tempfile::tempdir()?;
        let database = format!("sqlite://{}?mode=rwc", folder.path().join("rows").display());
        let mut db = AnyConnection::connect(&database).await?;
        for statement in [TABLES, change] {
            db.execute(sqlx::AssertSqlSafe(statement.to_owned())).await?;
        }
        db.close().await?;
        let blobs = folder.path().join("blobs/0a");
        fs::create_dir_all(&blobs)?;
        fs::write(blobs.join(file), content)?;
        let found = Shelves::inspect(&database, &folder.path().join("blobs")).await;
        Ok(found.map_or_else(
            |error| format!("{error:#}"),
            |shelves| format!("{} whole", shelves.files),
        ))
    }

    #[tokio::test]
    async fn what_is_wrong_on_the_shelves_is_found() -> Result<()> {
        assert_eq!(fault("", "ab", "12345").await?, "1 whole");
        assert!(fault("", "ab", "1234").await?.contains("has 4 bytes, its row says 5"));
        assert!(fault("", "cd", "12345").await?.contains("ORPHAN"));
        assert!(fault("DELETE FROM instances", "ab", "12345").await?.contains("ORPHAN"));
        let lost = "INSERT INTO renderings VALUES ('cd', 1)";
        assert!(fault(lost, "ab", "12345").await?.contains("LOST"));
        let twice = "INSERT INTO instances VALUES ('c', '1.2', 3, 2)";
        assert!(fault(twice, "ab", "12345").await?.contains("indexed twice"));
        let undelivered = "INSERT INTO reports VALUES ('r', 'c', 1, 'final')";
        assert!(fault(undelivered, "ab", "12345").await?.contains("not to both"));
        Ok(())
    }
}

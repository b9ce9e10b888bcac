//! G4: a volume of 64 MiB fills up, first the one with the blobs, then the one with the database. New images are refused with
//! A700, new objects of the API with 507, nothing acknowledged is lost, reading goes on, and ingest resumes by itself.
//!
//! The volumes are memory file systems that the test mounts, so it needs root.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use medrelay_dicom::association::Prompt;
use medrelay_dicom::association::requestor::Association;
use medrelay_dicom::command::Status;
use medrelay_dicom::phantom::{Modality, PhantomInstance, PhantomSpec};
use medrelay_tests::binary::{Consortium, Site, text};
use medrelay_tests::ledger::Ledger;
use medrelay_tests::storm::{SENTENCE, associate, store, store_noted};
use medrelay_tests::volume::{MIB, Volume};
use serde_json::{Value, json};

/// Size of a volume.
const VOLUME: u64 = 64 * MIB;
/// How soon the right answer must come, and how soon ingest resumes once there is space (G4: 1 s and 5 s).
const ANSWER: Duration = Duration::from_secs(2);
const RECOVERY: Duration = Duration::from_secs(5);

/// A relay with something in it, and what the reading side is to see all the time.
struct Scene {
    // Dropped first, before the volumes under it.
    site: Site,
    people: Consortium,
    ledger: Ledger,
    association: Association<Prompt>,
    instance: String,
    report: String,
    sent: u64,
}

impl Scene {
    async fn set(mut site: Site) -> Result<Self> {
        site.start().await?;
        let people = Consortium::found(&site, None).await?;
        let ledger = Ledger::default();
        let mut association = associate(site.ports().dimse).await?;
        for instance in PhantomSpec::tiny(3, 1).iter() {
            let reply = store_noted(&mut association, &instance, &ledger).await?;
            ensure!(reply.status == Status::SUCCESS, "{reply:?}");
        }
        let case = wait_for_case(&people).await?;
        let report = sign(&people, &case, &ledger).await?;
        let study = people.clinician.all("/api/v1/studies").await?.remove(0);
        let detail =
            people.clinician.get(&format!("/api/v1/studies/{}", text(&study, "id")?)).await?;
        let instance = text(&detail["series"][0]["instances"][0], "id")?;
        Ok(Self { site, people, ledger, association, instance, report, sent: 0 })
    }

    /// A slice that was not sent before.
    fn slice(&mut self, side: u16) -> PhantomInstance {
        self.sent += 1;
        let spec = PhantomSpec::new(Modality::Ct, 1_000 + self.sent);
        PhantomSpec { instances: 1, rows: side, columns: side, ..spec }.instance(0, 0)
    }

    /// Adds the relay's own words to an error.
    fn told<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.with_context(|| format!("the relay says:\n{}", self.site.log()))
    }

    /// Sends slices until one is refused, which must be with A700 and at once.
    async fn send_until_refused(&mut self, side: u16) -> Result<()> {
        for _ in 0..2_000 {
            let slice = self.slice(side);
            let begun = Instant::now();
            let reply = store_noted(&mut self.association, &slice, &self.ledger).await?;
            if reply.status == Status::SUCCESS {
                continue;
            }
            ensure!(reply.status == Status::OUT_OF_RESOURCES, "not A700 but {reply:?}");
            ensure!(begun.elapsed() < ANSWER, "A700 only after {:?}", begun.elapsed());
            return Ok(());
        }
        anyhow::bail!("the volume never became full");
    }

    /// What can be read without an entry in the trail, or has one already.
    async fn look(&self) -> Result<()> {
        let clinician = &self.people.clinician;
        clinician.bytes(&format!("/api/v1/instances/{}/dicom", self.instance)).await?;
        clinician.all("/api/v1/studies").await?;
        self.people.reader.get("/api/v1/queue").await?;
        clinician.all("/api/v1/inbox").await?;
        Ok(())
    }

    /// The reading side: an instance's bytes, the queue, a study, the signed report and its check.
    async fn read(&self) -> Result<()> {
        self.look().await?;
        let reader = &self.people.reader;
        reader.get(&format!("/api/v1/reports/{}", self.report)).await?;
        let found = reader.get(&format!("/api/v1/reports/{}/verification", self.report)).await?;
        ensure!(found["holds"] == true, "{found}");
        Ok(())
    }

    /// A creating call of the API; answers the status.
    async fn order(&self) -> Result<(u16, Value)> {
        let body = json!({
            "clinic": self.people.clinic, "patient_id": "P1", "patient_name": "Zhang^San=张^三", "modality": "CT",
            "priority": "routine", "history": "咳嗽三天".repeat(2_000), "question": "?",
        });
        self.people.clinician.call("POST", "/api/v1/orders", Some(&body)).await
    }

    /// Orders until one is refused: a log that was written before has room for some.
    async fn order_until_refused(&self) -> Result<(u16, Value)> {
        let mut answer = self.order().await?;
        for _ in 0..200 {
            if answer.0 != 201 {
                break;
            }
            answer = self.order().await?;
        }
        Ok(answer)
    }

    /// Waits until a slice is stored again, and checks that everything promised is still there.
    async fn recover(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        loop {
            let slice = self.slice(64);
            let reply = store_noted(&mut self.association, &slice, &self.ledger).await?;
            if reply.status == Status::SUCCESS {
                break;
            }
            ensure!(begun.elapsed() < RECOVERY, "still {reply:?} after {:?}", begun.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let recovered = begun.elapsed();
        ensure!(self.site.is_running(), "the relay has ended: {}", self.site.log());
        self.ledger.compare(&self.people.clinician, &self.people.reader).await?;
        Ok(recovered)
    }

    async fn end(mut self) -> Result<()> {
        self.association.release().await?;
        self.site.stop().await?;
        self.site.command(&["audit", "verify"])?;
        Ok(())
    }
}

async fn wait_for_case(people: &Consortium) -> Result<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let queue = people.reader.get("/api/v1/queue").await?;
        if let Some(case) = queue["items"][0]["case"]["id"].as_str() {
            return Ok(case.to_owned());
        }
        ensure!(Instant::now() < deadline, "the study did not become a case");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn sign(people: &Consortium, case: &str, ledger: &Ledger) -> Result<String> {
    let claim = people.reader.post(&format!("/api/v1/cases/{case}/claim"), json!({})).await?;
    let held = json!({
        "proof": { "token": claim["token"], "fence": claim["fence"] },
        "text": { "findings": SENTENCE, "impression": SENTENCE, "recommendation": "" },
    });
    let report = people.reader.post(&format!("/api/v1/cases/{case}/sign"), held).await?;
    ledger.signed(&report);
    text(&report, "id")
}

const QUICK: (&str, &str) = ("study.quiet_seconds", "ct = 1\nother = 1");
const RESERVE: (&str, &str) = ("disk", "reserve_mib = 16");

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_of_blobs_stops_ingest_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let volume = Volume::mount(folder.path().to_owned(), VOLUME)?;
    let url = format!("url = \"file://{}\"", volume.path().join("blobs").display());
    let mut scene = Scene::set(Site::new(&[QUICK, RESERVE, ("blobs", &url)])?).await?;
    volume.fill("ballast", 40 * MIB)?;
    // The reserve is guarded before anything is written; what comes between two looks at it may eat some of it.
    scene.send_until_refused(512).await?;
    ensure!(volume.free()? > 4 * MIB, "the reserve was eaten: {} left", volume.free()?);
    scene.read().await?;
    // Somebody else eats the reserve too, to the last byte.
    volume.fill("rest", 0)?;
    scene.send_until_refused(64).await?;
    scene.read().await?;
    volume.remove("rest")?;
    volume.remove("ballast")?;
    let recovered = scene.recover().await?;
    println!("G4 blobs: ingest resumed after {recovered:?}");
    // One object that is larger than what is left: found out while it is being written.
    volume.fill("rest", 20 * MIB)?;
    let huge = oversized(scene.slice(8), 30 * MIB);
    let reply = store(&mut scene.association, &huge).await?;
    ensure!(reply.status == Status::OUT_OF_RESOURCES, "{reply:?}");
    scene.read().await?;
    volume.remove("rest")?;
    let recovered = scene.recover().await?;
    println!("G4 blobs: after an object too large ingest resumed after {recovered:?}");
    scene.end().await
}

/// The same instance with pixels of `bytes` bytes.
fn oversized(mut instance: PhantomInstance, bytes: u64) -> PhantomInstance {
    // The last element is the pixel data: tag, VR, two reserved bytes, length, 8 x 8 values of two bytes.
    let head = instance.data_set.len() - 8 * 8 * 2 - 4;
    instance.data_set.truncate(head);
    instance.data_set.extend_from_slice(&(bytes as u32).to_le_bytes());
    instance.data_set.resize(instance.data_set.len() + bytes as usize, 0);
    instance
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_of_the_database_refuses_what_is_new_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let volume = Volume::mount(folder.path().to_owned(), VOLUME)?;
    let url = format!("url = \"sqlite://{}\"", volume.path().join("medrelay.sqlite").display());
    let mut scene = Scene::set(Site::new(&[QUICK, RESERVE, ("database", &url)])?).await?;
    let outcome = fill_database(&mut scene, &volume).await;
    scene.told(outcome)?;
    scene.end().await
}

async fn fill_database(scene: &mut Scene, volume: &Volume) -> Result<()> {
    // Below the reserve new images are refused; reading, which is written down in the trail, and typing go on.
    volume.fill("rest", 8 * MIB)?;
    scene.send_until_refused(64).await?;
    scene.read().await?;
    let (status, order) = scene.order().await?;
    ensure!(status == 201, "not 201 but {status} {order}");
    // Somebody else takes the reserve too, to the last byte: now nothing can be written down any more.
    volume.fill("last", 0)?;
    scene.send_until_refused(64).await?;
    let (status, problem) = scene.order_until_refused().await?;
    ensure!(status == 507, "not 507 but {status} {problem}");
    scene.look().await?;
    volume.remove("last")?;
    volume.remove("rest")?;
    let recovered = scene.recover().await?;
    println!("G4 database: ingest resumed after {recovered:?}");
    let (status, order) = scene.order().await?;
    ensure!(status == 201, "not 201 but {status} {order}");
    Ok(())
}

//! The spool's promises: nothing acknowledged is lost, nothing odd is sent unasked, nothing is
//! deleted before the relay's receipt.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use medrelay_client::spool::{
    Flag, Retention, Spool, SpoolError, SpoolSettings, StudyState, Taken,
};
use medrelay_core::time::{ManualClock, SeededEntropy, Span, Timestamp};
use medrelay_core::transfer::message::{Item, ItemKind};
use medrelay_core::transfer::{Outcome, RefusalCode, Urgency};
use medrelay_dicom::phantom::{Modality, PhantomInstance, PhantomPatient, PhantomSpec};

struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    settings: SpoolSettings,
}

impl Bench {
    fn new() -> Result<Self> {
        let settings = SpoolSettings { reserve_bytes: 0, ..SpoolSettings::default() };
        let start = Timestamp::from_micros(1_800_000_000_000_000);
        let clock = Arc::new(ManualClock::new(start));
        Ok(Self { folder: tempfile::tempdir()?, clock, settings })
    }

    async fn open(&self) -> Result<Spool> {
        let seed = u64::try_from(self.clock.now_micros())?;
        let entropy = Arc::new(SeededEntropy::new(seed));
        let clock = self.clock.clone();
        Ok(Spool::open(self.folder.path(), self.settings.clone(), clock, entropy).await?)
    }

    fn pass(&self, span: Span) {
        self.clock.advance(span);
    }
}

trait NowMicros {
    fn now_micros(&self) -> i64;
}

impl NowMicros for ManualClock {
    fn now_micros(&self) -> i64 {
        medrelay_core::time::Clock::now(self).micros()
    }
}

async fn put(spool: &Spool, instance: &PhantomInstance) -> Result<Taken, SpoolError> {
    put_as(spool, instance, Urgency::Routine).await
}

async fn put_as(
    spool: &Spool,
    instance: &PhantomInstance,
    urgency: Urgency,
) -> Result<Taken, SpoolError> {
    let mut arrival = spool
        .receive(
            Some(instance.sop_class.clone()),
            Some(instance.sop_instance.clone()),
            instance.transfer_syntax.clone(),
            None,
            urgency,
        )
        .await?;
    for piece in instance.data_set.chunks(700) {
        arrival.write(bytes::Bytes::copy_from_slice(piece)).await?;
    }
    arrival.finish().await
}

fn files(root: &Path) -> Result<usize> {
    let mut count = 0;
    for shard in std::fs::read_dir(root.join("objects"))? {
        let shard = shard?.path();
        if shard.is_dir() {
            count += std::fs::read_dir(shard)?.count();
        }
    }
    Ok(count)
}

#[tokio::test]
async fn a_study_is_offered_when_it_has_settled_in_the_order_of_its_images() -> Result<()> {
    let bench = Bench::new()?;
    let spool = bench.open().await?;
    let study: Vec<PhantomInstance> = PhantomSpec::tiny(12, 1).iter().collect();
    for instance in study.iter().rev() {
        ensure!(matches!(put(&spool, instance).await?, Taken::Fresh { study: 1 }));
    }
    ensure!(spool.settle(false).await?.is_some(), "it still gathers");
    ensure!(spool.open_offers().await?.is_empty());
    bench.pass(Span::from_secs(6));
    ensure!(spool.settle(false).await?.is_none());
    let offers = spool.open_offers().await?;
    ensure!(offers.len() == 1 && offers[0].entries.len() == 12);
    for (index, (entry, instance)) in offers[0].entries.iter().zip(&study).enumerate() {
        ensure!(entry.sop_instance == instance.sop_instance, "entry {index}");
        ensure!(entry.bytes == instance.data_set.len() as u64);
        let place = spool.place(offers[0].key, u32::try_from(index)?).await?;
        let kept = std::fs::read(&place.path)?;
        ensure!(kept[usize::try_from(place.data_offset)?..] == instance.data_set);
    }
    // One more slice after the offer is a further offer.
    let late = PhantomSpec::tiny(13, 1).instance(0, 12);
    put(&spool, &late).await?;
    ensure!(spool.line(1).await?.state == StudyState::Gathering);
    bench.pass(Span::from_secs(6));
    spool.settle(false).await?;
    let offers = spool.open_offers().await?;
    ensure!(offers.len() == 2 && offers[1].entries.len() == 1);
    Ok(())
}

#[tokio::test]
async fn everything_survives_a_crash_and_left_overs_are_swept() -> Result<()> {
    let bench = Bench::new()?;
    let spool = bench.open().await?;
    let study: Vec<PhantomInstance> = PhantomSpec::tiny(5, 2).iter().collect();
    for instance in &study {
        put(&spool, instance).await?;
    }
    let mut half =
        spool.receive(None, None, study[0].transfer_syntax.clone(), None, Urgency::Routine).await?;
    half.write(bytes::Bytes::from_static(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 192")).await?;
    // What a power cut leaves of it; the process that held the spool is gone with it.
    let incoming = bench.folder.path().join("incoming");
    let left = std::fs::read_dir(&incoming)?.next().context("a file that is coming in")??.path();
    std::fs::copy(left, incoming.join("left-over"))?;
    drop(half);
    let shard = std::fs::read_dir(bench.folder.path().join("objects"))?
        .filter_map(Result::ok)
        .find(|entry| entry.path().is_dir())
        .map(|entry| entry.path());
    let orphan = shard.map(|shard| shard.join("0190a5c0-0000-7000-8000-0000000000ff.dcm"));
    let orphan = orphan.context("no folder of objects")?;
    std::fs::write(&orphan, b"a file without a row")?;
    std::fs::write(bench.folder.path().join("objects/notes.txt"), b"somebody else's")?;
    spool.close().await;
    drop(spool);
    bench.pass(Span::from_secs(60));
    let spool = bench.open().await?;
    ensure!(spool.is_owner());
    ensure!(!orphan.exists() && files(bench.folder.path())? == 5);
    ensure!(std::fs::read_dir(&incoming)?.next().is_none());
    spool.settle(false).await?;
    ensure!(spool.open_offers().await?[0].entries.len() == 5);
    // A second process may look, and does not sweep.
    let guest = bench.open().await?;
    ensure!(!guest.is_owner());
    ensure!(guest.lines(10).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn what_looks_wrong_waits_for_a_person() -> Result<()> {
    let bench = Bench::new()?;
    let spool = bench.open().await?;
    let spec = PhantomSpec::tiny(4, 3);
    let study: Vec<PhantomInstance> = spec.iter().collect();
    ensure!(matches!(put(&spool, &study[0]).await?, Taken::Fresh { .. }));
    ensure!(matches!(put(&spool, &study[0]).await?, Taken::Same { .. }));

    // The same UID with other bytes.
    let mut other = study[0].clone();
    let last = other.data_set.len() - 1;
    other.data_set[last] ^= 1;
    ensure!(matches!(put(&spool, &other).await?, Taken::Flagged { flag: Flag::OtherContent, .. }));

    // Another patient under the same study.
    let patient = PhantomPatient::sample(5);
    let stranger =
        PhantomSpec { patient, study: Some(spec.study_uid()), ..PhantomSpec::tiny(4, 4) };
    let strange = stranger.instance(0, 2);
    ensure!(matches!(
        put(&spool, &strange).await?,
        Taken::Flagged { flag: Flag::OtherPatient, .. }
    ));

    // A picture of one single shade.
    let mut blank = study[1].clone();
    let pixels = blank.data_set.len() - 8 * 8 * 2;
    blank.data_set[pixels..].fill(0);
    ensure!(matches!(put(&spool, &blank).await?, Taken::Flagged { flag: Flag::BlankPixels, .. }));

    bench.pass(Span::from_secs(6));
    spool.settle(false).await?;
    ensure!(spool.open_offers().await?.is_empty(), "nothing goes before somebody has looked");
    ensure!(spool.line(1).await?.state == StudyState::Held);
    ensure!(spool.flagged().await?.len() == 3);

    ensure!(spool.leave_out_flagged(1).await? == 3);
    let offers = spool.open_offers().await?;
    ensure!(offers.len() == 1 && offers[0].entries.len() == 1);
    ensure!(matches!(spool.leave_out_flagged(1).await, Err(SpoolError::Unknown)));
    Ok(())
}

#[tokio::test]
async fn two_contents_that_somebody_approves_go_in_offers_of_their_own() -> Result<()> {
    let bench = Bench::new()?;
    let spool = bench.open().await?;
    let first = PhantomSpec::tiny(1, 5).instance(0, 0);
    let mut second = first.clone();
    let last = second.data_set.len() - 1;
    second.data_set[last] ^= 1;
    put(&spool, &first).await?;
    put(&spool, &second).await?;
    spool.send_flagged(1).await?;
    let offers = spool.open_offers().await?;
    ensure!(offers.len() == 2 && offers.iter().all(|offer| offer.entries.len() == 1));
    ensure!(offers[0].entries[0].sha256 != offers[1].entries[0].sha256);
    Ok(())
}

#[tokio::test]
async fn images_without_pixels_and_other_objects_are_told_apart() -> Result<()> {
    let bench = Bench::new()?;
    let spool = bench.open().await?;
    let whole = PhantomSpec::tiny(1, 6).instance(0, 0);
    // The pixel data element is the last one: 12 bytes of head, then the pixels.
    let mut empty = whole.clone();
    empty.data_set.truncate(whole.data_set.len() - 8 * 8 * 2 - 12);
    ensure!(matches!(put(&spool, &empty).await?, Taken::Flagged { flag: Flag::NoPixels, .. }));
    let clip = PhantomSpec { rows: 32, columns: 32, ..PhantomSpec::new(Modality::Us, 7) };
    ensure!(matches!(put(&spool, &clip.instance(0, 0)).await?, Taken::Fresh { .. }));
    Ok(())
}

#[tokio::test]
async fn a_full_spool_refuses_and_only_committed_files_make_room() -> Result<()> {
    let mut bench = Bench::new()?;
    bench.settings.max_bytes = 6_000;
    bench.settings.retention = Retention::WhenNeeded;
    let spool = bench.open().await?;
    let study: Vec<PhantomInstance> = PhantomSpec::tiny(9, 8).iter().collect();
    let mut taken = 0;
    for instance in &study {
        match put(&spool, instance).await {
            Ok(_) => taken += 1,
            Err(SpoolError::Full) => break,
            Err(error) => return Err(error.into()),
        }
    }
    ensure!((1..9).contains(&taken), "{taken} fitted");
    spool.settle(true).await?;
    let offer = spool.open_offers().await?.remove(0);
    spool.entries_stored(offer.key, &[(0, Outcome::Stored)]).await?;
    ensure!(
        matches!(put(&spool, &study[8]).await, Err(SpoolError::Full)),
        "stored is not committed: nothing may go"
    );
    spool.offer_committed(offer.key, b"receipt", b"signature", &[]).await?;
    bench.pass(Span::from_secs(1));
    ensure!(matches!(put(&spool, &study[8]).await?, Taken::Fresh { .. }));
    ensure!(files(bench.folder.path())? == 1);
    // What was sent and deleted is known all the same.
    ensure!(matches!(put(&spool, &study[0]).await?, Taken::Same { .. }));
    Ok(())
}

#[tokio::test]
async fn files_go_by_the_policy_and_never_while_something_was_put_aside() -> Result<()> {
    let mut bench = Bench::new()?;
    bench.settings.retention = Retention::After(Span::from_hours(24));
    let spool = bench.open().await?;
    for seed in [9, 10] {
        for instance in PhantomSpec::tiny(3, seed).iter() {
            put(&spool, &instance).await?;
        }
    }
    spool.settle(true).await?;
    let offers = spool.open_offers().await?;
    spool.offer_committed(offers[0].key, b"r", b"s", &[]).await?;
    spool.offer_committed(offers[1].key, b"r", b"s", &[1]).await?;
    ensure!(spool.delete_due().await? == 0, "its time is not over");
    bench.pass(Span::from_hours(25));
    ensure!(spool.delete_due().await? > 0);
    ensure!(files(bench.folder.path())? == 3, "the study with an image aside stays");
    ensure!(spool.line(2).await?.aside == 1);
    let numbers = spool.numbers(spool.now() - Span::from_hours(48)).await?;
    ensure!((numbers.waiting, numbers.done_today) == (0, 2));
    Ok(())
}

#[tokio::test]
async fn refusals_stat_and_what_comes_back_are_kept() -> Result<()> {
    let bench = Bench::new()?;
    let spool = bench.open().await?;
    for (seed, urgency) in [(11, Urgency::Routine), (12, Urgency::Stat)] {
        put_as(&spool, &PhantomSpec::tiny(1, seed).instance(0, 0), urgency).await?;
        bench.pass(Span::from_secs(1));
    }
    spool.settle(true).await?;
    let offers = spool.open_offers().await?;
    ensure!(offers[0].urgency == Urgency::Stat, "STAT first");
    spool.set_urgency(1, Urgency::Stat).await?;
    ensure!(spool.open_offers().await?[0].since < offers[0].since, "then the older");
    spool.entry_refused(offers[0].key, None, RefusalCode::OtherClinic, "no").await?;
    ensure!(spool.line(2).await?.state == StudyState::Refused);
    spool.note_problem("link", None, "no route").await?;
    spool.note_problem("link", None, "no route").await?;
    let problem = spool.last_problem().await?.context("no problem")?;
    ensure!((problem.code.as_str(), problem.times) == ("link", 2));

    let item = Item {
        id: "message:1".to_owned(),
        kind: ItemKind::ReturnRequest,
        at: spool.now(),
        study_uid: String::new(),
        case_number: "IMG-2026-000001".to_owned(),
        code: "POSITIONING".to_owned(),
        text: "请重照侧位".to_owned(),
        attachment: None,
    };
    spool.keep_item(&item).await?;
    spool.keep_item(&item).await?;
    let items = spool.items(10).await?;
    ensure!(items.len() == 1 && items[0].kind == "return_request" && !items[0].seen);
    Ok(())
}

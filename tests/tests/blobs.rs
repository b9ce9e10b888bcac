//! The contract of the blob store, told once and held by both back-ends: a directory, and a bucket on a real S3 server.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use medrelay::blobs::{BlobError, BlobKey, BlobReader, Blobs, BucketSettings, Upload};
use medrelay_tests::objects3::{S3Bucket, S3Server};
use medrelay_tests::process::{free_port, run};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const MIB: usize = 1024 * 1024;

/// A store and the folder where its bytes wait.
struct Place {
    blobs: Blobs,
    incoming: PathBuf,
    _folder: TempDir,
}

impl Place {
    async fn directory() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = folder.path().join("blobs");
        Ok(Self {
            blobs: Blobs::directory(&root)?,
            incoming: root.join("incoming"),
            _folder: folder,
        })
    }

    async fn bucket() -> Result<Self> {
        Self::in_bucket(S3Server::bucket().await?)
    }

    fn in_bucket(bucket: S3Bucket) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let incoming = folder.path().join("spool");
        let blobs = Blobs::bucket(settings(bucket, &incoming))?;
        Ok(Self { blobs, incoming, _folder: folder })
    }

    fn waiting(&self) -> Result<usize> {
        Ok(fs::read_dir(&self.incoming)?.count())
    }
}

fn settings(bucket: S3Bucket, spool: &Path) -> BucketSettings {
    BucketSettings {
        bucket: bucket.name,
        prefix: "county".into(),
        endpoint: Some(bucket.endpoint),
        region: bucket.region,
        access_key: bucket.access_key,
        secret_key: bucket.secret_key,
        allow_http: true,
        spool: spool.to_owned(),
    }
}

/// Every test of the contract, once per back-end.
macro_rules! contract {
    ($($name:ident)*) => {
        mod directory {
            $(#[tokio::test]
            async fn $name() -> anyhow::Result<()> {
                super::$name(super::Place::directory().await?).await
            })*
        }
        mod bucket {
            $(#[tokio::test]
            async fn $name() -> anyhow::Result<()> {
                super::$name(super::Place::bucket().await?).await
            })*
        }
    };
}

contract! {
    what_is_written_is_read
    ranges_end_where_the_blob_ends
    the_hash_begins_where_it_is_told
    an_empty_blob_is_a_blob
    nothing_shows_before_the_commit
    a_blob_that_is_not_there_is_not_found
    a_key_is_written_once
    many_at_once_under_one_key
    a_big_blob_in_small_pieces
    abandoned_uploads_leave_nothing
    the_list_names_every_blob_and_nothing_else
    leftovers_of_a_crash_are_swept
    a_healthy_store_passes_its_probe
}

async fn what_is_written_is_read(place: Place) -> Result<()> {
    let bytes = noise(700_000);
    let committed = place.blobs.put(&key(1), bytes.clone()).await?;
    assert_eq!((committed.bytes, committed.sha256.as_str()), (700_000, sha256(&bytes).as_str()));
    assert!(place.blobs.exists(&key(1)).await?);
    assert_eq!(place.blobs.read_all(&key(1), 700_000).await?, bytes);
    assert_eq!(place.blobs.digest(&key(1), 0).await?, sha256(&bytes));
    let refused = place.blobs.read_all(&key(1), 699_999).await;
    assert!(matches!(refused, Err(BlobError::TooLarge { limit: 699_999 })));

    place.blobs.delete(&key(1)).await?;
    assert!(!place.blobs.exists(&key(1)).await?);
    place.blobs.delete(&key(1)).await.context("deleting twice is success")?;
    assert_eq!(place.waiting()?, 0);
    Ok(())
}

async fn ranges_end_where_the_blob_ends(place: Place) -> Result<()> {
    let bytes = noise(600_000);
    place.blobs.put(&key(2), bytes.clone()).await?;
    for (offset, length) in [
        (0, 1),
        (0, 600_000),
        (262_143, 2),
        (1, 524_288),
        (599_999, 1),
        (599_999, 100),
        (300_000, u64::MAX),
        (600_000, 1),
        (700_000, 10),
        (u64::MAX, 1),
        (5, 0),
    ] {
        let reader = place.blobs.range(&key(2), offset, length).await?;
        let from = usize::try_from(offset)?.min(bytes.len());
        let to = from.saturating_add(usize::try_from(length)?).min(bytes.len());
        assert_eq!(reader.length(), (to - from) as u64, "{offset}+{length}");
        assert_eq!(drain(reader).await?, bytes[from..to], "{offset}+{length}");
    }
    Ok(())
}

async fn the_hash_begins_where_it_is_told(place: Place) -> Result<()> {
    let (header, body) = (noise(132), noise(400_000));
    let mut upload = place.blobs.create(&key(3)).await?;
    upload.write(header.clone()).await?;
    upload.start_hash();
    upload.write(body.clone()).await?;
    let committed = upload.commit().await?;
    assert_eq!((committed.bytes, committed.sha256), (400_132, sha256(&body)));
    assert_eq!(
        place.blobs.digest(&key(3), 132).await?,
        sha256(&body),
        "read back behind the header"
    );
    assert_eq!(place.blobs.read_all(&key(3), 500_000).await?, [header, body].concat());
    Ok(())
}

async fn an_empty_blob_is_a_blob(place: Place) -> Result<()> {
    let committed = place.blobs.create(&key(4)).await?.commit().await?;
    assert_eq!((committed.bytes, committed.sha256), (0, sha256(b"")));
    assert!(place.blobs.exists(&key(4)).await?);
    assert_eq!(place.blobs.read_all(&key(4), 0).await?, Bytes::new());
    Ok(())
}

async fn nothing_shows_before_the_commit(place: Place) -> Result<()> {
    let mut upload = place.blobs.create(&key(5)).await?;
    upload.write(noise(MIB)).await?;
    assert!(!place.blobs.exists(&key(5)).await?);
    assert!(matches!(place.blobs.open(&key(5)).await, Err(BlobError::NotFound)));
    assert_eq!(keys(&place.blobs).await?, []);
    upload.commit().await?;
    assert_eq!(keys(&place.blobs).await?, [key(5)]);
    Ok(())
}

async fn a_blob_that_is_not_there_is_not_found(place: Place) -> Result<()> {
    assert!(!place.blobs.exists(&key(6)).await?);
    assert!(matches!(place.blobs.open(&key(6)).await, Err(BlobError::NotFound)));
    assert!(matches!(place.blobs.range(&key(6), 5, 0).await, Err(BlobError::NotFound)));
    assert!(matches!(place.blobs.read_all(&key(6), 1).await, Err(BlobError::NotFound)));
    Ok(())
}

async fn a_key_is_written_once(place: Place) -> Result<()> {
    let bytes = noise(300_000);
    let first = place.blobs.put(&key(7), bytes.clone()).await?;
    assert_eq!(
        place.blobs.put(&key(7), bytes.clone()).await?,
        first,
        "the same bytes again are success"
    );
    let mut other = bytes.to_vec();
    other[299_999] ^= 1;
    for different in [Bytes::from(other), Bytes::new(), noise(17 * MIB)] {
        let outcome = place.blobs.put(&key(7), different).await;
        assert!(matches!(outcome, Err(BlobError::Exists)), "{outcome:?}");
    }
    assert_eq!(place.blobs.read_all(&key(7), 300_000).await?, bytes, "never overwritten");
    assert_eq!(place.waiting()?, 0);
    Ok(())
}

async fn many_at_once_under_one_key(place: Place) -> Result<()> {
    let mut uploads = tokio::task::JoinSet::new();
    for number in 0..8u8 {
        let blobs = place.blobs.clone();
        uploads
            .spawn(async move { (number, blobs.put(&key(8), vec![number; 300_000].into()).await) });
    }
    let mut winners = Vec::new();
    for (number, outcome) in uploads.join_all().await {
        match outcome {
            Ok(_) => winners.push(number),
            Err(BlobError::Exists) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let [winner] = winners[..] else { bail!("one upload wins, not {winners:?}") };
    assert_eq!(place.blobs.read_all(&key(8), 300_000).await?, vec![winner; 300_000]);
    assert_eq!(place.waiting()?, 0);
    Ok(())
}

async fn a_big_blob_in_small_pieces(place: Place) -> Result<()> {
    let bytes = noise(40 * MIB + 12_345);
    let mut upload = place.blobs.create(&key(9)).await?;
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        upload.write(rest.split_to(rest.len().min(16_372))).await?;
    }
    assert_eq!(upload.commit().await?.sha256, sha256(&bytes));
    assert_eq!(sha256(&drain(place.blobs.open(&key(9)).await?).await?), sha256(&bytes));
    assert_eq!(
        place.blobs.put(&key(9), bytes).await?.bytes,
        41_955_385,
        "the same bytes again are success"
    );
    Ok(())
}

async fn abandoned_uploads_leave_nothing(place: Place) -> Result<()> {
    let mut upload = place.blobs.create(&key(10)).await?;
    upload.write(noise(MIB)).await?;
    upload.abandon().await;
    assert_eq!(place.waiting()?, 0, "abandoned");

    let mut upload = place.blobs.create(&key(10)).await?;
    upload.write(noise(MIB)).await?;
    wait_for_file(&place.incoming, 1).await?;
    drop(upload);
    wait_for_file(&place.incoming, 0).await.context("dropped")?;
    assert!(!place.blobs.exists(&key(10)).await?);
    Ok(())
}

async fn the_list_names_every_blob_and_nothing_else(place: Place) -> Result<()> {
    let mut expected: Vec<BlobKey> = (0..40).map(|number| key(number * 7)).collect();
    for key in &expected {
        place.blobs.put(key, Bytes::from_static(b"x")).await?;
    }
    place.blobs.probe().await?;
    let pending: Upload = place.blobs.create(&key(9_999)).await?;
    expected.sort();
    assert_eq!(keys(&place.blobs).await?, expected);
    pending.abandon().await;
    Ok(())
}

async fn leftovers_of_a_crash_are_swept(place: Place) -> Result<()> {
    place.blobs.put(&key(11), Bytes::from_static(b"kept")).await?;
    fs::write(place.incoming.join("0190a5c0000070008000000000000a1f.77.0"), noise(1000))?;
    fs::write(place.incoming.join("probe.77.1"), b"")?;
    let century = Duration::from_secs(100 * 365 * 86_400);
    assert_eq!(place.blobs.sweep_incoming(SystemTime::UNIX_EPOCH).await?, 0, "too young");
    assert_eq!(place.blobs.sweep_incoming(SystemTime::UNIX_EPOCH + century).await?, 2);
    assert_eq!(place.waiting()?, 0);
    assert_eq!(place.blobs.read_all(&key(11), 4).await?, &b"kept"[..]);
    Ok(())
}

async fn a_healthy_store_passes_its_probe(place: Place) -> Result<()> {
    place.blobs.probe().await?;
    assert_eq!(place.waiting()?, 0);
    assert_eq!(keys(&place.blobs).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_full_volume_says_so_and_recovers() -> Result<()> {
    let volume = SmallVolume::mount(8)?;
    let blobs = Blobs::directory(&volume.0.path().join("blobs"))?;
    let free = blobs.free_bytes().await.context("a directory knows its free space")?;
    ensure!(free > 7 * MIB as u64 && free <= 8 * MIB as u64, "{free} bytes free of 8 MiB");
    blobs.put(&key(1), noise(3 * MIB)).await?;
    blobs.put(&key(2), noise(3 * MIB)).await?;

    for pieces in [1, 64] {
        let outcome = write_in_pieces(&blobs, &key(3), &noise(4 * MIB), pieces).await;
        assert!(matches!(outcome, Err(BlobError::OutOfSpace)), "{outcome:?}");
    }
    wait_for_file(&volume.0.path().join("blobs/incoming"), 0).await?;
    assert!(!blobs.exists(&key(3)).await?);
    assert_eq!(blobs.read_all(&key(1), u64::MAX).await?, noise(3 * MIB), "reads go on");

    blobs.delete(&key(1)).await?;
    blobs.put(&key(3), noise(4 * MIB)).await.context("ingest resumes by itself")?;
    Ok(())
}

#[tokio::test]
async fn a_full_spool_of_a_bucket_says_so() -> Result<()> {
    let volume = SmallVolume::mount(2)?;
    let blobs = Blobs::bucket(settings(S3Server::bucket().await?, &volume.0.path().join("spool")))?;
    let outcome = blobs.put(&key(1), noise(4 * MIB)).await;
    assert!(matches!(outcome, Err(BlobError::OutOfSpace)), "{outcome:?}");
    blobs.put(&key(1), noise(MIB)).await?;
    Ok(())
}

#[tokio::test]
async fn a_bucket_out_of_reach_is_unavailable_in_time() -> Result<()> {
    let bucket = S3Bucket {
        endpoint: format!("http://127.0.0.1:{}", free_port()?),
        name: "nowhere".into(),
        region: "us-east-1".into(),
        access_key: "test".into(),
        secret_key: "test".into(),
    };
    let place = Place::in_bucket(bucket)?;
    let begun = Instant::now();
    let outcomes = [
        place.blobs.put(&key(1), noise(1000)).await.map(drop),
        place.blobs.put(&key(2), noise(17 * MIB)).await.map(drop),
        place.blobs.open(&key(1)).await.map(drop),
        place.blobs.exists(&key(1)).await.map(drop),
        place.blobs.probe().await,
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(BlobError::Unavailable(_))), "{outcome:?}");
    }
    ensure!(begun.elapsed() < Duration::from_secs(60), "took {:?}", begun.elapsed());
    assert_eq!(place.waiting()?, 0);
    Ok(())
}

#[tokio::test]
async fn a_missing_bucket_is_never_a_missing_blob() -> Result<()> {
    let mut bucket = S3Server::bucket().await?;
    bucket.name = "no-such-bucket".into();
    let place = Place::in_bucket(bucket)?;
    let outcomes = [
        place.blobs.open(&key(1)).await.map(drop),
        place.blobs.put(&key(1), noise(10)).await.map(drop),
        place.blobs.probe().await,
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(BlobError::Unavailable(_))), "{outcome:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_blob_that_lost_bytes_is_damage_not_a_short_success() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let blobs = Blobs::directory(folder.path())?;
    blobs.put(&key(1), noise(MIB)).await?;
    let text = key(1).to_string();
    let path = folder.path().join(&text[30..]).join(&text);
    let mut reader = blobs.open(&key(1)).await?;
    reader.next().await?;
    fs::OpenOptions::new().write(true).open(path)?.set_len(1000)?;
    let mut outcome = Ok(Some(Bytes::new()));
    while let Ok(Some(_)) = outcome {
        outcome = reader.next().await;
    }
    assert!(matches!(outcome, Err(BlobError::Damaged(_))), "{outcome:?}");
    Ok(())
}

#[tokio::test]
async fn no_key_leads_out_of_the_store() -> Result<()> {
    for text in [
        "../../../../etc/passwd/00000000000",
        "..",
        "/etc/passwd",
        "0190a5c000007000800000000000/a1f",
        "",
    ] {
        assert_eq!(BlobKey::parse(text), None);
    }
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("blobs");
    Blobs::directory(&root)?.put(&key(0xa1f), Bytes::from_static(b"x")).await?;
    assert_eq!(names_in(folder.path())?, ["blobs"]);
    assert_eq!(names_in(&root)?, ["1f", "incoming"]);
    assert_eq!(names_in(&root.join("1f"))?, [key(0xa1f).to_string()]);
    Ok(())
}

/// A tmpfs of its own, which a test can fill without harm.
struct SmallVolume(TempDir);

impl SmallVolume {
    fn mount(mebibytes: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "medrelay-test"])
            .arg(folder.path()))
        .context("the full-disk tests mount a small tmpfs, which needs root (CAP_SYS_ADMIN)")?;
        Ok(Self(folder))
    }
}

impl Drop for SmallVolume {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("umount").arg("--lazy").arg(self.0.path())) {
            eprintln!("a small tmpfs stays mounted: {error:#}");
        }
    }
}

async fn write_in_pieces(
    blobs: &Blobs,
    key: &BlobKey,
    bytes: &Bytes,
    pieces: usize,
) -> Result<(), BlobError> {
    let mut upload = blobs.create(key).await?;
    for piece in bytes.chunks(bytes.len() / pieces) {
        upload.write(Bytes::copy_from_slice(piece)).await?;
    }
    upload.commit().await.map(drop)
}

async fn drain(mut reader: BlobReader) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(bytes) = reader.next().await? {
        ensure!(!bytes.is_empty(), "a piece without bytes would look like an end");
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

async fn keys(blobs: &Blobs) -> Result<Vec<BlobKey>> {
    let mut list = blobs.list();
    let mut keys = Vec::new();
    while let Some(key) = list.next().await? {
        keys.push(key);
    }
    keys.sort();
    Ok(keys)
}

/// Waits until `folder` holds `count` files: dropping an upload removes its file on another thread.
async fn wait_for_file(folder: &Path, count: usize) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while fs::read_dir(folder)?.count() != count {
        ensure!(
            Instant::now() < deadline,
            "{} does not come to hold {count} files",
            folder.display()
        );
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(
            entry?
                .file_name()
                .into_string()
                .map_err(|_| ErrorKind::InvalidData)
                .map_err(std::io::Error::from)?,
        );
    }
    names.sort();
    Ok(names)
}

fn key(number: u32) -> BlobKey {
    BlobKey::parse(&format!("0190a5c00000700080000000{number:08x}")).expect("a key")
}

/// Bytes without a pattern that a misplaced block could hide in; the same for the same length.
fn noise(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ length as u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

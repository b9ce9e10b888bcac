//! Watched folders: files that a workstation exports are sent without anybody's doing.
//!
//! The system's notices make it quick; a slow look at everything makes it certain, because network
//! shares give no notices. A file is taken when it has stopped growing, and remembered by its size
//! and time so that it is taken once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use medrelay_core::transfer::Urgency;

use super::config::Watch;
use super::import::{Found, take};
use crate::spool::{Spool, SpoolError};

/// A look at everything, however quiet it is.
const RESCAN: Duration = Duration::from_secs(30);
/// Files remembered; more means that somebody watches an archive.
const REMEMBERED: usize = 1_000_000;

/// Watches the folders until `stop`.
pub async fn watch(spool: Spool, settings: Watch, stop: CancellationToken) {
    if settings.folders.is_empty() {
        return;
    }
    let (notice, mut notices) = mpsc::channel(1);
    let watcher = notify::recommended_watcher(move |_| {
        // One waiting notice is as good as many: everything is looked at.
        let _ = notice.try_send(());
    });
    let mut watcher = match watcher {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "folders are looked at every 30 seconds only");
            None
        }
    };
    for folder in &settings.folders {
        if let Some(watcher) = &mut watcher
            && let Err(error) = watcher.watch(folder, RecursiveMode::Recursive)
        {
            tracing::warn!(%error, "a folder gives no notices: it is looked at every 30 seconds");
        }
    }
    let mut files = Files::default();
    loop {
        let soon = match look(&spool, &settings, &mut files).await {
            Ok(growing) => growing,
            Err(error) => {
                tracing::warn!(%error, "the watched folders could not be read");
                let _ = spool.note_problem("watch", None, &error.to_string()).await;
                false
            }
        };
        let wait = if soon { Duration::from_secs(1) } else { RESCAN };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = notices.recv(), if watcher.is_some() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// What is known of the files: how they looked last, since when, and whether they were taken.
#[derive(Default)]
struct Files(HashMap<PathBuf, Seen>);

struct Seen {
    bytes: u64,
    modified: SystemTime,
    since: tokio::time::Instant,
    taken: bool,
}

/// Takes what has stopped growing; says whether something still grows.
async fn look(spool: &Spool, settings: &Watch, files: &mut Files) -> Result<bool, SpoolError> {
    let quiet = Duration::from_secs(settings.quiet_seconds.into());
    let mut growing = false;
    let mut here = Vec::new();
    for folder in &settings.folders {
        list(folder, &mut here)?;
    }
    if files.0.len() > REMEMBERED {
        files.0.retain(|path, _| path.exists());
    }
    for (path, bytes, modified) in here {
        let now = tokio::time::Instant::now();
        let seen = files.0.entry(path.clone()).or_insert(Seen {
            bytes,
            modified,
            since: now,
            taken: false,
        });
        if (seen.bytes, seen.modified) != (bytes, modified) {
            *seen = Seen { bytes, modified, since: now, taken: false };
        }
        if seen.taken {
            continue;
        }
        if now.duration_since(seen.since) < quiet {
            growing = true;
            continue;
        }
        let mut found = Found::default();
        take(spool, &path, Urgency::Routine, &mut found).await?;
        seen.taken = true;
        let safe = found.fresh + found.same + found.flagged > 0;
        if settings.remove && safe {
            std::fs::remove_file(&path)?;
        }
        for unreadable in found.unreadable {
            spool.note_problem("unreadable", None, &unreadable.reason).await?;
        }
    }
    Ok(growing)
}

fn list(folder: &Path, files: &mut Vec<(PathBuf, u64, SystemTime)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_dir() {
            list(&entry.path(), files)?;
        } else if about.is_file() {
            files.push((entry.path(), about.len(), about.modified()?));
        }
    }
    Ok(())
}

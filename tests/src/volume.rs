//! A volume of a known size that a test can fill: a memory file system, so the test must be root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::run;

/// Bytes in a MiB.
pub const MIB: u64 = 1 << 20;

/// A memory file system, unmounted when dropped.
#[derive(Debug)]
pub struct Volume(PathBuf);

impl Volume {
    /// Mounts one of so many bytes on a folder. Needs root.
    pub fn mount(folder: PathBuf, bytes: u64) -> Result<Self> {
        let size = format!("size={bytes}");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "medrelay-test"]).arg(&folder))
            .context("this test mounts a file system of its own: run it as root (in a container: with CAP_SYS_ADMIN)")?;
        Ok(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes all of the space but about `left` bytes with a file of this name.
    pub fn fill(&self, name: &str, left: u64) -> Result<()> {
        let file = fs::File::create(self.0.join(name))?;
        let piece = vec![0xA5; MIB as usize];
        let mut wanted = self.free()?.saturating_sub(left);
        while wanted > 0 {
            let now = wanted.min(MIB);
            match std::io::Write::write_all(&mut &file, &piece[..now as usize]) {
                // Others write here, too: when they were quicker, it is full all the same.
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                outcome => outcome?,
            }
            wanted -= now;
        }
        Ok(())
    }

    /// Removes a file that [`Volume::fill`] made.
    pub fn remove(&self, name: &str) -> Result<()> {
        Ok(fs::remove_file(self.0.join(name))?)
    }

    /// Bytes that are free.
    pub fn free(&self) -> Result<u64> {
        let output = run(Command::new("df").args(["--output=avail", "-B1"]).arg(&self.0))?;
        Ok(output.lines().nth(1).context("df says nothing")?.trim().parse()?)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazy: the relay that still has files open there is ended by another drop.
        let outcome = run(Command::new("umount").arg("--lazy").arg(&self.0));
        if let Err(error) = outcome {
            eprintln!("a volume stays mounted: {error:#}");
        }
    }
}

//! Foreign programs as peers: started, waited for until they serve, and certain to end with the test.
//!
//! A peer runs under a small shell that holds one end of a pipe. When the other end closes, because the [`Peer`] was dropped or
//! because the test process died in whatever way, the shell stops the peer, removes its scratch folder and ends.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a peer may take until it serves; a cold Python on a loaded two-core machine takes 10 s.
const START_LIMIT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How much of a failed peer's output is shown, in bytes.
const TAIL_BYTES: usize = 4000;

/// Arguments: the signal that stops the peer, its scratch folder (may be empty), the command.
const KEEPER: &str = r#"
stop=$1; scratch=$2; shift 2
exec 3<&0
"$@" </dev/null 3<&- &
peer=$!
(
    while read -r _; do :; done
    kill -"$stop" "$peer" 2>/dev/null
    tries=0
    while kill -0 "$peer" 2>/dev/null && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
    kill -KILL "$peer" 2>/dev/null
) <&3 &
exec 3<&-
wait "$peer"
echo "ended with status $?"
[ -n "$scratch" ] && rm -rf -- "$scratch"
kill -KILL 0
"#;

/// What tells that a peer serves.
#[derive(Debug, Clone)]
pub enum Ready {
    /// It accepts connections on this loopback port.
    Tcp(u16),
    /// It has printed this text.
    Output(String),
}

/// A running peer. Dropping it stops it and waits until it has ended.
#[derive(Debug)]
pub struct Peer {
    keeper: Child,
    pipe: Option<ChildStdin>,
    output: File,
}

impl Peer {
    /// Starts `command` and waits until it is `ready`; fails with its output when it ends before or takes too long.
    pub fn start(command: &Command, ready: Ready) -> Result<Self> {
        Self::start_with(command, ready, "TERM", None)
    }

    /// As [`Peer::start`], with the name of the signal that stops it, and a folder to be removed once it has ended.
    pub fn start_with(
        command: &Command,
        ready: Ready,
        stop: &str,
        scratch: Option<&Path>,
    ) -> Result<Self> {
        // A file without a name, which cannot stay behind.
        let output = tempfile::tempfile()?;
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper", stop]).arg(scratch.unwrap_or(Path::new("")));
        keeper.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => keeper.env(name, value),
                None => keeper.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            keeper.current_dir(folder);
        }
        // A group of its own: the last thing the keeper does is to end whatever the peer has left running in it.
        keeper
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?);
        let mut keeper = keeper.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let pipe = keeper.stdin.take();
        let mut peer = Self { keeper, pipe, output };
        peer.wait_until(&ready).with_context(|| format!("{command:?} did not become ready"))?;
        Ok(peer)
    }

    /// What the peer has printed so far, standard output and errors together.
    pub fn output(&self) -> String {
        // At an offset of our own: the position is shared with the writers.
        let length = self.output.metadata().map_or(0, |about| about.len());
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        let read = self.output.read_at(&mut bytes, 0).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }

    /// Whether the peer still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.keeper.try_wait(), Ok(None))
    }

    fn wait_until(&mut self, ready: &Ready) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let serves = match ready {
                Ready::Tcp(port) => TcpStream::connect(loopback(*port)).is_ok(),
                Ready::Output(text) => self.output().contains(text),
            };
            // Looked at afterwards: a foreign program on the same port must not be taken for a peer that has ended.
            if !self.is_running() {
                bail!("it ended: {}", self.tail());
            }
            if serves {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("not within {START_LIMIT:?}: {}", self.tail());
            }
            // A foreign program gives no event to wait on.
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn tail(&self) -> String {
        let output = self.output();
        let from = output.ceil_char_boundary(output.len().saturating_sub(TAIL_BYTES));
        output[from..].to_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.pipe.take();
        // Ends by itself: the keeper kills what does not stop within 5 s.
        if let Err(error) = self.keeper.wait() {
            eprintln!("a peer may still be running: {error}");
        }
    }
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(loopback(0))?.local_addr()?.port())
}

/// Looks for an executable file called `name` in `PATH`, then in `folders`.
pub fn find_program(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(folders.iter().cloned())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Runs a command to its end; its output becomes the error when it fails or does not exist.
pub fn run(command: &mut Command) -> Result<String> {
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{:?} is not installed", command.get_program())
        }
        outcome => outcome.with_context(|| format!("cannot run {command:?}"))?,
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{command:?}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_peer_ends_with_its_handle_and_takes_its_folder_and_children_along() -> Result<()> {
        let scratch = tempfile::tempdir()?.keep();
        let alive = tempfile::NamedTempFile::new()?;
        // A child that outlives its parent on purpose, as browsers' helpers do; it holds a lock while it lives.
        let script = format!(
            "flock {0} sh -c 'echo up; trap \"\" TERM; sleep 600' & wait",
            alive.path().display()
        );
        let ready = Ready::Output("up".into());
        let mut peer = Peer::start_with(&shell(&script), ready, "TERM", Some(&scratch))?;
        assert!(peer.is_running());
        drop(peer);
        assert!(!scratch.exists());
        run(Command::new("flock").args(["--wait", "10"]).arg(alive.path()).arg("true"))
            .context("the child's child still lives")?;
        Ok(())
    }

    #[test]
    fn a_peer_that_ends_at_once_shows_its_output() {
        let outcome = Peer::start(&shell("echo broken configuration; exit 3"), Ready::Tcp(1));
        let text = format!("{:#}", outcome.expect_err("it has ended"));
        assert!(text.contains("broken configuration") && text.contains("status 3"), "{text}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let outcome = Peer::start(&Command::new("no-such-peer"), Ready::Tcp(1));
        assert!(format!("{:#}", outcome.expect_err("not installed")).contains("no-such-peer"));
    }
}

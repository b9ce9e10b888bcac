//! Start, ready, soft stop, hard stop.
//!
//! One [`Lifecycle`] is made by the program and handed down; nothing here is global. A first signal
//! (SIGTERM, SIGINT) asks all work to finish: listeners close, what runs goes on. What has not
//! finished after the allowed time, or at a second signal, is told to drop everything. Because
//! every promise is a row, dropping loses nothing that was acknowledged.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Hands out the stop signals and knows what still runs. Cloning gives another handle to the same
/// one.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    ready: Arc<AtomicBool>,
}

/// How a stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// All work finished by itself.
    Cleanly,
    /// This many tasks had to be dropped.
    Dropping(usize),
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// A lifecycle that is not ready yet and not stopping.
    pub fn new() -> Self {
        let hard = CancellationToken::new();
        Self {
            soft: hard.child_token(),
            hard,
            tasks: TaskTracker::new(),
            ready: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Cancelled when new work must no longer be taken. Listeners and job loops wait for it.
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled when running work must be dropped.
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Runs a task that a stop waits for, and that a hard stop drops at its next await.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let hard = self.hard.clone();
        self.tasks.spawn(async move { hard.run_until_cancelled(task).await })
    }

    /// Says that the program serves: migrations done, listeners bound.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Whether new work is welcome: ready, and not stopping.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.soft.is_cancelled()
    }

    /// Asks for a soft stop, as a first signal does.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// Waits for the soft stop, whoever asked for it, then for running work, at most `grace` or
    /// until `hurry` is ready. What then still runs is dropped; dropping itself gets at most a
    /// second, since a blocked thread cannot be dropped.
    pub async fn stopped(&self, grace: Duration, hurry: impl Future<Output = ()>) -> Stopped {
        self.soft.cancelled().await;
        self.tasks.close();
        let finished = tokio::select! {
            () = self.tasks.wait() => true,
            () = tokio::time::sleep(grace) => false,
            () = hurry => false,
        };
        let left = self.tasks.len();
        self.hard.cancel();
        if finished {
            return Stopped::Cleanly;
        }
        // Whether they end within that second or not, the answer is the same: they were dropped.
        let _ = tokio::time::timeout(DROP_TIME, self.tasks.wait()).await;
        Stopped::Dropping(left)
    }
}

/// How long dropped tasks get to come to their next await.
const DROP_TIME: Duration = Duration::from_secs(1);

/// The signals that ask the program to end.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes over SIGTERM and SIGINT; must be called inside a tokio runtime.
    pub fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The signal that asks to read certificates again (SIGHUP).
#[derive(Debug)]
pub struct ReloadSignals(Signal);

impl ReloadSignals {
    /// Takes over SIGHUP, which would end the program otherwise; must be called inside a tokio
    /// runtime.
    pub fn install() -> std::io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one. `None` means that there will be no further one.
    pub async fn next(&mut self) -> Option<()> {
        self.0.recv().await
    }
}

/// Runs the program's end: waits for the first signal (or for [`Lifecycle::stop`]), then stops
/// softly and, after `grace` or at a second signal, hard.
pub async fn run_until_stopped(
    lifecycle: &Lifecycle,
    mut signals: StopSignals,
    grace: Duration,
) -> Stopped {
    let soft = lifecycle.soft();
    tokio::select! {
        name = signals.next() => {
            tracing::info!(signal = name, grace_seconds = grace.as_secs(), "stopping");
            lifecycle.stop();
        }
        () = soft.cancelled() => {}
    }
    let hurry = async move {
        let name = signals.next().await;
        tracing::warn!(signal = name, "second signal: dropping what still runs");
    };
    lifecycle.stopped(grace, hurry).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test(start_paused = true)]
    async fn a_soft_stop_waits_for_running_work() {
        let life = Lifecycle::new();
        assert!(!life.is_ready());
        life.set_ready();
        assert!(life.is_ready());
        let work = life.spawn(async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            "done"
        });
        life.stop();
        assert!(!life.is_ready());
        let how = life.stopped(Duration::from_secs(20), pending()).await;
        assert_eq!(how, Stopped::Cleanly);
        assert_eq!(work.await.expect("no panic"), Some("done"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_finish_is_dropped() {
        let life = Lifecycle::new();
        let stuck = life.spawn(pending::<()>());
        let polite = life.spawn({
            let soft = life.soft();
            async move { soft.cancelled().await }
        });
        life.stop();
        let how = life.stopped(Duration::from_secs(20), pending()).await;
        assert_eq!(how, Stopped::Dropping(1));
        assert_eq!(stuck.await.expect("no panic"), None);
        assert_eq!(polite.await.expect("no panic"), Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_hurries() {
        let life = Lifecycle::new();
        life.spawn(pending::<()>());
        life.stop();
        let start = tokio::time::Instant::now();
        let how = life.stopped(Duration::from_secs(3600), async {}).await;
        assert_eq!(how, Stopped::Dropping(1));
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

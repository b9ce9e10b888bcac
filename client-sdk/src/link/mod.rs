//! The clinic's side of the link (docs/PROTOCOL.md) as a library: join a relay, let studies wait on a
//! [`Shelf`], start a [`Link`], watch its [`LinkState`].
//!
//! ```text
//!  Link::start ─► supervisor ── connect ──► QUIC, or a WebSocket beside it
//!                     │  ▲
//!                     ▼  └ why it ended: lost, moved, renewed, closed, stopped
//!                  driver ── core::transfer::gateway ── steps ─► packing  (all cores, 64 MiB ahead)
//!                     │                                      ─► streams  (priorities, ceiling)
//!                     └── watch: silence, address, renewal   ─► clerk    (the shelf, in order)
//! ```
//!
//! What the relay has said is on the shelf before the next thing is done about it; what is on the
//! shelf and not committed is offered again with every connection. So any of the two programs, and
//! the line, may stop at any moment.

pub mod ambient;
pub mod ceiling;
mod connect;
mod driver;
pub mod identity;
pub mod join;
mod memory;
mod packing;
mod renew;
pub mod selftest;
pub mod shelf;
pub mod state;
pub mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use medrelay_core::transfer::CloseCode;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

pub use self::ambient::Ambient;
pub use self::ceiling::{Ceiling, Schedule};
pub use self::connect::DialError;
pub use self::identity::{Identity, IdentityError};
pub use self::join::{JoinError, Joined, join};
pub use self::memory::{AddError, Fate, MemoryShelf};
pub use self::shelf::{Shelf, ShelfError, Signed, Source, Waiting};
pub use self::state::{LinkState, Phase, Problem, Sending};
pub use self::words::Language;

use self::connect::{AFRESH, Book, Dialed, Manner};
use self::driver::{End, Experience, Shared, converse};
use self::packing::Packer;
use self::state::Board;

/// Chooses the process's provider of cryptography; one that the program has chosen itself stays.
/// Whoever uses this library's TLS from a program of its own may call it early; the library does,
/// too.
pub fn install_provider() {
    crate::client::install_cryptography();
}

/// How a link behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bandwidth ceilings by hour of day.
    pub schedule: Schedule,
    /// Cores that compress.
    pub threads: usize,
}

impl Default for Settings {
    /// No ceiling, all cores.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { schedule: Schedule::default(), threads }
    }
}

/// A link to a relay that keeps itself up.
#[derive(Debug)]
pub struct Link;

/// A running link; dropping it stops the link without farewell.
#[derive(Debug)]
pub struct LinkHandle {
    state: watch::Receiver<LinkState>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Link {
    /// Starts a link in the background: sends what waits on the shelf, takes what comes, and goes on
    /// until it is stopped or the relay revokes the gateway.
    pub fn start<S: Shelf>(
        identity: Identity,
        shelf: Arc<S>,
        settings: Settings,
        ambient: Ambient,
    ) -> LinkHandle {
        install_provider();
        let (board, state) = watch::channel(LinkState::default());
        let (stop, asked) = watch::channel(false);
        let packer = Packer::new(shelf.clone(), settings.threads);
        let shared = Arc::new(Shared {
            shelf,
            settings,
            ambient,
            board: Board::new(board),
            book: Book::default(),
            gate: ceiling::Gate::default(),
            pack_bytes: AtomicU64::new(0),
            experience: Experience::default(),
        });
        let supervisor = Supervisor {
            shared,
            identity: Arc::new(identity),
            packer,
            stop: Stop(asked),
            failures: 0,
        };
        LinkHandle { state, stop, task: tokio::spawn(supervisor.run()) }
    }
}

impl LinkHandle {
    /// The link's state, now and whenever it changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// Stops: nothing new begins, what is on its way is finished, for ten seconds at most.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the link failed");
        }
    }

    /// Waits until the link has stopped by itself; says why.
    pub async fn stopped(&mut self) -> Option<CloseCode> {
        let ended = self.state.wait_for(|state| matches!(state.phase, Phase::Stopped(_))).await;
        match ended.map(|state| state.phase) {
            Ok(Phase::Stopped(code)) => code,
            _ => None,
        }
    }
}

impl Drop for LinkHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether somebody asked the link to stop.
#[derive(Debug, Clone)]
struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Ends when somebody has.
    async fn asked(&mut self) {
        // A handle that is gone will not ask any more; its task is aborted.
        let _ = self.0.wait_for(|asked| *asked).await;
    }
}

/// Makes connections, one after the other.
struct Supervisor<S: Shelf> {
    shared: Arc<Shared<S>>,
    identity: Arc<Identity>,
    packer: Packer<S>,
    stop: Stop,
    /// Connections in a row that came to nothing.
    failures: u32,
}

impl<S: Shelf> Supervisor<S> {
    async fn run(mut self) {
        let reason = self.supervise().await;
        self.shared.board.change(|state| state.phase = Phase::Stopped(reason));
        tracing::info!(link.reason = ?reason, "the link has stopped");
    }

    /// Goes on until there is a reason to stop for good.
    async fn supervise(&mut self) -> Option<CloseCode> {
        let mut next = None;
        loop {
            let dialed = match next.take() {
                Some(dialed) => dialed,
                None => match self.dial().await {
                    Some(dialed) => dialed,
                    None => return None,
                },
            };
            let (began, moved) = (Instant::now(), self.moved());
            let end =
                converse(&self.shared, &self.identity, &mut self.packer, dialed, &mut self.stop)
                    .await;
            if began.elapsed() > STEADY || self.moved() > moved {
                self.failures = 0;
            }
            let now = self.shared.ambient.now();
            let pause = match end {
                End::Moved(dialed) => {
                    next = Some(dialed);
                    Duration::ZERO
                }
                End::Renewed(identity) => {
                    self.identity = Arc::new(*identity);
                    Duration::ZERO
                }
                End::Stopped => return None,
                End::Closed(code @ (CloseCode::Revoked | CloseCode::Closed), _) => {
                    self.shared.board.problem(now, Problem::Closed(code));
                    return Some(code);
                }
                End::Closed(code, pause) => {
                    if !matches!(code, CloseCode::Done | CloseCode::Moved | CloseCode::Stopping) {
                        self.shared.board.problem(now, Problem::Closed(code));
                    }
                    self.back_off(pause.max(least(code)))
                }
                End::Lost(problem) => {
                    let patience =
                        if problem == Problem::OtherRelay { LONG } else { Duration::ZERO };
                    self.shared.board.problem(now, problem);
                    self.back_off(patience)
                }
            };
            if !self.rest(pause).await {
                return None;
            }
        }
    }

    /// Bytes of packs that went out so far.
    fn moved(&self) -> u64 {
        self.shared.pack_bytes.load(Ordering::Relaxed)
    }

    /// Tries until a connection is through; `None` when the link was asked to stop.
    async fn dial(&mut self) -> Option<Dialed> {
        loop {
            let now = self.shared.ambient.now();
            if self.identity.validity().1 < now {
                self.shared.board.problem(now, Problem::Expired);
            }
            // What cannot be read is not sent either; the next connection will tell.
            let eager = self.shared.shelf.waiting().await.is_ok_and(|waiting| !waiting.is_empty());
            let manner = Manner { eager, ..AFRESH };
            let dialing =
                connect::dial(&self.identity, &self.shared.ambient, &self.shared.book, manner);
            let dialed = tokio::select! {
                () = self.stop.asked() => return None,
                dialed = dialing => dialed,
            };
            match dialed {
                Ok(dialed) => return Some(dialed),
                Err(error) => {
                    let now = self.shared.ambient.now();
                    self.shared.board.problem(now, Problem::Dial(error));
                    if !self.rest(connect::FIRST_GAP).await {
                        return None;
                    }
                }
            }
        }
    }

    /// The pause after a connection that came to nothing: 0.1 s, doubling up to 5 s.
    fn back_off(&mut self, least: Duration) -> Duration {
        let pause = connect::FIRST_GAP * 2u32.pow(self.failures.min(6));
        self.failures += 1;
        self.shared.ambient.jittered(pause.min(connect::LONGEST_GAP)).max(least)
    }

    /// Waits; `false` when the link was asked to stop meanwhile.
    async fn rest(&mut self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.asked() => false,
            () = sleep(pause) => true,
        }
    }
}

/// How long to leave the relay alone after it said this.
fn least(code: CloseCode) -> Duration {
    match code {
        // Another version, a proof that is not accepted: only an update or a person helps.
        CloseCode::Version | CloseCode::Proof | CloseCode::Violation => LONG,
        CloseCode::Crowded => connect::LONGEST_GAP,
        _ => Duration::ZERO,
    }
}

/// A connection that lasted so long was a good one.
const STEADY: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(60);

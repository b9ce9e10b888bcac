//! The channels that the other side opened: what came on them and what it may still send.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll};

use bytes::Bytes;

use medrelay_core::transfer::Violation;

use super::backlog::Backlog;
use super::piece::{CREDIT_BYTES, Piece};
use super::waiters::Waiters;

/// Channels of the other side, by number.
#[derive(Debug)]
pub(super) struct Receiving {
    next_number: u32,
    channels: BTreeMap<u32, Channel>,
    arrived: VecDeque<u32>,
    acceptor: Waiters,
}

#[derive(Debug)]
struct Channel {
    state: State,
    backlog: Backlog,
    /// Bytes that may still come.
    allowance: u32,
    /// Bytes read since the last grant.
    consumed: u32,
    owner: Waiters,
}

/// `Running` → `Whole` or `GivenUp`; or, when this side does not want it, `Stopping` → `Stopped`
/// until the other side has confirmed with its last piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// More comes.
    Running,
    /// Its last piece came.
    Whole,
    /// The other side gave it up.
    GivenUp { code: u32 },
    /// The other side is to be told to stop.
    Stopping { code: u32 },
    /// It was told; what is still under way is thrown away.
    Stopped,
}

/// The other side gave the channel up; its code.
pub(super) type Abandoned = u32;

impl Receiving {
    pub(super) fn new(first_number: u32) -> Self {
        Self {
            next_number: first_number,
            channels: BTreeMap::new(),
            arrived: VecDeque::new(),
            acceptor: Waiters::default(),
        }
    }

    /// Bytes came.
    pub(super) fn data(
        &mut self,
        number: u32,
        last: bool,
        payload: Bytes,
    ) -> Result<(), Violation> {
        self.open_if_next(number)?;
        let channel = self.channels.get_mut(&number).ok_or(NOT_OPEN)?;
        let size = u32::try_from(payload.len()).map_err(|_| OVERRUN)?;
        channel.allowance = channel.allowance.checked_sub(size).ok_or(OVERRUN)?;
        match channel.state {
            State::Running => {
                channel.backlog.push(payload);
                if last {
                    channel.state = State::Whole;
                }
                channel.owner.wake();
                Ok(())
            }
            State::Stopping { .. } | State::Stopped => {
                if last {
                    self.channels.remove(&number);
                }
                Ok(())
            }
            State::Whole | State::GivenUp { .. } => Err(NOT_OPEN),
        }
    }

    /// The other side gives a channel up.
    pub(super) fn given_up(&mut self, number: u32, code: u32) -> Result<(), Violation> {
        self.open_if_next(number)?;
        let channel = self.channels.get_mut(&number).ok_or(NOT_OPEN)?;
        match channel.state {
            State::Running => {
                channel.state = State::GivenUp { code };
                channel.backlog.clear();
                channel.owner.wake();
                Ok(())
            }
            State::Stopping { .. } | State::Stopped => {
                self.channels.remove(&number);
                Ok(())
            }
            State::Whole | State::GivenUp { .. } => Err(NOT_OPEN),
        }
    }

    /// The next channel that nobody has yet.
    pub(super) fn poll_arrived(&mut self, cx: &Context<'_>) -> Poll<u32> {
        match self.arrived.pop_front() {
            Some(number) => Poll::Ready(number),
            None => {
                self.acceptor.add(cx);
                Poll::Pending
            }
        }
    }

    /// The next bytes; `None` after the last.
    pub(super) fn poll_read(
        &mut self,
        cx: &Context<'_>,
        number: u32,
    ) -> Poll<Result<Option<Bytes>, Abandoned>> {
        let Some(channel) = self.channels.get_mut(&number) else {
            return Poll::Ready(Err(0));
        };
        if let Some(bytes) = channel.backlog.pop() {
            // A channel never has more than its credit, so this fits.
            channel.consumed += u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            return Poll::Ready(Ok(Some(bytes)));
        }
        match channel.state {
            State::Running => {
                channel.owner.add(cx);
                Poll::Pending
            }
            State::Whole => Poll::Ready(Ok(None)),
            State::GivenUp { code } => Poll::Ready(Err(code)),
            State::Stopping { .. } | State::Stopped => Poll::Ready(Err(0)),
        }
    }

    /// The owner is gone; if more were to come, the other side is told `code`.
    pub(super) fn release(&mut self, number: u32, code: u32) {
        let Some(channel) = self.channels.get_mut(&number) else {
            return;
        };
        match channel.state {
            State::Running => {
                channel.state = State::Stopping { code };
                channel.backlog.clear();
            }
            State::Whole | State::GivenUp { .. } => {
                self.channels.remove(&number);
            }
            State::Stopping { .. } | State::Stopped => {}
        }
    }

    /// The next piece that tells the other side to stop or to go on.
    pub(super) fn next(&mut self) -> Option<Piece> {
        self.channels.iter_mut().find_map(|(&number, channel)| match channel.state {
            State::Stopping { code } => {
                channel.state = State::Stopped;
                Some(Piece::Unwanted { channel: number, code })
            }
            State::Running if channel.consumed >= GRANT_FROM_BYTES => {
                let more = std::mem::take(&mut channel.consumed);
                channel.allowance += more;
                Some(Piece::Credit { channel: number, more })
            }
            _ => None,
        })
    }

    /// Whether nothing more is to be read from the socket until somebody takes a channel or is
    /// done with one.
    pub(super) fn is_full(&self) -> bool {
        self.channels.len() >= KEPT
    }

    pub(super) fn wake_all(&mut self) {
        self.acceptor.wake();
        for channel in self.channels.values_mut() {
            channel.owner.wake();
        }
    }

    fn open_if_next(&mut self, number: u32) -> Result<(), Violation> {
        if number != self.next_number {
            return Ok(());
        }
        let unfinished = self.channels.values().filter(|channel| channel.state.expects_more());
        if unfinished.count() >= UNFINISHED {
            return Err(Violation("too many channels are open"));
        }
        self.next_number = number.checked_add(2).ok_or(NOT_OPEN)?;
        self.channels.insert(
            number,
            Channel {
                state: State::Running,
                backlog: Backlog::default(),
                allowance: CREDIT_BYTES,
                consumed: 0,
                owner: Waiters::default(),
            },
        );
        self.arrived.push_back(number);
        self.acceptor.wake();
        Ok(())
    }
}

impl State {
    fn expects_more(self) -> bool {
        matches!(self, Self::Running | Self::Stopping { .. } | Self::Stopped)
    }
}

/// Channels of the other side that may be unfinished at once; some more than it opens by itself.
const UNFINISHED: usize = 32;
/// Channels kept at most, finished ones that nobody has read included.
const KEPT: usize = 64;
/// Credit is granted in portions of at least so many bytes.
const GRANT_FROM_BYTES: u32 = CREDIT_BYTES / 4;

const NOT_OPEN: Violation = Violation("a piece is for a channel that is not open");
const OVERRUN: Violation = Violation("a channel carried more than was granted");

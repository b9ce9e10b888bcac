//! The channels that this side opened: what is queued on them and which piece is next.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use medrelay_core::transfer::Violation;

use super::piece::{CREDIT_BYTES, PAYLOAD_BYTES, Piece};
use super::waiters::Waiters;
use crate::priority::Priority;

/// Channels of this side. Inside, a channel goes by a key; it gets its number when its first piece
/// leaves, because numbers are used in order and an urgent channel overtakes.
#[derive(Debug)]
pub(super) struct Sending {
    next_key: u64,
    next_number: u32,
    channels: BTreeMap<u64, Channel>,
    openers: Waiters,
}

#[derive(Debug)]
struct Channel {
    priority: Priority,
    number: Option<u32>,
    credit: u64,
    queue: VecDeque<Bytes>,
    queued: usize,
    state: State,
    held: bool,
    owner: Waiters,
}

/// `Open` → `Finishing` → `Handing` → `Finished`; from the first two, when this side gives up or
/// the other does not want it: `GivingUp` → `Over`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its owner may write.
    Open,
    /// No more is written; what is queued goes out.
    Finishing,
    /// The last piece is being written to the socket.
    Handing,
    /// The socket has all of it.
    Finished,
    /// The other side is to be told that no more comes.
    GivingUp { stopped: Option<u32>, code: u32 },
    /// It was told.
    Over { stopped: Option<u32> },
}

/// The other side does not want the channel; its code. `None`: this side gave it up itself.
pub(super) type Stopped = Option<u32>;

impl Sending {
    pub(super) fn new(first_number: u32) -> Self {
        Self {
            next_key: 0,
            next_number: first_number,
            channels: BTreeMap::new(),
            openers: Waiters::default(),
        }
    }

    /// A place for a new channel; `None` when the connection's numbers are used up.
    pub(super) fn poll_open(&mut self, cx: &Context<'_>, priority: &Priority) -> Poll<Option<u64>> {
        if self.next_key >= CHANNELS_EVER {
            return Poll::Ready(None);
        }
        if self.channels.values().filter(|channel| channel.state.takes_a_place()).count() >= PLACES
        {
            self.openers.add(cx);
            return Poll::Pending;
        }
        let key = self.next_key;
        self.next_key += 1;
        self.channels.insert(
            key,
            Channel {
                priority: priority.clone(),
                number: None,
                credit: u64::from(CREDIT_BYTES),
                queue: VecDeque::new(),
                queued: 0,
                state: State::Open,
                held: true,
                owner: Waiters::default(),
            },
        );
        Poll::Ready(Some(key))
    }

    /// Queues `bytes` as soon as less than [`QUEUE_BYTES`] are queued.
    pub(super) fn poll_write(
        &mut self,
        cx: &Context<'_>,
        key: u64,
        bytes: &Bytes,
    ) -> Poll<Result<(), Stopped>> {
        let Some(channel) = self.channels.get_mut(&key) else {
            return Poll::Ready(Err(None));
        };
        match channel.state {
            State::Open if channel.queued < QUEUE_BYTES => {
                if !bytes.is_empty() {
                    channel.queued += bytes.len();
                    channel.queue.push_back(bytes.clone());
                }
                Poll::Ready(Ok(()))
            }
            State::Open => {
                channel.owner.add(cx);
                Poll::Pending
            }
            state => Poll::Ready(Err(state.stopped())),
        }
    }

    pub(super) fn finish(&mut self, key: u64) {
        if let Some(channel) = self.channels.get_mut(&key)
            && channel.state == State::Open
        {
            channel.state = State::Finishing;
        }
    }

    /// Ready when the socket has the last piece.
    pub(super) fn poll_finished(
        &mut self,
        cx: &Context<'_>,
        key: u64,
    ) -> Poll<Result<(), Stopped>> {
        let Some(channel) = self.channels.get_mut(&key) else {
            return Poll::Ready(Err(None));
        };
        match channel.state {
            State::Finished => Poll::Ready(Ok(())),
            State::Open | State::Finishing | State::Handing => {
                channel.owner.add(cx);
                Poll::Pending
            }
            state => Poll::Ready(Err(state.stopped())),
        }
    }

    /// The owner is gone. What it did not finish is given up with `code`.
    pub(super) fn release(&mut self, key: u64, code: u32) {
        if let Some(channel) = self.channels.get_mut(&key) {
            channel.held = false;
            if channel.state == State::Open {
                channel.give_up(None, code);
            }
        }
        self.settle(key);
    }

    /// Whether a channel of that number would be this side's.
    pub(super) fn owns(&self, number: u32) -> bool {
        number % 2 == self.next_number % 2
    }

    /// More may be sent on the channel of that number.
    pub(super) fn granted(&mut self, number: u32, more: u32) -> Result<(), Violation> {
        if let Some((_, channel)) = self.find(number)? {
            channel.credit = channel.credit.saturating_add(u64::from(more));
        }
        Ok(())
    }

    /// The other side does not want the channel of that number.
    pub(super) fn unwanted(&mut self, number: u32, code: u32) -> Result<(), Violation> {
        if let Some((key, channel)) = self.find(number)? {
            if matches!(channel.state, State::Open | State::Finishing) {
                channel.give_up(Some(code), code);
                channel.owner.wake();
            }
            self.settle(key);
        }
        Ok(())
    }

    /// The next piece: first the ends of channels given up, then bytes of the most urgent channel
    /// that has credit, the oldest of these.
    pub(super) fn next(&mut self) -> Option<Piece> {
        self.next_end().or_else(|| self.next_data())
    }

    /// Ends of channels given up, only.
    pub(super) fn next_end(&mut self) -> Option<Piece> {
        let (&key, channel) = self
            .channels
            .iter_mut()
            .find(|(_, channel)| matches!(channel.state, State::GivingUp { .. }))?;
        let State::GivingUp { stopped, code } = channel.state else {
            return None;
        };
        channel.state = State::Over { stopped };
        let number = channel.number;
        self.settle(key);
        self.openers.wake();
        number.map(|channel| Piece::GivenUp { channel, code })
    }

    /// The piece taken last is with the socket.
    pub(super) fn handed(&mut self) {
        let handing: Vec<u64> = self
            .channels
            .iter()
            .filter(|(_, channel)| channel.state == State::Handing)
            .map(|(&key, _)| key)
            .collect();
        for key in handing {
            if let Some(channel) = self.channels.get_mut(&key) {
                channel.state = State::Finished;
                channel.owner.wake();
            }
            self.settle(key);
            self.openers.wake();
        }
    }

    /// Bytes queued on all channels.
    pub(super) fn queued(&self) -> usize {
        self.channels.values().map(|channel| channel.queued).sum()
    }

    pub(super) fn wake_all(&mut self) {
        self.openers.wake();
        for channel in self.channels.values_mut() {
            channel.owner.wake();
        }
    }

    fn next_data(&mut self) -> Option<Piece> {
        let key = self
            .channels
            .iter()
            .filter(|(_, channel)| channel.has_a_piece())
            .min_by_key(|(key, channel)| (channel.priority.urgency(), **key))
            .map(|(&key, _)| key)?;
        let channel = self.channels.get_mut(&key)?;
        let number = *channel.number.get_or_insert_with(|| {
            let number = self.next_number;
            self.next_number = number.saturating_add(2);
            number
        });
        let payload = channel.take();
        let last = channel.state == State::Finishing && channel.queued == 0;
        if last {
            channel.state = State::Handing;
        } else if channel.queued < QUEUE_BYTES {
            channel.owner.wake();
        }
        Some(Piece::Data { channel: number, last, payload })
    }

    /// The channel of a number; `None` when it is over.
    fn find(&mut self, number: u32) -> Result<Option<(u64, &mut Channel)>, Violation> {
        if number >= self.next_number {
            return Err(Violation("a piece answers a channel that was never opened"));
        }
        Ok(self
            .channels
            .iter_mut()
            .find(|(_, channel)| channel.number == Some(number))
            .map(|(&key, channel)| (key, channel)))
    }

    /// Forgets a channel that nobody can ask about any more.
    fn settle(&mut self, key: u64) {
        let Some(channel) = self.channels.get_mut(&key) else {
            return;
        };
        if matches!(channel.state, State::GivingUp { .. }) && channel.number.is_none() {
            let stopped = channel.state.stopped();
            channel.state = State::Over { stopped };
        }
        let over = matches!(channel.state, State::Finished | State::Over { .. });
        if over && !channel.held {
            self.channels.remove(&key);
        }
        if over {
            self.openers.wake();
        }
    }
}

impl Channel {
    fn give_up(&mut self, stopped: Option<u32>, code: u32) {
        self.state = State::GivingUp { stopped, code };
        self.queue = VecDeque::new();
        self.queued = 0;
    }

    fn has_a_piece(&self) -> bool {
        match self.state {
            State::Open => self.queued > 0 && self.credit > 0,
            State::Finishing => self.queued == 0 || self.credit > 0,
            _ => false,
        }
    }

    /// Takes as many bytes as a piece may hold.
    fn take(&mut self) -> Bytes {
        let most = usize::try_from(self.credit).unwrap_or(usize::MAX).min(PAYLOAD_BYTES);
        let size = self.queued.min(most);
        self.credit -= size as u64;
        self.queued -= size;
        let Some(first) = self.queue.front_mut().filter(|_| size > 0) else {
            return Bytes::new();
        };
        if first.len() > size {
            return first.split_to(size);
        }
        if first.len() == size {
            return self.queue.pop_front().unwrap_or_default();
        }
        let mut gathered = BytesMut::with_capacity(size);
        while gathered.len() < size
            && let Some(mut next) = self.queue.pop_front()
        {
            let part = next.split_to(next.len().min(size - gathered.len()));
            gathered.extend_from_slice(&part);
            if !next.is_empty() {
                self.queue.push_front(next);
            }
        }
        gathered.freeze()
    }
}

impl State {
    fn takes_a_place(self) -> bool {
        !matches!(self, Self::Finished | Self::Over { .. })
    }

    fn stopped(self) -> Stopped {
        match self {
            Self::GivingUp { stopped, .. } | Self::Over { stopped } => stopped,
            _ => None,
        }
    }
}

/// A write waits while so many bytes are queued on its channel.
const QUEUE_BYTES: usize = 64 * 1024;
/// Channels open at once.
pub(super) const PLACES: usize = 24;
/// Channels that a connection can have: their numbers are every second one below 2³².
const CHANNELS_EVER: u64 = (1 << 31) - 2;

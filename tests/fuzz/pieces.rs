//! Entry point for the pieces of a link's WebSocket, against an application without sense. It
//! needs nothing but the link crate, whose own tests run it too.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use medrelay_core::transfer::Urgency;
use medrelay_link::websocket::mux::{Mux, Outbound, Side};
use medrelay_link::websocket::piece::{PAYLOAD_BYTES, Piece};
use medrelay_link::{CarrierError, Priority};

/// Any bytes, read as a story: which pieces come, most of them plausible, and when the application
/// opens, writes, reads, stops and forgets. No queue may grow beyond its limit, and what is sent
/// must be pieces. Says whether the story ended with a violation.
pub fn pieces(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    let side = if choices.below(2) == 0 { Side::Gateway } else { Side::Relay };
    let mut story = Story {
        mux: Mux::new(side),
        own: Vec::new(),
        theirs: Vec::new(),
        next: if side == Side::Gateway { 2 } else { 1 },
    };
    while !choices.0.is_empty() {
        let room = story.mux.poll_room(&context()).is_ready();
        if choices.below(3) > 0 && room {
            let piece = piece(&mut choices, &mut story.next);
            if story.mux.take(piece).is_err() {
                return true;
            }
        } else {
            story.act(&mut choices);
        }
        let (streams, control) = story.mux.queued_bytes();
        assert!(streams <= 24 * (64 * 1024 + LONGEST), "{streams} bytes are queued on streams");
        assert!(control <= (1 << 20) + LONGEST, "{control} bytes are queued for control");
    }
    story.mux.end(CarrierError::TimedOut);
    assert!(story.mux.poll_ended(&context()).is_ready());
    false
}

struct Story {
    mux: Mux,
    own: Vec<u64>,
    theirs: Vec<u32>,
    next: u32,
}

impl Story {
    fn act(&mut self, choices: &mut Choices) {
        let cx = context();
        let key = choices.one_of(&self.own);
        let number = choices.one_of(&self.theirs);
        match (choices.below(11), key, number) {
            (0, ..) => {
                let urgency = [Urgency::Stat, Urgency::Routine][choices.below(2)];
                if let Poll::Ready(Ok(key)) = self.mux.poll_open(&cx, &Priority::new(urgency)) {
                    self.own.push(key);
                }
            }
            (1 | 2, Some(key), _) => {
                let bytes = Bytes::from(vec![1; choices.below(LONGEST)]);
                drop(self.mux.poll_write(&cx, key, &bytes));
            }
            (3, Some(key), _) => self.mux.finish(key),
            (4, Some(key), _) => {
                self.mux.release_own(key, 1);
                self.own.retain(|known| *known != key);
            }
            (5, ..) => {
                if let Poll::Ready(Ok(number)) = self.mux.poll_arrived(&cx) {
                    self.theirs.push(number);
                }
            }
            (6, _, Some(number)) => drop(self.mux.poll_read(&cx, number)),
            (7, _, Some(number)) => {
                self.mux.release_theirs(number, 2);
                self.theirs.retain(|known| *known != number);
            }
            (8, ..) => {
                let bytes = Bytes::from(vec![1; choices.below(LONGEST) + 1]);
                drop(self.mux.poll_send(&cx, &bytes));
            }
            (9, ..) => drop(self.mux.poll_control(&cx)),
            _ => {
                for _ in 0..choices.below(8) {
                    if let Poll::Ready(Outbound::Message(bytes)) = self.mux.poll_next(&cx) {
                        assert!(Piece::decode(bytes).is_ok(), "own pieces are pieces");
                    }
                }
            }
        }
    }
}

fn piece(choices: &mut Choices, next: &mut u32) -> Bytes {
    let channel = match choices.below(20) {
        0 => choices.number(),
        1..4 => 0,
        4..9 => {
            *next += 2;
            *next - 2
        }
        9..15 => next.saturating_sub(2),
        _ => choices.number() % (*next + 2),
    };
    let size = match choices.below(8) {
        0 => PAYLOAD_BYTES,
        1 => 0,
        _ => choices.below(500),
    };
    let last = channel != 0 && choices.below(6) == 0;
    let piece = match choices.below(40) {
        0..30 => Piece::Data { channel, last, payload: Bytes::from(vec![0; size]) },
        30..34 => Piece::GivenUp { channel, code: choices.number() },
        34..37 => Piece::Unwanted { channel, code: choices.number() },
        _ => Piece::Credit { channel, more: choices.number() },
    };
    let mut bytes = piece.encode().to_vec();
    if choices.below(200) == 0 {
        let at = choices.below(bytes.len());
        bytes[at] ^= 0x11;
        bytes.truncate(choices.below(bytes.len()) + 1);
    }
    Bytes::from(bytes)
}

/// The bytes as decisions; after the last of them everything is zero.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn below(&mut self, end: usize) -> usize {
        let wide = self.byte() << 8 | self.byte();
        wide % end.max(1)
    }

    fn number(&mut self) -> u32 {
        let wide = self.byte() << 24 | self.byte() << 16 | self.byte() << 8 | self.byte();
        u32::try_from(wide).unwrap_or(u32::MAX) >> (self.byte() % 32)
    }

    fn one_of<T: Copy>(&mut self, known: &[T]) -> Option<T> {
        known.get(self.below(known.len())).copied()
    }

    fn byte(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first)
    }
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Bytes that the application writes at once, at most.
const LONGEST: usize = 40_000;

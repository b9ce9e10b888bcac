//! From a pack, in pieces of any size, back to the data set.

use sha2::{Digest, Sha256};

use super::Limits;
use super::error::{PackError, PackFault};
use super::format::{FRONT, HASH_BYTES, Head, Kind};

/// What has come out of a pack, whole and equal to what went in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpacked {
    /// Bytes of the original.
    pub bytes: u64,
    /// SHA-256 of the original, computed here and equal to the one in the pack.
    pub sha256: [u8; 32],
}

/// Unpacks one data set that arrives piece by piece.
///
/// ```text
///   Front ──> Head ──> Body ──> Head … ──> End ──> Ended
/// ```
///
/// What comes out before [`Unpacker::finish`] has succeeded is a claim: keep it apart until then.
/// Between calls no more is held than the coded bytes of an unfinished segment.
pub struct Unpacker {
    limits: Limits,
    state: State,
    /// Bytes of the front, a head or a coded body that are not yet complete.
    waiting: Vec<u8>,
    hash: Sha256,
    /// Bytes of the pack taken, and where its current segment began.
    taken: u64,
    segment: u64,
    produced: u64,
}

enum State {
    Front,
    Head,
    /// Raw bytes that pass through.
    Raw {
        left: u64,
    },
    /// A body that is decoded when it is complete.
    Coded {
        kind: Kind,
        original: usize,
        coded: usize,
    },
    End,
    Ended([u8; 32]),
    Abandoned(PackFault),
}

impl Unpacker {
    /// An unpacker for one pack.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Front,
            waiting: Vec::new(),
            hash: Sha256::new(),
            taken: 0,
            segment: 0,
            produced: 0,
        }
    }

    /// Takes the next bytes of the pack, as many or as few as there are, and gives original bytes
    /// to `out` as they become ready.
    ///
    /// # Errors
    /// [`PackError::Refused`] for the first rule that the pack breaks, or what `out` returns. After
    /// either every further call is refused.
    pub fn feed<E: From<PackError>>(
        &mut self,
        mut bytes: &[u8],
        out: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            let taken = self.step(bytes, out).map_err(|stop| self.abandon(stop))?;
            self.taken += taken as u64;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Says that no more bytes come.
    ///
    /// # Errors
    /// What `feed` found, or [`PackFault::Truncated`].
    pub fn finish(self) -> Result<Unpacked, PackError> {
        match self.state {
            State::Ended(sha256) => Ok(Unpacked { bytes: self.produced, sha256 }),
            State::Abandoned(fault) => Err(PackError::Refused { fault, offset: self.segment }),
            _ => Err(PackError::Refused { fault: PackFault::Truncated, offset: self.segment }),
        }
    }

    fn abandon<E: From<PackError>>(&mut self, stop: Stop<E>) -> E {
        let (fault, error) = match stop {
            Stop::Receiver(error) => (PackFault::Abandoned, Some(error)),
            Stop::Fault(fault) => (fault, None),
        };
        self.state = State::Abandoned(fault);
        self.waiting = Vec::new();
        error.unwrap_or_else(|| PackError::Refused { fault, offset: self.segment }.into())
    }

    /// Takes some bytes, at least one; says how many.
    fn step<E>(
        &mut self,
        bytes: &[u8],
        out: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<usize, Stop<E>> {
        match self.state {
            State::Front => Ok(self.front(bytes)?),
            State::Head => Ok(self.head(bytes[0])?),
            State::Raw { left } => {
                let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let left = left - taken as u64;
                self.state = if left == 0 { State::Head } else { State::Raw { left } };
                self.give(&bytes[..taken], out)?;
                Ok(taken)
            }
            State::Coded { kind, original, coded } => {
                let (taken, body) = self.collect(bytes, coded);
                let Some(body) = body else { return Ok(taken) };
                let plain = decode(kind, original, body.of(bytes))?;
                drop(body);
                self.state = State::Head;
                self.give(&plain, out)?;
                Ok(taken)
            }
            State::End => {
                let (taken, body) = self.collect(bytes, HASH_BYTES as usize);
                let Some(body) = body else { return Ok(taken) };
                let sha256: [u8; 32] = self.hash.finalize_reset().into();
                if body.of(bytes) != sha256 {
                    return Err(PackFault::WrongHash.into());
                }
                self.state = State::Ended(sha256);
                Ok(taken)
            }
            State::Ended(_) => Err(PackFault::Trailing.into()),
            State::Abandoned(fault) => Err(fault.into()),
        }
    }

    fn front(&mut self, bytes: &[u8]) -> Result<usize, PackFault> {
        let expected = &FRONT[self.waiting.len()..];
        let taken = bytes.len().min(expected.len());
        if bytes[..taken] != expected[..taken] {
            return Err(PackFault::Unknown);
        }
        self.waiting.extend_from_slice(&bytes[..taken]);
        if taken == expected.len() {
            self.waiting.clear();
            self.state = State::Head;
        }
        Ok(taken)
    }

    /// Takes one byte of a head, which is never long.
    fn head(&mut self, byte: u8) -> Result<usize, PackFault> {
        if self.waiting.is_empty() {
            self.segment = self.taken;
        }
        self.waiting.push(byte);
        if let Some(head) = Head::read(&self.waiting)? {
            self.waiting.clear();
            self.state = self.enter(&head)?;
        }
        Ok(1)
    }

    /// Decides, before any memory is taken, whether a segment may follow.
    fn enter(&self, head: &Head) -> Result<State, PackFault> {
        if head.kind == Kind::End {
            let whole = head.original == self.produced;
            return if whole { Ok(State::End) } else { Err(PackFault::WrongLength) };
        }
        if head.original > self.limits.segment_bytes {
            return Err(PackFault::SegmentTooLarge);
        }
        if self.produced.saturating_add(head.original) > self.limits.object_bytes {
            return Err(PackFault::ObjectTooLarge);
        }
        if head.kind == Kind::Raw {
            return Ok(State::Raw { left: head.original });
        }
        let [original, coded] = [head.original, head.coded].map(usize::try_from);
        match (original, coded) {
            (Ok(original), Ok(coded)) => Ok(State::Coded { kind: head.kind, original, coded }),
            _ => Err(PackFault::SegmentTooLarge),
        }
    }

    /// Waits for a body of `needed` bytes; says how many of `bytes` it took.
    fn collect(&mut self, bytes: &[u8], needed: usize) -> (usize, Option<Body>) {
        if self.waiting.is_empty() && bytes.len() >= needed {
            return (needed, Some(Body::Here(needed)));
        }
        // The body grows as its bytes arrive: a length is only a claim.
        let taken = bytes.len().min(needed - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..taken]);
        if self.waiting.len() < needed {
            return (taken, None);
        }
        (taken, Some(Body::Collected(std::mem::take(&mut self.waiting))))
    }

    fn give<E>(
        &mut self,
        original: &[u8],
        out: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        self.hash.update(original);
        self.produced += original.len() as u64;
        out(original).map_err(Stop::Receiver)
    }
}

/// Why no more bytes are taken.
enum Stop<E> {
    Fault(PackFault),
    Receiver(E),
}

impl<E> From<PackFault> for Stop<E> {
    fn from(fault: PackFault) -> Self {
        Self::Fault(fault)
    }
}

/// A whole coded body: the next bytes, or what was collected before.
enum Body {
    Here(usize),
    Collected(Vec<u8>),
}

impl Body {
    fn of<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Here(length) => &bytes[..*length],
            Self::Collected(bytes) => bytes,
        }
    }
}

/// Decodes a segment, which must give exactly `original` bytes.
fn decode(kind: Kind, original: usize, coded: &[u8]) -> Result<Vec<u8>, PackFault> {
    if let Kind::JpegLs(strip) = kind {
        let image = strip.image().ok_or(PackFault::Header)?;
        let samples = image.decode(coded).ok_or(PackFault::JpegLs)?;
        let values = strip.layout.widen(&samples, strip.range);
        drop(samples);
        let mut plain = Vec::with_capacity(original);
        strip.layout.put_together(values, &mut plain);
        return if plain.len() == original { Ok(plain) } else { Err(PackFault::JpegLs) };
    }
    // A fixed buffer bounds what zstd can write; decoding at once, it needs no window beside it.
    let mut plain = vec![0; original];
    match zstd::bulk::decompress_to_buffer(coded, &mut plain[..]) {
        Ok(written) if written == original => Ok(plain),
        _ => Err(PackFault::Zstd),
    }
}

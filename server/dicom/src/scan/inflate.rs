//! A counting inflater: what comes out is bounded in relation to what went in and absolutely, while
//! it streams.

use flate2::{Decompress, FlushDecompress, Status};

use super::Limits;
use super::error::ScanErrorKind;

/// Streams a raw deflate stream (RFC 1951) piece by piece into a callback.
pub(super) struct Inflater {
    engine: Decompress,
    output: Box<[u8]>,
    ratio: u64,
    inflated_bytes: u64,
    ended: bool,
    behind: usize,
}

impl Inflater {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            engine: Decompress::new(false),
            output: vec![0; OUTPUT_BYTES].into_boxed_slice(),
            ratio: limits.inflate_ratio,
            inflated_bytes: limits.inflated_bytes,
            ended: false,
            behind: 0,
        }
    }

    /// Inflates `input` and hands every piece to `sink`; `fail` turns a broken rule into the
    /// caller's error.
    pub(super) fn push<E>(
        &mut self,
        mut input: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
        fail: impl Fn(ScanErrorKind) -> E,
    ) -> Result<(), E> {
        while !self.ended {
            let (read, written) = (self.engine.total_in(), self.engine.total_out());
            let status = self
                .engine
                .decompress(input, &mut self.output, FlushDecompress::None)
                .map_err(|_| fail(ScanErrorKind::Inflate))?;
            let consumed = (self.engine.total_in() - read) as usize;
            let produced = (self.engine.total_out() - written) as usize;
            input = &input[consumed..];
            self.check().map_err(&fail)?;
            sink(&self.output[..produced])?;
            self.ended = status == Status::StreamEnd;
            if consumed == 0 && produced == 0 {
                break;
            }
        }
        // One NUL may follow to make the length even (PS3.5 A.5); some writers also leave the
        // eight bytes of checksum and length there that end a gzip file.
        if self.ended {
            self.behind = self.behind.saturating_add(input.len());
            if self.behind > BEHIND_BYTES {
                return Err(fail(ScanErrorKind::Overlong));
            }
        }
        Ok(())
    }

    /// Whether the end of the stream has been seen.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    fn check(&self) -> Result<(), ScanErrorKind> {
        let written = self.engine.total_out();
        if written > self.inflated_bytes {
            return Err(ScanErrorKind::InflatedTooLarge);
        }
        let allowed = self.engine.total_in().saturating_mul(self.ratio).saturating_add(GRACE_BYTES);
        if written > allowed {
            return Err(ScanErrorKind::InflateRatio);
        }
        Ok(())
    }
}

const OUTPUT_BYTES: usize = 32 * 1024;

/// What may follow the end of the stream: a gzip trailer and a byte that makes the length even.
const BEHIND_BYTES: usize = 9;

/// Output that is never suspicious: a short stream of mostly zeros has a high ratio for honest
/// reasons.
const GRACE_BYTES: u64 = 256 * 1024;

//! Bytes that came and that nobody has read yet.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Received bytes in order. Small pieces are copied together: kept as they came, a byte here and a
/// byte there would each hold on to the buffer they were received in.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
}

impl Backlog {
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        if bytes.len() >= KEPT_FROM_BYTES {
            self.cut();
            self.chunks.push_back(bytes);
            return;
        }
        self.tail.extend_from_slice(&bytes);
        if self.tail.len() >= KEPT_FROM_BYTES {
            self.cut();
        }
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let next = match self.chunks.pop_front() {
            Some(chunk) => chunk,
            None if self.tail.is_empty() => return None,
            None => self.tail.split().freeze(),
        };
        self.bytes -= next.len();
        Some(next)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn cut(&mut self) {
        if !self.tail.is_empty() {
            let tail = self.tail.split().freeze();
            self.chunks.push_back(tail);
        }
    }
}

/// Pieces of at least so many bytes are kept as they came.
const KEPT_FROM_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_count_are_kept_whatever_the_sizes() {
        let mut backlog = Backlog::default();
        let mut sent = Vec::new();
        for size in [1_usize, 3, 9_000, 8_191, 1, 16_384, 2, 2] {
            let part = vec![u8::try_from(size % 251).expect("below 251"); size];
            sent.extend_from_slice(&part);
            backlog.push(Bytes::from(part));
        }
        assert_eq!(backlog.bytes(), sent.len());
        let mut got = Vec::new();
        while let Some(chunk) = backlog.pop() {
            got.extend_from_slice(&chunk);
        }
        assert_eq!(got, sent);
        assert_eq!(backlog.bytes(), 0);
    }

    #[test]
    fn a_hundred_thousand_single_bytes_are_few_chunks() {
        let mut backlog = Backlog::default();
        for _ in 0..100_000 {
            backlog.push(Bytes::from_static(b"x"));
        }
        assert!(backlog.chunks.len() < 20);
    }
}

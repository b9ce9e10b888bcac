//! How urgent a stream is, changeable while somebody writes to it.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};
use std::task::Context;

use futures_util::task::AtomicWaker;

use medrelay_core::transfer::Urgency;

/// A handle to the urgency of one outgoing stream; it works while a `write` or `finish` of the
/// stream is under way, and does nothing once the stream is over.
#[derive(Debug, Clone)]
pub struct Priority(Arc<Cell>);

#[derive(Debug)]
struct Cell {
    urgency: AtomicU8,
    writer: AtomicWaker,
}

impl Priority {
    /// For a stream that begins as urgent as this.
    pub fn new(urgency: Urgency) -> Self {
        Self(Arc::new(Cell { urgency: AtomicU8::new(urgency as u8), writer: AtomicWaker::new() }))
    }

    /// The stream is as urgent as this from now on.
    pub fn set(&self, urgency: Urgency) {
        if self.0.urgency.swap(urgency as u8, Ordering::AcqRel) != urgency as u8 {
            self.0.writer.wake();
        }
    }

    /// How urgent the stream is.
    pub fn urgency(&self) -> Urgency {
        match self.0.urgency.load(Ordering::Acquire) {
            0 => Urgency::Stat,
            1 => Urgency::Urgent,
            _ => Urgency::Routine,
        }
    }

    /// Wakes the task of `cx` at the next change. One task at a time: the stream's writer.
    pub(crate) fn watch(&self, cx: &Context<'_>) {
        self.0.writer.register(cx.waker());
    }
}

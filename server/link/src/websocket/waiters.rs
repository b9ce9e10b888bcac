//! Tasks that wait for something to change.

use std::task::{Context, Waker};

/// Wakers of tasks that wait for the same thing. A task is kept once, so a waiter that is polled
/// again and again does not grow it.
#[derive(Debug, Default)]
pub(super) struct Waiters(Vec<Waker>);

impl Waiters {
    pub(super) fn add(&mut self, cx: &Context<'_>) {
        if !self.0.iter().any(|known| known.will_wake(cx.waker())) {
            self.0.push(cx.waker().clone());
        }
    }

    pub(super) fn wake(&mut self) {
        for waiter in self.0.drain(..) {
            waiter.wake();
        }
    }
}

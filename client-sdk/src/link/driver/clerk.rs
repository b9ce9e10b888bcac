//! The clerk does what the shelf has to make durable, one thing after the other, so that the
//! connection never waits for a disk, and what was said is kept even when the connection ends.

use std::sync::Arc;

use medrelay_core::transfer::message::Item;
use medrelay_core::transfer::{Outcome, RefusalCode};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::link::shelf::{Shelf, ShelfError, Signed, Waiting};

/// What the shelf is to do. Their number is bounded by what the protocol lets be open at once.
#[derive(Debug)]
pub(super) enum Call {
    Waiting,
    Sign(u64, Signed),
    Known(u64, u32),
    Stored(u64, u32, Outcome),
    Refused(u64, Option<u32>, RefusalCode, String),
    Committed(u64, Vec<u8>, Vec<u8>),
    Attachment(Item),
    Keep(Item),
}

/// What came of it, where somebody waits for that.
#[derive(Debug)]
pub(super) enum Answer {
    Waiting(Vec<Waiting>),
    Signed(u64),
    Committed(u64),
    Attachment(Item, u64),
    Kept(String),
    Damaged(Item),
    Failed(ShelfError),
}

/// The clerk's desk.
#[derive(Debug)]
pub(super) struct Clerk {
    calls: UnboundedSender<Call>,
    answers: UnboundedReceiver<Answer>,
    task: JoinHandle<()>,
}

impl Clerk {
    pub fn new<S: Shelf>(shelf: Arc<S>) -> Self {
        let (calls, incoming) = unbounded_channel();
        let (outgoing, answers) = unbounded_channel();
        let task = tokio::spawn(work(shelf, incoming, outgoing));
        Self { calls, answers, task }
    }

    pub fn call(&self, call: Call) {
        // The clerk goes only when this desk does.
        let _ = self.calls.send(call);
    }

    /// The next answer; given up half way, nothing is lost.
    pub async fn answer(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// Lets the clerk finish what it was given.
    pub async fn finish(self) {
        let Self { calls, answers, task } = self;
        drop((calls, answers));
        if let Err(error) = task.await {
            tracing::error!(%error, "the shelf's clerk failed");
        }
    }
}

async fn work<S: Shelf>(
    shelf: Arc<S>,
    mut calls: UnboundedReceiver<Call>,
    answers: UnboundedSender<Answer>,
) {
    let mut next = None;
    loop {
        let call = match next.take() {
            Some(call) => call,
            None => match calls.recv().await {
                Some(call) => call,
                None => return,
            },
        };
        let answer = match call {
            // What is stored at the relay comes in numbers; one transaction serves many.
            Call::Stored(key, index, outcome) => {
                let mut entries = vec![(index, outcome)];
                while let Ok(call) = calls.try_recv() {
                    match call {
                        Call::Stored(same, index, outcome) if same == key => {
                            entries.push((index, outcome));
                        }
                        other => {
                            next = Some(other);
                            break;
                        }
                    }
                }
                shelf.stored(key, entries).await.map(|()| None)
            }
            other => one(&*shelf, other).await,
        };
        if let Some(answer) = answer.unwrap_or_else(|error| Some(Answer::Failed(error))) {
            // Nobody may be there any more to hear it.
            let _ = answers.send(answer);
        }
    }
}

async fn one<S: Shelf>(shelf: &S, call: Call) -> Result<Option<Answer>, ShelfError> {
    Ok(match call {
        Call::Waiting => Some(Answer::Waiting(shelf.waiting().await?)),
        Call::Sign(key, signed) => {
            shelf.sign(key, signed).await?;
            Some(Answer::Signed(key))
        }
        Call::Known(key, have) => {
            shelf.known(key, have).await?;
            None
        }
        Call::Stored(key, index, outcome) => {
            shelf.stored(key, vec![(index, outcome)]).await?;
            None
        }
        Call::Refused(key, index, code, detail) => {
            shelf.refused(key, index, code, detail).await?;
            None
        }
        Call::Committed(key, receipt, signature) => {
            shelf.committed(key, receipt, signature).await?;
            Some(Answer::Committed(key))
        }
        Call::Attachment(item) => {
            let offset = shelf.attachment(&item).await?;
            Some(Answer::Attachment(item, offset))
        }
        Call::Keep(item) => {
            let id = item.id.clone();
            match shelf.keep(item.clone()).await {
                Err(ShelfError::Damaged) => Some(Answer::Damaged(item)),
                kept => {
                    kept?;
                    Some(Answer::Kept(id))
                }
            }
        }
    })
}

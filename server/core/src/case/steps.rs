//! What single steps of a case's lifecycle come to: claims that are taken, kept and checked, and the
//! clock of a case that goes back.

use super::{Case, Claim, Hold, Lease, Refusal, Stage};
use crate::id::PersonId;
use crate::message::ReturnCode;
use crate::time::{Span, Timestamp};

/// A claim that has not run out stands.
pub(super) fn refuse_live_claim(stage: &Stage, now: Timestamp) -> Result<(), Refusal> {
    match stage.claim() {
        Some(claim) if now < claim.expires => Err(Refusal::AlreadyClaimed {
            holder: claim.holder.clone(),
            since: claim.acquired,
            expires: claim.expires,
        }),
        _ => Ok(()),
    }
}

/// The stage of a case that somebody takes now: a new fence, and no assignment any more.
pub(super) fn take(
    case: &mut Case,
    from: Stage,
    by: PersonId,
    token_hash: String,
    lease: Lease,
    now: Timestamp,
) -> Result<Stage, Refusal> {
    let author = from.preliminary_by().cloned();
    if author.as_ref() == Some(&by) {
        return Err(Refusal::AuthorCannotVerify);
    }
    case.assigned = None;
    case.fence += 1;
    let expires = now + lease.length.min(lease.cap);
    let claim = Claim { holder: by, token_hash, fence: case.fence, acquired: now, expires };
    Ok(match author {
        Some(by) => Stage::Verifying { by, claim },
        None => Stage::InProgress { claim },
    })
}

/// Whether a hold that is shown is the live one.
pub(super) fn check_hold(stage: &Stage, hold: &Hold, now: Timestamp) -> Result<(), Refusal> {
    let lost = |claim: Option<&Claim>| Refusal::ClaimLost {
        holder: claim.map(|c| c.holder.clone()),
        since: claim.map(|c| c.acquired),
    };
    match stage.claim() {
        Some(claim)
            if claim.holder == hold.by
                && claim.fence == hold.fence
                && claim.token_hash == hold.token_hash =>
        {
            if now < claim.expires {
                Ok(())
            } else {
                Err(lost(None))
            }
        }
        other => Err(lost(other)),
    }
}

/// A claim that goes on.
pub(super) fn renew(stage: Stage, lease: Lease, now: Timestamp) -> Stage {
    let longer = |mut claim: Claim| {
        claim.expires = (now + lease.length).min(claim.acquired + lease.cap).max(claim.expires);
        claim
    };
    match stage {
        Stage::InProgress { claim } => Stage::InProgress { claim: longer(claim) },
        Stage::Verifying { by, claim } => Stage::Verifying { by, claim: longer(claim) },
        other => other,
    }
}

/// The stage that a case waited in before it was taken.
pub(super) fn put_back(stage: Stage) -> Stage {
    match stage {
        Stage::InProgress { .. } => Stage::Ready,
        Stage::Verifying { by, .. } => Stage::Preliminary { by },
        other => other,
    }
}

/// The stage of a case that is returned now; the deadline stops where it is.
pub(super) fn send_back(case: &mut Case, by: PersonId, code: ReturnCode, now: Timestamp) -> Stage {
    case.returns += 1;
    Stage::Returned { by, code, at: now, rest: case.deadline.since(now) }
}

/// What a returned case is given when it comes again: what was left, but no less than half of the
/// whole time, and no more than all of it.
pub fn rest_of(rest: Span, agreed: Span) -> Span {
    let half = Span::from_micros(agreed.micros() / 2);
    rest.max(half).min(agreed)
}

/// A case is given to somebody while nobody works on it.
pub(super) fn assignable(stage: &Stage, to: Option<&PersonId>) -> Result<(), Refusal> {
    match stage {
        Stage::Preliminary { by } if Some(by) == to => Err(Refusal::AuthorCannotVerify),
        Stage::Submitted | Stage::Ready | Stage::Preliminary { .. } | Stage::Returned { .. } => {
            Ok(())
        }
        Stage::InProgress { .. }
        | Stage::Verifying { .. }
        | Stage::Final
        | Stage::Delivered
        | Stage::Closed => Err(Refusal::WrongStage { stage: stage.name(), command: "assign" }),
    }
}

//! The order of the queue and who may take what from it: pure functions.
//!
//! The key of a case is `(lane, bucket, fair, submitted_at, case)`, ascending. The bucket is the
//! slack until the deadline in steps of five minutes, so that time alone lifts every case to the
//! top of its lane; fairness between clinics acts only inside one bucket and can therefore never
//! break a deadline by more than one step. (Cases more than a day overdue share the last bucket:
//! among them fairness alone decides.)

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::{CaseId, OrganizationId, PersonId};
use crate::people::Priority;
use crate::time::{Span, Timestamp};

/// Width of a slack bucket.
pub const BUCKET: Span = Span::from_minutes(5);
/// Buckets are clamped to a day on either side of the deadline.
pub const BUCKET_LIMIT: i64 = 288;
/// How many cases one reader may hold unless configured otherwise.
pub const CLAIM_LIMIT: usize = 3;

/// A case that waits, as the order sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Which case.
    pub case: CaseId,
    /// Whose.
    pub clinic: OrganizationId,
    /// The clinic's word for how soon.
    pub priority: Priority,
    /// When the report is due.
    pub deadline: Timestamp,
    /// When it entered the queue.
    pub submitted_at: Timestamp,
    /// How long reading it is expected to take.
    pub expected: Span,
    /// Virtual finish tag, from [`finish_tag`] when it entered the queue.
    pub fair: i64,
}

/// The sort key of a waiting case at one moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    lane: u8,
    bucket: i64,
    fair: i64,
    submitted_at: Timestamp,
    case: CaseId,
}

/// Lane 0 is for STAT, lane 1 for everything else.
pub const fn lane(priority: Priority) -> u8 {
    match priority {
        Priority::Stat => 0,
        Priority::Urgent | Priority::Routine => 1,
    }
}

/// Slack until the deadline in whole buckets, rounded down; overdue is negative.
pub fn bucket(waiting: &Waiting, now: Timestamp) -> i64 {
    let slack = waiting.deadline.since(now).micros().saturating_sub(waiting.expected.micros());
    slack.div_euclid(BUCKET.micros()).clamp(-BUCKET_LIMIT, BUCKET_LIMIT)
}

/// The key of a waiting case at `now`; unique, because it ends in the case's identifier.
pub fn key(waiting: &Waiting, now: Timestamp) -> Key {
    Key {
        lane: lane(waiting.priority),
        bucket: bucket(waiting, now),
        fair: waiting.fair,
        submitted_at: waiting.submitted_at,
        case: waiting.case.clone(),
    }
}

/// Puts waiting cases in the order in which they should be read at `now`.
pub fn order(waiting: &mut [Waiting], now: Timestamp) {
    waiting.sort_by_cached_key(|case| key(case, now));
}

/// The virtual finish tag of a case that enters the queue: weighted fair queueing.
///
/// `virtual_time` is the highest tag of any case served at the centre (it must not go down when an
/// older tag is served), `last_finish` the tag that
/// the clinic's previous case got, `weight` the clinic's share (at least 1).
pub fn finish_tag(virtual_time: i64, last_finish: i64, expected: Span, weight: i64) -> i64 {
    let service = expected.micros().max(1) / weight.max(1);
    virtual_time.max(last_finish).saturating_add(service.max(1))
}

/// What somebody who wants a case is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Who.
    pub person: PersonId,
    /// Modalities they may read; empty means every one.
    pub modalities: Vec<String>,
    /// How many cases they hold now.
    pub holding: usize,
    /// How many they may hold.
    pub claim_limit: usize,
}

/// Why a reader may not take a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Ineligible {
    /// The reader has no privilege for the modality.
    #[error("you are not registered for this modality")]
    Modality,
    /// The reader holds as many cases as allowed.
    #[error("you hold as many cases as you may: sign or release one first")]
    ClaimLimit,
    /// The preliminary report is the reader's own.
    #[error("the preliminary report is yours: another person must verify it")]
    AuthorCannotVerify,
    /// A coordinator has given the case to somebody else.
    #[error("the case was given to another reader")]
    Assigned,
}

/// Whether a reader may take a case of `modality` whose preliminary report is by
/// `preliminary_by` and that was given to `assigned`, as [`binding`] has it.
pub fn eligible(
    reader: &Reader,
    modality: &str,
    preliminary_by: Option<&PersonId>,
    assigned: Option<&PersonId>,
) -> Result<(), Ineligible> {
    if !reads(&reader.modalities, modality) {
        Err(Ineligible::Modality)
    } else if assigned.is_some_and(|person| *person != reader.person) {
        Err(Ineligible::Assigned)
    } else if reader.holding >= reader.claim_limit {
        Err(Ineligible::ClaimLimit)
    } else if preliminary_by == Some(&reader.person) {
        Err(Ineligible::AuthorCannotVerify)
    } else {
        Ok(())
    }
}

fn reads(modalities: &[String], modality: &str) -> bool {
    modalities.is_empty() || modalities.iter().any(|m| m == modality)
}

/// Somebody who reads at a centre now: the account is open and the role is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnStaff {
    /// Modalities they may read; empty means every one.
    pub modalities: Vec<String>,
    /// Whether they may sign a final report.
    pub verifier: bool,
}

/// What a case asks of whoever takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs<'a> {
    /// Its modality.
    pub modality: &'a str,
    /// Only somebody who may sign a final report can do anything with it.
    pub verifier: bool,
    /// Who signed the preliminary report that waits.
    pub preliminary_by: Option<&'a PersonId>,
}

/// Whether somebody is fit for a case.
pub fn fit(person: &PersonId, staff: &OnStaff, needs: Needs<'_>) -> bool {
    reads(&staff.modalities, needs.modality)
        && (staff.verifier || !needs.verifier)
        && needs.preliminary_by != Some(person)
}

/// The assignment of a case as far as it binds others: one to somebody who has left, or who cannot
/// take the case any more, binds nobody, so that it strands no case. `staff` is what the assignee
/// is at the centre now.
pub fn binding<'a>(
    assigned: Option<&'a PersonId>,
    staff: Option<&OnStaff>,
    needs: Needs<'_>,
) -> Option<&'a PersonId> {
    assigned.filter(|person| staff.is_some_and(|staff| fit(person, staff, needs)))
}

/// When a reader may come to a case that stands behind `ahead` others, if `readers` are at work
/// and each takes `each` for a case; `None` when there is nothing to go by.
pub fn expected_at(
    ahead: usize,
    readers: usize,
    each: Option<Span>,
    now: Timestamp,
) -> Option<Timestamp> {
    let (readers, ahead) = (i64::try_from(readers).ok()?, i64::try_from(ahead).ok()?);
    if readers == 0 {
        return None;
    }
    let wait = each?.micros().saturating_mul(ahead) / readers;
    Some(now + Span::from_micros(wait))
}

/// The middle of some spans; `None` of none.
pub fn median(mut spans: Vec<Span>) -> Option<Span> {
    spans.sort_unstable();
    spans.get(spans.len() / 2).copied()
}

/// How long reading a study of a modality is expected to take, until statistics know better.
pub fn expected_service(modality: &str) -> Span {
    Span::from_minutes(match modality {
        "CT" | "MR" => 12,
        "US" => 8,
        "CR" | "DX" | "DR" | "MG" => 4,
        "ECG" => 3,
        _ => 8,
    })
}

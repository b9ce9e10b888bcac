//! What was read, how soon and for whom: counts for coordinators and administrators, without any
//! patient.

use std::collections::BTreeMap;

use medrelay_core::access::{self, Action};
use medrelay_core::event::Kind;
use medrelay_core::time::{Span, Timestamp};

use super::{About, Caller, Error, Service};
use crate::store::{Counted, Took};

pub use crate::store::{Counts, Grouping};

/// The longest time that is counted over.
const LONGEST: Span = Span::from_hours(366 * 24);
/// Groups at most.
const GROUPS: i64 = 2_000;
/// Different times of groups at most: 16 MB of them.
const TIMES: i64 = 400_000;
/// Microseconds of a minute and of a day.
const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// One line: the counts of a group, and how long its signed cases took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// What was counted.
    pub counts: Counts,
    /// Half of the signed cases took no longer, in minutes.
    pub median_minutes: Option<i64>,
    /// Nine of ten took no longer.
    pub p90_minutes: Option<i64>,
}

/// Statistics over some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Group by group.
    pub lines: Vec<Line>,
    /// Every case once.
    pub total: Line,
}

impl Service {
    /// Counts the cases that were opened from `from` on and before `to`: those of the caller's
    /// centres, or with either side below the caller's organizations.
    pub async fn statistics(
        &self,
        caller: &Caller,
        from: Timestamp,
        to: Timestamp,
        by: Grouping,
    ) -> Result<Statistics, Error> {
        access::may_somewhere(&caller.actor, Action::ReadStatistics)?;
        if to <= from || to.since(from) > LONGEST {
            return Err(Error::invalid("to", "must be after from, by 366 days at most"));
        }
        let scope = access::scope(&caller.actor, Action::ReadStatistics);
        let offset = i64::from(self.settings().utc_offset_minutes) * MINUTE;
        let of = Counted { scope: &scope, from, to, now: self.now(), offset };
        let mut tx = self.db().read().await?;
        let groups = tx.case_counts(&of, by, GROUPS + 1).await?;
        let times = tx.case_times(&of, by, TIMES + 1).await?;
        let total = tx.case_counts(&of, Grouping::All, 1).await?;
        let total_times = tx.case_times(&of, Grouping::All, TIMES).await?;
        drop(tx);
        let too_many = |count: usize, limit: i64| i64::try_from(count).unwrap_or(limit + 1) > limit;
        if too_many(groups.len(), GROUPS) || too_many(times.len(), TIMES) {
            return Err(Error::invalid("to", "too much for one answer: choose a shorter time"));
        }
        self.note_statistics(caller, &scope, (from, to)).await?;
        let mut by_key: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
        for Took { key, minutes, cases } in times {
            by_key.entry(key).or_default().push((minutes, cases));
        }
        let lines = groups.into_iter().map(|mut counts| {
            let times = by_key.remove(&counts.key).unwrap_or_default();
            if by == Grouping::Day {
                counts.key = date_of(&counts.key);
                counts.label.clone_from(&counts.key);
            }
            line(counts, &times)
        });
        let lines = lines.collect();
        let all: Vec<_> = total_times.iter().map(|took| (took.minutes, took.cases)).collect();
        let total = line(total.into_iter().next().unwrap_or_default(), &all);
        Ok(Statistics { lines, total })
    }

    async fn note_statistics(
        &self,
        caller: &Caller,
        scope: &access::Scope,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<(), Error> {
        let organization = scope.own.first().or(scope.below.first());
        let object = organization.map(|id| format!("organization:{id}")).unwrap_or_default();
        let details = serde_json::json!({ "from": from, "to": to });
        let about = About { organization, object, ..About::default() }.with(details);
        let mut tx = self.db().write().await?;
        tx.record(vec![self.parts.event(caller, Kind::StatisticsRead, about)]).await?;
        Ok(tx.commit().await?)
    }
}

fn line(counts: Counts, times: &[(i64, i64)]) -> Line {
    Line { counts, median_minutes: quantile(times, 50), p90_minutes: quantile(times, 90) }
}

/// The shortest of the times that `percent` of the cases did not exceed; times from short to long
/// with how many cases took each.
fn quantile(times: &[(i64, i64)], percent: i64) -> Option<i64> {
    let all: i64 = times.iter().map(|(_, cases)| cases).sum();
    let rank = (all * percent + 99) / 100;
    let mut seen = 0;
    times.iter().find_map(|(minutes, cases)| {
        seen += cases;
        (seen >= rank).then_some(*minutes)
    })
}

/// The date of a day by its number since 1970-01-01.
fn date_of(day: &str) -> String {
    let micros = day.parse::<i64>().unwrap_or_default().saturating_mul(DAY);
    let date = chrono::DateTime::from_timestamp_micros(micros);
    date.map_or_else(String::new, |date| date.format("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_them_took_no_longer() {
        assert_eq!(quantile(&[], 50), None);
        assert_eq!(quantile(&[(7, 1)], 50), Some(7));
        assert_eq!(quantile(&[(7, 1), (9, 1)], 50), Some(7));
        assert_eq!(quantile(&[(7, 1), (9, 2)], 50), Some(9));
        assert_eq!(quantile(&[(1, 89), (5, 1), (60, 10)], 90), Some(5));
        assert_eq!(quantile(&[(1, 89), (60, 11)], 90), Some(60));
    }

    #[test]
    fn a_day_has_a_date() {
        assert_eq!(date_of("0"), "1970-01-01");
        assert_eq!(date_of("20727"), "2026-10-01");
    }
}

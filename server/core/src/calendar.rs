//! Working hours and holidays: when a report that is due within so many working minutes is due.
//!
//! Days are civil days at a fixed offset from UTC. On a holiday nobody works; on a make-up day
//! (调休) people work although the weekday says otherwise.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::time::{Span, Timestamp};

/// Minutes of a day.
const DAY_MINUTES: i64 = 24 * 60;
/// Microseconds of a minute.
const MINUTE: i64 = 60_000_000;
/// Microseconds of a day.
const DAY: i64 = DAY_MINUTES * MINUTE;
/// Working minutes that a week has at least: a due time must be found within years.
const LEAST_WEEK_MINUTES: i64 = 60;
/// Times of work on one day at most.
const SHIFTS: usize = 8;
/// Holidays, and make-up days, at most: some years of them.
const DATES: usize = 400;
/// The easternmost offset from UTC, and the westernmost, in minutes.
const OFFSETS: std::ops::RangeInclusive<i32> = -12 * 60..=14 * 60;

/// A calendar as people write it: times as `"08:00"` (`"24:00"` is midnight at the end of the day),
/// days as `"2026-10-01"`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// From when to when, for each day of the week, Monday first. Without any hours there is no
    /// calendar: everything goes by the clock.
    pub week: [Vec<(String, String)>; 7],
    /// Days on which nobody works.
    pub holidays: Vec<String>,
    /// Days on which people work although their weekday is free.
    pub workdays: Vec<String>,
    /// Minutes east of UTC.
    pub offset_minutes: i32,
}

/// Why a calendar cannot be as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CalendarFault {
    /// A time is not one.
    #[error("write times as HH:MM, from 00:00 to 24:00, each end after its beginning")]
    Time,
    /// The times of a day overlap or are not in order.
    #[error("the times of a day must be in order and must not overlap; at most 8 of them")]
    Order,
    /// Hardly anybody ever works.
    #[error("a week needs at least one hour of work, or none at all")]
    Week,
    /// A day is not one.
    #[error("write days as YYYY-MM-DD, at most 400 of a kind")]
    Date,
    /// A day is a holiday and a make-up day.
    #[error("a day is either a holiday or a make-up day")]
    Both,
    /// No place on earth has this offset.
    #[error("offset_minutes must be -720 to 840")]
    Offset,
}

/// When people work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// From minute to minute of the day, Monday first.
    week: [Vec<(i64, i64)>; 7],
    /// Days since 1970-01-01.
    holidays: BTreeSet<i64>,
    workdays: BTreeSet<i64>,
    /// Microseconds east of UTC.
    offset: i64,
}

impl Calendar {
    /// Reads a calendar; `None` when its week has no hours at all.
    pub fn read(written: &Written) -> Result<Option<Self>, CalendarFault> {
        if !OFFSETS.contains(&written.offset_minutes) {
            return Err(CalendarFault::Offset);
        }
        let mut week: [Vec<(i64, i64)>; 7] = Default::default();
        for (day, shifts) in week.iter_mut().zip(&written.week) {
            *day = hours(shifts)?;
        }
        let (holidays, workdays) = (dates(&written.holidays)?, dates(&written.workdays)?);
        if !holidays.is_disjoint(&workdays) {
            return Err(CalendarFault::Both);
        }
        let minutes: i64 = week.iter().flatten().map(|(from, to)| to - from).sum();
        if minutes == 0 {
            return Ok(None);
        }
        if minutes < LEAST_WEEK_MINUTES {
            return Err(CalendarFault::Week);
        }
        let offset = i64::from(written.offset_minutes) * MINUTE;
        Ok(Some(Self { week, holidays, workdays, offset }))
    }

    /// The moment at which `span` of working time has passed since `from`. A span that ends exactly
    /// when people leave ends then, and not when they come back; no time at all that begins while
    /// nobody works ends when they come.
    pub fn add_working(&self, from: Timestamp, span: Span) -> Timestamp {
        let local = from.micros().saturating_add(self.offset);
        let mut left = span.micros().max(0);
        let first = local.div_euclid(DAY);
        // Every seventh day has hours, unless it is one of finitely many holidays.
        for day in first.. {
            let midnight = day.saturating_mul(DAY);
            for (opens, closes) in self.hours_of(day) {
                let opens = (midnight + opens * MINUTE).max(local);
                let closes = midnight + closes * MINUTE;
                if closes < opens || (closes == opens && left > 0) {
                    continue;
                }
                if left <= closes - opens {
                    return Timestamp::from_micros(opens + left - self.offset);
                }
                left -= closes - opens;
            }
            if midnight >= LAST {
                break;
            }
        }
        Timestamp::from_micros(LAST)
    }

    /// Whether somebody works at a moment; the moment at which they leave counts.
    pub fn is_working(&self, at: Timestamp) -> bool {
        let local = at.micros().saturating_add(self.offset);
        // Midnight belongs to the day before it, too.
        [local.div_euclid(DAY), (local - 1).div_euclid(DAY)].into_iter().any(|day| {
            let minute = |minutes: i64| day * DAY + minutes * MINUTE;
            let mut hours = self.hours_of(day).iter();
            hours.any(|(opens, closes)| (minute(*opens)..=minute(*closes)).contains(&local))
        })
    }

    /// The hours of a day, by its number since 1970-01-01, which was a Thursday.
    fn hours_of(&self, day: i64) -> &[(i64, i64)] {
        if self.holidays.contains(&day) {
            return &[];
        }
        let weekday = usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
        let usual = &self.week[weekday];
        if usual.is_empty() && self.workdays.contains(&day) {
            // A make-up day has the hours of the first day of the week that has any.
            return self.week.iter().find(|hours| !hours.is_empty()).map_or(&[], Vec::as_slice);
        }
        usual
    }
}

/// A due time that is never reached: the year 9999.
const LAST: i64 = 253_402_214_400_000_000;

fn hours(shifts: &[(String, String)]) -> Result<Vec<(i64, i64)>, CalendarFault> {
    if shifts.len() > SHIFTS {
        return Err(CalendarFault::Order);
    }
    let mut hours: Vec<(i64, i64)> = Vec::with_capacity(shifts.len());
    for (from, to) in shifts {
        let (from, to) = (minute_of(from)?, minute_of(to)?);
        if to <= from {
            return Err(CalendarFault::Time);
        }
        match hours.last_mut() {
            Some((_, last)) if *last > from => return Err(CalendarFault::Order),
            // One shift after the other is one.
            Some((_, last)) if *last == from => *last = to,
            _ => hours.push((from, to)),
        }
    }
    Ok(hours)
}

fn minute_of(text: &str) -> Result<i64, CalendarFault> {
    let (hour, minute) = text.split_once(':').ok_or(CalendarFault::Time)?;
    let (hour, minute) = two_digits(hour).zip(two_digits(minute)).ok_or(CalendarFault::Time)?;
    let of_day = hour * 60 + minute;
    if minute < 60 && of_day <= DAY_MINUTES { Ok(of_day) } else { Err(CalendarFault::Time) }
}

fn two_digits(text: &str) -> Option<i64> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn dates(written: &[String]) -> Result<BTreeSet<i64>, CalendarFault> {
    if written.len() > DATES {
        return Err(CalendarFault::Date);
    }
    written.iter().map(|text| day_of(text).ok_or(CalendarFault::Date)).collect()
}

/// The number of a day since 1970-01-01.
fn day_of(text: &str) -> Option<i64> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let (high, low) = year.is_char_boundary(2).then(|| year.split_at(2))?;
    let year = two_digits(high)? * 100 + two_digits(low)?;
    let (month, day) = (two_digits(month)?, two_digits(day)?);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=length).contains(&day) {
        return None;
    }
    // Years begin in March here, so that the leap day is the last one.
    let shifted = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        for (text, day) in
            [("1970-01-01", 0), ("1972-03-01", 790), ("2000-02-29", 11_016), ("2026-10-01", 20_727)]
        {
            assert_eq!(day_of(text), Some(day), "{text}");
        }
        let bad =
            ["2026-02-29", "2026-13-01", "2026-1-1", "26-01-01", "1969-12-31", "", "中文-01-01"];
        assert!(bad.iter().all(|text| day_of(text).is_none()));
    }

    #[test]
    fn times_are_of_one_day() {
        assert_eq!(minute_of("08:30"), Ok(510));
        assert_eq!(minute_of("24:00"), Ok(1440));
        for bad in ["24:01", "8:00", "08:60", "0800", "-1:00", ""] {
            assert_eq!(minute_of(bad), Err(CalendarFault::Time), "{bad}");
        }
    }
}

//! Working time: nothing is due while nobody works, and nothing is due earlier for beginning later.

use medrelay_core::calendar::{Calendar, CalendarFault, Written};
use medrelay_core::time::{Span, Timestamp};
use proptest::prelude::*;

/// 2026-09-28 00:00 in China: a Monday.
const MONDAY: Timestamp = Timestamp::from_micros(1_790_524_800_000_000);

fn shifts(times: &[(&str, &str)]) -> Vec<(String, String)> {
    times.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
}

fn office() -> Written {
    let day = shifts(&[("08:00", "12:00"), ("14:00", "17:30")]);
    let mut week: [Vec<(String, String)>; 7] = Default::default();
    for weekday in week.iter_mut().take(5) {
        *weekday = day.clone();
    }
    // National Day: Thursday to Wednesday, with the Saturday after it and the Sunday before made up.
    let holidays = ["2026-10-01", "2026-10-02", "2026-10-05", "2026-10-06", "2026-10-07"];
    Written {
        week,
        holidays: holidays.map(str::to_owned).to_vec(),
        workdays: vec!["2026-10-10".to_owned()],
        offset_minutes: 480,
    }
}

fn read(written: &Written) -> Calendar {
    Calendar::read(written).expect("a calendar").expect("with hours")
}

fn at(day: i64, hour: i64, minute: i64) -> Timestamp {
    MONDAY + Span::from_minutes((day * 24 + hour) * 60 + minute)
}

#[test]
fn an_afternoon_goes_on_the_next_morning() {
    let calendar = read(&office());
    let four_hours = Span::from_hours(4);
    assert_eq!(calendar.add_working(at(0, 8, 0), four_hours), at(0, 12, 0), "not at 14:00");
    assert_eq!(calendar.add_working(at(0, 9, 30), four_hours), at(0, 15, 30));
    assert_eq!(calendar.add_working(at(0, 16, 0), four_hours), at(1, 10, 30));
    assert_eq!(calendar.add_working(at(0, 12, 0), Span::from_minutes(1)), at(0, 14, 1));
    assert_eq!(calendar.add_working(at(0, 3, 0), Span::from_minutes(0)), at(0, 8, 0));
    // Wednesday afternoon before the holidays: the next day of work is Thursday of the week after.
    assert_eq!(calendar.add_working(at(2, 17, 0), Span::from_hours(1)), at(10, 8, 30));
    // Friday afternoon: the Saturday after it is made up.
    assert_eq!(calendar.add_working(at(11, 17, 0), Span::from_hours(1)), at(12, 8, 30));
    // An ordinary Saturday is free.
    assert_eq!(calendar.add_working(at(19, 9, 0), Span::from_hours(1)), at(21, 9, 0));
}

#[test]
fn what_cannot_be_is_said() {
    let with = |change: fn(&mut Written)| {
        let mut written = office();
        change(&mut written);
        Calendar::read(&written)
    };
    assert_eq!(with(|w| w.week[0] = shifts(&[("8:00", "12:00")])), Err(CalendarFault::Time));
    assert_eq!(with(|w| w.week[0] = shifts(&[("12:00", "08:00")])), Err(CalendarFault::Time));
    let overlapping = with(|w| w.week[0] = shifts(&[("08:00", "12:00"), ("11:00", "13:00")]));
    assert_eq!(overlapping, Err(CalendarFault::Order));
    assert_eq!(with(|w| w.holidays.push("2026-02-30".to_owned())), Err(CalendarFault::Date));
    assert_eq!(with(|w| w.workdays.push("2026-10-01".to_owned())), Err(CalendarFault::Both));
    assert_eq!(with(|w| w.offset_minutes = 900), Err(CalendarFault::Offset));
    assert_eq!(with(|w| w.week = Default::default()), Ok(None), "no hours: by the clock");
    let hardly = with(|w| {
        w.week = Default::default();
        w.week[0] = shifts(&[("08:00", "08:30")]);
    });
    assert_eq!(hardly, Err(CalendarFault::Week));
}

/// Any calendar: up to three shifts a day, some holidays and make-up days around the start.
fn any_calendar() -> impl Strategy<Value = Calendar> {
    let time = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
    let day = prop::collection::btree_set(0i64..=1440, 0..=6).prop_map(move |minutes| {
        let minutes: Vec<i64> = minutes.into_iter().collect();
        minutes.chunks_exact(2).map(|pair| (time(pair[0]), time(pair[1]))).collect::<Vec<_>>()
    });
    let dates = prop::collection::btree_set(1u32..=31, 0..10);
    (prop::array::uniform7(day), dates.clone(), dates, -720i32..=840).prop_filter_map(
        "hours",
        |(week, holidays, workdays, offset_minutes)| {
            let write = |days: Vec<u32>| {
                days.into_iter().map(|day| format!("2026-10-{day:02}")).collect::<Vec<_>>()
            };
            let workdays = write(workdays.difference(&holidays).copied().collect());
            let holidays = write(holidays.into_iter().collect());
            let written = Written { week, holidays, workdays, offset_minutes };
            Calendar::read(&written).ok().flatten()
        },
    )
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (0i64..60 * 24 * 3600 * 1_000_000).prop_map(|micros| MONDAY + Span::from_micros(micros))
}

fn span() -> impl Strategy<Value = Span> {
    (0i64..43_200 * 60 * 1_000_000).prop_map(Span::from_micros)
}

proptest! {
    #[test]
    fn nothing_is_due_while_nobody_works(
        calendar in any_calendar(), from in moment(), span in span(),
    ) {
        let due = calendar.add_working(from, span);
        prop_assert!(due >= from + span, "working time is not faster than time");
        prop_assert!(calendar.is_working(due));
    }

    #[test]
    fn later_and_longer_is_not_due_earlier(
        calendar in any_calendar(), from in moment(), span in span(),
        later in 0i64..10 * 24 * 60, longer in 0i64..1000,
    ) {
        let due = calendar.add_working(from, span);
        prop_assert!(calendar.add_working(from + Span::from_minutes(later), span) >= due);
        let longer = span + Span::from_minutes(longer);
        prop_assert!(calendar.add_working(from, longer) >= due);
    }

    #[test]
    fn one_span_after_the_other_is_both(
        calendar in any_calendar(), from in moment(), one in span(), two in 1i64..10_000_000_000,
    ) {
        let two = Span::from_micros(two);
        let in_turn = calendar.add_working(calendar.add_working(from, one), two);
        prop_assert_eq!(in_turn, calendar.add_working(from, one + two));
    }

    #[test]
    fn who_always_works_goes_by_the_clock(
        from in moment(), span in span(), offset_minutes in -720i32..=840,
    ) {
        let week = std::array::from_fn(|_| shifts(&[("00:00", "24:00")]));
        let calendar = read(&Written { week, offset_minutes, ..Written::default() });
        prop_assert_eq!(calendar.add_working(from, span), from + span);
    }
}

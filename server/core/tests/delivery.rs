//! The lifecycle of a delivery: the whole stage × command grid against a table written by hand,
//! and random histories that must come to an end.

use medrelay_core::delivery::{Backoff, Command, Route, Stage, apply};
use medrelay_core::id::PersonId;
use medrelay_core::time::{Entropy, SeededEntropy, Span, Timestamp};
use proptest::prelude::*;

/// What each command does in each situation; `-` is a refusal, everything else the next stage.
const GRID: &str = "
situation         begin   accepted failed refused retry acknowledge  supersede
due               sending -        -      -       -     -            superseded
due/later         -       -        -      -       -     -            superseded
sending           -       sent     due    parked  -     -            -
sending/over      sending sent     due    parked  -     -            -
sending/last      -       sent     parked parked  -     -            -
sending/last/over parked  sent     parked parked  -     -            -
sent              -       -        -      -       -     -            -
in_inbox          -       -        -      -       -     acknowledged superseded
acknowledged      -       -        -      -       -     -            -
parked            -       -        -      -       due   -            superseded
superseded        -       -        -      -       -     -            -
";

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const SECOND: Span = Span::from_secs(1);
/// One more than the waits of the default back-off.
const LAST: u32 = 12;

fn person() -> PersonId {
    PersonId::parse("00000000-0000-7000-8000-000000000001").expect("a UUID")
}

fn situations() -> Vec<(&'static str, Stage)> {
    vec![
        ("due", Stage::Due { attempts: 1, at: NOW }),
        ("due/later", Stage::Due { attempts: 1, at: NOW + SECOND }),
        ("sending", Stage::Sending { attempts: 2, until: NOW + SECOND }),
        ("sending/over", Stage::Sending { attempts: 2, until: NOW }),
        ("sending/last", Stage::Sending { attempts: LAST, until: NOW + SECOND }),
        ("sending/last/over", Stage::Sending { attempts: LAST, until: NOW }),
        ("sent", Stage::Sent { at: NOW }),
        ("in_inbox", Stage::InInbox { since: NOW }),
        ("acknowledged", Stage::Acknowledged { by: person(), at: NOW }),
        ("parked", Stage::Parked { attempts: 3, at: NOW }),
        ("superseded", Stage::Superseded),
    ]
}

/// A new stage does not compile until it is named here, and fails until it has a situation.
fn stage_number(stage: &Stage) -> usize {
    match stage {
        Stage::Due { .. } => 0,
        Stage::Sending { .. } => 1,
        Stage::Sent { .. } => 2,
        Stage::InInbox { .. } => 3,
        Stage::Acknowledged { .. } => 4,
        Stage::Parked { .. } => 5,
        Stage::Superseded => 6,
    }
}

fn commands() -> Vec<Command> {
    vec![
        Command::Begin,
        Command::Accepted,
        Command::Failed,
        Command::Refused,
        Command::Retry,
        Command::Acknowledge { by: person() },
        Command::Supersede,
    ]
}

/// The column of a command; a new command does not compile until it has one.
fn column(command: &Command) -> (usize, &'static str) {
    match command {
        Command::Begin => (0, "begin"),
        Command::Accepted => (1, "accepted"),
        Command::Failed => (2, "failed"),
        Command::Refused => (3, "refused"),
        Command::Retry => (4, "retry"),
        Command::Acknowledge { .. } => (5, "acknowledge"),
        Command::Supersede => (6, "supersede"),
    }
}

#[test]
fn every_stage_answers_every_command_as_the_table_says() {
    let entropy = SeededEntropy::new(1);
    let mut lines = GRID.lines().filter(|line| !line.is_empty());
    let header: Vec<&str> = lines.next().expect("a header").split_whitespace().skip(1).collect();
    let table: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(table.len(), situations().len());
    assert_eq!(header.len(), commands().len());
    let mut seen = [false; 7];
    for (name, stage) in situations() {
        seen[stage_number(&stage)] = true;
        let row = table.iter().find(|row| row[0] == name).expect("every situation has a row");
        for command in commands() {
            let (at, title) = column(&command);
            assert_eq!(header[at], title);
            let result = apply(stage.clone(), command.clone(), &Backoff::default(), &entropy, NOW);
            let outcome = result.as_ref().map_or("-", Stage::name);
            assert_eq!(outcome, row[at + 1], "{name} × {title}");
            if let Err(refusal) = result {
                assert_eq!((refusal.stage, refusal.command), (stage.name(), command.name()));
            }
        }
    }
    assert_eq!(seen, [true; 7], "a stage has no situation");
}

#[test]
fn what_is_done_stays_done() {
    let entropy = SeededEntropy::new(1);
    for (name, stage) in situations().into_iter().filter(|(_, stage)| stage.is_done()) {
        for command in commands() {
            let result = apply(stage.clone(), command, &Backoff::default(), &entropy, NOW);
            assert!(result.is_err(), "{name} moved");
        }
    }
}

#[test]
fn a_new_delivery_waits_where_its_route_begins() {
    assert_eq!(Stage::begin(Route::Inbox, NOW), Stage::InInbox { since: NOW });
    assert_eq!(Stage::begin(Route::Dicom, NOW), Stage::Due { attempts: 0, at: NOW });
}

#[test]
fn a_delivery_that_kills_the_server_every_time_is_parked() {
    let (entropy, backoff) = (SeededEntropy::new(1), Backoff::default());
    let mut stage = Stage::begin(Route::Dicom, NOW);
    let mut now = NOW;
    let mut begun = 0;
    loop {
        stage = apply(stage, Command::Begin, &backoff, &entropy, now).expect("due or over");
        match stage {
            Stage::Sending { until, .. } => now = until,
            Stage::Parked { attempts, .. } => break assert_eq!(attempts, LAST),
            ref other => panic!("{other:?}"),
        }
        begun += 1;
        assert!(begun <= LAST, "tried for ever");
    }
    assert_eq!(begun, LAST);
}

#[test]
fn without_waits_the_first_failure_is_the_last() {
    let entropy = SeededEntropy::new(1);
    let once = Backoff { waits: Vec::new(), attempt: SECOND };
    let sending = apply(Stage::begin(Route::Dicom, NOW), Command::Begin, &once, &entropy, NOW);
    let failed = apply(sending.expect("due"), Command::Failed, &once, &entropy, NOW);
    assert_eq!(failed, Ok(Stage::Parked { attempts: 1, at: NOW }));
}

/// Entropy that yields one byte for ever: the ends of the jitter.
struct Only(u8);

impl Entropy for Only {
    fn fill(&self, out: &mut [u8]) {
        out.fill(self.0);
    }
}

#[test]
fn jitter_reaches_from_nothing_to_a_fifth() {
    let backoff = Backoff::default();
    assert_eq!(backoff.wait(1, &Only(0)), Some(Span::from_secs(10)));
    assert_eq!(backoff.wait(1, &Only(0xff)), Some(Span::from_secs(12)));
    assert_eq!(backoff.wait(0, &Only(0)), None);
    assert_eq!(backoff.wait(LAST, &Only(0)), None);
    assert_eq!(backoff.wait(u32::MAX, &Only(0)), None);
    let hours: i64 = backoff.waits.iter().map(|wait| wait.micros()).sum::<i64>() / 3_600_000_000;
    assert_eq!(hours, 25, "a little over a day without jitter");
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_wait_is_its_step_and_at_most_a_fifth_more(seed: u64, attempts in 1u32..12) {
        let backoff = Backoff::default();
        let base = backoff.waits[attempts as usize - 1].micros();
        let wait = backoff.wait(attempts, &SeededEntropy::new(seed)).expect("not the last");
        prop_assert!((base..=base + base / 5).contains(&wait.micros()));
    }

    #[test]
    fn random_histories_end(
        seed: u64,
        inbox: bool,
        waits in proptest::collection::vec(1i64..10_000, 0..8),
        steps in proptest::collection::vec((0usize..7, 0i64..4_000), 0..60),
    ) {
        let entropy = SeededEntropy::new(seed);
        let waits: Vec<Span> = waits.into_iter().map(Span::from_secs).collect();
        let most = u32::try_from(waits.len()).expect("few") + 1;
        let backoff = Backoff { waits, attempt: Span::from_minutes(5) };
        let mut now = NOW;
        let mut stage = Stage::begin(if inbox { Route::Inbox } else { Route::Dicom }, now);
        for (command, seconds) in steps {
            now = now + Span::from_secs(seconds);
            let before = stage.clone();
            let command = commands().swap_remove(command);
            if let Ok(next) = apply(stage.clone(), command.clone(), &backoff, &entropy, now) {
                prop_assert!(!before.is_done());
                stage = next;
            }
            if let Stage::Due { attempts, .. } | Stage::Sending { attempts, .. }
                | Stage::Parked { attempts, .. } = stage
            {
                prop_assert!(attempts <= most, "{attempts} attempts of {most}");
            }
        }
        // From wherever that led, a worker whose attempts always fail comes to an end.
        let mut rounds = 0;
        while let Stage::Due { at, .. } | Stage::Sending { until: at, .. } = stage {
            now = at.max(now);
            stage = apply(stage, Command::Begin, &backoff, &entropy, now).expect("its time came");
            if matches!(stage, Stage::Sending { .. }) {
                stage = apply(stage, Command::Failed, &backoff, &entropy, now).expect("sending");
            }
            rounds += 1;
            prop_assert!(rounds <= most, "no end");
        }
        if let Stage::InInbox { .. } = stage {
            let acknowledge = Command::Acknowledge { by: person() };
            stage = apply(stage, acknowledge, &backoff, &entropy, now).expect("in the inbox");
        }
        let parked = matches!(stage, Stage::Parked { .. });
        prop_assert!(parked || stage.is_done(), "{stage:?}");
    }
}

//! The lifecycle of a critical finding: the whole stage × command grid, what must be said at each
//! step, and words that never change.

use medrelay_core::event::Kind;
use medrelay_core::finding::{
    Command, Disposition, FindingCode, ReadBack, Refusal, Stage, TEXT_CHARS, apply, checked_text,
};
use medrelay_core::id::{PersonId, Phi};
use medrelay_core::time::{Span, Timestamp};

/// What each command does in each stage; `-`: wrong stage.
const GRID: &str = "
stage        acknowledge  settle  call_off
notifying    acknowledged -       false_alarm
acknowledged -            settled false_alarm
settled      -            -       -
false_alarm  -            -       -
";

const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn person(n: u64) -> PersonId {
    PersonId::parse(&format!("00000000-0000-7000-8000-{n:012x}")).expect("a UUID")
}

fn phi(text: &str) -> Phi<String> {
    Phi::new(text.to_owned())
}

fn read_back() -> ReadBack {
    ReadBack { by: person(2), at: START, words: phi("张三主动脉夹层") }
}

fn stage(name: &str) -> Stage {
    let (by, at, read_back) = (person(2), START, read_back());
    match name {
        "notifying" => Stage::Notifying,
        "acknowledged" => Stage::Acknowledged { read_back },
        "settled" => {
            let disposition = Disposition::Refer;
            Stage::Settled { read_back, disposition, text: phi(""), by, at }
        }
        _ => Stage::FalseAlarm { read_back: None, reason: phi("误报"), by, at },
    }
}

fn commands() -> [Command; 3] {
    [
        Command::Acknowledge { by: person(2), words: phi("张三主动脉夹层") },
        Command::Settle { by: person(2), disposition: Disposition::Refer, text: phi("") },
        Command::CallOff { by: person(1), reason: phi("误报") },
    ]
}

#[test]
fn every_stage_answers_every_command_as_the_table_says() {
    let mut lines = GRID.lines().filter(|line| !line.is_empty());
    let header: Vec<&str> = lines.next().expect("a header").split_whitespace().skip(1).collect();
    let table: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(table.len(), Stage::NAMES.len());
    for (row, name) in table.iter().zip(Stage::NAMES) {
        assert_eq!((row[0], stage(name).name()), (*name, *name));
        for (at, command) in commands().into_iter().enumerate() {
            assert_eq!(header[at], command.name());
            let now = START + Span::from_minutes(3);
            let found = match apply(stage(name), command, now) {
                Ok((next, kind)) => {
                    let told = if next.name() == "acknowledged" {
                        Kind::FindingAcknowledged
                    } else {
                        Kind::FindingSettled
                    };
                    assert_eq!(kind, told);
                    next.name()
                }
                Err(Refusal::WrongStage { stage, command }) => {
                    assert_eq!((stage, command), (*name, header[at]));
                    "-"
                }
                Err(other) => panic!("{name} × {}: {other}", header[at]),
            };
            assert_eq!(found, row[at + 1], "{name} × {}", header[at]);
        }
    }
}

#[test]
fn a_read_back_says_something() {
    for words in ["", " \n ", "ok", "收到", "好 的 了"] {
        let command = Command::Acknowledge { by: person(2), words: phi(words) };
        let refused = apply(Stage::Notifying, command, START);
        assert_eq!(refused, Err(Refusal::ReadBackMissing), "{words:?}");
    }
    let command = Command::Acknowledge { by: person(2), words: phi("  张三 夹层\r\n") };
    let (next, _) = apply(Stage::Notifying, command, START).expect("read back");
    let kept = next.read_back().expect("it is kept");
    assert_eq!((kept.words.reveal().as_str(), &kept.by), ("张三 夹层", &person(2)));
    let off = Command::CallOff { by: person(1), reason: phi("复核后排除") };
    let (ended, _) = apply(next.clone(), off, START).expect("called off");
    assert_eq!(ended.read_back(), next.read_back(), "what was read back stays on record");
}

#[test]
fn texts_are_bounded_and_can_be_shown() {
    let long = "字".repeat(TEXT_CHARS + 1);
    let fits = "字".repeat(TEXT_CHARS);
    for (text, empty, expected) in [
        (long.as_str(), true, Err(Refusal::TooLong)),
        (fits.as_str(), false, Ok(fits.as_str())),
        ("a\u{7}b", true, Err(Refusal::Control)),
        (" \t", true, Ok("")),
        (" \t", false, Err(Refusal::Empty)),
        ("一\r\n二", false, Ok("一\n二")),
    ] {
        assert_eq!(checked_text(text, empty).as_deref(), expected.as_ref().map(|t| *t));
    }
    let silent = Command::CallOff { by: person(1), reason: phi(" ") };
    assert_eq!(apply(Stage::Notifying, silent, START), Err(Refusal::Empty));
}

#[test]
fn words_are_stable_and_hints_are_modalities() {
    for code in FindingCode::ALL {
        let text = code.as_str();
        assert_eq!(FindingCode::parse(text), Some(*code));
        assert_eq!(serde_json::to_value(code).expect("a word"), text, "stored as it is sent");
        assert!(text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{text}");
        assert!(code.modalities().iter().all(|m| m.len() >= 2), "{text}");
    }
    assert!(FindingCode::Other.modalities().is_empty());
    for stage in ["notifying", "acknowledged", "settled", "false_alarm"].map(stage) {
        let kept = serde_json::to_string(&stage).expect("a row");
        assert_eq!(serde_json::from_str::<Stage>(&kept).expect("the same"), stage);
        assert!(!format!("{stage:?}").contains("张三"), "it prints as redacted");
    }
}

//! Messages to a clinic: their words are stable, and what somebody typed is checked.

use medrelay_core::message::{MessageFault, MessageKind, ReturnCode, TEXT_CHARS, checked_text};

/// By hand, so that a word that went over the line once cannot change unseen.
const CODES: [&str; 16] = [
    "MISSING_HISTORY",
    "MISSING_IMAGES",
    "WRONG_PATIENT",
    "WRONG_SITE",
    "POSITIONING",
    "MOTION",
    "EXPOSURE",
    "ARTIFACT",
    "SEQUENCE",
    "CONTRAST_PHASE",
    "LEAD_REVERSAL",
    "BASELINE",
    "NOISE",
    "NO_CALIBRATION",
    "DUPLICATE",
    "OUT_OF_SCOPE",
];

#[test]
fn the_words_are_stable() {
    let words: Vec<&str> = ReturnCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words, CODES);
    for code in ReturnCode::ALL {
        assert_eq!(ReturnCode::parse(code.as_str()), Some(*code));
        assert_eq!(ReturnCode::parse(&code.as_str().to_lowercase()), None);
        assert_eq!(serde_json::to_value(code).expect("a string"), code.as_str());
    }
    let kinds: Vec<&str> = MessageKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(kinds, ["return_request", "notice", "discussion"]);
}

#[test]
fn what_a_person_wrote_is_checked() {
    use MessageKind::{Discussion, Notice, ReturnRequest};
    let code = Some(ReturnCode::Positioning);
    let longest = "体".repeat(TEXT_CHARS);
    let longer = "体".repeat(TEXT_CHARS + 1);
    let table: [(_, _, &str, Result<&str, MessageFault>); 12] = [
        (ReturnRequest, code, " 重拍\r\n侧位 ", Ok("重拍\n侧位")),
        (ReturnRequest, code, "", Ok("")),
        (ReturnRequest, None, "retake", Err(MessageFault::CodeMissing)),
        (Notice, None, "call us", Ok("call us")),
        (Notice, code, "call us", Err(MessageFault::CodeUnwanted)),
        (Notice, None, " \n ", Err(MessageFault::Empty)),
        (Discussion, None, "与旧片比较？", Ok("与旧片比较？")),
        (Discussion, code, "与旧片比较？", Err(MessageFault::CodeUnwanted)),
        (Discussion, None, "", Err(MessageFault::Empty)),
        (Notice, None, &longest, Ok(&longest)),
        (Notice, None, &longer, Err(MessageFault::TooLong)),
        (Notice, None, "a\u{1b}[2Jb", Err(MessageFault::Control)),
    ];
    for (number, (kind, code, text, expected)) in table.into_iter().enumerate() {
        let found = checked_text(kind, code, text);
        assert_eq!(found, expected.map(str::to_owned), "row {number}");
    }
}

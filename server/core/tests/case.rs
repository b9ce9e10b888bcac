//! The lifecycle of a case: the whole stage × command grid against a table written by hand, the
//! corners that the table has no column for, and random histories of several people.

use medrelay_core::case::{
    Case, Claim, Command, Hold, Lease, Refusal, Stage, Step, apply, rest_of,
};
use medrelay_core::event::Kind;
use medrelay_core::id::{AgreementId, CaseId, OrganizationId, PersonId, StudyId};
use medrelay_core::message::ReturnCode;
use medrelay_core::people::{Priority, SigningPolicy};
use medrelay_core::time::{Span, Timestamp};
use proptest::prelude::*;

/// What each command does in each situation. `-`: wrong stage; `lost`: the hold is not the live
/// one; `held`: already claimed; `early`: not expired; `a|b`: a under DOUBLE, b under
/// SINGLE_SENIOR; `policy`: the signing policy forbids it. Everything else is the next stage.
const GRID: &str = "
situation    enqueue claim       take_over   heartbeat   save_draft  release     expire      sign_preliminary   sign_final   delivered acknowledged addend late_image  return   return_waiting resubmit assign
submitted    ready   -           -           -           -           -           -           -                  -            -         -            -      submitted   -        -              -        submitted
ready        -       in_progress -           -           -           -           -           -                  -            -         -            -      ready       -        returned       -        ready
ready/again  -       in_progress -           lost        lost        lost        -           lost               lost         -         -            -      ready       lost     returned       -        ready
in_progress  -       held        in_progress in_progress in_progress ready       early       preliminary|policy policy|final -         -            -      in_progress returned -              -        -
in_progress/expired - in_progress in_progress lost       lost        lost        ready       lost               lost         -         -            -      in_progress lost     -              -        -
preliminary  -       verifying   -           lost        lost        lost        -           lost               lost         -         -            -      preliminary lost     -              -        preliminary
verifying    -       held        verifying   verifying   verifying   preliminary early       -                  final        -         -            -      verifying   -        -              -        -
verifying/expired - verifying    verifying   lost        lost        lost        preliminary lost               lost         -         -            -      verifying   lost     -              -        -
returned     -       -           -           -           -           -           -           -                  -            -         -            -      returned    -        -              ready    returned
returned/again -     -           -           lost        lost        lost        -           lost               lost         -         -            -      returned    lost     -              ready    returned
final        -       -           -           lost        lost        lost        -           lost               lost         delivered -            final  final       lost     -              -        -
delivered    -       -           -           lost        lost        lost        -           lost               lost         -         closed       final  delivered   lost     -              -        -
closed       -       -           -           lost        lost        lost        -           lost               lost         -         -            final  closed      lost     -              -        -
";

const HOLDER: u64 = 1;
const OTHER: u64 = 2;
const AUTHOR: u64 = 3;
const LEASE: Lease = Lease { length: Span::from_minutes(20), cap: Span::from_hours(4) };
const AGREED: Span = Span::from_hours(4);
const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn uuid(n: u64) -> String {
    format!("00000000-0000-7000-8000-{n:012x}")
}

fn person(n: u64) -> PersonId {
    PersonId::parse(&uuid(n)).expect("a UUID")
}

fn case(stage: Stage, fence: i64, policy: SigningPolicy) -> Case {
    Case {
        id: CaseId::parse(&uuid(10)).expect("a UUID"),
        agreement: AgreementId::parse(&uuid(11)).expect("a UUID"),
        clinic: OrganizationId::parse(&uuid(12)).expect("a UUID"),
        centre: OrganizationId::parse(&uuid(13)).expect("a UUID"),
        study: StudyId::parse(&uuid(14)).expect("a UUID"),
        order: None,
        modality: "CT".to_owned(),
        priority: Priority::Routine,
        policy,
        opened_at: START,
        deadline: START + Span::from_hours(4),
        fair: 7,
        fence,
        late_images: false,
        assigned: None,
        returns: 0,
        version: 42,
        stage,
    }
}

fn claim(acquired: Timestamp) -> Claim {
    Claim {
        holder: person(HOLDER),
        token_hash: "live".to_owned(),
        fence: 5,
        acquired,
        expires: acquired + LEASE.length,
    }
}

fn returned(at: Timestamp) -> Stage {
    let (by, code) = (person(HOLDER), ReturnCode::Positioning);
    Stage::Returned { by, code, at, rest: Span::from_hours(1) }
}

fn hold(by: u64, token: &str, fence: i64) -> Hold {
    Hold { by: person(by), token_hash: token.to_owned(), fence }
}

fn right() -> Hold {
    hold(HOLDER, "live", 5)
}

/// Every situation a stage can be in; a new stage does not compile until it is named here.
fn situations(name: &str, now: Timestamp) -> Vec<(&'static str, Stage, i64)> {
    let past = now - LEASE.length;
    let by = person(AUTHOR);
    let all = vec![
        ("submitted", Stage::Submitted, 0),
        ("ready", Stage::Ready, 0),
        ("ready/again", Stage::Ready, 5),
        ("in_progress", Stage::InProgress { claim: claim(now) }, 5),
        ("in_progress/expired", Stage::InProgress { claim: claim(past) }, 5),
        ("preliminary", Stage::Preliminary { by: by.clone() }, 5),
        ("verifying", Stage::Verifying { by: by.clone(), claim: claim(now) }, 5),
        ("verifying/expired", Stage::Verifying { by, claim: claim(past) }, 5),
        ("returned", returned(now), 0),
        ("returned/again", returned(now), 5),
        ("final", Stage::Final, 5),
        ("delivered", Stage::Delivered, 5),
        ("closed", Stage::Closed, 5),
    ];
    all.into_iter()
        .filter(|(_, stage, _)| {
            name == match stage {
                Stage::Submitted => "submitted",
                Stage::Ready => "ready",
                Stage::InProgress { .. } => "in_progress",
                Stage::Preliminary { .. } => "preliminary",
                Stage::Verifying { .. } => "verifying",
                Stage::Returned { .. } => "returned",
                Stage::Final => "final",
                Stage::Delivered => "delivered",
                Stage::Closed => "closed",
            }
        })
        .collect()
}

/// Every command, as `by` would give it with `hold`.
fn commands(by: u64, hold: &Hold) -> Vec<Command> {
    let (by, hold, token_hash) = (person(by), hold.clone(), "new".to_owned());
    let (who, back) = (by.clone(), hold.clone());
    vec![
        Command::Enqueue,
        Command::Claim { by: by.clone(), token_hash: token_hash.clone(), lease: LEASE },
        Command::TakeOver { by, token_hash, lease: LEASE },
        Command::Heartbeat { hold: hold.clone(), lease: LEASE },
        Command::SaveDraft { hold: hold.clone() },
        Command::Release { hold: hold.clone() },
        Command::Expire,
        Command::SignPreliminary { hold: hold.clone() },
        Command::SignFinal { hold },
        Command::Delivered,
        Command::Acknowledged,
        Command::Addend,
        Command::LateImage,
        Command::Return { hold: back, code: ReturnCode::Motion },
        Command::ReturnWaiting { by: who.clone(), code: ReturnCode::Motion },
        Command::Resubmit { agreed: AGREED },
        Command::Assign { to: Some(who) },
    ]
}

/// The place of a command in the table; a new command does not compile until it has one.
fn column(command: &Command) -> usize {
    match command {
        Command::Enqueue => 0,
        Command::Claim { .. } => 1,
        Command::TakeOver { .. } => 2,
        Command::Heartbeat { .. } => 3,
        Command::SaveDraft { .. } => 4,
        Command::Release { .. } => 5,
        Command::Expire => 6,
        Command::SignPreliminary { .. } => 7,
        Command::SignFinal { .. } => 8,
        Command::Delivered => 9,
        Command::Acknowledged => 10,
        Command::Addend => 11,
        Command::LateImage => 12,
        Command::Return { .. } => 13,
        Command::ReturnWaiting { .. } => 14,
        Command::Resubmit { .. } => 15,
        Command::Assign { .. } => 16,
    }
}

fn outcome(result: &Result<Step, Refusal>) -> &'static str {
    match result {
        Ok(step) => step.case.stage.name(),
        Err(Refusal::WrongStage { .. }) => "-",
        Err(Refusal::AlreadyClaimed { .. }) => "held",
        Err(Refusal::ClaimLost { .. }) => "lost",
        Err(Refusal::NotExpired) => "early",
        Err(Refusal::AuthorCannotVerify) => "author",
        Err(Refusal::Policy { .. }) => "policy",
    }
}

fn walk(policy: SigningPolicy, shown: &Hold, shown_is_live: bool) {
    let now = START;
    let mut lines = GRID.lines().filter(|line| !line.is_empty());
    let header: Vec<&str> = lines.next().expect("a header").split_whitespace().skip(1).collect();
    let table: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
    let mut walked = 0;
    for stage_name in Stage::NAMES {
        let situations = situations(stage_name, now);
        assert!(!situations.is_empty(), "stage {stage_name} has no situation");
        for (name, stage, fence) in situations {
            let row = table.iter().find(|row| row[0] == name).expect("every situation has a row");
            let commands = commands(OTHER, shown);
            assert_eq!(commands.len(), header.len(), "every command has a column");
            for command in commands {
                let at = column(&command);
                assert_eq!(header[at], command.name(), "the header names the command");
                let double = policy == SigningPolicy::Double;
                let mut expected = match row[at + 1].split_once('|') {
                    Some((first, second)) => {
                        if double {
                            first
                        } else {
                            second
                        }
                    }
                    None => row[at + 1],
                };
                // A wrong hold is lost before anything else about the command is looked at.
                if !shown_is_live && [3, 4, 5, 7, 8, 13].contains(&at) && fence > 0 {
                    expected = "lost";
                }
                let before = case(stage.clone(), fence, policy);
                let result = apply(before.clone(), command.clone(), now);
                assert_eq!(outcome(&result), expected, "{name} × {} ({policy:?})", command.name());
                if let Ok(step) = result {
                    assert!(step.case.fence >= before.fence);
                    assert_eq!(step.case.version, before.version);
                    assert!(!step.events.is_empty());
                }
                walked += 1;
            }
        }
    }
    assert_eq!(walked, table.len() * header.len(), "the table has a row that nothing walks");
}

#[test]
fn every_stage_answers_every_command_as_the_table_says() {
    for policy in SigningPolicy::ALL {
        walk(*policy, &right(), true);
    }
}

#[test]
fn a_wrong_hold_is_lost_everywhere() {
    for policy in SigningPolicy::ALL {
        walk(*policy, &hold(HOLDER, "stolen", 5), false);
        walk(*policy, &hold(HOLDER, "live", 4), false);
        walk(*policy, &hold(HOLDER, "live", 6), false);
        walk(*policy, &hold(OTHER, "live", 5), false);
    }
}

#[test]
fn a_lost_claim_names_who_has_the_case_now() {
    let stage = Stage::InProgress { claim: claim(START) };
    let old = Command::SaveDraft { hold: hold(OTHER, "old", 4) };
    let refusal =
        apply(case(stage.clone(), 5, SigningPolicy::Double), old, START).expect_err("old");
    let expected = Refusal::ClaimLost { holder: Some(person(HOLDER)), since: Some(START) };
    assert_eq!(refusal, expected);
    let late = Command::SaveDraft { hold: right() };
    let now = START + LEASE.length;
    let refusal = apply(case(stage, 5, SigningPolicy::Double), late, now).expect_err("late");
    assert_eq!(refusal, Refusal::ClaimLost { holder: None, since: None });
}

#[test]
fn a_lease_that_ran_out_unswept_is_reported_when_another_claims() {
    let stage = Stage::InProgress { claim: claim(START) };
    let command = Command::Claim { by: person(OTHER), token_hash: "new".into(), lease: LEASE };
    let now = START + LEASE.length;
    let before = case(stage, 5, SigningPolicy::Double);
    let early = apply(before.clone(), command.clone(), now - Span::from_micros(1));
    assert_eq!(outcome(&early), "held", "one microsecond before the end it is still held");
    let step = apply(before, command, now).expect("free again");
    assert_eq!(step.events, [Kind::ClaimExpired, Kind::CaseClaimed]);
    assert_eq!(step.case.fence, 6);
}

#[test]
fn the_holder_cannot_claim_twice_but_can_take_over_from_another_window() {
    let before = case(Stage::InProgress { claim: claim(START) }, 5, SigningPolicy::Double);
    let (by, token_hash) = (person(HOLDER), "second".to_owned());
    let again = Command::Claim { by: by.clone(), token_hash: token_hash.clone(), lease: LEASE };
    match apply(before.clone(), again, START) {
        Err(Refusal::AlreadyClaimed { holder, .. }) => assert_eq!(holder, by),
        other => panic!("a second claim is told who holds the case: {other:?}"),
    }
    let over = Command::TakeOver { by, token_hash, lease: LEASE };
    let step = apply(before, over, START).expect("a take-over from oneself");
    let first_window = apply(step.case, Command::SaveDraft { hold: right() }, START);
    assert_eq!(outcome(&first_window), "lost");
}

#[test]
fn the_author_of_a_preliminary_neither_claims_nor_takes_over_nor_signs_its_verification() {
    let by = person(AUTHOR);
    let waiting = case(Stage::Preliminary { by: by.clone() }, 5, SigningPolicy::Double);
    let held = Stage::Verifying { by: by.clone(), claim: claim(START) };
    let claim_it = Command::Claim { by: by.clone(), token_hash: "t".into(), lease: LEASE };
    let take_it = Command::TakeOver { by: by.clone(), token_hash: "t".into(), lease: LEASE };
    assert_eq!(outcome(&apply(waiting, claim_it.clone(), START)), "author");
    let verifying = case(held, 5, SigningPolicy::Double);
    assert_eq!(outcome(&apply(verifying.clone(), take_it, START)), "author");
    assert_eq!(outcome(&apply(verifying, claim_it, START + LEASE.length)), "author");
    let own = Claim { holder: by.clone(), ..claim(START) };
    let forged = case(Stage::Verifying { by, claim: own }, 5, SigningPolicy::Double);
    let sign = Command::SignFinal { hold: hold(AUTHOR, "live", 5) };
    assert_eq!(outcome(&apply(forged, sign, START)), "author", "even if a row says otherwise");
}

#[test]
fn no_lease_outlives_its_cap() {
    let lease = Lease { length: Span::from_hours(9), cap: Span::from_hours(1) };
    let command = Command::Claim { by: person(HOLDER), token_hash: "live".into(), lease };
    let step = apply(case(Stage::Ready, 4, SigningPolicy::Double), command, START).expect("free");
    assert_eq!(step.case.stage.claim().expect("held").expires, START + lease.cap);

    let mut held = case(Stage::InProgress { claim: claim(START) }, 5, SigningPolicy::Double);
    let mut now = START;
    let beat = Command::Heartbeat { hold: right(), lease: LEASE };
    while let Ok(step) = apply(held.clone(), beat.clone(), now) {
        held = step.case;
        now = now + Span::from_minutes(1);
        assert!(now <= START + LEASE.cap, "heartbeats went on past the cap");
    }
    assert_eq!(now, START + LEASE.cap);
}

#[test]
fn a_clock_that_goes_back_neither_ends_nor_shortens_a_lease() {
    let held = case(Stage::InProgress { claim: claim(START) }, 5, SigningPolicy::Double);
    let earlier = START - Span::from_minutes(90);
    let beat = Command::Heartbeat { hold: right(), lease: LEASE };
    let step = apply(held.clone(), beat, earlier).expect("still the holder");
    assert_eq!(step.case.stage, held.stage, "the end does not move back");
    assert_eq!(outcome(&apply(held, Command::Expire, earlier)), "early");
}

#[test]
fn late_images_stay_flagged_until_an_addendum() {
    let done = case(Stage::Closed, 5, SigningPolicy::Double);
    let flagged = apply(done, Command::LateImage, START).expect("always").case;
    assert!(flagged.late_images && flagged.stage == Stage::Closed);
    let mended = apply(flagged, Command::Addend, START).expect("closed stays addendable").case;
    assert!(!mended.late_images && mended.stage == Stage::Final);
}

#[test]
fn a_returned_case_stops_its_clock_and_goes_on_with_no_less_than_half() {
    let held = case(Stage::InProgress { claim: claim(START) }, 5, SigningPolicy::Double);
    let give_back = Command::Return { hold: right(), code: ReturnCode::MissingImages };
    for (minutes_gone, left) in [(10, 230), (120, 120), (200, 120), (900, 120)] {
        let due = START + Span::from_minutes(10) - Span::from_minutes(minutes_gone) + AGREED;
        let before = Case { deadline: due, ..held.clone() };
        let step = apply(before, give_back.clone(), START + Span::from_minutes(10));
        let step = step.expect("its holder returns it");
        assert_eq!(
            (step.events.as_slice(), step.case.returns),
            ([Kind::CaseReturned].as_slice(), 1)
        );
        assert_eq!((step.case.deadline, step.case.fair), (due, 7), "the fair place is kept");
        let later = START + Span::from_hours(30);
        let command = Command::Resubmit { agreed: AGREED };
        let again = apply(step.case, command, later).expect("the clinic").case;
        assert_eq!(again.stage, Stage::Ready);
        assert_eq!(again.deadline, later + Span::from_minutes(left), "{minutes_gone} minutes gone");
        let third = Command::ReturnWaiting { by: person(OTHER), code: ReturnCode::Motion };
        assert_eq!(apply(again, third, later).expect("a coordinator").case.returns, 2);
    }
    // A clinic that asks for something sooner gets no more than it asked for.
    assert_eq!(rest_of(Span::from_hours(3), Span::from_hours(1)), Span::from_hours(1));
}

#[test]
fn images_that_were_asked_for_are_not_late() {
    let waiting = case(returned(START), 5, SigningPolicy::Double);
    let asked_for = apply(waiting, Command::LateImage, START).expect("always").case;
    assert!(!asked_for.late_images);
    let flagged = Case { late_images: true, ..asked_for };
    let again = apply(flagged, Command::Resubmit { agreed: AGREED }, START).expect("back").case;
    assert!(!again.late_images, "whoever reads it now begins with everything");
}

#[test]
fn an_assignment_ends_when_anybody_takes_the_case() {
    let to = Some(person(OTHER));
    let given = apply(
        case(Stage::Ready, 0, SigningPolicy::Double),
        Command::Assign { to: to.clone() },
        START,
    );
    let given = given.expect("it waits").case;
    assert_eq!(given.assigned, to);
    let take = Command::Claim { by: person(OTHER), token_hash: "t".into(), lease: LEASE };
    let taken = apply(given, take, START).expect("theirs").case;
    assert_eq!(taken.assigned, None);
    let back = Command::Release { hold: hold(OTHER, "t", 1) };
    assert_eq!(apply(taken, back, START).expect("given back").case.assigned, None);
    let own = case(Stage::Preliminary { by: person(AUTHOR) }, 5, SigningPolicy::Double);
    let to_author = Command::Assign { to: Some(person(AUTHOR)) };
    assert_eq!(outcome(&apply(own.clone(), to_author, START)), "author");
    assert_eq!(outcome(&apply(own, Command::Assign { to: None }, START)), "preliminary");
}

#[derive(Debug, Clone)]
struct Move {
    command: usize,
    actor: u64,
    /// Which of the holds handed out so far to show, counted from the newest.
    back: usize,
    /// Minutes that pass before it; the clock may go back.
    minutes: i64,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    // Signing and claiming often, so that histories get somewhere.
    let command = prop_oneof![3 => 0usize..17, 2 => Just(1), 1 => 7usize..9, 1 => 8usize..12];
    let back = prop_oneof![3 => Just(0usize), 1 => 0usize..6];
    let minutes = prop_oneof![6 => 0i64..6, 1 => 15i64..40, 1 => -30i64..0];
    let step = (command, 1u64..4, back, minutes);
    let step =
        step.prop_map(|(command, actor, back, minutes)| Move { command, actor, back, minutes });
    proptest::collection::vec(step, 1..150)
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }
}

fn check_step(before: &Case, command: &Command, now: Timestamp, step: &Step) {
    let after = &step.case;
    assert!(after.fence >= before.fence, "the fence went down");
    let kept = Case {
        stage: before.stage.clone(),
        fence: before.fence,
        late_images: before.late_images,
        assigned: before.assigned.clone(),
        returns: before.returns,
        deadline: before.deadline,
        ..after.clone()
    };
    assert_eq!(&kept, before, "a command changed more than it may");
    let returned = matches!(after.stage, Stage::Returned { .. });
    let was_returned = matches!(before.stage, Stage::Returned { .. });
    let resubmitted = was_returned && !returned;
    assert_eq!(after.returns, before.returns + i64::from(returned && !was_returned));
    assert!(resubmitted || after.deadline == before.deadline, "only a return moves the deadline");
    assert!(!resubmitted || matches!(command, Command::Resubmit { .. }));
    let taken = matches!(command, Command::Claim { .. } | Command::TakeOver { .. });
    let given = matches!(command, Command::Assign { .. });
    assert!(given || taken || after.assigned == before.assigned);
    assert!(!taken || after.assigned.is_none());
    let live = before.stage.claim().filter(|claim| now < claim.expires);
    match command {
        Command::Heartbeat { hold, .. }
        | Command::SaveDraft { hold }
        | Command::Release { hold }
        | Command::Return { hold, .. }
        | Command::SignPreliminary { hold }
        | Command::SignFinal { hold } => {
            let live = live.expect("a write without a live claim succeeded");
            assert_eq!((&live.holder, live.fence), (&hold.by, hold.fence));
            assert_eq!(live.token_hash, hold.token_hash);
            assert_eq!(live.fence, before.fence, "a write with a lower fence succeeded");
        }
        Command::Claim { .. } => assert_eq!(live, None, "two live claims"),
        _ => {}
    }
    if let Some(claim) = after.stage.claim() {
        assert_eq!(claim.fence, after.fence, "the live claim has the newest fence");
        assert!(claim.expires <= claim.acquired + LEASE.cap);
        assert_ne!(after.stage.preliminary_by(), Some(&claim.holder), "author verifies");
    }
    match (before.policy, step.events.last()) {
        (SigningPolicy::SingleSenior, Some(Kind::PreliminarySigned)) => panic!("single: two steps"),
        (SigningPolicy::Double, Some(Kind::FinalSigned)) => {
            let author = before.stage.preliminary_by().expect("double: one step");
            assert_ne!(Some(author), before.stage.claim().map(|claim| &claim.holder));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_histories_keep_the_promises(double in any::<bool>(), moves in moves()) {
        let policy = if double { SigningPolicy::Double } else { SigningPolicy::SingleSenior };
        let mut now = START;
        let mut current = case(Stage::Submitted, 0, policy);
        let mut holds = vec![hold(1, "never", 0)];
        for (number, step) in moves.into_iter().enumerate() {
            now = now + Span::from_minutes(step.minutes);
            let shown = holds[holds.len() - 1 - step.back % holds.len()].clone();
            let mut command = commands(step.actor, &shown).swap_remove(step.command);
            if let Command::Claim { token_hash, .. } | Command::TakeOver { token_hash, .. } =
                &mut command
            {
                *token_hash = format!("token {number}");
            }
            let Ok(done) = apply(current.clone(), command.clone(), now) else {
                let open = current.stage != Stage::Closed || !matches!(command, Command::Addend);
                prop_assert!(open, "a closed case refused an addendum");
                continue;
            };
            check_step(&current, &command, now, &done);
            if let (Command::Claim { by, token_hash, .. } | Command::TakeOver { by, token_hash, .. },
                fence) = (command, done.case.fence)
            {
                prop_assert!(fence > current.fence, "a claim without a new fence");
                holds.push(Hold { by, token_hash, fence });
            }
            current = done.case;
        }
    }
}

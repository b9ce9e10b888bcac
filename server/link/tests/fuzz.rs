//! The fuzz entry point over seeded stories: 20,000 of them in every test run.

#[path = "../../../tests/fuzz/pieces.rs"]
mod pieces;
#[expect(dead_code, reason = "each test binary uses a part of the shared harness")]
mod support;

use support::Random;

const STORIES: usize = 20_000;

#[test]
fn random_pieces_do_no_harm() {
    let mut random = Random(0x5eed);
    let mut violations = 0;
    for _ in 0..STORIES {
        let length = random.below(900) as usize;
        violations += usize::from(pieces::pieces(&random.bytes(length)));
    }
    // If none or all of them did, the stories would say little.
    assert!(violations > STORIES / 20 && violations < STORIES, "{violations} broke a rule");
}

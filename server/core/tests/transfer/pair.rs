//! The two machines against each other: whatever the line does, everything arrives, once.

use medrelay_core::time::Span;
use medrelay_core::transfer::Urgency;
use medrelay_core::transfer::gateway::Offer;
use proptest::prelude::*;

use crate::sample::{self, NOW};
use crate::world::{Faults, Random, World};

const CALM: Faults = Faults { cuts: 0, resets: 0, refusals: 0, withdrawals: 0, spoiled: 0 };

/// Studies of 1 to `most` images, some of them more urgent than others; in one world of four the
/// images have up to 8 MiB, so that the packs ahead are what is scarce, else the streams are.
fn offers(random: &mut Random, studies: u64, most: u64) -> Vec<Offer> {
    let mut offers = Vec::new();
    let largest = if random.below(4) == 0 { 8 << 20 } else { 500_000 };
    for key in 0..studies {
        let count = 1 + random.below(most);
        let lengths: Vec<u64> = (0..count).map(|_| 1 + random.below(largest)).collect();
        let urgency = [Urgency::Stat, Urgency::Urgent, Urgency::Routine, Urgency::Routine];
        let urgency = urgency[random.below(4) as usize];
        let since = NOW + Span::from_secs(random.below(100) as i64);
        offers.push(Offer { since, ..sample::offer(key, urgency, &lengths) });
    }
    offers
}

fn run(seed: u64, studies: u64, most: u64, items: u64, faults: Faults) -> World {
    let offers = offers(&mut Random::new(seed), studies, most);
    let items = (0..items).map(|n| sample::item(5_000 + n, None)).collect();
    let mut world = World::new(seed, offers, items, faults);
    world.run();
    world
}

#[test]
fn over_a_good_line_everything_goes_in_one_connection() {
    let world = run(1, 6, 60, 50, CALM);
    assert_eq!(world.connections, 1);
    assert!(world.most_streams >= 14, "{}", world.most_streams);
}

#[test]
fn more_studies_than_may_be_open() {
    run(2, 90, 3, 0, CALM);
    run(3, 90, 3, 0, Faults { cuts: 5, resets: 5, refusals: 20, withdrawals: 5, spoiled: 0 });
}

#[test]
fn a_study_of_many_images_over_a_line_that_breaks() {
    let world = run(4, 1, 2_000, 0, Faults { cuts: 200, resets: 50, ..CALM });
    assert_eq!(world.connections, 201);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_the_line_does_everything_arrives_once(
        seed in any::<u64>(),
        studies in 1..10u64,
        most in 1..40u64,
        items in 0..40u64,
        cuts in 0..12u64,
        resets in 0..20u64,
        refusals in 0..20u64,
        withdrawals in 0..3u64,
        spoiled in 0..3u64,
    ) {
        run(seed, studies, most, items, Faults { cuts, resets, refusals, withdrawals, spoiled });
    }
}

//! The order in which the images of a study go: its whole extent first.

/// The indexes `0..count`, each exactly once: every 16th, then those 8 between, then 4, 2, 1. A
/// reader who has the first sixteenth sees the whole extent of the study, and from then on every
/// round halves the gaps.
pub fn extent_first(count: usize) -> Vec<u32> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let rounds = [(0, 16), (8, 16), (4, 8), (2, 4), (1, 2)];
    rounds.into_iter().flat_map(|(first, step)| (first..count).step_by(step)).collect()
}

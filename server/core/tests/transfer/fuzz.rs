//! The fuzz entry point over a seeded corpus: 20,000 mutants of everything that goes over the
//! link, in every test run.

use medrelay_core::time::SeededEntropy;
use medrelay_core::transfer::Urgency;
use medrelay_core::transfer::join::JoinCode;
use medrelay_core::transfer::message::{Message, StreamHeader};

use crate::sample::{self, hash};
use crate::world::Random;

#[path = "../../../../tests/fuzz/link.rs"]
mod entry;

const MUTANTS: usize = 20_000;

/// Values that lengths, counts and the beginnings of things are made of.
const SPLINTERS: [&[u8]; 9] = [
    &[0xFF; 4],
    &[0; 4],
    &[0, 0, 0x4E, 0x20],
    &[0, 0x40, 0, 0],
    &[0, 0, 0, 5, 0x16, 0, 0, 0, 1],
    b"MRM1",
    b"MRR1",
    b"00000000-0000-7000-8000-000000000005",
    b"../",
];

fn mutate(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() as u64) as usize;
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            2 => bytes.truncate(at),
            3 => {
                let splinter = SPLINTERS[random.below(SPLINTERS.len() as u64) as usize];
                let end = (at + splinter.len()).min(bytes.len());
                bytes.splice(at..end, splinter.iter().copied());
            }
            4 => {
                let from = random.below(other.len() as u64) as usize;
                let to = (from + random.below(64) as usize).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let end = (at + random.below(32) as usize).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
    bytes
}

/// What a gateway and what a relay may say in the course of a connection, and everything alone.
fn seeds() -> Vec<Vec<u8>> {
    let messages = sample::messages();
    let said = |kinds: &[usize]| kinds.iter().flat_map(|kind| messages[*kind].encode()).collect();
    let mut seeds: Vec<Vec<u8>> = messages.iter().map(Message::encode).collect();
    seeds.push(said(&[0, 4, 9, 14, 16, 10, 18, 19]));
    seeds.push(said(&[3, 5, 6, 7, 8, 11, 17, 18]));
    seeds.push(said(&[1, 3, 5, 7, 6, 6, 11, 19]));
    seeds.extend(sample::headers().iter().map(StreamHeader::encode));
    seeds.push(sample::manifest(1, Urgency::Stat, &[1, 2, 3]).encode());
    seeds.push(sample::receipt().encode());
    seeds.push(JoinCode::new(&hash(1), &SeededEntropy::new(2)).to_text().into_bytes());
    for seed in &mut seeds {
        seed.insert(0, 7);
    }
    seeds
}

#[test]
fn the_link_survives_bombardment() {
    let seeds = seeds();
    let mut random = Random::new(0x6D65_6472_656C_6179);
    for seed in &seeds {
        entry::link(seed);
    }
    for _ in 0..MUTANTS {
        let seed = &seeds[random.below(seeds.len() as u64) as usize];
        let other = &seeds[random.below(seeds.len() as u64) as usize];
        entry::link(&mutate(seed, other, &mut random));
    }
}

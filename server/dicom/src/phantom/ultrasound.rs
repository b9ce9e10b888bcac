//! A colour ultrasound clip: a fan of speckle, a breathing liver with a cyst, a vessel in Doppler colours.
//!
//! Every frame is first made in polar coordinates, as a probe sees it, and then laid out as a fan by
//! a table that is computed once a clip.

use medrelay_core::time::SeededEntropy;

use super::{Colour, PhantomSpec};

/// All frames of a clip, colour by pixel.
pub(super) fn clip(spec: &PhantomSpec, entropy: &SeededEntropy) -> Vec<u8> {
    let (rows, columns) = (usize::from(spec.rows), usize::from(spec.columns));
    let fan = fan(rows, columns);
    let speckle: Vec<u8> = (0..SPECKLE)
        .map(|_| {
            // The magnitude of two random components: many dark grains, few bright ones.
            let [a, b, ..] = entropy.next_u64().to_le_bytes();
            let (a, b) = (f32::from(a) / 255.0 - 0.5, f32::from(b) / 255.0 - 0.5);
            ((a * a + b * b).sqrt() * 255.0) as u8
        })
        .collect();
    let frames = usize::from(spec.frames.max(1));
    let mut out = Vec::with_capacity(frames * rows * columns * 3);
    for frame in 0..frames {
        let phase = frame as f32 / frames as f32 * std::f32::consts::TAU;
        let echoes = echoes(&speckle, phase);
        let colour = |place: &Option<usize>| place.map_or([0; 3], |at| echoes[at]);
        match spec.colour {
            Colour::Rgb => fan.iter().for_each(|place| out.extend_from_slice(&colour(place))),
            Colour::YbrFull422 => {
                for row in fan.chunks(columns.max(1)) {
                    for pair in row.chunks(2) {
                        let (left, right) =
                            (ybr(colour(&pair[0])), ybr(colour(&pair[pair.len() - 1])));
                        out.extend_from_slice(&[left[0], right[0], left[1], left[2]]);
                    }
                }
            }
        }
    }
    out
}

/// For every pixel the polar cell it shows, if it lies in the fan.
fn fan(rows: usize, columns: usize) -> Vec<Option<usize>> {
    let (height, width) = (rows.max(1) as f32, columns.max(1) as f32);
    let mut cells = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for column in 0..columns {
            // The centre of the probe's curve lies above the image.
            let x = (column as f32 + 0.5 - width / 2.0) / height;
            let y = (row as f32 + 0.5) / height + 0.25;
            let depth = ((x * x + y * y).sqrt() - 0.30) / 0.92;
            let angle = x.atan2(y) / 0.60;
            let inside = (0.0..1.0).contains(&depth) && angle.abs() < 1.0;
            cells.push(inside.then(|| {
                let line = ((angle + 1.0) / 2.0 * LINES as f32) as usize;
                (depth * DEPTHS as f32) as usize * LINES + line.min(LINES - 1)
            }));
        }
    }
    cells
}

/// One frame in polar cells, as RGB.
fn echoes(speckle: &[u8], phase: f32) -> Vec<[u8; 3]> {
    let breath = 0.04 * phase.sin();
    let pulse = (2.0 * phase).sin();
    let mut cells = Vec::with_capacity(DEPTHS * LINES);
    for depth in 0..DEPTHS {
        let d = depth as f32 / DEPTHS as f32;
        // Tissue moves with the breath and takes its speckle along.
        let moved = d - breath;
        let grain_row = ((moved + 1.0) * DEPTHS as f32) as usize * 397;
        let attenuation = 1.15 - 0.75 * d;
        for line in 0..LINES {
            let a = line as f32 / LINES as f32 * 2.0 - 1.0;
            let grain = f32::from(speckle[(grain_row + line / 2 * 7) % SPECKLE]);
            let echo = (grain * reflectivity(moved, a) * attenuation).clamp(0.0, 255.0) as u8;
            let vessel = (moved - 0.62 - 0.08 * a).abs() / 0.05;
            let boxed = (-0.35..0.45).contains(&a);
            cells.push(if vessel < 1.0 && boxed {
                doppler(1.0 - vessel * vessel, pulse, a)
            } else {
                [echo; 3]
            });
        }
    }
    cells
}

/// How strongly tissue at a place sends back.
fn reflectivity(depth: f32, angle: f32) -> f32 {
    let cyst = ((depth - 0.36) / 0.09).powi(2) + ((angle + 0.35) / 0.20).powi(2);
    let lesion = ((depth - 0.48) / 0.05).powi(2) + ((angle - 0.55) / 0.10).powi(2);
    let diaphragm = (depth - 0.88 + 0.10 * angle * angle).abs();
    if cyst < 1.0 {
        0.08
    } else if lesion < 1.0 {
        1.7
    } else if depth < 0.06 || diaphragm < 0.015 {
        2.4
    } else if (depth - 0.62 - 0.08 * angle).abs() < 0.055 {
        0.15
    } else if (-0.35..0.05).contains(&angle) && depth > 0.45 && depth < 0.60 {
        // Sound passes a cyst unweakened: what lies behind it shines.
        1.3
    } else {
        1.0
    }
}

/// Flow toward the probe in red, away from it in blue; `speed` from 0 to 1.
fn doppler(speed: f32, pulse: f32, angle: f32) -> [u8; 3] {
    let strength = speed * (0.6 + 0.4 * pulse);
    let (main, rest) = ((90.0 + 165.0 * strength) as u8, (160.0 * strength * strength) as u8);
    if angle < 0.05 { [main, rest, 0] } else { [0, rest, main] }
}

/// RGB to luminance and chrominance in full range (PS3.3 C.7.6.3.1.2).
fn ybr([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (r, g, b) = (f32::from(r), f32::from(g), f32::from(b));
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    let cb = -0.168_7 * r - 0.331_3 * g + 0.5 * b + 128.0;
    let cr = 0.5 * r - 0.418_7 * g - 0.081_3 * b + 128.0;
    [y.round() as u8, cb.round() as u8, cr.round() as u8]
}

const DEPTHS: usize = 400;
const LINES: usize = 320;
/// Length of the speckle table: a prime, so that neighbouring lines do not repeat.
const SPECKLE: usize = 65_521;

//! Heads and chests out of ellipsoids: CT and MR slices, and a radiograph as their projection.
//!
//! Coordinates run from -1 to 1 over the image and along the body; x to the patient's left, y to
//! the back, z to the feet. Shapes are painted in order, row by row over their extent, because a
//! slice of 512 × 512 must take a few milliseconds. Noise comes from a table with a random start in
//! every row, which costs an addition a pixel and still compresses like noise.

use medrelay_core::time::SeededEntropy;

use super::{Level, PhantomSpec};

/// A CT slice: Hounsfield units + 1024 in 12 bits.
pub(super) fn ct(spec: &PhantomSpec, index: u32, entropy: &SeededEntropy) -> Vec<u8> {
    let lesion = Lesion::of(spec);
    let shapes = if is_head(spec) { head_ct(&lesion) } else { chest(&lesion) };
    let slice = paint(&shapes, spec, spec.position(index), -1_000);
    finish(&slice, spec.columns, entropy, 8, 1_024)
}

/// An MR slice with T2-like contrast in 12 bits.
pub(super) fn mr(spec: &PhantomSpec, index: u32, entropy: &SeededEntropy) -> Vec<u8> {
    let slice = paint(&head_mr(&Lesion::of(spec)), spec, spec.position(index), 12);
    finish(&slice, spec.columns, entropy, 14, 8)
}

/// A radiograph of the chest: what the ellipsoids absorb along y, bright where much.
pub(super) fn dx(spec: &PhantomSpec, entropy: &SeededEntropy) -> Vec<u8> {
    let shapes = chest(&Lesion::of(spec));
    let (rows, columns) = (usize::from(spec.rows), usize::from(spec.columns));
    let mut absorbed = vec![0f32; rows * columns];
    for shape in &shapes {
        // Painting replaces what lies below; a projection adds the difference instead.
        let difference = f32::from(shape.value) - f32::from(shape.below);
        project(shape, difference, &mut absorbed, rows, columns);
    }
    let pixels: Vec<i16> =
        absorbed.iter().map(|sum| (400.0 + sum * 1.35).clamp(0.0, 4_095.0) as i16).collect();
    finish(&pixels, spec.columns, entropy, 12, 0)
}

/// Whether the body part asks for a head.
pub(super) fn is_head(spec: &PhantomSpec) -> bool {
    ["HEAD", "BRAIN", "SKULL"].iter().any(|part| spec.body_part.eq_ignore_ascii_case(part))
}

/// An ellipsoid of one value. `below` is the value of what it lies in.
#[derive(Debug, Clone, Copy)]
struct Shape {
    center: [f32; 3],
    radius: [f32; 3],
    value: i16,
    below: i16,
}

const fn shape(center: [f32; 3], radius: [f32; 3], value: i16, below: i16) -> Shape {
    Shape { center, radius, value, below }
}

/// What there is to find, somewhere else for every seed.
struct Lesion {
    x: f32,
    y: f32,
    z: f32,
    size: f32,
    vessels: Vec<[f32; 4]>,
}

impl Lesion {
    fn of(spec: &PhantomSpec) -> Self {
        let entropy = spec.entropy(Level::Anatomy, 0, 0);
        // 24 bits are what an f32 holds exactly.
        let unit = || (entropy.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
        let (x, y, z, size) = (unit() - 0.5, unit() - 0.5, unit() - 0.5, 0.6 + 0.4 * unit());
        let vessels =
            (0..60).map(|_| [unit() - 0.5, unit() - 0.5, unit() * 2.0 - 1.0, unit()]).collect();
        Self { x, y, z, size, vessels }
    }
}

fn chest(lesion: &Lesion) -> Vec<Shape> {
    let mut shapes = vec![
        shape([0.0, 0.0, 0.0], [0.90, 0.64, 3.0], -100, -1_000),
        shape([0.0, 0.0, 0.0], [0.85, 0.59, 3.0], 45, -100),
        shape([-0.42, -0.02, 0.0], [0.33, 0.46, 1.05], -830, 45),
        shape([0.42, -0.02, 0.0], [0.33, 0.46, 1.05], -830, 45),
    ];
    for (at, vessel) in lesion.vessels.iter().enumerate() {
        let side = if at % 2 == 0 { -0.42 } else { 0.42 };
        let thickness = 0.006 + 0.014 * vessel[3];
        let center = [side + 0.5 * vessel[0], 0.7 * vessel[1], 0.8 * vessel[2]];
        shapes.push(shape(center, [thickness, thickness, 0.15], 20, -830));
    }
    shapes.extend([
        shape([0.12, -0.16, 0.35], [0.30, 0.24, 0.42], 42, -400),
        shape([0.10, 0.24, 0.0], [0.06, 0.06, 2.0], 48, 45),
        shape([0.0, 0.06, -0.7], [0.05, 0.05, 0.6], -1_000, 45),
        shape([0.0, 0.38, 0.0], [0.11, 0.10, 3.0], 320, 45),
        shape([0.0, 0.50, 0.0], [0.045, 0.04, 3.0], 25, 320),
        shape([0.0, -0.52, 0.0], [0.07, 0.03, 0.8], 250, 45),
        shape([-0.45, 0.30, 1.15], [0.40, 0.30, 0.45], 60, -830),
        shape([0.42, 0.30, 1.20], [0.36, 0.28, 0.42], 50, -830),
    ]);
    for rib in 0..9i16 {
        let z = -0.95 + 0.22 * f32::from(rib);
        for side in [-1.0f32, 1.0] {
            for step in 0..7i16 {
                let angle = 0.35 * f32::from(step) - 1.05;
                let (x, y) = (side * 0.79 * angle.cos(), 0.53 * angle.sin());
                shapes.push(shape([x, y, z - 0.10 * angle.sin()], [0.055, 0.06, 0.035], 380, 45));
            }
        }
    }
    let nodule = 0.05 * lesion.size;
    let center = [-0.42 + 0.3 * lesion.x, 0.5 * lesion.y, lesion.z];
    shapes.push(shape(center, [nodule, nodule, nodule * 1.5], 35, -830));
    shapes
}

fn head_ct(lesion: &Lesion) -> Vec<Shape> {
    let bleed = [-0.30 + 0.2 * lesion.x, 0.3 * lesion.y, 0.5 * lesion.z];
    let size = 0.12 * lesion.size;
    vec![
        shape([0.0, 0.0, 0.0], [0.66, 0.82, 1.20], 40, -1_000),
        shape([0.0, 0.0, 0.0], [0.62, 0.78, 1.15], 950, 40),
        shape([0.0, 0.0, 0.0], [0.57, 0.73, 1.08], 8, 950),
        shape([0.0, 0.0, 0.0], [0.55, 0.71, 1.05], 37, 8),
        shape([-0.26, 0.0, 0.0], [0.20, 0.44, 0.75], 28, 37),
        shape([0.26, 0.0, 0.0], [0.20, 0.44, 0.75], 28, 37),
        shape([-0.11, -0.12, 0.0], [0.06, 0.22, 0.40], 6, 37),
        shape([0.11, -0.12, 0.0], [0.06, 0.22, 0.40], 6, 37),
        shape([0.0, 0.10, 0.1], [0.02, 0.10, 0.25], 6, 37),
        shape([0.0, 0.0, -0.4], [0.008, 0.70, 0.6], 60, 37),
        shape([-0.20, -0.62, 0.95], [0.12, 0.10, 0.25], -900, 950),
        shape([0.20, -0.62, 0.95], [0.12, 0.10, 0.25], -900, 950),
        shape(bleed, [size, size * 1.3, size * 1.5], 72, 37),
    ]
}

fn head_mr(lesion: &Lesion) -> Vec<Shape> {
    let plaque = [0.28 + 0.15 * lesion.x, 0.3 * lesion.y, 0.4 * lesion.z];
    let size = 0.07 * lesion.size;
    vec![
        shape([0.0, 0.0, 0.0], [0.68, 0.84, 1.22], 620, 0),
        shape([0.0, 0.0, 0.0], [0.63, 0.79, 1.16], 60, 0),
        shape([0.0, 0.0, 0.0], [0.57, 0.73, 1.08], 1_450, 0),
        shape([0.0, 0.0, 0.0], [0.55, 0.71, 1.05], 760, 0),
        shape([-0.26, 0.0, 0.0], [0.23, 0.58, 0.85], 520, 0),
        shape([0.26, 0.0, 0.0], [0.23, 0.58, 0.85], 520, 0),
        shape([-0.15, 0.05, 0.1], [0.09, 0.16, 0.25], 680, 0),
        shape([0.15, 0.05, 0.1], [0.09, 0.16, 0.25], 680, 0),
        shape([-0.11, -0.12, 0.0], [0.06, 0.22, 0.40], 1_500, 0),
        shape([0.11, -0.12, 0.0], [0.06, 0.22, 0.40], 1_500, 0),
        shape(plaque, [size, size * 1.2, size * 1.5], 1_250, 0),
    ]
}

/// Paints the cut of the shapes at height `z`.
fn paint(shapes: &[Shape], spec: &PhantomSpec, z: f32, background: i16) -> Vec<i16> {
    let (rows, columns) = (usize::from(spec.rows), usize::from(spec.columns));
    let mut slice = vec![background; rows * columns];
    for shape in shapes {
        let depth = (z - shape.center[2]) / shape.radius[2];
        let scale = (1.0 - depth * depth).max(0.0).sqrt();
        if scale == 0.0 {
            continue;
        }
        let radius_x = shape.radius[0] * scale;
        let radius_y = shape.radius[1] * scale;
        for row in extent(shape.center[1], radius_y, rows) {
            let height = (coordinate(row, rows) - shape.center[1]) / radius_y;
            let half = radius_x * (1.0 - height * height).max(0.0).sqrt();
            let span = extent(shape.center[0], half, columns);
            slice[row * columns + span.start..row * columns + span.end].fill(shape.value);
        }
    }
    slice
}

/// Adds the thickness of a shape along y, times `difference`, to a frontal projection.
fn project(shape: &Shape, difference: f32, absorbed: &mut [f32], rows: usize, columns: usize) {
    for row in extent(shape.center[2], shape.radius[2], rows) {
        let height = (coordinate(row, rows) - shape.center[2]) / shape.radius[2];
        let open = (1.0 - height * height).max(0.0);
        let span = extent(shape.center[0], shape.radius[0] * open.sqrt(), columns);
        let line = &mut absorbed[row * columns..(row + 1) * columns];
        for column in span {
            let width = (coordinate(column, columns) - shape.center[0]) / shape.radius[0];
            let thickness = 2.0 * shape.radius[1] * (open - width * width).max(0.0).sqrt();
            line[column] += difference * thickness;
        }
    }
}

/// The middle of pixel `at` of `count` in coordinates from -1 to 1.
fn coordinate(at: usize, count: usize) -> f32 {
    (2.0 * at as f32 + 1.0) / count as f32 - 1.0
}

/// The pixels whose middle lies within `radius` of `center`.
fn extent(center: f32, radius: f32, count: usize) -> std::ops::Range<usize> {
    // Inverse of `coordinate`; casts from float saturate, so nothing can fall outside 0..count.
    let pixel = |coordinate: f32| ((coordinate + 1.0) * count as f32 - 1.0) / 2.0;
    let start = (pixel(center - radius).ceil() as usize).min(count);
    let end = ((pixel(center + radius).floor() + 1.0) as usize).clamp(start, count);
    start..end
}

/// Adds noise and offset and writes 12 bits in 16, little endian.
fn finish(
    slice: &[i16],
    columns: u16,
    entropy: &SeededEntropy,
    deviation: i16,
    offset: i16,
) -> Vec<u8> {
    let noise = noise_table(entropy, deviation, slice.len().clamp(1, NOISE));
    let mut bytes = Vec::with_capacity(slice.len() * 2);
    for row in slice.chunks(usize::from(columns.max(1))) {
        let start = entropy.next_u64() as usize % noise.len();
        let grains = noise[start..].iter().chain(noise.iter().cycle());
        for (value, grain) in row.iter().zip(grains) {
            let pixel = value.saturating_add(offset).saturating_add(*grain).clamp(0, 4_095);
            bytes.extend_from_slice(&pixel.to_le_bytes());
        }
    }
    bytes
}

/// Roughly normal noise: the sum of eight bytes has a standard deviation of 209.
fn noise_table(entropy: &SeededEntropy, deviation: i16, length: usize) -> Vec<i16> {
    let draw = || {
        let sum: i32 = entropy.next_u64().to_le_bytes().iter().map(|b| i32::from(*b)).sum();
        i16::try_from((sum - 1_020) * i32::from(deviation) / 209).unwrap_or(0)
    };
    (0..length).map(|_| draw()).collect()
}

/// Longest noise table: a prime, so that rows do not fall into step.
const NOISE: usize = 8_191;

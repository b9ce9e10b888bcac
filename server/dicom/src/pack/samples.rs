//! Between bytes of pixel data and the grey image that the JPEG-LS coder sees.
//!
//! The coder only ever gets one component: colours are put plane under plane (or, where pixels
//! share their chrominance, beside each other), so that there is one kind of stream to get right.
//! Every step is a bijection on any bytes whatever, including bits above those that are stored.

/// How the samples of a piece of pixel data are laid out (PS3.3 C.7.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Samples of a line that belong to one component; for [`Arrangement::Pairs`], pairs of pixels.
    pub columns: u16,
    pub arrangement: Arrangement,
    /// Two bytes for a sample instead of one.
    pub wide: bool,
    /// The two bytes come most significant first.
    pub big_endian: bool,
    /// The first and the third component are coded as differences to the second.
    pub differences: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// One component.
    Grey,
    /// Three components, pixel after pixel (Planar Configuration 0).
    Pixels,
    /// Three components, plane after plane (Planar Configuration 1).
    Planes,
    /// Two luminances and the two chrominances that they share (YBR_FULL_422).
    Pairs,
}

/// What is taken from every sample, and how many bits then remain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub base: u16,
    /// 2 to 16, as JPEG-LS wants it.
    pub bits: u8,
}

impl Layout {
    /// Bytes of one line over all components.
    pub fn line_bytes(&self) -> u64 {
        let samples = u64::from(self.columns) * self.arrangement.samples();
        if self.wide { samples * 2 } else { samples }
    }

    /// Width and height of the grey image for so many lines; `None` beyond what JPEG-LS can say.
    pub fn image(&self, lines: u16) -> Option<(u16, u16)> {
        match self.arrangement {
            Arrangement::Grey => Some((self.columns, lines)),
            Arrangement::Pixels | Arrangement::Planes => {
                Some((self.columns, lines.checked_mul(3)?))
            }
            Arrangement::Pairs => Some((self.columns.checked_mul(4)?, lines)),
        }
    }

    /// The samples of the grey image.
    pub fn take_apart(&self, bytes: &[u8]) -> Vec<u16> {
        let mut values: Vec<u16> = match (self.wide, self.big_endian) {
            (false, _) => bytes.iter().map(|byte| u16::from(*byte)).collect(),
            (true, false) => pairs_of(bytes).map(u16::from_le_bytes).collect(),
            (true, true) => pairs_of(bytes).map(u16::from_be_bytes).collect(),
        };
        match self.arrangement {
            Arrangement::Grey | Arrangement::Planes => {}
            Arrangement::Pixels => values = planes_from_pixels(&values),
            Arrangement::Pairs => values = lines_from_pairs(&values, usize::from(self.columns)),
        }
        if self.differences {
            self.shift_by_second(&mut values, |value, second, half| {
                value.wrapping_sub(second).wrapping_add(half)
            });
        }
        values
    }

    /// The bytes that [`Layout::take_apart`] made these samples from, appended to `bytes`.
    pub fn put_together(&self, mut values: Vec<u16>, bytes: &mut Vec<u8>) {
        if self.differences {
            self.shift_by_second(&mut values, |value, second, half| {
                value.wrapping_add(second).wrapping_sub(half)
            });
        }
        match self.arrangement {
            Arrangement::Grey | Arrangement::Planes => {}
            Arrangement::Pixels => values = pixels_from_planes(&values),
            Arrangement::Pairs => values = pairs_from_lines(&values, usize::from(self.columns)),
        }
        match (self.wide, self.big_endian) {
            (false, _) => bytes.extend(values.iter().map(|value| value.to_le_bytes()[0])),
            (true, false) => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            (true, true) => bytes.extend(values.iter().flat_map(|value| value.to_be_bytes())),
        }
    }

    /// The smallest range that holds all samples, counted around as unsigned or as signed numbers;
    /// `signed` decides when both need the same bits.
    pub fn range(&self, values: &[u16], signed: bool) -> Range {
        let flip = self.mask() ^ (self.mask() >> 1);
        let (mut low, mut high) = ([u16::MAX; 2], [0u16; 2]);
        for value in values {
            for (way, value) in [*value, value ^ flip].into_iter().enumerate() {
                low[way] = low[way].min(value);
                high[way] = high[way].max(value);
            }
        }
        let [unsigned, as_signed] = [0, 1].map(|way| bits_for(high[way].saturating_sub(low[way])));
        if as_signed < unsigned || (as_signed == unsigned && signed) {
            Range { base: low[1] ^ flip, bits: as_signed }
        } else {
            Range { base: low[0], bits: unsigned }
        }
    }

    /// The samples as the coder takes them: less the base, a byte each where eight bits suffice.
    pub fn narrow(&self, values: &[u16], range: Range) -> Vec<u8> {
        let less = values.iter().map(|value| value.wrapping_sub(range.base) & self.mask());
        if range.bits <= 8 {
            less.map(|value| value.to_le_bytes()[0]).collect()
        } else {
            less.flat_map(u16::to_ne_bytes).collect()
        }
    }

    /// The inverse of [`Layout::narrow`].
    pub fn widen(&self, coded: &[u8], range: Range) -> Vec<u16> {
        let more = |value: u16| value.wrapping_add(range.base) & self.mask();
        if range.bits <= 8 {
            coded.iter().map(|byte| more(u16::from(*byte))).collect()
        } else {
            pairs_of(coded).map(|pair| more(u16::from_ne_bytes(pair))).collect()
        }
    }

    /// The bits that a sample can have.
    pub fn mask(&self) -> u16 {
        if self.wide { u16::MAX } else { 0xFF }
    }

    fn shift_by_second(&self, values: &mut [u16], shift: impl Fn(u16, u16, u16) -> u16) {
        let (mask, half) = (self.mask(), self.mask() / 2 + 1);
        let plane = values.len() / 3;
        let (first, rest) = values.split_at_mut(plane);
        let (second, third) = rest.split_at_mut(plane);
        for ((first, second), third) in first.iter_mut().zip(&*second).zip(third) {
            *first = shift(*first, *second, half) & mask;
            *third = shift(*third, *second, half) & mask;
        }
    }
}

impl Arrangement {
    /// Samples for each of [`Layout::columns`].
    pub const fn samples(self) -> u64 {
        match self {
            Self::Grey => 1,
            Self::Pixels | Self::Planes => 3,
            Self::Pairs => 4,
        }
    }
}

fn bits_for(range: u16) -> u8 {
    let bits = u16::BITS - range.leading_zeros();
    u8::try_from(bits).unwrap_or(16).max(2)
}

fn pairs_of(bytes: &[u8]) -> impl Iterator<Item = [u8; 2]> + '_ {
    bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]])
}

fn planes_from_pixels(values: &[u16]) -> Vec<u16> {
    (0..3).flat_map(|plane| values.iter().skip(plane).step_by(3).copied()).collect()
}

fn pixels_from_planes(values: &[u16]) -> Vec<u16> {
    let plane = values.len() / 3;
    let (first, rest) = values.split_at(plane);
    let (second, third) = rest.split_at(plane);
    let pixels = first.iter().zip(second).zip(third);
    pixels.flat_map(|((first, second), third)| [*first, *second, *third]).collect()
}

/// A line of pairs (Y, Y, Cb, Cr) as all its Y, then all its Cb, then all its Cr.
fn lines_from_pairs(values: &[u16], columns: usize) -> Vec<u16> {
    let mut lines = Vec::with_capacity(values.len());
    for line in values.chunks(columns * 4) {
        let pairs = || line.chunks_exact(4);
        lines.extend(pairs().flat_map(|pair| [pair[0], pair[1]]));
        lines.extend(pairs().map(|pair| pair[2]));
        lines.extend(pairs().map(|pair| pair[3]));
    }
    lines
}

fn pairs_from_lines(values: &[u16], columns: usize) -> Vec<u16> {
    let mut pairs = Vec::with_capacity(values.len());
    for line in values.chunks(columns * 4) {
        let (luminances, chrominances) = line.split_at(columns * 2);
        let (blue, red) = chrominances.split_at(columns);
        for ((luminance, blue), red) in luminances.chunks_exact(2).zip(blue).zip(red) {
            pairs.extend_from_slice(&[luminance[0], luminance[1], *blue, *red]);
        }
    }
    pairs
}

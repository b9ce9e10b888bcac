//! JPEG with 12 bits (ISO/IEC 10918-1, extended sequential, Huffman), grey only: the one kind of JPEG in DICOM that
//! no codec we use can read.

use super::PixelError;

const DAMAGED: PixelError = PixelError::Damaged("JPEG");

/// Whether a stream is a lossy JPEG of 12 bits.
pub(super) fn is_twelve_bit(stream: &[u8]) -> bool {
    let mut segments = Segments { stream, at: 2 };
    while let Some((marker, body)) = segments.segment() {
        match marker {
            0xC0..=0xC2 => return body.first() == Some(&12),
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | SCAN => return false,
            _ => {}
        }
    }
    false
}

/// Decodes a stream of one component to samples from 0 to 4095.
pub(super) fn decode(
    stream: &[u8],
    columns: u32,
    rows: u32,
    samples: u16,
) -> Result<Vec<u16>, PixelError> {
    let mut tables = Tables::default();
    let mut segments = Segments { stream, at: 2 };
    let mut quantizer = None;
    while let Some((marker, body)) = segments.segment() {
        match marker {
            0xDB => tables.quantizers(body)?,
            0xC4 => tables.codes(body)?,
            0xDD => tables.restart = u32::from(word(body, 0).ok_or(DAMAGED)?),
            0xC1 => quantizer = Some(frame(body, columns, rows, samples)?),
            0xC0 | 0xC2 | 0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                return Err(PixelError::Unsupported("this kind of JPEG with 12 bits"));
            }
            SCAN => {
                let quantizer = tables.quantizers[quantizer.ok_or(DAMAGED)?].ok_or(DAMAGED)?;
                let selected = *body.get(2).filter(|_| body.first() == Some(&1)).ok_or(DAMAGED)?;
                let place = |id: u8| usize::from(id & 3);
                let dc = tables.dc[place(selected >> 4)].as_ref().ok_or(DAMAGED)?;
                let ac = tables.ac[place(selected)].as_ref().ok_or(DAMAGED)?;
                let coded = &stream[segments.at..];
                let mut scan = Scan { bits: Bits::new(coded), dc, ac, quantizer, last: 0 };
                return scan.decode(columns as usize, rows as usize, tables.restart);
            }
            _ => {}
        }
    }
    Err(DAMAGED)
}

/// Checks the frame header; returns the number of its quantization table.
fn frame(body: &[u8], columns: u32, rows: u32, samples: u16) -> Result<usize, PixelError> {
    if samples != 1 || body.get(5) != Some(&1) {
        return Err(PixelError::Unsupported("colours in JPEG with 12 bits"));
    }
    let size = (word(body, 3).map(u32::from), word(body, 1).map(u32::from));
    if size != (Some(columns), Some(rows)) {
        return Err(PixelError::Damaged("the compressed image has another size"));
    }
    Ok(usize::from(*body.get(8).ok_or(DAMAGED)? & 3))
}

fn word(body: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]))
}

/// The marker segments before a scan.
struct Segments<'a> {
    stream: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    fn segment(&mut self) -> Option<(u8, &'a [u8])> {
        while self.stream.get(self.at..self.at + 2)? == [0xFF, 0xFF] {
            self.at += 1;
        }
        let [0xFF, marker] = *self.stream.get(self.at..self.at + 2)? else { return None };
        let length = usize::from(word(self.stream, self.at + 2)?).max(2);
        let body = self.stream.get(self.at + 4..self.at + 2 + length)?;
        self.at += 2 + length;
        Some((marker, body))
    }
}

#[derive(Default)]
struct Tables {
    quantizers: [Option<[f32; 64]>; 4],
    dc: [Option<Codes>; 4],
    ac: [Option<Codes>; 4],
    restart: u32,
}

impl Tables {
    fn quantizers(&mut self, mut body: &[u8]) -> Result<(), PixelError> {
        while let [first, rest @ ..] = body {
            let wide = first >> 4 != 0;
            let length = if wide { 128 } else { 64 };
            let values = rest.get(..length).ok_or(DAMAGED)?;
            let mut table = [0.0; 64];
            for (at, place) in table.iter_mut().enumerate() {
                let value = if wide { word(values, at * 2) } else { Some(values[at].into()) };
                *place = f32::from(value.ok_or(DAMAGED)?);
            }
            self.quantizers[usize::from(first & 3)] = Some(table);
            body = &rest[length..];
        }
        Ok(())
    }

    fn codes(&mut self, mut body: &[u8]) -> Result<(), PixelError> {
        while let [first, rest @ ..] = body {
            let counts = rest.get(..16).ok_or(DAMAGED)?;
            let total: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let symbols = rest.get(16..16 + total).ok_or(DAMAGED)?;
            let codes = Codes::new(counts, symbols).ok_or(DAMAGED)?;
            let tables = if first >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            tables[usize::from(first & 3)] = Some(codes);
            body = &rest[16 + total..];
        }
        Ok(())
    }
}

/// A Huffman table: for each length of code the first code, the first symbol and how many there are.
struct Codes {
    lengths: [(u32, usize, u32); 16],
    symbols: Vec<u8>,
}

impl Codes {
    fn new(counts: &[u8], symbols: &[u8]) -> Option<Self> {
        let mut lengths = [(0, 0, 0); 16];
        let (mut code, mut first) = (0u32, 0);
        for (length, count) in counts.iter().enumerate() {
            lengths[length] = (code, first, u32::from(*count));
            code += u32::from(*count);
            if code > 1 << (length + 1) {
                return None;
            }
            code <<= 1;
            first += usize::from(*count);
        }
        Some(Self { lengths, symbols: symbols.to_vec() })
    }
}

/// The bits of entropy-coded data; behind its end they are zero.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u32,
    count: u32,
    /// Bits that were made up because a marker or the end came.
    missing: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, buffer: 0, count: 0, missing: 0 }
    }

    fn bit(&mut self) -> Result<u32, PixelError> {
        if self.count == 0 {
            self.buffer = match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                (Some(0xFF) | None, _) => {
                    self.missing += 8;
                    0
                }
                (Some(byte), _) => {
                    self.at += 1;
                    u32::from(*byte)
                }
            };
            // A damaged end shows as grey; a stream without data is no image.
            if self.missing > MISSING_BITS {
                return Err(DAMAGED);
            }
            self.count = 8;
        }
        self.count -= 1;
        Ok(self.buffer >> self.count & 1)
    }

    fn symbol(&mut self, codes: &Codes) -> Result<u8, PixelError> {
        let mut code = 0;
        for (first, symbol, count) in codes.lengths {
            code = code << 1 | self.bit()?;
            if code >= first && code - first < count {
                let place = symbol + (code - first) as usize;
                return codes.symbols.get(place).copied().ok_or(DAMAGED);
            }
        }
        Err(DAMAGED)
    }

    /// A number of so many bits, sign extended as the standard does it (F.2.2.1).
    fn number(&mut self, bits: u8) -> Result<i32, PixelError> {
        if bits == 0 {
            return Ok(0);
        }
        if bits > 16 {
            return Err(DAMAGED);
        }
        let mut value = 0i32;
        for _ in 0..bits {
            value = value << 1 | self.bit()? as i32;
        }
        Ok(if value < 1 << (bits - 1) { value - (1 << bits) + 1 } else { value })
    }

    /// Goes on behind the restart marker that must come now.
    fn restart(&mut self) -> Result<(), PixelError> {
        self.count = 0;
        self.missing = 0;
        while self.bytes.get(self.at..self.at + 2).is_some_and(|two| two == [0xFF, 0xFF]) {
            self.at += 1;
        }
        match self.bytes.get(self.at..self.at + 2) {
            Some([0xFF, 0xD0..=0xD7]) => {
                self.at += 2;
                Ok(())
            }
            _ => Err(DAMAGED),
        }
    }
}

struct Scan<'a> {
    bits: Bits<'a>,
    dc: &'a Codes,
    ac: &'a Codes,
    quantizer: [f32; 64],
    last: i32,
}

impl Scan<'_> {
    fn decode(
        &mut self,
        columns: usize,
        rows: usize,
        restart: u32,
    ) -> Result<Vec<u16>, PixelError> {
        let cosines = cosines();
        let mut values = vec![0; columns * rows];
        let mut count = 0;
        for top in (0..rows).step_by(8) {
            for left in (0..columns).step_by(8) {
                if restart > 0 && count == restart {
                    self.bits.restart()?;
                    (self.last, count) = (0, 0);
                }
                count += 1;
                let block = inverse(&self.block()?, &cosines);
                for (row, line) in block.chunks_exact(8).enumerate().take(rows - top) {
                    let start = (top + row) * columns + left;
                    let width = (columns - left).min(8);
                    for (value, sample) in values[start..start + width].iter_mut().zip(line) {
                        *value = (sample + 2048.0).round().clamp(0.0, 4095.0) as u16;
                    }
                }
            }
        }
        Ok(values)
    }

    /// The coefficients of one block, dequantized, in their order of rows.
    fn block(&mut self) -> Result<[f32; 64], PixelError> {
        let mut block = [0.0; 64];
        let bits = self.bits.symbol(self.dc)?;
        self.last = self.last.wrapping_add(self.bits.number(bits)?);
        block[0] = self.last as f32 * self.quantizer[0];
        let mut at = 1;
        while at < 64 {
            let symbol = self.bits.symbol(self.ac)?;
            let (zeros, bits) = (usize::from(symbol >> 4), symbol & 15);
            match (zeros, bits) {
                (15, 0) => at += 16,
                (_, 0) => break,
                _ => {
                    at += zeros;
                    let value = self.bits.number(bits)? as f32;
                    let quantizer = *self.quantizer.get(at).ok_or(DAMAGED)?;
                    block[usize::from(ZIGZAG[at])] = value * quantizer;
                    at += 1;
                }
            }
        }
        Ok(block)
    }
}

/// `C(u) / 2 * cos((2x + 1) u pi / 16)` by x and u.
fn cosines() -> [[f32; 8]; 8] {
    let mut table = [[0.0; 8]; 8];
    for (x, row) in table.iter_mut().enumerate() {
        for (u, value) in row.iter_mut().enumerate() {
            let scale = if u == 0 { std::f32::consts::FRAC_1_SQRT_2 } else { 1.0 };
            let angle = ((2 * x + 1) * u) as f32 * std::f32::consts::PI / 16.0;
            *value = scale / 2.0 * angle.cos();
        }
    }
    table
}

/// The inverse cosine transform (A.3.3), first along rows, then along columns.
fn inverse(block: &[f32; 64], cosines: &[[f32; 8]; 8]) -> [f32; 64] {
    let mut half = [0.0; 64];
    for v in 0..8 {
        for x in 0..8 {
            half[v * 8 + x] = (0..8).map(|u| block[v * 8 + u] * cosines[x][u]).sum();
        }
    }
    let mut whole = [0.0; 64];
    for y in 0..8 {
        for x in 0..8 {
            whole[y * 8 + x] = (0..8).map(|v| half[v * 8 + x] * cosines[y][v]).sum();
        }
    }
    whole
}

const SCAN: u8 = 0xDA;
/// How many bits may be made up at the end of a scan.
const MISSING_BITS: u32 = 1 << 16;

/// From the order of coding to rows (figure A.6).
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

//! Data sets that are an image and little else, in every layout of samples.

use medrelay_dicom::scan::Encoding;

/// An image that needs no more than what a plan looks at.
#[derive(Debug, Clone)]
pub struct Image {
    pub encoding: Encoding,
    pub rows: u16,
    pub columns: u16,
    pub samples: u16,
    pub allocated: u16,
    pub planar: u16,
    pub signed: u16,
    pub photometric: &'static str,
    pub pixels: Vec<u8>,
}

impl Image {
    /// Sixteen unsigned bits a pixel, in the usual encoding.
    pub fn grey(rows: u16, columns: u16, pixels: Vec<u8>) -> Self {
        Self {
            encoding: Encoding::ExplicitLittle,
            rows,
            columns,
            samples: 1,
            allocated: 16,
            planar: 0,
            signed: 0,
            photometric: "MONOCHROME2",
            pixels,
        }
    }

    /// A data set that ends with its pixels and four bytes of padding (FFFC,FFFC).
    pub fn data_set(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let short = |value: u16| match self.encoding {
            Encoding::ExplicitBig => value.to_be_bytes().to_vec(),
            _ => value.to_le_bytes().to_vec(),
        };
        let mut photometric = self.photometric.as_bytes().to_vec();
        photometric.resize(photometric.len().next_multiple_of(2), b' ');
        self.put(&mut out, 0x0028_0002, b"US", &short(self.samples));
        self.put(&mut out, 0x0028_0004, b"CS", &photometric);
        self.put(&mut out, 0x0028_0006, b"US", &short(self.planar));
        self.put(&mut out, 0x0028_0010, b"US", &short(self.rows));
        self.put(&mut out, 0x0028_0011, b"US", &short(self.columns));
        self.put(&mut out, 0x0028_0100, b"US", &short(self.allocated));
        self.put(&mut out, 0x0028_0103, b"US", &short(self.signed));
        self.put(&mut out, 0x7FE0_0010, b"OW", &self.pixels);
        self.put(&mut out, 0xFFFC_FFFC, b"OB", &[0; 4]);
        out
    }

    fn put(&self, out: &mut Vec<u8>, tag: u32, vr: &[u8; 2], value: &[u8]) {
        let big = self.encoding == Encoding::ExplicitBig;
        let order = |bytes: &[u8]| -> Vec<u8> {
            if big { bytes.to_vec() } else { bytes.iter().rev().copied().collect() }
        };
        let length = (value.len() as u32).to_be_bytes();
        out.extend(order(&tag.to_be_bytes()[..2]));
        out.extend(order(&tag.to_be_bytes()[2..]));
        if self.encoding == Encoding::ImplicitLittle {
            out.extend(order(&length));
        } else if vr[0] == b'O' {
            out.extend_from_slice(&[vr[0], vr[1], 0, 0]);
            out.extend(order(&length));
        } else {
            out.extend_from_slice(vr);
            out.extend(order(&length[2..]));
        }
        out.extend_from_slice(value);
    }
}

/// A smooth surface with a little noise, as images have it; `samples` values from about `base` on.
pub fn surface(samples: usize, columns: usize, base: i32) -> Vec<i32> {
    let mut noise = 7u32;
    (0..samples)
        .map(|at| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (x, y) = ((at % columns) as f64, (at / columns) as f64);
            let height = 45.0 * (x / 17.0).sin() + 50.0 * (y / 23.0).cos();
            base + height as i32 + 105 + (noise >> 30) as i32
        })
        .collect()
}

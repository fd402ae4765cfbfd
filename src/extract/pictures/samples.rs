//! Samples of any depth and meaning become one of the three kinds that a page holds.

use super::super::page::{Encoded, Samples};
use super::bilevel;

/// What the samples of a file mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::extract) enum Meaning {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    /// Numbers of colours.
    Palette(Vec<[u8; 3]>),
    Cmyk,
}

impl Meaning {
    /// Samples a pixel has at least.
    pub(super) fn channels(&self) -> usize {
        match self {
            Self::WhiteIsZero | Self::BlackIsZero | Self::Palette(_) => 1,
            Self::Rgb => 3,
            Self::Cmyk => 4,
        }
    }
}

/// What becomes of a sample after the colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::extract) enum Alpha {
    /// There is none, or it means something else.
    None,
    /// It covers the colours.
    Straight,
    /// The colours are multiplied with it already.
    Multiplied,
}

/// Samples as a file stores them, unpacked.
pub(in crate::extract) struct Stored {
    pub(in crate::extract) width: u32,
    pub(in crate::extract) height: u32,
    /// Bits of a sample: 1 to 16, or 32.
    pub(in crate::extract) bits: u8,
    /// Samples of a pixel, with those we do not show.
    pub(in crate::extract) channels: usize,
    /// Samples of more than 8 bits start with their low byte.
    pub(in crate::extract) little: bool,
    pub(in crate::extract) meaning: Meaning,
    pub(in crate::extract) alpha: Alpha,
    /// One plane with all samples of a pixel side by side, or a plane for each.
    pub(in crate::extract) planes: Vec<Vec<u8>>,
}

/// Bytes of a row of so many samples.
pub(in crate::extract) fn row_bytes(width: u32, channels: usize, bits: u8) -> usize {
    (width as usize * channels * usize::from(bits)).div_ceil(8)
}

impl Stored {
    /// The page: black and white as group 4 code, everything else as samples.
    pub(in crate::extract) fn encoded(mut self, mirrored: bool) -> Encoded {
        if let Some(mut bits) = self.take_bits() {
            if mirrored {
                bilevel::mirror(&mut bits, self.width);
            }
            return bilevel::packed(bits, self.width);
        }
        let width = self.width as usize;
        let (mut bytes, samples) = self.unpacked();
        if mirrored {
            let size = if samples == Samples::Gray8 { 1 } else { 3 };
            for row in bytes.chunks_exact_mut((width * size).max(1)) {
                mirror(row, size);
            }
        }
        Encoded::Raw { bytes, samples }
    }

    /// The page in whole bytes: grey, or red, green, blue.
    pub(super) fn unpacked(mut self) -> (Vec<u8>, Samples) {
        let gray = match &self.meaning {
            Meaning::WhiteIsZero | Meaning::BlackIsZero => true,
            Meaning::Palette(colors) => colors.iter().all(|[red, green, blue]| red == green && green == blue),
            Meaning::Rgb | Meaning::Cmyk => false,
        };
        let (samples, size) = if gray { (Samples::Gray8, 1) } else { (Samples::Rgb8, 3) };
        let as_shown = matches!(self.meaning, Meaning::Rgb | Meaning::BlackIsZero)
            && (self.bits, self.alpha, self.planes.len()) == (8, Alpha::None, 1)
            && self.channels == size;
        let length = self.width as usize * self.height as usize * size;
        if as_shown && self.planes[0].len() >= length {
            let mut bytes = std::mem::take(&mut self.planes[0]);
            bytes.truncate(length);
            return (bytes, samples);
        }
        if let Some(bytes) = if gray { self.looked_up::<1>() } else { self.looked_up::<3>() } {
            return (bytes, samples);
        }
        let mut bytes = Vec::with_capacity(length);
        for y in 0..self.height as usize {
            for x in 0..self.width as usize {
                bytes.extend_from_slice(&self.pixel(x, y)[..size]);
            }
        }
        (bytes, samples)
    }

    /// The same where a pixel is one small number: what each number looks like is worked out once.
    fn looked_up<const SIZE: usize>(&self) -> Option<Vec<u8>> {
        let simple = (self.channels, self.planes.len(), self.alpha) == (1, 1, Alpha::None);
        if !simple
            || !matches!(self.bits, 1 | 2 | 4 | 8)
            || matches!(self.meaning, Meaning::Rgb | Meaning::Cmyk)
        {
            return None;
        }
        let bits = u32::from(self.bits);
        let width = self.width as usize;
        let shown: Vec<[u8; SIZE]> = (0..1 << bits)
            .map(|value| {
                let color = self.color(value);
                std::array::from_fn(|channel| color[channel])
            })
            .collect();
        let mut bytes = Vec::with_capacity(width * self.height as usize * SIZE);
        let row = row_bytes(self.width, 1, self.bits).max(1);
        for row in self.planes[0].chunks_exact(row).take(self.height as usize) {
            let end = bytes.len() + width * SIZE;
            for byte in row {
                for shift in (0..8 / bits).rev() {
                    let value = u32::from(*byte) >> (shift * bits) & ((1 << bits) - 1);
                    bytes.extend_from_slice(&shown[value as usize]);
                }
            }
            // A row ends with the last pixel, not with the last byte.
            bytes.truncate(end);
        }
        (bytes.len() == width * self.height as usize * SIZE).then_some(bytes)
    }

    /// The rows as they are, if the page is black and white.
    fn take_bits(&mut self) -> Option<Vec<u8>> {
        if self.bits != 1 || self.channels != 1 {
            return None;
        }
        let inverted = match &self.meaning {
            Meaning::WhiteIsZero => true,
            Meaning::BlackIsZero => false,
            Meaning::Palette(colors) => match colors.as_slice() {
                [[0, 0, 0], [255, 255, 255]] => false,
                [[255, 255, 255], [0, 0, 0]] => true,
                _ => return None,
            },
            _ => return None,
        };
        let mut bits = self.planes.pop()?;
        if inverted {
            for byte in &mut bits {
                *byte = !*byte;
            }
        }
        Some(bits)
    }

    /// Red, green, blue; or three times the same grey.
    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let sample = |channel: usize| self.sample(x, y, channel);
        let color = match &self.meaning {
            Meaning::WhiteIsZero | Meaning::BlackIsZero | Meaning::Palette(_) => {
                self.color(self.raw(x, y, 0))
            }
            Meaning::Rgb => [sample(0), sample(1), sample(2)],
            Meaning::Cmyk => {
                let key = 255 - sample(3);
                [
                    multiply(255 - sample(0), key),
                    multiply(255 - sample(1), key),
                    multiply(255 - sample(2), key),
                ]
            }
        };
        match self.alpha {
            Alpha::None => color,
            Alpha::Straight => {
                let cover = sample(self.meaning.channels());
                color.map(|part| multiply(part, cover).saturating_add(255 - cover))
            }
            Alpha::Multiplied => {
                let cover = sample(self.meaning.channels());
                color.map(|part| part.saturating_add(255 - cover))
            }
        }
    }

    /// What a number shows where a pixel is one number.
    fn color(&self, value: u32) -> [u8; 3] {
        match &self.meaning {
            Meaning::WhiteIsZero => [255 - self.eight(value); 3],
            Meaning::Palette(colors) => colors.get(value as usize).copied().unwrap_or([255; 3]),
            _ => [self.eight(value); 3],
        }
    }

    /// A sample as stored.
    fn raw(&self, x: usize, y: usize, channel: usize) -> u32 {
        let (plane, side_by_side, index) = if self.planes.len() > 1 {
            (&self.planes[channel], 1, x)
        } else {
            (&self.planes[0], self.channels, x * self.channels + channel)
        };
        let row = row_bytes(self.width, side_by_side, self.bits) * y;
        match self.bits {
            8 => u32::from(plane[row + index]),
            16 => {
                let pair = [plane[row + index * 2], plane[row + index * 2 + 1]];
                u32::from(if self.little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
            }
            32 => {
                let at = row + index * 4;
                let four = [plane[at], plane[at + 1], plane[at + 2], plane[at + 3]];
                if self.little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) }
            }
            bits => {
                // Samples of other sizes follow one another bit by bit, the high bit first.
                let bits = usize::from(bits);
                (index * bits..(index + 1) * bits)
                    .fold(0, |value, bit| value << 1 | u32::from(plane[row + bit / 8] >> (7 - bit % 8) & 1))
            }
        }
    }

    /// A sample in eight bits.
    fn sample(&self, x: usize, y: usize, channel: usize) -> u8 {
        self.eight(self.raw(x, y, channel))
    }

    fn eight(&self, value: u32) -> u8 {
        let eight = match self.bits {
            bits @ 1..8 => value * 255 / ((1 << bits) - 1),
            bits => value >> (bits - 8),
        };
        u8::try_from(eight).unwrap_or(u8::MAX)
    }
}

/// The product of two shares of 255.
pub(super) fn multiply(left: u8, right: u8) -> u8 {
    u8::try_from((u16::from(left) * u16::from(right) + 127) / 255).unwrap_or(u8::MAX)
}

/// A row of pixels of `size` bytes, left and right exchanged.
pub(super) fn mirror(row: &mut [u8], size: usize) {
    row.reverse();
    for pixel in row.chunks_exact_mut(size) {
        pixel.reverse();
    }
}

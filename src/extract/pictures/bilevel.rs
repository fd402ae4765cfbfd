//! Black and white pages: rows of bits (0 is black) to and from CCITT code.

use super::super::page::{Encoded, Samples};
use super::PictureError;
use fax::{Color, VecWriter, encoder::Encoder};
use hayro_ccitt::{DecodeSettings, Decoder, DecoderContext, EncodingMode};

/// Rows wider than this are not coded: `fax` counts pixels of a step in 16 bits.
const MAX_CODED_WIDTH: u32 = 32_000;

/// How a code is to be read.
#[derive(Clone, Copy, Debug)]
pub(in crate::extract) struct Code {
    /// Group 4, or group 3 in one or two dimensions.
    pub(in crate::extract) mode: EncodingMode,
    /// Rows begin on whole bytes.
    pub(in crate::extract) aligned: bool,
    /// The code's black runs are white.
    pub(in crate::extract) inverted: bool,
}

/// Bytes of a row of bits.
pub(super) fn row_bytes(width: u32) -> usize {
    width.div_ceil(8) as usize
}

/// Packs rows of bits (0 is black) as group 4 code, whose black runs are black. `None` if the rows are too wide.
fn encode(bits: &[u8], width: u32) -> Option<Vec<u8>> {
    if width == 0 || width > MAX_CODED_WIDTH {
        return None;
    }
    let mut encoder = Encoder::new(VecWriter::new());
    for row in bits.chunks_exact(row_bytes(width)) {
        let pixels = fax::slice_bits(row).take(width as usize);
        let colors = pixels.map(|white| if white { Color::White } else { Color::Black });
        let Ok(()) = encoder.encode_line(colors, width);
    }
    let Ok(writer) = encoder.finish();
    Some(writer.finish())
}

/// Rows of bits (0 is black) in the smallest form that a page holds without loss.
pub(in crate::extract) fn packed(bits: Vec<u8>, width: u32) -> Encoded {
    match encode(&bits, width) {
        Some(bytes) => Encoded::Group4 { bytes, black_is_1: false },
        None => Encoded::Raw { bytes: bits, samples: Samples::Bilevel },
    }
}

/// Rows of bits (0 is black) from CCITT code. The caller has checked that so many pixels are allowed.
pub(in crate::extract) fn decode(
    code: &[u8],
    width: u32,
    height: u32,
    how: Code,
) -> Result<Vec<u8>, PictureError> {
    let settings = DecodeSettings {
        columns: width,
        rows: height,
        end_of_block: true,
        end_of_line: false,
        rows_are_byte_aligned: how.aligned,
        encoding: how.mode,
        strict: false,
    };
    // The rows come as the code gives them: a lying height costs no memory.
    let mut rows = Rows { bits: Vec::new(), row_bytes: row_bytes(width), width, inverted: how.inverted };
    let outcome = hayro_ccitt::decode(code, &mut rows, &mut DecoderContext::new(settings));
    let wanted = rows.row_bytes * height as usize;
    if rows.bits.len() >= wanted {
        rows.bits.truncate(wanted);
        return Ok(rows.bits);
    }
    match outcome {
        Err(hayro_ccitt::DecodeError::InvalidCode | hayro_ccitt::DecodeError::Overflow) => {
            Err(PictureError::Damaged("CCITT-Code"))
        }
        _ => Err(PictureError::Truncated),
    }
}

struct Rows {
    bits: Vec<u8>,
    row_bytes: usize,
    width: u32,
    inverted: bool,
}

impl Decoder for Rows {
    fn push_row(&mut self, changes: &[u32]) {
        let start = self.bits.len();
        self.bits.resize(start + self.row_bytes, 0xff);
        let row = &mut self.bits[start..];
        for run in changes.chunks(2) {
            blacken(row, run[0] as usize, run.get(1).copied().unwrap_or(self.width) as usize);
        }
        if self.inverted {
            for byte in row {
                *byte = !*byte;
            }
        }
    }
}

/// Clears the bits `from..to` of a row.
pub(super) fn blacken(row: &mut [u8], from: usize, to: usize) {
    let to = to.min(row.len() * 8);
    if from >= to {
        return;
    }
    let (first, last) = (from / 8, (to - 1) / 8);
    let head = 0xff_u8 >> (from % 8);
    let tail = 0xff_u8 << (7 - (to - 1) % 8);
    if first == last {
        row[first] &= !(head & tail);
        return;
    }
    row[first] &= !head;
    row[first + 1..last].fill(0);
    row[last] &= !tail;
}

/// Rows of bits, left and right exchanged.
pub(super) fn mirror(bits: &mut [u8], width: u32) {
    let spare = (8 - width % 8) % 8;
    for row in bits.chunks_exact_mut(row_bytes(width)) {
        row.reverse();
        for byte in row.iter_mut() {
            *byte = byte.reverse_bits();
        }
        if spare > 0 {
            // The filling stood at the end of the row and is now at its start.
            for at in 0..row.len() {
                let next = row.get(at + 1).copied().unwrap_or(0xff);
                row[at] = row[at] << spare | next >> (8 - spare);
            }
        }
    }
}

/// One byte a pixel from rows of bits.
pub(super) fn to_gray(bits: &[u8], width: u32) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(bits.len() * 8);
    for row in bits.chunks_exact(row_bytes(width)) {
        let start = pixels.len();
        for byte in row {
            let spread: [u8; 8] = std::array::from_fn(|bit| if byte >> (7 - bit) & 1 == 1 { 255 } else { 0 });
            pixels.extend_from_slice(&spread);
        }
        pixels.truncate(start + width as usize);
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows with runs of many lengths, the same for the same seed.
    fn page(width: u32, height: u32, seed: u32) -> Vec<u8> {
        let mut state = seed;
        let mut bits = vec![0xff; row_bytes(width) * height as usize];
        for row in bits.chunks_exact_mut(row_bytes(width)) {
            let mut at = 0;
            while at < width {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (gap, run) = (state >> 24, state >> 16 & 0x3f);
                blacken(row, (at + gap) as usize, (at + gap + run).min(width) as usize);
                at += gap + run + 1;
            }
        }
        bits
    }

    #[test]
    fn group_four_gives_back_what_was_packed() {
        for (width, height) in [(1, 1), (7, 3), (8, 8), (1_728, 40), (2_480, 60), (5_000, 9)] {
            let bits = page(width, height, width);
            let code = encode(&bits, width).unwrap();
            let how = Code { mode: EncodingMode::Group4, aligned: false, inverted: false };
            let back = decode(&code, width, height, how).unwrap();
            assert_eq!(to_gray(&back, width), to_gray(&bits, width), "{width} x {height}");
        }
        assert_eq!(encode(&[0xff; 8_000], 64_000), None);
    }

    #[test]
    fn code_that_ends_early_is_an_error() {
        let code = encode(&page(1_728, 100, 3), 1_728).unwrap();
        let how = Code { mode: EncodingMode::Group4, aligned: false, inverted: false };
        assert!(decode(&code[..code.len() / 2], 1_728, 100, how).is_err());
        assert!(decode(&code, 1_728, 4_000_000, how).is_err());
        assert!(decode(&[], 1_728, 100, how).is_err());
    }

    #[test]
    fn mirroring_exchanges_left_and_right() {
        for width in [1, 5, 8, 13, 16, 31] {
            let bits = page(width, 4, 9);
            let mut mirrored = bits.clone();
            mirror(&mut mirrored, width);
            let straight = to_gray(&bits, width);
            let there = to_gray(&mirrored, width);
            for (row, back) in straight.chunks(width as usize).zip(there.chunks(width as usize)) {
                assert!(row.iter().eq(back.iter().rev()), "{width}");
            }
        }
    }
}

//! Unpacks a strip or tile of a TIFF: never more than its rows need.

use super::PictureError;
use std::io::Read;

/// Exactly `wanted` bytes out of packed `data`.
pub(super) fn unpack(compression: u64, data: &[u8], wanted: usize) -> Result<Vec<u8>, PictureError> {
    let mut out = match compression {
        1 => data.get(..wanted).ok_or(PictureError::Truncated)?.to_vec(),
        5 => lzw(data, wanted)?,
        8 | 32_946 => {
            let mut out = Vec::new();
            let reader = flate2::read::ZlibDecoder::new(data);
            // A fault after the last wanted byte (a wrong checksum) harms nobody.
            let outcome = reader.take(wanted as u64).read_to_end(&mut out);
            match outcome {
                Err(fault) if out.len() < wanted && fault.kind() != std::io::ErrorKind::UnexpectedEof => {
                    return Err(PictureError::Damaged("Deflate"));
                }
                _ => out,
            }
        }
        32_773 => pack_bits(data, wanted),
        _ => return Err(PictureError::Unsupported("TIFF-Kompression")),
    };
    if out.len() < wanted {
        return Err(PictureError::Truncated);
    }
    out.truncate(wanted);
    Ok(out)
}

fn lzw(data: &[u8], wanted: usize) -> Result<Vec<u8>, PictureError> {
    if data.starts_with(&[0, 1]) {
        return Err(PictureError::Unsupported("altes LZW"));
    }
    let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8);
    let mut out = Vec::new();
    let mut input = data;
    let mut piece = vec![0; 1 << 16];
    while out.len() < wanted {
        let room = piece.len().min(wanted - out.len());
        let step = decoder.decode_bytes(input, &mut piece[..room]);
        out.extend_from_slice(&piece[..step.consumed_out]);
        input = &input[step.consumed_in..];
        match step.status {
            Ok(weezl::LzwStatus::Ok) => {}
            Ok(_) => break,
            Err(_) => return Err(PictureError::Damaged("LZW")),
        }
    }
    Ok(out)
}

fn pack_bits(data: &[u8], wanted: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = data;
    while out.len() < wanted
        && let Some((&head, tail)) = rest.split_first()
    {
        rest = tail;
        if head < 128 {
            let run = rest.len().min(usize::from(head) + 1);
            out.extend_from_slice(&rest[..run]);
            rest = &rest[run..];
        } else if head > 128
            && let Some((&byte, tail)) = rest.split_first()
        {
            out.resize(out.len() + 257 - usize::from(head), byte);
            rest = tail;
        }
    }
    out
}

/// Undoes horizontal differencing (predictor 2) on rows of `row_bytes`.
pub(super) fn undo_differences(
    rows: &mut [u8],
    row_bytes: usize,
    bits: u8,
    channels: usize,
    little: bool,
) -> Result<(), PictureError> {
    for row in rows.chunks_exact_mut(row_bytes) {
        match bits {
            8 => {
                for at in channels..row.len() {
                    row[at] = row[at].wrapping_add(row[at - channels]);
                }
            }
            16 => {
                let read = |row: &[u8], at: usize| {
                    let pair = [row[at], row[at + 1]];
                    if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
                };
                for at in (channels * 2..row.len() / 2 * 2).step_by(2) {
                    let sum = read(row, at).wrapping_add(read(row, at - channels * 2));
                    let pair = if little { sum.to_le_bytes() } else { sum.to_be_bytes() };
                    row[at..at + 2].copy_from_slice(&pair);
                }
            }
            _ => return Err(PictureError::Unsupported("Prädiktor bei dieser Farbtiefe")),
        }
    }
    Ok(())
}

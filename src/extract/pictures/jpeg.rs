//! JPEG files stay as they are; their markers say how large they are and how they stand.

use super::super::page::{Encoded, Picture, Turn};
use super::{PictureError, PictureLimits, decode, ifd, orientation, resolution, samples};

/// What the markers before the first scan say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::extract) struct Header {
    /// Columns.
    pub(in crate::extract) width: u32,
    /// Rows.
    pub(in crate::extract) height: u32,
    /// 1 (grey), 3 (colour) or 4 (CMYK).
    pub(in crate::extract) components: u8,
    /// Stated resolution.
    dpi: Option<(f32, f32)>,
    orientation: u64,
}

/// Reads the markers of a JPEG file and makes sure that it has an end.
pub(in crate::extract) fn header(bytes: &[u8]) -> Result<Header, PictureError> {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return Err(PictureError::Damaged("kein JPEG-Kopf"));
    }
    let mut found = Header { width: 0, height: 0, components: 0, dpi: None, orientation: 1 };
    let mut exif_dpi = None;
    let mut at = 2;
    loop {
        // Any number of filling bytes may stand before a marker's code; rubbish is skipped as every reader does.
        while bytes.get(at).ok_or(PictureError::Truncated)? != &0xff {
            at += 1;
        }
        while bytes.get(at).ok_or(PictureError::Truncated)? == &0xff {
            at += 1;
        }
        let code = bytes[at];
        at += 1;
        if matches!(code, 0x00 | 0x01 | 0xd0..=0xd8) {
            continue;
        }
        if code == 0xd9 {
            return Err(PictureError::Damaged("JPEG ohne Bild"));
        }
        let length = usize::from(big(bytes, at).ok_or(PictureError::Truncated)?);
        let Some(body) = length.checked_sub(2).and_then(|size| bytes.get(at + 2..at + 2 + size)) else {
            return Err(if length < 2 {
                PictureError::Damaged("JPEG-Marke")
            } else {
                PictureError::Truncated
            });
        };
        match code {
            0xe0 if body.starts_with(b"JFIF\0") => found.dpi = jfif_dpi(body),
            0xe1 if body.starts_with(b"Exif\0") && body.len() > 6 => {
                (exif_dpi, found.orientation) = exif(&body[6..]);
            }
            0xc0..=0xc2 => {
                let (Some(height), Some(width)) = (big(body, 1), big(body, 3)) else {
                    return Err(PictureError::Damaged("JPEG-Rahmen"));
                };
                if body[0] != 8 {
                    return Err(PictureError::Unsupported("JPEG mit mehr als 8 Bit"));
                }
                let components = body.get(5).copied().unwrap_or(0);
                if !matches!(components, 1 | 3 | 4) {
                    return Err(PictureError::Unsupported("JPEG mit ungewöhnlichen Farbkanälen"));
                }
                (found.width, found.height) = (u32::from(width), u32::from(height));
                found.components = components;
            }
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Err(PictureError::Unsupported("verlustfreies oder arithmetisches JPEG"));
            }
            0xda => break,
            _ => {}
        }
        at += length;
    }
    if found.components == 0 {
        return Err(PictureError::Damaged("JPEG ohne Rahmen"));
    }
    // A file cut off in its pixels decodes to grey rows; whoever scanned it must hear of it.
    if !bytes[at..].windows(2).rev().any(|pair| pair == [0xff, 0xd9]) {
        return Err(PictureError::Truncated);
    }
    found.dpi = found.dpi.or(exif_dpi);
    Ok(found)
}

/// The page of a JPEG file.
pub(super) fn page(bytes: &[u8], limits: &PictureLimits) -> Result<Picture, PictureError> {
    let header = header(bytes)?;
    limits.pixels(header.width, header.height)?;
    let (mirrored, turn) = orientation(header.orientation);
    let data = if mirrored {
        // No page can be shown mirrored without decoding it; cameras never do this, a few programs can.
        mirrored_copy(bytes)?
    } else {
        Encoded::Jpeg { bytes: bytes.to_vec(), components: header.components }
    };
    let dpi = resolution(header.width, header.height, header.dpi);
    Ok(Picture { width: header.width, height: header.height, dpi, turn, data })
}

fn mirrored_copy(bytes: &[u8]) -> Result<Encoded, PictureError> {
    let mut plain = decode::jpeg(bytes, decode::Colors::Shown)?;
    for row in plain.bytes.chunks_exact_mut(plain.width as usize * plain.channels) {
        samples::mirror(row, plain.channels);
    }
    Ok(plain.encoded())
}

fn big(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn jfif_dpi(body: &[u8]) -> Option<(f32, f32)> {
    let (across, down) = (f32::from(big(body, 8)?), f32::from(big(body, 10)?));
    match body.get(7)? {
        1 => Some((across, down)),
        2 => Some((across * 2.54, down * 2.54)),
        _ => None,
    }
}

/// Resolution and orientation from EXIF data; faulty data says nothing.
pub(super) fn exif(bytes: &[u8]) -> (Option<(f32, f32)>, u64) {
    let Ok((tree, first)) = ifd::Tree::open(bytes) else { return (None, 1) };
    let Ok((directory, _)) = tree.directory(first) else { return (None, 1) };
    (directory.dpi(), directory.number(274).unwrap_or(1))
}

/// The turn that EXIF data asks for, and whether to mirror.
pub(super) fn exif_turn(bytes: &[u8]) -> (bool, Turn) {
    orientation(exif(bytes).1)
}

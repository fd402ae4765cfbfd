//! Directories of TIFF (with its 64-bit form) and EXIF: tags with their values, never beyond the file.

use super::PictureError;
use std::collections::BTreeMap;

/// A file made of directories.
#[derive(Clone, Copy)]
pub(super) struct Tree<'b> {
    bytes: &'b [u8],
    /// Numbers start with their low byte.
    pub(super) little: bool,
    big: bool,
}

/// A directory: tags and where their values lie.
pub(super) struct Directory<'b> {
    entries: BTreeMap<u16, Entry<'b>>,
    little: bool,
}

struct Entry<'b> {
    kind: u16,
    data: &'b [u8],
}

impl<'b> Tree<'b> {
    /// Reads the head; gives the place of the first directory too.
    pub(super) fn open(bytes: &'b [u8]) -> Result<(Self, u64), PictureError> {
        let little = match bytes.get(..2) {
            Some(b"II") => true,
            Some(b"MM") => false,
            _ => return Err(PictureError::Damaged("kein TIFF-Kopf")),
        };
        let mut tree = Self { bytes, little, big: false };
        let first = match tree.number(2, 2) {
            Some(42) => tree.number(4, 4),
            Some(43) if tree.number(4, 2) == Some(8) => {
                tree.big = true;
                tree.number(8, 8)
            }
            _ => return Err(PictureError::Damaged("kein TIFF-Kopf")),
        };
        Ok((tree, first.ok_or(PictureError::Truncated)?))
    }

    /// The directory at `offset` and where the next one lies (0: nowhere).
    pub(super) fn directory(&self, offset: u64) -> Result<(Directory<'b>, u64), PictureError> {
        let (count_size, entry_size, inline) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(offset, count_size).ok_or(PictureError::Truncated)?;
        if count == 0 || count > 4_096 {
            return Err(PictureError::Damaged("Verzeichnis"));
        }
        let mut entries = BTreeMap::new();
        for index in 0..count {
            let at = offset.saturating_add(count_size + index * entry_size);
            let (Some(tag), Some(kind)) = (self.number(at, 2), self.number(at.saturating_add(2), 2)) else {
                return Err(PictureError::Truncated);
            };
            let Some(values) = self.number(at + 4, inline) else { return Err(PictureError::Truncated) };
            let Some(bytes) = size_of_kind(kind).and_then(|size| values.checked_mul(size)) else { continue };
            let place = if bytes <= inline {
                at + 4 + inline
            } else {
                self.number(at + 4 + inline, inline).unwrap_or(u64::MAX)
            };
            // A value outside the file is as good as none: whoever needs it says which.
            let Some(data) = self.slice(place, bytes) else { continue };
            let (Ok(tag), Ok(kind)) = (u16::try_from(tag), u16::try_from(kind)) else { continue };
            entries.entry(tag).or_insert(Entry { kind, data });
        }
        let next = self.number(offset.saturating_add(count_size + count * entry_size), inline).unwrap_or(0);
        Ok((Directory { entries, little: self.little }, next))
    }

    /// A part of the file.
    pub(super) fn slice(&self, offset: u64, length: u64) -> Option<&'b [u8]> {
        let end = offset.checked_add(length)?;
        self.bytes.get(usize::try_from(offset).ok()?..usize::try_from(end).ok()?)
    }

    /// Everything from `offset` on.
    pub(super) fn rest(&self, offset: u64) -> Option<&'b [u8]> {
        self.bytes.get(usize::try_from(offset).ok()?..)
    }

    fn number(&self, offset: u64, size: u64) -> Option<u64> {
        Some(assemble(self.slice(offset, size)?, self.little))
    }
}

impl<'b> Directory<'b> {
    /// The first value of a tag.
    pub(super) fn number(&self, tag: u16) -> Option<u64> {
        self.numbers(tag)?.next()
    }

    /// All values of a tag.
    pub(super) fn numbers(&self, tag: u16) -> Option<impl ExactSizeIterator<Item = u64> + 'b> {
        let entry = self.entries.get(&tag)?;
        let size = match entry.kind {
            1 | 7 => 1,
            3 => 2,
            4 | 13 => 4,
            16 | 18 => 8,
            _ => return None,
        };
        let little = self.little;
        Some(entry.data.chunks_exact(size).map(move |value| assemble(value, little)))
    }

    /// The bytes of a tag.
    pub(super) fn bytes(&self, tag: u16) -> Option<&'b [u8]> {
        Some(self.entries.get(&tag)?.data)
    }

    /// A fraction, or a whole number or float in its place.
    #[expect(clippy::cast_precision_loss, reason = "a resolution needs no more than a float")]
    pub(super) fn ratio(&self, tag: u16) -> Option<f32> {
        let entry = self.entries.get(&tag)?;
        let part = |at: usize| Some(assemble(entry.data.get(at..at + 4)?, self.little) as f32);
        match entry.kind {
            5 => Some(part(0)? / part(4)?),
            11 => Some(f32::from_bits(u32::try_from(assemble(entry.data.get(..4)?, self.little)).ok()?)),
            _ => self.number(tag).map(|value| value as f32),
        }
    }

    /// Dots per inch as the resolution tags (the same in TIFF and EXIF) say, if they do.
    pub(super) fn dpi(&self) -> Option<(f32, f32)> {
        let (across, down) = (self.ratio(282)?, self.ratio(283)?);
        let scale = match self.number(296).unwrap_or(2) {
            2 => 1.0,
            3 => 2.54,
            _ => return None,
        };
        Some((across * scale, down * scale))
    }
}

fn size_of_kind(kind: u64) -> Option<u64> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16 | 17 | 18 => Some(8),
        _ => None,
    }
}

fn assemble(bytes: &[u8], little: bool) -> u64 {
    let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    if little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) }
}

//! TIFF: a page for every directory that is neither a preview nor a mask.

use super::super::page::{Encoded, Picture, Turn};
use super::ifd::{Directory, Tree};
use super::samples::{Alpha, Meaning, Stored, row_bytes};
use super::unpack::{undo_differences, unpack};
use super::{Code, PictureError, PictureLimits, bilevel, decode, jpeg, orientation, resolution};
use hayro_ccitt::EncodingMode;
use std::borrow::Cow;
use std::collections::HashSet;

const JPEG: u64 = 7;

/// The pages of a TIFF file.
pub(super) fn pages(bytes: &[u8], limits: PictureLimits) -> Result<Pages<'_>, PictureError> {
    let (tree, next) = Tree::open(bytes)?;
    if next == 0 {
        return Err(PictureError::Damaged("TIFF ohne Seite"));
    }
    Ok(Pages { tree, next, seen: HashSet::new(), delivered: 0, limits })
}

pub(super) struct Pages<'b> {
    tree: Tree<'b>,
    next: u64,
    seen: HashSet<u64>,
    delivered: u32,
    limits: PictureLimits,
}

impl Iterator for Pages<'_> {
    type Item = Result<Picture, PictureError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next != 0 {
            let here = std::mem::take(&mut self.next);
            if !self.seen.insert(here) {
                return Some(Err(PictureError::Damaged("Verzeichnisse im Kreis")));
            }
            if self.delivered == self.limits.max_pages || self.seen.len() > 100_000 {
                return Some(Err(PictureError::TooManyPages(self.delivered)));
            }
            let (directory, next) = match self.tree.directory(here) {
                Ok(found) => found,
                Err(fault) => return Some(Err(fault)),
            };
            self.next = next;
            // Bit 0: a smaller copy of another page; bit 2: a mask.
            if directory.number(254).is_some_and(|kind| kind & 0b101 != 0) {
                continue;
            }
            self.delivered += 1;
            return Some(Page::read(self.tree, &directory, &self.limits).and_then(|page| page.picture()));
        }
        None
    }
}

/// A directory's tags, checked.
#[expect(clippy::struct_excessive_bools, reason = "each is a tag of its own")]
struct Page<'b> {
    tree: Tree<'b>,
    width: u32,
    height: u32,
    bits: u8,
    channels: usize,
    compression: u64,
    photometric: u64,
    meaning: Meaning,
    alpha: Alpha,
    planar: bool,
    differences: bool,
    reversed: bool,
    options: u64,
    tables: Option<&'b [u8]>,
    whole_jpeg: Option<&'b [u8]>,
    mirrored: bool,
    turn: Turn,
    dpi: (f32, f32),
    chunks: Chunks,
}

/// Strips or tiles.
struct Chunks {
    width: u32,
    height: u32,
    tiled: bool,
    places: Vec<(u64, u64)>,
}

impl<'b> Page<'b> {
    fn read(tree: Tree<'b>, tags: &Directory<'b>, limits: &PictureLimits) -> Result<Self, PictureError> {
        let side = |tag| {
            tags.number(tag).and_then(|value| u32::try_from(value).ok()).ok_or(PictureError::Damaged("Größe"))
        };
        let (width, height) = (side(256)?, side(257)?);
        limits.pixels(width, height)?;
        let compression = tags.number(259).unwrap_or(1);
        let channels = usize::try_from(tags.number(277).unwrap_or(1)).unwrap_or(0);
        let depths: Vec<u64> = tags.numbers(258).map_or_else(|| vec![1], |depths| depths.take(8).collect());
        let bits = match (depths.first(), u8::try_from(depths.first().copied().unwrap_or(0))) {
            (Some(first), Ok(bits @ (1..=16 | 32))) if depths.iter().all(|depth| depth == first) => bits,
            _ => return Err(PictureError::Unsupported("TIFF-Farbtiefe")),
        };
        if tags.numbers(339).is_some_and(|mut formats| formats.any(|format| format != 1 && format != 4)) {
            return Err(PictureError::Unsupported("TIFF mit Gleitkomma- oder negativen Werten"));
        }
        let photometric = tags.number(262).unwrap_or(0);
        let meaning = meaning(photometric, compression, bits, tags)?;
        if channels < meaning.channels() || channels > 8 {
            return Err(PictureError::Damaged("Zahl der Farbkanäle"));
        }
        let alpha = match tags.number(338) {
            Some(1) if channels > meaning.channels() => Alpha::Multiplied,
            Some(2) if channels > meaning.channels() => Alpha::Straight,
            _ => Alpha::None,
        };
        // Deep samples may not cost more than the largest page in common colours does.
        let packed = u64::from(width) * u64::from(height) * channels as u64 * u64::from(bits) / 8;
        if packed > limits.max_pixels.saturating_mul(4) {
            return Err(PictureError::TooLarge { width, height, max_pixels: limits.max_pixels });
        }
        let (mirrored, turn) = orientation(tags.number(274).unwrap_or(1));
        // The old way to store JPEG: a whole file somewhere, with or without its length.
        let whole_jpeg = (compression == 6).then(|| tags.number(513)).flatten().and_then(|offset| {
            tags.number(514).and_then(|length| tree.slice(offset, length)).or_else(|| tree.rest(offset))
        });
        Ok(Self {
            tree,
            width,
            height,
            bits,
            channels,
            compression,
            photometric,
            meaning,
            alpha,
            planar: channels > 1 && tags.number(284) == Some(2),
            differences: match tags.number(317) {
                None | Some(1) => false,
                Some(2) => true,
                Some(_) => return Err(PictureError::Unsupported("Prädiktor")),
            },
            reversed: tags.number(266) == Some(2),
            options: tags.number(if compression == 4 { 293 } else { 292 }).unwrap_or(0),
            tables: tags.bytes(347),
            whole_jpeg,
            mirrored,
            turn,
            dpi: resolution(width, height, tags.dpi()),
            chunks: Chunks::read(&tree, tags, height, limits)?,
        })
    }

    fn picture(&self) -> Result<Picture, PictureError> {
        let data = match self.untouched()? {
            Some(data) => data,
            None => self.repacked()?,
        };
        Ok(Picture { width: self.width, height: self.height, dpi: self.dpi, turn: self.turn, data })
    }

    /// The stored bytes, where they are one code for the whole page that a PDF can hold.
    fn untouched(&self) -> Result<Option<Encoded>, PictureError> {
        if self.compression == 6 {
            let file = self.whole_jpeg.ok_or(PictureError::Unsupported("altes JPEG in TIFF"))?;
            return match jpeg::header(file) {
                Ok(head) if (head.width, head.height) == (self.width, self.height) && !self.mirrored => {
                    Ok(Some(Encoded::Jpeg { bytes: file.to_vec(), components: head.components }))
                }
                Ok(_) => Err(PictureError::Damaged("Größe")),
                Err(_) => Err(PictureError::Unsupported("altes JPEG in TIFF")),
            };
        }
        let single = match self.chunks.places.as_slice() {
            [place] => {
                self.chunks.height >= self.height
                    && !self.mirrored
                    && self.whole_width().then_some(*place).is_some()
            }
            _ => false,
        };
        if !single {
            return Ok(None);
        }
        match self.compression {
            // Bit 1 allows rows that are not coded at all, which PDF readers do not know.
            4 if self.bits == 1 && self.channels == 1 && self.options & 2 == 0 => {
                let bytes = self.packed(0)?.into_owned();
                Ok(Some(Encoded::Group4 { bytes, black_is_1: self.meaning == Meaning::BlackIsZero }))
            }
            JPEG if !self.planar => {
                let bytes = self.jpeg_file(0)?;
                let head = jpeg::header(&bytes)?;
                let fits = (head.width, head.height) == (self.width, self.height);
                let shown = matches!((self.photometric, head.components), (1, 1) | (6, 3));
                Ok((fits && shown).then_some(Encoded::Jpeg { bytes, components: head.components }))
            }
            _ => Ok(None),
        }
    }

    fn whole_width(&self) -> bool {
        !self.chunks.tiled || (self.chunks.width == self.width && self.chunks.height == self.height)
    }

    /// The samples of all strips or tiles, put together and packed as a page holds them.
    fn repacked(&self) -> Result<Encoded, PictureError> {
        let plane_channels = if self.planar { 1 } else { self.channels };
        let page_row = row_bytes(self.width, plane_channels, self.bits);
        let chunk_width = if self.chunks.tiled { self.chunks.width } else { self.width };
        let across = self.width.div_ceil(chunk_width);
        let down = self.height.div_ceil(self.chunks.height);
        let per_plane = (across * down) as usize;
        let plane_count = if self.planar { self.channels } else { 1 };
        if self.chunks.places.len() < per_plane * plane_count {
            return Err(PictureError::Truncated);
        }
        let mut planes = Vec::new();
        for plane in 0..plane_count {
            let mut rows: Vec<u8> = Vec::new();
            for band in 0..down {
                let band_rows = (self.height - band * self.chunks.height).min(self.chunks.height);
                let start = rows.len();
                rows.resize(start + page_row * band_rows as usize, 0);
                for column in 0..across {
                    let index = plane * per_plane + (band * across + column) as usize;
                    // A strip holds the rows that are left, a tile always all of its own.
                    let chunk_rows = if self.chunks.tiled { self.chunks.height } else { band_rows };
                    let chunk = self.chunk(index, chunk_width, chunk_rows, plane_channels)?;
                    let chunk_row = row_bytes(chunk_width, plane_channels, self.bits);
                    let left = row_bytes(chunk_width * column, plane_channels, self.bits);
                    let span = chunk_row.min(page_row - left);
                    let targets = rows[start..].chunks_exact_mut(page_row);
                    for (target, source) in targets.zip(chunk.chunks_exact(chunk_row)) {
                        target[left..left + span].copy_from_slice(&source[..span]);
                    }
                }
            }
            planes.push(rows);
        }
        let stored = Stored {
            width: self.width,
            height: self.height,
            bits: self.bits,
            channels: self.channels,
            little: self.tree.little,
            meaning: self.meaning.clone(),
            alpha: self.alpha,
            planes,
        };
        Ok(stored.encoded(self.mirrored))
    }

    /// The unpacked rows of a strip or tile.
    fn chunk(&self, index: usize, width: u32, height: u32, channels: usize) -> Result<Vec<u8>, PictureError> {
        let row = row_bytes(width, channels, self.bits);
        match self.compression {
            2..=4 => {
                if self.bits != 1 || channels != 1 {
                    return Err(PictureError::Damaged("CCITT mit mehr als einem Bit"));
                }
                if self.options & 2 != 0 && self.compression > 2 {
                    return Err(PictureError::Unsupported("CCITT mit unkodierten Zeilen"));
                }
                let mode = match (self.compression, self.options & 1) {
                    (4, _) => EncodingMode::Group4,
                    (3, 1) => EncodingMode::Group3_2D,
                    _ => EncodingMode::Group3_1D,
                };
                let code = Code { mode, aligned: self.compression == 2, inverted: false };
                let mut bits = bilevel::decode(&self.packed(index)?, width, height, code)?;
                // The code speaks of black and white runs; the tag says what its bits mean.
                for byte in &mut bits {
                    *byte = !*byte;
                }
                Ok(bits)
            }
            JPEG => {
                let plain = decode::jpeg(
                    &self.jpeg_file(index)?,
                    match self.photometric {
                        6 => decode::Colors::Shown,
                        _ => decode::Colors::Stored,
                    },
                )?;
                if plain.width != width || plain.height < height || plain.channels != channels {
                    return Err(PictureError::Damaged("JPEG in TIFF"));
                }
                Ok(plain.bytes)
            }
            other => {
                let mut rows = unpack(other, &self.packed(index)?, row * height as usize)?;
                if self.differences {
                    undo_differences(&mut rows, row, self.bits, channels, self.tree.little)?;
                }
                Ok(rows)
            }
        }
    }

    /// The packed bytes of a strip or tile, the high bit first.
    fn packed(&self, index: usize) -> Result<Cow<'b, [u8]>, PictureError> {
        let (offset, length) = self.chunks.places.get(index).copied().ok_or(PictureError::Truncated)?;
        let bytes = self.tree.slice(offset, length).ok_or(PictureError::Truncated)?;
        if self.reversed && self.bits == 1 {
            return Ok(bytes.iter().map(|byte| byte.reverse_bits()).collect());
        }
        Ok(Cow::Borrowed(bytes))
    }

    /// A strip or tile as a JPEG file of its own: the tables that the page shares go in front.
    fn jpeg_file(&self, index: usize) -> Result<Vec<u8>, PictureError> {
        let bytes = self.packed(index)?;
        let Some(tables) = self.tables.filter(|tables| tables.len() > 4 && tables.ends_with(&[0xff, 0xd9]))
        else {
            return Ok(bytes.into_owned());
        };
        let image = bytes.strip_prefix(&[0xff, 0xd8]).ok_or(PictureError::Damaged("JPEG in TIFF"))?;
        Ok([&tables[..tables.len() - 2], image].concat())
    }
}

impl Chunks {
    fn read(
        tree: &Tree<'_>,
        tags: &Directory<'_>,
        height: u32,
        limits: &PictureLimits,
    ) -> Result<Self, PictureError> {
        let tile = |tag| tags.number(tag).and_then(|side| u32::try_from(side).ok());
        let tiled = tags.number(322).is_some();
        let (width, rows) = if tiled {
            let (width, rows) = (tile(322).unwrap_or(0), tile(323).unwrap_or(0));
            limits.pixels(width, rows)?;
            (width, rows)
        } else {
            (0, tile(278).unwrap_or(height).clamp(1, height))
        };
        let (offsets, lengths) = if tiled { (324, 325) } else { (273, 279) };
        let Some(offsets) = tags.numbers(offsets) else {
            // JPEG of the old kind may do without.
            return Ok(Self { width, height: rows, tiled, places: Vec::new() });
        };
        let places = match tags.numbers(lengths) {
            Some(lengths) => offsets.zip(lengths).collect(),
            // Old writers leave the length of a lone strip out: it reaches to the end.
            None => offsets
                .take(1)
                .map(|offset| (offset, tree.rest(offset).map_or(0, |rest| rest.len() as u64)))
                .collect(),
        };
        Ok(Self { width, height: rows, tiled, places })
    }
}

fn meaning(
    photometric: u64,
    compression: u64,
    bits: u8,
    tags: &Directory<'_>,
) -> Result<Meaning, PictureError> {
    match photometric {
        0 => Ok(Meaning::WhiteIsZero),
        1 => Ok(Meaning::BlackIsZero),
        2 => Ok(Meaning::Rgb),
        3 => {
            let map: Vec<u64> =
                tags.numbers(320).ok_or(PictureError::Damaged("TIFF ohne Palette"))?.collect();
            if bits > 8 || map.len() < 3 << bits {
                return Err(PictureError::Damaged("Palette"));
            }
            // 16 bits a colour, but some writers fill in 8.
            let shift = if map.iter().any(|&part| part > 255) { 8 } else { 0 };
            let part = |at: usize| u8::try_from(map[at] >> shift).unwrap_or(u8::MAX);
            Ok(Meaning::Palette(
                (0..1 << bits).map(|at| [part(at), part(at + (1 << bits)), part(at + (2 << bits))]).collect(),
            ))
        }
        5 if tags.number(332).unwrap_or(1) == 1 => Ok(Meaning::Cmyk),
        6 if matches!(compression, 6 | JPEG) => Ok(Meaning::Rgb),
        _ => Err(PictureError::Unsupported("TIFF-Farbraum")),
    }
}

//! Pages from picture files: TIFF, JPEG and PNG.
//!
//! A page keeps its stored bytes wherever a PDF can hold them (a group 4 strip, a JPEG file) and is packed without
//! loss otherwise. TIFF directories are read by our own code: a scan whose third page is damaged still has its other
//! pages, which a reader that parses pages on the way cannot give.

mod bilevel;
mod decode;
mod ifd;
mod jpeg;
mod png;
mod samples;
mod tiff;
mod unpack;

pub(super) use bilevel::{Code, decode as decode_ccitt, packed as pack_bits};
pub(super) use decode::jpeg_2000_size;
pub(super) use jpeg::header as jpeg_header;
pub(super) use png::body as png_body;
pub(super) use samples::{Alpha, Meaning, Stored, row_bytes};

use super::Format;
use super::page::Picture;

/// What a picture file may ask of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureLimits {
    /// Pixels of a page.
    pub max_pixels: u64,
    /// Pages of a file.
    pub max_pages: u32,
}

impl Default for PictureLimits {
    fn default() -> Self {
        // An A0 plan at 600 dpi has 550 megapixels; nobody scans one for a case file. A3 at 1,200 dpi has 279.
        Self { max_pixels: 200_000_000, max_pages: 10_000 }
    }
}

impl PictureLimits {
    /// The number of pixels, if the picture has any and not too many.
    pub(super) fn pixels(&self, width: u32, height: u32) -> Result<usize, PictureError> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 {
            return Err(PictureError::Empty);
        }
        if pixels > self.max_pixels {
            return Err(PictureError::TooLarge { width, height, max_pixels: self.max_pixels });
        }
        usize::try_from(pixels).map_err(|_| PictureError::TooLarge {
            width,
            height,
            max_pixels: self.max_pixels,
        })
    }
}

/// Why a page could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// The bytes contradict themselves.
    #[error("Das Bild ist beschädigt ({0}).")]
    Damaged(&'static str),
    /// The bytes end too early.
    #[error("Das Bild ist unvollständig: Die Datei endet zu früh.")]
    Truncated,
    /// No rows or no columns.
    #[error("Das Bild ist leer: Breite oder Höhe ist 0.")]
    Empty,
    /// More pixels than allowed.
    #[error("Das Bild ist zu groß: {width} × {height} Bildpunkte; erlaubt sind {max_pixels}.")]
    TooLarge {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
    /// More pages than allowed; those before it were delivered.
    #[error("Die Datei hat zu viele Seiten; gelesen wurden {0}.")]
    TooManyPages(u32),
    /// A kind of picture that we do not read.
    #[error("Diese Art von Bild wird nicht gelesen ({0}).")]
    Unsupported(&'static str),
}

/// Pages of a file, one after another; a page that cannot be read is an `Err` in its place.
pub type Pictures<'b> = Box<dyn Iterator<Item = Result<Picture, PictureError>> + 'b>;

/// The pages of a picture file.
///
/// # Errors
/// When the file as a whole is not what its format says. Faults of single pages come from the iterator.
#[allow(clippy::match_wildcard_for_single_variants, reason = "other formats come without pictures")]
pub fn pictures<'b>(
    format: Format,
    bytes: &'b [u8],
    limits: &PictureLimits,
) -> Result<Pictures<'b>, PictureError> {
    match format {
        Format::Tiff => Ok(Box::new(tiff::pages(bytes, *limits)?)),
        Format::Jpeg => Ok(Box::new(std::iter::once(Ok(jpeg::page(bytes, limits)?)))),
        Format::Png => Ok(Box::new(std::iter::once(Ok(png::page(bytes, limits)?)))),
        _ => Err(PictureError::Unsupported("kein TIFF, JPEG oder PNG")),
    }
}

/// The resolution to believe: the stated one if it makes a sheet of sane size, else the one at which the picture fills
/// an A4 sheet. Cameras state 72 dpi for pictures that would then be a metre wide.
fn resolution(width: u32, height: u32, stated: Option<(f32, f32)>) -> (f32, f32) {
    const LONG_SIDE_INCHES: f32 = 11.69;
    let (long, wide) = (px(width.max(height)), (px(width), px(height)));
    if let Some((across, down)) = stated {
        let inches = (wide.0 / across).max(wide.1 / down);
        let sane = (20.0..=4_800.0).contains(&across) && (20.0..=4_800.0).contains(&down);
        // Fax is 204 × 98 dpi: the two may differ, but not by much more.
        let square = (0.2..=5.0).contains(&(across / down));
        if sane && square && (inches <= 20.0 || (across >= 150.0 && inches <= 120.0)) {
            return (across, down);
        }
    }
    let guess = (long / LONG_SIDE_INCHES).clamp(72.0, 1_200.0);
    (guess, guess)
}

/// A pixel count as a float: pages stay far below 2²⁴ pixels a side.
#[expect(clippy::cast_precision_loss, reason = "a page has far fewer than 2^24 pixels a side")]
fn px(count: u32) -> f32 {
    count as f32
}

/// How a picture is mirrored and turned by orientation 1 to 8 of TIFF and EXIF: mirror left to right first.
fn orientation(code: u64) -> (bool, super::page::Turn) {
    use super::page::Turn::{Half, Left, None, Right};
    match code {
        2 => (true, None),
        3 => (false, Half),
        4 => (true, Half),
        5 => (true, Left),
        6 => (false, Right),
        7 => (true, Right),
        8 => (false, Left),
        _ => (false, None),
    }
}

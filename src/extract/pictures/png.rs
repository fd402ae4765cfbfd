//! PNG files: samples as stored, a transparent page on white paper.

use super::super::page::{Encoded, Picture, Turn};
use super::samples::{Alpha, Meaning, Stored};
use super::{PictureError, PictureLimits, jpeg, resolution};
use ::png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations, Unit};
use std::io::Cursor;

/// What a PDF needs of a PNG file to hold its samples as they are packed.
pub(in crate::extract) struct Body {
    /// Bits of a sample.
    pub(in crate::extract) bits: u8,
    /// Samples of a pixel.
    pub(in crate::extract) channels: u8,
    /// Red, green, blue of each colour, if samples are numbers of colours.
    pub(in crate::extract) palette: Option<Vec<u8>>,
    /// The samples, packed.
    pub(in crate::extract) packed: Vec<u8>,
}

/// Takes a PNG file apart. `None` if a PDF cannot hold its samples as they are, or if it is damaged.
pub(in crate::extract) fn body(bytes: &[u8]) -> Option<Body> {
    let mut rest = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let mut found: Option<Body> = None;
    loop {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let named = after.get(..length.checked_add(4)?)?;
        let (sum, after) = after[length + 4..].split_first_chunk::<4>()?;
        rest = after;
        let (kind, data) = named.split_first_chunk::<4>()?;
        // Chunks with a small letter in front say nothing about the samples; one exception makes them transparent.
        if kind[0].is_ascii_uppercase() {
            let mut check = flate2::Crc::new();
            check.update(named);
            if check.sum() != u32::from_be_bytes(*sum) {
                return None;
            }
        }
        match (kind, &mut found) {
            (b"IHDR", None) => {
                let &[bits @ (2 | 4 | 8), color @ (0 | 2 | 3), 0, 0, 0] = data.get(8..)? else { return None };
                let channels = if color == 2 { 3 } else { 1 };
                let palette = (color == 3).then(Vec::new);
                found = Some(Body { bits, channels, palette, packed: Vec::new() });
            }
            (b"PLTE", Some(Body { palette: Some(palette), bits, .. })) => {
                let colors = data.len() / 3;
                if !palette.is_empty() || !(1..=1 << *bits).contains(&colors) || data.len() % 3 != 0 {
                    return None;
                }
                palette.extend_from_slice(data);
            }
            (b"IDAT", Some(body)) => body.packed.extend_from_slice(data),
            (b"tRNS" | b"IHDR", _) | (b"PLTE" | b"IDAT", None) => return None,
            (b"IEND", _) => break,
            _ => {}
        }
    }
    found.filter(|body| {
        body.palette.as_ref().is_none_or(|palette| !palette.is_empty()) && !body.packed.is_empty()
    })
}

/// The page of a PNG file; of an animation the still picture.
pub(super) fn page(bytes: &[u8], limits: &PictureLimits) -> Result<Picture, PictureError> {
    let mut decoder = decoder(bytes, limits);
    let head = decoder.read_header_info().map_err(|fault| refused(&fault))?;
    let (width, height) = (head.width, head.height);
    limits.pixels(width, height)?;
    let reader = decoder.read_info().map_err(|fault| refused(&fault))?;
    let stated = reader.info().pixel_dims.filter(|dims| dims.unit == Unit::Meter).map(|dims| {
        #[expect(clippy::cast_precision_loss, reason = "a resolution needs no more than a float")]
        let inch = |per_metre: u32| per_metre as f32 * 0.0254;
        (inch(dims.xppu), inch(dims.yppu))
    });
    let (mirrored, turn) =
        reader.info().exif_metadata.as_deref().map_or((false, Turn::None), jpeg::exif_turn);
    let data = if !mirrored && body(bytes).is_some() {
        Encoded::Png { bytes: bytes.to_vec() }
    } else {
        decoded(bytes, limits)?.encoded(mirrored)
    };
    Ok(Picture { width, height, dpi: resolution(width, height, stated), turn, data })
}

fn decoder<'b>(bytes: &'b [u8], limits: &PictureLimits) -> Decoder<Cursor<&'b [u8]>> {
    let size = usize::try_from(limits.max_pixels.saturating_mul(8)).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: size });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::IDENTITY);
    decoder
}

/// The samples of a PNG file whose size has been checked.
pub(super) fn decoded(bytes: &[u8], limits: &PictureLimits) -> Result<Stored, PictureError> {
    let mut reader = decoder(bytes, limits).read_info().map_err(|fault| refused(&fault))?;
    if reader.info().trns.is_some() {
        // Transparent colours need the decoder's help; otherwise the samples come as they are stored.
        let mut again = decoder(bytes, limits);
        again.set_transformations(Transformations::EXPAND);
        reader = again.read_info().map_err(|fault| refused(&fault))?;
    }
    let (width, height) = (reader.info().width, reader.info().height);
    let length = reader.output_buffer_size().ok_or(PictureError::Unsupported("PNG dieser Größe"))?;
    let mut plane = vec![0; length];
    let frame = reader.next_frame(&mut plane).map_err(|fault| refused(&fault))?;
    let (meaning, alpha) = match frame.color_type {
        ColorType::Grayscale => (Meaning::BlackIsZero, Alpha::None),
        ColorType::GrayscaleAlpha => (Meaning::BlackIsZero, Alpha::Straight),
        ColorType::Rgb => (Meaning::Rgb, Alpha::None),
        ColorType::Rgba => (Meaning::Rgb, Alpha::Straight),
        ColorType::Indexed => {
            let palette =
                reader.info().palette.as_deref().ok_or(PictureError::Damaged("PNG ohne Palette"))?;
            let colors = palette.as_chunks::<3>().0.to_vec();
            (Meaning::Palette(colors), Alpha::None)
        }
    };
    let bits = match frame.bit_depth {
        BitDepth::One => 1,
        BitDepth::Two => 2,
        BitDepth::Four => 4,
        BitDepth::Eight => 8,
        BitDepth::Sixteen => 16,
    };
    Ok(Stored {
        width,
        height,
        bits,
        channels: frame.color_type.samples(),
        little: false,
        meaning,
        alpha,
        planes: vec![plane],
    })
}

fn refused(fault: &DecodingError) -> PictureError {
    match fault {
        DecodingError::IoError(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => {
            PictureError::Truncated
        }
        DecodingError::LimitsExceeded => PictureError::Unsupported("PNG dieser Größe"),
        _ => PictureError::Damaged("PNG"),
    }
}

//! PNG files: samples as stored, a transparent page on white paper.

use super::super::page::{Picture, Turn};
use super::samples::{Alpha, Meaning, Stored};
use super::{PictureError, PictureLimits, jpeg, resolution};
use ::png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations, Unit};
use std::io::Cursor;

/// The page of a PNG file; of an animation the still picture.
pub(super) fn page(bytes: &[u8], limits: &PictureLimits) -> Result<Picture, PictureError> {
    let size = usize::try_from(limits.max_pixels.saturating_mul(8)).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: size });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let head = decoder.read_header_info().map_err(|fault| refused(&fault))?;
    let (width, height) = (head.width, head.height);
    limits.pixels(width, height)?;
    // Transparent colours need the decoder's help; otherwise the samples come as they are stored.
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(|fault| refused(&fault))?;
    if reader.info().trns.is_some() {
        let mut again = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: size });
        again.set_ignore_text_chunk(true);
        again.set_ignore_iccp_chunk(true);
        again.set_transformations(Transformations::EXPAND);
        reader = again.read_info().map_err(|fault| refused(&fault))?;
    }
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
    let stated = reader.info().pixel_dims.filter(|dims| dims.unit == Unit::Meter).map(|dims| {
        #[expect(clippy::cast_precision_loss, reason = "a resolution needs no more than a float")]
        let inch = |per_metre: u32| per_metre as f32 * 0.0254;
        (inch(dims.xppu), inch(dims.yppu))
    });
    let (mirrored, turn) =
        reader.info().exif_metadata.as_deref().map_or((false, Turn::None), jpeg::exif_turn);
    let stored = Stored {
        width,
        height,
        bits,
        channels: frame.color_type.samples(),
        little: false,
        meaning,
        alpha,
        planes: vec![plane],
    };
    Ok(Picture {
        width,
        height,
        dpi: resolution(width, height, stated),
        turn,
        data: stored.encoded(mirrored),
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

//! From stored bytes to pixels: for the recogniser, for the blank check, and where a PDF/A cannot hold the bytes.

use super::super::page::{Encoded, Gray, Picture, Samples, Turn};
use super::samples::{mirror, multiply};
use super::{Code, PictureError, PictureLimits, bilevel, jpeg, png};
use hayro_ccitt::EncodingMode;
use hayro_jpeg2000::ColorSpace as JpxColors;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Unpacked pixels, one or three bytes each.
pub(super) struct Plain {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: usize,
    pub(super) bytes: Vec<u8>,
}

impl Plain {
    pub(super) fn encoded(self) -> Encoded {
        let samples = if self.channels == 1 { Samples::Gray8 } else { Samples::Rgb8 };
        Encoded::Raw { bytes: self.bytes, samples }
    }
}

/// Which colours a JPEG is decoded to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Colors {
    /// Grey or red, green, blue: as a viewer shows it.
    Shown,
    /// Grey, whatever it is.
    Gray,
    /// The samples without any conversion.
    Stored,
}

/// Decodes a JPEG file whose size has been checked.
pub(super) fn jpeg(bytes: &[u8], colors: Colors) -> Result<Plain, PictureError> {
    let header = jpeg::header(bytes)?;
    let options = DecoderOptions::default().set_max_width(1 << 16).set_max_height(1 << 16);
    let refused = |_| PictureError::Damaged("JPEG");
    let mut probe = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    probe.decode_headers().map_err(refused)?;
    let input = probe.input_colorspace().ok_or(PictureError::Damaged("JPEG"))?;
    let output = match (colors, input) {
        (_, ColorSpace::Luma) | (Colors::Gray, ColorSpace::YCbCr) => ColorSpace::Luma,
        (Colors::Stored, input) => input,
        _ => ColorSpace::RGB,
    };
    let mut decoder =
        JpegDecoder::new_with_options(ZCursor::new(bytes), options.jpeg_set_out_colorspace(output));
    let pixels = decoder.decode().map_err(refused)?;
    let mut plain = Plain {
        width: header.width,
        height: header.height,
        channels: output.num_components(),
        bytes: pixels,
    };
    let wanted = plain.width as usize * plain.height as usize * plain.channels;
    if plain.bytes.len() != wanted {
        return Err(PictureError::Damaged("JPEG"));
    }
    if colors == Colors::Gray && plain.channels == 3 {
        plain.bytes = luma(&plain.bytes);
        plain.channels = 1;
    }
    Ok(plain)
}

/// The size that a JPEG 2000 file states.
pub(in crate::extract) fn jpeg_2000_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let image = hayro_jpeg2000::Image::new(bytes, &hayro_jpeg2000::DecodeSettings::default()).ok()?;
    Some((image.width(), image.height()))
}

/// Decodes a JPEG 2000 file: grey, or red, green, blue; a transparent page on white.
fn jpeg_2000(bytes: &[u8], limits: &PictureLimits) -> Result<Plain, PictureError> {
    let refused = |_| PictureError::Damaged("JPEG 2000");
    let image =
        hayro_jpeg2000::Image::new(bytes, &hayro_jpeg2000::DecodeSettings::default()).map_err(refused)?;
    let (width, height) = (image.width(), image.height());
    let pixels = limits.pixels(width, height)?;
    let colors = match image.color_space() {
        JpxColors::Gray => 1,
        JpxColors::RGB => 3,
        JpxColors::CMYK => 4,
        JpxColors::Icc { num_channels, .. } | JpxColors::Unknown { num_channels } => {
            usize::from(*num_channels)
        }
    };
    let mut context = hayro_jpeg2000::DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(refused)?;
    let channels = decoded.components().len();
    if channels < colors || !matches!(colors, 1 | 3 | 4) {
        return Err(PictureError::Unsupported("Farben in JPEG 2000"));
    }
    if decoded.components().iter().any(|component| component.samples().len() != pixels) {
        return Err(PictureError::Unsupported("JPEG 2000 mit verkleinerten Farbkanälen"));
    }
    let mut bytes = Vec::with_capacity(pixels * colors.min(3));
    for pixel in decoded.data_u8().chunks_exact(channels) {
        let start = bytes.len();
        if let &[cyan, magenta, yellow, black, ..] = pixel
            && colors == 4
        {
            bytes.extend([cyan, magenta, yellow].map(|ink| multiply(255 - ink, 255 - black)));
        } else {
            bytes.extend_from_slice(&pixel[..colors]);
        }
        if channels > colors && image.has_alpha() {
            let cover = pixel[colors];
            for part in &mut bytes[start..] {
                *part = multiply(*part, cover).saturating_add(255 - cover);
            }
        }
    }
    Ok(Plain { width, height, channels: colors.min(3), bytes })
}

/// Decodes JBIG2 to rows of bits (0 is black).
fn jbig2(
    bytes: &[u8],
    globals: Option<&[u8]>,
    limits: &PictureLimits,
) -> Result<(u32, u32, Vec<u8>), PictureError> {
    let refused = |_| PictureError::Damaged("JBIG2");
    let settings = hayro_jbig2::DecodeSettings::default();
    let globals =
        globals.map(|bytes| hayro_jbig2::Globals::new(bytes, &settings)).transpose().map_err(refused)?;
    let page = hayro_jbig2::Page::new_embedded(bytes, globals.as_ref(), &settings).map_err(refused)?;
    let (width, height) = (page.width(), page.height());
    limits.pixels(width, height)?;
    let row_bytes = bilevel::row_bytes(width);
    let mut rows = Rows { bits: vec![0xff; row_bytes * height as usize], row_bytes, x: 0, y: 0 };
    page.decode(&mut rows).map_err(refused)?;
    if rows.y < height as usize {
        return Err(PictureError::Truncated);
    }
    Ok((width, height, rows.bits))
}

struct Rows {
    bits: Vec<u8>,
    row_bytes: usize,
    x: usize,
    y: usize,
}

impl Rows {
    fn run(&mut self, black: bool, length: usize) {
        let start = self.row_bytes * self.y;
        if black && let Some(row) = self.bits.get_mut(start..start + self.row_bytes) {
            bilevel::blacken(row, self.x, self.x + length);
        }
        self.x += length;
    }
}

impl hayro_jbig2::Decoder for Rows {
    fn push_pixel(&mut self, black: bool) {
        self.run(black, 1);
    }

    fn push_pixel_chunk(&mut self, black: bool, chunk_count: u32) {
        self.run(black, chunk_count as usize * 8);
    }

    fn next_line(&mut self) {
        self.x = 0;
        self.y += 1;
    }
}

impl Picture {
    /// The page in shades of grey, upright.
    ///
    /// # Errors
    /// When the bytes are damaged, incomplete, or larger than allowed.
    pub fn gray(&self, limits: &PictureLimits) -> Result<Gray, PictureError> {
        let plain = match &self.data {
            Encoded::Jpeg { bytes, .. } => {
                let header = jpeg::header(bytes)?;
                limits.pixels(header.width, header.height)?;
                jpeg(bytes, Colors::Gray)?
            }
            _ => match self.samples(limits)? {
                (bits, Samples::Bilevel) => {
                    let bytes = bilevel::to_gray(&bits, self.width);
                    Plain { width: self.width, height: self.height, channels: 1, bytes }
                }
                (bytes, Samples::Gray8) => {
                    Plain { width: self.width, height: self.height, channels: 1, bytes }
                }
                (bytes, Samples::Rgb8) => {
                    Plain { width: self.width, height: self.height, channels: 1, bytes: luma(&bytes) }
                }
            },
        };
        if (plain.width, plain.height) != (self.width, self.height) {
            return Err(PictureError::Damaged("Größe"));
        }
        let gray = Gray { width: self.width, height: self.height, pixels: plain.bytes };
        Ok(if self.turn == Turn::None { gray } else { gray.turned(self.turn) })
    }

    /// The same page as plain samples: for bytes that a PDF/A may not hold.
    pub(in crate::extract) fn unpacked(&self, limits: &PictureLimits) -> Result<Self, PictureError> {
        let (bytes, samples) = self.samples(limits)?;
        Ok(self.with(Encoded::Raw { bytes, samples }))
    }

    /// The picture with left and right exchanged before it is turned.
    pub(in crate::extract) fn mirrored(&self, limits: &PictureLimits) -> Result<Self, PictureError> {
        let (mut bytes, samples) = self.samples(limits)?;
        let size = match samples {
            Samples::Bilevel => {
                bilevel::mirror(&mut bytes, self.width);
                return Ok(self.with(bilevel::packed(bytes, self.width)));
            }
            Samples::Gray8 => 1,
            Samples::Rgb8 => 3,
        };
        for row in bytes.chunks_exact_mut(self.width as usize * size) {
            mirror(row, size);
        }
        Ok(self.with(Encoded::Raw { bytes, samples }))
    }

    fn with(&self, data: Encoded) -> Self {
        Self { width: self.width, height: self.height, dpi: self.dpi, turn: self.turn, data }
    }

    /// The stored picture as samples, checked against its stated size.
    fn samples(&self, limits: &PictureLimits) -> Result<(Vec<u8>, Samples), PictureError> {
        let pixels = limits.pixels(self.width, self.height)?;
        let plain = match &self.data {
            Encoded::Raw { bytes, samples } => {
                let wanted = match samples {
                    Samples::Bilevel => bilevel::row_bytes(self.width) * self.height as usize,
                    Samples::Gray8 => pixels,
                    Samples::Rgb8 => pixels * 3,
                };
                return match bytes.len() {
                    length if length == wanted => Ok((bytes.clone(), *samples)),
                    _ => Err(PictureError::Truncated),
                };
            }
            Encoded::Group4 { bytes, black_is_1 } => {
                let how = Code { mode: EncodingMode::Group4, aligned: false, inverted: *black_is_1 };
                return Ok((bilevel::decode(bytes, self.width, self.height, how)?, Samples::Bilevel));
            }
            Encoded::Jbig2 { bytes, globals } => {
                let (width, height, bits) = jbig2(bytes, globals.as_deref(), limits)?;
                if (width, height) != (self.width, self.height) {
                    return Err(PictureError::Damaged("Größe"));
                }
                return Ok((bits, Samples::Bilevel));
            }
            Encoded::Png { bytes } => {
                let stored = png::decoded(bytes, limits)?;
                if (stored.width, stored.height) != (self.width, self.height) {
                    return Err(PictureError::Damaged("Größe"));
                }
                return Ok(stored.unpacked());
            }
            Encoded::Jpeg2000 { bytes } => jpeg_2000(bytes, limits)?,
            Encoded::Jpeg { bytes, .. } => {
                let header = jpeg::header(bytes)?;
                limits.pixels(header.width, header.height)?;
                jpeg(bytes, Colors::Shown)?
            }
        };
        if (plain.width, plain.height) != (self.width, self.height) {
            return Err(PictureError::Damaged("Größe"));
        }
        let samples = if plain.channels == 1 { Samples::Gray8 } else { Samples::Rgb8 };
        Ok((plain.bytes, samples))
    }
}

impl Gray {
    /// The page turned.
    pub(in crate::extract) fn turned(&self, turn: Turn) -> Self {
        let (width, height) = (self.width as usize, self.height as usize);
        match turn {
            Turn::None => self.clone(),
            Turn::Half => {
                let pixels = self.pixels.iter().rev().copied().collect();
                Self { width: self.width, height: self.height, pixels }
            }
            Turn::Right | Turn::Left => {
                let mut pixels = vec![255; width * height];
                // In blocks: rows of a page are far apart, and a column of them would miss the cache every time.
                for (top, left) in
                    (0..height).step_by(64).flat_map(|y| (0..width).step_by(64).map(move |x| (y, x)))
                {
                    for y in top..(top + 64).min(height) {
                        for x in left..(left + 64).min(width) {
                            let at = if turn == Turn::Right {
                                x * height + (height - 1 - y)
                            } else {
                                (width - 1 - x) * height + y
                            };
                            pixels[at] = self.pixels[y * width + x];
                        }
                    }
                }
                Self { width: self.height, height: self.width, pixels }
            }
        }
    }
}

/// Grey from red, green, blue, as television weighs them (BT.601).
fn luma(rgb: &[u8]) -> Vec<u8> {
    let gray = |pixel: &[u8; 3]| {
        let [red, green, blue] = pixel.map(u32::from);
        u8::try_from((red * 77 + green * 150 + blue * 29) >> 8).unwrap_or(u8::MAX)
    };
    rgb.as_chunks::<3>().0.iter().map(gray).collect()
}

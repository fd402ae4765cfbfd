//! A page's picture as an image of the PDF: its bytes as they are wherever PDF/A-2 allows it.

use super::super::page::{Encoded, Picture, Samples};
use super::super::pictures::{PictureError, PictureLimits, png_body};
use super::objects::{Id, Sink};
use super::{SearchableError, whole};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use lopdf::{Dictionary, Object, StringFormat, dictionary};
use std::io::{self, Write};

/// Why one picture could not be written.
pub(super) enum Fault {
    Picture(PictureError),
    Io(io::Error),
}

impl Fault {
    pub(super) fn on_page(self, page: u32) -> SearchableError {
        match self {
            Self::Picture(source) => SearchableError::Picture { page, source },
            Self::Io(fault) => SearchableError::Io(fault),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(fault: io::Error) -> Self {
        Self::Io(fault)
    }
}

/// Writes the picture.
pub(super) fn write(sink: &mut Sink<'_>, picture: &Picture) -> Result<Id, Fault> {
    if picture.width == 0 || picture.height == 0 {
        return Err(Fault::Picture(PictureError::Empty));
    }
    let base = |colors: &str, bits: i64| {
        dictionary! {
            "Type" => "XObject",
            "Subtype" => "Image",
            "Width" => i64::from(picture.width),
            "Height" => i64::from(picture.height),
            "ColorSpace" => colors,
            "BitsPerComponent" => bits,
        }
    };
    let id = match &picture.data {
        Encoded::Jpeg { bytes, components: components @ (1 | 3) } => {
            let mut dictionary = base(if *components == 1 { "DeviceGray" } else { "DeviceRGB" }, 8);
            dictionary.set("Filter", "DCTDecode");
            sink.stream(dictionary, bytes)?
        }
        Encoded::Png { bytes } if let Some(body) = png_body(bytes) => {
            let channels = usize::from(body.channels);
            let mut dictionary =
                base(if channels == 3 { "DeviceRGB" } else { "DeviceGray" }, body.bits.into());
            if let Some(palette) = body.palette {
                let last = whole(palette.len() / 3 - 1);
                let colors = Object::String(palette, StringFormat::Hexadecimal);
                dictionary.set("ColorSpace", vec!["Indexed".into(), "DeviceRGB".into(), last, colors]);
            }
            unpacking(&mut dictionary, channels, body.bits.into(), picture.width);
            sink.stream(dictionary, &body.packed)?
        }
        Encoded::Group4 { bytes, black_is_1 } => {
            let mut dictionary = base("DeviceGray", 1);
            dictionary.set("Filter", "CCITTFaxDecode");
            let parameters = dictionary! {
                "K" => -1,
                "Columns" => i64::from(picture.width),
                "Rows" => i64::from(picture.height),
                "BlackIs1" => *black_is_1,
            };
            dictionary.set("DecodeParms", parameters);
            sink.stream(dictionary, bytes)?
        }
        Encoded::Jbig2 { bytes, globals } => {
            let mut dictionary = base("DeviceGray", 1);
            dictionary.set("Filter", "JBIG2Decode");
            if let Some(globals) = globals {
                let globals = sink.stream(dictionary! {}, globals)?;
                dictionary.set("DecodeParms", dictionary! { "JBIG2Globals" => globals });
            }
            sink.stream(dictionary, bytes)?
        }
        Encoded::Jpeg2000 { bytes } if let Some(channels) = conforming_channels(bytes) => {
            let mut dictionary = base(if channels == 1 { "DeviceGray" } else { "DeviceRGB" }, 8);
            dictionary.set("Filter", "JPXDecode");
            sink.stream(dictionary, bytes)?
        }
        Encoded::Raw { bytes, samples } => {
            let (colors, channels, bits) = match samples {
                Samples::Bilevel => ("DeviceGray", 1, 1),
                Samples::Gray8 => ("DeviceGray", 1, 8),
                Samples::Rgb8 => ("DeviceRGB", 3, 8),
            };
            let row = (picture.width as usize * channels * bits).div_ceil(8);
            if bytes.len() != row * picture.height as usize {
                return Err(Fault::Picture(PictureError::Truncated));
            }
            let mut dictionary = base(colors, if bits == 1 { 1 } else { 8 });
            raw(sink, &mut dictionary, bytes, row, (channels, bits), picture.width)?
        }
        Encoded::Jpeg { .. } | Encoded::Jpeg2000 { .. } | Encoded::Png { .. } => {
            // CMYK has no place beside an intent for red, green and blue; other JPEG 2000 is not what PDF/A allows.
            let plain = picture.unpacked(&PictureLimits::default()).map_err(Fault::Picture)?;
            return write(sink, &plain);
        }
    };
    Ok(id)
}

/// Samples, each row told by its difference from what lies left of it and above, which packs better.
fn raw(
    sink: &mut Sink<'_>,
    dictionary: &mut Dictionary,
    bytes: &[u8],
    row: usize,
    (channels, bits): (usize, usize),
    width: u32,
) -> io::Result<Id> {
    let step = (channels * bits / 8).max(1);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    let mut above = vec![0; row];
    let mut best = Vec::new();
    let mut tried = Vec::new();
    for line in bytes.chunks_exact(row) {
        best.clear();
        let mut least = u64::MAX;
        // Rows of bits are patterns, not shades: differences would only hide them.
        let kinds: &[u8] = if bits == 1 { &[0] } else { &[1, 2, 4] };
        for &kind in kinds {
            tried.clear();
            tried.push(kind);
            filter(kind, line, &above, step, &mut tried);
            let size = tried[1..].iter().map(|&byte| u64::from(byte.cast_signed().unsigned_abs())).sum();
            if size < least {
                least = size;
                std::mem::swap(&mut best, &mut tried);
            }
        }
        encoder.write_all(&best)?;
        above.copy_from_slice(line);
    }
    let packed = encoder.finish()?;
    unpacking(dictionary, channels, bits, width);
    sink.stream(dictionary.clone(), &packed)
}

/// Says how packed samples are unpacked: as those of a PNG file.
fn unpacking(dictionary: &mut Dictionary, channels: usize, bits: usize, width: u32) {
    dictionary.set("Filter", "FlateDecode");
    let parameters = dictionary! {
        "Predictor" => 15,
        "Colors" => whole(channels),
        "BitsPerComponent" => whole(bits),
        "Columns" => i64::from(width),
    };
    dictionary.set("DecodeParms", parameters);
}

/// PNG's filters 0 to 4 (without 3, which helps scans little).
fn filter(kind: u8, line: &[u8], above: &[u8], step: usize, out: &mut Vec<u8>) {
    match kind {
        1 => {
            out.extend_from_slice(&line[..step]);
            out.extend(line[step..].iter().zip(line).map(|(byte, left)| byte.wrapping_sub(*left)));
        }
        2 => out.extend(line.iter().zip(above).map(|(byte, up)| byte.wrapping_sub(*up))),
        4 => {
            out.extend(line[..step].iter().zip(above).map(|(byte, up)| byte.wrapping_sub(*up)));
            let neighbours = line.iter().zip(&above[step..]).zip(above);
            out.extend(
                line[step..]
                    .iter()
                    .zip(neighbours)
                    .map(|(byte, ((&left, &up), &corner))| byte.wrapping_sub(paeth(left, up, corner))),
            );
        }
        _ => out.extend_from_slice(line),
    }
}

/// Whichever neighbour is nearest to left + above - corner.
fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let (a, b, c) = (i16::from(left), i16::from(up), i16::from(corner));
    let (to_left, to_up, to_corner) = ((b - c).abs(), (a - c).abs(), (a + b - 2 * c).abs());
    if to_left <= to_up && to_left <= to_corner {
        left
    } else if to_up <= to_corner {
        up
    } else {
        corner
    }
}

/// The channels of a JPEG 2000 file that PDF/A-2 allows as it is: a JP2 file with 8-bit grey or sRGB samples, one
/// colour specification, and no palette or transparency. `None` for all others.
fn conforming_channels(bytes: &[u8]) -> Option<u16> {
    let mut channels = None;
    let mut colors = 0;
    let mut has_codestream = false;
    for (kind, body) in boxes(bytes.strip_prefix(b"\0\0\0\x0cjP  \r\n\x87\n")?) {
        match kind {
            b"jp2h" => {
                for (kind, body) in boxes(body) {
                    match kind {
                        b"ihdr" => {
                            channels = Some(u16::from_be_bytes([*body.get(8)?, *body.get(9)?]));
                            if *body.get(10)? != 7 {
                                return None;
                            }
                        }
                        b"colr" => {
                            colors += 1;
                            let space = (body.first()? == &1).then(|| body.get(3..7)).flatten()?;
                            let wanted = if channels? == 1 { 17_u32 } else { 16 };
                            if space != wanted.to_be_bytes() {
                                return None;
                            }
                        }
                        b"pclr" | b"cmap" | b"cdef" | b"bpcc" => return None,
                        _ => {}
                    }
                }
            }
            b"jp2c" => has_codestream = true,
            _ => {}
        }
    }
    channels.filter(|channels| matches!(channels, 1 | 3) && colors == 1 && has_codestream)
}

/// The boxes of a JP2 file, as far as their lengths are true.
fn boxes(mut rest: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (kind, after) = after.split_first_chunk::<4>()?;
        let (head, length) = match u32::from_be_bytes(*length) {
            0 => (8, rest.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(*after.first_chunk::<8>()?)).ok()?),
            length => (8, length as usize),
        };
        let body = rest.get(head..length)?;
        rest = &rest[length..];
        Some((kind, body))
    })
}

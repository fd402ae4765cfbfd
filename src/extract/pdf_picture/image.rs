//! An image of a PDF as a page's picture, its bytes untouched where another PDF can hold them.

use super::super::page::{Encoded, Picture, Turn};
use super::super::pictures::{
    Alpha, Code, Meaning, PictureLimits, Stored, decode_ccitt, jpeg_2000_size, jpeg_header, pack_bits,
    row_bytes,
};
use super::show::Placed;
use super::value;
use hayro_ccitt::EncodingMode;
use lopdf::{Dictionary, Document, Object, Stream};

/// The most bytes of a colour profile or palette that are looked at.
const MAX_TABLE_BYTES: usize = 4 << 20;

/// What a colour space means to us.
#[derive(Clone, Debug, PartialEq)]
enum Colors {
    Gray,
    Rgb,
    Palette(Vec<[u8; 3]>),
}

/// Reads the image; `None` if its colours, masks or filters are none that we carry over.
pub(super) fn picture(document: &Document, placed: &Placed<'_>, limits: &PictureLimits) -> Option<Picture> {
    let dictionary = &placed.stream.dict;
    let get = |key: &[u8]| value(document, dictionary, key);
    let side = |key: &[u8]| get(key)?.as_i64().ok().and_then(|side| u32::try_from(side).ok());
    let (width, height) = (side(b"Width")?, side(b"Height")?);
    limits.pixels(width, height).ok()?;
    let see_through = get(b"SMaskInData").is_some_and(|kind| kind.as_i64().unwrap_or(1) != 0);
    if get(b"SMask").is_some() || get(b"Mask").is_some() || see_through {
        return None;
    }
    let stencil = get(b"ImageMask").and_then(|mask| mask.as_bool().ok()).unwrap_or(false);
    let colors = if stencil {
        // A stencil paints its 0 bits: with black ink it looks like a black and white picture.
        placed.black.then_some(Some(Colors::Gray))?
    } else {
        match get(b"ColorSpace") {
            Some(space) => Some(colors(document, space, placed.resources)?),
            None => None,
        }
    };
    let bits = if stencil {
        1
    } else {
        side(b"BitsPerComponent").and_then(|bits| u8::try_from(bits).ok()).unwrap_or(0)
    };
    let inverted = match get(b"Decode") {
        None => false,
        Some(decode) => inverted(document, decode.as_array().ok()?, colors.as_ref(), bits)?,
    };
    let (filter, parameters, bytes) = unwrapped(document, placed.stream, limits)?;
    let data = match filter.as_slice() {
        b"DCTDecode" => {
            let head = jpeg_header(&bytes).ok()?;
            let fits = matches!((colors?, head.components), (Colors::Gray, 1) | (Colors::Rgb, 3));
            let plain = !inverted && !parameters.is_some_and(|found| found.has(b"ColorTransform"));
            if !fits || !plain || (head.width, head.height) != (width, height) {
                return None;
            }
            Encoded::Jpeg { bytes, components: head.components }
        }
        b"JPXDecode" => {
            if inverted
                || matches!(colors, Some(Colors::Palette(_)))
                || jpeg_2000_size(&bytes)? != (width, height)
            {
                return None;
            }
            Encoded::Jpeg2000 { bytes }
        }
        b"JBIG2Decode" => {
            if inverted || !is_straight(colors.as_ref()?, bits)? {
                return None;
            }
            let globals = match parameters.and_then(|found| value(document, found, b"JBIG2Globals")) {
                Some(globals) => {
                    Some(globals.as_stream().ok()?.get_plain_content_with_limit(MAX_TABLE_BYTES).ok()?)
                }
                None => None,
            };
            Encoded::Jbig2 { bytes, globals }
        }
        b"CCITTFaxDecode" => {
            let inverted = inverted == is_straight(colors.as_ref()?, bits)?;
            ccitt(document, bytes, parameters, (width, height), inverted)?
        }
        [] => plain(bytes, (width, height), bits, colors?, inverted)?,
        _ => return None,
    };
    Some(Picture { width, height, dpi: (300.0, 300.0), turn: Turn::None, data })
}

/// Whether a 0 bit is black (and not white); `None` if the picture is not black and white.
fn is_straight(colors: &Colors, bits: u8) -> Option<bool> {
    match colors {
        Colors::Gray if bits <= 1 => Some(true),
        Colors::Palette(entries) if bits <= 1 => match entries.as_slice() {
            [[0, 0, 0], [255, 255, 255], ..] => Some(true),
            [[255, 255, 255], [0, 0, 0], ..] => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// CCITT code: group 4 as it is, the older kinds as group 4.
fn ccitt(
    document: &Document,
    bytes: Vec<u8>,
    parameters: Option<&Dictionary>,
    (width, height): (u32, u32),
    inverted: bool,
) -> Option<Encoded> {
    let get = |key: &[u8]| parameters.and_then(|found| value(document, found, key));
    let flag = |key: &[u8]| get(key).and_then(|flag| flag.as_bool().ok()).unwrap_or(false);
    let number = |key: &[u8], usual: i64| get(key).and_then(|number| number.as_i64().ok()).unwrap_or(usual);
    if number(b"Columns", 1_728) != i64::from(width) {
        return None;
    }
    let (kind, aligned) = (number(b"K", 0), flag(b"EncodedByteAlign"));
    let inverted = inverted != flag(b"BlackIs1");
    if kind < 0 && !aligned {
        return Some(Encoded::Group4 { bytes, black_is_1: inverted });
    }
    let mode = match kind {
        0 => EncodingMode::Group3_1D,
        1.. => EncodingMode::Group3_2D,
        _ => EncodingMode::Group4,
    };
    let bits = decode_ccitt(&bytes, width, height, Code { mode, aligned, inverted }).ok()?;
    Some(pack_bits(bits, width))
}

/// Samples without a code of their own.
fn plain(
    mut bytes: Vec<u8>,
    (width, height): (u32, u32),
    bits: u8,
    colors: Colors,
    inverted: bool,
) -> Option<Encoded> {
    if !matches!(bits, 1 | 2 | 4 | 8 | 16) {
        return None;
    }
    let (meaning, channels) = match colors {
        Colors::Gray if inverted => (Meaning::WhiteIsZero, 1),
        Colors::Gray => (Meaning::BlackIsZero, 1),
        Colors::Rgb if !inverted => (Meaning::Rgb, 3),
        Colors::Palette(entries) if !inverted && bits <= 8 => (Meaning::Palette(entries), 1),
        _ => return None,
    };
    let wanted = row_bytes(width, channels, bits) * height as usize;
    if bytes.len() < wanted {
        return None;
    }
    bytes.truncate(wanted);
    let stored = Stored {
        width,
        height,
        bits,
        channels,
        little: false,
        meaning,
        alpha: Alpha::None,
        planes: vec![bytes],
    };
    Some(stored.encoded(false))
}

/// Whether the decode array turns light into dark. `None` for one that does anything else.
fn inverted(document: &Document, decode: &[Object], colors: Option<&Colors>, bits: u8) -> Option<bool> {
    let numbers: Vec<f32> =
        decode.iter().filter_map(|number| document.dereference(number).ok()?.1.as_float().ok()).collect();
    let full = match colors {
        Some(Colors::Palette(_)) => f32::from((1_u16 << bits.min(8)) - 1),
        _ => 1.0,
    };
    let all = |low: f32, high: f32| {
        !numbers.is_empty()
            && numbers
                .as_chunks::<2>()
                .0
                .iter()
                .all(|[from, to]| (from - low).abs() < 1e-3 && (to - high).abs() < 1e-3)
    };
    match () {
        () if all(0.0, full) => Some(false),
        () if all(full, 0.0) => Some(true),
        () => None,
    }
}

/// A colour space that is grey, red-green-blue, or a palette of those.
fn colors(document: &Document, space: &Object, resources: Option<&Dictionary>) -> Option<Colors> {
    match space {
        Object::Name(name) => match name.as_slice() {
            b"DeviceGray" | b"G" | b"CalGray" => Some(Colors::Gray),
            b"DeviceRGB" | b"RGB" | b"CalRGB" => Some(Colors::Rgb),
            name => {
                let spaces = value(document, resources?, b"ColorSpace")?.as_dict().ok()?;
                match value(document, spaces, name)? {
                    Object::Array(parts) => colors_of(document, parts),
                    Object::Name(name) if matches!(name.as_slice(), b"DeviceGray" | b"DeviceRGB") => {
                        colors(document, &Object::Name(name.clone()), None)
                    }
                    _ => None,
                }
            }
        },
        Object::Array(parts) => colors_of(document, parts),
        _ => None,
    }
}

fn colors_of(document: &Document, parts: &[Object]) -> Option<Colors> {
    let part = |index: usize| Some(document.dereference(parts.get(index)?).ok()?.1);
    match part(0)?.as_name().ok()? {
        b"DeviceGray" | b"CalGray" => Some(Colors::Gray),
        b"DeviceRGB" | b"CalRGB" => Some(Colors::Rgb),
        b"ICCBased" => match value(document, &part(1)?.as_stream().ok()?.dict, b"N")?.as_i64().ok()? {
            1 => Some(Colors::Gray),
            3 => Some(Colors::Rgb),
            _ => None,
        },
        b"Indexed" | b"I" => {
            let base = match part(1)? {
                // A palette of a palette is forbidden, and would let a file send us in circles.
                Object::Array(parts)
                    if parts
                        .first()
                        .is_some_and(|name| name.as_name().is_ok_and(|name| name == b"Indexed")) =>
                {
                    return None;
                }
                base => colors(document, base, None)?,
            };
            let table = match part(3)? {
                Object::String(bytes, _) => bytes.clone(),
                Object::Stream(stream) => stream.get_plain_content_with_limit(MAX_TABLE_BYTES).ok()?,
                _ => return None,
            };
            let entries: Vec<[u8; 3]> = match base {
                Colors::Gray => table.iter().map(|&gray| [gray; 3]).collect(),
                Colors::Rgb => table.as_chunks::<3>().0.to_vec(),
                Colors::Palette(_) => return None,
            };
            Some(Colors::Palette(entries))
        }
        _ => None,
    }
}

/// The image's own filter with its parameters, and the bytes that go into it.
fn unwrapped<'d>(
    document: &'d Document,
    stream: &'d Stream,
    limits: &PictureLimits,
) -> Option<(Vec<u8>, Option<&'d Dictionary>, Vec<u8>)> {
    let filters: Vec<Vec<u8>> = match value(document, &stream.dict, b"Filter") {
        None => Vec::new(),
        Some(Object::Name(name)) => vec![name.clone()],
        Some(Object::Array(names)) => names
            .iter()
            .map(|name| Some(document.dereference(name).ok()?.1.as_name().ok()?.to_vec()))
            .collect::<Option<_>>()?,
        Some(_) => return None,
    };
    let parameters: Vec<Option<&Dictionary>> = match value(document, &stream.dict, b"DecodeParms") {
        Some(Object::Dictionary(one)) => vec![Some(one)],
        Some(Object::Array(all)) => all
            .iter()
            .map(|one| document.dereference(one).ok().and_then(|(_, found)| found.as_dict().ok()))
            .collect(),
        _ => Vec::new(),
    };
    let is_image =
        |name: &[u8]| matches!(name, b"DCTDecode" | b"CCITTFaxDecode" | b"JPXDecode" | b"JBIG2Decode");
    let (wrappers, last) = match filters.split_last() {
        Some((last, wrappers)) if is_image(last) => (wrappers, last.clone()),
        _ => (filters.as_slice(), Vec::new()),
    };
    let last_parameters = parameters.get(wrappers.len()).copied().flatten();
    if wrappers.is_empty() {
        return Some((last, last_parameters, stream.content.clone()));
    }
    let mut inner = Stream::new(Dictionary::new(), stream.content.clone());
    let names = wrappers.iter().map(|name| Object::Name(name.clone())).collect();
    let dictionaries = (0..wrappers.len())
        .map(|index| {
            parameters
                .get(index)
                .copied()
                .flatten()
                .map_or(Object::Null, |found| Object::Dictionary(found.clone()))
        })
        .collect();
    inner.dict.set("Filter", Object::Array(names));
    inner.dict.set("DecodeParms", Object::Array(dictionaries));
    // Six bytes a pixel is 16-bit colour, the most that is read.
    let most = usize::try_from(limits.max_pixels.saturating_mul(6)).unwrap_or(usize::MAX);
    Some((last, last_parameters, inner.decompressed_content_with_limit(most).ok()?))
}

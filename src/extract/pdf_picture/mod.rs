//! The picture of a PDF page that shows nothing else: what scanners write.
//!
//! In doubt the answer is `None` and the page is rendered as it looks: wrong pixels in a rendition are worse than
//! larger ones.

mod image;
mod show;

use super::page::{Encoded, Picture, Samples, Turn};
use super::pictures::{self, PictureLimits};
use lopdf::{Dictionary, Document, Object, ObjectId};
use show::Placed;

/// The most levels of a page tree that pass on their attributes.
const MAX_LEVELS: usize = 64;

/// The picture that fills the page with this number (from 1), if the page shows one picture, or strips of one, and
/// nothing else. An invisible text layer does not count.
pub fn page_picture(document: &Document, page_number: u32) -> Option<Picture> {
    placed_picture(document, page_number).map(|(picture, _)| picture)
}

/// The same, with the place of the picture in the page's own coordinates: left, bottom, right, top.
pub(super) fn placed_picture(document: &Document, page_number: u32) -> Option<(Picture, [f32; 4])> {
    let page = *document.get_pages().get(&page_number)?;
    if has_visible_annotations(document, page) {
        return None;
    }
    let area = visible_area(document, page)?;
    let placed = show::placed_images(document, page, area)?;
    let limits = PictureLimits::default();
    let unit = inherited(document, page, b"UserUnit").and_then(|unit| unit.as_float().ok()).unwrap_or(1.0);
    let whole = placed.iter().map(Placed::bounds).reduce(Area::around)?;
    let picture = match placed.as_slice() {
        [] => return None,
        [one] => {
            if !covers(one.bounds(), area) {
                return None;
            }
            let (mirrored, turn) = one.turn()?;
            let mut picture = image::picture(document, one, &limits)?;
            picture.turn = turn;
            picture.dpi = one.dpi(picture.width, picture.height, unit)?;
            if mirrored { picture.mirrored(&limits).ok()? } else { picture }
        }
        strips => joined(document, strips, area, unit, &limits)?,
    };
    let rotate = inherited(document, page, b"Rotate").and_then(|turn| turn.as_i64().ok()).unwrap_or(0);
    if rotate % 90 != 0 {
        return None;
    }
    let turn = quarters(rotate / 90 + quarter_turns(picture.turn));
    Some((Picture { turn, ..picture }, [whole.left, whole.bottom, whole.right, whole.top]))
}

/// Strips of one picture, stacked from top to bottom without a gap.
fn joined(
    document: &Document,
    strips: &[Placed<'_>],
    area: Area,
    unit: f32,
    limits: &PictureLimits,
) -> Option<Picture> {
    let mut order: Vec<&Placed<'_>> = strips.iter().collect();
    order.sort_by(|left, right| right.bounds().top.total_cmp(&left.bounds().top));
    let whole = order.iter().map(|strip| strip.bounds()).reduce(Area::around)?;
    if !covers(whole, area) {
        return None;
    }
    let (mut bytes, mut height, mut kind, mut width) = (Vec::new(), 0_u32, None, 0);
    for (index, strip) in order.iter().enumerate() {
        let bounds = strip.bounds();
        let aligned = (bounds.left - whole.left).abs() < 1.0 && (bounds.right - whole.right).abs() < 1.0;
        let gap = index.checked_sub(1).map_or(0.0, |above| order[above].bounds().bottom - bounds.top);
        if strip.turn()? != (false, Turn::None) || !aligned || gap.abs() > 1.0 {
            return None;
        }
        let picture = image::picture(document, strip, limits)?;
        if matches!(picture.data, Encoded::Jpeg { .. } | Encoded::Jpeg2000 { .. }) {
            // Joining them would mean decoding: rendering does that as well.
            return None;
        }
        width = if index == 0 { picture.width } else { width };
        height = height.checked_add(picture.height)?;
        if picture.width != width || u64::from(width) * u64::from(height) > limits.max_pixels {
            return None;
        }
        let Encoded::Raw { bytes: rows, samples } = picture.unpacked(limits).ok()?.data else { return None };
        if kind.is_some_and(|kind| kind != samples) || samples == Samples::Rgb8 {
            return None;
        }
        kind = Some(samples);
        bytes.extend_from_slice(&rows);
    }
    let data = match kind? {
        Samples::Bilevel => pictures::pack_bits(bytes, width),
        samples => Encoded::Raw { bytes, samples },
    };
    let dpi = show::dpi(width, height, (whole.right - whole.left, whole.top - whole.bottom), unit)?;
    Some(Picture { width, height, dpi, turn: Turn::None, data })
}

/// A rectangle in points, the bottom below the top.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Area {
    left: f32,
    bottom: f32,
    right: f32,
    top: f32,
}

impl Area {
    fn size(self) -> f32 {
        (self.right - self.left).max(0.0) * (self.top - self.bottom).max(0.0)
    }

    fn within(self, other: Self) -> Self {
        Self {
            left: self.left.max(other.left),
            bottom: self.bottom.max(other.bottom),
            right: self.right.min(other.right),
            top: self.top.min(other.top),
        }
    }

    fn around(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            bottom: self.bottom.min(other.bottom),
            right: self.right.max(other.right),
            top: self.top.max(other.top),
        }
    }

    /// Whether all of `other` but a hair lies in this one.
    fn holds(self, other: Self) -> bool {
        self.within(other).size() >= other.size() * 0.98
    }
}

/// Whether the picture fills the page and does not hang out of it.
fn covers(picture: Area, page: Area) -> bool {
    let shared = picture.within(page).size();
    picture.size() > 0.0 && shared >= page.size() * 0.9 && shared >= picture.size() * 0.95
}

fn quarter_turns(turn: Turn) -> i64 {
    match turn {
        Turn::None => 0,
        Turn::Right => 1,
        Turn::Half => 2,
        Turn::Left => 3,
    }
}

fn quarters(count: i64) -> Turn {
    match count.rem_euclid(4) {
        0 => Turn::None,
        1 => Turn::Right,
        2 => Turn::Half,
        _ => Turn::Left,
    }
}

/// What the reader sees of the page: its crop box, or else its media box.
fn visible_area(document: &Document, page: ObjectId) -> Option<Area> {
    let read = |key: &[u8]| {
        let numbers: Vec<f32> = inherited(document, page, key)?
            .as_array()
            .ok()?
            .iter()
            .filter_map(|number| document.dereference(number).ok()?.1.as_float().ok())
            .collect();
        let &[x1, y1, x2, y2] = numbers.as_slice() else { return None };
        Some(Area { left: x1.min(x2), bottom: y1.min(y2), right: x1.max(x2), top: y1.max(y2) })
    };
    let media = read(b"MediaBox")?;
    let area = read(b"CropBox").map_or(media, |crop| crop.within(media));
    (area.size() > 1.0 && area.size().is_finite()).then_some(area)
}

/// An attribute of the page or of the page tree above it.
fn inherited<'d>(document: &'d Document, page: ObjectId, key: &[u8]) -> Option<&'d Object> {
    let mut node = document.get_dictionary(page).ok()?;
    for _ in 0..MAX_LEVELS {
        if let Some(value) = value(document, node, key) {
            return Some(value);
        }
        node = value(document, node, b"Parent")?.as_dict().ok()?;
    }
    None
}

/// A value of a dictionary, with the reference followed; `null` is none.
fn value<'d>(document: &'d Document, dictionary: &'d Dictionary, key: &[u8]) -> Option<&'d Object> {
    let (_, found) = document.dereference(dictionary.get(key).ok()?).ok()?;
    (!found.is_null()).then_some(found)
}

/// Stamps, notes and form fields lie over the picture and would be lost.
fn has_visible_annotations(document: &Document, page: ObjectId) -> bool {
    let Ok(page) = document.get_dictionary(page) else { return true };
    let Some(annotations) = value(document, page, b"Annots").and_then(|list| list.as_array().ok()) else {
        return false;
    };
    annotations.iter().any(|annotation| {
        let Some(annotation) =
            document.dereference(annotation).ok().and_then(|(_, found)| found.as_dict().ok())
        else {
            return false;
        };
        let kind = value(document, annotation, b"Subtype").and_then(|kind| kind.as_name().ok());
        let flags = value(document, annotation, b"F").and_then(|flags| flags.as_i64().ok()).unwrap_or(0);
        let hidden = flags & 0b10_0010 != 0;
        !hidden && !matches!(kind, Some(b"Link" | b"Popup"))
    })
}

//! What is drawn on a page: a device for the interpreter that draws nothing and notes where glyphs and images are.

use super::super::layout::Piece;
use hayro_interpret::font::{Glyph, GlyphRun};
use hayro_interpret::hayro_cmap::{BfString, WritingMode};
use hayro_interpret::hayro_syntax::object::{Array, Name, Stream};
use hayro_interpret::kurbo::{Affine, BezPath, Point, Rect, Shape as _, Vec2};
use hayro_interpret::{BlendMode, ClipPath, Device, DrawMode, DrawProps, Image, ImageDrawProps, SoftMask};
use std::collections::HashSet;

/// Most glyphs that are kept of a page.
const MAX_GLYPHS: usize = 400_000;

/// What a page shows.
#[derive(Debug)]
pub(super) struct Marks {
    page: Rect,
    pub(super) pieces: Vec<Piece>,
    /// Letters that can be seen.
    pub(super) visible: usize,
    /// Letters drawn invisibly.
    pub(super) invisible: usize,
    /// Glyphs that nobody knows a letter for.
    pub(super) unknown: usize,
    /// Share of the page that its largest image covers, 0 to 1.
    pub(super) covered: f64,
    pub(super) images: usize,
    pub(super) paths: usize,
    /// An image coded in JBIG2 with symbols: one shape may stand for several similar letters.
    pub(super) symbol_coded: bool,
    /// Glyphs left out because the page has too many.
    pub(super) overflow: bool,
    /// Where a letter already stands, so that bold print made of two strokes is one text.
    seen: HashSet<(String, i32, i32)>,
    glyphs: usize,
    last: Option<Open>,
}

/// The piece that the next glyph may continue.
#[derive(Debug)]
struct Open {
    piece: Piece,
    /// A blank came since.
    closed: bool,
}

/// A glyph, placed.
struct Placed {
    origin: Point,
    advance: Vec2,
    size: f64,
}

impl Marks {
    pub(super) fn new(width: f32, height: f32) -> Self {
        Self {
            page: Rect::new(0.0, 0.0, f64::from(width), f64::from(height)),
            pieces: Vec::new(),
            visible: 0,
            invisible: 0,
            unknown: 0,
            covered: 0.0,
            images: 0,
            paths: 0,
            symbol_coded: false,
            overflow: false,
            seen: HashSet::new(),
            glyphs: 0,
            last: None,
        }
    }

    /// Ends the page.
    pub(super) fn finish(&mut self) {
        self.close();
        self.seen = HashSet::new();
    }

    fn close(&mut self) {
        if let Some(open) = self.last.take()
            && !open.piece.text.is_empty()
        {
            self.pieces.push(open.piece);
        }
    }

    fn glyph(&mut self, text: &str, placed: &Placed, is_visible: bool) {
        let Placed { origin, advance, size } = *placed;
        let degrees = direction(advance);
        let radians = f64::from(degrees).to_radians();
        let (sin, cos) = radians.sin_cos();
        let start = origin.x * cos + origin.y * sin;
        let baseline = origin.y * cos - origin.x * sin;
        let end = start + advance.hypot();
        let blank = text.chars().all(char::is_whitespace);
        if blank {
            if let Some(open) = &mut self.last {
                open.closed = true;
                open.piece.space_after = true;
            }
            return;
        }
        let cell = (size * 0.15).max(0.01);
        if !self.seen.insert((text.to_owned(), cell_of(origin.x, cell), cell_of(origin.y, cell))) {
            return;
        }
        let letters = text.chars().filter(|c| !c.is_whitespace()).count();
        *(if is_visible { &mut self.visible } else { &mut self.invisible }) += letters;
        let (start, end, baseline, size) = (narrow(start), narrow(end), narrow(baseline), narrow(size));
        if let Some(open) = &mut self.last {
            let piece = &mut open.piece;
            let gap = start - piece.end;
            let follows = piece.degrees == degrees
                && (piece.baseline - baseline).abs() < 0.15 * size
                && (piece.size - size).abs() < 0.3 * size
                && gap < 0.17 * size
                && gap > -0.4 * size;
            if follows && !open.closed {
                piece.text.push_str(text);
                piece.end = piece.end.max(end);
                return;
            }
        }
        let space_before = self.last.as_ref().is_some_and(|open| open.closed);
        self.close();
        let piece = Piece {
            text: text.to_owned(),
            degrees,
            start,
            end,
            baseline,
            size,
            space_before,
            space_after: false,
        };
        self.last = Some(Open { piece, closed: false });
    }
}

#[expect(clippy::cast_possible_truncation, reason = "page coordinates need no more")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::cast_possible_truncation, reason = "a cast saturates; only equality matters")]
fn cell_of(place: f64, cell: f64) -> i32 {
    (place / cell).round() as i32
}

/// Degrees clockwise of an advance; nearly upright is upright.
#[expect(clippy::cast_possible_truncation, reason = "at most 360")]
fn direction(advance: Vec2) -> i16 {
    if advance.hypot() == 0.0 {
        return 0;
    }
    let degrees = advance.y.atan2(advance.x).to_degrees().round() as i16;
    let degrees = degrees.rem_euclid(360);
    let quarter = (degrees + 45) / 90 * 90;
    if (degrees - quarter).abs() <= 5 { quarter % 360 } else { degrees }
}

/// What a glyph says; presentation forms become the letters they stand for.
fn letters(glyph: &Glyph<'_>) -> Option<String> {
    let text = match glyph.as_unicode()? {
        BfString::Char(c) => c.to_string(),
        BfString::String(text) => text,
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'ﬀ' => plain.push_str("ff"),
            'ﬁ' => plain.push_str("fi"),
            'ﬂ' => plain.push_str("fl"),
            'ﬃ' => plain.push_str("ffi"),
            'ﬄ' => plain.push_str("ffl"),
            'ﬅ' | 'ﬆ' => plain.push_str("st"),
            '\u{ad}' => plain.push('-'),
            '\u{a0}' | '\t' | '\r' | '\n' => plain.push(' '),
            '\u{200b}' | '\u{feff}' => {}
            c if c.is_control() || c == '\u{fffd}' || ('\u{e000}'..='\u{f8ff}').contains(&c) => return None,
            c => plain.push(c),
        }
    }
    (!plain.is_empty()).then_some(plain)
}

impl<'a> Device<'a> for Marks {
    fn draw_path(&mut self, _path: &BezPath, _props: DrawProps<'a>, mode: &DrawMode) {
        self.paths += usize::from(!matches!(mode, DrawMode::Invisible));
    }

    fn push_clip_path(&mut self, _clip: &ClipPath) {}

    fn push_transparency_group(&mut self, _opacity: f32, _mask: Option<SoftMask<'a>>, _blend: BlendMode) {}

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        let is_visible = !matches!(mode, DrawMode::Invisible);
        let vertical = matches!(run.writing_mode(), WritingMode::Vertical);
        for glyph in run.glyphs() {
            self.glyphs += 1;
            if self.glyphs > MAX_GLYPHS {
                self.overflow = true;
                return;
            }
            let Some(text) = letters(glyph) else {
                self.unknown += 1;
                continue;
            };
            let place = props.transform * glyph.transform();
            let at = |x: f64, y: f64| place * Point::new(x, y);
            let origin = at(0.0, 0.0);
            let width = match &**glyph {
                Glyph::Outline(outline) => outline.advance_width(),
                Glyph::Type3(type3) => type3.advance_width(),
            };
            let width = f64::from(width.unwrap_or(500.0));
            let advance = if vertical { at(0.0, -1_000.0) - origin } else { at(width, 0.0) - origin };
            // A blank of no width still parts words; anything else without width stands where it stands.
            let size = (at(0.0, 1_000.0) - origin).hypot();
            let sane = origin.is_finite() && size.is_finite() && size > 0.1 && advance.hypot().is_finite();
            if sane && self.page.inflate(size, size).contains(origin) {
                self.glyph(&text, &Placed { origin, advance, size }, is_visible);
            }
        }
    }

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        self.images += 1;
        let pixels = Rect::new(0.0, 0.0, f64::from(image.width()), f64::from(image.height()));
        let place: Affine = props.transform;
        let shown = (place * pixels.to_path(0.1)).bounding_box().intersect(self.page);
        let page = self.page.area();
        if page > 0.0 && shown.area().is_finite() {
            self.covered = self.covered.max((shown.area() / page).clamp(0.0, 1.0));
        }
        let stream = match &image {
            Image::Stencil(stencil) => stencil.stream(),
            Image::Raster(raster) => raster.stream(),
        };
        if is_jbig2(stream) {
            self.symbol_coded |= has_symbols(&stream.raw_data());
        }
    }

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}

fn is_jbig2(stream: &Stream<'_>) -> bool {
    let is = |name: &Name<'_>| name.as_ref() == b"JBIG2Decode";
    let filter = b"Filter".as_slice();
    stream.dict().get::<Name<'_>>(filter).is_some_and(|name| is(&name))
        || stream
            .dict()
            .get::<Array<'_>>(filter)
            .is_some_and(|names| names.iter::<Name<'_>>().any(|name| is(&name)))
}

/// Whether embedded JBIG2 segments hold text regions made of symbols (ITU-T T.88, 7.2 and 7.3).
fn has_symbols(data: &[u8]) -> bool {
    let mut rest = data;
    while let Some(segment) = Segment::read(rest) {
        if matches!(segment.kind, 0 | 4 | 6 | 7) {
            return true;
        }
        let Some(next) = segment.next.and_then(|next| rest.get(next..)) else { break };
        rest = next;
    }
    false
}

/// The head of a JBIG2 segment.
struct Segment {
    kind: u8,
    /// Where the next segment begins; none if this one's length is not known.
    next: Option<usize>,
}

impl Segment {
    fn read(bytes: &[u8]) -> Option<Self> {
        let number = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
        let flags = *bytes.get(4)?;
        let count = *bytes.get(5)? >> 5;
        let (count, mut at) = if count == 7 {
            let long = u32::from_be_bytes(bytes.get(5..9)?.try_into().ok()?) & 0x1fff_ffff;
            let long = usize::try_from(long).ok()?;
            (long, 9 + (long + 8) / 8)
        } else {
            (usize::from(count), 6)
        };
        let width = if number <= 256 {
            1
        } else if number <= 65_536 {
            2
        } else {
            4
        };
        at = at.checked_add(count.checked_mul(width)?)?.checked_add(if flags & 0x40 == 0 { 1 } else { 4 })?;
        let length = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        let next =
            (length != u32::MAX).then(|| (at + 4).checked_add(usize::try_from(length).ok()?)).flatten();
        Some(Self { kind: flags & 0x3f, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_regions_are_told_from_generic_ones() {
        let segment = |number: u8, kind: u8, data: &[u8]| {
            let length = u32::try_from(data.len()).unwrap().to_be_bytes();
            [&[0, 0, 0, number, kind, 0, 1], &length[..], data].concat()
        };
        let page = segment(0, 48, &[0; 19]);
        assert!(!has_symbols(&[page.clone(), segment(1, 38, &[1, 2, 3])].concat()));
        assert!(has_symbols(&[page.clone(), segment(1, 6, &[1, 2, 3])].concat()));
        assert!(!has_symbols(&page[..9]));
        assert!(!has_symbols(&[0xff; 40]));
    }

    #[test]
    fn directions_near_a_quarter_are_that_quarter() {
        for (x, y, expected) in [
            (1.0, 0.0, 0),
            (1.0, 0.05, 0),
            (0.0, 1.0, 90),
            (-1.0, 0.0, 180),
            (0.02, -1.0, 270),
            (1.0, 1.0, 45),
            (0.0, 0.0, 0),
        ] {
            assert_eq!(direction(Vec2::new(x, y)), expected, "{x} {y}");
        }
    }

    #[test]
    fn letters_that_follow_one_another_are_a_piece_and_double_print_counts_once() {
        let mut marks = Marks::new(600.0, 800.0);
        let mut put = |text: &str, x: f64| {
            let placed = Placed { origin: Point::new(x, 100.0), advance: Vec2::new(5.0, 0.0), size: 10.0 };
            marks.glyph(text, &placed, true);
        };
        for (text, x) in
            [("A", 10.0), ("A", 10.1), ("k", 15.0), ("te", 20.0), (" ", 25.0), ("x", 30.0), ("y", 40.0)]
        {
            put(text, x);
        }
        marks.finish();
        let texts: Vec<_> = marks.pieces.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(texts, ["Akte", "x", "y"]);
        assert_eq!(marks.visible, 6);
        assert!(marks.pieces[0].space_after && marks.pieces[1].space_before && !marks.pieces[2].space_before);
    }
}

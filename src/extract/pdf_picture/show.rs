//! Follows a page's drawing commands as far as a scanner's pages go, and gives up at anything else.

use super::super::page::Turn;
use super::{Area, inherited, value};
use lopdf::content::Content;
use lopdf::{Dictionary, Document, Object, ObjectId, Stream};

/// A scanner's page has a few commands and an OCR layer; more than this is a drawing.
const MAX_CONTENT_BYTES: usize = 8 << 20;
const MAX_FORM_LEVELS: u32 = 4;
const MAX_IMAGES: usize = 2_000;

/// An image on the page.
pub(super) struct Placed<'d> {
    pub(super) stream: &'d Stream,
    /// Resources that name its colour spaces.
    pub(super) resources: Option<&'d Dictionary>,
    matrix: Matrix,
    /// The colour that a stencil is painted with is black.
    pub(super) black: bool,
}

/// `x' = a x + c y + e`, `y' = b x + d y + f`.
#[derive(Clone, Copy)]
struct Matrix {
    a: f32,
    b: f32,
    c: f32,
    d: f32,
    e: f32,
    f: f32,
}

impl Matrix {
    const UNIT: Self = Self { a: 1.0, b: 0.0, c: 0.0, d: 1.0, e: 0.0, f: 0.0 };

    #[expect(clippy::many_single_char_names, reason = "the names of the PDF specification")]
    fn read(document: &Document, numbers: &[Object]) -> Option<Self> {
        let numbers: Vec<f32> = floats(document, numbers);
        let &[a, b, c, d, e, f] = numbers.as_slice() else { return None };
        Some(Self { a, b, c, d, e, f })
    }

    /// This one first, then `outer`.
    fn then(self, outer: Self) -> Self {
        Self {
            a: self.a * outer.a + self.b * outer.c,
            b: self.a * outer.b + self.b * outer.d,
            c: self.c * outer.a + self.d * outer.c,
            d: self.c * outer.b + self.d * outer.d,
            e: self.e * outer.a + self.f * outer.c + outer.e,
            f: self.e * outer.b + self.f * outer.d + outer.f,
        }
    }

    /// The box around a turned rectangle.
    fn bounds(self, area: Area) -> Area {
        let corner = |x: f32, y: f32| (self.a * x + self.c * y + self.e, self.b * x + self.d * y + self.f);
        let corners = [
            corner(area.left, area.bottom),
            corner(area.right, area.bottom),
            corner(area.left, area.top),
            corner(area.right, area.top),
        ];
        let mut bounds = Area { left: f32::MAX, bottom: f32::MAX, right: f32::MIN, top: f32::MIN };
        for (x, y) in corners {
            bounds = bounds.around(Area { left: x, bottom: y, right: x, top: y });
        }
        bounds
    }

    /// Whether sides stay parallel to the page's, give or take a quarter of a pixel of a scan.
    fn is_square(self) -> bool {
        let size = self.a.abs().max(self.b.abs()).max(self.c.abs()).max(self.d.abs());
        let flat = |x: f32, y: f32| x.abs() < size * 2e-4 && y.abs() < size * 2e-4;
        flat(self.b, self.c) || flat(self.a, self.d)
    }
}

impl Placed<'_> {
    pub(super) fn bounds(&self) -> Area {
        self.matrix.bounds(Area { left: 0.0, bottom: 0.0, right: 1.0, top: 1.0 })
    }

    /// How the picture stands on the page: mirrored left to right first, then turned.
    pub(super) fn turn(&self) -> Option<(bool, Turn)> {
        let Matrix { a, b, c, d, .. } = self.matrix;
        if !self.matrix.is_square() {
            return None;
        }
        let mirrored = a * d - b * c < 0.0;
        let (across, up) = if mirrored { (-a, -b) } else { (a, b) };
        let turn = match () {
            () if across.abs() > up.abs() && across > 0.0 => Turn::None,
            () if across.abs() > up.abs() => Turn::Half,
            () if up > 0.0 => Turn::Left,
            () => Turn::Right,
        };
        Some((mirrored, turn))
    }

    pub(super) fn dpi(&self, width: u32, height: u32, unit: f32) -> Option<(f32, f32)> {
        let Matrix { a, b, c, d, .. } = self.matrix;
        dpi(width, height, (a.hypot(b), c.hypot(d)), unit)
    }
}

/// Dots per inch of so many pixels over so many points.
pub(super) fn dpi(width: u32, height: u32, points: (f32, f32), unit: f32) -> Option<(f32, f32)> {
    #[expect(clippy::cast_precision_loss, reason = "a page has far fewer than 2^24 pixels a side")]
    let dots = |pixels: u32, points: f32| pixels as f32 * 72.0 / (points * unit);
    let found = (dots(width, points.0), dots(height, points.1));
    (found.0.is_finite() && found.1.is_finite() && found.0 > 1.0 && found.1 > 1.0).then_some(found)
}

#[derive(Clone, Copy, PartialEq)]
enum Fill {
    Black,
    White,
    Other,
}

#[derive(Clone, Copy)]
struct State {
    matrix: Matrix,
    fill: Fill,
    invisible_text: bool,
}

struct Walk<'d> {
    document: &'d Document,
    area: Area,
    images: Vec<Placed<'d>>,
}

/// The images of a page whose commands do nothing but place images.
pub(super) fn placed_images(document: &Document, page: ObjectId, area: Area) -> Option<Vec<Placed<'_>>> {
    let content = document.get_page_content_with_limit(page, MAX_CONTENT_BYTES).ok()?;
    let resources = inherited(document, page, b"Resources").and_then(|found| found.as_dict().ok());
    let mut walk = Walk { document, area, images: Vec::new() };
    let state = State { matrix: Matrix::UNIT, fill: Fill::Black, invisible_text: false };
    walk.follow(&content, resources, state, 0)?;
    Some(walk.images)
}

impl<'d> Walk<'d> {
    fn follow(
        &mut self,
        content: &[u8],
        resources: Option<&'d Dictionary>,
        mut state: State,
        level: u32,
    ) -> Option<()> {
        let mut stack = Vec::new();
        // The rectangles of the path so far; `None` once anything else was drawn.
        let mut path: Option<Vec<Area>> = Some(Vec::new());
        let mut clips = false;
        for operation in Content::decode(content).ok()?.operations {
            let operands = operation.operands.as_slice();
            match operation.operator.as_str() {
                "q" if stack.len() < 256 => stack.push(state),
                "Q" => state = stack.pop().unwrap_or(state),
                "cm" => state.matrix = Matrix::read(self.document, operands)?.then(state.matrix),
                "re" => {
                    let numbers = floats(self.document, operands);
                    let &[x, y, width, height] = numbers.as_slice() else { return None };
                    let rectangle = Area {
                        left: x.min(x + width),
                        bottom: y.min(y + height),
                        right: x.max(x + width),
                        top: y.max(y + height),
                    };
                    if !state.matrix.is_square() {
                        path = None;
                    }
                    if let Some(path) = &mut path {
                        path.push(state.matrix.bounds(rectangle));
                    }
                }
                "m" | "l" | "c" | "v" | "y" | "h" => path = None,
                "W" | "W*" => clips = true,
                "n" => {
                    let path = path.replace(Vec::new());
                    if std::mem::take(&mut clips) {
                        self.check_clip(path?.as_slice())?;
                    }
                }
                // White paper below the picture shows nothing.
                "f" | "F" | "f*" if state.fill == Fill::White && self.images.is_empty() && !clips => {
                    path = Some(Vec::new());
                }
                "g" | "rg" => state.fill = fill(&floats(self.document, operands)),
                "k" => {
                    state.fill = match floats(self.document, operands).as_slice() {
                        [0.0, 0.0, 0.0, 0.0] => Fill::White,
                        [_, _, _, 1.0] => Fill::Black,
                        _ => Fill::Other,
                    }
                }
                "cs" | "sc" | "scn" => state.fill = Fill::Other,
                "Tr" => {
                    state.invisible_text = operands.first().and_then(|mode| mode.as_i64().ok()) == Some(3);
                }
                "Tj" | "TJ" | "'" | "\"" if state.invisible_text || is_empty_text(operands) => {}
                "gs" => self.check_state(resources, operands)?,
                "BDC" if operands.first().and_then(|tag| tag.as_name().ok()) != Some(b"OC") => {}
                "Do" => self.draw(operands, resources, state, level)?,
                "G" | "RG" | "K" | "CS" | "SC" | "SCN" | "w" | "J" | "j" | "M" | "d" | "ri" | "i" | "BMC"
                | "EMC" | "MP" | "DP" | "BX" | "EX" | "BT" | "ET" | "Tf" | "Td" | "TD" | "Tm" | "T*"
                | "Tc" | "Tw" | "Tz" | "TL" | "Ts" => {}
                _ => return None,
            }
        }
        Some(())
    }

    fn draw(
        &mut self,
        operands: &[Object],
        resources: Option<&'d Dictionary>,
        state: State,
        level: u32,
    ) -> Option<()> {
        let name = operands.first()?.as_name().ok()?;
        let objects = value(self.document, resources?, b"XObject")?.as_dict().ok()?;
        let stream = value(self.document, objects, name)?.as_stream().ok()?;
        if stream.dict.has(b"OC") {
            return None;
        }
        match value(self.document, &stream.dict, b"Subtype")?.as_name().ok()? {
            b"Image" => {
                if self.images.len() == MAX_IMAGES {
                    return None;
                }
                let black = state.fill == Fill::Black;
                self.images.push(Placed { stream, resources, matrix: state.matrix, black });
                Some(())
            }
            b"Form" if level < MAX_FORM_LEVELS => {
                let matrix = match value(self.document, &stream.dict, b"Matrix") {
                    Some(matrix) => Matrix::read(self.document, matrix.as_array().ok()?)?.then(state.matrix),
                    None => state.matrix,
                };
                let own =
                    value(self.document, &stream.dict, b"Resources").and_then(|found| found.as_dict().ok());
                let content = stream.get_plain_content_with_limit(MAX_CONTENT_BYTES).ok()?;
                if let Some(clip) = value(self.document, &stream.dict, b"BBox") {
                    let numbers = floats(self.document, clip.as_array().ok()?);
                    let &[x1, y1, x2, y2] = numbers.as_slice() else { return None };
                    let clip =
                        Area { left: x1.min(x2), bottom: y1.min(y2), right: x1.max(x2), top: y1.max(y2) };
                    let before = self.images.len();
                    self.follow(&content, own.or(resources), State { matrix, ..state }, level + 1)?;
                    let clip = matrix.bounds(clip);
                    let all = self.images[before..]
                        .iter()
                        .all(|image| clip.holds(image.bounds().within(self.area)));
                    return all.then_some(());
                }
                self.follow(&content, own.or(resources), State { matrix, ..state }, level + 1)
            }
            _ => None,
        }
    }

    /// A clip that hides part of the page may hide part of a picture.
    fn check_clip(&self, path: &[Area]) -> Option<()> {
        match path {
            [] => Some(()),
            [one] => {
                (one.holds(self.area) || one.within(self.area).size() >= self.area.size() * 0.9).then_some(())
            }
            _ => None,
        }
    }

    /// Transparency and masks change how a picture looks.
    fn check_state(&self, resources: Option<&'d Dictionary>, operands: &[Object]) -> Option<()> {
        let name = operands.first()?.as_name().ok()?;
        let states = value(self.document, resources?, b"ExtGState")?.as_dict().ok()?;
        let state = value(self.document, states, name)?.as_dict().ok()?;
        let opaque = |key: &[u8]| {
            value(self.document, state, key)
                .and_then(|share| share.as_float().ok())
                .is_none_or(|share| share >= 1.0)
        };
        let plain = |key: &[u8], allowed: &[&[u8]]| {
            value(self.document, state, key)
                .is_none_or(|found| found.as_name().is_ok_and(|name| allowed.contains(&name)))
        };
        let harmless = opaque(b"ca")
            && opaque(b"CA")
            && plain(b"SMask", &[b"None"])
            && plain(b"BM", &[b"Normal", b"Compatible"])
            && !state.has(b"Font");
        harmless.then_some(())
    }
}

fn fill(color: &[f32]) -> Fill {
    match color {
        [] => Fill::Other,
        parts if parts.iter().all(|&part| part <= 0.0) => Fill::Black,
        parts if parts.iter().all(|&part| part >= 1.0) => Fill::White,
        _ => Fill::Other,
    }
}

fn is_empty_text(operands: &[Object]) -> bool {
    operands.iter().all(|operand| match operand {
        Object::String(text, _) => text.is_empty(),
        Object::Array(parts) => is_empty_text(parts),
        _ => true,
    })
}

fn floats(document: &Document, numbers: &[Object]) -> Vec<f32> {
    numbers.iter().filter_map(|number| document.dereference(number).ok()?.1.as_float().ok()).collect()
}

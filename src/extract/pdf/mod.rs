//! PDF: the text that pages hold, and the pictures that pages are.

mod marks;

use super::layout::lay_out;
use super::ocr::Scan;
use super::page::{Encoded, Gray, Picture, Samples, Turn};
use super::page_texts::{Length, PageText, Source, WordBox};
use super::pdf_picture::placed_picture;
use super::pictures::PictureLimits;
use super::reading::{Ctx, Leaf, too_many};
use super::searchable::Place;
use crate::domain::finding::FindingCode;
use hayro::{PixmapSettings, RenderCache, RenderSettings};
use hayro_interpret::hayro_syntax::page::Page;
use hayro_interpret::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use hayro_interpret::kurbo::{Affine, Rect};
use hayro_interpret::{Context, InterpreterCache, InterpreterSettings, TransformExt as _, interpret_page};
use marks::Marks;
use std::cell::OnceCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Resolution of pages that are drawn to be recognised.
const DPI: f32 = 300.0;
/// Most pixels of a drawn page, whatever size the file claims.
const MAX_PIXELS: f32 = 24.0e6;
/// Longest side of a drawn page.
const MAX_SIDE: f32 = 16_000.0;
/// Most bytes that structure may unpack to when the file is opened for its pictures.
pub(super) const MAX_UNPACKED_BYTES: usize = 256 * 1024 * 1024;

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It holds its text.
    Text,
    /// A scan with an invisible layer of text.
    Layer,
    /// A picture of text.
    Scan,
    /// Nothing to be seen.
    Blank,
}

/// Reads a PDF; its pages go to `run`, which takes them one by one.
pub(super) fn read(
    bytes: Vec<u8>,
    ctx: &Ctx<'_>,
    run: &mut dyn FnMut(&mut dyn Iterator<Item = Leaf>) -> io::Result<()>,
) -> io::Result<()> {
    if is_signed(&bytes) {
        ctx.finding(
            FindingCode::Signed,
            None,
            "Das PDF trägt eine digitale Signatur; sie wurde nicht geprüft.",
        );
    }
    let bytes = Arc::new(bytes);
    let opened = catch_unwind(AssertUnwindSafe(|| Pdf::new(bytes.clone())));
    let pdf = match opened {
        Ok(Ok(pdf)) => pdf,
        Ok(Err(LoadPdfError::Decryption(DecryptionError::PasswordProtected))) => {
            ctx.finding(FindingCode::Encrypted, None, "Zum Lesen wird ein Kennwort gebraucht.");
            return Ok(());
        }
        Ok(Err(LoadPdfError::Decryption(_))) => {
            ctx.finding(
                FindingCode::Encrypted,
                None,
                "Das PDF ist mit einem unbekannten Verfahren verschlüsselt.",
            );
            return Ok(());
        }
        Ok(Err(LoadPdfError::Invalid)) | Err(_) => {
            ctx.finding(FindingCode::Damaged, None, "Das PDF ist nicht lesbar.");
            return Ok(());
        }
    };
    if lacks_end(&bytes) {
        ctx.finding(FindingCode::Damaged, None, "Das Ende der Datei fehlt; gelesen wurde, was noch da ist.");
    }
    let reader =
        Reader { pdf: &pdf, bytes: &bytes, ctx, structure: OnceCell::new(), cache: InterpreterCache::new() };
    let count = u32::try_from(pdf.pages().len()).unwrap_or(u32::MAX);
    if count == 0 {
        ctx.finding(FindingCode::Damaged, None, "Das PDF hat keine lesbare Seite.");
        return Ok(());
    }
    let most = ctx.job.limits.pages;
    if count > most {
        too_many(ctx);
    }
    ctx.announce(count.min(most));
    run(&mut (1..=count.min(most)).zip(pdf.pages().iter()).map(|(number, page)| reader.leaf(number, page)))
}

/// A signature names the bytes that it covers, and these lie open in the file.
fn is_signed(bytes: &[u8]) -> bool {
    let mark = b"/ByteRange";
    bytes.windows(mark.len()).enumerate().any(|(at, window)| {
        window == mark
            && bytes[at + mark.len()..]
                .iter()
                .find(|byte| !byte.is_ascii_whitespace())
                .is_some_and(|byte| *byte == b'[')
    })
}

fn lacks_end(bytes: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(2_048)..];
    !tail.windows(5).any(|window| window == b"%%EOF")
}

struct Reader<'a> {
    pdf: &'a Pdf,
    bytes: &'a [u8],
    ctx: &'a Ctx<'a>,
    /// The file as structure, read when the first picture is looked for.
    structure: OnceCell<Option<lopdf::Document>>,
    cache: InterpreterCache<'a>,
}

impl<'a> Reader<'a> {
    fn leaf(&self, number: u32, page: &'a Page<'a>) -> Leaf {
        if self.ctx.skips(number) {
            return Leaf::Ready(PageText::empty(number, Source::None), None);
        }
        self.ctx.start(number);
        catch_unwind(AssertUnwindSafe(|| self.page(number, page))).unwrap_or_else(|_| {
            self.ctx.finding(
                FindingCode::WorkerCrashed,
                Some(number),
                "Beim Lesen der Seite trat ein Fehler auf.",
            );
            Leaf::Ready(PageText::empty(number, Source::None), None)
        })
    }

    fn page(&self, number: u32, page: &'a Page<'a>) -> Leaf {
        let (width, height) = size(page);
        let mut marks = Marks::new(width, height);
        let transform: Affine = page.initial_transform(true).to_kurbo();
        let area = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
        let settings = InterpreterSettings::default();
        let mut context = Context::new(transform, area, &self.cache, self.pdf.xref(), settings);
        interpret_page(page, &mut context, &mut marks);
        marks.finish();
        if marks.symbol_coded {
            let detail = "JBIG2 mit Zeichenwörterbuch: Ähnliche Zeichen können vertauscht sein.";
            self.ctx.finding(FindingCode::SymbolCoded, None, detail);
        }
        if marks.overflow {
            self.ctx.finding(
                FindingCode::NoText,
                Some(number),
                "Die Seite hat zu viele Zeichen; der Rest fehlt.",
            );
        }
        let kind = kind(&marks);
        let pieces = std::mem::take(&mut marks.pieces);
        let text = move || {
            let laid = lay_out(pieces);
            PageText {
                width: Some(points(width)),
                height: Some(points(height)),
                unit: Some(Length::Point),
                words: laid.words.iter().map(WordBox::from).collect(),
                text: laid.text,
                ..PageText::empty(number, if kind == Kind::Layer { Source::OcrLayer } else { Source::Text })
            }
        };
        match kind {
            Kind::Text | Kind::Layer => Leaf::Ready(text(), None),
            Kind::Blank => {
                let blank = PageText {
                    width: Some(points(width)),
                    height: Some(points(height)),
                    unit: Some(Length::Point),
                    ..PageText::empty(number, Source::Blank)
                };
                Leaf::Ready(blank, Some(white(width, height)))
            }
            Kind::Scan => {
                let own = (marks.visible + marks.invisible > 0).then(text);
                self.scan(number, page, &marks, own)
            }
        }
    }

    fn scan(&self, number: u32, page: &'a Page<'a>, marks: &Marks, own: Option<PageText>) -> Leaf {
        if !self.ctx.can_recognise() {
            return Leaf::Waiting(own.unwrap_or_else(|| PageText::empty(number, Source::None)));
        }
        let limits = PictureLimits::default();
        let picture = (own.is_none() && marks.images > 0).then(|| self.picture(number)).flatten();
        if let Some((picture, [left, bottom, right, top])) = picture
            && let Ok(gray) = picture.gray(&limits)
        {
            let dpi = picture.dpi.0;
            let upright: Affine = page.initial_transform(true).to_kurbo();
            let area = Rect::new(left.into(), bottom.into(), right.into(), top.into());
            let place = place(page, upright.transform_rect_bbox(area));
            let picture = Some(picture);
            return Leaf::Scan(Box::new(Scan { number, gray, dpi, picture, fallback: None, place }));
        }
        if let Some((gray, dpi)) = draw(page) {
            let (width, height) = size(page);
            let place = place(page, Rect::new(0.0, 0.0, width.into(), height.into()));
            return Leaf::Scan(Box::new(Scan { number, gray, dpi, picture: None, fallback: own, place }));
        }
        self.ctx.finding(FindingCode::Damaged, Some(number), "Die Seite lässt sich nicht darstellen.");
        Leaf::Ready(own.unwrap_or_else(|| PageText::empty(number, Source::None)), None)
    }

    fn picture(&self, number: u32) -> Option<(Picture, [f32; 4])> {
        let structure = self.structure.get_or_init(|| {
            let options = lopdf::LoadOptions::with_max_decompressed_size(MAX_UNPACKED_BYTES);
            match lopdf::Document::load_mem_with_options(self.bytes, options) {
                Ok(document) if !document.is_encrypted() => Some(document),
                Ok(_) => None,
                Err(error) => {
                    self.ctx.note(format!("pages are drawn, not taken as pictures: {error}"));
                    None
                }
            }
        });
        placed_picture(structure.as_ref()?, number)
    }
}

/// What a page is, by what is drawn on it.
fn kind(marks: &Marks) -> Kind {
    /// Less text than this on a picture that fills the page is a stamp or a fax header, not the page's text.
    const HEADER: usize = 150;
    let known = marks.visible + marks.invisible;
    let readable = known > 0 && marks.unknown <= known;
    let filled = marks.covered >= 0.5;
    if readable && (!filled || marks.visible >= HEADER) {
        return Kind::Text;
    }
    if readable && marks.invisible >= 10 {
        return Kind::Layer;
    }
    // Letters can be drawn as outlines; a few strokes are a frame.
    let drawn = marks.images > 0 || marks.paths >= 30 || marks.unknown > 0 || known > 0;
    if drawn { Kind::Scan } else { Kind::Blank }
}

/// Width and height in points, upright; a page without a size that makes sense is A4.
fn size(page: &Page<'_>) -> (f32, f32) {
    let (width, height) = page.render_dimensions();
    let sane = |length: f32| length.is_finite() && (1.0..=1.0e6).contains(&length);
    if sane(width) && sane(height) { (width, height) } else { (595.0, 842.0) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and a million")]
fn points(length: f32) -> u32 {
    length.round() as u32
}

/// The corners of a part of the upright page (in points from its upper left corner) in the page's own coordinates.
fn place(page: &Page<'_>, part: Rect) -> Option<Place> {
    let upright: Affine = page.initial_transform(true).to_kurbo();
    if upright.determinant().abs() < 1e-6 {
        return None;
    }
    let back = upright.inverse();
    let corners = [(part.x0, part.y1), (part.x1, part.y1), (part.x0, part.y0)];
    let corners = corners.map(|corner| back * hayro_interpret::kurbo::Point::from(corner));
    let is_sane = corners.iter().all(|corner| corner.is_finite());
    is_sane.then(|| Place(corners.map(|corner| (corner.x, corner.y))))
}

/// A white picture the size of a page, at a resolution that costs nothing.
fn white(width: f32, height: f32) -> Picture {
    const DPI: f32 = 9.0;
    let pixels = |length: f32| points((length * DPI / 72.0).clamp(1.0, 2_000.0));
    let (width, height) = (pixels(width), pixels(height));
    let bytes = vec![0xff; (width.div_ceil(8) * height) as usize];
    Picture {
        width,
        height,
        dpi: (DPI, DPI),
        turn: Turn::None,
        data: Encoded::Raw { bytes, samples: Samples::Bilevel },
    }
}

/// Draws a page in shades of grey, and says at which resolution.
fn draw<'a>(page: &'a Page<'a>) -> Option<(Gray, f32)> {
    let (width, height) = size(page);
    let full = DPI / 72.0;
    let by_area = (MAX_PIXELS / (width * height)).sqrt();
    let scale = full.min(by_area).min(MAX_SIDE / width.max(height));
    if width * scale < 1.0 || height * scale < 1.0 {
        return None;
    }
    let settings = PixmapSettings {
        x_scale: scale,
        y_scale: scale,
        bg_color: hayro::vello_cpu::color::palette::css::WHITE,
    };
    // A cache for each page: what one page needs is rarely what the next needs, and memory is limited.
    let cache = RenderCache::new();
    let pixmap =
        hayro::render(page, &cache, &InterpreterSettings::default(), &RenderSettings::default(), &settings);
    let luma = |r: u8, g: u8, b: u8| {
        let sum = 299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b);
        u8::try_from(sum / 1_000).unwrap_or(u8::MAX)
    };
    let pixels = pixmap.data().iter().map(|pixel| luma(pixel.r, pixel.g, pixel.b)).collect();
    let gray = Gray { width: u32::from(pixmap.width()), height: u32::from(pixmap.height()), pixels };
    Some((gray, scale * 72.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(visible: usize, invisible: usize, unknown: usize, covered: f64, paths: usize) -> Marks {
        let mut marks = Marks::new(595.0, 842.0);
        (marks.visible, marks.invisible, marks.unknown, marks.paths) = (visible, invisible, unknown, paths);
        (marks.covered, marks.images) = (covered, usize::from(covered > 0.0));
        marks
    }

    #[test]
    fn pages_are_told_apart_by_what_is_drawn() {
        for (marks, expected) in [
            (marks(900, 0, 3, 0.0, 5), Kind::Text),
            (marks(5, 0, 0, 0.0, 0), Kind::Text),
            (marks(900, 0, 0, 1.0, 0), Kind::Text),
            (marks(0, 900, 0, 0.98, 0), Kind::Layer),
            (marks(40, 900, 0, 0.98, 0), Kind::Layer),
            (marks(40, 0, 0, 0.98, 0), Kind::Scan),
            (marks(0, 0, 0, 0.98, 0), Kind::Scan),
            (marks(10, 0, 900, 0.0, 0), Kind::Scan),
            (marks(0, 0, 0, 0.0, 500), Kind::Scan),
            (marks(0, 0, 0, 0.0, 4), Kind::Blank),
        ] {
            assert_eq!(kind(&marks), expected, "{marks:?}");
        }
    }

    #[test]
    fn a_signature_is_a_byte_range_with_numbers() {
        assert!(is_signed(b"<< /Type /Sig /ByteRange [0 1 2 3] >>"));
        assert!(is_signed(b"/ByteRange[0 1"));
        assert!(!is_signed(b"/ByteRange"));
        assert!(!is_signed(b"(the word /ByteRange is explained below)"));
        assert!(lacks_end(b"%PDF-1.4 abc") && !lacks_end(b"%PDF-1.4\n%%EOF\n"));
    }
}

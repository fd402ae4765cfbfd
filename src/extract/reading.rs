//! One job, from a file to its renditions. Pages flow through one by one: from the file, through character
//! recognition where that is needed, into the page texts and the searchable PDF.

use super::Format;
use super::job::{self, Job, Line, Outcome};
use super::ocr::{Recognised, Recogniser, Scan};
use super::page::{Picture, Word};
use super::page_texts::{Length, PageText, Source, TextFile, WordBox};
use super::pictures::{PictureLimits, pictures};
use super::searchable::{self, Facts, Layer, SearchablePage};
use super::{markup, pdf, plain};
use crate::domain::finding::{Finding, FindingCode};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// Name and version of the program, as `archive` writes it into events.
const SOFTWARE: &str = concat!("eakte ", env!("CARGO_PKG_VERSION"));
/// Most findings of a document; a file with an error on each of its pages says no more by saying all.
const MAX_FINDINGS: usize = 40;
/// Pages that are recognised by one process.
const BATCH_PAGES: usize = 8;
/// Pixels that are recognised by one process.
const BATCH_PIXELS: u64 = 80_000_000;

/// A page on its way.
#[derive(Debug)]
pub(super) enum Leaf {
    /// Its text is known.
    Ready(PageText, Option<Picture>),
    /// It must be recognised.
    Scan(Box<Scan>),
    /// It must be recognised, and cannot be here.
    Waiting(PageText),
}

/// What all steps of a job share.
pub(super) struct Ctx<'a> {
    pub(super) job: &'a Job,
    pub(super) folder: &'a Path,
    report: &'a dyn Fn(&Line),
    findings: RefCell<Vec<Finding>>,
    notes: RefCell<Vec<String>>,
    started: Instant,
    announced: Cell<u32>,
}

impl Ctx<'_> {
    pub(super) fn finding(&self, code: FindingCode, page: Option<u32>, detail: &str) {
        let finding = Finding { code, page, detail: Some(detail.to_owned()) };
        self.take(finding);
    }

    fn take(&self, finding: Finding) {
        let mut findings = self.findings.borrow_mut();
        if findings.len() < MAX_FINDINGS && !findings.contains(&finding) {
            findings.push(finding);
        }
    }

    pub(super) fn note(&self, note: String) {
        let mut notes = self.notes.borrow_mut();
        if notes.len() < MAX_FINDINGS {
            notes.push(note);
        }
    }

    /// The document has at least this many pages.
    pub(super) fn announce(&self, pages: u32) {
        if pages > self.announced.get() {
            self.announced.set(pages);
            (self.report)(&Line::Pages(pages));
        }
    }

    /// Now this page is being read.
    pub(super) fn start(&self, page: u32) {
        (self.report)(&Line::Page(page));
    }

    pub(super) fn skips(&self, page: u32) -> bool {
        self.job.skip.contains(&page)
    }

    pub(super) fn can_recognise(&self) -> bool {
        self.job.ocr.is_some()
    }

    /// Nine tenths of the wall clock are over: the parent would stop us soon, with less to show.
    fn is_late(&self) -> bool {
        let limits = &self.job.limits;
        let all = limits.wall_seconds + job::SECONDS_PER_PAGE * u64::from(self.announced.get());
        self.started.elapsed() > Duration::from_secs(all) * 9 / 10
    }
}

/// Reads the file of a job. What is odd about the file is in the outcome; an error is ours.
pub(super) fn read(job: &Job, folder: &Path, report: &dyn Fn(&Line)) -> io::Result<Outcome> {
    let ctx = Ctx {
        job,
        folder,
        report,
        findings: RefCell::default(),
        notes: RefCell::default(),
        started: Instant::now(),
        announced: Cell::new(0),
    };
    let format = Format::from_media_type(&job.media_type);
    let mut outcome = match format {
        Format::Pdf => with_bytes(&ctx, format, |bytes| {
            let size = bytes.len() as u64;
            let mut flow = Flow { layer: Some(Layer::default()), ..Flow::new(&ctx)? };
            pdf::read(bytes, &ctx, &mut |leaves| flow.run(leaves))?;
            flow.overlay(size)?;
            flow.finish(Some("hayro 0.9"))
        })?,
        Format::Tiff | Format::Jpeg | Format::Png => with_bytes(&ctx, format, |bytes| {
            let mut flow = Flow::new(&ctx)?;
            flow.run(&mut scans(format, &bytes, &ctx))?;
            flow.finish(None)
        })?,
        Format::Text
        | Format::Csv
        | Format::Markdown
        | Format::Json
        | Format::Html
        | Format::Xml
        | Format::Svg => with_bytes(&ctx, format, |bytes| {
            let mut flow = Flow::new(&ctx)?;
            flow.run(&mut text_pages(format, &bytes).into_iter())?;
            flow.finish(None)
        })?,
        other => {
            ctx.finding(FindingCode::NoText, None, why_unread(other));
            Outcome { engine: SOFTWARE.to_owned(), ..Outcome::default() }
        }
    };
    outcome.findings = ctx.findings.take();
    outcome.notes = ctx.notes.take();
    Ok(outcome)
}

fn why_unread(format: Format) -> &'static str {
    match format {
        Format::Unknown => "Die Art der Datei ist unbekannt; ihr Text wird nicht gelesen.",
        Format::Gif | Format::Bmp | Format::Webp | Format::Heic | Format::Jpeg2000 => {
            "Bilder dieser Art werden noch nicht erkannt."
        }
        Format::Zip | Format::Gzip | Format::SevenZip | Format::Rar | Format::Tar => {
            "Archivdateien werden nicht ausgepackt."
        }
        Format::Mail | Format::Mailbox | Format::Msg => "Der Text von E-Mails wird noch nicht gelesen.",
        _ => "Der Text von Dateien dieser Art wird noch nicht gelesen.",
    }
}

/// The part of the memory that an input may take: what is made of it must fit beside it. Text is held in up to four
/// spellings at once, each of which may have doubled, and doubles again while it grows.
fn most_bytes(format: Format, memory_bytes: u64) -> u64 {
    match format {
        Format::Pdf | Format::Tiff | Format::Jpeg | Format::Png => memory_bytes / 4,
        _ => memory_bytes / 16,
    }
}

/// Takes the input into memory, if it can be held there beside what is made of it.
fn with_bytes(
    ctx: &Ctx<'_>,
    format: Format,
    read: impl FnOnce(Vec<u8>) -> io::Result<Outcome>,
) -> io::Result<Outcome> {
    let mut file = File::open(ctx.folder.join(job::INPUT))?;
    let size = file.metadata()?.len();
    let most = most_bytes(format, ctx.job.limits.memory_bytes);
    if size > most {
        let mega = |bytes: u64| bytes.div_ceil(1_000_000);
        let detail = format!(
            "Text fehlt: Die Datei ist zu groß zum Erschließen ({} MB, gelesen werden bis zu {} MB).",
            mega(size),
            most / 1_000_000
        );
        ctx.finding(FindingCode::MemoryLimit, None, &detail);
        return Ok(Outcome { engine: SOFTWARE.to_owned(), ..Outcome::default() });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.read_to_end(&mut bytes)?;
    drop(file);
    read(bytes)
}

fn text_pages(format: Format, bytes: &[u8]) -> Vec<Leaf> {
    let text = plain::decode(bytes);
    let text = match format {
        Format::Html => markup::html(&text),
        Format::Xml | Format::Svg => markup::xml(&text),
        _ => text,
    };
    let pages = (1..).zip(plain::pages(&text));
    pages
        .map(|(number, text)| Leaf::Ready(PageText { text, ..PageText::empty(number, Source::Text) }, None))
        .collect()
}

/// The pages of a scan.
fn scans<'a>(format: Format, bytes: &'a [u8], ctx: &'a Ctx<'a>) -> impl Iterator<Item = Leaf> + 'a {
    let limits = PictureLimits::default();
    let found = match pictures(format, bytes, &limits) {
        Ok(found) => Some(found),
        Err(error) => {
            ctx.finding(FindingCode::Damaged, None, &error.to_string());
            None
        }
    };
    let most = ctx.job.limits.pages;
    (1..).zip(found.into_iter().flatten()).map_while(move |(number, picture)| {
        if number > most {
            too_many(ctx);
            return None;
        }
        ctx.announce(number);
        if ctx.skips(number) {
            return Some(Leaf::Ready(PageText::empty(number, Source::None), picture.ok()));
        }
        ctx.start(number);
        let damaged = |error: &dyn std::fmt::Display| {
            ctx.finding(FindingCode::Damaged, Some(number), &error.to_string());
        };
        let picture = match picture {
            Ok(picture) => picture,
            Err(error) => {
                damaged(&error);
                return Some(Leaf::Ready(PageText::empty(number, Source::None), None));
            }
        };
        if !ctx.can_recognise() {
            return Some(Leaf::Waiting(PageText::empty(number, Source::None)));
        }
        Some(match picture.gray(&limits) {
            Ok(gray) => {
                let dpi = picture.dpi.0;
                Leaf::Scan(Box::new(Scan {
                    number,
                    gray,
                    dpi,
                    picture: Some(picture),
                    fallback: None,
                    place: None,
                }))
            }
            Err(error) => {
                damaged(&error);
                Leaf::Ready(PageText::empty(number, Source::None), Some(picture))
            }
        })
    })
}

/// Says that a document is read only in part.
pub(super) fn too_many(ctx: &Ctx<'_>) {
    let detail = format!("Nur die ersten {} Seiten wurden gelesen.", ctx.job.limits.pages);
    ctx.finding(FindingCode::NoText, None, &detail);
}

/// Where pages go.
struct Flow<'a> {
    ctx: &'a Ctx<'a>,
    text: TextFile,
    outcome: Outcome,
    /// Letters found, over all pages.
    letters: usize,
    /// Sum of confidence over recognised letters, and their number.
    confidence: (u64, u64),
    /// Whether every page so far can go into a searchable PDF.
    printable: bool,
    ready: VecDeque<SearchablePage>,
    /// What will be laid over the scanned pages of a PDF that is no stack of pictures.
    layer: Option<Layer>,
    failed: Option<io::Error>,
}

impl<'a> Flow<'a> {
    fn new(ctx: &'a Ctx<'a>) -> io::Result<Self> {
        Ok(Self {
            ctx,
            text: TextFile::create(&ctx.folder.join(job::TEXT))?,
            outcome: Outcome::default(),
            letters: 0,
            confidence: (0, 0),
            printable: true,
            ready: VecDeque::new(),
            layer: None,
            failed: None,
        })
    }

    /// Takes all pages.
    fn run(&mut self, leaves: &mut dyn Iterator<Item = Leaf>) -> io::Result<()> {
        self.fill(leaves);
        if self.printable && !self.ready.is_empty() {
            self.print(leaves)?;
        }
        // Whatever the PDF left, or all of it when there is none.
        self.printable = false;
        self.ready.clear();
        while self.fill(leaves) {}
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Writes the searchable PDF, as long as every page is a picture.
    fn print(&mut self, leaves: &mut dyn Iterator<Item = Leaf>) -> io::Result<()> {
        let path = self.ctx.folder.join(job::PDF);
        let facts = Facts {
            title: self.ctx.job.title.clone(),
            language: "de".to_owned(),
            created: self.ctx.job.created,
            producer: SOFTWARE.to_owned(),
        };
        let mut out = BufWriter::with_capacity(256 * 1024, File::create(&path)?);
        let written = searchable::write(&mut Printing { flow: self, leaves }, &facts, &mut out);
        let flushed = out.flush();
        if let Err(error) = &written {
            self.ctx.note(format!("no searchable PDF: {error}"));
        }
        let whole = written.is_ok() && flushed.is_ok() && self.printable && self.failed.is_none();
        // Blank pages alone are nothing to search in.
        self.outcome.has_pdf = whole && self.outcome.ocr_pages > 0;
        if !self.outcome.has_pdf {
            std::fs::remove_file(&path)?;
        }
        flushed
    }

    /// Reads some more pages. Says whether there were any.
    fn fill(&mut self, leaves: &mut dyn Iterator<Item = Leaf>) -> bool {
        let mut batch = Vec::new();
        let (mut scans, mut pixels) = (0, 0);
        while scans < BATCH_PAGES && pixels < BATCH_PIXELS && batch.len() < 64 {
            let Some(leaf) = leaves.next() else { break };
            if let Leaf::Scan(scan) = &leaf {
                scans += 1;
                pixels += u64::from(scan.gray.width) * u64::from(scan.gray.height);
            }
            let stop = !matches!(leaf, Leaf::Scan(_)) && scans == 0;
            batch.push(leaf);
            if stop {
                break;
            }
        }
        let any = !batch.is_empty();
        if let Err(error) = self.take(batch) {
            self.failed = Some(error);
            return false;
        }
        any
    }

    fn take(&mut self, batch: Vec<Leaf>) -> io::Result<()> {
        let mut scans = Vec::new();
        let mut others = Vec::new();
        for leaf in batch {
            match leaf {
                Leaf::Scan(scan) => {
                    others.push(None);
                    scans.push(*scan);
                }
                other => others.push(Some(other)),
            }
        }
        let results = self.recognise(&scans);
        let mut recognised = scans.into_iter().zip(results);
        for other in others {
            match other {
                Some(Leaf::Ready(page, picture)) => self.put(&page, picture, Vec::new())?,
                Some(Leaf::Waiting(page)) => {
                    self.outcome.ocr_pending += 1;
                    self.put(&page, None, Vec::new())?;
                }
                Some(Leaf::Scan(_)) | None => {
                    if let Some((scan, result)) = recognised.next() {
                        self.put_scan(scan, result)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn recognise(&self, scans: &[Scan]) -> Vec<Result<Recognised, Finding>> {
        let late = |scan: &Scan| Finding {
            code: FindingCode::TimeLimit,
            page: Some(scan.number),
            detail: Some("Das Dokument brauchte zu lange; diese Seite wurde nicht mehr erkannt.".to_owned()),
        };
        match &self.ctx.job.ocr {
            Some(ocr) if !scans.is_empty() && !self.ctx.is_late() => {
                Recogniser { ocr, folder: self.ctx.folder }.recognise(scans, &|page| self.ctx.start(page))
            }
            _ => scans.iter().map(|scan| Err(late(scan))).collect(),
        }
    }

    fn put_scan(&mut self, scan: Scan, result: Result<Recognised, Finding>) -> io::Result<()> {
        let Scan { number, gray, picture, fallback, place, .. } = scan;
        let found = match result {
            Ok(found) => found,
            Err(finding) => {
                let waits = finding.code == FindingCode::OcrPending;
                let page = fallback.unwrap_or_else(|| PageText {
                    width: Some(gray.width),
                    height: Some(gray.height),
                    unit: Some(Length::Pixel),
                    ..PageText::empty(number, Source::None)
                });
                if waits {
                    // Said once, for all pages, at the end.
                    self.outcome.ocr_pending += 1;
                    return self.put(&page, None, Vec::new());
                }
                self.ctx.take(finding);
                return self.put(&page, picture, Vec::new());
            }
        };
        self.outcome.ocr_pages += u32::from(!found.blank);
        for word in &found.read.words {
            let letters = word.text.chars().count() as u64;
            self.confidence.0 += u64::from(word.confidence) * letters;
            self.confidence.1 += letters;
        }
        let own = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
        if let Some(fallback) = fallback.filter(|page| own(&page.text) > own(&found.read.text)) {
            return self.put(&fallback, None, Vec::new());
        }
        if let Some((layer, place)) = self.layer.as_mut().zip(place) {
            layer.add(number, place, found.turn, found.size, &found.read.words)?;
        }
        let page = PageText {
            width: Some(found.size.0),
            height: Some(found.size.1),
            unit: Some(Length::Pixel),
            turn: found.turn,
            skew_degrees: (found.skew_degrees != 0.0).then_some((found.skew_degrees * 100.0).round() / 100.0),
            confidence: found.read.confidence(),
            words: found.read.words.iter().map(WordBox::from).collect(),
            text: found.read.text,
            ..PageText::empty(number, if found.blank { Source::Blank } else { Source::Ocr })
        };
        let picture = picture.map(|picture| Picture { turn: picture.turn.and(found.turn), ..picture });
        self.put(&page, picture, found.read.words)
    }

    fn put(&mut self, page: &PageText, picture: Option<Picture>, words: Vec<Word>) -> io::Result<()> {
        self.outcome.pages += 1;
        self.outcome.blank_pages += u32::from(page.source == Source::Blank);
        self.letters += page.text.chars().filter(|c| c.is_alphanumeric()).count();
        if !self.text.add(page)? {
            self.ctx.finding(
                FindingCode::NoText,
                None,
                "Der Text ist zu lang und wurde nicht ganz aufgenommen.",
            );
        }
        match picture {
            Some(picture) if self.printable => self.ready.push_back(SearchablePage { picture, words }),
            _ => self.printable = false,
        }
        Ok(())
    }

    /// Makes a PDF searchable of which only some pages are scans, or scans with more on them than a picture: the file
    /// as it is, with words laid over those pages. Not where that would contradict the file: under a signature, in a
    /// damaged or an encrypted one.
    fn overlay(&mut self, size: u64) -> io::Result<()> {
        let layer = self.layer.take().filter(|layer| !layer.is_empty() && !self.outcome.has_pdf);
        let Some(layer) = layer else { return Ok(()) };
        let limits = &self.ctx.job.limits;
        let is_bare = self.ctx.findings.borrow().iter().any(|finding| {
            let unfit = [FindingCode::Signed, FindingCode::Damaged, FindingCode::Encrypted];
            finding.page.is_none() && unfit.contains(&finding.code)
        });
        // The file is in memory three times while it is updated.
        if is_bare || size > limits.memory_bytes / 8 || self.outcome.ocr_pending > 0 {
            return Ok(());
        }
        let path = self.ctx.folder.join(job::PDF);
        let original = std::fs::read(self.ctx.folder.join(job::INPUT))?;
        let mut out = BufWriter::with_capacity(256 * 1024, File::create(&path)?);
        // Structures that the library trips over cost the rendition, not the text.
        let written =
            catch_unwind(AssertUnwindSafe(|| layer.write(original, pdf::MAX_UNPACKED_BYTES, &mut out)));
        let written = match written {
            Ok(written) => written.map_err(|error| error.to_string()),
            Err(_) => Err("the library tripped over the file".to_owned()),
        };
        let flushed = out.flush();
        match written {
            Ok(()) if flushed.is_ok() => self.outcome.has_pdf = true,
            Ok(()) => std::fs::remove_file(&path)?,
            Err(error) => {
                self.ctx.note(format!("no searchable PDF: {error}"));
                std::fs::remove_file(&path)?;
            }
        }
        flushed
    }

    fn finish(self, reader: Option<&str>) -> io::Result<Outcome> {
        let Self { ctx, text, mut outcome, letters, confidence, .. } = self;
        let mut engine = SOFTWARE.to_owned();
        if let Some(reader) = reader {
            engine = format!("{engine}, {reader}");
        }
        if let Some(ocr) = ctx.job.ocr.as_ref().filter(|_| outcome.ocr_pages > 0) {
            engine = format!("{engine}, Tesseract {} ({})", ocr.version, ocr.languages);
        }
        text.finish(&engine)?;
        outcome.engine = engine;
        outcome.has_text = outcome.pages > 0;
        outcome.mean_confidence =
            confidence.0.checked_div(confidence.1).and_then(|mean| u8::try_from(mean).ok());
        if outcome.ocr_pending > 0 {
            let detail = match outcome.ocr_pending {
                1 => "OCR ausstehend: Eine Seite wartet auf die Texterkennung.".to_owned(),
                pending => format!("OCR ausstehend: {pending} Seiten warten auf die Texterkennung."),
            };
            ctx.finding(FindingCode::OcrPending, None, &detail);
        } else if outcome.pages > 0 && letters == 0 {
            let all_blank = outcome.blank_pages == outcome.pages;
            let detail = if all_blank { "Alle Seiten sind leer." } else { "Es wurde kein Text gefunden." };
            ctx.finding(FindingCode::NoText, None, detail);
        }
        Ok(outcome)
    }
}

/// The pages of the searchable PDF, made when they are asked for.
struct Printing<'f, 'a, 'l> {
    flow: &'f mut Flow<'a>,
    leaves: &'l mut dyn Iterator<Item = Leaf>,
}

impl Iterator for Printing<'_, '_, '_> {
    type Item = SearchablePage;

    fn next(&mut self) -> Option<SearchablePage> {
        while self.flow.printable {
            if let Some(page) = self.flow.ready.pop_front() {
                return Some(page);
            }
            if !self.flow.fill(self.leaves) {
                return None;
            }
        }
        None
    }
}

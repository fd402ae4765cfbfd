//! PDFs of which some pages are scans: they are found and marked, and everything else stays as it was.

use super::samples::{self, LETTER, Sheet};
use super::{codes, need_tesseract, read, reading_that, receive, texts};
use crate::support::TestArchive;
use eakte::domain::DocumentId;
use eakte::domain::finding::FindingCode;
use eakte::extract::page_texts::{PageTexts, Source};
use std::io::Read as _;

const ANNEX: [&str; 3] = [
    "Anlage zum Bescheid",
    "Die Pflasterung der Zufahrt folgt dem beiliegenden Plan.",
    "Der Ahorn an der Grenze bleibt stehen.",
];

fn searchable(town: &TestArchive, id: DocumentId) -> Vec<u8> {
    let mut pdf = Vec::new();
    let content = town.archive.rendition(&town.permit, id, "pdf", None).unwrap();
    content.body.take(50_000_000).read_to_end(&mut pdf).unwrap();
    pdf
}

/// Where a word stands on a page: the middle, as shares of the page's sides.
fn place(texts: &PageTexts, page: usize, word: &str) -> (f64, f64) {
    let page = &texts.pages[page];
    let found = page.words.iter().find(|found| found.6.contains(word));
    let found = found.unwrap_or_else(|| panic!("{word} is missing: {}", page.text));
    let middle = |from: i32, to: i32, side: Option<u32>| {
        f64::midpoint(f64::from(from), f64::from(to)) / f64::from(side.unwrap())
    };
    (middle(found.0, found.2, page.width), middle(found.1, found.3, page.height))
}

#[test]
fn scanned_pages_among_others_get_words_and_the_rest_stays_as_it_was() {
    need_tesseract();
    let town = TestArchive::new(true);
    let scan = samples::scan(&ANNEX);
    let sideways = samples::quarter(&samples::quarter(&samples::quarter(&scan)));
    let upside_down = samples::upside_down(samples::scan(&[&ANNEX[..], &LETTER[..], &ANNEX[..]].concat()));
    let original = samples::mixed_pdf(&[
        Sheet::Scan(&scan, 0),
        Sheet::Text(&LETTER),
        // Stored lying, and shown upright.
        Sheet::Scan(&sideways, 90),
        // Shown upside down: it is turned to be read, and its words must lie where its letters are.
        Sheet::Scan(&upside_down, 0),
    ]);
    let id = receive(&town, "Bescheid mit Anlage.pdf", &original);
    let reading = reading_that(&town, id, |_| true);
    assert_eq!((reading.data.pages, reading.data.ocr_pages), (4, 3), "{reading:?}");
    assert_eq!(codes(&reading), []);
    assert!(reading.data.pdf.is_some(), "{reading:?}");
    let first = texts(&town, id);

    let pdf = searchable(&town, id);
    assert!(pdf.starts_with(&original), "the file itself is untouched");
    assert!(pdf.len() < original.len() + 4 * 12_000, "{} for {}", pdf.len(), original.len());
    let document = lopdf::Document::load_mem(&pdf).unwrap();
    assert_eq!(document.get_pages().len(), 4);
    let catalog = document.catalog().unwrap();
    assert!(!catalog.has(b"Metadata"), "what the original claims of itself is not claimed of this");

    // Read once more: what was a scan is now a scan with text, and its words lie where they were recognised.
    let again = receive(&town, "Noch einmal.pdf", &pdf);
    let reading = reading_that(&town, again, |_| true);
    assert_eq!((reading.data.pages, reading.data.ocr_pages), (4, 0), "{reading:?}");
    assert_eq!(codes(&reading), []);
    let second = texts(&town, again);
    let sources: Vec<Source> = second.pages.iter().map(|page| page.source).collect();
    assert_eq!(sources, [Source::OcrLayer, Source::Text, Source::OcrLayer, Source::OcrLayer]);
    assert_eq!(second.pages[1].text, first.pages[1].text);
    for page in [0, 2] {
        assert!(second.pages[page].text.contains("Pflasterung der Zufahrt"), "{}", second.pages[page].text);
        let (was, is) = (place(&first, page, "Pflasterung"), place(&second, page, "Pflasterung"));
        assert!((was.0 - is.0).abs() < 0.01 && (was.1 - is.1).abs() < 0.01, "page {page}: {was:?} {is:?}");
    }
    assert!(second.pages[3].text.contains("Pflasterung"), "{}", second.pages[3].text);
    assert_eq!(first.pages[3].turn, 180);
}

#[test]
fn another_reader_finds_the_words_too() {
    need_tesseract();
    let town = TestArchive::new(true);
    let scan = samples::scan(&ANNEX);
    let id = receive(&town, "a.pdf", &samples::mixed_pdf(&[Sheet::Text(&LETTER), Sheet::Scan(&scan, 0)]));
    reading_that(&town, id, |reading| reading.data.pdf.is_some());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pdf");
    samples::write(&path, searchable(&town, id));
    let output = std::process::Command::new("pdftotext").arg(&path).arg("-").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let pages: Vec<&str> = text.split('\u{c}').collect();
    assert!(pages[0].contains("wird genehmigt"), "{text}");
    assert!(pages[1].contains("Die Pflasterung der Zufahrt folgt dem beiliegenden Plan."), "{text}");
}

#[test]
fn nothing_is_laid_over_a_signed_or_damaged_file() {
    need_tesseract();
    let town = TestArchive::new(true);
    let scan = samples::scan(&ANNEX);
    let whole = samples::mixed_pdf(&[Sheet::Text(&LETTER), Sheet::Scan(&scan, 0)]);
    let signed = [&whole[..], b"% /ByteRange [0 10 20 30]\n%%EOF\n"].concat();
    let table = whole.windows(5).rposition(|window| window == b"xref\n").unwrap();
    for (name, bytes, code) in [
        ("unterschrieben.pdf", signed, FindingCode::Signed),
        ("ohne Verzeichnis.pdf", whole[..table].to_vec(), FindingCode::Damaged),
    ] {
        let reading = read(&town, name, &bytes);
        assert!(codes(&reading).contains(&code), "{name}: {reading:?}");
        assert_eq!(reading.data.ocr_pages, 1, "{name}: {reading:?}");
        assert_eq!(reading.data.pdf, None, "{name}");
    }
}

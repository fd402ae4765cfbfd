//! Documents are read after they were accepted: what comes of good files, of bad ones, and of dying workers.

mod corpora;
mod formats;
mod isolation;
mod mixed;
mod samples;

use crate::support::{TestArchive, settings};
use eakte::archive::Settings;
use eakte::catalogue::ReadingRow;
use eakte::domain::DocumentId;
use eakte::domain::codes::Origin;
use eakte::domain::document::Arrival;
use eakte::domain::finding::FindingCode;
use eakte::extract::find_tesseract;
use eakte::extract::page_texts::{PageTexts, Source};
use eakte::ingest::{Declared, Outcome};
use samples::LETTER;
use std::fs::Permissions;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn need_tesseract() {
    if let Err(error) = find_tesseract(None, "deu+eng") {
        panic!("this test needs Tesseract: {error}");
    }
}

fn receive(town: &TestArchive, name: &str, bytes: &[u8]) -> DocumentId {
    let arrival = Arrival::named(name, Origin::Scan);
    let outcome =
        town.archive.receive(&town.permit, &arrival, None, &mut &*bytes, &Declared::default()).unwrap();
    match outcome {
        Outcome::Received(accepted) => accepted.document,
        other => panic!("{name}: {other:?}"),
    }
}

/// Waits until a reading fits; a machine under load may take its time.
fn reading_that(town: &TestArchive, id: DocumentId, fits: impl Fn(&ReadingRow) -> bool) -> ReadingRow {
    let deadline = Instant::now() + Duration::from_mins(4);
    loop {
        let row = town.archive.document(&town.permit, id).unwrap().row;
        if let Some(reading) = row.reading.clone().filter(&fits) {
            return reading;
        }
        assert!(Instant::now() < deadline, "the document is not read: {:?}", row.reading);
        std::thread::sleep(Duration::from_millis(30));
    }
}

fn read(town: &TestArchive, name: &str, bytes: &[u8]) -> ReadingRow {
    let id = receive(town, name, bytes);
    reading_that(town, id, |_| true)
}

fn texts(town: &TestArchive, id: DocumentId) -> PageTexts {
    let content = town.archive.rendition(&town.permit, id, "text", None).unwrap();
    serde_json::from_reader(content.body).unwrap()
}

fn codes(reading: &ReadingRow) -> Vec<FindingCode> {
    reading.data.findings.iter().map(|finding| finding.code).collect()
}

/// A program for [`Settings::worker`] that does this instead of reading.
fn script(folder: &Path, body: &str) -> PathBuf {
    let path = folder.join("worker.sh");
    samples::write(&path, format!("#!/bin/sh\n{body}\n"));
    std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    path
}

#[test]
fn a_born_digital_pdf_gives_its_text_without_recognition() {
    let town = TestArchive::new(true);
    let id = receive(&town, "Bescheid.pdf", &samples::pdf(&[&LETTER, &["Anlage 1"], &[]]));
    let reading = reading_that(&town, id, |_| true);
    assert_eq!((reading.data.pages, reading.data.ocr_pages, reading.data.blank_pages), (3, 0, 1));
    assert_eq!(codes(&reading), []);
    assert!(reading.data.pdf.is_none());
    let texts = texts(&town, id);
    assert_eq!(texts.pages[0].text, LETTER.join("\n") + "\n");
    assert_eq!(texts.pages[1].text, "Anlage 1\n");
    assert_eq!(texts.pages[2].source, Source::Blank);
    let word = &texts.pages[0].words[0];
    assert_eq!((word.6.as_str(), word.5), ("Stadt", 0));
    assert!((58..63).contains(&word.0) && (60..100).contains(&word.1), "{word:?}");
}

#[test]
fn a_scan_gives_text_word_places_and_a_searchable_pdf() {
    need_tesseract();
    let town = TestArchive::new(true);
    let id = receive(&town, "Scan.png", &samples::png(&samples::scan(&LETTER)));
    let reading = reading_that(&town, id, |_| true);
    assert_eq!((reading.data.pages, reading.data.ocr_pages), (1, 1));
    assert_eq!(codes(&reading), []);
    assert!(reading.data.mean_confidence.unwrap() > 80, "{reading:?}");
    assert!(reading.data.engine.contains("Tesseract"), "{}", reading.data.engine);
    let texts = texts(&town, id);
    let page = &texts.pages[0];
    assert!(page.text.contains("auf einen Carport wird genehmigt."), "{}", page.text);
    let word = page.words.iter().find(|word| word.6 == "Carport").unwrap();
    // 16 point letters at 200 dpi: about 45 pixels high, on the third line.
    assert!((300..420).contains(&word.1) && word.2 > word.0 + 60, "{word:?}");

    let mut pdf = Vec::new();
    let content = town.archive.rendition(&town.permit, id, "pdf", None).unwrap();
    content.body.take(50_000_000).read_to_end(&mut pdf).unwrap();
    let pdf = lopdf::Document::load_mem(&pdf).unwrap();
    assert!(pdf.extract_text(&[1]).unwrap().contains("Carport"));
}

#[test]
fn a_scan_that_lies_upside_down_is_turned() {
    need_tesseract();
    let town = TestArchive::new(true);
    let scan = samples::upside_down(samples::scan(&[&LETTER[..], &LETTER[..], &LETTER[..]].concat()));
    let id = receive(&town, "Scan.png", &samples::png(&scan));
    reading_that(&town, id, |_| true);
    let page = texts(&town, id).pages.remove(0);
    assert_eq!(page.turn, 180);
    assert!(page.text.contains("Carport"), "{}", page.text);
}

#[test]
fn text_is_read_in_its_encoding_and_what_is_not_text_says_why() {
    let town = TestArchive::new(true);
    let id = receive(&town, "Vermerk.txt", b"Gr\xfc\xdfe aus K\xf6ln, 5 \x80\x0cSeite zwei");
    let reading = reading_that(&town, id, |_| true);
    assert_eq!(reading.data.pages, 2);
    assert_eq!(texts(&town, id).pages[0].text, "Grüße aus Köln, 5 €");
    let reading = read(&town, "Ton.mp3", &[0, 1, 2, 250, 251, 3, 4, 5]);
    assert_eq!(codes(&reading), [FindingCode::NoText]);
    let reading = read(&town, "leer.txt", b"   \n\n ");
    assert_eq!(codes(&reading), [FindingCode::NoText]);
}

#[test]
fn bad_files_are_read_as_far_as_they_go_and_say_what_is_wrong() {
    let town = TestArchive::new(true);
    let whole = samples::pdf(&[&LETTER, &LETTER]);
    // Cut off before its table of contents, so that the objects must be looked for.
    let table = whole.windows(5).position(|window| window == b"xref\n").unwrap();
    let cut = &whole[..table];
    for (name, bytes, expected, has_text) in [
        ("Kennwort.pdf", samples::encrypted_pdf(), FindingCode::Encrypted, false),
        ("abgeschnitten.pdf", cut.to_vec(), FindingCode::Damaged, true),
        ("Unsinn.pdf", b"%PDF-1.7\nund dann nichts mehr".to_vec(), FindingCode::Damaged, false),
        ("Groesse.tif", samples::lying_tiff(), FindingCode::Damaged, false),
        ("kaputt.png", b"\x89PNG\r\n\x1a\n und dann nichts".to_vec(), FindingCode::Damaged, false),
        ("kaputt.jpg", b"\xff\xd8\xff\xe0 und dann nichts".to_vec(), FindingCode::Damaged, false),
    ] {
        let id = receive(&town, name, &bytes);
        let reading = reading_that(&town, id, |_| true);
        assert!(codes(&reading).contains(&expected), "{name}: {:?}", reading.data.findings);
        let letters = reading
            .data
            .text
            .is_some_and(|_| texts(&town, id).pages.iter().any(|page| !page.text.is_empty()));
        assert_eq!(letters, has_text, "{name}: {reading:?}");
    }
}

#[test]
fn a_page_that_bursts_the_memory_costs_no_other_page() {
    let town = TestArchive::with(Settings { digitise_memory_bytes: 400 << 20, ..settings(true) });
    let id = receive(&town, "Bombe.pdf", &samples::bomb_pdf());
    let reading = reading_that(&town, id, |_| true);
    let lost = &reading.data.findings[0];
    assert_eq!((lost.code, lost.page), (FindingCode::MemoryLimit, Some(2)), "{:?}", reading.data.findings);
    let texts = texts(&town, id);
    assert_eq!(texts.pages.len(), 3);
    assert!(texts.pages[0].text.contains("Carport") && texts.pages[2].text.contains("Carport"));
}

#[test]
fn a_worker_that_dies_leaves_a_finding_and_the_queue_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    for (body, expected) in [
        ("kill -9 $$", FindingCode::WorkerCrashed),
        ("exit 3", FindingCode::WorkerCrashed),
        ("echo kein JSON; exit 0", FindingCode::WorkerCrashed),
        ("ulimit -S -t 1; while :; do :; done", FindingCode::TimeLimit),
        ("echo 'memory allocation of 7 bytes failed' >&2; kill -6 $$", FindingCode::MemoryLimit),
        ("sleep 600 & sleep 600", FindingCode::TimeLimit),
    ] {
        let worker = Some(script(folder.path(), body));
        let wall = Duration::from_secs(if body.starts_with("sleep") { 1 } else { 100 });
        let town = TestArchive::with(Settings { worker, digitise_wall: wall, ..settings(true) });
        let ids = ["eins", "zwei", "drei"].map(|text| receive(&town, "Brief.txt", text.as_bytes()));
        for id in ids {
            let reading = reading_that(&town, id, |_| true);
            assert_eq!(codes(&reading), [expected], "{body}");
            assert_eq!(reading.data.generation, 1);
            assert!(reading.data.text.is_none());
        }
        assert_eq!(town.archive.health().unwrap().unread, [0, 0, 0], "{body}");
        assert_eq!(town.archive.unreadable_documents(&town.permit).unwrap(), 3, "{body}");
        assert_eq!(town.archive.unreadable_documents(&town.permit).unwrap(), 3, "{body}");
    }
}

#[test]
fn a_reading_is_repeated_on_demand_and_a_failed_one_takes_nothing_away() {
    let folder = tempfile::tempdir().unwrap();
    let real = env!("CARGO_BIN_EXE_eakte");
    let flag = folder.path().join("dies");
    let body = format!("test -e '{}' && kill -9 $$; exec '{real}' worker", flag.display());
    let worker = Some(script(folder.path(), &body));
    let town = TestArchive::with(Settings { worker, ..settings(true) });
    let id = receive(&town, "Brief.txt", "Sehr geehrte Damen".as_bytes());
    let first = reading_that(&town, id, |_| true);
    town.archive.digitise_again(&town.permit, id).unwrap();
    let second = reading_that(&town, id, |reading| reading.data.generation == 2);
    assert_eq!(second.data.text, first.data.text);
    samples::write(&flag, b"");
    town.archive.digitise_again(&town.permit, id).unwrap();
    let third = reading_that(&town, id, |reading| reading.data.generation == 3);
    assert_eq!(codes(&third), [FindingCode::WorkerCrashed]);
    assert_eq!(third.data.text, first.data.text);
    assert_eq!(texts(&town, id).pages[0].text, "Sehr geehrte Damen");
}

#[test]
fn without_tesseract_scans_wait_and_are_read_once_it_is_there() {
    need_tesseract();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("tesseract");
    let town = TestArchive::with(Settings { tesseract: Some(program.clone()), ..settings(true) });
    assert!(!town.archive.health().unwrap().ocr_available);
    let scan = receive(&town, "Scan.png", &samples::png(&samples::scan(&LETTER)));
    let waiting = reading_that(&town, scan, |_| true);
    assert_eq!((waiting.data.pages, waiting.data.ocr_pending), (1, 1));
    assert_eq!(codes(&waiting), [FindingCode::OcrPending]);
    let digital = read(&town, "Bescheid.pdf", &samples::pdf(&[&LETTER]));
    assert_eq!(codes(&digital), []);
    assert_eq!(town.archive.health().unwrap().unread, [0, 0, 1]);

    let installed = find_tesseract(None, "deu").unwrap().program;
    std::os::unix::fs::symlink(installed, &program).unwrap();
    let done = reading_that(&town, scan, |reading| reading.data.ocr_pending == 0);
    assert_eq!((done.data.generation, done.data.ocr_pages), (2, 1));
    assert_eq!(codes(&done), []);
    assert!(town.archive.health().unwrap().ocr_available);
}

#[test]
fn scans_wait_when_tesseract_goes_away() {
    need_tesseract();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("tesseract");
    std::os::unix::fs::symlink(find_tesseract(None, "deu").unwrap().program, &program).unwrap();
    let town = TestArchive::with(Settings { tesseract: Some(program.clone()), ..settings(true) });
    assert!(town.archive.health().unwrap().ocr_available);
    std::fs::remove_file(&program).unwrap();
    let waiting = read(&town, "Scan.png", &samples::png(&samples::scan(&LETTER)));
    assert_eq!((waiting.data.pages, waiting.data.ocr_pages, waiting.data.ocr_pending), (1, 0, 1));
    assert_eq!(codes(&waiting), [FindingCode::OcrPending]);
    assert!(!town.archive.health().unwrap().ocr_available);
    assert_eq!(town.archive.health().unwrap().unread, [0, 0, 1]);
}

#[test]
fn a_damaged_original_is_a_finding_and_no_endless_loop() {
    let town = TestArchive::new(false);
    let changed = receive(&town, "a.txt", b"Der Inhalt, wie er ankam");
    let missing = receive(&town, "b.txt", b"Der Inhalt, der fehlen wird");
    for id in [changed, missing] {
        let row = town.archive.document(&town.permit, id).unwrap().row;
        let name = format!("{}-{}", id.uuid().hyphenated(), row.versions[0].original.sha256);
        let path = find(&town.folder.path().join("data"), &name).expect("the original lies in the store");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        if id == changed {
            samples::write(&path, b"Der Inhalt, wie er nicht war");
        } else {
            std::fs::remove_file(&path).unwrap();
        }
    }
    let town = town.reopened(settings(true));
    for id in [changed, missing] {
        let reading = reading_that(&town, id, |_| true);
        assert_eq!(codes(&reading), [FindingCode::Damaged]);
        assert_eq!(reading.data.generation, 1);
    }
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        if entry.file_type().ok()?.is_dir() {
            if let Some(found) = find(&entry.path(), name) {
                return Some(found);
            }
        } else if entry.file_name() == name {
            return Some(entry.path());
        }
    }
    None
}

#[test]
fn a_file_too_large_to_be_read_says_so_and_is_stored_all_the_same() {
    let town = TestArchive::with(Settings { digitise_memory_bytes: 400 << 20, ..settings(true) });
    let filled = |head: &[u8], filler: u8, size: usize| {
        let mut bytes = head.to_vec();
        bytes.resize(size, filler);
        bytes
    };
    for (name, bytes) in [
        ("Akten.pdf", filled(b"%PDF-1.7\n", b'x', 106_000_000)),
        ("Plan.jpg", filled(b"\xff\xd8\xff\xe0\0\x10JFIF", 0x11, 106_000_000)),
        ("Plan.png", filled(b"\x89PNG\r\n\x1a\n", 0, 106_000_000)),
        ("Verzeichnis.txt", filled("Größe ".as_bytes(), b'a', 27_000_000)),
    ] {
        let id = receive(&town, name, &bytes);
        let reading = reading_that(&town, id, |_| true);
        assert_eq!(codes(&reading), [FindingCode::MemoryLimit], "{name}: {reading:?}");
        let detail = reading.data.findings[0].detail.clone().unwrap();
        assert!(detail.contains("zu groß zum Erschließen"), "{name}: {detail}");
        assert!(
            detail.contains(if name.ends_with("txt") { "(27 MB" } else { "(106 MB" }),
            "{name}: {detail}"
        );
        let row = town.archive.document(&town.permit, id).unwrap().row;
        assert_eq!(row.versions[0].original.size, bytes.len() as u64);
    }
    // What just fits is read: nothing that is made of it bursts the limit.
    let umlauts = filled(b"", 0xfc, 26_000_000);
    for (name, bytes) in [
        ("Umlaute.txt", umlauts),
        ("Verzeichnis.txt", filled(b"a b ", b'a', 26_000_000)),
        ("Seite.html", filled(b"<html><body>", b'a', 26_000_000)),
        ("Akten.pdf", filled(b"%PDF-1.7\n", b'x', 104_000_000)),
    ] {
        let id = receive(&town, name, &bytes);
        let reading = reading_that(&town, id, |_| true);
        let burst = [FindingCode::MemoryLimit, FindingCode::WorkerCrashed];
        assert!(!codes(&reading).iter().any(|code| burst.contains(code)), "{name}: {reading:?}");
    }
}

//! Real and damaged files from outside the repository, where they are at hand.

use crate::support::skipped;
use eakte::extract::job::{INPUT, Job, Limits, Ocr, Outcome, TEXT};
use eakte::extract::launch::{self, End};
use eakte::extract::page_texts::PageTexts;
use eakte::extract::{find_tesseract, sniff};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

fn corpus(test: &str, name: &str) -> Option<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora").join(name);
    let Ok(entries) = std::fs::read_dir(folder) else {
        skipped(test, "corpora absent");
        return None;
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(files)
}

fn read(path: &Path, ocr: Option<Ocr>) -> (End, Option<PageTexts>) {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(path).unwrap();
    super::samples::write(&folder.path().join(INPUT), &bytes);
    let head = &bytes[..bytes.len().min(4_096)];
    let name = path.file_name().unwrap().to_string_lossy();
    let job = Job {
        media_type: sniff(head, bytes.len() as u64, &name).media_type().to_owned(),
        title: "Titel".to_owned(),
        created: jiff::Timestamp::UNIX_EPOCH,
        limits: Limits { cpu_seconds: 60, wall_seconds: 300, ..Limits::default() },
        ocr,
        skip: Vec::new(),
        isolate: true,
    };
    let worker = Path::new(env!("CARGO_BIN_EXE_eakte"));
    let ended = launch::run(worker, folder.path(), &job, &AtomicBool::new(false)).unwrap();
    let texts = std::fs::read(folder.path().join(TEXT)).ok();
    (ended.end, texts.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

#[test]
fn every_pdf_of_the_corpus_gets_a_result() {
    let Some(files) = corpus("every_pdf_of_the_corpus_gets_a_result", "pdf") else { return };
    let mut failed = Vec::new();
    let mut with_text = 0;
    for path in files.iter().filter(|path| path.extension().is_some_and(|ending| ending == "pdf")) {
        match read(path, None) {
            (End::Answered(outcome), texts) => {
                let outcome: Outcome = *outcome;
                assert!(!outcome.has_text || texts.is_some(), "{}", path.display());
                assert!(outcome.pages > 0 || !outcome.findings.is_empty(), "{}", path.display());
                with_text += usize::from(outcome.has_text);
            }
            (End::Failed { code, detail }, _) => {
                failed.push(format!("{}: {code} {detail}", path.display()));
            }
            (End::Stopped, _) => panic!("nobody asked to stop"),
        }
    }
    println!("{with_text} with pages, {} ended without an answer: {failed:#?}", failed.len());
    assert!(with_text > 100 && failed.len() <= 3, "{failed:#?}");
}

#[test]
fn texts_of_every_encoding_say_the_same() {
    let Some(files) = corpus("texts_of_every_encoding_say_the_same", "text-encodings") else { return };
    for path in files.iter().filter(|path| path.extension().is_some_and(|ending| ending == "txt")) {
        let (_, texts) = read(path, None);
        let text = texts.unwrap_or_else(|| panic!("{}", path.display())).pages.remove(0).text;
        for word in ["Straßenbäume", "Gebührenbescheid", "Süd", "Ärzteübergabe", "Ölfässer", "Übergrößen"]
        {
            use unicode_normalization::UnicodeNormalization as _;
            assert!(text.nfc().collect::<String>().contains(word), "{}: {text}", path.display());
        }
    }
}

/// Share of the truth's words that were not read.
fn missing_words(truth: &str, read: &str) -> f64 {
    let mut left: Vec<&str> = read.split_whitespace().collect();
    left.sort_unstable();
    let (mut all, mut missing) = (0_u32, 0_u32);
    for word in truth.split_whitespace() {
        all += 1;
        match left.binary_search(&word) {
            Ok(at) => drop(left.remove(at)),
            Err(_) => missing += 1,
        }
    }
    f64::from(missing) / f64::from(all.max(1))
}

#[test]
fn ordinary_scans_are_read_nearly_without_errors() {
    let Some(files) = corpus("ordinary_scans_are_read_nearly_without_errors", "scans-synthetic") else {
        return;
    };
    let ocr =
        find_tesseract(None, "deu+eng").unwrap_or_else(|error| panic!("this test needs Tesseract: {error}"));
    let mut worst: f64 = 0.0;
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".jpg").or(name.strip_suffix(".tif")) else { continue };
        let truth = std::fs::read_to_string(path.with_file_name(format!("{stem}.gt.txt"))).unwrap();
        if stem.contains("_hard_") {
            continue;
        }
        let (end, texts) = read(&path, Some(ocr.clone()));
        let texts = texts.unwrap_or_else(|| panic!("{stem}: {end:?}"));
        let text: String = texts.pages.iter().map(|page| page.text.as_str()).collect();
        let missing = missing_words(&truth, &text);
        println!("{stem}: {:.1} % of the words not read", 100.0 * missing);
        worst = worst.max(missing);
    }
    assert!(worst < 0.15, "{worst}");
}

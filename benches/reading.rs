//! How fast do documents become searchable, and what does recognition cost?
//!
//! * Born-digital: generated PDFs of five pages (about 2,000 characters a page, seed 7), accepted and read by real worker
//!   processes on all processors, until every one is searchable.
//! * Recognition: the scans of the fixtures, read by the worker (straightening, word boxes, searchable PDF/A included),
//!   against plain `tesseract` on the same pictures. Processor seconds of all child processes, as the operating system
//!   counts them. Several rounds in turn; the ratio is taken round by round.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench reports to whoever runs it")]

mod support;

use eakte::archive::{Archive, Installation, NewTenant, Permit, Place, Settings};
use eakte::clock::{SystemClock, SystemEntropy};
use eakte::domain::codes::Origin;
use eakte::domain::document::Arrival;
use eakte::domain::event::BatchOpened;
use eakte::domain::text::Line;
use eakte::extract::page_texts::PageTexts;
use eakte::ingest::{Declared, Entry, Walk};
use lopdf::content::{Content, Operation};
use lopdf::{Document, Object, Stream, dictionary};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use support::{Chance, figure, median, seconds};

const PDFS: usize = 1_000;
const ROUNDS: usize = 3;

struct Town {
    archive: Arc<Archive>,
    permit: Permit,
    _installation: Installation,
}

fn town(place: &Path) -> Town {
    let settings =
        Settings { worker: Some(PathBuf::from(env!("CARGO_BIN_EXE_eakte"))), ..Settings::default() };
    let place = Place::directory(place);
    let installation = Installation::create(place, settings, Arc::new(SystemClock), Arc::new(SystemEntropy))
        .expect("an empty place");
    let slug: eakte::domain::TenantSlug = "t".parse().expect("a short name");
    let token = installation
        .create_tenant(&NewTenant {
            slug: slug.clone(),
            name: Line::new("Steverau").expect("a name"),
            reference_template: "{plan}-{year}/{seq}".parse().expect("a template"),
        })
        .expect("a new tenant");
    let archive = installation.archive(&slug).expect("the tenant is there");
    let permit = archive.permit(&token).expect("the token is good");
    Town { archive, permit, _installation: installation }
}

impl Town {
    fn ingest(&self, name: &str, files: &Path) -> u64 {
        let facts = BatchOpened::named(name, "bench");
        let entries = Walk::new(files).map(|found| Entry {
            arrival: Arrival::named(&found.shown, Origin::Scan),
            found,
            target: None,
            findings: Vec::new(),
            declared: Declared::default(),
        });
        let stop = AtomicBool::new(false);
        let report =
            self.archive.ingest(&self.permit, &facts, entries, &stop, &|_| {}).expect("the batch closes");
        assert_eq!(report.failed, 0);
        report.received
    }

    /// For each scan, the share of the words on paper that its page texts have.
    fn recalls(&self, scans: &[PathBuf]) -> Vec<f64> {
        let documents =
            self.archive.documents(&self.permit, None, 1_000).expect("the catalogue is whole").items;
        let recalls = documents.iter().filter_map(|state| {
            // Names may come with the folder that they were found in.
            let source = Path::new(&state.row.versions.last()?.source_name).file_name()?;
            let scan = scans.iter().find(|scan| scan.file_name() == Some(source))?;
            let content = self.archive.rendition(&self.permit, state.id, "text", None).ok()?;
            let texts: PageTexts = serde_json::from_reader(content.body).ok()?;
            let text: Vec<String> = texts.pages.into_iter().map(|page| page.text).collect();
            recall(scan, &text.join("\n"))
        });
        recalls.collect()
    }

    /// Waits until nothing waits to be read and the index has everything.
    fn settle(&self) {
        let patience = Instant::now() + Duration::from_mins(30);
        loop {
            let health = self.archive.health().expect("the catalogue is whole");
            if health.unread == [0, 0, 0] && health.indexed_seq >= health.journal.applied.seq {
                return;
            }
            assert!(Instant::now() < patience, "documents still wait: {:?}", health.unread);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn main() {
    let scratch = support::scratch("reading");
    born_digital(scratch.path());
    recognition(scratch.path());
}

fn born_digital(scratch: &Path) {
    let source = scratch.join("pdfs");
    fs::create_dir_all(&source).expect("writable");
    let mut chance = Chance::new(7);
    for number in 0..PDFS {
        pdf(&mut chance).save(source.join(format!("{number:05}.pdf"))).expect("writable");
    }
    let town = town(&scratch.join("digital"));
    let (taken, received) = seconds(|| {
        let received = town.ingest("pdfs", &source);
        town.settle();
        received
    });
    assert_eq!(received, PDFS as u64);
    let pages = town.archive.health().expect("the catalogue is whole").summary.pages;
    assert_eq!(pages, 5 * PDFS as u64, "every page was read");
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = PDFS as f64 / taken * 60.0;
    figure("PDFs of 5 pages, accepted to searchable", rate, "per minute", "target >= 1500");
    let (now, peak) = support::memory_mb();
    println!("memory of the process {now} MB, at most {peak} MB");
}

/// A letter of five pages with a text layer.
fn pdf(chance: &mut Chance) -> Document {
    let mut document = Document::with_version("1.7");
    let pages_id = document.new_object_id();
    let font = document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding",
    });
    let resources = document.add_object(dictionary! { "Font" => dictionary! { "F1" => font } });
    let mut kids = Vec::new();
    for _ in 0..5 {
        let mut operations = vec![
            Operation::new("BT", vec![]),
            Operation::new("Tf", vec!["F1".into(), 11.into()]),
            Operation::new("TL", vec![14.into()]),
            Operation::new("Td", vec![60.into(), 780.into()]),
        ];
        for line in chance.text(2_000).split_whitespace().collect::<Vec<_>>().chunks(10) {
            let bytes: Vec<u8> =
                line.join(" ").chars().map(|c| u8::try_from(c as u32).unwrap_or(b'?')).collect();
            operations.push(Operation::new("Tj", vec![Object::string_literal(bytes)]));
            operations.push(Operation::new("T*", vec![]));
        }
        operations.push(Operation::new("ET", vec![]));
        let content = Content { operations }.encode().expect("plain operations");
        let content = document.add_object(Stream::new(dictionary! {}, content));
        kids.push(Object::from(document.add_object(dictionary! {
            "Type" => "Page", "Parent" => pages_id, "Contents" => content, "Resources" => resources,
            "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()],
        })));
    }
    let count = i64::try_from(kids.len()).expect("five");
    document
        .objects
        .insert(pages_id, dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count }.into());
    let catalogue = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages_id });
    document.trailer.set("Root", catalogue);
    document.compress();
    document
}

fn recognition(scratch: &Path) {
    let scans = scans();
    if scans.is_empty() {
        println!("skipped: recognition (no scans in fixtures/steverau)");
        return;
    }
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut pages = 0;
    let mut recalls = (Vec::new(), Vec::new());
    let mut growth = Vec::new();
    for round in 0..ROUNDS {
        let source = scratch.join(format!("scans-{round}"));
        fs::create_dir_all(&source).expect("writable");
        for scan in &scans {
            fs::copy(scan, source.join(scan.file_name().expect("a file"))).expect("writable");
        }
        let before = children_seconds();
        let texts: Vec<String> = scans.iter().map(|scan| plain_tesseract(scan)).collect();
        let plain = children_seconds() - before;

        let town = town(&scratch.join(format!("ocr-{round}")));
        let before = children_seconds();
        town.ingest("scans", &source);
        town.settle();
        let whole = children_seconds() - before;
        pages = town.archive.health().expect("the catalogue is whole").summary.pages;
        growth = growths(&town);
        recalls = (
            town.recalls(&scans),
            scans.iter().zip(&texts).filter_map(|(scan, text)| recall(scan, text)).collect(),
        );
        theirs.push(plain);
        ours.push(whole);
        ratios.push(whole / plain);
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let each = |seconds: Vec<f64>| median(seconds) / pages as f64;
    figure("processor time with everything", each(ours), "s a page", "");
    figure("processor time of plain Tesseract", each(theirs), "s a page", "");
    figure("ratio", median(ratios), "", "target <= 1.15");
    figure("words found of those on the paper", mean(&recalls.0), "%", "");
    figure("words that plain Tesseract finds", mean(&recalls.1), "%", "");
    let worst = growth.into_iter().fold(f64::MIN, f64::max);
    figure("searchable PDF beyond the scan, at most", worst, "kB a page", "target <= 12");
}

/// Scans that are pictures themselves, so that both sides read the same bytes.
fn scans() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/steverau");
    let is_scan = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ["tif", "jpg", "png"].iter().any(|known| ending == *known))
    };
    Walk::new(&root).map(|found| found.path).filter(is_scan).collect()
}

/// The share of the words on a scan's paper that the text has, in percent, if the truth about it is known.
fn recall(scan: &Path, text: &str) -> Option<f64> {
    let name = |path: &Path| Some(path.file_stem()?.to_str()?.to_owned());
    let truth = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/truth").join(format!(
        "{}--{}.txt",
        name(scan.parent()?)?,
        name(scan)?
    ));
    let truth = fs::read_to_string(truth).ok()?;
    let words = |text: &str| {
        let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect::<Vec<_>>()
    };
    let mut left = words(text);
    let wanted = words(&truth);
    let found = wanted.iter().filter(|word| {
        let at = left.iter().position(|candidate| candidate == *word);
        at.map(|at| left.swap_remove(at)).is_some()
    });
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let share = found.count() as f64 * 100.0 / wanted.len().max(1) as f64;
    Some(share)
}

fn mean(values: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    let count = values.len().max(1) as f64;
    values.iter().sum::<f64>() / count
}

fn plain_tesseract(scan: &Path) -> String {
    let outcome = Command::new("tesseract")
        .arg(scan)
        .args(["-", "-l", "deu+eng", "--psm", "3"])
        .env("OMP_THREAD_LIMIT", "1")
        .stderr(Stdio::null())
        .output()
        .expect("tesseract is installed");
    assert!(outcome.status.success());
    String::from_utf8_lossy(&outcome.stdout).into_owned()
}

/// Growth of each rendition over its scan, in kB a page.
fn growths(town: &Town) -> Vec<f64> {
    let documents = town.archive.documents(&town.permit, None, 1_000).expect("the catalogue is whole").items;
    let growth = documents.iter().filter_map(|state| {
        let reading = state.row.reading.as_ref()?;
        let pdf = reading.renditions.iter().find(|object| Some(object.sha256) == reading.data.pdf)?;
        let original = state.row.versions.last()?.original.size;
        #[expect(clippy::cast_precision_loss, reason = "a size")]
        let growth = pdf.size as f64 - original as f64;
        Some(growth / 1_000.0 / f64::from(reading.data.pages.max(1)))
    });
    growth.collect()
}

/// Processor seconds of all child processes that have ended, theirs included.
fn children_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    // Fields 16 and 17 of proc_pid_stat(5): user and system time of waited-for children, in ticks of 10 ms.
    fields[13..15].iter().map(|ticks| ticks.parse::<f64>().expect("a number") / 100.0).sum()
}

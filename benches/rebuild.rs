//! How long does a rebuild take? Generated letters of 3 KB text, seed 7, on this machine's disk (warm). One number
//! counts everything: reading the journal, catalogue, search index, and the switch. Arguments: number of documents.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use eakte::archive::{Installation, NewTenant, Place, Settings};
use eakte::catalogue::Catalogue;
use eakte::clock::{Entropy, SystemClock, SystemEntropy};
use eakte::domain::codes::Origin;
use eakte::domain::decision::{Decision, NewEvent};
use eakte::domain::event::{Actor, Context, DocumentDigitised, DocumentReceived, Event};
use eakte::domain::object::{Encoding, ObjectRef};
use eakte::domain::text::Line;
use eakte::domain::{DocumentId, TenantSlug};
use eakte::journal::{Command, Journal, Layout, Parts, Settings as JournalSettings};
use eakte::store::{Disk, ObjectStore, Syncs};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// The journal's own disk time is another bench's question.
#[derive(Debug)]
struct NoSyncs;

impl Syncs for NoSyncs {
    fn file(&self, _: &File, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn directory(&self, _: &File, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn everything(&self, _: &File, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

const WORDS: [&str; 24] = [
    "Bauantrag",
    "Gewerbe",
    "Hundesteuer",
    "Bescheid",
    "Straßenbeleuchtung",
    "Wohngeld",
    "Satzung",
    "Kindertagesstätte",
    "der",
    "die",
    "und",
    "wird",
    "gemäß",
    "Antragsteller",
    "Frist",
    "Widerspruch",
    "Gemeinderat",
    "beschlossen",
    "Grundstück",
    "Flurstück",
    "erteilt",
    "Genehmigung",
    "Unterlagen",
    "eingereicht",
];

fn text(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 7;
    let mut text = format!("Schreiben Nummer {number}. ");
    while text.len() < 3_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(WORDS[usize::try_from(state % 24).unwrap()]);
        text.push(if state.is_multiple_of(13) { '.' } else { ' ' });
        if state.is_multiple_of(7) {
            write!(text, "{} ", state % 100_000).unwrap();
        }
    }
    text
}

fn put(store: &dyn ObjectStore, layout: &Layout, id: DocumentId, name: &str, bytes: &[u8]) -> ObjectRef {
    let mut staging = store.stage().unwrap();
    staging.write_all(bytes).unwrap();
    let staged = staging.finish().unwrap();
    store.publish(&staged, &layout.object(id.into(), &staged.digest())).unwrap();
    let (sha256, size) = (staged.digest(), staged.size_bytes());
    ObjectRef { name: name.to_owned(), sha256, size, enc: Encoding::None }
}

fn received(number: u64, sha: &ObjectRef, id: DocumentId) -> Decision {
    let data = DocumentReceived {
        case_file: None,
        unit: None,
        title: format!("Schreiben {number}"),
        source_name: format!("Schreiben {number}.txt"),
        source_path: None,
        document_type: None,
        document_date: None,
        received_on: None,
        direction: None,
        origin: Origin::Upload,
        classification: None,
        batch: None,
        media_type: "text/plain".to_owned(),
        findings: Vec::new(),
        idempotency_key: None,
    };
    let event = NewEvent::with(id, Event::DocumentReceived(data), vec![sha.clone()]);
    Decision { guards: Vec::new(), events: vec![event] }
}

fn digitised(text: ObjectRef, id: DocumentId) -> Decision {
    let data = DocumentDigitised {
        generation: 1,
        of_version: 1,
        engine: "bench".to_owned(),
        pages: 1,
        ocr_pages: 0,
        ocr_pending: 0,
        blank_pages: 0,
        mean_confidence: None,
        text: Some(text.sha256),
        pdf: None,
        findings: Vec::new(),
    };
    let event = NewEvent::with(id, Event::DocumentDigitised(data), vec![text]);
    Decision { guards: Vec::new(), events: vec![event] }
}

fn fill(place: &Place, tenant: &TenantSlug, count: u64) {
    let store: Arc<dyn ObjectStore> =
        Arc::new(Disk::open_with(place.data.join("store"), Box::new(NoSyncs)).unwrap());
    let catalogue = Arc::new(Catalogue::open(&place.tenant_dir(tenant).join("catalogue"), 16 << 20).unwrap());
    let layout = Layout::new(tenant);
    let parts = Parts {
        store: store.clone(),
        layout: layout.clone(),
        projection: catalogue,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        software: "bench".to_owned(),
        patience: Box::new(|_| true),
    };
    let journal = Journal::open(parts, JournalSettings::default(), |_| {}).unwrap();
    let record = |decisions: Vec<Decision>| {
        // Sixteen at a time, as an ingest does.
        let wait = |decision| journal.submit(Command::record(Context::by(Actor::System), decision)).unwrap();
        let pending: Vec<_> = decisions.into_iter().map(wait).collect();
        for one in pending {
            one.wait().unwrap();
        }
    };
    for start in (0..count).step_by(16) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for number in start..(start + 16).min(count) {
            let mut bytes = [0; 16];
            SystemEntropy.fill(&mut bytes);
            let id = DocumentId::from_uuid(uuid::Uuid::from_bytes(bytes));
            let text = text(number);
            let original = put(&*store, &layout, id, "Schreiben.txt", text.as_bytes());
            let pages = serde_json::json!({"format": "eakte-text/1", "pages": [{"number": 1, "text": text}]});
            let pages = put(&*store, &layout, id, "text", &serde_json::to_vec(&pages).unwrap());
            first.push(received(number, &original, id));
            second.push(digitised(pages, id));
        }
        record(first);
        record(second);
    }
}

fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Processor time of this process so far, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let fields: Vec<f64> = after_name.split(' ').map(|field| field.parse().unwrap_or(0.0)).collect();
    // User and system time, in hundredths of a second on Linux.
    fields.get(11).zip(fields.get(12)).map_or(0.0, |(user, system)| (user + system) / 100.0)
}

fn main() {
    let count = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(10_000);
    let folder = tempfile::tempdir().unwrap();
    let place = Place::directory(&folder.path().join("data"));
    let tenant: TenantSlug = "t".parse().unwrap();
    let settings = Settings { background: false, ..Settings::default() };
    let open = |create: bool| {
        let (place, settings) = (place.clone(), settings.clone());
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        if create {
            Installation::create(place, settings, clock, entropy).unwrap()
        } else {
            Installation::open(place, settings, clock, entropy).unwrap()
        }
    };
    let new = NewTenant {
        slug: tenant.clone(),
        name: Line::new("Steverau").unwrap(),
        reference_template: "{plan}-{year}/{seq}".parse().unwrap(),
    };
    open(true).create_tenant(&new).unwrap();
    let start = Instant::now();
    fill(&place, &tenant, count);
    println!(
        "{count} documents made in {:.1} s, peak {} MB",
        start.elapsed().as_secs_f64(),
        peak_megabytes()
    );
    let installation = open(false);
    let before = cpu_seconds();
    let (start, replayed) = (Instant::now(), std::sync::Mutex::new(0.0));
    let report = installation
        .rebuild(&tenant, &|progress| {
            if progress.total != Some(count) {
                *replayed.lock().unwrap() = start.elapsed().as_secs_f64();
            }
        })
        .unwrap();
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = count as f64 / seconds;
    println!(
        "rebuild: {} documents, {seconds:.2} s ({:.2} s of them the catalogue), {rate:.0} documents/s, {:.2} CPU s, peak {} MB",
        report.documents,
        replayed.into_inner().unwrap(),
        cpu_seconds() - before,
        peak_megabytes()
    );
}

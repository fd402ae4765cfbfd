//! A small town's day: it can be worked through, interrupted anywhere, and worked through again.

use super::chance::SeededEntropy;
use super::{FixedClock, settings, tenant};
use eakte::archive::{
    Archive, Error, Installation, Kind, NewCaseFile, NewPlanUnit, NewTenant, NewUnit, Place, Settings,
};
use eakte::catalogue::Catalogue;
use eakte::domain::batch::Balance;
use eakte::domain::case_file::OpenCaseFile;
use eakte::domain::codes::{Medium, Origin, Protection};
use eakte::domain::document::Arrival;
use eakte::domain::event::Event;
use eakte::domain::text::Line;
use eakte::domain::{Digest, DocumentId};
use eakte::ingest::{BatchFacts, Declared, Entry, FileStatus, NewVersion, Outcome, Walk};
use eakte::journal::{Applied, Projection as _};
use eakte::store::ObjectStore;
use eakte::verify::VerifyOptions;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub fn line(text: &str) -> Line {
    Line::new(text).unwrap()
}

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock("2026-03-02T08:00:00Z".parse().unwrap()))
}

fn entropy() -> Arc<SeededEntropy> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Arc::new(SeededEntropy::new(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// One file at a time: the calls to the store then come in the same order every time.
fn one_by_one() -> Settings {
    Settings { ingest_threads: 1, ..settings(false) }
}

/// A data directory without anything in it.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn place(&self) -> Place {
        Place::directory(&self.0.path().join("data"))
    }

    fn installation(&self, store: Arc<dyn ObjectStore>) -> Result<Installation, Error> {
        Installation::over(self.place(), store, one_by_one(), clock(), entropy())
    }

    /// Makes the tenant; returns its token.
    pub fn create(&self, store: &Arc<impl ObjectStore + 'static>) -> Result<String, Error> {
        self.installation(store.clone())?.create_tenant(&NewTenant {
            slug: tenant(),
            name: line("Stadt Steverau"),
            reference_template: "{plan}-{year}/{seq}".parse().unwrap(),
        })
    }

    pub fn local_token(&self) -> Result<String, Error> {
        self.place().local_token(&tenant())
    }

    /// Insists that the token opens the tenant's archive, and that there is one tenant.
    pub fn check_token(&self, store: &Arc<impl ObjectStore + 'static>, token: &str) {
        let installation = self.installation(store.clone()).unwrap();
        assert_eq!(installation.tenants().unwrap(), [tenant()]);
        installation.archive(&tenant()).unwrap().permit(token).unwrap();
        assert_eq!(self.local_token().unwrap(), token);
    }
}

/// What came of a day's work.
#[derive(Debug, Default)]
pub struct Work {
    /// Documents that were acknowledged, as new or as known.
    pub accepted: BTreeSet<(DocumentId, Digest)>,
    pub failures: Vec<String>,
}

/// A tenant over a store that may fail, with papers to take in.
pub struct Town {
    store: Arc<dyn ObjectStore>,
    folder: Folder,
    papers: TempDir,
}

/// An open archive with the installation that keeps it open.
pub struct Open {
    pub archive: Arc<Archive>,
    permit: eakte::archive::Permit,
    _installation: Installation,
}

const SINGLE: &[u8] = b"Sehr geehrte Damen und Herren, anbei der Antrag.";

impl Town {
    pub fn new(store: Arc<impl ObjectStore + 'static>) -> Self {
        let folder = Folder::new();
        folder.create(&store).unwrap();
        let papers = tempfile::tempdir().unwrap();
        let paper = |name: &str, bytes: &[u8]| {
            let mut file = std::fs::File::create(papers.path().join(name)).unwrap();
            file.write_all(bytes).unwrap();
        };
        paper("1 Antrag.txt", b"Antrag auf einen Carport");
        paper("2 Plan.txt", b"Lageplan");
        paper("3 noch einmal der Plan.txt", b"Lageplan");
        paper("4 leer.txt", b"");
        paper("5 Brief.txt", SINGLE);
        Self { store, folder, papers }
    }

    /// Lets go of the store and takes another one, which may be the same place opened again.
    pub fn reopen(&mut self, open: impl FnOnce() -> Arc<dyn ObjectStore>) {
        self.store = Arc::new(eakte::store::Memory::new());
        self.store = open();
    }

    /// Opens the archive, as after a restart.
    pub fn open(&self) -> Result<Open, Error> {
        let installation = self.folder.installation(self.store.clone())?;
        let archive = installation.archive(&tenant())?;
        let permit = archive.permit(&self.folder.local_token()?)?;
        Ok(Open { archive, permit, _installation: installation })
    }

    /// The day's work, in order; each step is tried whatever became of those before it.
    pub fn work(&self, open: &Open) -> Work {
        let mut work = Work::default();
        let (archive, permit) = (&*open.archive, &open.permit);
        let unit = NewUnit { code: line("60"), name: line("Bauamt"), parent: None };
        let plan_unit = NewPlanUnit {
            code: line("60.10"),
            title: line("Baugenehmigungen"),
            parent: None,
            retention_class: Some(line("30")),
            disposal: None,
            legal_basis: None,
        };
        note(&mut work, archive.create_unit(permit, &unit));
        note(&mut work, archive.create_plan_unit(permit, &plan_unit));
        let Ok(unit) = archive.unit_named("60") else { return work };
        let new = NewCaseFile { plan_unit: line("60.10"), wish: wish(unit) };
        let case_file = note(&mut work, archive.open_case_file(permit, &new)).map(|(id, _)| id);
        let receive = |key: &str, bytes: &[u8]| {
            let arrival = Arrival {
                idempotency_key: Some(key.to_owned()),
                ..Arrival::named("Brief.txt", Origin::Upload)
            };
            archive.receive(permit, &arrival, None, &mut &*bytes, &Declared::default())
        };
        if let Some(single) = accept(&mut work, receive("single", SINGLE)) {
            let new = NewVersion { source_name: "Brief neu.txt".to_owned(), ..NewVersion::default() };
            let body = &mut &b"Sehr geehrte Damen und Herren, anbei der berichtigte Antrag."[..];
            let version = archive.add_version(permit, single, &new, body, &Declared::default());
            accept(&mut work, version);
        }
        let letters = OpenCaseFile {
            title: line("Schriftwechsel"),
            import_key: Some("letters".to_owned()),
            ..self::wish(unit)
        };
        let letters = NewCaseFile { plan_unit: line("60.10"), wish: letters };
        let letters = note(&mut work, archive.open_case_file(permit, &letters)).map(|(id, _)| id);
        if let Some((letters, letter)) = letters.zip(accept(&mut work, receive("letter", b"Eine Frage"))) {
            let filed = archive.file_document(permit, letter, letters, None, None);
            note(&mut work, filed.map(|state| assert_eq!(state.row.case_file, Some(letters))));
        }
        if let Some(case_file) = case_file {
            self.batch(archive, permit, case_file, &mut work);
            match archive.close_case_file(permit, case_file, None, None) {
                Err(error) if error.kind != Kind::Conflict => work.failures.push(error.to_string()),
                _ => {}
            }
        }
        work
    }

    fn batch(
        &self,
        archive: &Archive,
        permit: &eakte::archive::Permit,
        case_file: eakte::domain::CaseFileId,
        work: &mut Work,
    ) {
        let entries = Walk::new(self.papers.path()).map(|found| Entry {
            arrival: Arrival::named(&found.shown, Origin::Scan),
            target: (found.shown != "5 Brief.txt").then_some(case_file),
            findings: Vec::new(),
            declared: Declared::default(),
            found,
        });
        let reports = Mutex::new(Vec::new());
        let stop = AtomicBool::new(false);
        let report = |report: &eakte::ingest::FileReport| reports.lock().unwrap().push(report.clone());
        note(work, archive.ingest(permit, &batch_facts("Karton 1"), entries, &stop, &report));
        for report in reports.into_inner().unwrap() {
            match report.status {
                FileStatus::Received(accepted) | FileStatus::Duplicate(accepted) => {
                    work.accepted.insert((accepted.document, accepted.sha256));
                }
                FileStatus::Rejected(..) => {}
                FileStatus::Failed(text) => work.failures.push(text),
            }
        }
    }

    /// What must be true after a whole day.
    pub fn check(&self, open: &Open, context: &str) {
        let (archive, catalogue) = (&*open.archive, open.archive.catalogue());
        let summary = catalogue.summary().unwrap();
        assert_eq!((summary.case_files, summary.documents), (2, 4), "{context}: {summary:?}");
        let case_files = archive.case_files(&open.permit, None, None, 10).unwrap().items;
        assert_eq!(case_files[0].1.data.reference, "60.10-2026/1", "{context}");
        let of = |title: &str| {
            let found = case_files.iter().find(|(_, row)| row.data.title == title).map(|(id, _)| *id);
            catalogue.documents_of(found, None, 10).unwrap().items
        };
        let letters = of("Schriftwechsel");
        assert_eq!((letters.len(), letters[0].1.received.case_file), (1, None), "{context}: {letters:?}");
        let inbox = catalogue.documents_of(None, None, 10).unwrap().items;
        // Others may wait there, too: a paper that failed before its case file was closed.
        let renewed = inbox.iter().filter(|(_, row)| row.versions.len() == 2).count();
        assert_eq!(renewed, 1, "{context}: {inbox:?}");
        let batches = catalogue.batches(None, 10).unwrap().items;
        assert_eq!(batches.len(), 1, "{context}: {batches:?}");
        let (id, row) = &batches[0];
        assert_eq!(row.state(*id).balance(), Balance::Green, "{context}: {row:?}");
        // Which of two equal papers is the duplicate depends on which one came first.
        assert_eq!((row.received + row.duplicate, row.rejected), (4, 1), "{context}: {row:?}");
        assert!((1..=3).contains(&row.received), "{context}: {row:?}");
        let report = open.archive.verify(&open.permit, &VerifyOptions::default(), &|_| {}).unwrap();
        assert!(report.findings.is_empty(), "{context}: {:?}", report.findings);
        whole(archive, &self.store, &self.folder.0.path().join("fresh"), context);
    }
}

/// Reads everything again: the chain, every payload, every object; a fresh catalogue is equal to the grown one.
pub fn whole(archive: &Archive, store: &Arc<dyn ObjectStore>, scratch: &Path, context: &str) {
    Catalogue::delete(scratch).unwrap();
    let fresh = Catalogue::open(scratch, 1 << 20).unwrap();
    let reader = archive.reader();
    let mut commits = reader.after(Applied::default());
    let mut contents = BTreeMap::new();
    while let Some(record) = commits.advance().unwrap_or_else(|error| panic!("{context}: {error}")) {
        for recorded in record.events() {
            for object in &recorded.objects {
                let key = reader.layout().object(recorded.entity, &object.sha256);
                let mut bytes = Vec::new();
                store.open(&key).unwrap().read_to_end(&mut bytes).unwrap();
                assert_eq!(Digest::of(&bytes), object.sha256, "{context}: {key}");
            }
            if let Event::DocumentReceived(data) = &recorded.event {
                let place = (data.case_file, recorded.objects[0].sha256);
                let other = contents.insert(place, recorded.entity);
                assert_eq!(other, None, "{context}: {} is there twice", recorded.entity);
            }
            if let Event::DocumentFiled(data) = &recorded.event {
                let left = contents.remove(&(data.from, data.sha256));
                assert_eq!(left, Some(recorded.entity), "{context}: it lay elsewhere");
                let other = contents.insert((Some(data.case_file), data.sha256), recorded.entity);
                assert_eq!(other, None, "{context}: {} is there twice", recorded.entity);
            }
        }
        fresh.apply(&[record]).unwrap();
    }
    assert_eq!(fresh.applied().unwrap(), archive.catalogue().applied().unwrap(), "{context}");
    let dump = |catalogue: &Catalogue| {
        let mut entries = Vec::new();
        catalogue.dump(&mut |key, value| entries.push((key.to_vec(), value.to_vec()))).unwrap();
        entries
    };
    assert!(
        dump(&fresh) == dump(archive.catalogue()),
        "{context}: the catalogue is not that of a fresh replay"
    );
}

pub fn batch_facts(name: &str) -> BatchFacts {
    BatchFacts::named(name, "scan")
}

pub fn wish(unit: eakte::domain::UnitId) -> OpenCaseFile {
    OpenCaseFile {
        reference: None,
        aliases: Vec::new(),
        title: line("Carport Lindenweg 4"),
        unit,
        case_type: line("Bauakte"),
        protection: Protection::Normal,
        retention_class: None,
        medium: Medium::Electronic,
        paper_location: None,
        begins_on: None,
        ends_on: None,
        closed_on: None,
        parties: Vec::new(),
        fields: BTreeMap::new(),
        import_key: Some("carport".to_owned()),
    }
}

/// Notes what was acknowledged.
fn accept(work: &mut Work, outcome: Result<Outcome, Error>) -> Option<DocumentId> {
    match note(work, outcome)? {
        Outcome::Received(accepted) | Outcome::Duplicate(accepted) => {
            work.accepted.insert((accepted.document, accepted.sha256));
            Some(accepted.document)
        }
        outcome @ Outcome::Rejected { .. } => {
            work.failures.push(format!("{outcome:?}"));
            None
        }
    }
}

fn note<T>(work: &mut Work, outcome: Result<T, Error>) -> Option<T> {
    outcome.map_err(|error| work.failures.push(error.to_string())).ok()
}

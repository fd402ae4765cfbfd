//! Archives of old versions open for ever. `EAKTE_BLESS_ARCHIVE=1 cargo test --test it formats` makes the archive of
//! today's format anew in `fixtures/archives/v1`; that is right only as long as the format is unreleased.

use crate::support::chance::SeededEntropy;
use crate::support::town::{batch_facts, line, wish};
use crate::support::{FixedClock, settings, skipped, tenant};
use eakte::archive::{Archive, Installation, NewCaseFile, NewPlanUnit, NewTenant, NewUnit, Permit, Place};
use eakte::catalogue::Catalogue;
use eakte::clock::{Clock, Entropy, SystemEntropy};
use eakte::domain::case_file::OpenCaseFile;
use eakte::domain::codes::{Disposal, Origin};
use eakte::domain::decision::{Decision, NewEvent};
use eakte::domain::document::Arrival;
use eakte::domain::event::{
    Actor, Context, DocumentDigitised, ErasureCompleted, ErasurePermitted, Event, LeafRange, ObjectsSwept,
    VersionAdded,
};
use eakte::domain::finding::{Finding, FindingCode};
use eakte::domain::object::Encoding;
use eakte::domain::{CaseFileId, DocumentId, EntityId, ObjectRef};
use eakte::ingest::{Declared, Entry, Outcome, Walk};
use eakte::journal::{Command, Journal, Layout, Parts, Receipt, Settings};
use eakte::search::Filter;
use eakte::store::{Disk, ObjectStore};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// What the archive of format 1 holds: leaves and root.
const V1: (u64, &str) = (25, "9668eb4686306a215148dc1b14a75b84b52e62508e2652506dd0630bc8cea582");

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/archives/v1")
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(FixedClock("2026-03-02T08:00:00Z".parse().unwrap()))
}

/// Copies a tree; staging and locks are no part of an archive.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_name() == "staging" {
        } else if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Opens a copy of the old archive.
fn open(folder: &Path, background: bool) -> (Installation, Arc<Archive>, Permit) {
    let place = Place::directory(folder);
    copy(&fixture(), &folder.join("store"));
    let installation =
        Installation::open(place, settings(background), clock(), Arc::new(SystemEntropy)).unwrap();
    let archive = installation.archive(&tenant()).unwrap();
    let before = archive.catalogue().clone();
    let applied = eakte::journal::Projection::applied(&*before).unwrap();
    assert_eq!((applied.frontier.size(), applied.frontier.root().to_string()), (V1.0, V1.1.to_owned()));
    let token = installation.renew_local_token(&tenant()).unwrap();
    let permit = archive.permit(&token).unwrap();
    (installation, archive, permit)
}

#[test]
fn an_archive_of_format_1_opens_with_all_its_facts() {
    if std::env::var_os("EAKTE_BLESS_ARCHIVE").is_some() {
        make();
    }
    let folder = tempfile::tempdir().unwrap();
    let (_installation, archive, permit) = open(folder.path(), false);
    let summary = archive.catalogue().summary().unwrap();
    assert_eq!((summary.case_files, summary.documents, summary.pages), (2, 2, 1));
    let units = archive.units(&permit).unwrap();
    assert_eq!(units.len(), 2);
    let case_files = archive.case_files(&permit, None, None, 10).unwrap().items;
    let (id, row) = &case_files[0];
    assert_eq!(row.data.reference, "60.10-2026/1");
    assert_eq!(row.data.title, "Carport Lindenweg 4");
    assert_eq!(row.closed_here_on, Some("2026-03-01".parse().unwrap()));
    let documents = archive.documents_of(&permit, Some(*id), None, 10).unwrap().items;
    let titles: Vec<_> = documents.iter().map(|state| state.row.received.title.as_str()).collect();
    assert_eq!(titles, ["Antrag"]);
    assert_eq!(documents[0].row.versions.len(), 2);
    let reading = documents[0].row.reading.as_ref().unwrap();
    assert_eq!((reading.data.pages, reading.renditions.len()), (1, 1));
    let (other, row) = &case_files[1];
    assert_eq!((row.data.title.as_str(), row.closed_here_on), ("Schriftwechsel", None));
    let letters = archive.documents_of(&permit, Some(*other), None, 10).unwrap().items;
    let titles: Vec<_> = letters.iter().map(|state| state.row.received.title.as_str()).collect();
    assert_eq!((titles, letters[0].row.received.case_file), (vec!["Brief"], None), "it came to the inbox");
    assert!(archive.documents_of(&permit, None, None, 10).unwrap().items.is_empty());
    let batches = archive.batches(&permit, None, 10).unwrap().items;
    let (batch, row) = &batches[0];
    assert_eq!((row.received, row.duplicate, row.rejected), (1, 0, 1), "the erased paper has left its batch");
    assert_eq!(row.state(*batch).balance(), eakte::domain::batch::Balance::Green);
    let mut content = Vec::new();
    let mut original = archive.original(&permit, documents[0].id, Some(1), None).unwrap();
    std::io::Read::read_to_end(&mut original.body, &mut content).unwrap();
    assert_eq!(content, b"Antrag auf einen Carport");
}

#[test]
fn an_archive_of_format_1_can_be_searched() {
    let folder = tempfile::tempdir().unwrap();
    let (_installation, archive, permit) = open(folder.path(), true);
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let page = archive.search(&permit, "Dachneigung", Filter::default(), 0, 10).unwrap();
        if let [hit] = page.hits.as_slice() {
            assert_eq!((hit.title.as_str(), hit.page), ("Antrag", Some(1)));
            assert_eq!(hit.file_reference.as_deref(), Some("60.10-2026/1"));
            break;
        }
        assert!(Instant::now() < deadline, "the document was not found in two minutes");
        std::thread::sleep(Duration::from_millis(100));
    }
    let page = archive.search(&permit, "Geheimnis", Filter::default(), 0, 10).unwrap();
    assert_eq!(page.total, 0, "the erased document is found");
}

/// The commands of `schema/README.md` work as they stand there.
#[test]
fn an_archive_of_format_1_is_read_by_coreutils_and_jq() {
    let has = |tool: &str| std::process::Command::new(tool).arg("--version").output().is_ok();
    if !(has("sha256sum") && has("jq") && has("sh")) {
        return skipped("an_archive_of_format_1_is_read_by_coreutils_and_jq", "sha256sum or jq is missing");
    }
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/README.md")).unwrap();
    let script = readme.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let run = |folder: &Path| {
        let output = std::process::Command::new("sh")
            .args(["-c", script])
            .current_dir(folder.join("t/t"))
            .output()
            .unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (out, err) = run(&fixture());
    assert_eq!(err, "", "{out}");
    assert!(out.lines().any(|line| line.contains("\tdocument.received\tdocument/")), "{out}");
    assert!(out.lines().all(|line| line.split('\t').count() == 3), "{out}");

    // And they notice damage.
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(), folder.path());
    let commits = folder.path().join("t/t/j/000000000");
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(commits).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let text = std::fs::read_to_string(&names[1]).unwrap().replacen("nonce ", "nonce  ", 1);
    std::fs::File::create(&names[1]).unwrap().write_all(text.as_bytes()).unwrap();
    let (out, _) = run(folder.path());
    assert!(out.contains("does not follow"), "{out}");
}

/// Makes the archive: a small town in which everything happens once.
fn make() {
    let _ = std::fs::remove_dir_all(fixture());
    let folder = tempfile::tempdir().unwrap();
    let place = Place::directory(folder.path());
    let store = place.data.join("store");
    std::fs::remove_dir_all(folder.path()).unwrap();
    let document = {
        let installation =
            Installation::create(place.clone(), settings(false), clock(), Arc::new(SeededEntropy::new(1)))
                .unwrap();
        installation
            .create_tenant(&NewTenant {
                slug: tenant(),
                name: line("Stadt Steverau"),
                reference_template: "{plan}-{year}/{seq}".parse().unwrap(),
            })
            .unwrap();
        let archive = installation.archive(&tenant()).unwrap();
        let permit = archive.permit(&place.local_token(&tenant()).unwrap()).unwrap();
        let (document, case_file) = take_in(&archive, &permit);
        let _ = case_file;
        document
    };
    finish(&store, document);
    copy(&store, &fixture());
}

/// Units, file plan, a case file, a batch with a paper that will be erased.
fn take_in(archive: &Archive, permit: &Permit) -> ((DocumentId, DocumentId), CaseFileId) {
    archive.create_unit(permit, &NewUnit { code: line("6"), name: line("Bauen"), parent: None }).unwrap();
    let bauamt = NewUnit { code: line("60"), name: line("Bauamt"), parent: Some(line("6")) };
    let (unit, _) = archive.create_unit(permit, &bauamt).unwrap();
    let plan_unit = NewPlanUnit {
        code: line("60.10"),
        title: line("Baugenehmigungen"),
        parent: None,
        retention_class: Some(line("30")),
        disposal: Some(Disposal::Appraise),
        legal_basis: Some(line("Satzung der Stadt Steverau")),
    };
    archive.create_plan_unit(permit, &plan_unit).unwrap();
    let new = NewCaseFile { plan_unit: line("60.10"), wish: wish(unit) };
    let (case_file, _) = archive.open_case_file(permit, &new).unwrap();

    let papers = tempfile::tempdir().unwrap();
    for (name, text) in
        [("1 Antrag.txt", "Antrag auf einen Carport"), ("2 Irrlaeufer.txt", "Geheimnis"), ("3 leer.txt", "")]
    {
        std::fs::File::create(papers.path().join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }
    let entries = Walk::new(papers.path()).map(|found| Entry {
        arrival: Arrival {
            title: found.shown.contains("Antrag").then(|| line("Antrag")),
            ..Arrival::named(&found.shown, Origin::Scan)
        },
        target: Some(case_file),
        findings: Vec::new(),
        declared: Declared::default(),
        found,
    });
    let report =
        archive.ingest(permit, &batch_facts("Karton 1"), entries, &AtomicBool::new(false), &|_| {}).unwrap();
    assert_eq!((report.received, report.rejected), (2, 1));

    // The same bytes again in a second batch, for the paper that stays.
    std::fs::remove_file(papers.path().join("2 Irrlaeufer.txt")).unwrap();
    std::fs::remove_file(papers.path().join("3 leer.txt")).unwrap();
    let entries = Walk::new(papers.path()).map(|found| Entry {
        arrival: Arrival::named(&found.shown, Origin::Scan),
        target: Some(case_file),
        findings: Vec::new(),
        declared: Declared::default(),
        found,
    });
    archive.ingest(permit, &batch_facts("Karton 2"), entries, &AtomicBool::new(false), &|_| {}).unwrap();

    let letter =
        Arrival { idempotency_key: Some("brief-1".into()), ..Arrival::named("Brief.txt", Origin::Mail) };
    let outcome = archive
        .receive(permit, &letter, None, &mut &b"Rueckfrage zum Carport"[..], &Declared::default())
        .unwrap();
    let Outcome::Received(letter) = outcome else { panic!("{outcome:?}") };
    let letters = OpenCaseFile { title: line("Schriftwechsel"), import_key: None, ..wish(unit) };
    let new = NewCaseFile { plan_unit: line("60.10"), wish: letters };
    let (letters, _) = archive.open_case_file(permit, &new).unwrap();
    let why = line("gehört zum Schriftwechsel");
    archive.file_document(permit, letter.document, letters, Some(&why), None).unwrap();
    let day = Some("2026-03-01".parse().unwrap());
    archive.close_case_file(permit, case_file, day, Some(line("erledigt"))).unwrap();

    let documents = archive.documents_of(permit, Some(case_file), None, 10).unwrap().items;
    let of = |title: &str| {
        documents.iter().find(|state| state.row.received.title.contains(title)).map(|state| state.id).unwrap()
    };
    ((of("Antrag"), of("Irrlaeufer")), case_file)
}

/// What no use case does by itself today: readings, versions, erasing, sweeping.
fn finish(store: &Path, (stays, goes): (DocumentId, DocumentId)) {
    let disk: Arc<dyn ObjectStore> = Arc::new(Disk::open(store).unwrap());
    let scratch = tempfile::tempdir().unwrap();
    let catalogue = Arc::new(Catalogue::open(scratch.path(), 1 << 20).unwrap());
    let layout = Layout::new(&tenant());
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(2));
    let parts = Parts {
        store: disk.clone(),
        layout: layout.clone(),
        projection: catalogue.clone(),
        clock: clock(),
        entropy,
        software: eakte::archive::SOFTWARE.to_owned(),
        patience: Box::new(|attempt| attempt < 3),
    };
    let journal = Journal::open(parts, Settings::default(), |_| {}).unwrap();
    let append = |events: Vec<NewEvent>, erases: Vec<LeafRange>| -> Receipt {
        let command = Command::record(Context::by(Actor::System), Decision { guards: Vec::new(), events });
        journal.append(Command { erases, ..command }).unwrap()
    };
    let publish = |owner: DocumentId, name: &str, bytes: &[u8]| {
        let mut staging = disk.stage().unwrap();
        staging.write_all(bytes).unwrap();
        let staged = staging.finish().unwrap();
        let (sha256, size) = (staged.digest(), staged.size_bytes());
        disk.publish(&staged, &layout.object(owner.into(), &sha256)).unwrap();
        ObjectRef { name: name.to_owned(), sha256, size, enc: Encoding::None }
    };
    let second = publish(stays, "Antrag, unterschrieben.txt", b"Antrag auf einen Carport, unterschrieben");
    let version = VersionAdded {
        number: 2,
        source_name: "Antrag, unterschrieben.txt".into(),
        media_type: "text/plain".into(),
        findings: vec![Finding { code: FindingCode::Signed, page: None, detail: None }],
        idempotency_key: None,
    };
    append(vec![NewEvent::with(stays, Event::VersionAdded(version), vec![second])], Vec::new());
    let text = r#"{"format":"eakte-text/1","pages":[{"number":1,"source":"text","text":"Antrag auf einen Carport mit einer Dachneigung von 8 Grad"}],"engine":"fixture"}"#;
    let text = publish(stays, "text.json", text.as_bytes());
    let reading = DocumentDigitised {
        generation: 1,
        of_version: 2,
        engine: "fixture".into(),
        pages: 1,
        ocr_pages: 0,
        ocr_pending: 0,
        blank_pages: 0,
        mean_confidence: None,
        text: Some(text.sha256),
        pdf: None,
        findings: Vec::new(),
    };
    append(vec![NewEvent::with(stays, Event::DocumentDigitised(reading), vec![text])], Vec::new());

    let tenant = EntityId::from(catalogue.tenant().unwrap().unwrap().id);
    let leaves = catalogue.leaves_of(goes.into()).unwrap();
    let original = catalogue.document(goes).unwrap().unwrap().versions[0].original.clone();
    let ranges: Vec<LeafRange> = leaves.iter().map(|(at, _)| LeafRange { first: *at, last: *at }).collect();
    let permitted = ErasurePermitted { entities: vec![goes.into()], leaves: ranges.clone() };
    let receipt = append(vec![NewEvent::new(tenant, Event::ErasurePermitted(permitted))], ranges);
    let mut keys: Vec<_> = leaves.iter().map(|(_, payload)| layout.payload(payload)).collect();
    keys.push(layout.object(goes.into(), &original.sha256));
    disk.delete(&keys).unwrap();
    let completed = ErasureCompleted { permitted_by: receipt.seq };
    append(vec![NewEvent::new(tenant, Event::ErasureCompleted(completed))], Vec::new());
    let swept = ObjectsSwept { objects: vec![format!("o/00/{}-{}", uuid::Uuid::nil(), original.sha256)] };
    append(vec![NewEvent::new(tenant, Event::ObjectsSwept(swept))], Vec::new());
}

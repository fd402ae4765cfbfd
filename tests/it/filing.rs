//! Filing documents, adding versions to them, counting pages: through the façade.

use crate::support::town::{batch_facts, line, whole, wish};
use crate::support::{TestArchive, settings};
use eakte::archive::{Error, Kind, NewCaseFile, NewPlanUnit, NewUnit};
use eakte::domain::batch::{Balance, PageCheck};
use eakte::domain::case_file::OpenCaseFile;
use eakte::domain::codes::{Medium, Origin};
use eakte::domain::document::Arrival;
use eakte::domain::finding::{Finding, FindingCode};
use eakte::domain::{BatchId, CaseFileId, Digest, DocumentId};
use eakte::ingest::{Accepted, BatchFacts, Declared, Entry, FileStatus, NewVersion, Outcome, Walk};
use eakte::search::Filter;
use eakte::store::{Disk, ObjectStore};
use eakte::verify::VerifyOptions;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A town with a unit and a plan unit.
fn town(background: bool) -> TestArchive {
    let town = TestArchive::new(background);
    let unit = NewUnit { code: line("60"), name: line("Bauamt"), parent: None };
    town.archive.create_unit(&town.permit, &unit).unwrap();
    let plan_unit = NewPlanUnit {
        code: line("60.10"),
        title: line("Baugenehmigungen"),
        parent: None,
        retention_class: Some(line("30")),
        disposal: None,
        legal_basis: None,
    };
    town.archive.create_plan_unit(&town.permit, &plan_unit).unwrap();
    town
}

fn open_with(town: &TestArchive, title: &str, change: impl FnOnce(&mut OpenCaseFile)) -> CaseFileId {
    let unit = town.archive.unit_named("60").unwrap();
    let mut wish = OpenCaseFile { title: line(title), import_key: None, ..wish(unit) };
    change(&mut wish);
    let new = NewCaseFile { plan_unit: line("60.10"), wish };
    town.archive.open_case_file(&town.permit, &new).unwrap().0
}

fn open(town: &TestArchive, title: &str) -> CaseFileId {
    open_with(town, title, |_| {})
}

fn receive(town: &TestArchive, target: Option<CaseFileId>, text: &str) -> Accepted {
    let arrival = Arrival::named("Brief.txt", Origin::Upload);
    let outcome =
        town.archive.receive(&town.permit, &arrival, target, &mut text.as_bytes(), &Declared::default());
    match outcome.unwrap() {
        Outcome::Received(accepted) => accepted,
        other => panic!("{other:?}"),
    }
}

fn file(town: &TestArchive, id: DocumentId, target: CaseFileId) -> Result<Option<CaseFileId>, Error> {
    town.archive.file_document(&town.permit, id, target, None, None).map(|state| state.row.case_file)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, kind: Kind, part: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.public.contains(part), "{error}");
}

fn documents(town: &TestArchive, case_file: Option<CaseFileId>) -> Vec<DocumentId> {
    let page = town.archive.documents_of(&town.permit, case_file, None, 100).unwrap();
    page.items.iter().map(|state| state.id).collect()
}

/// Everything fits together: the chain, every object, and a fresh catalogue is equal to the grown one.
fn check(town: &TestArchive) {
    town.archive.follow().unwrap();
    let report = town.archive.verify(&town.permit, &VerifyOptions::default(), &|_| {}).unwrap();
    assert_eq!((report.findings, report.notices), (Vec::new(), Vec::new()));
    let store: Arc<dyn ObjectStore> =
        Arc::new(Disk::open_to_read(town.folder.path().join("data/store")).unwrap());
    whole(&town.archive, &store, &town.folder.path().join("fresh"), "filing");
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(4);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn a_document_goes_from_the_inbox_into_a_case_file_and_on_into_another() {
    let town = town(false);
    let (first, second) = (open(&town, "Carport"), open(&town, "Garage"));
    let mut arrival = Arrival::named("Antrag.txt", Origin::Scan);
    arrival.unit = Some(town.archive.unit_named("60").unwrap());
    let batch = town.archive.open_batch(&town.permit, &batch_facts("Karton 1")).unwrap();
    let unfiled = Finding { code: FindingCode::Unfiled, page: None, detail: Some("Akte „x“".into()) };
    let status = town
        .archive
        .receive_in_batch(
            &town.permit,
            batch,
            &arrival,
            None,
            &mut vec![unfiled],
            &mut &b"Antrag"[..],
            &Declared::default(),
        )
        .unwrap();
    let FileStatus::Received(accepted) = status else { panic!("{status:?}") };
    let id = accepted.document;
    let state = town.archive.document(&town.permit, id).unwrap();
    assert_eq!(state.findings().len(), 1);
    assert_eq!(documents(&town, None), [id]);

    let why = line("liegt auf dem falschen Stapel");
    let state = town.archive.file_document(&town.permit, id, first, Some(&why), None).unwrap();
    assert_eq!((state.row.case_file, state.findings()), (Some(first), Vec::new()));
    assert_eq!(state.file_reference.as_deref(), Some("60.10-2026/1"));
    assert_eq!((documents(&town, None), documents(&town, Some(first))), (vec![], vec![id]));
    // Repeated, it is the same request.
    assert_eq!(file(&town, id, first).unwrap(), Some(first));

    assert_eq!(file(&town, id, second).unwrap(), Some(second));
    assert_eq!((documents(&town, Some(first)), documents(&town, Some(second))), (vec![], vec![id]));
    let events = town.archive.events(&town.permit, id.into()).unwrap();
    let kinds: Vec<_> = events.iter().map(eakte::archive::EventView::kind).collect();
    assert_eq!(kinds, ["document.received", "document.filed", "document.filed"]);
    assert_eq!(events[1].recorded.context.reason.as_deref(), Some("liegt auf dem falschen Stapel"));

    // Its bytes are free where it lay and taken where it lies.
    let inbox = receive(&town, None, "Antrag");
    assert_ne!(inbox.document, id);
    let again = town.archive.receive(
        &town.permit,
        &Arrival::named("x", Origin::Upload),
        Some(second),
        &mut &b"Antrag"[..],
        &Declared::default(),
    );
    assert!(matches!(again.unwrap(), Outcome::Duplicate(accepted) if accepted.document == id));
    check(&town);
}

#[test]
fn closed_files_paper_files_and_equal_bytes_stop_a_filing_with_a_sentence() {
    let town = town(false);
    let (open_file, closed) = (open(&town, "Carport"), open(&town, "Garage"));
    let paper = open_with(&town, "Plan", |wish| {
        wish.medium = Medium::Paper;
        wish.paper_location = Some(line("Regal 4"));
    });
    let kept = receive(&town, Some(closed), "Bescheid").document;
    let loose = receive(&town, None, "Antrag").document;
    let twin = receive(&town, Some(open_file), "Antrag").document;
    town.archive.close_case_file(&town.permit, closed, None, None).unwrap();

    refused(file(&town, kept, open_file), Kind::Conflict, "was darin liegt, bleibt darin");
    refused(file(&town, loose, closed), Kind::Conflict, "nimmt keine Dokumente mehr auf");
    refused(file(&town, loose, paper), Kind::Conflict, "nur auf Papier");
    refused(file(&town, loose, open_file), Kind::Conflict, &twin.to_string());
    let nowhere = "018f0000-0000-7000-8000-000000000000";
    refused(file(&town, loose, nowhere.parse().unwrap()), Kind::Missing, "Akte");
    refused(file(&town, nowhere.parse().unwrap(), open_file), Kind::Missing, "Dokument");
    assert_eq!((documents(&town, None), documents(&town, Some(closed))), (vec![loose], vec![kept]));
    let version = |id| {
        let new = NewVersion { source_name: "neu.txt".into(), ..NewVersion::default() };
        town.archive.add_version(&town.permit, id, &new, &mut &b"neu"[..], &Declared::default())
    };
    refused(version(kept), Kind::Conflict, "geschlossen");
    // What came with it long ago may still be corrected.
    assert!(version(twin).is_ok());
    check(&town);
}

#[test]
fn who_saw_an_older_state_is_told_so() {
    let town = town(false);
    let (first, second) = (open(&town, "Carport"), open(&town, "Garage"));
    let id = receive(&town, None, "Antrag").document;
    let seen = town.archive.document(&town.permit, id).unwrap().row.origin.seq;
    let file = |target, seen| town.archive.file_document(&town.permit, id, target, None, Some(seen));
    let now = file(first, seen).unwrap().row.origin.seq;
    refused(file(second, seen), Kind::Changed, "inzwischen geändert");
    // The same request once more, its answer lost: it is done.
    assert_eq!(file(first, seen).unwrap().row.origin.seq, now);
    assert_eq!(file(second, now).unwrap().row.case_file, Some(second));
}

#[test]
fn of_many_who_file_the_same_bytes_into_one_case_file_one_succeeds() {
    let town = town(false);
    let target = open(&town, "Carport");
    let others: Vec<CaseFileId> = (0..8).map(|number| open(&town, &format!("Akte {number}"))).collect();
    let ids: Vec<DocumentId> =
        others.iter().map(|other| receive(&town, Some(*other), "Antrag").document).collect();
    let results: Vec<_> = std::thread::scope(|scope| {
        let town = &town;
        let threads: Vec<_> = ids.iter().map(|id| scope.spawn(move || file(town, *id, target))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let filed: Vec<_> = ids.iter().zip(&results).filter(|(_, result)| result.is_ok()).collect();
    let [(winner, _)] = filed.as_slice() else { panic!("{results:?}") };
    assert_eq!(documents(&town, Some(target)), [**winner]);
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(error.public.contains(&winner.to_string()), "{error}");
    }
    check(&town);
}

#[test]
fn a_repeated_run_knows_what_was_filed_meanwhile() {
    let town = town(false);
    let (first, second) = (open(&town, "Carport"), open(&town, "Garage"));
    let papers = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::File::create(papers.path().join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    };
    write("1 Antrag.txt", "Antrag");
    write("2 Plan.txt", "Plan");
    let run = |target: Option<CaseFileId>| {
        let entries = Walk::new(papers.path()).map(|found| Entry {
            arrival: Arrival::named(&found.shown, Origin::Scan),
            target: target.filter(|_| found.shown.contains("Plan")),
            findings: Vec::new(),
            declared: Declared::default(),
            found,
        });
        let facts = batch_facts("Karton 1");
        let stop = AtomicBool::new(false);
        town.archive.ingest(&town.permit, &facts, entries, &stop, &|_| {}).unwrap()
    };
    assert_eq!(run(Some(first)).received, 2);
    let antrag = documents(&town, None)[0];
    let plan = documents(&town, Some(first))[0];
    file(&town, antrag, first).unwrap();
    file(&town, plan, second).unwrap();
    for _ in 0..2 {
        let report = run(Some(first));
        assert_eq!((report.received, report.duplicate, report.failed), (0, 2, 0));
    }
    assert_eq!(town.archive.health().unwrap().summary.documents, 2);
    // Neither when the case file it once went to has been closed since.
    town.archive.close_case_file(&town.permit, first, None, None).unwrap();
    let report = run(Some(first));
    assert_eq!((report.received, report.duplicate, report.failed), (0, 2, 0));
    // Other bytes under the same name are something new, and so is another place.
    write("1 Antrag.txt", "Antrag, geändert");
    assert_eq!(run(Some(first)).received, 1);
    assert_eq!(run(Some(open(&town, "Dritte"))).received, 1);
    check(&town);
}

fn add(
    town: &TestArchive,
    id: DocumentId,
    text: &str,
    change: impl FnOnce(&mut NewVersion),
) -> Result<Outcome, Error> {
    let mut new = NewVersion { source_name: "Brief neu.txt".into(), ..NewVersion::default() };
    change(&mut new);
    town.archive.add_version(&town.permit, id, &new, &mut text.as_bytes(), &Declared::default())
}

#[test]
fn versions_follow_each_other_and_earlier_ones_stay_readable() {
    let town = town(false);
    let id = receive(&town, None, "eins").document;
    let Outcome::Received(second) = add(&town, id, "zwei", |_| {}).unwrap() else { panic!() };
    assert_eq!((second.version, second.document), (2, id));
    // The same bytes add nothing, but an earlier state may come back.
    let again = add(&town, id, "zwei", |_| {}).unwrap();
    assert_eq!(again, Outcome::Duplicate(second.clone()));
    let Outcome::Received(third) = add(&town, id, "eins", |_| {}).unwrap() else { panic!() };
    assert_eq!(third.version, 3);
    for (version, text) in [(Some(1), "eins"), (Some(2), "zwei"), (Some(3), "eins"), (None, "eins")] {
        let mut content = String::new();
        let mut original = town.archive.original(&town.permit, id, version, None).unwrap();
        original.body.read_to_string(&mut content).unwrap();
        assert_eq!(content, text, "{version:?}");
    }
    let receipts = town.archive.receipts(&town.permit, id).unwrap();
    let positions: Vec<_> = receipts.iter().map(|receipt| (receipt.version, receipt.position)).collect();
    assert_eq!(positions[1..], [(2, second.position), (3, third.position)]);
    assert_eq!(receipts[1].sha256, Digest::of(b"zwei"));

    // Two who saw the same version: the later one is told.
    refused(add(&town, id, "vier", |new| new.follows = Some(2)), Kind::Conflict, "Version 3");
    refused(add(&town, id, "vier", |new| new.seen = Some(1)), Kind::Changed, "inzwischen geändert");
    assert!(add(&town, id, "vier", |new| new.follows = Some(3)).is_ok());
    let outcome = add(&town, id, "", |_| {}).unwrap();
    assert!(matches!(outcome, Outcome::Rejected { .. }), "{outcome:?}");
    check(&town);
}

#[test]
fn a_version_sent_twice_under_one_key_is_one_version() {
    let town = town(false);
    let id = receive(&town, None, "eins").document;
    let other = receive(&town, None, "anderes").document;
    let keyed = |id, text: &str| add(&town, id, text, |new| new.idempotency_key = Some("k".into()));
    let first = keyed(id, "zwei").unwrap();
    add(&town, id, "drei", |_| {}).unwrap();
    // Repeated after someone else went on: still the same answer.
    assert_eq!(keyed(id, "zwei").unwrap(), first);
    refused(keyed(id, "vier"), Kind::Conflict, "Idempotenzschlüssel");
    refused(keyed(other, "zwei"), Kind::Conflict, "Idempotenzschlüssel");
    assert_eq!(town.archive.document(&town.permit, id).unwrap().row.versions.len(), 3);
    check(&town);
}

#[test]
fn of_many_who_follow_the_same_version_one_succeeds() {
    let town = town(false);
    let id = receive(&town, None, "eins").document;
    let results: Vec<_> = std::thread::scope(|scope| {
        let town = &town;
        let follow = |number| add(town, id, &format!("Fassung {number}"), |new| new.follows = Some(1));
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || follow(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    // Whoever does not care which version is the newest comes through.
    std::thread::scope(|scope| {
        for number in 0..4 {
            let town = &town;
            scope.spawn(move || add(town, id, &format!("Nachtrag {number}"), |_| {}).unwrap());
        }
    });
    assert_eq!(town.archive.document(&town.permit, id).unwrap().row.versions.len(), 6);
}

#[test]
fn what_was_filed_or_renewed_is_found_by_what_it_is_now() {
    let town = town(true);
    let (first, second) = (open(&town, "Carport"), open(&town, "Garage"));
    let id = receive(&town, Some(first), "Die Dachneigung beträgt acht Grad").document;
    let state = || town.archive.document(&town.permit, id).unwrap();
    let found = |word: &str, in_file: Option<CaseFileId>| {
        let filter = Filter { case_file_id: in_file.map(CaseFileId::uuid), ..Filter::default() };
        town.archive.search(&town.permit, word, filter, 0, 10).unwrap().hits
    };
    wait_until("the document is not read", || state().searchable);
    assert_eq!(found("Dachneigung", Some(first)).len(), 1);
    file(&town, id, second).unwrap();
    // At once out of the old one, and soon in the new one.
    assert_eq!(found("Dachneigung", Some(first)).len(), 0);
    wait_until("the filing is not indexed", || found("Dachneigung", Some(second)).len() == 1);
    let hit = &found("Garage Dachneigung", None)[0];
    assert_eq!((hit.case_file, hit.file_reference.as_deref()), (Some(second), Some("60.10-2026/2")));

    add(&town, id, "Die Traufhöhe beträgt drei Meter", |_| {}).unwrap();
    wait_until("the version is not read", || {
        let state = state();
        state.searchable && state.row.reading.is_some_and(|reading| reading.data.of_version == 2)
    });
    assert_eq!((found("Traufhöhe", None).len(), found("Dachneigung", None).len()), (1, 0));
    check(&town);
}

fn ingest(town: &TestArchive, facts: &BatchFacts, papers: &Path) -> BatchId {
    let entries = Walk::new(papers).map(|found| Entry {
        arrival: Arrival::named(&found.shown, Origin::Scan),
        target: None,
        findings: Vec::new(),
        declared: Declared::default(),
        found,
    });
    let stop = AtomicBool::new(false);
    let reports = Mutex::new(Vec::new());
    let report = |report: &eakte::ingest::FileReport| reports.lock().unwrap().push(report.clone());
    let done = town.archive.ingest(&town.permit, facts, entries, &stop, &report).unwrap();
    assert_eq!(done.failed, 0, "{reports:?}");
    done.batch.unwrap()
}

#[test]
fn counted_pages_are_held_against_those_that_were_read() {
    let town = town(false);
    let papers = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::File::create(papers.path().join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    };
    // A form feed begins a new page.
    write("1 Antrag.txt", "Seite eins\u{c}Seite zwei");
    write("2 Plan.txt", "eine Seite");
    write("3 noch einmal der Plan.txt", "eine Seite");
    let facts = BatchFacts { pages_expected: Some(5), ..batch_facts("Karton 1") };
    let batch = ingest(&town, &facts, papers.path());
    let look = |town: &TestArchive| {
        let row = town.archive.batch(&town.permit, batch).unwrap();
        let state = row.state(batch);
        assert_eq!(state.balance(), Balance::Green, "files and pages are two things");
        (state.page_check(row.counts(), row.pages_read()), row.pages_read())
    };
    assert_eq!(look(&town).0, PageCheck::Pending);
    let town = town.reopened(settings(true));
    wait_until("the batch is not read", || look(&town).1.unread == 0);
    let (check_result, read) = look(&town);
    assert_eq!((check_result, read.pages), (PageCheck::Differs, 4));
    let row = town.archive.batch(&town.permit, batch).unwrap();
    let said = row.state(batch).page_sentence(row.counts(), row.pages_read()).unwrap();
    assert_eq!(said, "gezählt 5 Seiten, gelesen 4 Seiten: BITTE PRÜFEN");

    // A version that comes later says nothing about the paper of the batch.
    let id = documents(&town, None)[0];
    add(&town, id, "a\u{c}b\u{c}c\u{c}d", |_| {}).unwrap();
    wait_until("the version is not read", || town.archive.document(&town.permit, id).unwrap().searchable);
    assert_eq!(look(&town).1, read);

    // What comes later under the same name has not been counted again.
    write("4 Nachtrag.txt", "noch eine");
    let more = ingest(&town, &facts, papers.path());
    assert_ne!(more, batch);
    let row = town.archive.batch(&town.permit, more).unwrap();
    assert_eq!(row.data.pages_expected, None);
    wait_until("the rest is not read", || town.archive.health().unwrap().unread == [0, 0, 0]);
    wait_until("the index does not follow", || {
        let health = town.archive.health().unwrap();
        health.indexed_seq >= health.journal.applied.seq
    });
    check(&town);
}

#[test]
fn what_someone_waits_for_is_read_before_the_backlog() {
    let town = town(false);
    let batch = town.archive.open_batch(&town.permit, &batch_facts("Rückstand")).unwrap();
    let arrive = |text: &str| {
        let arrival = Arrival::named(&format!("{text}.txt"), Origin::Scan);
        let (body, filing, declared) = (&mut text.as_bytes(), &mut Vec::new(), Declared::default());
        let status =
            town.archive.receive_in_batch(&town.permit, batch, &arrival, None, filing, body, &declared);
        let status = status.unwrap();
        let FileStatus::Received(accepted) = status else { panic!("{status:?}") };
        accepted.document
    };
    for number in 0..60 {
        arrive(&format!("Rückstand {number}"));
    }
    let mine = arrive("dringend");
    // Slow enough that the backlog is not done before we ask.
    let folder = tempfile::tempdir().unwrap();
    let worker = folder.path().join("worker.sh");
    let program = env!("CARGO_BIN_EXE_eakte");
    let script = format!("#!/bin/sh\nsleep 0.2\nexec {program} \"$@\"\n");
    std::fs::File::create(&worker).unwrap().write_all(script.as_bytes()).unwrap();
    std::fs::set_permissions(&worker, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let slow = eakte::archive::Settings { worker: Some(worker), digitise_threads: 1, ..settings(true) };
    let town = town.reopened(slow);
    town.archive.read_first(mine);
    wait_until("it is not read", || town.archive.document(&town.permit, mine).unwrap().row.reading.is_some());
    let left = town.archive.health().unwrap().unread[1];
    assert!(left > 20, "the backlog was read first: {left} are left");
}

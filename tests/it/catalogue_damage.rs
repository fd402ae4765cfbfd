//! `verify` with a replay finds whatever is wrong in the catalogue: each of its tables is tampered with in turn.

use crate::damage::{close, open};
use crate::support::town::{batch_facts, line, wish};
use crate::support::{TestArchive, tenant};
use eakte::archive::{NewCaseFile, NewPlanUnit, NewUnit, Place};
use eakte::domain::codes::Origin;
use eakte::domain::document::Arrival;
use eakte::ingest::{Declared, Entry, Walk};
use eakte::verify::{FaultKind, VerifyOptions, VerifyReport};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tempfile::TempDir;

/// First bytes of the keys of all tables but that of the marks for the search index (7).
const TABLES: [u8; 26] =
    [0, 1, 2, 3, 4, 5, 6, 16, 17, 18, 19, 20, 21, 22, 23, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42];

/// Changes rows.
type Tamper<'a> = Box<dyn Fn(&sled::Db) + 'a>;

fn filled() -> TestArchive {
    let town = TestArchive::new(false);
    let (archive, permit) = (&town.archive, &town.permit);
    archive.create_unit(permit, &NewUnit { code: line("60"), name: line("Bauamt"), parent: None }).unwrap();
    let plan_unit = NewPlanUnit {
        code: line("60.10"),
        title: line("Baugenehmigungen"),
        parent: None,
        retention_class: Some(line("30")),
        disposal: None,
        legal_basis: None,
    };
    archive.create_plan_unit(permit, &plan_unit).unwrap();
    let unit = archive.unit_named("60").unwrap();
    let new = NewCaseFile { plan_unit: line("60.10"), wish: wish(unit) };
    let (case_file, _) = archive.open_case_file(permit, &new).unwrap();
    let papers = town.folder.path().join("papers");
    fs::create_dir(&papers).unwrap();
    for (name, text) in [("1", "Antrag"), ("2", "Plan"), ("3", "Plan"), ("4", "")] {
        fs::File::create(papers.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }
    let entries = Walk::new(&papers).map(|found| Entry {
        arrival: Arrival::named(&found.shown, Origin::Scan),
        target: (found.shown != "1").then_some(case_file),
        findings: Vec::new(),
        declared: Declared::default(),
        found,
    });
    archive.ingest(permit, &batch_facts("Karton 1"), entries, &AtomicBool::new(false), &|_| {}).unwrap();
    town
}

fn check(folder: &TempDir, replay: bool) -> VerifyReport {
    let options = VerifyOptions { replay, ..VerifyOptions::default() };
    open(folder).verify(&tenant(), &options, &|_| {}).unwrap()
}

/// Works on the catalogue's rows while nobody has it open.
fn rows<T>(folder: &TempDir, work: impl FnOnce(&sled::Db) -> T) -> T {
    let place = Place::directory(&folder.path().join("data"));
    let path = place.tenant_dir(&tenant()).join("catalogue");
    // Whoever had it open a moment ago may still be letting go of it.
    let db = (0..500)
        .find_map(|_| {
            let opened = sled::Config::new().path(&path).open().ok();
            if opened.is_none() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            opened
        })
        .expect("the catalogue opens");
    let done = work(&db);
    db.flush().unwrap();
    done
}

fn left_behind(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().filter(|entry| is_check(&entry.as_ref().unwrap().file_name())).count()
}

fn is_check(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("catalogue.check-")
}

#[test]
fn a_row_that_is_missing_changed_or_too_much_in_any_table_is_found() {
    let closed = close(filled());
    let folder = &closed.folder;
    assert_eq!(check(folder, true).findings, []);
    let mut first = BTreeMap::<u8, (sled::IVec, sled::IVec)>::new();
    rows(folder, |db| {
        for entry in db.iter() {
            let (key, value) = entry.unwrap();
            // Of the marks of the catalogue itself, the totals.
            if key[0] != 0 || &key[1..] == b"summary" {
                first.entry(key[0]).or_insert((key, value));
            }
        }
    });
    first.remove(&7);
    let tables: BTreeSet<u8> = first.keys().copied().collect();
    assert_eq!(tables, BTreeSet::from(TABLES), "every table has a row");
    for (table, (key, value)) in first {
        let changed = [value.as_ref(), b" "].concat();
        let extra = [key.as_ref(), b"\xff"].concat();
        let tamperings: [(&str, Tamper<'_>); 3] = [
            ("missing", Box::new(|db| drop(db.remove(&key).unwrap()))),
            ("changed", Box::new(|db| drop(db.insert(&key, changed.clone()).unwrap()))),
            ("extra", Box::new(|db| drop(db.insert(extra.clone(), value.as_ref()).unwrap()))),
        ];
        for (how, tamper) in tamperings {
            rows(folder, |db| tamper(db));
            let report = check(folder, true);
            let kinds: Vec<_> = report.findings.iter().map(|fault| fault.kind).collect();
            let found = [FaultKind::CatalogueDiffers, FaultKind::CatalogueDamaged];
            assert!(kinds.iter().any(|kind| found.contains(kind)), "table {table}, {how}: {report:?}");
            assert!(
                report.findings.iter().all(|fault| found.contains(&fault.kind)),
                "{table} {how}: {report:?}"
            );
            rows(folder, |db| {
                db.remove(&extra).unwrap();
                db.insert(&key, value.as_ref()).unwrap();
            });
        }
    }
    assert_eq!(check(folder, true).findings, []);
    let place = Place::directory(&folder.path().join("data"));
    assert_eq!(left_behind(&place.tenant_dir(&tenant())), 0);
}

#[test]
fn lists_that_lack_a_row_are_found_without_a_replay() {
    let closed = close(filled());
    let folder = &closed.folder;
    for table in [2, 6, 18, 19, 32, 33, 34, 36, 37, 38, 39, 42] {
        let (key, value) = rows(folder, |db| db.scan_prefix([table]).next().unwrap().unwrap());
        rows(folder, |db| drop(db.remove(&key).unwrap()));
        let report = check(folder, false);
        assert!(!report.findings.is_empty(), "table {table}");
        rows(folder, |db| drop(db.insert(&key, value).unwrap()));
    }
    assert_eq!(check(folder, false).findings, []);
}

#[test]
fn a_replay_beside_a_busy_archive_finds_nothing_and_sees_what_is_wrong() {
    let town = filled();
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let options = VerifyOptions { replay: true, ..VerifyOptions::default() };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Acquire) {
                    let number = count.fetch_add(1, Ordering::Relaxed);
                    let arrival = Arrival::named("Brief.txt", Origin::Upload);
                    let text = format!("Brief {number}");
                    let mut body = text.as_bytes();
                    town.archive
                        .receive(&town.permit, &arrival, None, &mut body, &Declared::default())
                        .unwrap();
                }
            });
        }
        for _ in 0..8 {
            let report = town.archive.verify(&town.permit, &options, &|_| {}).unwrap();
            stop.store(!report.findings.is_empty(), Ordering::Release);
            assert_eq!(report.findings, []);
        }
        stop.store(true, Ordering::Release);
    });
    assert!(count.load(Ordering::Relaxed) > 8);
    let place = Place::directory(&town.folder.path().join("data"));
    assert_eq!(left_behind(&place.tenant_dir(&tenant())), 0);
}

#[test]
fn what_a_killed_check_left_is_removed_at_the_next_start() {
    let closed = close(filled());
    let place = Place::directory(&closed.folder.path().join("data"));
    let directory = place.tenant_dir(&tenant());
    fs::create_dir(directory.join("catalogue.check-00")).unwrap();
    open(&closed.folder).archive(&tenant()).unwrap();
    assert_eq!(left_behind(&directory), 0);
}

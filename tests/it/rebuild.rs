//! Projections that were wiped and built again are equal to those that grew.

use crate::damage::{close, open, read_all, store_dir, verify_on_disk, write_all};
use crate::support::{FixedClock, TestArchive, settings, tenant};
use eakte::archive::{Archive, Installation, Kind, NewCaseFile, NewPlanUnit, NewUnit, Permit, Place};
use eakte::catalogue::Catalogue;
use eakte::clock::SystemEntropy;
use eakte::domain::case_file::OpenCaseFile;
use eakte::domain::codes::{Medium, Origin, Protection};
use eakte::domain::document::Arrival;
use eakte::domain::text::Line;
use eakte::domain::{CaseFileId, DocumentId, UnitId};
use eakte::ingest::{BatchFacts, Declared, NewVersion, Outcome};
use eakte::search::Filter;
use eakte::verify::{FaultKind, VerifyOptions};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A small generator (xorshift): the same seed, the same history.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[usize::try_from(self.roll(items.len() as u64)).unwrap()]
    }
}

fn line(text: &str) -> Line {
    Line::new(text).unwrap()
}

fn wish(unit: UnitId, title: &str) -> OpenCaseFile {
    OpenCaseFile {
        reference: None,
        aliases: vec![line(&format!("alt {title}"))],
        title: line(title),
        unit,
        case_type: line("Bauakte"),
        protection: Protection::ALL[0],
        retention_class: None,
        medium: Medium::Electronic,
        paper_location: None,
        begins_on: None,
        ends_on: None,
        closed_on: None,
        parties: Vec::new(),
        fields: BTreeMap::new(),
        import_key: None,
    }
}

fn facts(name: &str) -> BatchFacts {
    BatchFacts::named(name, "scan")
}

const WORDS: [&str; 8] =
    ["Bauantrag", "Gewerbe", "Hundesteuer", "Bescheid", "Straße", "Wohngeld", "Satzung", "Kita"];

fn grow(town: &TestArchive, dice: &mut Dice, steps: u64) {
    let (archive, permit) = (&*town.archive, &town.permit);
    let unit = NewUnit { code: line("60"), name: line("Bauamt"), parent: None };
    let unit = archive.create_unit(permit, &unit).unwrap().0;
    let plan = NewPlanUnit {
        code: line("60.10"),
        title: line("Bauanträge"),
        parent: None,
        retention_class: Some(line("10")),
        disposal: None,
        legal_basis: None,
    };
    archive.create_plan_unit(permit, &plan).unwrap();
    let mut case_files: Vec<Option<CaseFileId>> = vec![None];
    let mut documents: Vec<DocumentId> = Vec::new();
    let (mut filed, mut versions) = (0, 0);
    for step in 0..steps {
        match dice.roll(12) {
            2 if documents.len() > 2 => {
                let (id, target) = (*dice.choose(&documents), *dice.choose(&case_files));
                let Some(target) = target else { continue };
                // The same bytes may lie there already.
                match archive.file_document(permit, id, target, Some(&line("falsch abgelegt")), None) {
                    Ok(state) => {
                        assert_eq!(state.row.case_file, Some(target));
                        filed += 1;
                    }
                    Err(error) => assert_eq!(error.kind, Kind::Conflict, "{error}"),
                }
            }
            3 if !documents.is_empty() => {
                let new = NewVersion { source_name: format!("Neu {step}.txt"), ..NewVersion::default() };
                let text = format!("{} neue Fassung {}", dice.choose(&WORDS), dice.roll(5));
                let id = *dice.choose(&documents);
                let body = &mut text.as_bytes();
                let outcome = archive.add_version(permit, id, &new, body, &Declared::default()).unwrap();
                versions += u32::from(matches!(outcome, Outcome::Received(_)));
            }
            0 => {
                let mut wish = wish(unit, &format!("Akte {step}"));
                if dice.roll(2) == 0 {
                    wish.import_key = Some(format!("alt-{}", dice.roll(4)));
                }
                let new = NewCaseFile { plan_unit: line("60.10"), wish };
                case_files.push(Some(archive.open_case_file(permit, &new).unwrap().0));
            }
            1 => {
                let facts = facts(&format!("Charge {step}"));
                let batch = archive.open_batch(permit, &facts).unwrap();
                let count = dice.roll(3);
                for number in 0..count {
                    let mut arrival = Arrival::named(&format!("Scan {step}-{number}.txt"), Origin::Scan);
                    arrival.batch = Some(batch);
                    arrival.source_path = Some(format!("Scan {step}-{number}.txt"));
                    let text = format!("{} Charge {step} Blatt {number}", dice.choose(&WORDS));
                    let outcome = archive
                        .receive(permit, &arrival, None, &mut text.as_bytes(), &Declared::default())
                        .unwrap();
                    if let Outcome::Received(accepted) = outcome {
                        documents.push(accepted.document);
                    }
                }
                archive.close_batch(permit, batch, count).unwrap();
            }
            _ => {
                let word = dice.choose(&WORDS);
                let mut arrival = Arrival::named(&format!("{word} {step}.txt"), Origin::Upload);
                if dice.roll(3) == 0 {
                    arrival.idempotency_key = Some(format!("schluessel {step}"));
                }
                let target = *dice.choose(&case_files);
                // Few different texts, so that some are duplicates.
                let text = format!("{word} {}", dice.roll(30));
                let outcome =
                    archive.receive(permit, &arrival, target, &mut text.as_bytes(), &Declared::default());
                match outcome.unwrap() {
                    Outcome::Received(accepted) => documents.push(accepted.document),
                    Outcome::Duplicate(_) => {}
                    rejected @ Outcome::Rejected { .. } => panic!("{rejected:?}"),
                }
            }
        }
    }
    println!("{filed} filed, {versions} versions");
    assert!(steps < 50 || (filed > 0 && versions > 0));
}

fn dump(catalogue: &Catalogue) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    catalogue.dump(&mut |key, value| rows.push((key.to_vec(), value.to_vec()))).unwrap();
    rows
}

/// What every word finds.
fn searches(archive: &Archive, permit: &Permit) -> Vec<(u64, Vec<(String, String)>)> {
    let search = |word: &&str| {
        let page = archive.search(permit, word, Filter::default(), 0, 1_000).unwrap();
        let mut hits: Vec<_> =
            page.hits.into_iter().map(|hit| (hit.document.to_string(), hit.title)).collect();
        hits.sort();
        (page.total, hits)
    };
    WORDS.iter().map(search).collect()
}

fn wait_for_index(archive: &Archive) {
    for _ in 0..1_200 {
        let health = archive.health().unwrap();
        if health.indexed_seq >= health.journal.applied.seq {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the search index does not follow");
}

fn reopen(folder: &tempfile::TempDir, background: bool) -> Installation {
    let clock = Arc::new(FixedClock("2026-03-20T08:00:00Z".parse().unwrap()));
    let place = Place::directory(&folder.path().join("data"));
    Installation::open(place, settings(background), clock, Arc::new(SystemEntropy)).unwrap()
}

fn tenant_dir(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("data/tenants/t")
}

#[test]
fn wiped_and_grown_projections_are_equal_over_random_histories() {
    for seed in [1, 2, 3_u64] {
        println!("seed {seed}");
        let town = TestArchive::new(true);
        grow(&town, &mut Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed)), 60);
        wait_for_index(&town.archive);
        let grown = (dump(town.archive.catalogue()), searches(&town.archive, &town.permit));
        assert!(grown.1.iter().any(|(total, _)| *total > 0));
        let token = town.token.clone();
        let folder = close(town).folder;

        // Built beside and switched.
        let installation = reopen(&folder, true);
        let seen = std::sync::atomic::AtomicU64::new(0);
        let report = installation
            .rebuild(&tenant(), &|progress| {
                seen.fetch_max(progress.done, std::sync::atomic::Ordering::Relaxed);
            })
            .unwrap();
        assert!(seen.into_inner() >= report.commits.min(report.documents));
        check(&installation, &token, &grown, "rebuilt");
        let root = installation.verify(&tenant(), &VerifyOptions::default(), &|_| {}).unwrap().root;
        assert_eq!(report.root, root);
        drop(installation);

        // Deleted by hand: the next start heals.
        for names in [vec!["catalogue"], vec!["search"], vec!["catalogue", "search"]] {
            for name in &names {
                fs::remove_dir_all(tenant_dir(&folder).join(name)).unwrap();
            }
            check(&reopen(&folder, true), &token, &grown, &format!("without {names:?}"));
        }
    }
}

type Shape = (Vec<(Vec<u8>, Vec<u8>)>, Vec<(u64, Vec<(String, String)>)>);

fn check(installation: &Installation, token: &str, grown: &Shape, how: &str) {
    let archive = installation.archive(&tenant()).unwrap();
    wait_for_index(&archive);
    let permit = archive.permit(token).unwrap();
    assert!(dump(archive.catalogue()) == grown.0, "{how}: another catalogue");
    assert_eq!(searches(&archive, &permit), grown.1, "{how}");
    let mut report = installation.verify(&tenant(), &VerifyOptions::default(), &|_| {}).unwrap();
    // A version that comes while its predecessor is being read leaves what that reading gave; it is swept later.
    report.notices.retain(|notice| notice.kind != FaultKind::Unreferenced);
    assert_eq!((report.findings, report.notices), (Vec::new(), Vec::new()), "{how}");
}

#[test]
fn a_rebuild_killed_at_any_step_leaves_the_old_or_the_new() {
    let town = TestArchive::new(true);
    grow(&town, &mut Dice(77), 40);
    wait_for_index(&town.archive);
    let grown = (dump(town.archive.catalogue()), searches(&town.archive, &town.permit));
    let token = town.token.clone();
    let folder = close(town).folder;
    let dir = tenant_dir(&folder);
    // What a kill leaves: pieces beside the old ones, or one of the two switched.
    let steps: [&dyn Fn(); 4] = [
        &|| {
            fs::create_dir(dir.join("catalogue.new")).unwrap();
            fs::create_dir(dir.join("search.new")).unwrap();
        },
        &|| copy(&dir.join("search"), &dir.join("search.new")),
        &|| fs::rename(dir.join("search"), dir.join("search.new")).unwrap(),
        &|| fs::rename(dir.join("catalogue"), dir.join("catalogue.new")).unwrap(),
    ];
    for (number, kill) in steps.iter().enumerate() {
        kill();
        check(&reopen(&folder, true), &token, &grown, &format!("step {number}"));
        let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{left:?}");
        kill();
        reopen(&folder, true).rebuild(&tenant(), &|_| {}).unwrap();
        check(&reopen(&folder, true), &token, &grown, &format!("step {number}, then a rebuild"));
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn letters(count: usize) -> TestArchive {
    let town = TestArchive::new(true);
    for number in 0..count {
        let arrival = Arrival::named(&format!("Brief {number}.txt"), Origin::Upload);
        let text = format!("Brief {number}");
        town.archive
            .receive(&town.permit, &arrival, None, &mut text.as_bytes(), &Declared::default())
            .unwrap();
    }
    wait_for_index(&town.archive);
    town
}

#[test]
fn a_shortened_journal_is_never_hidden_by_a_rebuild() {
    let closed = close(letters(5));
    let mut objects = closed.objects.clone();
    // How many commits follow depends on how many documents were read together.
    objects.retain(|name, _| !name.starts_with("t/t/j/") || name.as_str() < "t/t/j/000000000/006");
    write_all(&store_dir(&closed.folder), &objects);
    let dir = tenant_dir(&closed.folder);
    for gone in ["", "catalogue"] {
        if !gone.is_empty() {
            fs::remove_dir_all(dir.join(gone)).unwrap();
        }
        let installation = open(&closed.folder);
        let error = installation.rebuild(&tenant(), &|_| {}).unwrap_err();
        assert_eq!(error.kind, Kind::ReadOnly, "without {gone:?}");
        assert!(error.public.contains("eakte restore"), "{}", error.public);
        assert_eq!(installation.archive(&tenant()).unwrap_err().kind, Kind::ReadOnly, "without {gone:?}");
    }
    let kinds: Vec<_> = verify_on_disk(&closed.folder, &VerifyOptions::default())
        .findings
        .iter()
        .map(|fault| (fault.kind, fault.object.clone()))
        .collect();
    assert!(kinds.contains(&(FaultKind::Rollback, "search".to_owned())), "{kinds:?}");
}

#[test]
fn a_journal_with_a_gap_is_neither_opened_nor_rebuilt() {
    let closed = close(letters(5));
    let mut objects = closed.objects.clone();
    objects.remove("t/t/j/000000000/004").unwrap();
    write_all(&store_dir(&closed.folder), &objects);
    fs::remove_dir_all(tenant_dir(&closed.folder)).unwrap();
    let installation = open(&closed.folder);
    assert_eq!(installation.rebuild(&tenant(), &|_| {}).unwrap_err().kind, Kind::ReadOnly);
    assert_eq!(installation.archive(&tenant()).unwrap_err().kind, Kind::ReadOnly);
    assert_eq!(read_all(&store_dir(&closed.folder)), objects, "nothing was written");
}

#[test]
fn an_archive_in_use_is_not_rebuilt_under_its_users() {
    let town = TestArchive::new(false);
    let error = town.installation.rebuild(&tenant(), &|_| {}).unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    assert!(town.archive.tenant().is_ok());
}

#[test]
fn damaged_projections_are_found_and_heal() {
    let town = letters(30);
    let token = town.token.clone();
    let grown = (dump(town.archive.catalogue()), searches(&town.archive, &town.permit));
    let folder = close(town).folder;
    let dir = tenant_dir(&folder);
    let healthy = verify_on_disk(&folder, &VerifyOptions::default());
    assert_eq!((healthy.findings, healthy.notices), (Vec::new(), Vec::new()));

    let flip = |path: PathBuf| {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        #[allow(clippy::disallowed_methods)]
        fs::write(path, bytes).unwrap();
    };
    let segment = |ending: &str| {
        let files = fs::read_dir(dir.join("search")).unwrap().map(|entry| entry.unwrap().path());
        files.into_iter().find(|path| path.extension().is_some_and(|e| e == ending)).unwrap()
    };
    for ending in ["idx", "store", "term", "fast"] {
        flip(segment(ending));
        let kinds: Vec<_> = verify_on_disk(&folder, &VerifyOptions::default())
            .findings
            .iter()
            .map(|fault| fault.kind)
            .collect();
        assert_eq!(kinds, [FaultKind::SearchDamaged], "{ending}");
        check(&reopen(&folder, true), &token, &grown, ending);
    }

    // Every row that sled keeps is guarded by a checksum; a file that is zeros in its middle has lost rows.
    let database = dir.join("catalogue/db");
    let mut bytes = fs::read(&database).unwrap();
    for byte in bytes.iter_mut().step_by(97) {
        *byte ^= 0x55;
    }
    #[allow(clippy::disallowed_methods)]
    fs::write(&database, bytes).unwrap();
    let report = verify_on_disk(&folder, &VerifyOptions::default());
    let wrong = [FaultKind::CatalogueDamaged, FaultKind::CatalogueDiffers, FaultKind::Rollback];
    let behind = report.notices.iter().any(|notice| notice.kind == FaultKind::CatalogueBehind);
    assert!(behind || report.findings.iter().any(|fault| wrong.contains(&fault.kind)), "{report:#?}");
    reopen(&folder, true).rebuild(&tenant(), &|_| {}).unwrap();
    check(&reopen(&folder, true), &token, &grown, "catalogue");
}

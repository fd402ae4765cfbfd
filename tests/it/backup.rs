//! Backup and restore: consistent while others write, incremental, and honest about what is missing.

use crate::damage::{Objects, close, open, read_all, store_dir, write_all};
use crate::support::{FixedClock, TestArchive, settings, tenant};
use eakte::archive::{Kind, NewTenant, Place};
use eakte::backup::{BackupReport, RestoreReport, Source, Target, backup, restore};
use eakte::clock::SystemEntropy;
use eakte::domain::codes::Origin;
use eakte::domain::document::Arrival;
use eakte::domain::text::Line;
use eakte::domain::{Digest, TenantSlug};
use eakte::ingest::Declared;
use eakte::store::{BucketConfig, StoreLocation};
use eakte::verify::{FaultKind, VerifyOptions};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn receive(town: &TestArchive, name: &str, text: &str) {
    let arrival = Arrival::named(name, Origin::Upload);
    town.archive.receive(&town.permit, &arrival, None, &mut text.as_bytes(), &Declared::default()).unwrap();
}

fn save(town: &TestArchive, to: &Path) -> BackupReport {
    let to = StoreLocation::Directory(to.to_owned());
    backup(&Source::of(&town.installation), None, &to, &BucketConfig::default(), &|_| {}).unwrap()
}

fn target(folder: &Path) -> Target {
    Target {
        place: Place::directory(folder),
        settings: settings(false),
        clock: Arc::new(FixedClock("2026-04-01T08:00:00Z".parse().unwrap())),
        entropy: Arc::new(SystemEntropy),
    }
}

fn bring_back(from: &Path, to: &Path) -> Result<RestoreReport, eakte::archive::Error> {
    let from = StoreLocation::Directory(from.to_owned());
    restore(&from, &BucketConfig::default(), None, &target(to), &|_| {})
}

/// What belongs to tenants.
fn tenants_of(objects: &Objects) -> Objects {
    let belongs = |name: &str| name.starts_with("t/");
    objects.iter().filter(|(name, _)| belongs(name)).map(|(n, b)| (n.clone(), b.clone())).collect()
}

#[test]
fn a_restored_archive_is_the_one_that_was_saved_and_goes_on() {
    let town = TestArchive::new(false);
    for number in 0..20 {
        receive(&town, &format!("Brief {number}.txt"), &format!("Brief {number}"));
    }
    let to = town.folder.path().join("sicherung");
    let saved = save(&town, &to);
    assert!(saved.is_complete());
    assert_eq!(saved.tenants[0].copied, 42, "20 letters with payloads, tenant, account");
    let objects = read_all(town.folder.path().join("data/store").as_path());
    assert_eq!(tenants_of(&read_all(&to)), tenants_of(&objects));
    assert!(
        !read_all(&to).values().any(|bytes| bytes.windows(40).any(|w| town.token.as_bytes().starts_with(w)))
    );

    let place = town.folder.path().join("neu");
    let report = bring_back(&to, &place).unwrap();
    assert!(report.is_complete(), "{report:?}");
    let one = &report.tenants[0];
    let before = town.installation.verify(&tenant(), &VerifyOptions::default(), &|_| {}).unwrap();
    assert_eq!((one.report.leaves, one.report.root), (before.leaves, before.root));
    assert_eq!((one.promised.size, one.promised.root), (before.leaves, before.root));
    assert_eq!(tenants_of(&read_all(&place.join("store"))).len(), tenants_of(&objects).len() + 2);

    // The new token is good, the old one still is (its account is part of the journal), and work goes on.
    let archive = report.installation.archive(&tenant()).unwrap();
    let token = one.token.clone().unwrap();
    assert_ne!(token, town.token);
    let permit = archive.permit(&token).unwrap();
    let arrival = Arrival::named("danach.txt", Origin::Upload);
    archive.receive(&permit, &arrival, None, &mut &b"danach"[..], &Declared::default()).unwrap();
    let after = report.installation.verify(&tenant(), &VerifyOptions::default(), &|_| {}).unwrap();
    assert_eq!(after.findings, []);

    // The restored installation takes up the backups of the one it was, as long as the history is the same.
    let to = StoreLocation::Directory(to);
    let next =
        backup(&Source::of(&report.installation), None, &to, &BucketConfig::default(), &|_| {}).unwrap();
    assert_eq!((next.store, next.tenants[0].copied), (saved.store, 3));
    receive(&town, "anders.txt", "anders");
    receive(&town, "anders.txt", "noch anders");
    receive(&town, "anders.txt", "ganz anders");
    let error =
        backup(&Source::of(&town.installation), None, &to, &BucketConfig::default(), &|_| {}).unwrap_err();
    assert_eq!(error.kind, Kind::Conflict, "the old one has gone another way");
}

#[test]
fn a_second_backup_copies_only_what_is_new() {
    let town = TestArchive::new(false);
    receive(&town, "a.txt", "eins");
    let to = town.folder.path().join("sicherung");
    save(&town, &to);
    let first = read_all(&to);
    let modified = |name: &str| fs::metadata(to.join(name)).unwrap().modified().unwrap();
    let times: Vec<_> = tenants_of(&first).keys().map(|name| modified(name)).collect();
    assert_eq!(save(&town, &to).tenants[0].copied, 0);
    receive(&town, "b.txt", "zwei");
    let report = save(&town, &to);
    assert_eq!((report.tenants[0].copied, report.tenants[0].commits), (2, 3));
    assert_eq!(tenants_of(&first).keys().map(|name| modified(name)).collect::<Vec<_>>(), times);
}

#[test]
fn a_backup_taken_while_files_arrive_is_whole() {
    let town = TestArchive::new(false);
    let stop = AtomicBool::new(false);
    let to = town.folder.path().join("sicherung");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                receive(&town, &format!("{number}.txt"), &format!("Brief {number}"));
            }
        });
        for round in 0..4 {
            let saved = save(&town, &to);
            assert!(saved.is_complete(), "{saved:?}");
            let place = town.folder.path().join(format!("neu{round}"));
            let report = bring_back(&to, &place).unwrap();
            assert!(report.is_complete(), "{report:?}");
            assert_eq!(report.tenants[0].report.root, saved.tenants[0].root);
            // A check of the busy one is clean, too.
            let options = VerifyOptions::default();
            let busy = town.installation.verify(&tenant(), &options, &|_| {}).unwrap();
            assert_eq!(busy.findings, [], "{busy:?}");
            assert!(!busy.notices.iter().any(|n| n.kind == FaultKind::CatalogueBehind), "{busy:?}");
        }
        stop.store(true, Ordering::Release);
    });
}

#[test]
fn what_is_missing_at_the_source_is_named_and_the_backup_marked() {
    let town = TestArchive::new(false);
    for number in 0..5 {
        receive(&town, &format!("{number}.txt"), &format!("Brief {number}"));
    }
    let closed = close(town);
    let lost = closed.objects.iter().find(|(_, bytes)| bytes.as_slice() == b"Brief 3").unwrap().0.clone();
    let bad = closed.objects.iter().find(|(_, bytes)| bytes.as_slice() == b"Brief 4").unwrap().0.clone();
    let mut objects = closed.objects.clone();
    objects.remove(&lost);
    objects.insert(bad.clone(), b"Brief 5".to_vec());
    write_all(&store_dir(&closed.folder), &objects);
    let to = closed.folder.path().join("sicherung");
    let location = StoreLocation::Directory(to.clone());
    let installation = open(&closed.folder);
    let report =
        backup(&Source::of(&installation), None, &location, &BucketConfig::default(), &|_| {}).unwrap();
    assert!(!report.is_complete());
    let mut found: Vec<_> =
        report.tenants[0].findings.iter().map(|fault| (fault.kind, fault.object.clone())).collect();
    found.sort();
    assert_eq!(found, [(FaultKind::ObjectMissing, lost.clone()), (FaultKind::ObjectDamaged, bad.clone())]);
    assert!(!read_all(&to).contains_key(&bad), "damaged bytes are not copied");

    let restored = bring_back(&to, &closed.folder.path().join("neu")).unwrap();
    assert!(!restored.is_complete());
    let mut missing: Vec<_> = restored.tenants[0].missing.iter().map(|f| f.object.clone()).collect();
    missing.sort();
    let mut expected = vec![lost.clone(), bad.clone()];
    expected.sort();
    assert_eq!(missing, expected);
    drop(restored);

    // Healed at the source, the next backup is complete again.
    drop(installation);
    write_all(&store_dir(&closed.folder), &closed.objects);
    let installation = open(&closed.folder);
    let report =
        backup(&Source::of(&installation), None, &location, &BucketConfig::default(), &|_| {}).unwrap();
    assert!(report.is_complete());
    assert_eq!(report.tenants[0].copied, 2);

    // Lost later, the backup still has it and says so.
    drop(installation);
    let mut objects = closed.objects.clone();
    objects.retain(|name, bytes| !(name.contains("/e/") && String::from_utf8_lossy(bytes).contains("3.txt")));
    write_all(&store_dir(&closed.folder), &objects);
    let installation = open(&closed.folder);
    let report =
        backup(&Source::of(&installation), None, &location, &BucketConfig::default(), &|_| {}).unwrap();
    assert!(report.is_complete());
    assert_eq!(report.tenants[0].findings.len(), 1);
    assert_eq!(report.tenants[0].findings[0].kind, FaultKind::PayloadMissing);
    assert!(bring_back(&to, &closed.folder.path().join("neu2")).unwrap().is_complete());
}

#[test]
fn one_tenant_can_be_saved_and_brought_back_alone() {
    let town = TestArchive::new(false);
    receive(&town, "a.txt", "eins");
    let other: TenantSlug = "nachbar".parse().unwrap();
    let new = NewTenant {
        slug: other.clone(),
        name: Line::new("Gemeinde Nachbar").unwrap(),
        reference_template: "{plan}-{year}/{seq}".parse().unwrap(),
    };
    town.installation.create_tenant(&new).unwrap();
    let to = StoreLocation::Directory(town.folder.path().join("sicherung"));
    let bucket = BucketConfig::default();
    let only = [tenant()];
    let report = backup(&Source::of(&town.installation), Some(&only), &to, &bucket, &|_| {}).unwrap();
    assert_eq!(report.tenants.iter().map(|t| t.tenant.clone()).collect::<Vec<_>>(), only);
    let unknown = ["fremd".parse().unwrap()];
    let error = backup(&Source::of(&town.installation), Some(&unknown), &to, &bucket, &|_| {}).unwrap_err();
    assert_eq!(error.kind, Kind::Missing);
    let neu = target(&town.folder.path().join("neu"));
    let error = restore(&to, &bucket, Some(std::slice::from_ref(&other)), &neu, &|_| {}).unwrap_err();
    assert_eq!(error.kind, Kind::Missing);
    backup(&Source::of(&town.installation), None, &to, &bucket, &|_| {}).unwrap();
    let report = restore(&to, &bucket, Some(std::slice::from_ref(&other)), &neu, &|_| {}).unwrap();
    assert!(report.is_complete());
    assert_eq!(report.installation.tenants().unwrap(), [other]);
}

#[test]
fn a_backup_goes_nowhere_else_and_a_restore_only_into_an_empty_place() {
    let town = TestArchive::new(false);
    let to = town.folder.path().join("sicherung");
    save(&town, &to);
    let stranger = TestArchive::new(false);
    let bucket = BucketConfig::default();
    let refused = |town: &TestArchive, to: &Path| {
        let to = StoreLocation::Directory(to.to_owned());
        backup(&Source::of(&town.installation), None, &to, &bucket, &|_| {}).unwrap_err().kind
    };
    assert_eq!(refused(&stranger, &to), Kind::Conflict);
    let full = town.folder.path().join("voll");
    fs::create_dir(&full).unwrap();
    fs::create_dir(full.join("Urlaub")).unwrap();
    assert_eq!(refused(&town, &full), Kind::Conflict);
    assert_eq!(bring_back(&to, &full).unwrap_err().kind, Kind::Conflict);
    assert_eq!(bring_back(&to, town.installation.place().data.as_path()).unwrap_err().kind, Kind::Conflict);
    let nothing = town.folder.path().join("nichts");
    assert_eq!(bring_back(&nothing, &town.folder.path().join("neu")).unwrap_err().kind, Kind::Missing);
    assert!(!nothing.exists() && !town.folder.path().join("neu").exists(), "no guess makes a place");
}

#[test]
fn an_interrupted_backup_or_restore_is_simply_repeated() {
    let town = TestArchive::new(false);
    for number in 0..8 {
        receive(&town, &format!("{number}.txt"), &format!("Brief {number}"));
    }
    let to = town.folder.path().join("sicherung");
    save(&town, &to);
    let whole = read_all(&to);
    let names: Vec<String> = tenants_of(&whole).into_keys().collect();
    for seed in 0..6_u64 {
        println!("seed {seed}");
        // Some objects were not there yet, one was cut short; the manifest is of an earlier time, or missing its tenant.
        let mut partial = whole.clone();
        for (at, name) in names.iter().enumerate() {
            let dice = Digest::of(format!("{seed} {at}").as_bytes()).as_bytes()[0];
            // Commits come last and in order, so an interruption takes them all here.
            if dice < 100 || name.contains("/j/") {
                partial.remove(name);
            } else if dice < 120 {
                partial.get_mut(name).unwrap().truncate(3);
            }
        }
        let manifest = String::from_utf8(whole["backup.json"].clone()).unwrap();
        let start = manifest.find("\"tenants\"").unwrap();
        partial.insert(
            "backup.json".to_owned(),
            format!("{}\"tenants\": {{}}\n}}\n", &manifest[..start]).into(),
        );
        write_all(&to, &partial);
        assert!(save(&town, &to).is_complete());
        assert_eq!(tenants_of(&read_all(&to)), tenants_of(&whole));
    }

    let place = town.folder.path().join("neu");
    drop(bring_back(&to, &place).unwrap());
    let restored = read_all(&place.join("store"));
    // As a kill leaves it: no mark yet, some objects missing, the commits too.
    let begun = whole["backup.json"].clone();
    let mut partial: Objects = restored.clone();
    partial.retain(|name, _| !name.contains("/j/") && name != "eakte.json" && !name.ends_with('3'));
    partial.insert("restore.json".to_owned(), begun);
    fs::remove_dir_all(&place).unwrap();
    fs::create_dir_all(place.join("store")).unwrap();
    write_all(&place.join("store"), &partial);
    let error = eakte::archive::Installation::open(
        Place::directory(&place),
        settings(false),
        Arc::new(FixedClock("2026-04-01T08:00:00Z".parse().unwrap())),
        Arc::new(SystemEntropy),
    );
    assert!(error.is_err(), "half a restore is no installation");
    assert!(bring_back(&to, &place).unwrap().is_complete());
}

#[test]
fn a_backup_does_not_go_into_what_it_saves() {
    let town = TestArchive::new(false);
    for place in ["data/store", "data/store/neu/tief"] {
        let place = StoreLocation::Directory(town.folder.path().join(place));
        let source = Source::of(&town.installation);
        let error = backup(&source, None, &place, &BucketConfig::default(), &|_| {}).unwrap_err();
        assert_eq!(error.kind, Kind::Conflict, "{place}");
    }
    assert!(!town.folder.path().join("data/store/neu").exists());
}

//! What `verify` finds: every kind of damage is injected into a sound archive, on disk and in memory.

use crate::support::{FixedClock, TestArchive, settings, tenant};
use eakte::archive::{Installation, Place};
use eakte::clock::SystemEntropy;
use eakte::domain::codes::Origin;
use eakte::domain::document::Arrival;
use eakte::domain::{Digest, TenantSlug};
use eakte::ingest::{Declared, Outcome};
use eakte::store::{Key, Memory, ObjectStore};
use eakte::verify::{Expect, FaultKind, Sample, VerifyOptions, VerifyReport, verify_store};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// All objects of a store by name.
pub type Objects = BTreeMap<String, Vec<u8>>;

const DOCUMENTS: usize = 12;

/// A closed archive with some letters.
pub struct Closed {
    pub folder: TempDir,
    pub objects: Objects,
}

fn letter(number: usize) -> Vec<u8> {
    format!("Sehr geehrte Damen und Herren, dies ist Brief Nummer {number:04}.").into_bytes()
}

fn receive(town: &TestArchive, name: &str, bytes: &[u8]) {
    let arrival = Arrival::named(name, Origin::Upload);
    let outcome =
        town.archive.receive(&town.permit, &arrival, None, &mut &*bytes, &Declared::default()).unwrap();
    assert!(matches!(outcome, Outcome::Received(_)), "{outcome:?}");
}

fn sound() -> Closed {
    let town = TestArchive::new(false);
    for number in 0..DOCUMENTS {
        receive(&town, &format!("Brief {number}.txt"), &letter(number));
    }
    close(town)
}

pub fn close(town: TestArchive) -> Closed {
    let TestArchive { installation, archive, folder, .. } = town;
    drop(archive);
    drop(installation);
    let objects = read_all(&store_dir(&folder));
    Closed { folder, objects }
}

pub fn store_dir(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("data/store")
}

pub fn read_all(root: &Path) -> Objects {
    fn walk(root: &Path, folder: &Path, objects: &mut Objects) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if name != "staging" {
                    walk(root, &path, objects);
                }
            } else {
                objects.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut objects = Objects::new();
    walk(root, root, &mut objects);
    objects
}

/// Makes the directory hold exactly these objects.
#[allow(clippy::disallowed_methods)]
pub fn write_all(root: &Path, objects: &Objects) {
    for (name, bytes) in read_all(root) {
        if objects.get(&name) != Some(&bytes) {
            fs::remove_file(root.join(name)).unwrap();
        }
    }
    for (name, bytes) in objects {
        let path = root.join(name);
        if !path.exists() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

pub fn open(folder: &TempDir) -> Installation {
    let clock = Arc::new(FixedClock("2026-03-20T08:00:00Z".parse().unwrap()));
    let place = Place::directory(&folder.path().join("data"));
    Installation::open(place, settings(false), clock, Arc::new(SystemEntropy)).unwrap()
}

pub fn verify_on_disk(folder: &TempDir, options: &VerifyOptions) -> VerifyReport {
    open(folder).verify(&tenant(), options, &|_| {}).unwrap()
}

fn verify_in_memory(objects: &Objects) -> VerifyReport {
    let store = Memory::new();
    for (name, bytes) in objects {
        store.create(&Key::new(name.as_str()).unwrap(), bytes.clone().into()).unwrap();
    }
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    let scratch = tempfile::tempdir().unwrap();
    let now = "2026-03-20T08:00:00Z".parse().unwrap();
    verify_store(&store, &tenant(), scratch.path(), now, &VerifyOptions::default(), &|_| {}).unwrap()
}

/// Words and names of the findings.
pub fn findings(report: &VerifyReport) -> Vec<(String, String)> {
    report.findings.iter().map(|fault| (fault.kind.to_string(), fault.object.clone())).collect()
}

pub fn kinds(report: &VerifyReport) -> Vec<FaultKind> {
    let mut kinds: Vec<_> = report.findings.iter().map(|fault| fault.kind).collect();
    kinds.dedup();
    kinds
}

/// Damages a sound archive; exactly these findings must come of it, in both kinds of store.
fn check(damage: impl FnOnce(&mut Objects) -> Vec<(FaultKind, String)>) {
    let closed = sound();
    let mut objects = closed.objects.clone();
    let mut expected: Vec<_> =
        damage(&mut objects).into_iter().map(|(kind, name)| (kind.to_string(), name)).collect();
    write_all(&store_dir(&closed.folder), &objects);
    let report = verify_on_disk(&closed.folder, &VerifyOptions::default());
    let mut found = findings(&report);
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "on disk: {:#?}", report.findings);
    // Without projections, those that only they can know are missing.
    expected.retain(|(kind, _)| *kind != FaultKind::Rollback.to_string());
    let report = verify_in_memory(&objects);
    let mut found = findings(&report);
    found.sort();
    assert_eq!(found, expected, "in memory: {:#?}", report.findings);
}

fn original(objects: &Objects, number: usize) -> String {
    let bytes = letter(number);
    objects.iter().find(|(name, found)| name.contains("/o/") && **found == bytes).unwrap().0.clone()
}

/// The payload that names an original.
fn payload_of(objects: &Objects, original: &str) -> String {
    let digest = &original[original.len() - 64..];
    let names = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(digest);
    objects.iter().find(|(name, bytes)| name.contains("/e/") && names(bytes)).unwrap().0.clone()
}

#[test]
fn a_sound_archive_has_no_findings_and_a_known_root() {
    let closed = sound();
    let report = verify_on_disk(&closed.folder, &VerifyOptions::default());
    assert_eq!(report.findings, []);
    assert_eq!(report.notices.iter().map(|n| n.kind).collect::<Vec<_>>(), [FaultKind::SearchBehind]);
    assert_eq!(report.commits, DOCUMENTS as u64 + 1);
    // Every letter, its payload, and the tenant's and the account's payload.
    assert_eq!((report.objects, report.leaves), (2 * DOCUMENTS as u64 + 2, DOCUMENTS as u64 + 2));
    let bytes: usize = closed.objects.iter().filter(|(n, _)| n.starts_with("t/")).map(|(_, b)| b.len()).sum();
    assert_eq!(report.bytes, bytes as u64);
    let memory = verify_in_memory(&closed.objects);
    assert_eq!((memory.root, memory.findings), (report.root, report.findings));
}

#[test]
fn a_changed_original_is_found_whatever_the_change() {
    type Change = fn(&mut Vec<u8>);
    let changes: [Change; 5] = [
        |bytes| bytes[7] ^= 1,
        |bytes| bytes.truncate(20),
        Vec::clear,
        |bytes| bytes.push(b'!'),
        |bytes| bytes.fill(b'x'),
    ];
    for change in changes {
        check(|objects| {
            let name = original(objects, 3);
            change(objects.get_mut(&name).unwrap());
            vec![(FaultKind::ObjectDamaged, name)]
        });
    }
}

#[test]
fn two_swapped_originals_are_both_found() {
    check(|objects| {
        let names = [original(objects, 1), original(objects, 2)];
        let [one, two] = names.each_ref().map(|name| objects[name].clone());
        objects.insert(names[0].clone(), two);
        objects.insert(names[1].clone(), one);
        names.map(|name| (FaultKind::ObjectDamaged, name)).to_vec()
    });
}

#[test]
fn a_missing_original_is_found() {
    check(|objects| {
        let name = original(objects, 5);
        objects.remove(&name);
        vec![(FaultKind::ObjectMissing, name)]
    });
}

#[test]
fn a_changed_payload_is_found() {
    check(|objects| {
        let name = payload_of(objects, &original(objects, 4));
        objects.get_mut(&name).unwrap()[30] ^= 1;
        vec![(FaultKind::PayloadDamaged, name)]
    });
}

#[test]
fn a_missing_payload_is_found() {
    check(|objects| {
        let name = payload_of(objects, &original(objects, 4));
        objects.remove(&name);
        vec![(FaultKind::PayloadMissing, name)]
    });
}

fn commit(seq: u64) -> String {
    format!("t/t/j/{:09}/{:03}", seq / 1_000, seq % 1_000)
}

#[test]
fn a_missing_commit_in_the_middle_is_named() {
    // Wherever the search for the journal's end first meets the gap.
    for seq in [1, 5, 8, 12] {
        let closed = sound();
        let mut objects = closed.objects.clone();
        objects.remove(&commit(seq)).unwrap();
        let report = verify_in_memory(&objects);
        assert_eq!(findings(&report), [(FaultKind::CommitMissing.to_string(), commit(seq))]);
        write_all(&store_dir(&closed.folder), &objects);
        let report = verify_on_disk(&closed.folder, &VerifyOptions::default());
        assert_eq!(findings(&report)[0], (FaultKind::CommitMissing.to_string(), commit(seq)));
    }
}

#[test]
fn a_missing_last_commit_is_known_to_the_catalogue_and_to_whoever_noted_the_root() {
    let closed = sound();
    let before = verify_on_disk(&closed.folder, &VerifyOptions::default());
    let expect = Some(Expect { size: before.leaves, root: before.root });
    let mut objects = closed.objects.clone();
    objects.remove(&commit(DOCUMENTS as u64 + 1)).unwrap();
    write_all(&store_dir(&closed.folder), &objects);
    let report = verify_on_disk(&closed.folder, &VerifyOptions { expect, ..VerifyOptions::default() });
    assert_eq!(kinds(&report), [FaultKind::HistoryShortened, FaultKind::Rollback], "{report:#?}");
    assert_eq!(report.notices.iter().filter(|n| n.kind == FaultKind::Unreferenced).count(), 2);
}

#[test]
fn an_earlier_root_still_holds_when_the_log_has_grown_and_another_one_never_did() {
    let town = TestArchive::new(false);
    receive(&town, "a.txt", b"eins");
    let options = VerifyOptions::default();
    let before = town.installation.verify(&tenant(), &options, &|_| {}).unwrap();
    receive(&town, "b.txt", b"zwei");
    let expect = Expect { size: before.leaves, root: before.root };
    let options = VerifyOptions { expect: Some(expect), ..VerifyOptions::default() };
    assert_eq!(town.archive.verify(&town.permit, &options, &|_| {}).unwrap().findings, []);
    let wrong = Expect { root: Digest::of(b"another"), ..expect };
    let options = VerifyOptions { expect: Some(wrong), ..VerifyOptions::default() };
    let report = town.archive.verify(&town.permit, &options, &|_| {}).unwrap();
    assert_eq!(kinds(&report), [FaultKind::HistoryRewritten]);
}

#[test]
fn two_commits_in_each_others_place_are_both_found() {
    check(|objects| {
        let (four, five) = (objects[&commit(4)].clone(), objects[&commit(5)].clone());
        objects.insert(commit(4), five);
        objects.insert(commit(5), four);
        vec![(FaultKind::CommitChain, commit(4)), (FaultKind::CommitChain, commit(5))]
    });
}

#[test]
fn a_changed_commit_breaks_the_chain_or_is_unreadable() {
    check(|objects| {
        let text = String::from_utf8(objects[&commit(6)].clone()).unwrap();
        let nonce = text.find("nonce ").unwrap() + 6;
        let other = if text.as_bytes()[nonce] == b'0' { "1" } else { "0" };
        let changed = format!("{}{other}{}", &text[..nonce], &text[nonce + 1..]);
        objects.insert(commit(6), changed.into_bytes());
        vec![(FaultKind::CommitChain, commit(7))]
    });
    check(|objects| {
        objects.get_mut(&commit(6)).unwrap()[0] = b'E';
        vec![(FaultKind::CommitDamaged, commit(6))]
    });
}

#[test]
fn a_second_spelling_of_a_commit_is_none_of_ours() {
    check(|objects| {
        let copy = objects[&commit(3)].clone();
        let names = ["t/t/j/3", "t/t/j/000000000/0003", "t/t/j/000000000/003x", "t/t/x/000000000/003"];
        names
            .map(|name| {
                objects.insert(name.to_owned(), copy.clone());
                (FaultKind::ForeignName, name.to_owned())
            })
            .to_vec()
    });
}

#[test]
fn a_commit_of_another_tenant_does_not_fit_in() {
    let other = sound().objects;
    let last = DOCUMENTS as u64 + 2;
    check(|objects| {
        // The other tenant's twelfth commit, as the next one here: its number does not fit.
        objects.insert(commit(last), other[&commit(12)].clone());
        vec![(FaultKind::CommitChain, commit(last))]
    });
    let closed = sound();
    let mut objects = closed.objects.clone();
    // Even with a number that fits, its predecessor is another, and its payload is not here.
    objects.insert(commit(13), other[&commit(13)].clone());
    let report = verify_in_memory(&objects);
    assert_eq!(kinds(&report), [FaultKind::CommitChain, FaultKind::PayloadMissing]);
}

#[test]
fn what_nothing_names_is_a_notice() {
    let closed = sound();
    let mut objects = closed.objects.clone();
    let stray = "t/t/o/07/01930000-0000-7000-8000-000000000007-";
    let stray = format!("{stray}{}", Digest::of(b"herrenlos"));
    objects.insert(stray.clone(), b"herrenlos".to_vec());
    let payload = Digest::of(b"{}\n").to_string();
    let payload = format!("t/t/e/{}/{payload}", &payload[..2]);
    objects.insert(payload.clone(), b"{}\n".to_vec());
    let report = verify_in_memory(&objects);
    assert_eq!(report.findings, []);
    let notices: Vec<_> = report.notices.iter().map(|n| (n.kind, n.object.as_str())).collect();
    assert_eq!(notices, [(FaultKind::Unreferenced, &*payload), (FaultKind::Unreferenced, &*stray)]);
    assert!(report.notices[0].detail.contains("Tage"), "{}", report.notices[0].detail);
}

#[test]
fn a_name_in_other_letters_is_not_the_object() {
    check(|objects| {
        let name = original(objects, 2);
        let (folder, file) = name.rsplit_once('/').unwrap();
        let upper = format!("{folder}/{}", file.to_uppercase());
        let bytes = objects.remove(&name).unwrap();
        objects.insert(upper.clone(), bytes);
        vec![(FaultKind::ObjectMissing, name), (FaultKind::ForeignName, upper)]
    });
}

#[test]
fn everything_is_reported_and_not_only_the_first_fault() {
    check(|objects| {
        let gone = original(objects, 1);
        let flipped = original(objects, 6);
        let payload = payload_of(objects, &original(objects, 9));
        objects.remove(&gone);
        objects.get_mut(&flipped).unwrap()[0] ^= 8;
        objects.remove(&payload);
        objects.get_mut(&commit(7)).unwrap().truncate(30);
        vec![
            (FaultKind::ObjectMissing, gone),
            (FaultKind::ObjectDamaged, flipped),
            (FaultKind::PayloadMissing, payload),
            (FaultKind::CommitDamaged, commit(7)),
        ]
    });
}

#[test]
fn a_sample_reads_as_many_objects_as_asked_and_the_same_ones_for_the_same_seed() {
    let closed = sound();
    let sample = |count, seed| {
        let options = VerifyOptions { sample: Some(Sample { count, seed }), ..VerifyOptions::default() };
        verify_on_disk(&closed.folder, &options)
    };
    let (one, two, other) = (sample(5, 1), sample(5, 1), sample(5, 2));
    assert_eq!((one.objects, one.commits), (5, DOCUMENTS as u64 + 1));
    assert_eq!(one, two);
    assert_eq!(other.objects, 5);
    assert_eq!(sample(1_000, 1).objects, 2 * DOCUMENTS as u64 + 2);
    assert_eq!(one.findings, []);
    let mut objects = closed.objects.clone();
    for (name, bytes) in &mut objects {
        if name.starts_with("t/t/o/") {
            bytes[0] ^= 1;
        }
    }
    write_all(&store_dir(&closed.folder), &objects);
    assert_eq!(kinds(&sample(1_000, 1)), [FaultKind::ObjectDamaged]);
    let hits: Vec<_> = (0..20).map(|seed| sample(3, seed).findings.len()).collect();
    assert!(hits.iter().any(|count| *count > 0) && hits.iter().all(|count| *count <= 3), "{hits:?}");
}

#[test]
fn what_was_recorded_since_is_read_again_and_the_rest_is_not() {
    let closed = sound();
    let since = |text: &str| {
        let options = VerifyOptions { since: Some(text.parse().unwrap()), ..VerifyOptions::default() };
        verify_on_disk(&closed.folder, &options)
    };
    let all = since("2026-03-02T08:00:00Z");
    assert_eq!((all.objects, all.findings.len()), (2 * DOCUMENTS as u64 + 2, 0));
    let none = since("2026-03-02T08:00:01Z");
    assert_eq!((none.objects, none.commits), (0, DOCUMENTS as u64 + 1));
}

#[test]
fn an_unknown_tenant_is_missing_and_contradictory_options_are_refused() {
    let town = TestArchive::new(false);
    let other: TenantSlug = "anderswo".parse().unwrap();
    let error = town.installation.verify(&other, &VerifyOptions::default(), &|_| {}).unwrap_err();
    assert_eq!(error.kind, eakte::archive::Kind::Missing);
    let options = VerifyOptions {
        sample: Some(Sample { count: 1, seed: 1 }),
        since: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        ..VerifyOptions::default()
    };
    let error = town.installation.verify(&tenant(), &options, &|_| {}).unwrap_err();
    assert_eq!(error.kind, eakte::archive::Kind::Invalid);
}

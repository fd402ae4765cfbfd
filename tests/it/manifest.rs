//! Manifests against an archive: checked before anything is written, repeated without harm.

use crate::support::TestArchive;
use eakte::archive::Source;
use eakte::domain::codes::Origin;
use eakte::ingest::manifest::Manifest;
use eakte::ingest::{BatchFacts, FileReport, FileStatus};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

fn facts() -> BatchFacts {
    BatchFacts::named("Liste", "Liste")
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(bytes).unwrap();
}

fn read(town: &TestArchive, folder: &Path) -> Manifest {
    let mut manifest = Manifest::read(&[folder.join("m.jsonl")], &jiff::tz::TimeZone::UTC).unwrap();
    town.archive.check_manifest(&town.permit, &mut manifest).unwrap();
    manifest
}

/// What became of each path: the status word, and the case file's reference.
fn take(town: &TestArchive, folder: &Path) -> BTreeMap<String, (String, Option<String>)> {
    let manifest = read(town, folder);
    assert_eq!(manifest.problems, []);
    let frame = town.archive.import_frame(&town.permit, &manifest, &mut |_| {}).unwrap();
    assert_eq!(frame.problems, []);
    let source = Source { folder, facts: facts(), by_list: false, origin: Origin::Scan };
    let seen = Mutex::new(BTreeMap::new());
    for run in town.archive.manifest_runs(&town.permit, &manifest, &frame, &source).unwrap() {
        let report = |report: &FileReport| {
            let row = match &report.status {
                FileStatus::Received(accepted) | FileStatus::Duplicate(accepted) => {
                    let state = town.archive.document(&town.permit, accepted.document).unwrap();
                    let word = if matches!(report.status, FileStatus::Received(_)) {
                        "received"
                    } else {
                        "duplicate"
                    };
                    (word.to_owned(), state.file_reference)
                }
                FileStatus::Rejected(rejection, _) => (rejection.to_string(), None),
                FileStatus::Failed(why) => panic!("{why}"),
            };
            seen.lock().unwrap().insert(report.shown.clone(), row);
        };
        let stop = AtomicBool::new(false);
        town.archive.ingest(&town.permit, &run.facts, run.entries.into_iter(), &stop, &report).unwrap();
    }
    seen.into_inner().unwrap()
}

const FRAME: &str = r#"{"kind":"unit","code":"60","name":"Bauen"}
{"kind":"plan_unit","code":"60","title":"Bauen","retention_class":"30"}
{"kind":"plan_unit","code":"60.10","title":"Baugenehmigungen","parent":"60"}
{"kind":"case_file","key":"carport","plan_unit":"60.10","unit":"60","title":"Carport","case_type":"Bauakte","begins_on":"2024-01-01","aliases":["III/4 b"]}
{"kind":"case_file","key":"papier","plan_unit":"60.10","unit":"60","title":"Altakte","case_type":"Bauakte","medium":"paper","paper_location":"Keller","closed_on":"1999-12-31","reference":"Bau 12/98"}
{"kind":"batch","name":"Karton 7","box_label":"7"}
"#;

#[test]
fn a_manifest_is_taken_over_and_repeating_it_adds_nothing() {
    let town = TestArchive::new(false);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let documents = format!(
        r#"{{"kind":"document","path":"a.txt","case_file":"carport","batch":"Karton 7","title":"Antrag"}}
{{"kind":"document","path":"./sub/b.txt","case_file":"III/4 b"}}
{{"kind":"document","path":"a.txt","case_file":"fehlt"}}
{{"kind":"document","path":"b\\c.txt"}}
{{"kind":"document","path":"papier.txt","case_file":"Bau 12/98"}}
{{"kind":"document","path":"../aussen.txt"}}
{{"kind":"document","path":"/etc/hostname"}}
{{"kind":"document","path":"raus"}}
{{"kind":"document","path":"fehlt.txt"}}
{{"kind":"document","path":"sub"}}
{{"kind":"document","path":"{}"}}
{{"kind":"document","path":"zeile\nzwei.txt"}}
{{"kind":"document","path":"geheim.txt","classification":"geheim"}}
{{"kind":"document","path":"falsch.txt","size":99}}
{{"kind":"document","path":"bad.txt","document_date":"bald"}}
"#,
        "n".repeat(10_000)
    );
    write(folder, "m.jsonl", (FRAME.to_owned() + &documents).as_bytes());
    for name in [
        "a.txt",
        "sub/b.txt",
        "b/c.txt",
        "papier.txt",
        "zeile\nzwei.txt",
        "geheim.txt",
        "falsch.txt",
        "bad.txt",
    ] {
        write(folder, name, name.as_bytes());
    }
    std::os::unix::fs::symlink("/etc/hostname", folder.join("raus")).unwrap();
    let seen = take(&town, folder);
    let status = |name: &str| seen.iter().find(|(shown, _)| shown.starts_with(name)).unwrap().1.clone();
    let carport = Some("60.10-2024/1".to_owned());
    assert_eq!(seen["a.txt"], ("received".into(), None), "the case file does not exist: inbox");
    assert_eq!(status("./sub/b.txt"), ("received".into(), carport.clone()), "found by its old signature");
    assert_eq!(status("b\\c.txt").0, "received");
    assert_eq!(status("papier.txt"), ("received".into(), None), "a paper file takes no documents: inbox");
    for (name, reason) in [
        ("../aussen.txt", "manifest"),
        ("/etc/hostname", "manifest"),
        ("raus", "link"),
        ("fehlt.txt", "unreadable"),
        ("sub", "not-a-file"),
        ("nnn", "unreadable"),
        ("geheim.txt", "classified"),
        ("falsch.txt", "digest-mismatch"),
        ("bad.txt", "manifest"),
    ] {
        assert_eq!(status(name).0, reason, "{name}");
    }
    assert_eq!(status("zeile␊zwei.txt").0, "received");
    let health = town.archive.health().unwrap();
    let (documents, leaves) = (health.summary.documents, health.journal.applied.frontier.size());
    let again = take(&town, folder);
    assert!(again.values().all(|(status, _)| status != "received"), "{again:?}");
    let health = town.archive.health().unwrap();
    assert_eq!(health.summary.documents, documents);
    assert_eq!(health.summary.case_files, 2);
    assert_eq!(health.journal.applied.frontier.size(), leaves, "not even a line");
}

#[test]
fn a_manifest_that_contradicts_the_archive_is_not_written() {
    let town = TestArchive::new(false);
    let folder = tempfile::tempdir().unwrap();
    let case_file = r#""kind":"case_file","key":"k","title":"T","case_type":"A""#;
    let frame = "{\"kind\":\"unit\",\"code\":\"1\",\"name\":\"A\"}\n{\"kind\":\"plan_unit\",\"code\":\"1\",\"title\":\"A\"}\n";
    for (row, part) in [
        (r#"{"kind":"unit","code":"2","name":"B","parent":"9"}"#.to_owned(), "„9“"),
        (r#"{"kind":"plan_unit","code":"2","title":"B","parent":"9"}"#.to_owned(), "„9“"),
        (format!(r#"{{{case_file},"plan_unit":"1","unit":"9","retention_class":"10"}}"#), "„9“"),
        (format!(r#"{{{case_file},"plan_unit":"9","unit":"1","retention_class":"10"}}"#), "„9“"),
        (format!(r#"{{{case_file},"plan_unit":"1","unit":"1"}}"#), "Aufbewahrungsklasse"),
        (
            format!(r#"{{{case_file},"plan_unit":"1","unit":"1","retention_class":"10","medium":"paper"}}"#),
            "Standort",
        ),
        (
            format!(
                r#"{{{case_file},"plan_unit":"1","unit":"1","retention_class":"10","begins_on":"2024-01-01","closed_on":"2020-01-01"}}"#
            ),
            "liegt vor",
        ),
    ] {
        write(folder.path(), "m.jsonl", format!("{frame}{row}\n").as_bytes());
        let manifest = read(&town, folder.path());
        assert_eq!(manifest.problems.len(), 1, "{row}: {:?}", manifest.problems);
        let told = manifest.problems[0].to_string();
        assert!(told.contains("Zeile 3") && told.contains(part), "{told}");
    }
    assert_eq!(town.archive.health().unwrap().journal.applied.seq, 1, "checking writes nothing");
}

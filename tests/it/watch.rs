//! Hot folders: everything that is put there arrives once and is put away afterwards.

use crate::support::TestArchive;
use eakte::archive::Archive;
use eakte::ingest::BatchFacts;
use eakte::watch::{self, HotFolder};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn write(root: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(&path).unwrap().write_all(bytes).unwrap();
    path
}

fn folder(path: &Path) -> HotFolder {
    HotFolder {
        path: path.to_owned(),
        template: None,
        creates_case_files: false,
        stable_for: Duration::from_millis(200),
        poll_every: Duration::from_millis(50),
    }
}

/// Watches until the condition holds.
fn watch_until(town: &TestArchive, folder: &HotFolder, done: impl Fn(&Archive) -> bool) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| watch::watch(&town.archive, &town.permit, folder, &stop));
        let begun = Instant::now();
        while !done(&town.archive) && begun.elapsed() < Duration::from_mins(1) {
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Release);
    });
    assert!(done(&town.archive), "the hot folder did not get there in time");
}

fn documents(archive: &Archive) -> u64 {
    archive.health().unwrap().summary.documents
}

fn batches(town: &TestArchive) -> Vec<(String, String, u64)> {
    let page = town.archive.batches(&town.permit, None, 100).unwrap();
    let row = |(id, row): &(_, eakte::catalogue::BatchRow)| {
        (
            row.data.name.clone(),
            format!("{:?}", row.state(*id).balance()),
            row.received + row.duplicate + row.rejected,
        )
    };
    page.items.iter().map(row).collect()
}

#[test]
fn files_arrive_once_and_are_put_away() {
    let town = TestArchive::new(false);
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write(root, "lose.txt", b"lose");
    write(root, "Karton 7/1.txt", b"eins");
    write(root, "Karton 7/tief/2.txt", b"zwei");
    write(root, "Karton 7/leer.txt", b"");
    write(root, "Karton 8/3.txt", b"drei");
    write(root, "Karton 8/4.txt.part", b"hal");
    write(root, "brief.txt.tmp", b"unfertig");
    write(root, "erledigt/lose.txt", b"von gestern");
    watch_until(&town, &folder(root), |archive| documents(archive) == 3 && !root.join("Karton 7").exists());
    assert_eq!(fs::read(root.join("erledigt/lose.txt")).unwrap(), b"von gestern", "nothing is overwritten");
    assert_eq!(fs::read(root.join("erledigt/lose (2).txt")).unwrap(), b"lose");
    assert_eq!(fs::read(root.join("erledigt/Karton 7/tief/2.txt")).unwrap(), b"zwei");
    assert!(root.join("abgelehnt/Karton 7/leer.txt").exists());
    let reason = fs::read_to_string(root.join("abgelehnt/Karton 7/leer.txt.grund.txt")).unwrap();
    assert!(reason.contains("leer"), "{reason}");
    assert!(root.join("Karton 8/3.txt").exists(), "a batch that is still written to waits as a whole");
    assert!(root.join("brief.txt.tmp").exists());
    fs::rename(root.join("Karton 8/4.txt.part"), root.join("Karton 8/4.txt")).unwrap();
    watch_until(&town, &folder(root), |archive| documents(archive) == 5 && !root.join("Karton 8").exists());
    let found = batches(&town);
    assert!(found.iter().all(|(_, balance, _)| balance == "Green"), "{found:?}");
    assert!(found.contains(&("Karton 7".into(), "Green".into(), 3)), "{found:?}");
    assert!(found.contains(&("Karton 8".into(), "Green".into(), 2)), "{found:?}");
    assert!(!root.join(".eakte-charge").exists());
}

#[test]
fn a_crash_between_commit_and_move_neither_loses_nor_doubles() {
    let town = TestArchive::new(false);
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write(root, "Karton/1.txt", b"eins");
    write(root, "lose.txt", b"lose");
    watch_until(&town, &folder(root), |archive| documents(archive) == 2 && !root.join("Karton").exists());
    // As if the process had died after the commits: the files lie where they lay.
    fs::create_dir(root.join("Karton")).unwrap();
    fs::rename(root.join("erledigt/Karton/1.txt"), root.join("Karton/1.txt")).unwrap();
    fs::rename(root.join("erledigt/lose.txt"), root.join("lose.txt")).unwrap();
    watch_until(&town, &folder(root), |_| {
        root.join("erledigt/lose.txt").exists() && !root.join("Karton").exists()
    });
    assert_eq!(documents(&town.archive), 2);
    assert!(root.join("erledigt/Karton/1.txt").exists());
}

#[test]
fn a_batch_whose_files_were_all_moved_before_a_crash_is_closed_afterwards() {
    let town = TestArchive::new(false);
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let facts = BatchFacts::named("Karton 7", &root.join("Karton 7").display().to_string());
    town.archive.open_batch(&town.permit, &facts).unwrap();
    fs::create_dir_all(root.join("Karton 7/tief")).unwrap();
    let begun = Instant::now();
    watch_until(&town, &folder(root), |_| begun.elapsed() > Duration::from_millis(500));
    assert!(root.join("Karton 7").exists(), "a folder that is being filled is left alone");
    write(root, "Karton 7/.eakte-charge", b"Karton 7");
    watch_until(&town, &folder(root), |_| !root.join("Karton 7").exists());
    assert_eq!(batches(&town), [("Karton 7".to_owned(), "Green".to_owned(), 0)]);
}

#[test]
fn a_folder_may_bring_its_list_and_a_bad_list_waits_for_its_correction() {
    let town = TestArchive::new(false);
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let frame = "{\"kind\":\"unit\",\"code\":\"1\",\"name\":\"A\"}\n\
                 {\"kind\":\"plan_unit\",\"code\":\"1\",\"title\":\"A\",\"retention_class\":\"10\"}\n";
    let file = |class: &str| {
        format!(
            "{frame}{{\"kind\":\"case_file\",\"key\":\"k\",\"plan_unit\":\"1\",\"unit\":\"{class}\",\"title\":\"T\",\"case_type\":\"A\"}}\n\
             {{\"kind\":\"document\",\"path\":\"a.txt\",\"case_file\":\"k\"}}\n"
        )
    };
    write(root, "K/a.txt", b"a");
    write(root, "K/vergessen.txt", b"v");
    write(root, "K/manifest.jsonl", file("9").as_bytes());
    let reason = root.join("abgelehnt/K.grund.txt");
    watch_until(&town, &folder(root), |_| reason.exists());
    assert!(fs::read_to_string(&reason).unwrap().contains("„9“"));
    assert_eq!(documents(&town.archive), 0);
    assert!(root.join("K/a.txt").exists());
    write(root, "K/manifest.jsonl", file("1").as_bytes());
    watch_until(&town, &folder(root), |archive| documents(archive) == 2 && !root.join("K").exists());
    let filed = town.archive.find_case_file(&town.permit, "k").unwrap();
    let page = town.archive.documents_of(&town.permit, filed, None, 10).unwrap();
    assert_eq!(page.items.len(), 1);
    assert!(root.join("erledigt/K/manifest.jsonl").exists());
}

#[test]
fn a_link_out_of_the_folder_is_not_followed() {
    let town = TestArchive::new(false);
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let secret = write(outside.path(), "geheim.txt", b"geheim");
    std::os::unix::fs::symlink(&secret, root.path().join("link.txt")).unwrap();
    watch_until(&town, &folder(root.path()), |_| root.path().join("abgelehnt/link.txt.grund.txt").exists());
    assert_eq!(documents(&town.archive), 0);
    assert!(secret.exists());
}

//! A disk that is full, or that fails to sync, at any moment of a day's work.

use crate::support::skipped;
use crate::support::town::Town;
use eakte::store::{Disk, ObjectStore, StoreError, Syncs, SystemSyncs};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Syncs that fail once, with the number counted from the moment they are told to.
#[derive(Clone, Debug)]
struct OneFails {
    count: Arc<AtomicUsize>,
    fails_at: Arc<AtomicUsize>,
}

impl OneFails {
    fn new() -> Self {
        Self { count: Arc::default(), fails_at: Arc::new(AtomicUsize::new(usize::MAX)) }
    }

    fn fail(&self, number: usize) {
        self.count.store(0, Ordering::SeqCst);
        self.fails_at.store(number, Ordering::SeqCst);
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    fn sync(&self) -> io::Result<()> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        if number == self.fails_at.load(Ordering::SeqCst) {
            Err(io::Error::from_raw_os_error(5))
        } else {
            Ok(())
        }
    }
}

impl Syncs for OneFails {
    fn file(&self, _: &File, _: &Path) -> io::Result<()> {
        self.sync()
    }

    fn directory(&self, _: &File, _: &Path) -> io::Result<()> {
        self.sync()
    }

    fn everything(&self, _: &File, _: &Path) -> io::Result<()> {
        self.sync()
    }
}

fn town_on(folder: &Path, syncs: OneFails) -> (Town, Arc<Disk>) {
    drop(Disk::create(folder).unwrap());
    let disk = Arc::new(Disk::open_with(folder, Box::new(syncs)).unwrap());
    (Town::new(disk.clone()), disk)
}

#[test]
fn after_any_failed_sync_nothing_is_written_until_the_store_is_opened_again() {
    let scratch = tempfile::tempdir().unwrap();
    let syncs = OneFails::new();
    let (town, _disk) = town_on(&scratch.path().join("whole"), syncs.clone());
    let open = town.open().unwrap();
    syncs.fail(usize::MAX);
    assert!(town.work(&open).failures.is_empty());
    let total = syncs.count();
    drop((open, town));
    assert!(total > 20, "only {total} syncs");
    println!("disk: {total} syncs");
    for number in 0..total {
        let folder = scratch.path().join(number.to_string());
        let syncs = OneFails::new();
        let (mut town, disk) = town_on(&folder, syncs.clone());
        let open = town.open().unwrap();
        syncs.fail(number);
        let first = town.work(&open);
        if syncs.count() <= number {
            // Folders are named after random ids: when two coincide there is a sync less.
            assert!(total - number <= 8, "sync {number} of {total} was not met");
            continue;
        }
        assert!(!first.failures.is_empty(), "sync {number} failed and nobody heard of it");
        // Whatever is tried now is refused, and nothing is synced any more that could seem to help.
        let before = syncs.count();
        let outcome = disk.create(&"x/1".parse().unwrap(), "x".into());
        assert!(matches!(outcome, Err(StoreError::SyncFailed { .. })), "{outcome:?}");
        let again = town.work(&open);
        assert!(
            again.failures.iter().any(|text| text.contains("Neustart") || text.contains("neu starten")),
            "{again:?}"
        );
        assert_eq!(syncs.count(), before, "sync {number}: something was synced after the failure");
        assert!(disk.read(&"tenants/t".parse().unwrap()).is_ok(), "reading goes on");
        drop((open, disk));
        // Opened again, as after a restart.
        town.reopen(|| Arc::new(Disk::open_with(&folder, Box::new(OneFails::new())).unwrap()));
        let open = town.open().unwrap();
        let done = town.work(&open);
        assert_eq!(done.failures, Vec::<String>::new(), "sync {number}");
        for accepted in &first.accepted {
            assert!(
                done.accepted.contains(accepted),
                "sync {number}: {accepted:?} was acknowledged and is lost"
            );
        }
        town.check(&open, &format!("sync {number}"));
    }
}

/// A small file system of its own, gone with this value.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path, bytes: u64) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={bytes}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "eakte-test"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    fn free(&self) -> u64 {
        let facts = rustix::fs::statvfs(&self.0).unwrap();
        facts.f_bavail * facts.f_frsize
    }

    /// Leaves this many bytes.
    fn fill(&self, left: u64) -> PathBuf {
        let path = self.0.join("filler");
        let bytes = usize::try_from(self.free().saturating_sub(left)).unwrap();
        let mut file = File::create(&path).unwrap();
        file.write_all(&vec![0; bytes]).unwrap();
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_disk_that_fills_up_at_any_write_refuses_and_goes_on_when_there_is_room() {
    const NAME: &str = "a_disk_that_fills_up_at_any_write_refuses_and_goes_on_when_there_is_room";
    const PAGE: u64 = 4_096;
    let scratch = tempfile::tempdir().unwrap();
    let mut needed = None;
    for pages in 0_u64.. {
        if needed.is_some_and(|needed| pages > needed) {
            break;
        }
        let at = scratch.path().join(pages.to_string());
        let Some(small) = Small::mount(&at, 1024 * PAGE) else {
            return skipped(NAME, "no file system can be mounted here");
        };
        drop(Disk::create(at.join("store")).unwrap());
        let disk = Arc::new(Disk::open_with(at.join("store"), Box::new(SystemSyncs)).unwrap());
        let mut town = Town::new(disk.clone());
        let open = town.open().unwrap();
        let filler = small.fill(pages * PAGE);
        let first = town.work(&open);
        for failure in &first.failures {
            let is_plain = failure.contains("der Datenträger ist voll") || failure.contains("gibt es nicht");
            assert!(is_plain, "{pages} pages: {failure}");
        }
        if first.failures.is_empty() {
            needed = Some(pages);
        }
        std::fs::remove_file(filler).unwrap();
        // The same process goes on.
        let again = town.work(&open);
        assert_eq!(again.failures, Vec::<String>::new(), "{pages} pages");
        for accepted in &first.accepted {
            assert!(again.accepted.contains(accepted), "{pages} pages: {accepted:?} is lost");
        }
        town.check(&open, &format!("{pages} pages"));
        assert_eq!(std::fs::read_dir(at.join("store/staging")).unwrap().count(), 1, "only the lock stays");
        drop((open, disk));
        town.reopen(|| Arc::new(eakte::store::Memory::new()));
    }
    let needed = needed.unwrap();
    println!("disk: {needed} pages are enough");
    assert!(needed > 15, "the disk was never full");
}

#[test]
fn a_store_opened_for_reading_neither_writes_nor_needs_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Disk::create(folder.path()).unwrap();
    let (key, other) = ("t/a/o/00/eins".parse().unwrap(), "t/a/o/00/zwei".parse().unwrap());
    writer.create(&key, "eins".into()).unwrap();
    let reader = Disk::open_to_read(folder.path()).unwrap();
    assert!(matches!(Disk::open(folder.path()), Err(StoreError::Held { .. })));
    assert_eq!(reader.read(&key).unwrap(), "eins");
    reader.barrier(std::slice::from_ref(&key)).unwrap();
    let staged = {
        let mut staging = writer.stage().unwrap();
        staging.write_all(b"zwei").unwrap();
        staging.finish().unwrap()
    };
    let refused = |outcome: Result<(), StoreError>| {
        let error = outcome.unwrap_err();
        assert!(!error.may_have_applied() && error.to_string().contains("nur zum Lesen"), "{error}");
    };
    refused(reader.stage().map(drop));
    refused(reader.publish(&staged, &other));
    refused(reader.put_all(&[(other.clone(), "zwei".into())]));
    refused(reader.create(&other, "zwei".into()).map(drop));
    refused(reader.replace(&key, "zwei".into()));
    refused(reader.delete(std::slice::from_ref(&key)));
    writer.publish(&staged, &other).unwrap();
    assert_eq!(reader.read(&other).unwrap(), "zwei", "it sees what the other one writes");
    drop((writer, staged));
    drop(Disk::open(folder.path()).unwrap());
}

//! Durable file writes: what is synced when, and what happens when that fails.

use super::{Key, StoreError, staging::SpoolFile};
use crate::wording;
use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// How many syncs of one call overlap. They wait for the disk, not for a processor; the file system gathers
/// those that wait together into one write of its journal.
const OVERLAP: usize = 16;

/// Up to this many objects are synced one by one: a commit of one document, which must not wait for what others write
/// to the same disk.
const ONE_BY_ONE: usize = 8;

/// The operating system's promise that written bytes stay. A seam: tests replace it to fail, or to watch the order.
pub trait Syncs: Send + Sync + fmt::Debug {
    /// Makes a file's content and length durable.
    ///
    /// # Errors
    ///
    /// When the operating system cannot promise it; then nobody knows what the disk holds.
    fn file(&self, file: &File, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    ///
    /// As for a file.
    fn directory(&self, directory: &File, path: &Path) -> io::Result<()>;

    /// Makes everything durable that was written to the file system which holds this directory.
    ///
    /// # Errors
    ///
    /// When any write to it failed since the directory was opened: whose, nobody knows.
    fn everything(&self, directory: &File, path: &Path) -> io::Result<()>;
}

/// `fsync` and `syncfs`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemSyncs;

impl Syncs for SystemSyncs {
    fn file(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_all()
    }

    fn directory(&self, directory: &File, _path: &Path) -> io::Result<()> {
        directory.sync_all()
    }

    fn everything(&self, directory: &File, _path: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(directory)?)
    }
}

/// The durable side of a directory tree.
#[derive(Debug)]
pub(super) struct Durable {
    root: PathBuf,
    /// Kept open: failures of writing are reported to those who had the file system open when they happened.
    handle: File,
    syncs: Box<dyn Syncs>,
    /// The first failed sync. A second sync of the same file may succeed although its bytes are lost, so one
    /// failure ends all writing.
    failed: OnceLock<Arc<str>>,
    /// Folders below the root whose own names are durable.
    known: Mutex<HashSet<String>>,
}

impl Durable {
    pub(super) fn open(root: PathBuf, syncs: Box<dyn Syncs>) -> io::Result<Self> {
        let handle = File::open(&root)?;
        Ok(Self { root, handle, syncs, failed: OnceLock::new(), known: Mutex::default() })
    }

    /// Refuses once a sync has failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.failed.get().map_or(Ok(()), |cause| Err(StoreError::SyncFailed { cause: Arc::clone(cause) }))
    }

    pub(super) fn sync_file(&self, file: &File, path: &Path) -> Result<(), StoreError> {
        self.check()?;
        self.syncs.file(file, path).map_err(|error| self.fail(path, &error))
    }

    /// Syncs a folder below the root; the empty text is the root.
    pub(super) fn sync_folder(&self, folder: &str) -> Result<(), StoreError> {
        self.check()?;
        let path = self.root.join(folder);
        let directory =
            File::open(&path).map_err(|source| StoreError::io("sichern", display(folder), source))?;
        self.syncs.directory(&directory, &path).map_err(|error| self.fail(&path, &error))
    }

    /// Syncs a folder in which a name shows already: a folder that cannot even be opened is a failed sync then,
    /// for an ordinary refusal would say that nothing was written.
    pub(super) fn must_sync_folder(&self, folder: &str) -> Result<(), StoreError> {
        self.sync_folder(folder).map_err(|error| match error {
            StoreError::Io { source, .. } => self.fail(&self.root.join(folder), &source),
            error => error,
        })
    }

    /// Syncs these folders, each once, overlapping.
    pub(super) fn sync_folders<'a>(&self, folders: impl Iterator<Item = &'a str>) -> Result<(), StoreError> {
        let folders: Vec<_> = folders.collect::<BTreeSet<_>>().into_iter().collect();
        overlap(&folders, |folder| self.sync_folder(folder))
    }

    /// Makes objects and their names durable: few of them one by one, many with one sync of the file system, which
    /// costs about as much as that of a single file. A staging file's content comes along.
    pub(super) fn sync_objects(&self, keys: &[Key], staged: Option<&SpoolFile>) -> Result<(), StoreError> {
        self.check()?;
        if keys.len() > ONE_BY_ONE {
            return self
                .syncs
                .everything(&self.handle, &self.root)
                .map_err(|error| self.fail(&self.root, &error));
        }
        let key_or_staged: Vec<_> = keys.iter().map(Ok).chain(staged.map(Err)).collect();
        overlap(&key_or_staged, |item| {
            let key: &Key = match item {
                Ok(key) => key,
                Err(staged) => return self.sync_file(staged.file(), staged.path()),
            };
            let path = self.root.join(key.as_str());
            let file = File::open(&path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => StoreError::Missing(key.clone()),
                _ => StoreError::io("sichern", key, error),
            })?;
            self.sync_file(&file, &path)
        })?;
        self.sync_folders(keys.iter().map(Key::folder))
    }

    /// Makes a folder and those above it, each with a durable name.
    pub(super) fn ensure_folder(&self, folder: &str) -> Result<(), StoreError> {
        if folder.is_empty() || self.is_known(folder) {
            return Ok(());
        }
        let parent = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
        self.ensure_folder(parent)?;
        match DirBuilder::new().mode(0o750).create(self.root.join(folder)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(StoreError::io("anlegen", folder, source)),
        }
        // Also when it was there already: whoever made it may have crashed before the sync.
        self.sync_folder(parent)?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
        Ok(())
    }

    fn is_known(&self, folder: &str) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(folder)
    }

    fn fail(&self, path: &Path, error: &io::Error) -> StoreError {
        let place = path.strip_prefix(&self.root).unwrap_or(path).display();
        let cause = self.failed.get_or_init(|| format!("{place}: {}", wording::os(error)).into());
        tracing::error!(%place, %error, "sync failed; the store is read-only until it is opened again");
        StoreError::SyncFailed { cause: Arc::clone(cause) }
    }
}

fn display(folder: &str) -> &str {
    if folder.is_empty() { "Wurzelverzeichnis" } else { folder }
}

/// Does something for each item, several at once; all are tried, the first error in their order is returned.
pub(super) fn overlap<T: Sync>(
    items: &[T],
    action: impl Fn(&T) -> Result<(), StoreError> + Sync,
) -> Result<(), StoreError> {
    if let [item] = items {
        return action(item);
    }
    let next = AtomicUsize::new(0);
    let first_error: Mutex<Option<(usize, StoreError)>> = Mutex::new(None);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            if let Err(error) = action(item) {
                let mut first = first_error.lock().unwrap_or_else(PoisonError::into_inner);
                if first.as_ref().is_none_or(|(earlier, _)| index < *earlier) {
                    *first = Some((index, error));
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..OVERLAP.min(items.len()) {
            // Without a thread the others do its share.
            let _ = thread::Builder::new().name("eakte-sync".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    first_error.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), |(_, error)| Err(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_work_tries_every_item_and_reports_the_first_error() {
        let items: Vec<usize> = (0..100).collect();
        let done = AtomicUsize::new(0);
        let outcome = overlap(&items, |item| {
            done.fetch_add(1, Ordering::Relaxed);
            if item % 10 == 7 {
                return Err(StoreError::Configuration(item.to_string()));
            }
            Ok(())
        });
        assert_eq!(outcome.unwrap_err().to_string(), "7");
        assert_eq!(done.into_inner(), 100);
    }

    #[test]
    fn a_new_folder_is_synced_in_the_folder_above_once() {
        #[derive(Debug, Default)]
        struct Watch(Arc<Mutex<Vec<PathBuf>>>);
        impl Syncs for Watch {
            fn file(&self, _: &File, _: &Path) -> io::Result<()> {
                Ok(())
            }
            fn directory(&self, _: &File, path: &Path) -> io::Result<()> {
                self.0.lock().unwrap().push(path.to_owned());
                Ok(())
            }
            fn everything(&self, _: &File, _: &Path) -> io::Result<()> {
                Ok(())
            }
        }
        let root = tempfile::tempdir().unwrap();
        let seen = Arc::default();
        let durable = Durable::open(root.path().to_owned(), Box::new(Watch(Arc::clone(&seen)))).unwrap();
        durable.ensure_folder("t/a/o").unwrap();
        durable.ensure_folder("t/a/e").unwrap();
        durable.ensure_folder("t/a/o").unwrap();
        let expected = ["", "t", "t/a", "t/a"].map(|folder| root.path().join(folder));
        assert_eq!(*seen.lock().unwrap(), expected);
    }
}

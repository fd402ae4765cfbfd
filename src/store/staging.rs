//! Incoming bytes on this machine, before they have a name.

use super::{Body, Lock, StoreError};
use crate::domain::{Digest, digest::Hasher};
use bytes::Bytes;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, renameat_with};
use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const BUFFER_BYTES: usize = 64 * 1024;
const LOCK: &str = "lock";

/// A folder for staging files. One process at a time works in it, so whatever lies there when it is opened is
/// left over from a crash and is removed.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    /// Held as long as anything staged lives; released by the operating system when the process ends.
    _lock: Lock,
    next: AtomicU64,
    /// Whether the file system makes files without a name here that can be given one later: nobody waits for the
    /// folder then, and nothing needs to be taken out of it.
    nameless: bool,
}

impl Spool {
    /// Opens the folder, making it if needed.
    pub(super) fn open(folder: PathBuf) -> Result<Self, StoreError> {
        let failed = |source| StoreError::io("öffnen", folder.display(), source);
        DirBuilder::new().recursive(true).mode(0o750).create(&folder).map_err(failed)?;
        let Some(lock) = Lock::take(&folder.join(LOCK), 0o640).map_err(failed)? else {
            let place = folder.parent().unwrap_or(&folder).display().to_string();
            return Err(StoreError::Held { place });
        };
        let removed = clean(&folder).map_err(failed)?;
        if removed > 0 {
            tracing::info!(removed, "removed what an interrupted run had staged");
        }
        let nameless = knows_nameless(&folder);
        Ok(Self { folder, _lock: lock, next: AtomicU64::new(0), nameless })
    }

    fn file(self: &Arc<Self>) -> io::Result<SpoolFile> {
        if !self.nameless {
            return self.named();
        }
        let file = nameless(&self.folder)?;
        Ok(SpoolFile { path: by_descriptor(&file), file, named: false, _spool: Arc::clone(self) })
    }

    fn named(self: &Arc<Self>) -> io::Result<SpoolFile> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{number:x}.part"));
        let file = OpenOptions::new().create_new(true).write(true).mode(0o640).open(&path)?;
        Ok(SpoolFile { path, file, named: true, _spool: Arc::clone(self) })
    }

    /// Opens a place for incoming bytes.
    pub(super) fn stage(self: &Arc<Self>) -> Result<Staging, StoreError> {
        let place = self.file().map_err(StoreError::staging)?;
        Ok(Staging::new(Sink::File(BufWriter::with_capacity(BUFFER_BYTES, place))))
    }

    /// Stages a small object at once.
    pub(super) fn write(self: &Arc<Self>, bytes: &[u8]) -> Result<SpoolFile, StoreError> {
        let mut place = self.file().map_err(StoreError::staging)?;
        place.write_all(bytes).map_err(StoreError::staging)?;
        Ok(place)
    }

    /// Stages a small object under a name, so that it can be moved: a file system without a journal does not make
    /// the first name of a file durable with the folder alone, for the file itself says how many names it has.
    pub(super) fn write_named(self: &Arc<Self>, bytes: &[u8]) -> Result<SpoolFile, StoreError> {
        let mut place = self.named().map_err(StoreError::staging)?;
        place.write_all(bytes).map_err(StoreError::staging)?;
        Ok(place)
    }

    /// Stages the same bytes once more: a file without a name that got one and lost it gets no other.
    pub(super) fn copy(self: &Arc<Self>, source: &SpoolFile) -> Result<SpoolFile, StoreError> {
        let mut place = self.file().map_err(StoreError::staging)?;
        let copied = File::open(source.path()).and_then(|mut file| io::copy(&mut file, &mut place));
        copied.map_err(StoreError::staging)?;
        Ok(place)
    }
}

/// Tries whether a file can be made without a name here and be given one.
fn knows_nameless(folder: &Path) -> bool {
    let probe = folder.join("probe.part");
    let given = nameless(folder).and_then(|file| give_name(&by_descriptor(&file), &probe));
    given.is_ok_and(|()| fs::remove_file(&probe).is_ok())
}

fn nameless(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(rustix::fs::open(folder, flags, Mode::from_raw_mode(0o640))?.into())
}

fn by_descriptor(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn give_name(path: &Path, name: &Path) -> io::Result<()> {
    Ok(linkat(CWD, path, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
}

fn clean(folder: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() != LOCK && !entry.file_type()?.is_dir() {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// A staging file, removed when dropped.
#[derive(Debug)]
pub(super) struct SpoolFile {
    /// Its name, or where the process finds it without one.
    path: PathBuf,
    file: File,
    /// Whether it has a name that is to be removed.
    named: bool,
    _spool: Arc<Spool>,
}

impl SpoolFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file a name, beside the one it may have.
    pub(super) fn link(&self, name: &Path) -> io::Result<()> {
        give_name(&self.path, name)
    }

    /// Whether the only name it can have is gone: it then has to be [copied](Spool::copy).
    pub(super) fn is_spent(&self, refusal: &io::Error) -> bool {
        !self.named && refusal.kind() == io::ErrorKind::NotFound
    }

    /// Moves the file to a name that is free.
    pub(super) fn settle(&mut self, name: &Path) -> io::Result<()> {
        if !self.named {
            return self.link(name);
        }
        renameat_with(CWD, &self.path, CWD, name, RenameFlags::NOREPLACE)?;
        self.named = false;
        Ok(())
    }

    /// Moves the file to a name, in place of what stands there.
    pub(super) fn replace(&mut self, name: &Path) -> io::Result<()> {
        fs::rename(&self.path, name)?;
        self.named = false;
        Ok(())
    }
}

impl Write for SpoolFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.file.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        // What cannot be removed now is removed when the store is opened next.
        if self.named {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Takes incoming bytes and hashes them while they are written. Dropping it removes them.
pub struct Staging {
    sink: Sink,
    hasher: Hasher,
    size_bytes: u64,
    failed: bool,
}

enum Sink {
    File(BufWriter<SpoolFile>),
    Memory(Vec<u8>),
}

impl Staging {
    fn new(sink: Sink) -> Self {
        Self { sink, hasher: Hasher::new(), size_bytes: 0, failed: false }
    }

    /// A staging place in memory: for stores that keep nothing on disk.
    pub fn in_memory() -> Self {
        Self::new(Sink::Memory(Vec::new()))
    }

    /// How many bytes have come so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Ends the writing. Nothing is durable yet.
    ///
    /// # Errors
    ///
    /// When a write failed, now or earlier: the bytes are gone then.
    pub fn finish(self) -> Result<Staged, StoreError> {
        if self.failed {
            return Err(StoreError::staging(io::Error::other("an earlier write failed")));
        }
        let content = match self.sink {
            Sink::File(writer) => {
                let place = writer.into_inner().map_err(|error| StoreError::staging(error.into_error()))?;
                // Has the disk begin writing, so that the barrier finds most of it done. Mere advice: a refusal
                // changes nothing.
                let _ = rustix::fs::fadvise(place.file(), 0, None, rustix::fs::Advice::DontNeed);
                Content::File { place }
            }
            Sink::Memory(bytes) => Content::Memory(bytes.into()),
        };
        Ok(Staged { digest: self.hasher.finish(), size_bytes: self.size_bytes, content })
    }
}

impl Write for Staging {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = match &mut self.sink {
            Sink::File(writer) => writer.write(buffer).inspect_err(|error| {
                self.failed |= error.kind() != io::ErrorKind::Interrupted;
            })?,
            Sink::Memory(bytes) => bytes.write(buffer)?,
        };
        self.hasher.update(&buffer[..written]);
        self.size_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::File(writer) => writer.flush().inspect_err(|_| self.failed = true),
            Sink::Memory(_) => Ok(()),
        }
    }
}

impl fmt::Debug for Staging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staging").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}

/// Bytes that came in completely, with their digest, waiting for a name. Dropping it removes the staging file;
/// what was published from it stays.
#[derive(Debug)]
pub struct Staged {
    digest: Digest,
    size_bytes: u64,
    content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    File { place: SpoolFile },
    Memory(Bytes),
}

impl Staged {
    /// SHA-256 of the bytes as they came in.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many bytes came in.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The staging file, where there is one; never to be changed.
    pub fn path(&self) -> Option<&Path> {
        match &self.content {
            Content::File { place, .. } => Some(&place.path),
            Content::Memory(_) => None,
        }
    }

    /// Opens the bytes for reading, for instance to find out what they are.
    ///
    /// # Errors
    ///
    /// When the staging file cannot be read.
    pub fn open(&self) -> Result<Body, StoreError> {
        match &self.content {
            Content::File { place, .. } => {
                let file = File::open(&place.path).map_err(StoreError::staging)?;
                Ok(Body::file(self.size_bytes, file))
            }
            Content::Memory(bytes) => Ok(Body::new(self.size_bytes, io::Cursor::new(bytes.clone()))),
        }
    }

    pub(super) fn content(&self) -> &Content {
        &self.content
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn staged_bytes_carry_their_digest_and_length() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Arc::new(Spool::open(folder.path().to_owned()).unwrap());
        for mut staging in [spool.stage().unwrap(), Staging::in_memory()] {
            staging.write_all(b"a").unwrap();
            staging.write_all(&vec![b'b'; 100_000]).unwrap();
            let staged = staging.finish().unwrap();
            let expected = [vec![b'a'], vec![b'b'; 100_000]].concat();
            assert_eq!((staged.digest(), staged.size_bytes()), (Digest::of(&expected), 100_001));
            let mut read = Vec::new();
            staged.open().unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn only_one_process_at_a_time_stages_in_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Arc::new(Spool::open(folder.path().to_owned()).unwrap());
        assert!(matches!(Spool::open(folder.path().to_owned()), Err(StoreError::Held { .. })));
        drop(spool);
        Spool::open(folder.path().to_owned()).expect("the lock went with its holder");
    }

    #[test]
    fn staged_bytes_get_a_second_name_after_the_first_was_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path().join("staging")).unwrap();
        let name = folder.path().join("name");
        for nameless in [spool.nameless, false] {
            spool.nameless = nameless;
            let shared = Arc::new(spool);
            let staged = shared.write(b"letter").unwrap();
            staged.link(&name).unwrap();
            assert_eq!(staged.link(&name).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            fs::remove_file(&name).unwrap();
            if let Err(refusal) = staged.link(&name) {
                assert!(nameless && staged.is_spent(&refusal), "{refusal}");
                shared.copy(&staged).unwrap().settle(&name).unwrap();
            }
            assert_eq!(fs::read(&name).unwrap(), b"letter");
            fs::remove_file(&name).unwrap();
            drop(staged);
            let left = fs::read_dir(folder.path().join("staging")).unwrap().count();
            assert_eq!(left, 1, "only the lock stays");
            spool = Arc::into_inner(shared).unwrap();
        }
    }
}

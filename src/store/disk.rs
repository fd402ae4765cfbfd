//! A store in a local directory.
//!
//! Reads, lists and deletes go through `object_store`. Writes are ours: `object_store` would sync the folder of
//! every object by itself, and copy what is staged already.

use super::{
    Body, Created, DELETE, Key, LIST, Listed, ObjectStore, Prefix, Prepared, READ, Staged, Staging,
    StoreError, Syncs, SystemSyncs, WRITE, cut_range,
    durable::Durable,
    key::STAGING,
    read_whole,
    staging::{Content, Spool, SpoolFile},
    wait::wait,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use object_store::{
    GetOptions, GetResult, GetResultPayload, ObjectStore as _, ObjectStoreExt as _, local::LocalFileSystem,
    path::Path,
};
use std::{
    error::Error,
    fs::{self, DirBuilder, File},
    io::{self, Read, Seek, SeekFrom},
    ops::{ControlFlow, Range},
    os::unix::fs::DirBuilderExt,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

/// A local directory, the default place of an archive. One process at a time has it open.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    files: LocalFileSystem,
    durable: Arc<Durable>,
    /// None in a store that is only read.
    spool: Option<Arc<Spool>>,
}

impl Disk {
    /// Opens a directory that exists, and removes what an interrupted run had staged there.
    ///
    /// # Errors
    ///
    /// When there is no such directory, another process holds it, or it cannot be read or written.
    pub fn open(root: impl AsRef<FilePath>) -> Result<Self, StoreError> {
        Self::open_with(root, Box::new(SystemSyncs))
    }

    /// Opens a directory with other syncs than the operating system's: for tests.
    ///
    /// # Errors
    ///
    /// As for [`Disk::open`].
    pub fn open_with(root: impl AsRef<FilePath>, syncs: Box<dyn Syncs>) -> Result<Self, StoreError> {
        let disk = Self::open_to_read_with(root.as_ref(), syncs)?;
        let spool = Arc::new(Spool::open(disk.root.join(STAGING))?);
        Ok(Self { spool: Some(spool), ..disk })
    }

    /// Opens a directory that exists for reading only, also while another process works in it. Every write is
    /// refused; [`barrier`](ObjectStore::barrier) is none and makes durable what the other one has written.
    ///
    /// # Errors
    ///
    /// When there is no such directory, or it cannot be read.
    pub fn open_to_read(root: impl AsRef<FilePath>) -> Result<Self, StoreError> {
        Self::open_to_read_with(root.as_ref(), Box::new(SystemSyncs))
    }

    fn open_to_read_with(root: &FilePath, syncs: Box<dyn Syncs>) -> Result<Self, StoreError> {
        let place = || root.display().to_string();
        let root = match fs::canonicalize(root) {
            Ok(path) if path.is_dir() => path,
            Ok(_) => return Err(StoreError::NoStore { place: place() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::NoStore { place: place() });
            }
            Err(source) => return Err(StoreError::io("öffnen", place(), source)),
        };
        let files = LocalFileSystem::new_with_prefix(&root).map_err(|error| local(READ, &place(), error))?;
        let durable = Durable::open(root.clone(), syncs);
        let durable = Arc::new(durable.map_err(|source| StoreError::io("öffnen", place(), source))?);
        Ok(Self { root, files, durable, spool: None })
    }

    /// Makes a directory, or takes an empty one, and opens it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotEmpty`] when anything lies there; otherwise as for [`Disk::open`].
    pub fn create(root: impl AsRef<FilePath>) -> Result<Self, StoreError> {
        let root = root.as_ref();
        let failed = |source| StoreError::io("anlegen", root.display(), source);
        DirBuilder::new().recursive(true).mode(0o750).create(root).map_err(failed)?;
        let parent = fs::canonicalize(root).map_err(failed)?.parent().map(FilePath::to_owned);
        if let Some(parent) = parent {
            File::open(&parent).and_then(|directory| directory.sync_all()).map_err(failed)?;
        }
        for entry in fs::read_dir(root).map_err(failed)? {
            // A fresh file system has the first, an interrupted `create` leaves the second.
            if !["lost+found", STAGING]
                .iter()
                .any(|name| entry.as_ref().is_ok_and(|entry| entry.file_name() == *name))
            {
                return Err(StoreError::NotEmpty { place: root.display().to_string() });
            }
        }
        Self::open(root)
    }

    /// The directory.
    pub fn root(&self) -> &FilePath {
        &self.root
    }

    /// The spool, as long as anything may be written.
    fn spool(&self) -> Result<&Arc<Spool>, StoreError> {
        self.durable.check()?;
        self.spool.as_ref().ok_or_else(|| StoreError::opened_to_read(self.root.display()))
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    /// Gives a staging file its name; false when the name is taken.
    fn link(&self, staged: &SpoolFile, key: &Key) -> Result<bool, StoreError> {
        let spool = self.spool()?;
        self.durable.ensure_folder(key.folder())?;
        match staged.link(&self.path(key)) {
            Err(refusal) if staged.is_spent(&refusal) => self.settle(spool.copy(staged)?, key),
            outcome => was_free(key, outcome),
        }
    }

    /// Moves a staging file to its name, where nobody else needs it; false when the name is taken.
    fn settle(&self, mut staged: SpoolFile, key: &Key) -> Result<bool, StoreError> {
        self.durable.check()?;
        self.durable.ensure_folder(key.folder())?;
        was_free(key, staged.settle(&self.path(key)))
    }

    fn put(&self, key: &Key, bytes: &Bytes) -> Result<(), StoreError> {
        if self.settle(self.spool()?.write(bytes)?, key)? {
            return Ok(());
        }
        self.require_same(key, Body::new(bytes.len() as u64, io::Cursor::new(bytes.clone())))
    }

    /// Accepts a repeated write of the same bytes.
    fn require_same(&self, key: &Key, mut wanted: Body) -> Result<(), StoreError> {
        let mut found = self.open(key)?;
        let failed = |source| StoreError::io(READ, key, source);
        let mut buffers = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        let mut left = wanted.size_bytes();
        let mut is_same = left == found.size_bytes();
        while is_same && left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffers.0.len());
            found.read_exact(&mut buffers.0[..length]).map_err(failed)?;
            wanted.read_exact(&mut buffers.1[..length]).map_err(failed)?;
            is_same = buffers.0[..length] == buffers.1[..length];
            left -= length as u64;
        }
        if is_same { Ok(()) } else { Err(StoreError::Occupied(key.clone())) }
    }

    fn get(&self, key: &Key, options: GetOptions) -> Result<(GetResult, File), StoreError> {
        let mut result = wait(self.files.get_opts(&Path::from(key.as_str()), options))
            .map_err(|error| read_error(READ, key, error))?;
        let stream = GetResultPayload::Stream(stream::empty().boxed());
        match std::mem::replace(&mut result.payload, stream) {
            GetResultPayload::File(file, _) => Ok((result, file)),
            GetResultPayload::Stream(_) => {
                let source = io::Error::other("a local object is no file");
                Err(StoreError::io(READ, key, source))
            }
        }
    }
}

impl ObjectStore for Disk {
    fn stage(&self) -> Result<Staging, StoreError> {
        self.spool()?.stage()
    }

    fn publish(&self, staged: &Staged, key: &Key) -> Result<(), StoreError> {
        self.spool()?;
        match staged.content() {
            Content::File { place } => {
                // Neither content nor name is durable before the barrier. A crash here leaves an object that nothing
                // names, perhaps an incomplete one, or none.
                if self.link(place, key)? {
                    return Ok(());
                }
                self.require_same(key, staged.open()?)
            }
            Content::Memory(bytes) => self.put(key, bytes),
        }
    }

    fn put_all(&self, objects: &[(Key, Bytes)]) -> Result<(), StoreError> {
        self.spool()?;
        objects.iter().map(|(key, bytes)| self.put(key, bytes)).fold(Ok(()), Result::and)
    }

    fn barrier(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.durable.sync_objects(keys, None)
    }

    fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StoreError> {
        let spool = self.spool()?;
        let is_new = match self.path(key).try_exists() {
            Ok(true) => false,
            Ok(false) => {
                let staged = spool.write_named(&bytes)?;
                // Content first: whoever sees the name may rely on it.
                self.durable.sync_file(staged.file(), staged.path())?;
                self.settle(staged, key)?
            }
            Err(source) => return Err(StoreError::io(WRITE, key, source)),
        };
        // Also for one that stood: its writer may not have come this far, and the caller will build on it.
        self.durable.must_sync_folder(key.folder())?;
        Ok(if is_new { Created::Created } else { Created::Exists })
    }

    fn prepare(&self, objects: &[Key], bytes: Bytes) -> Result<Prepared, StoreError> {
        let staged = self.spool()?.write_named(&bytes)?;
        self.durable.sync_objects(objects, Some(&staged))?;
        Ok(Prepared::staged(bytes, staged))
    }

    fn create_prepared(&self, key: &Key, prepared: &Prepared) -> Result<Created, StoreError> {
        self.spool()?;
        // Taken by an earlier attempt, perhaps one that has failed half-way.
        let Some(staged) = prepared.take() else { return self.create(key, prepared.bytes()) };
        let is_new = self.settle(staged, key)?;
        // As in `create`.
        self.durable.must_sync_folder(key.folder())?;
        Ok(if is_new { Created::Created } else { Created::Exists })
    }

    fn replace(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        let spool = self.spool()?;
        self.durable.ensure_folder(key.folder())?;
        let mut staged = spool.write_named(&bytes)?;
        self.durable.sync_file(staged.file(), staged.path())?;
        staged.replace(&self.path(key)).map_err(|source| StoreError::io(WRITE, key, source))?;
        self.durable.must_sync_folder(key.folder())
    }

    fn read(&self, key: &Key) -> Result<Bytes, StoreError> {
        read_whole(key, self.open(key)?)
    }

    fn open(&self, key: &Key) -> Result<Body, StoreError> {
        let (result, file) = self.get(key, GetOptions::default())?;
        Ok(Body::file(result.meta.size, file))
    }

    fn open_range(&self, key: &Key, range: Range<u64>) -> Result<Body, StoreError> {
        let (result, mut file) = self.get(key, GetOptions::default())?;
        let range = cut_range(key, &range, result.meta.size)?;
        file.seek(SeekFrom::Start(range.start)).map_err(|source| StoreError::io(READ, key, source))?;
        Ok(Body::file(range.end - range.start, file))
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, StoreError> {
        match wait(self.files.head(&Path::from(key.as_str()))) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(read_error(READ, key, error)),
        }
    }

    fn list(
        &self,
        prefix: &Prefix,
        visit: &mut dyn FnMut(Listed) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let folder = Path::from(prefix.as_str());
        let mut entries = self.files.list((!prefix.as_str().is_empty()).then_some(&folder));
        while let Some(entry) = wait(entries.next()) {
            let meta = match entry {
                Ok(meta) => meta,
                // Removed between the reading of the folder and that of the entry.
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(error) => return Err(local(LIST, prefix.as_str(), error)),
            };
            let Ok(key) = Key::new(meta.location.as_ref()) else { continue };
            let listed = Listed { key, size_bytes: meta.size, modified: meta.last_modified.into() };
            if visit(listed).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.spool()?;
        let paths: Vec<_> = keys.iter().map(|key| Ok(Path::from(key.as_str()))).collect();
        let mut outcomes = self.files.delete_stream(stream::iter(paths).boxed());
        let mut outcome = Ok(());
        for key in keys {
            match wait(outcomes.next()) {
                Some(Ok(_) | Err(object_store::Error::NotFound { .. })) | None => {}
                Some(Err(error)) => outcome = outcome.and(Err(local(DELETE, key.as_str(), error))),
            }
        }
        // Also for missing ones: an earlier delete may not have come this far.
        let folders = keys.iter().map(Key::folder).filter(|folder| self.root.join(folder).is_dir());
        self.durable.sync_folders(folders)?;
        outcome
    }
}

/// What a refusal to give a name means.
fn was_free(key: &Key, outcome: io::Result<()>) -> Result<bool, StoreError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(StoreError::io(WRITE, key, source)),
    }
}

fn read_error(action: &'static str, key: &Key, error: object_store::Error) -> StoreError {
    match error {
        object_store::Error::NotFound { .. } => StoreError::Missing(key.clone()),
        error => local(action, key.as_str(), error),
    }
}

/// The operating system's refusal inside one of `object_store`'s errors.
fn local(action: &'static str, object: &str, error: object_store::Error) -> StoreError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(refusal) = inner.downcast_ref::<io::Error>() {
            let source = match refusal.raw_os_error() {
                Some(number) => io::Error::from_raw_os_error(number),
                None => io::Error::new(refusal.kind(), refusal.to_string()),
            };
            return StoreError::io(action, object, source);
        }
        cause = inner.source();
    }
    StoreError::io(action, object, io::Error::other(error))
}

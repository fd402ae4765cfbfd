//! Objects by name: on a local disk, in a bucket, or in memory.
//!
//! The trait is narrow and synchronous, so that a fault wrapper or a simulation can stand in for a store. It
//! parts *writing* from *durability*: [`publish`](ObjectStore::publish) and [`put_all`](ObjectStore::put_all) give
//! objects their names, [`barrier`](ObjectStore::barrier) makes many of them durable together, content and name. A
//! commit needs that before it is written; [`create`](ObjectStore::create) does both at once, and
//! [`prepare`](ObjectStore::prepare) spares it a wait.
//!
//! ```
//! use eakte::store::{Created, Key, Memory, ObjectStore};
//! use std::io::{Read, Write};
//!
//! let store = Memory::new();
//! let mut staging = store.stage()?;
//! staging.write_all(b"letter")?;
//! let staged = staging.finish()?;
//! let key: Key = format!("t/steverau/o/00/{}", staged.digest()).parse()?;
//! store.publish(&staged, &key)?;
//! store.barrier(&[key.clone()])?;
//! assert_eq!(store.create(&"t/steverau/j/000000000/000".parse()?, "commit".into())?, Created::Created);
//!
//! let mut text = String::new();
//! store.open(&key)?.read_to_string(&mut text)?;
//! assert_eq!(text, "letter");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod bucket;
mod bucket_config;
mod disk;
mod durable;
mod error;
mod key;
mod location;
mod lock;
mod memory;
mod staging;
mod wait;

pub use body::Body;
pub use bucket::Bucket;
pub use bucket_config::{BucketConfig, BucketUrl, Secret};
pub use bytes::Bytes;
pub use disk::Disk;
pub use durable::{Syncs, SystemSyncs};
pub use error::{Cause, StoreError};
pub use key::{InvalidKey, Key, Prefix};
pub use location::{
    MARKER, Marker, OpenStore, StoreLocation, create_store, mark, mark_as, open_store, open_store_to_read,
    read_marker,
};
pub(crate) use lock::Lock;
pub use memory::Memory;
pub use staging::{Staged, Staging};

use staging::SpoolFile;
use std::{
    fmt,
    ops::{ControlFlow, Range},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// The largest object that [`ObjectStore::read`] takes into memory: a payload is at most 1 MiB, a commit of 1,000
/// events about 200 KB.
pub const MAX_READ_BYTES: u64 = 4 * 1024 * 1024;

/// What [`ObjectStore::create`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The name was free; the object is durable, and so is its name.
    Created,
    /// The name is taken, by another writer or by an earlier attempt of ours: read it and compare. What stands
    /// there is durable, with its name.
    Exists,
}

/// Bytes that [`ObjectStore::prepare`] has made ready.
#[derive(Debug)]
pub struct Prepared {
    bytes: Bytes,
    /// Where they lie durably already; gone once they got their name.
    staged: Mutex<Option<SpoolFile>>,
}

impl Prepared {
    /// Bytes that are not written anywhere yet.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, staged: Mutex::new(None) }
    }

    fn staged(bytes: Bytes, staged: SpoolFile) -> Self {
        Self { bytes, staged: Mutex::new(Some(staged)) }
    }

    /// The bytes.
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    fn take(&self) -> Option<SpoolFile> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// One object as [`ObjectStore::list`] sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The object's name.
    pub key: Key,
    /// Its length.
    pub size_bytes: u64,
    /// When it was written, by the store's own clock.
    pub modified: SystemTime,
}

/// A place for objects that are written once.
///
/// Every method may be called from any thread, also from one that belongs to an async runtime (it blocks).
///
/// # Errors
///
/// Reads answer [`StoreError::Missing`] only when the store said that the object is not there. Writes may answer
/// [`StoreError::Doubt`] or [`StoreError::SyncFailed`]: then the object may stand or not, now or later
/// ([`StoreError::may_have_applied`]). After a failed sync every later write answers `SyncFailed`.
#[expect(clippy::missing_errors_doc, reason = "the trait's own comment says it for all methods")]
pub trait ObjectStore: Send + Sync + fmt::Debug {
    /// Opens a place on this machine for incoming bytes. Dropping it, or what it becomes, removes the bytes.
    fn stage(&self) -> Result<Staging, StoreError>;

    /// Makes staged bytes visible under a key. Durable only after [`barrier`](Self::barrier): until then a crash may
    /// leave the object, a part of it, or nothing. Publishing the same bytes again is fine; other bytes are refused with
    /// [`StoreError::Occupied`] by stores that can tell (a bucket cannot: it relies on names that carry a digest).
    fn publish(&self, staged: &Staged, key: &Key) -> Result<(), StoreError>;

    /// Writes small objects, several at once; promises what [`publish`](Self::publish) promises. After an error
    /// some of them may stand; repeating the call is fine.
    fn put_all(&self, objects: &[(Key, Bytes)]) -> Result<(), StoreError>;

    /// Makes these objects durable, content and name.
    fn barrier(&self, keys: &[Key]) -> Result<(), StoreError>;

    /// Writes an object if its name is free. Durable, with its name, when it answers [`Created::Created`].
    ///
    /// [`Created::Exists`] may be our own write whose answer was lost; [`StoreError::Doubt`] may still turn out
    /// either way: the caller reads back and compares.
    fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StoreError>;

    /// Makes these objects durable, content and name, and readies bytes that are to be created only after them: where
    /// the store can, with one wait for both. After an error nothing is promised of either.
    fn prepare(&self, objects: &[Key], bytes: Bytes) -> Result<Prepared, StoreError> {
        self.barrier(objects)?;
        Ok(Prepared::new(bytes))
    }

    /// Does what [`create`](Self::create) does, with bytes that are ready; may be repeated.
    fn create_prepared(&self, key: &Key, prepared: &Prepared) -> Result<Created, StoreError> {
        self.create(key, prepared.bytes())
    }

    /// Overwrites an object at once and durably: for the few marks that change.
    fn replace(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError>;

    /// Reads a whole object of at most [`MAX_READ_BYTES`].
    fn read(&self, key: &Key) -> Result<Bytes, StoreError>;

    /// Opens an object for reading, whatever its size.
    fn open(&self, key: &Key) -> Result<Body, StoreError>;

    /// Opens a part of an object; an end behind the object's end is cut, an empty range is refused with
    /// [`StoreError::OutOfRange`].
    fn open_range(&self, key: &Key, range: Range<u64>) -> Result<Body, StoreError>;

    /// The object's length, `None` when there is none.
    fn size(&self, key: &Key) -> Result<Option<u64>, StoreError>;

    /// Shows every object below a folder, in no order, until the visitor breaks. Objects that come or go meanwhile
    /// may be shown or not. Files whose name is no [`Key`] are not ours and are passed over. Memory is bounded.
    fn list(
        &self,
        prefix: &Prefix,
        visit: &mut dyn FnMut(Listed) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// Removes objects durably; missing ones are fine. After an error some of them may be gone.
    fn delete(&self, keys: &[Key]) -> Result<(), StoreError>;
}

impl<S: ObjectStore + ?Sized> ObjectStore for Arc<S> {
    fn stage(&self) -> Result<Staging, StoreError> {
        (**self).stage()
    }

    fn publish(&self, staged: &Staged, key: &Key) -> Result<(), StoreError> {
        (**self).publish(staged, key)
    }

    fn put_all(&self, objects: &[(Key, Bytes)]) -> Result<(), StoreError> {
        (**self).put_all(objects)
    }

    fn barrier(&self, keys: &[Key]) -> Result<(), StoreError> {
        (**self).barrier(keys)
    }

    fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StoreError> {
        (**self).create(key, bytes)
    }

    fn prepare(&self, objects: &[Key], bytes: Bytes) -> Result<Prepared, StoreError> {
        (**self).prepare(objects, bytes)
    }

    fn create_prepared(&self, key: &Key, prepared: &Prepared) -> Result<Created, StoreError> {
        (**self).create_prepared(key, prepared)
    }

    fn replace(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        (**self).replace(key, bytes)
    }

    fn read(&self, key: &Key) -> Result<Bytes, StoreError> {
        (**self).read(key)
    }

    fn open(&self, key: &Key) -> Result<Body, StoreError> {
        (**self).open(key)
    }

    fn open_range(&self, key: &Key, range: Range<u64>) -> Result<Body, StoreError> {
        (**self).open_range(key, range)
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, StoreError> {
        (**self).size(key)
    }

    fn list(
        &self,
        prefix: &Prefix,
        visit: &mut dyn FnMut(Listed) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        (**self).list(prefix, visit)
    }

    fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        (**self).delete(keys)
    }
}

/// Takes the end of a range back to the object's end; refuses an empty one.
fn cut_range(key: &Key, range: &Range<u64>, size_bytes: u64) -> Result<Range<u64>, StoreError> {
    let end = range.end.min(size_bytes);
    if range.start < end {
        Ok(range.start..end)
    } else {
        Err(StoreError::OutOfRange { key: key.clone(), start: range.start, end: range.end })
    }
}

/// Reads a body of at most [`MAX_READ_BYTES`] into memory.
fn read_whole(key: &Key, mut body: Body) -> Result<Bytes, StoreError> {
    let size_bytes = body.size_bytes();
    if size_bytes > MAX_READ_BYTES {
        return Err(StoreError::TooLarge { key: key.clone(), size_bytes, limit_bytes: MAX_READ_BYTES });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or(0));
    std::io::Read::read_to_end(&mut body, &mut bytes).map_err(|source| StoreError::io(READ, key, source))?;
    Ok(bytes.into())
}

/// The actions that errors name.
const READ: &str = "lesen";
const WRITE: &str = "schreiben";
const LIST: &str = "auflisten";
const DELETE: &str = "löschen";

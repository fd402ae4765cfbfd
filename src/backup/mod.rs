//! Backup (Sicherung) and restore: a tenant's objects, payloads and commits in another place, checked while they
//! are copied. Tokens and projections are never part of it.
//!
//! A backup may be taken while others write, also by another process: nothing is ever rewritten. It reaches up to the newest commit at its start. An interrupted one is
//! simply repeated. It is laid out like a store, so that `sha256sum` can check it, but its mark is another, so that
//! it is never taken for one.

mod copy;
mod manifest;
mod restore;

pub use manifest::{Manifest, Saved};
pub use restore::{RestoreReport, RestoredTenant, Target, restore};

use crate::archive::{Error, Installation, Kind, Place, tenants_in};
use crate::clock::Clock;
use crate::domain::{Digest, TenantSlug};
use crate::journal::Layout;
use crate::store::{
    Bucket, BucketConfig, Disk, MARKER, ObjectStore, Prefix, StoreError, StoreLocation, open_store_to_read,
    read_marker,
};
use crate::verify::{Fault, Progress, chain};
use copy::{CopyError, Way, copy};
use manifest::{MANIFEST, key};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// What is saved: a store, open for reading at least.
#[derive(Debug)]
pub struct Source {
    store: Arc<dyn ObjectStore>,
    name: String,
    /// For what does not fit into memory.
    scratch: PathBuf,
    clock: Arc<dyn Clock>,
}

impl Source {
    /// The store of an installation that is open in this process.
    pub fn of(installation: &Installation) -> Self {
        let place = installation.place();
        let (store, clock) = (installation.store().clone(), installation.clock().clone());
        Self { store, name: place.store.to_string(), scratch: place.data.clone(), clock }
    }

    /// A store that another process may be working on: it is only read, and needs neither the lock of the directory
    /// nor a projection.
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is none; [`Kind::Unavailable`] when it cannot be read.
    pub fn open(place: &Place, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let store = open_store_to_read(&place.store, &place.bucket)?.store;
        let scratch = if place.data.is_dir() { place.data.clone() } else { std::env::temp_dir() };
        Ok(Self { store, name: place.store.to_string(), scratch, clock })
    }
}

/// What a backup came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// The store that was saved.
    pub store: Uuid,
    /// Its tenants, as far as they were asked for.
    pub tenants: Vec<TenantBackup>,
}

impl BackupReport {
    /// Whether nothing is missing in it.
    pub fn is_complete(&self) -> bool {
        self.tenants.iter().all(|tenant| tenant.complete)
    }
}

/// What the backup of one tenant came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantBackup {
    /// Which one.
    pub tenant: TenantSlug,
    /// Commits saved.
    pub commits: u64,
    /// Leaves saved.
    pub size: u64,
    /// Root over them.
    pub root: Digest,
    /// Objects copied this time, without commits.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Destroyed objects that were removed from the backup.
    pub removed: u64,
    /// Whether everything that the journal names is in the backup.
    pub complete: bool,
    /// What was missing or damaged at the source.
    pub findings: Vec<Fault>,
}

/// Whether a backup would become part of what it saves.
fn lies_within(destination: &StoreLocation, source: &str) -> bool {
    let StoreLocation::Directory(path) = destination else { return false };
    // What does not exist yet lies where the folder above it lies.
    let real = path.ancestors().find_map(|folder| {
        std::fs::canonicalize(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }).ok()
    });
    let source = std::fs::canonicalize(source).ok();
    real.zip(source).is_some_and(|(real, source)| real.starts_with(source))
}

/// Saves these tenants, or all, in a directory or bucket. What is there already is not copied again.
///
/// # Errors
/// [`Kind::Conflict`] when another installation's backup or anything else lies there, or another history of this
/// one; [`Kind::Missing`] for an unknown tenant; [`Kind::Unavailable`] when a store does not answer. What is missing
/// at the source is in the report, and the backup then is marked incomplete.
pub fn backup(
    source: &Source,
    tenants: Option<&[TenantSlug]>,
    destination: &StoreLocation,
    bucket: &BucketConfig,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<BackupReport, Error> {
    let from = &source.store;
    let all = tenants_in(&**from)?;
    let tenants = match tenants {
        None => all,
        Some(tenants) => {
            if let Some(unknown) = tenants.iter().find(|tenant| !all.contains(tenant)) {
                return Err(Error::new(Kind::Missing, format!("Den Mandanten „{unknown}“ gibt es nicht.")));
            }
            tenants.to_vec()
        }
    };
    let marker = read_marker(&**from, &source.name)?;
    if lies_within(destination, &source.name) {
        let public =
            format!("{destination} liegt im Speicher selbst; eine Sicherung gehört an einen anderen Ort.");
        return Err(Error::new(Kind::Conflict, public));
    }
    let place = destination.to_string();
    let to = open_place(destination, bucket, MANIFEST)?;
    let mut manifest = match Manifest::read(&*to, MANIFEST, &place)? {
        Some(manifest) if manifest.store == marker.id => manifest,
        Some(_) => {
            let public = format!(
                "In {place} liegt die Sicherung einer anderen Installation; bitte einen anderen Ort angeben."
            );
            return Err(Error::new(Kind::Conflict, public));
        }
        None => {
            let manifest = Manifest::new(marker.id, marker.created_at);
            manifest.write(&*to, MANIFEST)?;
            manifest
        }
    };
    let mut report = BackupReport { store: marker.id, tenants: Vec::new() };
    for tenant in tenants {
        let layout = Layout::new(&tenant);
        let head = newest(&**from, &layout)?;
        if head > 0 {
            // The process that wrote it may be about to sync it: a backup must not know a commit that a power cut
            // takes from the source.
            from.barrier(&[layout.commit(head)])?;
        }
        let way = Way {
            from,
            to: &to,
            layout: &layout,
            scratch: &source.scratch,
            head,
            known: manifest.tenants.get(&tenant).copied(),
        };
        let copied = copy(&way, progress).map_err(copy_error)?;
        let saved = Saved {
            commits: copied.commits,
            size: copied.size,
            root: copied.root,
            taken_at: source.clock.now(),
            complete: copied.complete,
        };
        manifest.tenants.insert(tenant.clone(), saved);
        // A tenant that is in the manifest is saved as far as it says; a crash before this repeats its rest.
        manifest.write(&*to, MANIFEST)?;
        report.tenants.push(TenantBackup {
            tenant,
            commits: copied.commits,
            size: copied.size,
            root: copied.root,
            copied: copied.written,
            copied_bytes: copied.written_bytes,
            removed: copied.removed,
            complete: copied.complete,
            findings: copied.faults,
        });
    }
    Ok(report)
}

/// The newest commit, also behind a gap: a damaged journal is saved as far as it is there.
fn newest(store: &dyn ObjectStore, layout: &Layout) -> Result<u64, StoreError> {
    let head = chain::head(store, layout)?;
    let mut last = head;
    store.list(&layout.prefix("j"), &mut |listed| {
        let seq = layout.local(&listed.key).and_then(Layout::seq_of);
        last = seq.map_or(last, |seq| seq.max(last));
        ControlFlow::Continue(())
    })?;
    // Without a gap the rest was written since and is left for the next time.
    Ok(if last > head && store.size(&layout.commit(head + 1))?.is_none() { last } else { head })
}

/// Opens a place that is empty or has this mark.
fn open_place(
    location: &StoreLocation,
    bucket: &BucketConfig,
    mark: &str,
) -> Result<Arc<dyn ObjectStore>, Error> {
    let foreign = || {
        let public =
            format!("{location} ist nicht leer und enthält keine eakte-Sicherung, die hierher passt.");
        Error::new(Kind::Conflict, public)
    };
    match location {
        StoreLocation::Directory(path) => {
            if path.join(mark).exists() {
                return Ok(Arc::new(Disk::open(path)?));
            }
            match Disk::create(path) {
                Ok(disk) => Ok(Arc::new(disk)),
                Err(StoreError::NotEmpty { .. }) => Err(foreign()),
                Err(error) => Err(error.into()),
            }
        }
        StoreLocation::Bucket(url) => {
            let store = Bucket::open(url.clone(), bucket)?;
            store.probe()?;
            if store.size(&key(mark))?.is_none() {
                let mut is_empty = true;
                store.list(&Prefix::ROOT, &mut |listed| {
                    // A probe that was cut off leaves its object behind.
                    is_empty = listed.key.folder() == "probe";
                    if is_empty { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })?;
                if !is_empty {
                    return Err(foreign());
                }
            }
            Ok(Arc::new(store))
        }
    }
}

fn copy_error(error: CopyError) -> Error {
    match error {
        CopyError::Store(error) => error.into(),
        CopyError::OtherHistory => Error::from_cause(Kind::Conflict, error),
    }
}

/// Whether a directory has nothing in it, or is not there.
fn is_empty(path: &Path) -> Result<bool, Error> {
    match std::fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(source) => {
            let public = format!("{} ist nicht lesbar: {source}", path.display());
            Err(Error { kind: Kind::Unavailable, public, source: Some(Box::new(source)) })
        }
    }
}

/// The name of a store's mark as a key.
fn marker_key() -> crate::store::Key {
    key(MARKER)
}

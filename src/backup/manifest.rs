//! What a backup says about itself: `backup.json`, the only object that a backup has and a store has not.

use crate::domain::{Digest, TenantSlug};
use crate::store::{Key, ObjectStore, StoreError};
use crate::wording;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use uuid::Uuid;

/// Name of the manifest.
pub(super) const MANIFEST: &str = "backup.json";

/// Name of the mark of an unfinished restore.
pub(super) const RESTORING: &str = "restore.json";

const FORMAT: &str = "eakte-backup/1";

/// A backup's manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    /// The store that it is a backup of.
    pub store: Uuid,
    /// When that store was created.
    pub store_created_at: Timestamp,
    /// Its tenants.
    pub tenants: BTreeMap<TenantSlug, Saved>,
}

/// How far a tenant is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// Commits.
    pub commits: u64,
    /// Leaves.
    pub size: u64,
    /// Root over them.
    pub root: Digest,
    /// When the backup of this tenant ended.
    pub taken_at: Timestamp,
    /// Whether everything was there.
    pub complete: bool,
}

impl Manifest {
    pub(super) fn new(store: Uuid, store_created_at: Timestamp) -> Self {
        Self { format: FORMAT.to_owned(), store, store_created_at, tenants: BTreeMap::new() }
    }

    /// Reads an object of this form; `None` if there is none.
    pub(super) fn read(store: &dyn ObjectStore, name: &str, place: &str) -> Result<Option<Self>, StoreError> {
        let bytes = match store.read(&key(name)) {
            Ok(bytes) => bytes,
            Err(StoreError::Missing(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let unknown = |found: String| StoreError::UnknownFormat { place: place.to_owned(), found };
        let manifest: Self =
            serde_json::from_slice(&bytes).map_err(|error| unknown(wording::json(&error)))?;
        if manifest.format == FORMAT { Ok(Some(manifest)) } else { Err(unknown(manifest.format)) }
    }

    /// Writes it in place of an earlier one.
    pub(super) fn write(&self, store: &dyn ObjectStore, name: &str) -> Result<(), StoreError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| StoreError::Io {
            action: "schreiben",
            object: name.to_owned(),
            source: io::Error::from(error),
        })?;
        bytes.push(b'\n');
        store.replace(&key(name), bytes.into())
    }
}

pub(super) fn key(name: &str) -> Key {
    Key::new(name).expect("fixed names and slugs follow the rules")
}

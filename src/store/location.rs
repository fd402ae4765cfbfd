//! Opening and creating stores: no guess ever creates one.

use super::{Bucket, BucketConfig, BucketUrl, Created, Disk, Key, ObjectStore, Prefix, StoreError};
use crate::wording;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    ops::ControlFlow,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};
use uuid::Uuid;

/// The object that makes a place a store of ours.
pub const MARKER: &str = "eakte.json";

const FORMAT: &str = "eakte-store/1";

/// Where a store lies: a directory, or `s3://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// A directory on this machine.
    Directory(PathBuf),
    /// A folder of a bucket.
    Bucket(BucketUrl),
}

impl FromStr for StoreLocation {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text.split_once("://") {
            Some(("s3", _)) => text.parse().map(Self::Bucket),
            Some(_) => Err(StoreError::Configuration(format!(
                "{text:?}: Ein Speicher ist ein Verzeichnis oder eine Adresse der Form s3://bucket/praefix."
            ))),
            None if text.is_empty() => {
                Err(StoreError::Configuration("Der Pfad des Speichers ist leer.".to_owned()))
            }
            None => Ok(Self::Directory(text.into())),
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Bucket(url) => url.fmt(f),
        }
    }
}

/// What the marker object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The store's own id: a projection or a backup that names another one belongs elsewhere.
    pub id: Uuid,
    /// When the store was created.
    pub created_at: Timestamp,
}

/// The marker as it is stored.
#[derive(Serialize, Deserialize)]
struct MarkerRow {
    format: String,
    id: String,
    created_at: Timestamp,
}

/// A store and what its marker says.
#[derive(Clone, Debug)]
pub struct OpenStore {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// Its marker.
    pub marker: Marker,
}

/// Creates a store in an empty place and opens it; `bucket` serves for buckets only.
///
/// # Errors
///
/// [`StoreError::NotEmpty`] when anything lies there, [`StoreError::NotHonoured`] when the server cannot carry a
/// journal, otherwise what kept us from writing.
pub fn create_store(
    location: &StoreLocation,
    bucket: &BucketConfig,
    created_at: Timestamp,
) -> Result<OpenStore, StoreError> {
    let store: Arc<dyn ObjectStore> = match location {
        StoreLocation::Directory(path) => Arc::new(Disk::create(path)?),
        StoreLocation::Bucket(url) => {
            let store = Bucket::open(url.clone(), bucket)?;
            store.probe()?;
            let mut is_empty = true;
            store.list(&Prefix::ROOT, &mut |listed| {
                // A probe that was cut off leaves its object behind.
                is_empty = listed.key.folder() == "probe";
                if is_empty { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            if !is_empty {
                return Err(StoreError::NotEmpty { place: url.to_string() });
            }
            Arc::new(store)
        }
    };
    let marker =
        mark(&*store, created_at)?.ok_or_else(|| StoreError::NotEmpty { place: location.to_string() })?;
    Ok(OpenStore { store, marker })
}

/// Opens a store that exists; `bucket` serves for buckets only.
///
/// # Errors
///
/// [`StoreError::NoStore`] when none was created there: nothing is written then.
pub fn open_store(location: &StoreLocation, bucket: &BucketConfig) -> Result<OpenStore, StoreError> {
    let place = location.to_string();
    let store: Arc<dyn ObjectStore> = match location {
        StoreLocation::Directory(path) => {
            require_marker(path)?;
            Arc::new(Disk::open(path)?)
        }
        StoreLocation::Bucket(url) => {
            let store = Bucket::open(url.clone(), bucket)?;
            read_marker(&store, &place)?;
            store.probe()?;
            Arc::new(store)
        }
    };
    let marker = read_marker(&*store, &place)?;
    Ok(OpenStore { store, marker })
}

/// Opens a store for reading only, also while another process works in it.
///
/// # Errors
///
/// [`StoreError::NoStore`] when none was created there.
pub fn open_store_to_read(location: &StoreLocation, bucket: &BucketConfig) -> Result<OpenStore, StoreError> {
    let store: Arc<dyn ObjectStore> = match location {
        StoreLocation::Directory(path) => {
            require_marker(path)?;
            Arc::new(Disk::open_to_read(path)?)
        }
        // Not probed: whoever only reads may have a key that does not let them write.
        StoreLocation::Bucket(url) => Arc::new(Bucket::open_to_read(url.clone(), bucket)?),
    };
    let marker = read_marker(&*store, &location.to_string())?;
    Ok(OpenStore { store, marker })
}

/// Looks for the marker of a store in a directory before anything is opened, and so made, there.
fn require_marker(path: &Path) -> Result<(), StoreError> {
    match path.join(MARKER).try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(StoreError::NoStore { place: path.display().to_string() }),
        Err(source) => Err(StoreError::io("öffnen", path.display(), source)),
    }
}

/// Makes any store one of ours; `None` when it has a marker already.
///
/// # Errors
///
/// What kept us from writing.
pub fn mark(store: &dyn ObjectStore, created_at: Timestamp) -> Result<Option<Marker>, StoreError> {
    let marker = Marker { id: Uuid::now_v7(), created_at };
    Ok(match mark_as(store, &marker)? {
        Created::Created => Some(marker),
        Created::Exists => None,
    })
}

/// Makes any store the one that this marker names: a restored store takes up the life of the one that was saved.
///
/// # Errors
///
/// What kept us from writing.
pub fn mark_as(store: &dyn ObjectStore, marker: &Marker) -> Result<Created, StoreError> {
    let (id, created_at) = (marker.id.hyphenated().to_string(), marker.created_at);
    let row = MarkerRow { format: FORMAT.to_owned(), id, created_at };
    let mut bytes =
        serde_json::to_vec(&row).map_err(|error| StoreError::io("schreiben", MARKER, error.into()))?;
    bytes.push(b'\n');
    store.create(&marker_key(), bytes.into())
}

/// Reads the marker; `place` is for the error's text.
///
/// # Errors
///
/// [`StoreError::NoStore`] without one, [`StoreError::UnknownFormat`] for one that this version does not know.
pub fn read_marker(store: &dyn ObjectStore, place: &str) -> Result<Marker, StoreError> {
    let bytes = store.read(&marker_key()).map_err(|error| match error {
        StoreError::Missing(_) => StoreError::NoStore { place: place.to_owned() },
        error => error,
    })?;
    let unknown = |found: String| StoreError::UnknownFormat { place: place.to_owned(), found };
    let row: MarkerRow = serde_json::from_slice(&bytes).map_err(|error| unknown(wording::json(&error)))?;
    if row.format != FORMAT {
        return Err(unknown(row.format));
    }
    let id = row.id.parse().map_err(|_| unknown(row.id))?;
    Ok(Marker { id, created_at: row.created_at })
}

fn marker_key() -> Key {
    Key::new(MARKER).expect("a fixed name that follows the rules")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Memory;

    #[test]
    fn a_location_is_a_directory_or_a_bucket() {
        for text in ["/srv/eakte", "daten", "s3://akten/steverau"] {
            assert_eq!(text.parse::<StoreLocation>().unwrap().to_string(), text);
        }
        for bad in ["", "http://example.org/x", "s3://"] {
            assert!(matches!(bad.parse::<StoreLocation>(), Err(StoreError::Configuration(_))), "{bad}");
        }
    }

    #[test]
    fn a_marker_is_made_once_and_of_a_known_format() {
        let store = Memory::new();
        assert!(matches!(read_marker(&store, "hier"), Err(StoreError::NoStore { .. })));
        let marker = mark(&store, Timestamp::UNIX_EPOCH).unwrap().expect("the store was empty");
        assert_eq!(read_marker(&store, "hier").unwrap(), marker);
        assert_eq!(mark(&store, Timestamp::UNIX_EPOCH).unwrap(), None);

        for other in [
            r#"{"format":"eakte-store/2","id":"0192b2c0-0000-7000-8000-000000000000","created_at":"1970-01-01T00:00:00Z"}"#,
            "x",
        ] {
            store.replace(&marker_key(), other.into()).unwrap();
            assert!(matches!(read_marker(&store, "hier"), Err(StoreError::UnknownFormat { .. })), "{other}");
        }
    }
}

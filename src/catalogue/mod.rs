//! The catalogue (Katalog): lookups and ordered lists that follow from the journal. It can be deleted at any time.
//!
//! sled is known only in this folder. The last commit taken in is written in the same batch as its rows; whoever
//! opens a damaged catalogue throws it away and replays (ADR 0004).

mod apply;
mod changes;
mod compare;
mod keys;
mod lists;
mod rows;

pub use compare::Difference;
pub use lists::{Cursor, Page};
pub use rows::{
    AccountRow, ArrivalRow, BatchRow, CaseFileRow, DocumentRow, LineRow, Origin, PlanUnitRow, ReadingRow,
    TenantRow, UnitRow, VersionRow,
};

use crate::domain::guard::{CounterKey, UniqueKey};
use crate::domain::merkle::Frontier;
use crate::domain::{Digest, EntityId};
use crate::journal::{Applied, CommitRecord, Life, Projection, ProjectionError};
use crate::wording;
use changes::Changes;
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{fmt, io};

/// Version of the tables. Another number on disk means: throw away and replay.
pub const SCHEMA: u32 = 3;

/// Why the catalogue does not answer. Every case is healed by deleting its directory.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// sled failed.
    #[error("Katalog: {}", sled_said(.0))]
    Sled(#[from] sled::Error),
    /// A row cannot be read.
    #[error("Katalog: Eine Zeile ist nicht lesbar ({})", wording::json(.0))]
    Row(serde_json::Error),
    /// Written by another version of the program.
    #[error("Katalog: Aufbau {0} statt {SCHEMA}")]
    Schema(u32),
    /// sled panicked on opening.
    #[error("Katalog: beim Öffnen abgestürzt")]
    Panicked,
    /// The directory could not be deleted or made.
    #[error("Katalog {}: {}", path.display(), wording::os(source))]
    Directory {
        /// Where.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// What sled says: mostly the operating system's refusal.
fn sled_said(error: &sled::Error) -> String {
    match error {
        sled::Error::Io(refusal) => wording::os(refusal),
        other => format!("die Dateien sind beschädigt (technisch: {other})"),
    }
}

impl From<CatalogueError> for ProjectionError {
    fn from(error: CatalogueError) -> Self {
        Self(Box::new(error))
    }
}

/// Totals of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Case files.
    pub case_files: u64,
    /// Documents.
    pub documents: u64,
    /// Bytes of all originals.
    pub bytes: u64,
    /// Pages known by now.
    pub pages: u64,
}

#[derive(Serialize, Deserialize)]
struct AppliedRow {
    seq: u64,
    digest: Digest,
    leaves: u64,
    roots: Vec<Digest>,
}

/// One tenant's catalogue.
pub struct Catalogue {
    db: sled::Db,
    /// Owned by the journal's writer: one change at a time.
    applying: Mutex<()>,
}

/// Without its rows, which sled would print: they hold names and titles.
impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue").finish_non_exhaustive()
    }
}

impl Catalogue {
    /// Opens the catalogue in this directory, or makes an empty one.
    ///
    /// # Errors
    /// [`CatalogueError`] when it is damaged or of another version; see [`open_or_reset`](Self::open_or_reset).
    pub fn open(directory: &Path, cache_bytes: u64) -> Result<Self, CatalogueError> {
        let config = sled::Config::new()
            .path(directory)
            .cache_capacity(cache_bytes)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(Some(500));
        let db = open_patiently(&config)?;
        let catalogue = Self { db, applying: Mutex::new(()) };
        match catalogue.db.get(keys::meta("schema"))? {
            None if catalogue.db.is_empty() => {
                catalogue.db.insert(keys::meta("schema"), &SCHEMA.to_be_bytes())?;
            }
            found => {
                let found =
                    found.and_then(|bytes| bytes.as_ref().try_into().ok()).map_or(0, u32::from_be_bytes);
                if found != SCHEMA {
                    return Err(CatalogueError::Schema(found));
                }
            }
        }
        catalogue.read_applied()?;
        Ok(catalogue)
    }

    /// Opens the catalogue, or deletes what is there and begins anew. Says whether it did.
    ///
    /// # Errors
    /// When not even an empty one can be made.
    pub fn open_or_reset(directory: &Path, cache_bytes: u64) -> Result<(Self, bool), CatalogueError> {
        match Self::open(directory, cache_bytes) {
            Ok(catalogue) => Ok((catalogue, false)),
            Err(error) => {
                tracing::warn!(%error, "the catalogue is thrown away and built again");
                Self::delete(directory)?;
                Ok((Self::open(directory, cache_bytes)?, true))
            }
        }
    }

    /// Deletes a catalogue's directory.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn delete(directory: &Path) -> Result<(), CatalogueError> {
        match std::fs::remove_dir_all(directory) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(CatalogueError::Directory { path: directory.to_owned(), source })
            }
            _ => Ok(()),
        }
    }

    /// Writes everything to disk; else that happens twice a second.
    ///
    /// # Errors
    /// When sled fails.
    pub fn flush(&self) -> Result<(), CatalogueError> {
        self.db.flush()?;
        Ok(())
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// When sled fails.
    pub fn size_on_disk(&self) -> Result<u64, CatalogueError> {
        Ok(self.db.size_on_disk()?)
    }

    /// Totals.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn summary(&self) -> Result<Summary, CatalogueError> {
        Ok(self.row(&keys::meta("summary"))?.unwrap_or_default())
    }

    fn read_applied(&self) -> Result<Applied, CatalogueError> {
        let Some(row) = self.row::<AppliedRow>(&keys::meta("applied"))? else {
            return Ok(Applied::default());
        };
        let frontier = Frontier::restore(row.leaves, row.roots).ok_or_else(|| {
            CatalogueError::Row(serde::de::Error::custom("Baum passt nicht zu seiner Größe"))
        })?;
        Ok(Applied { seq: row.seq, digest: row.digest, frontier })
    }

    fn apply_all(&self, commits: &[CommitRecord]) -> Result<(), CatalogueError> {
        let _one_at_a_time = self.applying.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut applied = self.read_applied()?;
        let mut changes = Changes::over(&self.db);
        for record in commits {
            apply::commit(&mut changes, record)?;
            applied = record.advance(&applied);
        }
        let row = AppliedRow {
            seq: applied.seq,
            digest: applied.digest,
            leaves: applied.frontier.size(),
            roots: applied.frontier.roots().to_vec(),
        };
        changes.put_row(keys::meta("applied"), &row)?;
        self.db.apply_batch(changes.into_batch())?;
        Ok(())
    }
}

/// Opens sled. One that was closed a moment ago in this process is still let go of by a thread of sled's own; to
/// take that for damage would throw a good catalogue away.
fn open_patiently(config: &sled::Config) -> Result<sled::Db, CatalogueError> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match catch_unwind(AssertUnwindSafe(|| config.open())).map_err(|_| CatalogueError::Panicked)? {
            Err(sled::Error::Io(error))
                if error.to_string().contains("could not acquire lock") && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            outcome => return Ok(outcome?),
        }
    }
}

fn life(bytes: &[u8]) -> Life {
    let number = |range: std::ops::Range<usize>| {
        bytes.get(range).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes)
    };
    Life { version: number(0..8), epoch: number(8..16) }
}

impl Projection for Catalogue {
    fn applied(&self) -> Result<Applied, ProjectionError> {
        Ok(self.read_applied()?)
    }

    fn life(&self, entity: EntityId) -> Result<Option<Life>, ProjectionError> {
        Ok(self.get(&keys::life(entity))?.map(|bytes| life(&bytes)))
    }

    fn owner(&self, key: &UniqueKey) -> Result<Option<EntityId>, ProjectionError> {
        Ok(self.get(&keys::owner(key))?.and_then(|bytes| keys::entity(&bytes)))
    }

    fn counter(&self, counter: &CounterKey) -> Result<u64, ProjectionError> {
        Ok(self.get(&keys::counter(counter))?.and_then(|bytes| keys::tail_number(&bytes)).unwrap_or(0))
    }

    fn apply(&self, commits: &[CommitRecord]) -> Result<(), ProjectionError> {
        Ok(self.apply_all(commits)?)
    }
}

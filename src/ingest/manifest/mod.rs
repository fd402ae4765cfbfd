//! Manifests (Begleitlisten): tables that say what arrives and where it belongs. CSV or JSON lines;
//! `docs/manifest.md` describes the columns.
//!
//! A manifest is read and checked as a whole before anything is written. A row that nobody understands becomes a
//! [`Problem`] that names file, line, column and value.

mod cells;
mod check;
mod read;
mod recorded;
mod rows;
mod runs;

pub use read::ManifestError;
pub use recorded::Recorded;
pub use rows::{ListedCaseFile, ListedDocument, ListedPlanUnit, ListedUnit};
pub use runs::{ManifestRun, Source};

use super::batch::BatchFacts;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most rows of all files together: a manifest is held in memory.
pub const MAX_ROWS: usize = 500_000;

/// Longest file, in bytes.
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Where a row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The file.
    pub file: Arc<Path>,
    /// Its line, counted from 1.
    pub line: u64,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, Zeile {}", self.file.display(), self.line)
    }
}

/// Something in a manifest that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: At,
    /// In which column, if it is one column's fault.
    pub column: Option<String>,
    /// What is wrong, with the value and what is allowed; German.
    pub detail: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)?;
        if let Some(column) = &self.column {
            write!(f, ", Spalte „{column}“")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// A row with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// Where it stands.
    pub at: At,
    /// What it says.
    pub row: T,
}

/// Begleitliste: everything that some files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Organisationseinheiten, parents first.
    pub units: Vec<Listed<ListedUnit>>,
    /// Aktenplaneinheiten, parents first.
    pub plan_units: Vec<Listed<ListedPlanUnit>>,
    /// Akten.
    pub case_files: Vec<Listed<ListedCaseFile>>,
    /// Chargen.
    pub batches: Vec<Listed<BatchFacts>>,
    /// Dokumente, those with an unusable row too: each becomes a line of its batch.
    pub documents: Vec<ListedDocument>,
    /// Rows of the frame that cannot be used.
    pub problems: Vec<Problem>,
    /// What a person should know about how it was read.
    pub notes: Vec<String>,
}

impl Manifest {
    /// Reads one or several files as one manifest and checks what can be checked without an archive. Civil times
    /// without an offset are taken to be in `zone`.
    ///
    /// # Errors
    /// Only when a file cannot be read at all; what is wrong in it is among the problems.
    pub fn read(files: &[PathBuf], zone: &jiff::tz::TimeZone) -> Result<Self, ManifestError> {
        let mut manifest = Self::default();
        for file in files {
            read::read_file(file, zone, &mut manifest)?;
        }
        check::check(&mut manifest);
        Ok(manifest)
    }

    /// Problems of documents; each rejects its own file only.
    pub fn document_problems(&self) -> impl Iterator<Item = &Problem> {
        self.documents.iter().flat_map(|document| &document.problems)
    }

    fn rows(&self) -> usize {
        self.units.len()
            + self.plan_units.len()
            + self.case_files.len()
            + self.batches.len()
            + self.documents.len()
            + self.problems.len()
    }
}

#[cfg(test)]
mod tests;

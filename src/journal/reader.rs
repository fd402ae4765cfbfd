//! Reads the journal in order and checks the chain. Start-up, normal work, rebuild and restore all read here.

use super::commit::{Commit, CommitError};
use super::layout::Layout;
use super::payload::{self, PayloadError};
use super::projection::{Applied, CommitRecord, LeafRecord};
use crate::domain::Digest;
use crate::domain::event::LeafRange;
use crate::store::{ObjectStore, StoreError};
use std::sync::Arc;

/// Why the journal cannot be read on. None of these is healed by rebuilding a projection.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A commit object cannot be read.
    #[error("Journaleintrag {seq} ist beschädigt: {source}")]
    Commit {
        /// Its number.
        seq: u64,
        /// What is wrong.
        source: CommitError,
    },
    /// A commit does not follow from the one before it.
    #[error(
        "Journaleintrag {seq} schließt nicht an seinen Vorgänger an ({what}). Das Journal wurde verändert."
    )]
    Chain {
        /// Its number.
        seq: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// A payload's bytes are not those the journal names.
    #[error("Ereignisdaten {key} haben eine andere Prüfsumme als im Journal")]
    Corrupt {
        /// The object.
        key: String,
    },
    /// A payload cannot be read.
    #[error("Ereignisdaten {key}: {source}")]
    Payload {
        /// The object.
        key: String,
        /// What is wrong.
        source: PayloadError,
    },
    /// A payload is gone and no commit allowed that.
    #[error("Ereignisdaten {key} (Position {position}) fehlen, ohne dass das Journal ihre Löschung erlaubt")]
    Lost {
        /// The object.
        key: String,
        /// Position of its leaf.
        position: u64,
    },
    /// The journal ends before the place that a projection has seen.
    #[error(
        "Das Journal ist kürzer als bekannt oder weicht ab (Eintrag {seq} fehlt oder ist ein anderer). Der Speicher \
         wurde zurückgesetzt oder hat Daten verloren. Es wird nichts geschrieben; bitte eine vollständige Sicherung \
         mit „eakte restore“ einspielen."
    )]
    Rollback {
        /// The commit that was seen before.
        seq: u64,
    },
}

/// Reads commits with their payloads.
#[derive(Clone, Debug)]
pub struct Reader {
    store: Arc<dyn ObjectStore>,
    layout: Layout,
}

impl Reader {
    /// Reads the journal of one tenant.
    pub fn new(store: Arc<dyn ObjectStore>, layout: Layout) -> Self {
        Self { store, layout }
    }

    /// Where the tenant's objects lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// One commit object with the digest of its bytes; `None` if nothing stands there yet.
    ///
    /// # Errors
    /// When the store does not answer or the object is damaged.
    pub fn commit(&self, seq: u64) -> Result<Option<(Commit, Digest)>, JournalError> {
        let bytes = match self.store.read(&self.layout.commit(seq)) {
            Ok(bytes) => bytes,
            Err(StoreError::Missing(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let commit = Commit::parse(&bytes).map_err(|source| JournalError::Commit { seq, source })?;
        if commit.seq != seq {
            return Err(JournalError::Chain { seq, what: "Nummer" });
        }
        Ok(Some((commit, Digest::of(&bytes))))
    }

    /// Checks that the journal still holds what a projection has taken in.
    ///
    /// # Errors
    /// [`JournalError::Rollback`] when it does not.
    pub fn check_not_rolled_back(&self, applied: &Applied) -> Result<(), JournalError> {
        if applied.seq == 0 {
            return Ok(());
        }
        match self.commit(applied.seq)? {
            Some((_, digest)) if digest == applied.digest => Ok(()),
            _ => Err(JournalError::Rollback { seq: applied.seq }),
        }
    }

    /// Everything after `from`, one commit at a time.
    pub fn after(&self, from: Applied) -> Commits {
        Commits { reader: self.clone(), applied: from, erased: None }
    }

    /// Leaf ranges that commits from `seq` on allow to vanish.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn erased_from(&self, mut seq: u64) -> Result<Vec<LeafRange>, JournalError> {
        let mut ranges = Vec::new();
        while let Some((commit, _)) = self.commit(seq)? {
            ranges.extend(commit.erases);
            seq += 1;
        }
        Ok(ranges)
    }
}

/// A walk through the journal.
#[derive(Debug)]
pub struct Commits {
    reader: Reader,
    applied: Applied,
    /// What later commits allow to vanish; looked up when the first payload is missing.
    erased: Option<Vec<LeafRange>>,
}

impl Commits {
    /// The place reached.
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// The next commit with its events; `None` at the end. After an error the same commit is tried again.
    ///
    /// # Errors
    /// [`JournalError`] naming the object.
    pub fn advance(&mut self) -> Result<Option<CommitRecord>, JournalError> {
        let seq = self.applied.seq + 1;
        let Some((commit, digest)) = self.reader.commit(seq)? else { return Ok(None) };
        if commit.previous != self.applied.digest {
            return Err(JournalError::Chain { seq, what: "Prüfsumme des Vorgängers" });
        }
        if commit.first_leaf != self.applied.frontier.size() {
            return Err(JournalError::Chain { seq, what: "Position" });
        }
        let mut leaves = Vec::with_capacity(commit.leaves.len());
        for (position, payload) in (commit.first_leaf..).zip(&commit.leaves) {
            leaves.push(LeafRecord {
                position,
                payload: *payload,
                events: self.payload(seq, position, payload)?,
            });
        }
        let record =
            CommitRecord { seq, digest, first_leaf: commit.first_leaf, erases: commit.erases, leaves };
        self.applied = record.advance(&self.applied);
        Ok(Some(record))
    }

    fn payload(
        &mut self,
        seq: u64,
        position: u64,
        sha256: &Digest,
    ) -> Result<Option<Vec<crate::domain::event::Recorded>>, JournalError> {
        if self.is_erased(position) {
            return Ok(None);
        }
        let key = self.reader.layout.payload(sha256);
        let bytes = match self.reader.store.read(&key) {
            Ok(bytes) => bytes,
            Err(StoreError::Missing(_)) => {
                // Perhaps lawfully gone: a commit further on may allow it. Known from here on for the whole walk.
                self.erased = Some(self.reader.erased_from(seq)?);
                if self.is_erased(position) {
                    return Ok(None);
                }
                return Err(JournalError::Lost { key: key.to_string(), position });
            }
            Err(error) => return Err(error.into()),
        };
        if Digest::of(&bytes) != *sha256 {
            return Err(JournalError::Corrupt { key: key.to_string() });
        }
        let events =
            payload::read(&bytes).map_err(|source| JournalError::Payload { key: key.to_string(), source })?;
        Ok(Some(events))
    }

    fn is_erased(&self, position: u64) -> bool {
        let covers = |range: &LeafRange| (range.first..=range.last).contains(&position);
        self.erased.as_ref().is_some_and(|ranges| ranges.iter().any(covers))
    }
}

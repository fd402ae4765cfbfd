//! Reads the journal in order and checks the chain. Start-up, normal work, rebuild and restore all read here.

use super::commit::{Commit, CommitError};
use super::layout::Layout;
use super::payload::{self, PayloadError};
use super::projection::{Applied, CommitRecord, LeafRecord};
use crate::domain::Digest;
use crate::domain::event::{LeafRange, Recorded};
use crate::store::{ObjectStore, Prefix, StoreError};
use std::ops::ControlFlow;
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

    /// Checks with a listing that the journal ends after `head`. A gap looks like an end to whoever asks for one
    /// commit after the other. Listed is only where the next commits would stand, unless `all` is wanted.
    ///
    /// # Errors
    /// [`JournalError::Rollback`] naming the missing commit.
    pub fn check_end(&self, head: u64, all: bool) -> Result<(), JournalError> {
        let folder = |seq: u64| self.layout.commit(seq).folder().parse().ok();
        let folders: Vec<Prefix> = if all {
            vec![self.layout.prefix("j")]
        } else {
            [folder(head + 1), folder(head + 1_001)].into_iter().flatten().collect()
        };
        let mut later = false;
        for folder in folders {
            self.store.list(&folder, &mut |listed| {
                let seq = self.layout.local(&listed.key).and_then(Layout::seq_of);
                later |= seq.is_some_and(|seq| seq > head + 1);
                if later { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        // Another writer may have come by since: then the next commit is there now.
        if later && self.store.size(&self.layout.commit(head + 1))?.is_none() {
            return Err(JournalError::Rollback { seq: head + 1 });
        }
        Ok(())
    }

    /// A commit with its payloads, not yet compared with its predecessor; `None` if nothing stands there.
    pub(super) fn find(&self, seq: u64) -> Result<Option<Found>, JournalError> {
        let Some((commit, digest)) = self.commit(seq)? else { return Ok(None) };
        let payloads = commit.leaves.iter().map(|sha256| self.payload(sha256)).collect();
        Ok(Some(Found { commit, digest, payloads }))
    }

    /// The events of a payload; `None` if it is not there.
    fn payload(&self, sha256: &Digest) -> Result<Option<Vec<Recorded>>, JournalError> {
        let key = self.layout.payload(sha256);
        let bytes = match self.store.read(&key) {
            Ok(bytes) => bytes,
            Err(StoreError::Missing(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if Digest::of(&bytes) != *sha256 {
            return Err(JournalError::Corrupt { key: key.to_string() });
        }
        let events = payload::read(&bytes);
        events.map(Some).map_err(|source| JournalError::Payload { key: key.to_string(), source })
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

/// A commit with what its payloads say.
#[derive(Debug)]
pub(super) struct Found {
    commit: Commit,
    digest: Digest,
    payloads: Vec<Result<Option<Vec<Recorded>>, JournalError>>,
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
        match self.reader.find(self.applied.seq + 1)? {
            Some(found) => self.accept(found).map(Some),
            None => Ok(None),
        }
    }

    /// Takes the commit that was found as the next one.
    ///
    /// # Errors
    /// [`JournalError`] naming the object.
    pub(super) fn accept(&mut self, found: Found) -> Result<CommitRecord, JournalError> {
        let Found { commit, digest, payloads } = found;
        let seq = commit.seq;
        if commit.previous != self.applied.digest {
            return Err(JournalError::Chain { seq, what: "Prüfsumme des Vorgängers" });
        }
        if commit.first_leaf != self.applied.frontier.size() {
            return Err(JournalError::Chain { seq, what: "Position" });
        }
        let mut leaves = Vec::with_capacity(commit.leaves.len());
        for ((position, payload), events) in (commit.first_leaf..).zip(&commit.leaves).zip(payloads) {
            leaves.push(LeafRecord {
                position,
                payload: *payload,
                events: self.events(seq, position, payload, events)?,
            });
        }
        let record =
            CommitRecord { seq, digest, first_leaf: commit.first_leaf, erases: commit.erases, leaves };
        self.applied = record.advance(&self.applied);
        Ok(record)
    }

    /// The events of a leaf, `None` if it is lawfully gone.
    fn events(
        &mut self,
        seq: u64,
        position: u64,
        sha256: &Digest,
        read: Result<Option<Vec<Recorded>>, JournalError>,
    ) -> Result<Option<Vec<Recorded>>, JournalError> {
        if self.is_erased(position) {
            return Ok(None);
        }
        let events = read?;
        if events.is_none() {
            // Perhaps lawfully gone: a commit further on may allow it. Known from here on for the whole walk.
            self.erased = Some(self.reader.erased_from(seq)?);
            if !self.is_erased(position) {
                let key = self.reader.layout.payload(sha256).to_string();
                return Err(JournalError::Lost { key, position });
            }
        }
        Ok(events)
    }

    fn is_erased(&self, position: u64) -> bool {
        let covers = |range: &LeafRange| (range.first..=range.last).contains(&position);
        self.erased.as_ref().is_some_and(|ranges| ranges.iter().any(covers))
    }
}

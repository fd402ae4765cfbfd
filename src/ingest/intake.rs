//! One document on its way in: receive, identify, decide, commit.

use super::identify::identify;
use crate::catalogue::{Catalogue, CatalogueError};
use crate::clock::{Clock, Entropy, new_id};
use crate::domain::codes::Rejection;
use crate::domain::decision::{Decision, Refusal};
use crate::domain::document::Arrival;
use crate::domain::event::Context;
use crate::domain::finding::Finding;
use crate::domain::guard::{Guard, UniqueKey};
use crate::domain::object::{Encoding, ObjectRef};
use crate::domain::{BatchId, CaseFileId, Digest, DocumentId, EntityId, EntityKind};
use crate::journal::{AppendError, Command, Journal, JournalError, Layout, Projection as _, ProjectionError};
use crate::store::{ObjectStore, Staged, StoreError};
use jiff::Timestamp;
use std::io::{self, Read, Write as _};
use std::sync::Arc;

/// What a sender says about the bytes before they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Their SHA-256.
    pub sha256: Option<Digest>,
    /// Their length.
    pub size: Option<u64>,
}

/// Quittung: a document that is durably in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The document.
    pub document: DocumentId,
    /// Its version that has these bytes.
    pub version: u32,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Their length.
    pub size: u64,
    /// Position of its leaf in the journal.
    pub position: u64,
    /// When it was accepted.
    pub accepted_at: Timestamp,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new document.
    Received(Accepted),
    /// The same bytes already lie in the same case file (or inbox), as this document.
    Duplicate(Accepted),
    /// Not stored.
    Rejected {
        /// Why.
        rejection: Rejection,
        /// Bytes read, if any were.
        size: Option<u64>,
        /// More about it, for people.
        detail: Option<String>,
    },
}

/// Why a file could not be taken in now.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The case file named does not exist.
    #[error("Die Akte {0} gibt es nicht.")]
    NoCaseFile(CaseFileId),
    /// The document named does not exist.
    #[error("Das Dokument {0} gibt es nicht.")]
    NoDocument(DocumentId),
    /// A further version came first.
    #[error("Das Dokument ist inzwischen bei Version {0}; bitte erst ansehen, worauf die neue folgen soll.")]
    Overtaken(u32),
    /// The document is no longer what the caller saw.
    #[error("Das Dokument wurde inzwischen geändert; bitte neu ansehen und noch einmal entscheiden.")]
    Changed,
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The same idempotency key was used for other bytes.
    #[error("Der Idempotenzschlüssel wurde schon für einen anderen Inhalt benutzt.")]
    KeyReused,
    /// Reading the sender's bytes failed.
    #[error("Die Übertragung brach ab ({}).", crate::wording::os(.0))]
    Body(io::Error),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal refused, or does not know.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The catalogue is broken.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The catalogue is broken.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What taking documents in needs.
#[derive(Clone, Debug)]
pub struct Intake {
    /// Objects.
    pub store: Arc<dyn ObjectStore>,
    /// The tenant's folder.
    pub layout: Layout,
    /// The commit point.
    pub journal: Arc<Journal>,
    /// Lookups.
    pub catalogue: Arc<Catalogue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub entropy: Arc<dyn Entropy>,
    /// Largest file, in bytes.
    pub max_file_bytes: u64,
}

/// How often a stale view is looked at again before the caller is asked to.
pub(super) const ATTEMPTS: usize = 16;

/// Bytes on their way, already hashed.
pub(super) struct Received {
    pub(super) staged: Staged,
    pub(super) head: Vec<u8>,
}

impl Received {
    /// Why the bytes are not stored: not those that were declared, or none.
    pub(super) fn judge(&self, declared: &Declared) -> Option<Rejection> {
        let size = self.staged.size_bytes();
        let differs = declared.sha256.is_some_and(|wanted| wanted != self.staged.digest())
            || declared.size.is_some_and(|wanted| wanted != size);
        if differs { Some(Rejection::DigestMismatch) } else { (size == 0).then_some(Rejection::Empty) }
    }
}

pub(super) enum Reading {
    Whole(Received),
    TooLarge,
}

impl Intake {
    /// Takes one file in. When it answers `Received`, the document is durable.
    ///
    /// # Errors
    /// [`IntakeError`]; only after [`AppendError::Doubt`] the document may be there nevertheless, and repeating is safe.
    pub fn receive(
        &self,
        context: &Context,
        arrival: &Arrival,
        target: Option<CaseFileId>,
        findings: &[Finding],
        body: &mut dyn Read,
        declared: &Declared,
    ) -> Result<Outcome, IntakeError> {
        let refusal = match self.check(arrival, target) {
            Ok(None) => None,
            Ok(Some(rejection)) => return Ok(rejected(rejection, None)),
            // Perhaps filed before the case file was closed: whoever repeats a request gets the same answer.
            Err(error @ IntakeError::Refused(Refusal::Closed(_))) => Some(error),
            Err(error) => return Err(error),
        };
        if declared.size.is_some_and(|size| size > self.max_file_bytes) {
            return Ok(rejected(Rejection::TooLarge, declared.size));
        }
        let received = match self.read(body)? {
            Reading::Whole(received) => received,
            Reading::TooLarge => return Ok(rejected(Rejection::TooLarge, None)),
        };
        if let Some(rejection) = received.judge(declared) {
            return Ok(rejected(rejection, Some(received.staged.size_bytes())));
        }
        if let Some(refusal) = refusal {
            return self.known(arrival, target, &received.staged.digest())?.ok_or(refusal);
        }
        self.file(context, arrival, target, findings, &received, &|| Ok(None))
    }

    /// Whether the file may be stored in this place at all; asked before its bytes are read.
    pub(super) fn check(
        &self,
        arrival: &Arrival,
        target: Option<CaseFileId>,
    ) -> Result<Option<Rejection>, IntakeError> {
        let (case_file, _) = self.target(target)?;
        match arrival.check(case_file.as_ref()) {
            Ok(()) => Ok(None),
            Err(Refusal::Rejected(rejection)) => Ok(Some(rejection)),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Reads bytes into staging, hashing on the way; memory does not grow with their number.
    pub(super) fn read(&self, body: &mut dyn Read) -> Result<Reading, IntakeError> {
        const HEAD: usize = 4_096;
        let mut staging = self.store.stage()?;
        // Small enough to come from the heap: a larger one would be mapped anew for every file.
        let mut buffer = vec![0; 64 * 1024];
        let (mut head, mut size) = (Vec::new(), 0_u64);
        loop {
            let count = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(IntakeError::Body(error)),
            };
            size += count as u64;
            if size > self.max_file_bytes {
                return Ok(Reading::TooLarge);
            }
            let room = HEAD - head.len();
            head.extend_from_slice(&buffer[..count.min(room)]);
            staging.write_all(&buffer[..count]).map_err(StoreError::staging)?;
        }
        Ok(Reading::Whole(Received { staged: staging.finish()?, head }))
    }

    /// Files bytes that are in staging: the rest of the way. `batch` is asked only when the bytes are new, so that
    /// a run in which nothing is new opens no batch.
    pub(super) fn file(
        &self,
        context: &Context,
        arrival: &Arrival,
        target: Option<CaseFileId>,
        findings: &[Finding],
        received: &Received,
        batch: &dyn Fn() -> Result<Option<BatchId>, IntakeError>,
    ) -> Result<Outcome, IntakeError> {
        let (sha256, size) = (received.staged.digest(), received.staged.size_bytes());
        let (media_type, mut all_findings) = identify(&received.head, size, &arrival.source_name);
        all_findings.extend_from_slice(findings);
        for _ in 0..ATTEMPTS {
            if let Some(known) = self.known(arrival, target, &sha256)? {
                return Ok(known);
            }
            let (case_file, guard) = self.target(target)?;
            let arrival = Arrival { batch: batch()?.or(arrival.batch), ..arrival.clone() };
            let batch_guard = arrival.batch.map(|batch| self.batch_guard(batch)).transpose()?;
            let id = DocumentId::from_uuid(new_id(&*self.clock, &*self.entropy));
            let original = ObjectRef { name: arrival.source_name.clone(), sha256, size, enc: Encoding::None };
            let new = arrival.decide(id, case_file.as_ref(), original, &media_type, all_findings.clone())?;
            let key = self.layout.object(id.into(), &sha256);
            self.store.publish(&received.staged, &key)?;
            // The object has its name, nothing in the journal has. A crash here leaves an unreferenced object.
            let guards = guard.into_iter().chain(batch_guard).collect();
            let decision = Decision { guards, events: vec![new] };
            match self.journal.append(Command::record(context.clone(), decision)) {
                Ok(receipt) => {
                    let position = receipt.position(id).unwrap_or_default();
                    let accepted_at = receipt.recorded_at;
                    return Ok(Outcome::Received(Accepted {
                        document: id,
                        version: 1,
                        sha256,
                        size,
                        position,
                        accepted_at,
                    }));
                }
                // Definitely not recorded: nobody knows the object but us, so it may go.
                Err(error @ (AppendError::Taken { .. } | AppendError::Stale(_))) => {
                    if let Err(error) = self.store.delete(std::slice::from_ref(&key)) {
                        tracing::warn!(%key, %error, "an unreferenced object stays");
                    }
                    tracing::debug!(%error, "looking again");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppendError::Busy.into())
    }

    /// The guard that the batch is still open when the document is recorded: what comes later would not be in the
    /// counts that the batch was closed with.
    fn batch_guard(&self, batch: BatchId) -> Result<Guard, IntakeError> {
        let life = self.catalogue.life(batch.into())?.unwrap_or_default();
        if self.catalogue.batch(batch)?.is_none_or(|row| row.closed.is_some()) {
            return Err(Refusal::BatchClosed.into());
        }
        Ok(Guard::Epoch(batch.into(), life.epoch))
    }

    /// The case file with the guard that it has not moved on since.
    pub(super) fn target(
        &self,
        id: Option<CaseFileId>,
    ) -> Result<(Option<crate::domain::case_file::CaseFile>, Option<Guard>), IntakeError> {
        let Some(id) = id else { return Ok((None, None)) };
        // The guard first: what changes between the two reads makes it stale.
        let life = self.catalogue.life(id.into())?.ok_or(IntakeError::NoCaseFile(id))?;
        let row = self.catalogue.case_file(id)?.ok_or(IntakeError::NoCaseFile(id))?;
        Ok((Some(row.state(id)), Some(Guard::Epoch(id.into(), life.epoch))))
    }

    /// What is known of these bytes in this place, or of this request.
    pub(super) fn known(
        &self,
        arrival: &Arrival,
        target: Option<CaseFileId>,
        sha256: &Digest,
    ) -> Result<Option<Outcome>, IntakeError> {
        if let Some(key) = &arrival.idempotency_key
            && let Some(owner) = self.catalogue.owner(&UniqueKey::idempotency(key))?
            && let Some(accepted) = self.accepted(owner)?
        {
            let same = accepted.sha256 == *sha256;
            return if same { Ok(Some(Outcome::Received(accepted))) } else { Err(IntakeError::KeyReused) };
        }
        match self.catalogue.owner(&UniqueKey::content(target, sha256))? {
            Some(owner) => Ok(self.accepted(owner)?.map(Outcome::Duplicate)),
            None => Ok(None),
        }
    }

    fn accepted(&self, owner: EntityId) -> Result<Option<Accepted>, IntakeError> {
        if owner.kind != EntityKind::Document {
            return Ok(None);
        }
        let document = DocumentId::from_uuid(owner.id);
        let Some(row) = self.catalogue.document(document)? else { return Ok(None) };
        Ok(row.versions.first().map(|first| Accepted::version(document, first)))
    }
}

pub(super) fn rejected(rejection: Rejection, size: Option<u64>) -> Outcome {
    Outcome::Rejected { rejection, size, detail: None }
}

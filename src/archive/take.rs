//! Taking documents in.

use super::{Archive, Error, Kind, Permission, Permit};
use crate::clock::new_id;
use crate::domain::batch::Batch;
use crate::domain::decision::Decision;
use crate::domain::document::Arrival;
use crate::domain::event::{Context, RejectedFile};
use crate::domain::finding::Finding;
use crate::domain::guard::Guard;
use crate::domain::{BatchId, CaseFileId, DocumentId};
use crate::ingest::{self, BatchFacts, Declared, Entry, FileReport, FileStatus, Outcome, RunReport};
use crate::journal::{AppendError, Command, Projection as _};
use std::io::Read;
use std::sync::atomic::AtomicBool;

impl Archive {
    /// Takes one file in. When it answers `Received`, the document is durable.
    ///
    /// # Errors
    /// [`Kind::Doubt`] means that it may be there nevertheless; repeating with the same key is safe.
    pub fn receive(
        &self,
        permit: &Permit,
        arrival: &Arrival,
        target: Option<CaseFileId>,
        body: &mut dyn Read,
        declared: &Declared,
    ) -> Result<Outcome, Error> {
        permit.require(Permission::Ingest)?;
        Ok(self.intake().receive(&permit.context(), arrival, target, &[], body, declared)?)
    }

    #[expect(clippy::too_many_arguments, reason = "the arguments of `receive` and the batch")]
    /// Takes one uploaded file into a batch and writes its line; see [`ingest::receive_in_batch`].
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is no such batch, [`Kind::Conflict`] when it is closed.
    pub fn receive_in_batch(
        &self,
        permit: &Permit,
        batch: BatchId,
        arrival: &Arrival,
        target: Option<CaseFileId>,
        filing: &mut Vec<Finding>,
        body: &mut dyn Read,
        declared: &Declared,
    ) -> Result<FileStatus, Error> {
        permit.require(Permission::Ingest)?;
        self.catalogue.batch(batch)?.ok_or_else(|| Error::missing("Die Charge"))?;
        let context = permit.context();
        Ok(ingest::receive_in_batch(
            &self.intake(),
            &context,
            batch,
            arrival,
            target,
            filing,
            body,
            declared,
        )?)
    }

    /// Writes lines for files that their sender could not send; see [`ingest::reject_in_batch`].
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is no such batch, [`Kind::Conflict`] when it is closed.
    pub fn reject_in_batch(
        &self,
        permit: &Permit,
        batch: BatchId,
        files: Vec<RejectedFile>,
    ) -> Result<(), Error> {
        permit.require(Permission::Ingest)?;
        self.catalogue.batch(batch)?.ok_or_else(|| Error::missing("Die Charge"))?;
        Ok(ingest::reject_in_batch(&self.intake(), &permit.context(), batch, files)?)
    }

    /// Takes many files in as one batch; see [`ingest::run`].
    ///
    /// # Errors
    /// When the batch cannot be found or closed.
    pub fn ingest(
        &self,
        permit: &Permit,
        facts: &BatchFacts,
        entries: impl Iterator<Item = Entry> + Send,
        stop: &AtomicBool,
        report: &(dyn Fn(&FileReport) + Sync),
    ) -> Result<RunReport, Error> {
        permit.require(Permission::Ingest)?;
        let context: Context = permit.context();
        let threads = self.settings.ingest_threads;
        Ok(ingest::run(&self.intake(), &context, facts, entries, threads, stop, report)?)
    }

    /// Has a document read once more, for instance after Tesseract got better; what it gave before stays until then.
    /// The request is forgotten at shutdown.
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is no such document, [`Kind::Unavailable`] when this process reads none.
    pub fn digitise_again(&self, permit: &Permit, id: DocumentId) -> Result<(), Error> {
        permit.require(Permission::Manage)?;
        self.catalogue.document(id)?.ok_or_else(|| Error::missing("Das Dokument"))?;
        let unavailable = || Error::new(Kind::Unavailable, "Hier werden keine Dokumente erschlossen.");
        self.digitising.as_ref().ok_or_else(unavailable)?.again(id);
        self.committed.ring();
        Ok(())
    }

    /// Opens a batch for files that are uploaded one by one.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when there is one of this name.
    pub fn open_batch(&self, permit: &Permit, facts: &BatchFacts) -> Result<BatchId, Error> {
        permit.require(Permission::Ingest)?;
        let id = BatchId::from_uuid(new_id(&*self.clock, &*self.entropy));
        let decision = Decision { guards: Vec::new(), events: vec![Batch::open(id, facts.clone())] };
        match self.journal.append(Command::record(permit.context(), decision)) {
            Ok(_) => Ok(id),
            Err(AppendError::Taken { .. }) => {
                Err(Error::new(Kind::Conflict, format!("Eine Charge „{}“ gibt es schon.", facts.name)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Closes a batch: `seen` files were sent.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it is closed.
    pub fn close_batch(&self, permit: &Permit, id: BatchId, seen: u64) -> Result<(), Error> {
        permit.require(Permission::Ingest)?;
        let life = self.catalogue.life(id.into())?.ok_or_else(|| Error::missing("Die Charge"))?;
        let row = self.catalogue.batch(id)?.ok_or_else(|| Error::missing("Die Charge"))?;
        let event = row.state(id).close(seen, row.counts())?;
        let decision = Decision { guards: vec![Guard::Epoch(id.into(), life.epoch)], events: vec![event] };
        self.journal.append(Command::record(permit.context(), decision))?;
        Ok(())
    }
}

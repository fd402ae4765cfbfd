//! Changing documents: filing them, adding versions to them.

use super::{Archive, DocumentState, Error, Kind, Permission, Permit};
use crate::domain::case_file::CaseFile;
use crate::domain::decision::Decision;
use crate::domain::guard::{Guard, UniqueKey};
use crate::domain::text::Line;
use crate::domain::{CaseFileId, DocumentId, EntityId};
use crate::ingest::{Declared, NewVersion, Outcome};
use crate::journal::{AppendError, Command, Projection as _};
use std::io::Read;

/// How often a document that changed meanwhile is looked at again before the caller is asked to.
const ATTEMPTS: usize = 16;

impl Archive {
    /// Files a document: out of the inbox, or out of a case file where it does not belong, into another. `seen` is the
    /// commit that had changed it last when the caller looked at it. A document that lies there already stays as it is,
    /// so that a request may be repeated.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when one of the case files is closed or kept on paper, or the same bytes lie in the new one
    /// already; [`Kind::Changed`] when the document is no longer what the caller saw.
    pub fn file_document(
        &self,
        permit: &Permit,
        id: DocumentId,
        target: CaseFileId,
        reason: Option<&Line>,
        seen: Option<u64>,
    ) -> Result<DocumentState, Error> {
        // Whoever indexes scans files them, too; taking something out of a case file is for those who keep it.
        permit.require(Permission::File).or_else(|_| permit.require(Permission::Ingest))?;
        let mut context = permit.context();
        context.reason = reason.map(Line::to_string);
        for _ in 0..ATTEMPTS {
            // The guard first: what changes between the two reads makes it stale.
            let missing = || Error::missing("Das Dokument");
            let life = self.catalogue.life(id.into())?.ok_or_else(missing)?;
            let row = self.catalogue.document(id)?.ok_or_else(missing)?;
            let (to, to_guard) = self.place(target)?;
            if row.case_file == Some(target) {
                return self.state(id, row);
            }
            if row.case_file.is_some() {
                permit.require(Permission::File)?;
            }
            if seen.is_some_and(|seen| seen != row.origin.seq) {
                return Err(changed());
            }
            let from = row.case_file.map(|from| self.place(from)).transpose()?;
            let document = row.state(id);
            let event = document.file(from.as_ref().map(|(file, _)| file), &to)?;
            let taken = UniqueKey::content(Some(target), &document.first().original.sha256);
            if let Some(twin) = self.catalogue.owner(&taken)? {
                return Err(same_bytes(&to, twin));
            }
            let mut guards = vec![Guard::Version(id.into(), life.version), to_guard];
            guards.extend(from.map(|(_, guard)| guard));
            let decision = Decision { guards, events: vec![event] };
            match self.journal.append(Command::record(context.clone(), decision)) {
                Ok(_) => {
                    let row = self.catalogue.document(id)?.ok_or_else(missing)?;
                    return self.state(id, row);
                }
                // Read meanwhile, changed by someone else, or the same bytes are just coming or leaving: whether that
                // matters is seen next time.
                Err(AppendError::Stale(_) | AppendError::Taken { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppendError::Busy.into())
    }

    /// A case file with the guard that it has not moved on since.
    fn place(&self, id: CaseFileId) -> Result<(CaseFile, Guard), Error> {
        let missing = || Error::missing("Die Akte");
        let life = self.catalogue.life(id.into())?.ok_or_else(missing)?;
        let row = self.catalogue.case_file(id)?.ok_or_else(missing)?;
        Ok((row.state(id), Guard::Epoch(id.into(), life.epoch)))
    }

    /// Adds a version to a document; earlier ones stay, and the new one is read in its turn. Bytes that the current
    /// version has already add nothing.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when another version came first or the case file is closed, [`Kind::Changed`] when the
    /// document is no longer what the caller saw; [`Kind::Doubt`] means that it may be there nevertheless, and repeating
    /// is safe.
    pub fn add_version(
        &self,
        permit: &Permit,
        id: DocumentId,
        new: &NewVersion,
        body: &mut dyn Read,
        declared: &Declared,
    ) -> Result<Outcome, Error> {
        permit.require(Permission::Ingest)?;
        Ok(self.intake().add_version(&permit.context(), id, new, body, declared)?)
    }

    /// Has documents read before everything else that waits: someone is waiting for them. Forgotten at shutdown.
    pub fn read_first(&self, id: DocumentId) {
        if let Some(digitising) = &self.digitising {
            digitising.first(id);
        }
    }
}

/// The document is no longer what the caller saw.
fn changed() -> Error {
    Error::new(
        Kind::Changed,
        "Das Dokument wurde inzwischen geändert; bitte neu ansehen und noch einmal entscheiden.",
    )
}

fn same_bytes(target: &CaseFile, twin: EntityId) -> Error {
    let reference = &target.data.reference;
    Error::new(
        Kind::Conflict,
        format!("In der Akte {reference} liegen dieselben Bytes schon: Dokument {}.", twin.id.hyphenated()),
    )
}

//! A further version of a document on its way in. It arrives as documents do; what differs is that the document is
//! there already, so that its bytes may be, too, and someone else may have been faster.

use super::identify::identify;
use super::intake::{ATTEMPTS, Accepted, Declared, Intake, IntakeError, Outcome, Reading, rejected};
use crate::catalogue::{DocumentRow, VersionRow};
use crate::domain::DocumentId;
use crate::domain::codes::Rejection;
use crate::domain::decision::Decision;
use crate::domain::document::Document;
use crate::domain::event::Context;
use crate::domain::guard::{Guard, UniqueKey};
use crate::domain::object::{Encoding, ObjectRef};
use crate::domain::text::source_name;
use crate::journal::{AppendError, Command, Projection as _};
use std::io::Read;

/// What is known of a further version before its bytes are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewVersion {
    /// The file's name.
    pub source_name: String,
    /// The version that it is to follow; none means whichever is the newest.
    pub follows: Option<u32>,
    /// The commit that had changed the document last when the caller looked at it.
    pub seen: Option<u64>,
    /// The caller's key for this request.
    pub idempotency_key: Option<String>,
}

impl NewVersion {
    /// Whether the document still is what the caller saw.
    fn check(&self, document: &Document, row: &DocumentRow) -> Result<(), IntakeError> {
        let number = document.current().number;
        if self.follows.is_some_and(|wanted| wanted != number) {
            return Err(IntakeError::Overtaken(number));
        }
        if self.seen.is_some_and(|seen| seen != row.origin.seq) {
            return Err(IntakeError::Changed);
        }
        Ok(())
    }
}

impl Intake {
    /// Adds a version to a document. Bytes that the current version has already add nothing. When it answers
    /// `Received`, the version is durable.
    ///
    /// # Errors
    /// [`IntakeError`]; only after [`AppendError::Doubt`] the version may be there nevertheless, and repeating is safe:
    /// the same bytes are not added twice in a row.
    pub fn add_version(
        &self,
        context: &Context,
        id: DocumentId,
        new: &NewVersion,
        body: &mut dyn Read,
        declared: &Declared,
    ) -> Result<Outcome, IntakeError> {
        self.catalogue.document(id)?.ok_or(IntakeError::NoDocument(id))?;
        if declared.size.is_some_and(|size| size > self.max_file_bytes) {
            return Ok(rejected(Rejection::TooLarge, declared.size));
        }
        let received = match self.read(body)? {
            Reading::Whole(received) => received,
            Reading::TooLarge => return Ok(rejected(Rejection::TooLarge, None)),
        };
        let (sha256, size) = (received.staged.digest(), received.staged.size_bytes());
        if let Some(rejection) = received.judge(declared) {
            return Ok(rejected(rejection, Some(size)));
        }
        let name = source_name(&new.source_name);
        let (media_type, findings) = identify(&received.head, size, &name);
        let mut is_published = false;
        for _ in 0..ATTEMPTS {
            // The guard first: what changes between the two reads makes it stale.
            let life = self.catalogue.life(id.into())?.ok_or(IntakeError::NoDocument(id))?;
            let row = self.catalogue.document(id)?.ok_or(IntakeError::NoDocument(id))?;
            let document = row.state(id);
            if let Some(key) = &new.idempotency_key
                && let Some(owner) = self.catalogue.owner(&UniqueKey::idempotency(key))?
            {
                let same = row.versions.iter().rev().find(|version| version.original.sha256 == sha256);
                let same = same.filter(|_| owner == id.into()).ok_or(IntakeError::KeyReused)?;
                return Ok(Outcome::Received(Accepted::version(id, same)));
            }
            if let Some(current) = row.versions.last().filter(|current| current.original.sha256 == sha256) {
                return Ok(Outcome::Duplicate(Accepted::version(id, current)));
            }
            new.check(&document, &row)?;
            let (place, place_guard) = self.target(row.case_file)?;
            let original = ObjectRef { name: name.clone(), sha256, size, enc: Encoding::None };
            let key = new.idempotency_key.clone();
            let event =
                document.add_version(place.as_ref(), &name, original, &media_type, findings.clone(), key)?;
            if !is_published {
                // An earlier version or a rendition may have the same bytes and thus the same object; then this
                // changes nothing. A crash from here on leaves an unreferenced object at most. For the same reason it is
                // never taken away again when the journal refuses: the sweep knows whether anybody needs it.
                self.store.publish(&received.staged, &self.layout.object(id.into(), &sha256))?;
                is_published = true;
            }
            let guards =
                std::iter::once(Guard::Version(id.into(), life.version)).chain(place_guard).collect();
            let decision = Decision { guards, events: vec![event] };
            match self.journal.append(Command::record(context.clone(), decision)) {
                Ok(receipt) => {
                    return Ok(Outcome::Received(Accepted {
                        document: id,
                        version: document.current().number + 1,
                        sha256,
                        size,
                        position: receipt.position(id).unwrap_or_default(),
                        accepted_at: receipt.recorded_at,
                    }));
                }
                // Read meanwhile, filed elsewhere, or someone was faster: whether that matters is seen next time.
                Err(error @ (AppendError::Taken { .. } | AppendError::Stale(_))) => {
                    tracing::debug!(%error, "looking again");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppendError::Busy.into())
    }
}

impl Accepted {
    /// The receipt of a version that is there.
    pub(super) fn version(document: DocumentId, row: &VersionRow) -> Self {
        Self {
            document,
            version: row.number,
            sha256: row.original.sha256,
            size: row.original.size,
            position: row.position,
            accepted_at: row.accepted_at,
        }
    }
}

//! Receipts (Quittungen): proof that bytes were accepted, for whoever kept their digest.

use super::{Archive, Error, Permission, Permit};
use crate::domain::{Digest, DocumentId, object};
use jiff::Timestamp;

/// Quittung: where in the journal the acceptance of these bytes stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptView {
    /// The document that has the bytes.
    pub document: DocumentId,
    /// In which version.
    pub version: u32,
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// Their length.
    pub size: u64,
    /// Position of the leaf.
    pub position: u64,
    /// When they were accepted.
    pub accepted_at: Timestamp,
    /// SHA-256 of the payload.
    pub payload: Digest,
}

impl ReceiptView {
    /// The payload's name below the tenant's folder.
    pub fn payload_name(&self) -> String {
        object::payload_name(&self.payload)
    }

    /// The leaf: the line that `sha256sum` prints for the payload.
    pub fn leaf(&self) -> String {
        object::leaf_line(&self.payload)
    }
}

impl Archive {
    /// The receipts of a document, one a version.
    ///
    /// # Errors
    /// [`Kind::Missing`](super::Kind::Missing) when there is no such document.
    pub fn receipts(&self, permit: &Permit, id: DocumentId) -> Result<Vec<ReceiptView>, Error> {
        permit.require(Permission::Read).or_else(|_| permit.require(Permission::Ingest))?;
        let row = self.catalogue.document(id)?.ok_or_else(|| Error::missing("Das Dokument"))?;
        let mut receipts = Vec::new();
        for version in &row.versions {
            let position = version.position;
            let Some((_, payload)) = self.catalogue.leaf(position)? else { continue };
            receipts.push(ReceiptView {
                document: id,
                version: version.number,
                sha256: version.original.sha256,
                size: version.original.size,
                position,
                accepted_at: version.accepted_at,
                payload,
            });
        }
        Ok(receipts)
    }

    /// The receipts of all documents that have these bytes.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn receipts_by_digest(&self, permit: &Permit, sha256: &Digest) -> Result<Vec<ReceiptView>, Error> {
        permit.require(Permission::Read).or_else(|_| permit.require(Permission::Ingest))?;
        let mut found = Vec::new();
        for id in self.catalogue.documents_by_digest(sha256)? {
            found.extend(self.receipts(permit, id)?.into_iter().filter(|receipt| receipt.sha256 == *sha256));
        }
        found.sort_by_key(|receipt| receipt.position);
        found.dedup();
        Ok(found)
    }
}

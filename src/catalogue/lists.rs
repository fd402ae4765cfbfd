//! Lookups and ordered lists.

use super::keys::{self, Table};
use super::rows::{
    AccountRow, BatchRow, CaseFileRow, DocumentRow, LineRow, PathRow, PlanUnitRow, TenantRow, UnitRow,
};
use super::{Catalogue, CatalogueError};
use crate::domain::{
    AccountId, BatchId, CaseFileId, Digest, DocumentId, EntityId, PlanUnitId, UnitId, digest,
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Where a list goes on: opaque to callers, stable while the list grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Vec<u8>);

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Der Seitenzeiger ist ungültig; bitte die Liste von vorn abrufen.")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&digest::hex(&self.0))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text.is_empty() || text.len() > 512 || !text.len().is_multiple_of(2) || !text.is_ascii() {
            return Err(InvalidCursor);
        }
        let bytes = text.as_bytes().chunks_exact(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+'))
        });
        bytes.collect::<Option<Vec<u8>>>().map(Self).ok_or(InvalidCursor)
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<Cursor>,
}

#[expect(clippy::missing_errors_doc, reason = "every lookup fails only when the catalogue is broken")]
impl Catalogue {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, CatalogueError> {
        Ok(self.db.get(key)?)
    }

    pub(super) fn row<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, CatalogueError> {
        self.get(key)?.map(|bytes| serde_json::from_slice(&bytes).map_err(CatalogueError::Row)).transpose()
    }

    fn id(&self, key: &[u8]) -> Result<Option<Uuid>, CatalogueError> {
        Ok(self.get(key)?.and_then(|bytes| Uuid::from_slice(&bytes).ok()))
    }

    /// The tenant itself; `None` before its first commit.
    pub fn tenant(&self) -> Result<Option<TenantRow>, CatalogueError> {
        self.row(&keys::prefix(Table::Tenant))
    }

    /// The account that has this token.
    pub fn account_by_token(
        &self,
        token: &Digest,
    ) -> Result<Option<(AccountId, AccountRow)>, CatalogueError> {
        let Some(id) = self.id(&keys::token(token))?.map(AccountId::from_uuid) else { return Ok(None) };
        Ok(self.row(&keys::account(id))?.map(|row| (id, row)))
    }

    /// A unit.
    pub fn unit(&self, id: UnitId) -> Result<Option<UnitRow>, CatalogueError> {
        self.row(&keys::unit(id))
    }

    /// The unit with this code.
    pub fn unit_by_code(&self, code: &str) -> Result<Option<UnitId>, CatalogueError> {
        Ok(self.id(&keys::unit_by_code(code))?.map(UnitId::from_uuid))
    }

    /// All units, by code.
    pub fn units(&self) -> Result<Vec<(UnitId, UnitRow)>, CatalogueError> {
        self.all(&keys::prefix(Table::UnitByCode), |catalogue, id| {
            let id = UnitId::from_uuid(id);
            Ok(catalogue.unit(id)?.map(|row| (id, row)))
        })
    }

    /// A plan unit.
    pub fn plan_unit(&self, id: PlanUnitId) -> Result<Option<PlanUnitRow>, CatalogueError> {
        self.row(&keys::plan_unit(id))
    }

    /// The plan unit with this code.
    pub fn plan_unit_by_code(&self, code: &str) -> Result<Option<PlanUnitId>, CatalogueError> {
        Ok(self.id(&keys::plan_unit_by_code(code))?.map(PlanUnitId::from_uuid))
    }

    /// Plan units in order of their codes.
    pub fn plan_units(
        &self,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<(PlanUnitId, PlanUnitRow)>, CatalogueError> {
        self.page(&keys::prefix(Table::PlanUnitByCode), from, limit, |catalogue, id| {
            let id = PlanUnitId::from_uuid(id);
            Ok(catalogue.plan_unit(id)?.map(|row| (id, row)))
        })
    }

    /// A case file.
    pub fn case_file(&self, id: CaseFileId) -> Result<Option<CaseFileRow>, CatalogueError> {
        self.row(&keys::case_file(id))
    }

    /// Case files with this reference or old signature.
    pub fn case_files_by_name(&self, name: &str) -> Result<Vec<CaseFileId>, CatalogueError> {
        self.all(&keys::case_file_by_name(name, None), |_, id| Ok(Some(CaseFileId::from_uuid(id))))
    }

    /// Case files in order of their opening, in one plan unit or in all.
    pub fn case_files(
        &self,
        plan_unit: Option<PlanUnitId>,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<(CaseFileId, CaseFileRow)>, CatalogueError> {
        let list =
            plan_unit.map_or_else(|| keys::prefix(Table::CaseFileByPosition), keys::case_files_of_plan_unit);
        self.page(&list, from, limit, |catalogue, id| {
            let id = CaseFileId::from_uuid(id);
            Ok(catalogue.case_file(id)?.map(|row| (id, row)))
        })
    }

    /// When the newest document or batch was recorded.
    pub fn newest(&self) -> Result<Option<Timestamp>, CatalogueError> {
        let last = |table| {
            let last = self.db.scan_prefix(keys::prefix(table)).next_back().transpose()?;
            Ok::<_, CatalogueError>(last.and_then(|(_, id)| Uuid::from_slice(&id).ok()))
        };
        let document = match last(Table::DocumentByPosition)? {
            Some(id) => self.document(DocumentId::from_uuid(id))?.map(|row| row.origin.since),
            None => None,
        };
        let batch = match last(Table::BatchByPosition)? {
            Some(id) => self.batch(BatchId::from_uuid(id))?.map(|row| row.origin.since),
            None => None,
        };
        Ok(document.max(batch))
    }

    /// A document.
    pub fn document(&self, id: DocumentId) -> Result<Option<DocumentRow>, CatalogueError> {
        self.row(&keys::document(id))
    }

    /// Documents in order of arrival.
    pub fn documents(
        &self,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<(DocumentId, DocumentRow)>, CatalogueError> {
        self.document_page(&keys::prefix(Table::DocumentByPosition), from, limit)
    }

    /// Documents of a case file, or of the inbox (`None`), in order of arrival.
    pub fn documents_of(
        &self,
        case_file: Option<CaseFileId>,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<(DocumentId, DocumentRow)>, CatalogueError> {
        self.document_page(&keys::documents_of(case_file), from, limit)
    }

    fn document_page(
        &self,
        list: &[u8],
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<(DocumentId, DocumentRow)>, CatalogueError> {
        self.page(list, from, limit, |catalogue, id| {
            let id = DocumentId::from_uuid(id);
            Ok(catalogue.document(id)?.map(|row| (id, row)))
        })
    }

    /// Documents one of whose versions has this digest.
    pub fn documents_by_digest(&self, sha256: &Digest) -> Result<Vec<DocumentId>, CatalogueError> {
        let mut ids = Vec::new();
        for key in self.db.scan_prefix(keys::documents_by_digest(sha256)).keys() {
            let key = key?;
            ids.extend(
                key.get(33..).and_then(|bytes| Uuid::from_slice(bytes).ok()).map(DocumentId::from_uuid),
            );
        }
        Ok(ids)
    }

    /// Documents that wait in a lane, oldest first, after the position given.
    pub fn unread(
        &self,
        lane: u8,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, DocumentId)>, CatalogueError> {
        let start = after.map_or_else(|| keys::unread_in(lane), |after| keys::unread(lane, after + 1));
        let mut found = Vec::new();
        for entry in self.db.range(start..keys::after(&keys::unread_in(lane))).take(limit) {
            let (key, value) = entry?;
            let id = Uuid::from_slice(&value).ok().map(DocumentId::from_uuid);
            found.extend(keys::tail_number(&key).zip(id));
        }
        Ok(found)
    }

    /// Number of documents that wait in a lane.
    pub fn unread_count(&self, lane: u8) -> Result<u64, CatalogueError> {
        let mut count = 0;
        for key in self.db.scan_prefix(keys::unread_in(lane)).keys() {
            key?;
            count += 1;
        }
        Ok(count)
    }

    /// A batch.
    pub fn batch(&self, id: BatchId) -> Result<Option<BatchRow>, CatalogueError> {
        self.row(&keys::batch(id))
    }

    /// Batches in order of their opening.
    pub fn batches(
        &self,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<(BatchId, BatchRow)>, CatalogueError> {
        self.page(&keys::prefix(Table::BatchByPosition), from, limit, |catalogue, id| {
            let id = BatchId::from_uuid(id);
            Ok(catalogue.batch(id)?.map(|row| (id, row)))
        })
    }

    /// What became of a batch's file.
    pub fn line(&self, batch: BatchId, path: &str) -> Result<Option<LineRow>, CatalogueError> {
        let path: Option<PathRow> = self.row(&keys::line(batch, path))?;
        Ok(path.and_then(|path| path.best().cloned()))
    }

    /// A batch's lines, in no meaningful order.
    pub fn lines(
        &self,
        batch: BatchId,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<LineRow>, CatalogueError> {
        self.walk(&keys::lines_of(batch), from, limit, |_, bytes| {
            let path: PathRow = serde_json::from_slice(bytes).map_err(CatalogueError::Row)?;
            Ok(path.best().cloned())
        })
    }

    /// Positions and payloads of an entity's leaves, oldest first.
    pub fn leaves_of(&self, entity: EntityId) -> Result<Vec<(u64, Digest)>, CatalogueError> {
        let mut leaves = Vec::new();
        for entry in self.db.scan_prefix(keys::leaves_of(entity)) {
            let (key, value) = entry?;
            let digest = value.as_ref().try_into().ok().map(Digest::from_bytes);
            leaves.extend(keys::tail_number(&key).zip(digest));
        }
        Ok(leaves)
    }

    /// Whose leaf stands at a position; `None` when there is none or it was erased.
    pub fn leaf(&self, position: u64) -> Result<Option<(EntityId, Digest)>, CatalogueError> {
        let Some(bytes) = self.get(&keys::leaf(position))? else { return Ok(None) };
        let digest = bytes.get(17..).and_then(|bytes| bytes.try_into().ok()).map(Digest::from_bytes);
        Ok(keys::entity(&bytes).zip(digest))
    }

    /// Entities touched by the commits after `seq`, at most `commits` commits of them, and the last of these.
    /// `None` when what was touched then is no longer known: the asker must begin anew.
    pub fn touched_after(
        &self,
        seq: u64,
        commits: usize,
    ) -> Result<Option<(u64, Vec<EntityId>)>, CatalogueError> {
        let applied = self.read_applied()?.seq;
        if seq >= applied {
            return Ok(Some((seq, Vec::new())));
        }
        let (mut last, mut entities) = (seq, Vec::new());
        let table = keys::prefix(Table::Touched);
        for entry in self.db.range(keys::touched(seq + 1)..keys::after(&table)).take(commits) {
            let (key, value) = entry?;
            if keys::tail_number(&key) != Some(last + 1) {
                return Ok(None);
            }
            last += 1;
            entities.extend(value.chunks_exact(17).filter_map(keys::entity));
        }
        entities.sort_unstable();
        entities.dedup();
        Ok((last > seq).then_some((last, entities)))
    }

    /// Forgets what was touched up to a commit: the search index has it.
    pub fn forget_touched(&self, up_to: u64) -> Result<(), CatalogueError> {
        let mut batch = sled::Batch::default();
        for key in self.db.range(keys::touched(0)..=keys::touched(up_to)).keys() {
            batch.remove(key?);
        }
        self.db.apply_batch(batch)?;
        Ok(())
    }

    /// Every key and value but the marks of the search index: two catalogues of the same journal are equal.
    pub fn dump(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), CatalogueError> {
        for entry in self.db.iter() {
            let (key, value) = entry?;
            if key.first() != Some(&(Table::Touched as u8)) {
                visit(&key, &value);
            }
        }
        Ok(())
    }

    fn all<T>(
        &self,
        list: &[u8],
        load: impl Fn(&Self, Uuid) -> Result<Option<T>, CatalogueError>,
    ) -> Result<Vec<T>, CatalogueError> {
        Ok(self.page(list, None, usize::MAX, load)?.items)
    }

    /// A page of a list whose values are ids.
    fn page<T>(
        &self,
        list: &[u8],
        from: Option<&Cursor>,
        limit: usize,
        load: impl Fn(&Self, Uuid) -> Result<Option<T>, CatalogueError>,
    ) -> Result<Page<T>, CatalogueError> {
        self.walk(list, from, limit, |catalogue, bytes| match Uuid::from_slice(bytes) {
            Ok(id) => load(catalogue, id),
            Err(_) => Ok(None),
        })
    }

    /// A page of a list. The cursor is the rest of the last key shown, so it means nothing outside its list.
    fn walk<T>(
        &self,
        list: &[u8],
        from: Option<&Cursor>,
        limit: usize,
        load: impl Fn(&Self, &[u8]) -> Result<Option<T>, CatalogueError>,
    ) -> Result<Page<T>, CatalogueError> {
        let mut start = list.to_vec();
        if let Some(Cursor(rest)) = from {
            start.extend_from_slice(rest);
            start.push(0);
        }
        let (mut items, mut shown) = (Vec::new(), None);
        for entry in self.db.range(start..keys::after(list)) {
            let (key, value) = entry?;
            if items.len() == limit {
                return Ok(Page { items, next: shown });
            }
            items.extend(load(self, &value)?);
            shown = Some(Cursor(key[list.len()..].to_vec()));
        }
        Ok(Page { items, next: None })
    }
}

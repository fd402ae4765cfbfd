//! One ordered map holds all tables: the first byte of a key says which. Numbers are big-endian, so that keys sort
//! as the things do.

use crate::domain::guard::{CounterKey, UniqueKey};
use crate::domain::{
    AccountId, BatchId, CaseFileId, Digest, DocumentId, EntityId, EntityKind, PlanUnitId, UnitId,
};
use uuid::Uuid;

/// A table: the first byte of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Table {
    Meta = 0,
    /// Entity -> [`Life`](crate::journal::Life).
    Life = 1,
    /// Unique key -> entity.
    Owner = 2,
    /// Entity and unique key.
    ClaimsOf = 3,
    /// Entity and scope -> last number.
    Counter = 4,
    /// Position -> entity and payload digest.
    Leaf = 5,
    /// Entity and position -> payload digest.
    LeavesOf = 6,
    /// Commit -> entities it touched; what the search index has not taken in yet.
    Touched = 7,
    Tenant = 16,
    Account = 17,
    Unit = 18,
    PlanUnit = 19,
    CaseFile = 20,
    Document = 21,
    Batch = 22,
    /// Batch and path digest -> line.
    BatchLine = 23,
    /// Token digest -> account.
    Token = 32,
    UnitByCode = 33,
    PlanUnitByCode = 34,
    /// Reference or old signature, case file.
    CaseFileByName = 35,
    /// Plan unit, position, case file.
    CaseFileByPlanUnit = 36,
    /// Position -> case file.
    CaseFileByPosition = 37,
    /// Case file (or zeros for the inbox), position, document.
    DocumentByCaseFile = 38,
    /// Position -> document.
    DocumentByPosition = 39,
    /// Digest of an original, document.
    DocumentByDigest = 40,
    /// Lane, position -> document that waits to be read.
    Unread = 41,
    /// Position -> batch.
    BatchByPosition = 42,
}

impl Table {
    /// Every table.
    pub(super) const ALL: [Self; 27] = [
        Self::Meta,
        Self::Life,
        Self::Owner,
        Self::ClaimsOf,
        Self::Counter,
        Self::Leaf,
        Self::LeavesOf,
        Self::Touched,
        Self::Tenant,
        Self::Account,
        Self::Unit,
        Self::PlanUnit,
        Self::CaseFile,
        Self::Document,
        Self::Batch,
        Self::BatchLine,
        Self::Token,
        Self::UnitByCode,
        Self::PlanUnitByCode,
        Self::CaseFileByName,
        Self::CaseFileByPlanUnit,
        Self::CaseFileByPosition,
        Self::DocumentByCaseFile,
        Self::DocumentByPosition,
        Self::DocumentByDigest,
        Self::Unread,
        Self::BatchByPosition,
    ];

    /// Tables that have as many rows as one another: each row of the first stands once in the second.
    pub(super) const EQUAL: [(Self, Self); 10] = [
        (Self::Owner, Self::ClaimsOf),
        (Self::Leaf, Self::LeavesOf),
        (Self::Account, Self::Token),
        (Self::Unit, Self::UnitByCode),
        (Self::PlanUnit, Self::PlanUnitByCode),
        (Self::CaseFile, Self::CaseFileByPlanUnit),
        (Self::CaseFile, Self::CaseFileByPosition),
        (Self::Document, Self::DocumentByCaseFile),
        (Self::Document, Self::DocumentByPosition),
        (Self::Batch, Self::BatchByPosition),
    ];
}

/// The name of the table that a key belongs to.
pub(super) fn table_name(key: &[u8]) -> String {
    let table = key.first().and_then(|first| Table::ALL.into_iter().find(|table| *table as u8 == *first));
    table.map_or_else(|| "unbekannt".to_owned(), |table| format!("{table:?}"))
}

pub(super) fn prefix(table: Table) -> Vec<u8> {
    vec![table as u8]
}

fn join(table: Table, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = prefix(table);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

fn kind_byte(kind: EntityKind) -> u8 {
    EntityKind::ALL
        .iter()
        .position(|each| *each == kind)
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(u8::MAX)
}

/// An entity as 17 bytes.
pub(super) fn entity_bytes(entity: EntityId) -> [u8; 17] {
    let mut bytes = [0; 17];
    bytes[0] = kind_byte(entity.kind);
    bytes[1..].copy_from_slice(entity.id.as_bytes());
    bytes
}

/// Reads [`entity_bytes`] back.
pub(super) fn entity(bytes: &[u8]) -> Option<EntityId> {
    let kind = *EntityKind::ALL.get(usize::from(*bytes.first()?))?;
    Some(EntityId::new(kind, Uuid::from_slice(bytes.get(1..17)?).ok()?))
}

pub(super) fn meta(name: &str) -> Vec<u8> {
    join(Table::Meta, &[name.as_bytes()])
}

pub(super) fn life(entity: EntityId) -> Vec<u8> {
    join(Table::Life, &[&entity_bytes(entity)])
}

pub(super) fn owner(key: &UniqueKey) -> Vec<u8> {
    join(Table::Owner, &[key.as_str().as_bytes()])
}

pub(super) fn claims_of(entity: EntityId, key: &str) -> Vec<u8> {
    join(Table::ClaimsOf, &[&entity_bytes(entity), key.as_bytes()])
}

pub(super) fn counter(counter: &CounterKey) -> Vec<u8> {
    join(Table::Counter, &[&entity_bytes(counter.owner), counter.scope.as_bytes()])
}

pub(super) fn leaf(position: u64) -> Vec<u8> {
    join(Table::Leaf, &[&position.to_be_bytes()])
}

pub(super) fn leaves_of(entity: EntityId) -> Vec<u8> {
    join(Table::LeavesOf, &[&entity_bytes(entity)])
}

pub(super) fn leaf_of(entity: EntityId, position: u64) -> Vec<u8> {
    join(Table::LeavesOf, &[&entity_bytes(entity), &position.to_be_bytes()])
}

pub(super) fn touched(seq: u64) -> Vec<u8> {
    join(Table::Touched, &[&seq.to_be_bytes()])
}

pub(super) fn account(id: AccountId) -> Vec<u8> {
    join(Table::Account, &[id.uuid().as_bytes()])
}

pub(super) fn token(sha256: &Digest) -> Vec<u8> {
    join(Table::Token, &[sha256.as_bytes()])
}

pub(super) fn unit(id: UnitId) -> Vec<u8> {
    join(Table::Unit, &[id.uuid().as_bytes()])
}

pub(super) fn unit_by_code(code: &str) -> Vec<u8> {
    join(Table::UnitByCode, &[code.as_bytes()])
}

pub(super) fn plan_unit(id: PlanUnitId) -> Vec<u8> {
    join(Table::PlanUnit, &[id.uuid().as_bytes()])
}

pub(super) fn plan_unit_by_code(code: &str) -> Vec<u8> {
    join(Table::PlanUnitByCode, &[code.as_bytes()])
}

pub(super) fn case_file(id: CaseFileId) -> Vec<u8> {
    join(Table::CaseFile, &[id.uuid().as_bytes()])
}

/// Old signatures may repeat, so the id is part of the key. The zero byte keeps `A` before `A 1`.
pub(super) fn case_file_by_name(name: &str, id: Option<CaseFileId>) -> Vec<u8> {
    let id = id.map(CaseFileId::uuid);
    join(Table::CaseFileByName, &[name.as_bytes(), &[0], id.as_ref().map_or(&[], |id| &id.as_bytes()[..])])
}

pub(super) fn case_files_of_plan_unit(plan_unit: PlanUnitId) -> Vec<u8> {
    join(Table::CaseFileByPlanUnit, &[plan_unit.uuid().as_bytes()])
}

pub(super) fn case_file_by_plan_unit(plan_unit: PlanUnitId, position: u64) -> Vec<u8> {
    join(Table::CaseFileByPlanUnit, &[plan_unit.uuid().as_bytes(), &position.to_be_bytes()])
}

pub(super) fn case_file_by_position(position: u64) -> Vec<u8> {
    join(Table::CaseFileByPosition, &[&position.to_be_bytes()])
}

pub(super) fn document(id: DocumentId) -> Vec<u8> {
    join(Table::Document, &[id.uuid().as_bytes()])
}

pub(super) fn documents_of(case_file: Option<CaseFileId>) -> Vec<u8> {
    let id = case_file.map_or(Uuid::nil(), CaseFileId::uuid);
    join(Table::DocumentByCaseFile, &[id.as_bytes()])
}

pub(super) fn document_by_case_file(case_file: Option<CaseFileId>, position: u64) -> Vec<u8> {
    let mut key = documents_of(case_file);
    key.extend_from_slice(&position.to_be_bytes());
    key
}

pub(super) fn document_by_position(position: u64) -> Vec<u8> {
    join(Table::DocumentByPosition, &[&position.to_be_bytes()])
}

pub(super) fn documents_by_digest(sha256: &Digest) -> Vec<u8> {
    join(Table::DocumentByDigest, &[sha256.as_bytes()])
}

pub(super) fn document_by_digest(sha256: &Digest, id: DocumentId) -> Vec<u8> {
    join(Table::DocumentByDigest, &[sha256.as_bytes(), id.uuid().as_bytes()])
}

pub(super) fn unread_in(lane: u8) -> Vec<u8> {
    join(Table::Unread, &[&[lane]])
}

pub(super) fn unread(lane: u8, position: u64) -> Vec<u8> {
    join(Table::Unread, &[&[lane], &position.to_be_bytes()])
}

pub(super) fn batch(id: BatchId) -> Vec<u8> {
    join(Table::Batch, &[id.uuid().as_bytes()])
}

pub(super) fn batch_by_position(position: u64) -> Vec<u8> {
    join(Table::BatchByPosition, &[&position.to_be_bytes()])
}

pub(super) fn lines_of(batch: BatchId) -> Vec<u8> {
    join(Table::BatchLine, &[batch.uuid().as_bytes()])
}

/// Paths may be long; their digest is a key of fixed length.
pub(super) fn line(batch: BatchId, path: &str) -> Vec<u8> {
    join(Table::BatchLine, &[batch.uuid().as_bytes(), Digest::of(path.as_bytes()).as_bytes()])
}

/// The number at the end of a key.
pub(super) fn tail_number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*key.last_chunk::<8>()?))
}

/// The smallest key after all keys that begin with `prefix`.
pub(super) fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_reads_back_and_numbers_sort() {
        for kind in EntityKind::ALL {
            let id = EntityId::new(kind, Uuid::from_u128(9));
            assert_eq!(entity(&entity_bytes(id)), Some(id));
        }
        assert_eq!(entity(&[200; 17]), None);
        assert!(leaf(255) < leaf(256));
        assert_eq!(tail_number(&leaf(300)), Some(300));
        assert!(leaf(u64::MAX) < after(&prefix(Table::Leaf)));
        assert_eq!(after(&[1, 255]), [2]);
    }
}

//! Takes commits in: every event changes its entity's row, and the row says which lists it stands in.

use super::changes::Changes;
use super::keys;
use super::rows::{
    AccountRow, ArrivalRow, BatchRow, CaseFileRow, DocumentRow, LineRow, Origin, PathRow, PlanUnitRow,
    TenantRow, UnitRow,
};
use super::{CatalogueError, Summary};
use crate::domain::batch::PagesRead;
use crate::domain::case_file::CaseFile;
use crate::domain::codes::LineStatus;
use crate::domain::document::Document;
use crate::domain::event::{Event, Recorded};
use crate::domain::guard::{CounterKey, UniqueKey};
use crate::domain::{
    AccountId, BatchId, CaseFileId, DocumentId, EntityId, EntityKind, PlanUnitId, TenantId, UnitId,
};
use crate::journal::{CommitRecord, LeafRecord, Life};
use std::collections::{BTreeMap, BTreeSet};

/// Index entries of a row: what must stand in the lists.
type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// Takes one commit in.
pub(super) fn commit(changes: &mut Changes<'_>, record: &CommitRecord) -> Result<(), CatalogueError> {
    let mut touched = BTreeSet::new();
    for leaf in &record.leaves {
        for recorded in leaf.events.iter().flatten() {
            guards(changes, recorded)?;
            event(changes, record, leaf, recorded, &mut touched)?;
        }
        if let Some(owner) = leaf.events.as_ref().and_then(|events| events.first()).map(|first| first.entity)
        {
            let mut value = keys::entity_bytes(owner).to_vec();
            value.extend_from_slice(leaf.payload.as_bytes());
            changes.put(keys::leaf(leaf.position), value);
            changes.put(keys::leaf_of(owner, leaf.position), leaf.payload.as_bytes().to_vec());
            touched.insert(owner);
        }
    }
    let touched: Vec<u8> = touched.into_iter().flat_map(keys::entity_bytes).collect();
    changes.put(keys::touched(record.seq), touched);
    Ok(())
}

/// Keeps what guards ask: versions, epochs, keys, counters.
fn guards(changes: &mut Changes<'_>, recorded: &Recorded) -> Result<(), CatalogueError> {
    let entity = recorded.entity;
    let effects = recorded.event.effects(&recorded.objects);
    for key in effects.releases {
        release(changes, entity, &key)?;
    }
    for key in effects.claims {
        changes.put(keys::owner(&key), keys::entity_bytes(entity).to_vec());
        changes.put(keys::claims_of(entity, key.as_str()), Vec::new());
    }
    if let Some((scope, value)) = effects.counter {
        let key = keys::counter(&CounterKey { owner: entity, scope });
        let last = changes.get(&key)?.and_then(|bytes| keys::tail_number(&bytes)).unwrap_or(0);
        changes.put(key, last.max(value).to_be_bytes().to_vec());
    }
    let key = keys::life(entity);
    let mut life = changes.get(&key)?.map(|bytes| super::life(&bytes)).unwrap_or_default();
    life.version += 1;
    life.epoch += u64::from(effects.moves_life_cycle);
    changes.put(key, life_bytes(life));
    Ok(())
}

/// Gives a key back, if it still is the entity's. Of an entity that is being erased only some payloads may be left: what
/// it had given back long ago may have gone to someone else since.
fn release(changes: &mut Changes<'_>, entity: EntityId, key: &UniqueKey) -> Result<(), CatalogueError> {
    let owner = keys::owner(key);
    if changes.get(&owner)?.is_some_and(|found| found == keys::entity_bytes(entity)) {
        changes.remove(owner);
    }
    changes.remove(keys::claims_of(entity, key.as_str()));
    Ok(())
}

fn life_bytes(life: Life) -> Vec<u8> {
    [life.version.to_be_bytes(), life.epoch.to_be_bytes()].concat()
}

fn event(
    changes: &mut Changes<'_>,
    record: &CommitRecord,
    leaf: &LeafRecord,
    recorded: &Recorded,
    touched: &mut BTreeSet<EntityId>,
) -> Result<(), CatalogueError> {
    let id = recorded.entity.id;
    let origin = Origin { position: leaf.position, seq: record.seq, since: recorded.recorded_at };
    match &recorded.event {
        Event::TenantCreated(data) => {
            let row = TenantRow { id: TenantId::from_uuid(id), data: data.clone() };
            changes.put_row(keys::prefix(keys::Table::Tenant), &row)?;
        }
        Event::AccountCreated(data) => {
            let account = AccountId::from_uuid(id);
            changes.put(keys::token(&data.token_sha256), id.as_bytes().to_vec());
            changes.put_row(keys::account(account), &AccountRow { data: data.clone() })?;
        }
        Event::UnitCreated(data) => {
            changes.put(keys::unit_by_code(&data.code), id.as_bytes().to_vec());
            changes.put_row(keys::unit(UnitId::from_uuid(id)), &UnitRow { data: data.clone() })?;
        }
        Event::PlanUnitCreated(data) => {
            changes.put(keys::plan_unit_by_code(&data.code), id.as_bytes().to_vec());
            changes
                .put_row(keys::plan_unit(PlanUnitId::from_uuid(id)), &PlanUnitRow { data: data.clone() })?;
        }
        Event::CaseFileOpened(data) => {
            let row = CaseFileRow { origin, data: data.clone(), closed_here_on: None };
            put_case_file(changes, CaseFileId::from_uuid(id), None, &row)?;
            summary(changes, |summary| summary.case_files += 1)?;
        }
        Event::CaseFileClosed(_) => {
            close_case_file(changes, CaseFileId::from_uuid(id), record.seq, recorded)?;
        }
        Event::BatchOpened(data) => {
            changes.put(keys::batch_by_position(leaf.position), id.as_bytes().to_vec());
            let row = BatchRow {
                origin,
                data: data.clone(),
                closed: None,
                received: 0,
                duplicate: 0,
                rejected: 0,
                pages: 0,
                unread: 0,
            };
            changes.put_row(keys::batch(BatchId::from_uuid(id)), &row)?;
        }
        Event::FilesRejected(data) => {
            for file in &data.files {
                let line = LineRow {
                    path: file.path.clone(),
                    status: LineStatus::Rejected,
                    document: None,
                    rejection: Some(file.rejection),
                    detail: file.detail.clone(),
                };
                put_line(changes, BatchId::from_uuid(id), &line)?;
            }
        }
        Event::BatchClosed(data) => {
            let key = keys::batch(BatchId::from_uuid(id));
            if let Some(mut row) = changes.row::<BatchRow>(&key)? {
                row.closed = Some(data.clone());
                row.origin.seq = record.seq;
                changes.put_row(key, &row)?;
            }
        }
        Event::DocumentReceived(_)
        | Event::DuplicateArrived(_)
        | Event::VersionAdded(_)
        | Event::DocumentFiled(_)
        | Event::DocumentDigitised(_) => document(changes, DocumentId::from_uuid(id), origin, recorded)?,
        Event::ErasurePermitted(data) => {
            for entity in &data.entities {
                erase(changes, *entity)?;
                touched.insert(*entity);
            }
        }
        Event::NumberDrawn(_) | Event::ErasureCompleted(_) | Event::ObjectsSwept(_) => {}
    }
    Ok(())
}

fn case_file_entries(id: CaseFileId, row: &CaseFileRow) -> Entries {
    let bytes = id.uuid().as_bytes().to_vec();
    let names = std::iter::once(&row.data.reference).chain(&row.data.aliases);
    let mut entries: Entries =
        names.map(|name| (keys::case_file_by_name(name, Some(id)), bytes.clone())).collect();
    entries.push((keys::case_file_by_plan_unit(row.data.plan_unit, row.origin.position), bytes.clone()));
    entries.push((keys::case_file_by_position(row.origin.position), bytes));
    entries
}

fn put_case_file(
    changes: &mut Changes<'_>,
    id: CaseFileId,
    old: Option<&CaseFileRow>,
    row: &CaseFileRow,
) -> Result<(), CatalogueError> {
    let old = old.map(|old| case_file_entries(id, old)).unwrap_or_default();
    changes.index(&old, case_file_entries(id, row));
    changes.put_row(keys::case_file(id), row)
}

fn close_case_file(
    changes: &mut Changes<'_>,
    id: CaseFileId,
    seq: u64,
    recorded: &Recorded,
) -> Result<(), CatalogueError> {
    let Some(old) = changes.row::<CaseFileRow>(&keys::case_file(id))? else { return Ok(()) };
    let recorded_on = recorded.recorded_at.to_zoned(jiff::tz::TimeZone::UTC).date();
    let mut state: CaseFile = old.state(id);
    state.apply(&recorded.event, recorded.context.effective_on.unwrap_or(recorded_on));
    let mut row = old.clone();
    row.closed_here_on = state.closed_here_on;
    row.origin.seq = seq;
    put_case_file(changes, id, Some(&old), &row)
}

fn document_entries(id: DocumentId, row: &DocumentRow) -> Entries {
    let bytes = id.uuid().as_bytes().to_vec();
    let position = row.origin.position;
    let mut entries: Entries = vec![
        (keys::document_by_case_file(row.case_file, position), bytes.clone()),
        (keys::document_by_position(position), bytes.clone()),
    ];
    for version in &row.versions {
        entries.push((keys::document_by_digest(&version.original.sha256, id), Vec::new()));
    }
    entries.extend(row.lane().map(|lane| (keys::unread(lane, position), bytes)));
    entries
}

fn document(
    changes: &mut Changes<'_>,
    id: DocumentId,
    origin: Origin,
    recorded: &Recorded,
) -> Result<(), CatalogueError> {
    let old = changes.row::<DocumentRow>(&keys::document(id))?;
    let (objects, at) = (&recorded.objects, recorded.recorded_at);
    let row = match (&old, &recorded.event) {
        (None, Event::DocumentReceived(data)) => {
            let Some(state) = Document::received(id, data.clone(), objects, at) else { return Ok(()) };
            let row = DocumentRow::new(&state, origin, None, origin.position);
            if let (Some(batch), Some(path)) = (data.batch, &data.source_path) {
                put_line(changes, batch, &line(path, LineStatus::Received, id))?;
            }
            summary(changes, |summary| summary.documents += 1)?;
            row
        }
        (Some(old), Event::DuplicateArrived(data)) => {
            put_line(changes, data.batch, &line(&data.source_path, LineStatus::Duplicate, id))?;
            let mut row = old.clone();
            row.again.push(ArrivalRow { batch: data.batch, path: data.source_path.clone() });
            row.origin.seq = origin.seq;
            row
        }
        (Some(old), event) => {
            let mut state = old.state(id);
            state.apply(event, objects, at);
            DocumentRow::new(&state, Origin { seq: origin.seq, ..old.origin }, Some(old), origin.position)
        }
        (None, _) => return Ok(()),
    };
    let stood = old.as_ref().map(|old| document_entries(id, old)).unwrap_or_default();
    changes.index(&stood, document_entries(id, &row));
    let bytes = |row: &DocumentRow| row.versions.iter().map(|version| version.original.size).sum::<u64>();
    let pages = |row: &DocumentRow| row.reading.as_ref().map_or(0, |reading| u64::from(reading.data.pages));
    let (old_bytes, old_pages) = old.as_ref().map_or((0, 0), |old| (bytes(old), pages(old)));
    if (bytes(&row), pages(&row)) != (old_bytes, old_pages) {
        summary(changes, |summary| {
            summary.bytes = summary.bytes + bytes(&row) - old_bytes;
            summary.pages = summary.pages + pages(&row) - old_pages;
        })?;
    }
    let shares = old.as_ref().map(DocumentRow::shares).unwrap_or_default();
    change_shares(changes, &shares, &row.shares())?;
    changes.put_row(keys::document(id), &row)
}

/// Replaces what a document added to the pages of its batches by what it adds now.
fn change_shares(
    changes: &mut Changes<'_>,
    old: &BTreeMap<BatchId, PagesRead>,
    new: &BTreeMap<BatchId, PagesRead>,
) -> Result<(), CatalogueError> {
    let batches: BTreeSet<BatchId> = old.keys().chain(new.keys()).copied().collect();
    for batch in batches {
        let of = |shares: &BTreeMap<BatchId, PagesRead>| shares.get(&batch).copied().unwrap_or_default();
        let (old, new) = (of(old), of(new));
        if old == new {
            continue;
        }
        let key = keys::batch(batch);
        let Some(mut row) = changes.row::<BatchRow>(&key)? else { continue };
        row.pages = (row.pages + new.pages).saturating_sub(old.pages);
        row.unread = (row.unread + new.unread).saturating_sub(old.unread);
        changes.put_row(key, &row)?;
    }
    Ok(())
}

fn line(path: &str, status: LineStatus, document: DocumentId) -> LineRow {
    LineRow { path: path.to_owned(), status, document: Some(document), rejection: None, detail: None }
}

/// A file counts once in its batch, with the best that became of it.
fn put_line(changes: &mut Changes<'_>, batch: BatchId, line: &LineRow) -> Result<(), CatalogueError> {
    change_path(changes, batch, &line.path, |path| path.add(line.clone()))
}

/// Changes what is known of a path, and the counts of its batch with it.
fn change_path(
    changes: &mut Changes<'_>,
    batch: BatchId,
    path: &str,
    change: impl FnOnce(&mut PathRow),
) -> Result<(), CatalogueError> {
    let Some(mut row) = changes.row::<BatchRow>(&keys::batch(batch))? else { return Ok(()) };
    let key = keys::line(batch, path);
    let old = changes.row::<PathRow>(&key)?.unwrap_or_default();
    let mut new = old.clone();
    change(&mut new);
    if new == old {
        return Ok(());
    }
    let mut counts = row.counts();
    old.best().into_iter().for_each(|line| counts.remove(line.status));
    new.best().into_iter().for_each(|line| counts.add(line.status));
    (row.received, row.duplicate, row.rejected) = (counts.received, counts.duplicate, counts.rejected);
    changes.put_row(keys::batch(batch), &row)?;
    if new.best().is_some() {
        changes.put_row(key, &new)
    } else {
        changes.remove(key);
        Ok(())
    }
}

/// Takes an entity out of every table, as if it had never been.
fn erase(changes: &mut Changes<'_>, entity: EntityId) -> Result<(), CatalogueError> {
    match entity.kind {
        EntityKind::Document => erase_document(changes, DocumentId::from_uuid(entity.id))?,
        EntityKind::CaseFile => {
            let id = CaseFileId::from_uuid(entity.id);
            if let Some(row) = changes.row::<CaseFileRow>(&keys::case_file(id))? {
                changes.index(&case_file_entries(id, &row), Vec::new());
                changes.remove(keys::case_file(id));
                summary(changes, |summary| summary.case_files -= 1)?;
            }
        }
        EntityKind::Batch => {
            let id = BatchId::from_uuid(entity.id);
            if let Some(row) = changes.row::<BatchRow>(&keys::batch(id))? {
                changes.remove(keys::batch_by_position(row.origin.position));
                changes.remove(keys::batch(id));
            }
            for key in changes.keys(&keys::lines_of(id))? {
                changes.remove(key);
            }
        }
        // Never erased: they hold no personal data, and counters and facts of destruction belong to them.
        EntityKind::Tenant | EntityKind::Account | EntityKind::Unit | EntityKind::PlanUnit => return Ok(()),
    }
    let claims = keys::claims_of(entity, "");
    for key in changes.keys(&claims)? {
        let text = String::from_utf8_lossy(&key[claims.len()..]).into_owned();
        release(changes, entity, &UniqueKey::from_stored(&text))?;
    }
    for key in changes.keys(&keys::leaves_of(entity))? {
        if let Some(position) = keys::tail_number(&key) {
            changes.remove(keys::leaf(position));
        }
        changes.remove(key);
    }
    changes.remove(keys::life(entity));
    Ok(())
}

fn erase_document(changes: &mut Changes<'_>, id: DocumentId) -> Result<(), CatalogueError> {
    let Some(row) = changes.row::<DocumentRow>(&keys::document(id))? else { return Ok(()) };
    let arrived = row.received.batch.zip(row.received.source_path.clone());
    let arrived = arrived.map(|(batch, path)| ArrivalRow { batch, path });
    for place in arrived.iter().chain(&row.again) {
        change_path(changes, place.batch, &place.path, |path| path.forget(id))?;
    }
    change_shares(changes, &row.shares(), &BTreeMap::new())?;
    changes.index(&document_entries(id, &row), Vec::new());
    changes.remove(keys::document(id));
    let bytes: u64 = row.versions.iter().map(|version| version.original.size).sum();
    let pages = row.reading.as_ref().map_or(0, |reading| u64::from(reading.data.pages));
    summary(changes, |summary| {
        summary.documents -= 1;
        summary.bytes -= bytes;
        summary.pages -= pages;
    })
}

fn summary(changes: &mut Changes<'_>, change: impl FnOnce(&mut Summary)) -> Result<(), CatalogueError> {
    let key = keys::meta("summary");
    let mut summary = changes.row::<Summary>(&key)?.unwrap_or_default();
    change(&mut summary);
    if summary == Summary::default() {
        // As if nothing had ever been there.
        changes.remove(key);
        return Ok(());
    }
    changes.put_row(key, &summary)
}

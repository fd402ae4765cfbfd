//! Reading records.

use super::{Archive, Error, Kind, Permission, Permit};
use crate::catalogue::{
    BatchRow, CaseFileRow, Cursor, DocumentRow, LineRow, Page, PlanUnitRow, Summary, UnitRow,
};
use crate::domain::event::Recorded;
use crate::domain::finding::{Finding, FindingCode};
use crate::domain::guard::UniqueKey;
use crate::domain::{
    BatchId, CaseFileId, Digest, DocumentId, EntityId, ObjectRef, PlanUnitId, UnitId, object,
};
use crate::journal::{Projection as _, Status, payload};
use crate::search::{Filter, Query, Snippet, Visible};
use crate::store::{Body, StoreError};
use jiff::Timestamp;
use std::ops::Range;

/// A document as its readers see it.
#[derive(Clone, Debug)]
pub struct DocumentState {
    /// Which one.
    pub id: DocumentId,
    /// What the catalogue knows.
    pub row: DocumentRow,
    /// Its case file's reference.
    pub file_reference: Option<String>,
    /// Whether its text, or the finding that there is none, has reached the search index.
    pub searchable: bool,
}

impl DocumentState {
    /// What is odd about the document where it lies, about its current version and about reading it.
    pub fn findings(&self) -> Vec<Finding> {
        self.row.state(self.id).findings().cloned().collect()
    }

    /// Number of pages, once it has been read.
    pub fn pages(&self) -> Option<u32> {
        self.row.reading.as_ref().map(|reading| reading.data.pages)
    }
}

/// Bytes to be sent.
#[derive(Debug)]
pub struct Content {
    /// What they are.
    pub object: ObjectRef,
    /// Their media type.
    pub media_type: String,
    /// Under which name a reader would save them.
    pub file_name: String,
    /// Which part this is.
    pub range: Range<u64>,
    /// The bytes of that part.
    pub body: Body,
}

/// An event of a record, with its place in the journal.
#[derive(Clone, Debug)]
pub struct EventView {
    /// Position of its leaf.
    pub position: u64,
    /// SHA-256 of its payload.
    pub payload: Digest,
    /// The event.
    pub recorded: Recorded,
}

impl EventView {
    /// What kind of event it is, such as `document.received`.
    pub fn kind(&self) -> &'static str {
        payload::name(&self.recorded.event)
    }

    /// Its data as they are stored.
    pub fn data(&self) -> serde_json::Value {
        payload::data(&self.recorded.event)
    }
}

/// A found document.
#[derive(Clone, Debug)]
pub struct SearchHit {
    /// Which one.
    pub document: DocumentId,
    /// Its case file.
    pub case_file: Option<CaseFileId>,
    /// Aktenzeichen.
    pub file_reference: Option<String>,
    /// Betreff.
    pub title: String,
    /// The file's name at arrival.
    pub source_name: String,
    /// The page that matches best; none when it is the metadata that matches.
    pub page: Option<u32>,
    /// How well it matches; comparable within one search only.
    pub score: f32,
    /// A passage of that page, or the metadata that match, with their names.
    pub snippet: Option<Snippet>,
}

/// A page of hits.
#[derive(Clone, Debug, Default)]
pub struct SearchPage {
    /// Documents that match.
    pub total: u64,
    /// Best first.
    pub hits: Vec<SearchHit>,
    /// How the search was understood.
    pub notes: Vec<String>,
}

/// How a tenant is doing.
#[derive(Clone, Debug)]
pub struct Health {
    /// The journal.
    pub journal: Status,
    /// The commit that the search index has reached.
    pub indexed_seq: u64,
    /// Documents that wait to be read, by lane.
    pub unread: [u64; 3],
    /// Totals.
    pub summary: Summary,
    /// Whether scans can be recognised here.
    pub ocr_available: bool,
}

impl Archive {
    pub(super) fn state(&self, id: DocumentId, row: DocumentRow) -> Result<DocumentState, Error> {
        let case_file = row.case_file.map(|id| self.catalogue.case_file(id)).transpose()?.flatten();
        let is_read = row.lane().is_none_or(|lane| lane == 2);
        let searchable = is_read && self.indexer.index.position() >= row.origin.seq;
        Ok(DocumentState { id, row, file_reference: case_file.map(|row| row.data.reference), searchable })
    }

    /// A document.
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is none.
    pub fn document(&self, permit: &Permit, id: DocumentId) -> Result<DocumentState, Error> {
        permit.require(Permission::Read).or_else(|_| permit.require(Permission::Ingest))?;
        let row = self.catalogue.document(id)?.ok_or_else(|| Error::missing("Das Dokument"))?;
        self.state(id, row)
    }

    fn states(&self, page: Page<(DocumentId, DocumentRow)>) -> Result<Page<DocumentState>, Error> {
        let items = page.items.into_iter().map(|(id, row)| self.state(id, row)).collect::<Result<_, _>>()?;
        Ok(Page { items, next: page.next })
    }

    /// Documents in order of arrival.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn documents(
        &self,
        permit: &Permit,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<DocumentState>, Error> {
        permit.require(Permission::Read)?;
        self.states(self.catalogue.documents(from, limit)?)
    }

    /// Documents of a case file, or of the inbox, in order of arrival.
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is no such case file.
    pub fn documents_of(
        &self,
        permit: &Permit,
        case_file: Option<CaseFileId>,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<DocumentState>, Error> {
        permit.require(Permission::Read)?;
        if let Some(id) = case_file {
            self.case_file(permit, id)?;
        }
        self.states(self.catalogue.documents_of(case_file, from, limit)?)
    }

    /// Documents that have these bytes in one of their versions: what a receipt proves.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn documents_by_digest(&self, permit: &Permit, sha256: &Digest) -> Result<Vec<DocumentState>, Error> {
        permit.require(Permission::Read).or_else(|_| permit.require(Permission::Ingest))?;
        let mut states = Vec::new();
        for id in self.catalogue.documents_by_digest(sha256)? {
            if let Some(row) = self.catalogue.document(id)? {
                states.push(self.state(id, row)?);
            }
        }
        Ok(states)
    }

    /// Bytes of a version of a document (the current one if none is named), or a part of them.
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is no such version, [`Kind::Invalid`] for a range beyond the end.
    pub fn original(
        &self,
        permit: &Permit,
        id: DocumentId,
        version: Option<u32>,
        range: Option<Range<u64>>,
    ) -> Result<Content, Error> {
        permit.require(Permission::Read)?;
        let row = self.catalogue.document(id)?.ok_or_else(|| Error::missing("Das Dokument"))?;
        let found = match version {
            None => row.versions.last(),
            Some(number) => row.versions.iter().find(|version| version.number == number),
        };
        let found = found.ok_or_else(|| Error::missing("Die Version"))?;
        self.content(id, &found.original, &found.media_type, &found.source_name, range)
    }

    /// Bytes of a rendition: `text` (page texts) or `pdf` (searchable PDF).
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is no such rendition.
    pub fn rendition(
        &self,
        permit: &Permit,
        id: DocumentId,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Content, Error> {
        permit.require(Permission::Read)?;
        let row = self.catalogue.document(id)?.ok_or_else(|| Error::missing("Das Dokument"))?;
        let missing = || Error::missing("Die Darstellung");
        let reading = row.reading.as_ref().ok_or_else(missing)?;
        let (digest, media_type, ending) = match name {
            "text" => (reading.data.text, "application/json", "json"),
            "pdf" => (reading.data.pdf, "application/pdf", "pdf"),
            _ => return Err(missing()),
        };
        let digest = digest.ok_or_else(missing)?;
        let object = reading.renditions.iter().find(|object| object.sha256 == digest).ok_or_else(missing)?;
        self.content(id, object, media_type, &format!("{}.{ending}", row.received.title), range)
    }

    fn content(
        &self,
        id: DocumentId,
        object: &ObjectRef,
        media_type: &str,
        file_name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Content, Error> {
        let key = self.layout.object(id.into(), &object.sha256);
        let range = range.unwrap_or(0..object.size);
        let body = if range == (0..object.size) {
            self.store.open(&key)
        } else {
            self.store.open_range(&key, range.clone())
        };
        let body = body.map_err(|error| match error {
            StoreError::Missing(key) => Error::new(
                Kind::Damaged,
                format!("Das Objekt {key} fehlt im Speicher; bitte „eakte verify“ ausführen."),
            ),
            other => other.into(),
        })?;
        Ok(Content {
            object: object.clone(),
            media_type: media_type.to_owned(),
            file_name: file_name.to_owned(),
            range: range.start..range.end.min(object.size),
            body,
        })
    }

    /// What has happened to a record, oldest first.
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is no such record, [`Kind::Damaged`] when its history is not readable.
    pub fn events(&self, permit: &Permit, entity: EntityId) -> Result<Vec<EventView>, Error> {
        permit.require(Permission::Read)?;
        if self.catalogue.life(entity)?.is_none() {
            return Err(Error::missing("Der Gegenstand"));
        }
        let mut events = Vec::new();
        for (position, sha256) in self.catalogue.leaves_of(entity)? {
            let bytes = self.store.read(&self.layout.payload(&sha256))?;
            if Digest::of(&bytes) != sha256 {
                let name = object::payload_name(&sha256);
                return Err(Error::new(Kind::Damaged, format!("Die Ereignisdaten {name} sind beschädigt.")));
            }
            let recorded = payload::read(&bytes).map_err(|error| Error::from_cause(Kind::Damaged, error))?;
            events.extend(recorded.into_iter().map(|recorded| EventView {
                position,
                payload: sha256,
                recorded,
            }));
        }
        Ok(events)
    }

    /// Searches. Hits are looked up again in the catalogue, so that nothing shows that is no longer there.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn search(
        &self,
        permit: &Permit,
        text: &str,
        filter: Filter,
        offset: usize,
        limit: usize,
    ) -> Result<SearchPage, Error> {
        permit.require(Permission::Read)?;
        let wanted = filter.case_file_id;
        let query = Query { filter, limit, offset, ..Query::new(text, Visible::All) };
        let results = self.indexer.index.search(&query)?;
        let mut page = SearchPage { total: results.total as u64, hits: Vec::new(), notes: results.notes };
        for hit in results.hits {
            let document = DocumentId::from_uuid(hit.document_id);
            // What was filed a moment ago still stands in the index where it lay before.
            let Some(row) = self.catalogue.document(document)?.filter(|row| {
                wanted.is_none_or(|wanted| row.case_file.map(CaseFileId::uuid) == Some(wanted))
            }) else {
                page.total = page.total.saturating_sub(1);
                continue;
            };
            let case_file = row.case_file.map(|id| self.catalogue.case_file(id)).transpose()?.flatten();
            page.hits.push(SearchHit {
                document,
                case_file: row.case_file,
                file_reference: case_file.map(|row| row.data.reference),
                title: hit.title.unwrap_or_default(),
                source_name: hit.source_name,
                page: hit.page,
                score: hit.score,
                snippet: hit.snippet,
            });
        }
        Ok(page)
    }

    /// A case file.
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is none.
    pub fn case_file(&self, permit: &Permit, id: CaseFileId) -> Result<CaseFileRow, Error> {
        permit.require(Permission::Read)?;
        self.catalogue.case_file(id)?.ok_or_else(|| Error::missing("Die Akte"))
    }

    /// Case files in order of their opening, in one plan unit or in all.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn case_files(
        &self,
        permit: &Permit,
        plan_unit: Option<PlanUnitId>,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<(CaseFileId, CaseFileRow)>, Error> {
        permit.require(Permission::Read)?;
        Ok(self.catalogue.case_files(plan_unit, from, limit)?)
    }

    /// Plan units in order of their codes.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn plan_units(
        &self,
        permit: &Permit,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<(PlanUnitId, PlanUnitRow)>, Error> {
        permit.require(Permission::Read)?;
        Ok(self.catalogue.plan_units(from, limit)?)
    }

    /// A plan unit.
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is none.
    pub fn plan_unit(&self, permit: &Permit, id: PlanUnitId) -> Result<PlanUnitRow, Error> {
        permit.require(Permission::Read)?;
        self.catalogue.plan_unit(id)?.ok_or_else(|| Error::missing("Die Aktenplaneinheit"))
    }

    /// All units, by code.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn units(&self, permit: &Permit) -> Result<Vec<(UnitId, UnitRow)>, Error> {
        permit.require(Permission::Read)?;
        Ok(self.catalogue.units()?)
    }

    /// A batch.
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is none.
    pub fn batch(&self, permit: &Permit, id: BatchId) -> Result<BatchRow, Error> {
        permit.require(Permission::Ingest).or_else(|_| permit.require(Permission::Read))?;
        self.catalogue.batch(id)?.ok_or_else(|| Error::missing("Die Charge"))
    }

    /// The batch of this name.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn batch_named(&self, permit: &Permit, name: &str) -> Result<Option<BatchId>, Error> {
        permit.require(Permission::Ingest).or_else(|_| permit.require(Permission::Read))?;
        let owner = self.catalogue.owner(&UniqueKey::batch(name))?;
        Ok(owner.map(|owner| BatchId::from_uuid(owner.id)))
    }

    /// Batches in order of their opening.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn batches(
        &self,
        permit: &Permit,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<(BatchId, BatchRow)>, Error> {
        permit.require(Permission::Ingest).or_else(|_| permit.require(Permission::Read))?;
        Ok(self.catalogue.batches(from, limit)?)
    }

    /// What became of a batch's files.
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is no such batch.
    pub fn batch_lines(
        &self,
        permit: &Permit,
        id: BatchId,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<LineRow>, Error> {
        self.batch(permit, id)?;
        Ok(self.catalogue.lines(id, from, limit)?)
    }

    /// What became of one file of a batch.
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is no such batch.
    pub fn batch_line(&self, permit: &Permit, id: BatchId, path: &str) -> Result<Option<LineRow>, Error> {
        self.batch(permit, id)?;
        Ok(self.catalogue.line(id, path)?)
    }

    /// How many documents have no text because reading them broke off. All are looked at, a piece at a time.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn unreadable_documents(&self, permit: &Permit) -> Result<u64, Error> {
        permit.require(Permission::Read)?;
        let broke_off = |finding: &Finding| {
            matches!(
                finding.code,
                FindingCode::WorkerCrashed | FindingCode::TimeLimit | FindingCode::MemoryLimit
            )
        };
        let (mut from, mut count) = (None, 0);
        loop {
            let page = self.catalogue.documents(from.as_ref(), 1_000)?;
            for (_, row) in &page.items {
                let findings = row.reading.iter().flat_map(|reading| &reading.data.findings);
                count += u64::from(findings.into_iter().any(broke_off));
            }
            from = page.next;
            if from.is_none() {
                return Ok(count);
            }
        }
    }

    /// When the newest document or batch was recorded.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn newest_arrival(&self, permit: &Permit) -> Result<Option<Timestamp>, Error> {
        permit.require(Permission::Read)?;
        Ok(self.catalogue.newest()?)
    }

    /// How the tenant is doing; holds no personal data, so whoever may sign in may know.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn health(&self) -> Result<Health, Error> {
        let mut unread = [0; 3];
        for (lane, count) in (0..).zip(&mut unread) {
            *count = self.catalogue.unread_count(lane)?;
        }
        Ok(Health {
            journal: self.journal.status(),
            indexed_seq: self.indexer.index.position(),
            unread,
            summary: self.catalogue.summary()?,
            ocr_available: self.digitising.as_ref().is_some_and(|digitising| digitising.ocr_available()),
        })
    }
}

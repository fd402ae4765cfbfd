//! What the catalogue keeps of each entity. These rows can be thrown away at any time; changing them needs a new
//! [`SCHEMA`](super::SCHEMA) number and nothing else.

use crate::domain::batch::{Batch, Counts, PagesRead};
use crate::domain::case_file::CaseFile;
use crate::domain::codes::{LineStatus, Rejection};
use crate::domain::document::{Document, Reading, Version};
use crate::domain::event::{
    AccountCreated, BatchClosed, BatchOpened, CaseFileOpened, DocumentDigitised, DocumentReceived,
    PlanUnitCreated, TenantCreated, UnitCreated,
};
use crate::domain::finding::Finding;
use crate::domain::{BatchId, CaseFileId, DocumentId, ObjectRef, TenantId};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where an entity's row came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Position of its first leaf.
    pub position: u64,
    /// The last commit that changed it.
    pub seq: u64,
    /// When it was first recorded.
    pub since: Timestamp,
}

/// Mandant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRow {
    /// Which one.
    pub id: TenantId,
    /// What is recorded of it.
    pub data: TenantCreated,
}

/// Dienstkonto.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// What is recorded of it.
    pub data: AccountCreated,
}

/// Organisationseinheit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRow {
    /// What is recorded of it.
    pub data: UnitCreated,
}

/// Aktenplaneinheit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanUnitRow {
    /// What is recorded of it.
    pub data: PlanUnitCreated,
}

/// Akte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseFileRow {
    /// Where the row came from.
    pub origin: Origin,
    /// What it was opened with.
    pub data: CaseFileOpened,
    /// z.d.A. in this system.
    pub closed_here_on: Option<Date>,
}

impl CaseFileRow {
    /// The case file as the rules see it.
    pub fn state(&self, id: CaseFileId) -> CaseFile {
        CaseFile { id, data: self.data.clone(), closed_here_on: self.closed_here_on }
    }
}

/// One version of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRow {
    /// 1 and up.
    pub number: u32,
    /// The file's name at arrival.
    pub source_name: String,
    /// What the bytes are.
    pub media_type: String,
    /// The bytes.
    pub original: ObjectRef,
    /// What is odd about them.
    pub findings: Vec<Finding>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Position of the leaf that says so.
    pub position: u64,
}

/// What reading a document gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadingRow {
    /// What is recorded of it.
    pub data: DocumentDigitised,
    /// Renditions.
    pub renditions: Vec<ObjectRef>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// A place in a batch where a document's bytes arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivalRow {
    /// The batch.
    pub batch: BatchId,
    /// The path within its source.
    pub path: String,
}

/// Dokument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRow {
    /// Where the row came from.
    pub origin: Origin,
    /// What it arrived with.
    pub received: DocumentReceived,
    /// Where it lies now; none means the inbox.
    pub case_file: Option<CaseFileId>,
    /// Oldest first.
    pub versions: Vec<VersionRow>,
    /// What reading it gave.
    pub reading: Option<ReadingRow>,
    /// Pages of the version that arrived, once it has been read; if a newer one came first, of that.
    pub arrived_pages: Option<u32>,
    /// Batches in which its bytes arrived again.
    pub again: Vec<ArrivalRow>,
}

impl DocumentRow {
    /// A row for this state. `old` is the row before the event whose leaf stands at `position`.
    pub(super) fn new(state: &Document, origin: Origin, old: Option<&Self>, position: u64) -> Self {
        let known = old.map_or(&[][..], |old| &old.versions);
        let version = |(at, version): (usize, &Version)| VersionRow {
            number: version.number,
            source_name: version.source_name.clone(),
            media_type: version.media_type.clone(),
            original: version.original.clone(),
            findings: version.findings.clone(),
            accepted_at: version.accepted_at,
            position: known.get(at).map_or(position, |known| known.position),
        };
        let pages = |reading: &Reading| (reading.data.of_version == 1).then_some(reading.data.pages);
        let read_pages = state.reading.as_ref().map(|reading| reading.data.pages);
        let arrived_pages = state.reading.as_ref().and_then(pages);
        let arrived_pages = arrived_pages.or(old.and_then(|old| old.arrived_pages)).or(read_pages);
        let reading = |reading: &Reading| ReadingRow {
            data: reading.data.clone(),
            renditions: reading.renditions.clone(),
            recorded_at: reading.recorded_at,
        };
        Self {
            origin,
            received: state.received.clone(),
            case_file: state.case_file,
            versions: state.versions.iter().enumerate().map(version).collect(),
            reading: state.reading.as_ref().map(reading),
            arrived_pages,
            again: old.map(|old| old.again.clone()).unwrap_or_default(),
        }
    }

    /// The document as the rules see it.
    pub fn state(&self, id: DocumentId) -> Document {
        let version = |row: &VersionRow| Version {
            number: row.number,
            source_name: row.source_name.clone(),
            media_type: row.media_type.clone(),
            original: row.original.clone(),
            findings: row.findings.clone(),
            accepted_at: row.accepted_at,
        };
        let reading = |row: &ReadingRow| Reading {
            data: row.data.clone(),
            renditions: row.renditions.clone(),
            recorded_at: row.recorded_at,
        };
        Document {
            id,
            received: self.received.clone(),
            case_file: self.case_file,
            accepted_at: self.origin.since,
            versions: self.versions.iter().map(version).collect(),
            reading: self.reading.as_ref().map(reading),
        }
    }

    /// In which lane the document waits to be read: 0 single arrivals, 1 batches, 2 pages that wait for
    /// character recognition to be installed. `None` when it has been read.
    pub fn lane(&self) -> Option<u8> {
        let current = self.versions.last().map_or(0, |version| version.number);
        match &self.reading {
            Some(reading) if reading.data.of_version == current => {
                (reading.data.ocr_pending > 0).then_some(2)
            }
            // A further version is a single arrival, whatever the document once came with.
            _ => Some(u8::from(self.received.batch.is_some() && current <= 1)),
        }
    }

    /// Places in batches where its bytes arrived, each once.
    pub(super) fn arrivals(&self) -> BTreeSet<(BatchId, &str)> {
        let first = self.received.batch.map(|batch| {
            let path = self.received.source_path.as_deref();
            (batch, path.unwrap_or_default())
        });
        first.into_iter().chain(self.again.iter().map(|place| (place.batch, place.path.as_str()))).collect()
    }

    /// What it adds to the pages of the batches it came with.
    pub(super) fn shares(&self) -> BTreeMap<BatchId, PagesRead> {
        let mut shares = BTreeMap::<_, PagesRead>::new();
        for (batch, _) in self.arrivals() {
            let share = shares.entry(batch).or_default();
            match self.arrived_pages {
                Some(pages) => share.pages += u64::from(pages),
                None => share.unread += 1,
            }
        }
        shares
    }
}

/// Charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRow {
    /// Where the row came from.
    pub origin: Origin,
    /// What it was opened with.
    pub data: BatchOpened,
    /// What was counted at its end.
    pub closed: Option<BatchClosed>,
    /// Lines by status, as they are now.
    pub received: u64,
    /// Lines by status, as they are now.
    pub duplicate: u64,
    /// Lines by status, as they are now.
    pub rejected: u64,
    /// Pages of its documents, as far as they are known.
    pub pages: u64,
    /// Its documents that have not been read yet.
    pub unread: u64,
}

impl BatchRow {
    /// The batch as the rules see it.
    pub fn state(&self, id: BatchId) -> Batch {
        Batch { id, data: self.data.clone(), closed: self.closed.clone() }
    }

    /// How far its documents have been read.
    pub fn pages_read(&self) -> PagesRead {
        PagesRead { pages: self.pages, unread: self.unread }
    }

    /// The lines by status, as they are now.
    pub fn counts(&self) -> Counts {
        Counts { received: self.received, duplicate: self.duplicate, rejected: self.rejected }
    }
}

/// What became of one file of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineRow {
    /// Its path within the batch's source.
    pub path: String,
    /// What became of it.
    pub status: LineStatus,
    /// The document that has its bytes.
    pub document: Option<DocumentId>,
    /// Why it was not stored.
    pub rejection: Option<Rejection>,
    /// More about that, for people.
    pub detail: Option<String>,
}

/// All that became of one path of a batch. Only the best of it is shown and counted; the rest is kept for the time when
/// the document of the best is erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct PathRow {
    /// One line a document and one for rejections, the newest last.
    lines: Vec<LineRow>,
}

impl PathRow {
    /// What the path counts as: a rejected file that is received in a repeated run is received; a received one stays
    /// received. Of equals the newest.
    pub(super) fn best(&self) -> Option<&LineRow> {
        self.lines.iter().rev().min_by_key(|line| rank(line.status))
    }

    /// Takes a line in. What others have here plays no part, so that whoever is erased leaves no trace.
    pub(super) fn add(&mut self, line: LineRow) {
        if let Some(at) = self.lines.iter().position(|known| known.document == line.document) {
            if rank(self.lines[at].status) < rank(line.status) {
                return;
            }
            self.lines.remove(at);
        }
        self.lines.push(line);
    }

    /// Forgets a document.
    pub(super) fn forget(&mut self, document: DocumentId) {
        self.lines.retain(|line| line.document != Some(document));
    }
}

fn rank(status: LineStatus) -> usize {
    LineStatus::ALL.iter().position(|each| *each == status).unwrap_or(usize::MAX)
}

//! Keeps the search index up with the catalogue, which keeps up with the journal. Search never overtakes the
//! catalogue: it asks the catalogue which records were touched since its own last commit.

use crate::catalogue::{Catalogue, CatalogueError, DocumentRow};
use crate::domain::{DocumentId, EntityKind};
use crate::journal::{Layout, Projection as _, ProjectionError};
use crate::search::{DocumentEntry, IndexError, PageEntry, Purged, SearchIndex};
use crate::store::{ObjectStore, StoreError};
use serde::Deserialize;
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Most bytes of page texts that are read for one document.
const MAX_TEXT_BYTES: u64 = 256 * 1024 * 1024;

/// Why the index could not follow.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The catalogue is broken.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The catalogue is broken.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// The index is broken or cannot be written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A text could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Brings a tenant's index up to date.
#[derive(Debug)]
pub struct Indexer {
    /// What is indexed.
    pub catalogue: Arc<Catalogue>,
    /// Where it goes.
    pub index: Arc<SearchIndex>,
    /// Where the texts are.
    pub store: Arc<dyn ObjectStore>,
    /// The tenant's folder.
    pub layout: Layout,
    /// One change of the index at a time: a purge would discard what a step has not committed yet.
    turn: Mutex<()>,
}

/// The page texts of an `eakte-text/1` object, as far as searching needs them.
#[derive(Deserialize)]
struct PageTexts {
    pages: Vec<PageText>,
}

#[derive(Deserialize)]
struct PageText {
    number: u32,
    #[serde(default)]
    text: String,
}

impl Indexer {
    /// Brings this index up to date with this catalogue.
    pub fn new(
        catalogue: Arc<Catalogue>,
        index: Arc<SearchIndex>,
        store: Arc<dyn ObjectStore>,
        layout: Layout,
    ) -> Self {
        Self { catalogue, index, store, layout, turn: Mutex::new(()) }
    }

    /// Rewrites the index so that no byte of what was removed is left; see [`SearchIndex::purge`].
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn purge(&self) -> Result<Purged, ProjectError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.index.purge()?)
    }

    /// Whether the index can follow from where it stands; else it must be made anew, empty.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn can_follow(&self) -> Result<bool, ProjectError> {
        let position = self.index.position();
        let applied = self.catalogue.applied()?.seq;
        Ok(position == 0 || (position <= applied && self.catalogue.touched_after(position, 1)?.is_some()))
    }

    /// Takes in what was touched since the last commit of the index, and commits. Says whether there was anything.
    ///
    /// # Errors
    /// [`ProjectError`]; the index then still stands at its last commit.
    pub fn step(&self) -> Result<bool, ProjectError> {
        const COMMITS: usize = 2_000;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let position = self.index.position();
        if position == 0 {
            return self.fill(&mut |_, _| {});
        }
        let Some((last, entities)) = self.catalogue.touched_after(position, COMMITS)? else {
            return Ok(false);
        };
        if last == position {
            return Ok(false);
        }
        for entity in entities.into_iter().filter(|entity| entity.kind == EntityKind::Document) {
            let id = DocumentId::from_uuid(entity.id);
            match self.catalogue.document(id)? {
                Some(row) => self.put(id, &row)?,
                None => self.index.remove_document(entity.id)?,
            }
        }
        self.index.commit(last)?;
        self.catalogue.forget_touched(last)?;
        Ok(true)
    }

    /// Fills an empty index from the catalogue; `progress` hears how many documents of how many are in. What is
    /// touched meanwhile is taken in by the next step.
    ///
    /// # Errors
    /// [`ProjectError`]; the index then is empty again.
    pub fn build(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<bool, ProjectError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.fill(progress)
    }

    fn fill(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<bool, ProjectError> {
        let applied = self.catalogue.applied()?.seq;
        if applied == 0 {
            return Ok(false);
        }
        let total = self.catalogue.summary()?.documents;
        let (mut done, mut from) = (0, None);
        loop {
            let page = self.catalogue.documents(from.as_ref(), 500)?;
            for (id, row) in &page.items {
                self.put(*id, row)?;
            }
            done += page.items.len() as u64;
            progress(done, total);
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        self.index.commit(applied)?;
        self.catalogue.forget_touched(applied)?;
        Ok(true)
    }

    fn put(&self, id: DocumentId, row: &DocumentRow) -> Result<(), ProjectError> {
        let entry = self.entry(id, row)?;
        self.index.replace_document(&entry, self.pages(id, row)?)?;
        Ok(())
    }

    fn entry(&self, id: DocumentId, row: &DocumentRow) -> Result<DocumentEntry, ProjectError> {
        let received = &row.received;
        let case_file = row.case_file.map(|case_file| self.catalogue.case_file(case_file)).transpose()?;
        let case_file = case_file.flatten();
        let unit = case_file.as_ref().map(|row| row.data.unit).or(received.unit);
        let unit = unit.map(|unit| self.catalogue.unit(unit)).transpose()?.flatten();
        let unit = unit.map(|unit| unit.data.code);
        let protection = case_file.as_ref().map_or("inbox", |row| row.data.protection.word());
        let mut entry = DocumentEntry {
            document_id: id.uuid(),
            case_file_id: row.case_file.map(crate::domain::CaseFileId::uuid),
            label: format!("{}/{protection}", unit.as_deref().unwrap_or("-")),
            title: Some(received.title.clone()),
            source_name: row.versions.last().map_or_else(String::new, |version| version.source_name.clone()),
            kind: received.document_type.clone(),
            unit,
            date: received.document_date,
            ..DocumentEntry::default()
        };
        if let Some(case_file) = case_file {
            entry.file_reference = Some(case_file.data.reference);
            entry.case_file_title = Some(case_file.data.title);
            entry.parties = case_file.data.parties.into_iter().map(|party| party.name).collect();
            let aliases = case_file.data.aliases.into_iter().map(|alias| ("Altes Zeichen".to_owned(), alias));
            entry.keywords = aliases.chain(case_file.data.fields).collect();
        }
        Ok(entry)
    }

    /// The pages' texts. A text that is missing or damaged is `verify`'s business; the document is found by its
    /// other facts meanwhile.
    fn pages(&self, id: DocumentId, row: &DocumentRow) -> Result<Vec<PageEntry>, ProjectError> {
        let Some(text) = row.reading.as_ref().and_then(|reading| reading.data.text) else {
            return Ok(Vec::new());
        };
        let key = self.layout.object(id.into(), &text);
        let body = match self.store.open(&key) {
            Ok(body) => body,
            Err(StoreError::Missing(_)) => {
                tracing::error!(%key, "a text is missing");
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        body.take(MAX_TEXT_BYTES).read_to_end(&mut bytes).map_err(StoreError::staging)?;
        let Ok(texts) = serde_json::from_slice::<PageTexts>(&bytes) else {
            tracing::error!(%key, "a text is damaged");
            return Ok(Vec::new());
        };
        Ok(texts.pages.into_iter().map(|page| PageEntry { number: page.number, text: page.text }).collect())
    }
}

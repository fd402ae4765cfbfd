//! The use cases that take and give JSON.

use super::{Client, ClientError, Repeat};
use crate::api::rows::{
    Batch, BatchClosing, BatchLine, BatchOpening, BatchRejections, CaseFile, CaseFileClosing,
    CaseFileOpening, Document, DocumentFiling, Health, Job, JobAsked, Page, PlanUnit, PlanUnitMaking,
    Receipt, SearchPage, StoredEvent, Unit, UnitMaking, UnsentFile, Version,
};
use std::time::{Duration, Instant};

/// A part of a list: how many, and from where.
fn paging(cursor: Option<&str>) -> Vec<(&'static str, &str)> {
    [("limit", "200")].into_iter().chain(cursor.map(|cursor| ("cursor", cursor))).collect()
}

#[expect(clippy::missing_errors_doc, reason = "every call fails as `ClientError` says")]
impl Client {
    /// How the tenant is doing; also the way to see whether address and token are good.
    pub fn health(&self) -> Result<Health, ClientError> {
        self.get(&["health"], &[])
    }

    /// A document; `None` when there is none.
    pub fn document(&self, id: &str) -> Result<Option<Document>, ClientError> {
        self.find(&["documents", id])
    }

    /// A document's versions, oldest first.
    pub fn versions(&self, id: &str) -> Result<Vec<Version>, ClientError> {
        Ok(self.get::<Page<Version>>(&["documents", id, "versions"], &[])?.items)
    }

    /// Files a document.
    pub fn file_document(&self, id: &str, asked: &DocumentFiling) -> Result<Document, ClientError> {
        self.post(&["documents", id, "file"], asked, Repeat::Always)
    }

    /// What has happened to a document.
    pub fn document_events(&self, id: &str) -> Result<Vec<StoredEvent>, ClientError> {
        Ok(self.get::<Page<StoredEvent>>(&["documents", id, "events"], &[])?.items)
    }

    /// Documents in order of arrival.
    pub fn documents(&self, cursor: Option<&str>) -> Result<Page<Document>, ClientError> {
        self.get(&["documents"], &paging(cursor))
    }

    /// Documents with these bytes.
    pub fn documents_by_digest(&self, sha256: &str) -> Result<Vec<Document>, ClientError> {
        Ok(self.get::<Page<Document>>(&["documents"], &[("digest", sha256)])?.items)
    }

    /// Documents of a case file.
    pub fn documents_of(&self, case_file: &str, cursor: Option<&str>) -> Result<Page<Document>, ClientError> {
        self.get(&["case-files", case_file, "documents"], &paging(cursor))
    }

    /// Receipts for these bytes; none when there are none.
    pub fn receipts(&self, sha256: &str) -> Result<Vec<Receipt>, ClientError> {
        let page: Option<Page<Receipt>> = self.find(&["receipts", sha256])?;
        Ok(page.map_or_else(Vec::new, |page| page.items))
    }

    /// A case file by its id.
    pub fn case_file(&self, id: &str) -> Result<Option<CaseFile>, ClientError> {
        self.find(&["case-files", id])
    }

    /// The case file that a person means by a reference, an old signature or a key.
    pub fn find_case_file(&self, text: &str) -> Result<Option<CaseFile>, ClientError> {
        let page: Page<CaseFile> = self.get(&["case-files"], &[("reference", text)])?;
        Ok(page.items.into_iter().next())
    }

    /// What has happened to a case file.
    pub fn case_file_events(&self, id: &str) -> Result<Vec<StoredEvent>, ClientError> {
        Ok(self.get::<Page<StoredEvent>>(&["case-files", id, "events"], &[])?.items)
    }

    /// Opens a case file, or finds it by its reference or key.
    pub fn open_case_file(&self, asked: &CaseFileOpening) -> Result<CaseFile, ClientError> {
        // Without either, a repetition would open a second one.
        let named = asked.key.is_some() || asked.reference.is_some();
        self.post(&["case-files"], asked, if named { Repeat::Always } else { Repeat::Refused })
    }

    /// The same; says whether it was opened now.
    pub fn make_case_file(&self, asked: &CaseFileOpening) -> Result<(CaseFile, bool), ClientError> {
        let named = asked.key.is_some() || asked.reference.is_some();
        self.make(&["case-files"], asked, if named { Repeat::Always } else { Repeat::Refused })
    }

    /// z.d.A.
    pub fn close_case_file(&self, id: &str, asked: &CaseFileClosing) -> Result<CaseFile, ClientError> {
        self.post(&["case-files", id, "close"], asked, Repeat::Refused)
    }

    /// All units.
    pub fn units(&self) -> Result<Vec<Unit>, ClientError> {
        Ok(self.get::<Page<Unit>>(&["units"], &[])?.items)
    }

    /// Makes a unit, or finds it.
    pub fn create_unit(&self, asked: &UnitMaking) -> Result<Unit, ClientError> {
        self.post(&["units"], asked, Repeat::Always)
    }

    /// The same; says whether it was made now.
    pub fn make_unit(&self, asked: &UnitMaking) -> Result<(Unit, bool), ClientError> {
        self.make(&["units"], asked, Repeat::Always)
    }

    /// Plan units in order of their codes.
    pub fn plan_units(&self, cursor: Option<&str>) -> Result<Page<PlanUnit>, ClientError> {
        self.get(&["plan-units"], &paging(cursor))
    }

    /// Makes a plan unit, or finds it.
    pub fn create_plan_unit(&self, asked: &PlanUnitMaking) -> Result<PlanUnit, ClientError> {
        self.post(&["plan-units"], asked, Repeat::Always)
    }

    /// The same; says whether it was made now.
    pub fn make_plan_unit(&self, asked: &PlanUnitMaking) -> Result<(PlanUnit, bool), ClientError> {
        self.make(&["plan-units"], asked, Repeat::Always)
    }

    /// Opens a batch, or finds the open one with the same facts.
    pub fn open_batch(&self, asked: &BatchOpening) -> Result<Batch, ClientError> {
        self.post(&["batches"], asked, Repeat::Always)
    }

    /// A batch by its id.
    pub fn batch(&self, id: &str) -> Result<Option<Batch>, ClientError> {
        self.find(&["batches", id])
    }

    /// A batch by its name.
    pub fn batch_named(&self, name: &str) -> Result<Option<Batch>, ClientError> {
        let page: Page<Batch> = self.get(&["batches"], &[("name", name)])?;
        Ok(page.items.into_iter().next())
    }

    /// Batches in order of their opening.
    pub fn batches(&self, cursor: Option<&str>) -> Result<Page<Batch>, ClientError> {
        self.get(&["batches"], &paging(cursor))
    }

    /// What became of a batch's files.
    pub fn batch_lines(&self, id: &str, cursor: Option<&str>) -> Result<Page<BatchLine>, ClientError> {
        self.get(&["batches", id, "lines"], &paging(cursor))
    }

    /// What became of one file of a batch.
    pub fn batch_line(&self, id: &str, path: &str) -> Result<Option<BatchLine>, ClientError> {
        let page: Page<BatchLine> = self.get(&["batches", id, "lines"], &[("path", path)])?;
        Ok(page.items.into_iter().next())
    }

    /// Writes a batch's line for a file that could not be sent.
    pub fn reject_file(&self, id: &str, file: UnsentFile) -> Result<Batch, ClientError> {
        let report = BatchRejections { files: vec![file] };
        self.post(&["batches", id, "rejections"], &report, Repeat::Always)
    }

    /// Closes a batch: `seen` files were sent.
    pub fn close_batch(&self, id: &str, seen: u64) -> Result<Batch, ClientError> {
        self.post(&["batches", id, "close"], &BatchClosing { seen }, Repeat::Always)
    }

    /// Searches.
    pub fn search(
        &self,
        text: &str,
        case_file: Option<&str>,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<SearchPage, ClientError> {
        let limit = limit.to_string();
        let mut query = vec![("q", text), ("limit", limit.as_str())];
        query.extend(case_file.map(|case_file| ("case_file", case_file)));
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        self.get(&["search"], &query)
    }

    /// Starts a check.
    pub fn start_verify(&self, asked: &JobAsked) -> Result<Job, ClientError> {
        self.post(&["jobs"], &JobAsked { kind: "verify".to_owned(), ..asked.clone() }, Repeat::Refused)
    }

    /// A job; `None` when the server no longer knows it.
    pub fn job(&self, id: &str) -> Result<Option<Job>, ClientError> {
        self.find(&["jobs", id])
    }

    /// Waits until a document is found by its text, or until it is known that it has none; gives up when patience
    /// ends or `stop` says so. Returns the document as it was seen last.
    pub fn wait_searchable(
        &self,
        id: &str,
        patience: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Document>, ClientError> {
        let (begun, mut pause) = (Instant::now(), Duration::from_millis(100));
        loop {
            let document = self.document(id)?;
            let is_over = document.as_ref().is_none_or(|document| document.searchable);
            if is_over || begun.elapsed() >= patience || stop() {
                return Ok(document);
            }
            std::thread::sleep(pause);
            pause = (pause * 3 / 2).min(Duration::from_secs(2));
        }
    }
}

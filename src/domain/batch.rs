//! Batches (Chargen): files that arrive together and are counted together.

use super::BatchId;
use super::codes::{LineStatus, Rejection};
use super::decision::{NewEvent, Refusal};
use super::event::{BatchClosed, BatchOpened, Event, FilesRejected, RejectedFile};

/// Charge: what arrived together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Which one.
    pub id: BatchId,
    /// What it was opened with.
    pub data: BatchOpened,
    /// What was counted at its end, if it has ended.
    pub closed: Option<BatchClosed>,
}

/// How many files of a batch became what. Every file counts once, by its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Became documents.
    pub received: u64,
    /// Already lay in the same case file.
    pub duplicate: u64,
    /// Were not stored.
    pub rejected: u64,
}

impl Counts {
    /// Counts one more file.
    pub fn add(&mut self, status: LineStatus) {
        *self.of(status) += 1;
    }

    /// Takes one file away again: its line was replaced by a better one.
    pub fn remove(&mut self, status: LineStatus) {
        let count = self.of(status);
        *count = count.saturating_sub(1);
    }

    fn of(&mut self, status: LineStatus) -> &mut u64 {
        match status {
            LineStatus::Received => &mut self.received,
            LineStatus::Duplicate => &mut self.duplicate,
            LineStatus::Rejected => &mut self.rejected,
        }
    }

    /// All files with a line.
    pub fn total(&self) -> u64 {
        self.received + self.duplicate + self.rejected
    }
}

/// How far a batch's documents have been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PagesRead {
    /// Pages of those that have been read.
    pub pages: u64,
    /// Documents that have not been read yet.
    pub unread: u64,
}

/// Seitenabgleich: whether what was counted when the paper was prepared is what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageCheck {
    /// Nothing was counted.
    NotCounted,
    /// Files are still arriving or being read.
    Pending,
    /// Records of the batch have been erased since: it can no longer be said.
    Erased,
    /// As many pages as counted; of sheets one or two pages each.
    Equal,
    /// Not as many.
    Differs,
}

impl PageCheck {
    /// The word that scripts read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotCounted => "not-counted",
            Self::Pending => "pending",
            Self::Erased => "erased",
            Self::Equal => "equal",
            Self::Differs => "differs",
        }
    }
}

/// Whether a batch may be trusted to be complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Files are still arriving.
    Open,
    /// Every file seen has its line.
    Green,
    /// Files seen and lines differ.
    Red,
}

impl BatchOpened {
    /// A batch of which only name and source are known.
    pub fn named(name: &str, source: &str) -> Self {
        Self {
            name: name.to_owned(),
            source: source.to_owned(),
            box_label: None,
            person: None,
            station: None,
            scanner: None,
            profile: None,
            scanned_at: None,
            procedure_version: None,
            sheets_expected: None,
            pages_expected: None,
            anomalies: Vec::new(),
        }
    }
}

impl Batch {
    /// The event of opening.
    pub fn open(id: BatchId, data: BatchOpened) -> NewEvent {
        NewEvent::new(id, Event::BatchOpened(data))
    }

    /// The state that follows from the batch's first event.
    pub fn opened(id: BatchId, data: BatchOpened) -> Self {
        Self { id, data, closed: None }
    }

    /// The state after a further event.
    pub fn apply(&mut self, event: &Event) {
        if let Event::BatchClosed(data) = event {
            self.closed = Some(data.clone());
        }
    }

    /// The event of files not being stored.
    ///
    /// # Errors
    /// When the batch is closed.
    pub fn reject(&self, files: Vec<RejectedFile>) -> Result<NewEvent, Refusal> {
        if self.closed.is_some() {
            return Err(Refusal::BatchClosed);
        }
        Ok(NewEvent::new(self.id, Event::FilesRejected(FilesRejected { files })))
    }

    /// The event of the end, with what was seen at the source and what the lines say.
    ///
    /// # Errors
    /// When the batch is closed.
    pub fn close(&self, seen: u64, counts: Counts) -> Result<NewEvent, Refusal> {
        if self.closed.is_some() {
            return Err(Refusal::BatchClosed);
        }
        let Counts { received, duplicate, rejected } = counts;
        Ok(NewEvent::new(self.id, Event::BatchClosed(BatchClosed { seen, received, duplicate, rejected })))
    }

    /// Compares the pages read with those that were counted. Says nothing before everything has been read.
    pub fn page_check(&self, counts: Counts, read: PagesRead) -> PageCheck {
        let (pages, sheets) = (self.data.pages_expected, self.data.sheets_expected);
        if pages.is_none() && sheets.is_none() {
            return PageCheck::NotCounted;
        }
        let Some(closed) = self.closed.as_ref().filter(|_| read.unread == 0) else {
            return PageCheck::Pending;
        };
        let BatchClosed { received, duplicate, rejected, .. } = *closed;
        if counts.total() < received + duplicate + rejected {
            return PageCheck::Erased;
        }
        let fits = pages.is_none_or(|pages| u64::from(pages) == read.pages)
            && sheets.is_none_or(|sheets| {
                let sheets = u64::from(sheets);
                (sheets..=2 * sheets).contains(&read.pages)
            });
        if fits { PageCheck::Equal } else { PageCheck::Differs }
    }

    /// The comparison in German, for people; `None` if nothing was counted.
    pub fn page_sentence(&self, counts: Counts, read: PagesRead) -> Option<String> {
        let number =
            |count: u64, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let sheets = self.data.sheets_expected.map(|count| number(count.into(), "Blatt", "Blätter"));
        let pages = self.data.pages_expected.map(|count| number(count.into(), "Seite", "Seiten"));
        let counted = sheets.into_iter().chain(pages).collect::<Vec<_>>().join(" und ");
        let pages = number(read.pages, "Seite", "Seiten");
        match self.page_check(counts, read) {
            PageCheck::NotCounted => None,
            PageCheck::Pending => Some(format!("gezählt {counted}, noch nicht alles gelesen")),
            PageCheck::Erased => Some(format!(
                "gezählt {counted}; seither wurde gelöscht, ein Vergleich ist nicht mehr möglich"
            )),
            PageCheck::Equal => Some(format!("gezählt {counted}, gelesen {pages}: stimmt überein")),
            PageCheck::Differs => Some(format!("gezählt {counted}, gelesen {pages}: BITTE PRÜFEN")),
        }
    }

    /// Whether files seen = received + duplicate + rejected. What was counted at the end stays true when records
    /// of the batch are erased later, so the recorded counts decide.
    pub fn balance(&self) -> Balance {
        match &self.closed {
            None => Balance::Open,
            Some(closed) if closed.seen == closed.received + closed.duplicate + closed.rejected => {
                Balance::Green
            }
            Some(_) => Balance::Red,
        }
    }
}

impl RejectedFile {
    /// A line for a file that was not stored.
    pub fn new(path: &str, size: Option<u64>, rejection: Rejection, detail: Option<String>) -> Self {
        Self { path: super::text::source_name(path), size, rejection, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn batch() -> Batch {
        let data = BatchOpened::named("karton-7", "/scan/karton-7");
        Batch::opened(BatchId::from_uuid(Uuid::from_u128(9)), data)
    }

    #[test]
    fn a_batch_is_green_only_when_every_file_has_its_line() {
        let mut counts = Counts::default();
        for status in LineStatus::ALL {
            counts.add(*status);
        }
        assert_eq!(batch().balance(), Balance::Open);
        for (seen, balance) in [(3, Balance::Green), (4, Balance::Red)] {
            let mut batch = batch();
            batch.apply(&batch.close(seen, counts).unwrap().event);
            assert_eq!(batch.balance(), balance);
            assert_eq!(batch.close(seen, counts), Err(Refusal::BatchClosed));
        }
    }

    #[test]
    fn counted_pages_are_compared_only_when_everything_has_been_read() {
        let counts = Counts { received: 2, ..Counts::default() };
        let check = |sheets, pages, read: (u64, u64)| {
            let mut batch = batch();
            (batch.data.sheets_expected, batch.data.pages_expected) = (sheets, pages);
            let read = PagesRead { pages: read.0, unread: read.1 };
            let open = batch.page_check(counts, read);
            assert!(matches!(open, PageCheck::Pending | PageCheck::NotCounted), "{open:?}");
            batch.apply(&batch.close(2, counts).unwrap().event);
            (batch.page_check(counts, read), batch.page_sentence(counts, read))
        };
        let said = |text: &str| Some(text.to_owned());
        assert_eq!(check(None, None, (118, 0)), (PageCheck::NotCounted, None));
        assert_eq!(check(None, Some(120), (60, 1)).0, PageCheck::Pending);
        let equal = said("gezählt 120 Seiten, gelesen 120 Seiten: stimmt überein");
        assert_eq!(check(None, Some(120), (120, 0)), (PageCheck::Equal, equal));
        let differs = said("gezählt 120 Seiten, gelesen 118 Seiten: BITTE PRÜFEN");
        assert_eq!(check(None, Some(120), (118, 0)), (PageCheck::Differs, differs));
        for (pages, verdict) in [(59, false), (60, true), (97, true), (120, true), (121, false)] {
            let verdict = if verdict { PageCheck::Equal } else { PageCheck::Differs };
            assert_eq!(check(Some(60), None, (pages, 0)).0, verdict, "{pages}");
        }
        let both = said("gezählt 1 Blatt und 2 Seiten, gelesen 1 Seite: BITTE PRÜFEN");
        assert_eq!(check(Some(1), Some(2), (1, 0)), (PageCheck::Differs, both));
    }

    #[test]
    fn a_batch_with_erased_records_is_not_compared() {
        let counts = Counts { received: 2, ..Counts::default() };
        let mut batch = batch();
        batch.data.pages_expected = Some(3);
        batch.apply(&batch.close(2, counts).unwrap().event);
        let left = Counts { received: 1, ..Counts::default() };
        assert_eq!(batch.page_check(left, PagesRead { pages: 1, unread: 0 }), PageCheck::Erased);
    }
}

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
}

//! Documents (Dokumente): arriving, being digitised, getting further versions.

use super::case_file::CaseFile;
use super::codes::{Classification, Direction, Origin, Rejection};
use super::decision::{NewEvent, Refusal};
use super::event::{DocumentDigitised, DocumentReceived, DuplicateArrived, Event, VersionAdded};
use super::finding::Finding;
use super::object::ObjectRef;
use super::text::Line;
use super::{BatchId, DocumentId, UnitId};
use jiff::{Timestamp, civil::Date};

/// Dokument: the smallest unit that is filed, with all its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Which one.
    pub id: DocumentId,
    /// What it arrived with.
    pub received: DocumentReceived,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Versionen, oldest first; the first is what arrived.
    pub versions: Vec<Version>,
    /// What reading it gave, if it has been read.
    pub reading: Option<Reading>,
}

/// Version: one state of a document's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
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
}

/// What reading a document gave, with the objects it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What is recorded of it.
    pub data: DocumentDigitised,
    /// Renditions (Darstellungen).
    pub renditions: Vec<ObjectRef>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// What is known about a file when it arrives, beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Betreff; none means the file's name without its ending.
    pub title: Option<Line>,
    /// The file's name at arrival, as [`super::text::source_name`] made it.
    pub source_name: String,
    /// Its path within the batch's source.
    pub source_path: Option<String>,
    /// The unit whose inbox it goes to, where there is no case file.
    pub unit: Option<UnitId>,
    /// Dokumenttyp.
    pub document_type: Option<Line>,
    /// Datum des Schreibens.
    pub document_date: Option<Date>,
    /// Posteingangsdatum.
    pub received_on: Option<Date>,
    /// Richtung.
    pub direction: Option<Direction>,
    /// Herkunft.
    pub origin: Origin,
    /// Geheimhaltungsgrad.
    pub classification: Option<Classification>,
    /// The batch it comes with.
    pub batch: Option<BatchId>,
    /// The caller's key for this request.
    pub idempotency_key: Option<String>,
}

impl Arrival {
    /// A file of this name, of which nothing else is known.
    pub fn named(source_name: &str, origin: Origin) -> Self {
        Self {
            title: None,
            source_name: super::text::source_name(source_name),
            source_path: None,
            unit: None,
            document_type: None,
            document_date: None,
            received_on: None,
            direction: None,
            origin,
            classification: None,
            batch: None,
            idempotency_key: None,
        }
    }

    /// Whether the file may be stored in this place at all; asked before its bytes are read.
    ///
    /// # Errors
    /// Above VS-NfD, or the case file takes no documents.
    pub fn check(&self, target: Option<&CaseFile>) -> Result<(), Refusal> {
        if self.classification.is_some_and(|class| !class.is_storable()) {
            return Err(Refusal::Rejected(Rejection::Classified));
        }
        target.map_or(Ok(()), CaseFile::takes_documents)
    }

    /// The event of arrival.
    ///
    /// # Errors
    /// As [`check`](Self::check), and 0 bytes are not a document.
    pub fn decide(
        &self,
        id: DocumentId,
        target: Option<&CaseFile>,
        original: ObjectRef,
        media_type: &str,
        findings: Vec<Finding>,
    ) -> Result<NewEvent, Refusal> {
        self.check(target)?;
        if original.size == 0 {
            return Err(Refusal::Rejected(Rejection::Empty));
        }
        let title =
            self.title.as_ref().map_or_else(|| stem(&self.source_name), |line| line.as_str().to_owned());
        let data = DocumentReceived {
            case_file: target.map(|file| file.id),
            unit: self.unit.filter(|_| target.is_none()),
            title,
            source_name: self.source_name.clone(),
            source_path: self.source_path.clone(),
            document_type: self.document_type.as_ref().map(|line| line.as_str().to_owned()),
            document_date: self.document_date,
            received_on: self.received_on,
            direction: self.direction,
            origin: self.origin,
            classification: self.classification,
            batch: self.batch,
            media_type: media_type.to_owned(),
            findings,
            idempotency_key: self.idempotency_key.clone(),
        };
        Ok(NewEvent::with(id, Event::DocumentReceived(data), vec![original]))
    }
}

/// A file's name without its ending: what a document is called when nobody said.
fn stem(source_name: &str) -> String {
    let stem = source_name.rsplit_once('.').map_or(source_name, |(stem, _)| stem).trim();
    if stem.is_empty() { source_name.to_owned() } else { stem.to_owned() }
}

impl Document {
    /// The state that follows from the document's first event; `None` if that event names no object.
    pub fn received(
        id: DocumentId,
        data: DocumentReceived,
        objects: &[ObjectRef],
        at: Timestamp,
    ) -> Option<Self> {
        let first = Version {
            number: 1,
            source_name: data.source_name.clone(),
            media_type: data.media_type.clone(),
            original: objects.first()?.clone(),
            findings: data.findings.clone(),
            accepted_at: at,
        };
        Some(Self { id, received: data, accepted_at: at, versions: vec![first], reading: None })
    }

    /// The state after a further event; events of other entities change nothing.
    pub fn apply(&mut self, event: &Event, objects: &[ObjectRef], at: Timestamp) {
        match event {
            Event::VersionAdded(data) => {
                if let Some(original) = objects.first() {
                    self.versions.push(Version {
                        number: data.number,
                        source_name: data.source_name.clone(),
                        media_type: data.media_type.clone(),
                        original: original.clone(),
                        findings: data.findings.clone(),
                        accepted_at: at,
                    });
                }
            }
            Event::DocumentDigitised(data) if self.next_generation() <= data.generation => {
                self.reading =
                    Some(Reading { data: data.clone(), renditions: objects.to_vec(), recorded_at: at });
            }
            _ => {}
        }
    }

    /// The version that counts.
    pub fn current(&self) -> &Version {
        self.versions.last().expect("a document begins with a version")
    }

    /// What is odd about the current version and about reading it.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let read = self.reading.iter().flat_map(|reading| &reading.data.findings);
        self.current().findings.iter().chain(read)
    }

    /// The number that the next reading gets.
    pub fn next_generation(&self) -> u32 {
        self.reading.as_ref().map_or(1, |reading| reading.data.generation + 1)
    }

    /// Whether the current version has been read.
    pub fn is_digitised(&self) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.data.of_version == self.current().number)
    }

    /// Pages that still wait for character recognition.
    pub fn ocr_pending(&self) -> u32 {
        self.reading.as_ref().map_or(0, |reading| reading.data.ocr_pending)
    }

    /// The event of the same bytes arriving once more with a batch.
    pub fn arrived_again(&self, batch: BatchId, source_path: &str) -> NewEvent {
        let data = DuplicateArrived { batch, source_path: source_path.to_owned() };
        NewEvent::new(self.id, Event::DuplicateArrived(data))
    }

    /// The event of a further version.
    ///
    /// # Errors
    /// 0 bytes are not a version.
    pub fn add_version(
        &self,
        source_name: &str,
        original: ObjectRef,
        media_type: &str,
        findings: Vec<Finding>,
        idempotency_key: Option<String>,
    ) -> Result<NewEvent, Refusal> {
        if original.size == 0 {
            return Err(Refusal::Rejected(Rejection::Empty));
        }
        let data = VersionAdded {
            number: self.current().number + 1,
            source_name: super::text::source_name(source_name),
            media_type: media_type.to_owned(),
            findings,
            idempotency_key,
        };
        Ok(NewEvent::with(self.id, Event::VersionAdded(data), vec![original]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Digest;
    use crate::domain::object::Encoding;
    use uuid::Uuid;

    fn object(text: &str) -> ObjectRef {
        ObjectRef {
            name: "original".into(),
            sha256: Digest::of(text.as_bytes()),
            size: text.len() as u64,
            enc: Encoding::None,
        }
    }

    fn document() -> Document {
        let id = DocumentId::from_uuid(Uuid::from_u128(5));
        let arrival = Arrival::named("Bescheid 4.pdf", Origin::Upload);
        let new = arrival.decide(id, None, object("a"), "application/pdf", Vec::new()).unwrap();
        match new.event {
            Event::DocumentReceived(data) => {
                Document::received(id, data, &new.objects, Timestamp::UNIX_EPOCH).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_arrival_becomes_a_document_named_after_its_file() {
        let document = document();
        assert_eq!(document.received.title, "Bescheid 4");
        assert_eq!(document.current().number, 1);
        assert!(!document.is_digitised());
    }

    #[test]
    fn empty_files_and_secret_papers_are_refused() {
        let id = DocumentId::from_uuid(Uuid::from_u128(5));
        let mut arrival = Arrival::named("x", Origin::Scan);
        let decide = |arrival: &Arrival, bytes| arrival.decide(id, None, object(bytes), "x/y", Vec::new());
        assert_eq!(decide(&arrival, ""), Err(Refusal::Rejected(Rejection::Empty)));
        arrival.classification = Some(Classification::Restricted);
        assert!(decide(&arrival, "a").is_ok());
        for class in [Classification::Confidential, Classification::Secret, Classification::TopSecret] {
            arrival.classification = Some(class);
            assert_eq!(decide(&arrival, "a"), Err(Refusal::Rejected(Rejection::Classified)), "{class}");
        }
    }

    #[test]
    fn a_new_version_waits_to_be_read_and_an_older_reading_does_not_replace_a_newer_one() {
        let mut document = document();
        let reading = |generation, of_version| {
            Event::DocumentDigitised(DocumentDigitised {
                generation,
                of_version,
                engine: "test".into(),
                pages: 1,
                ocr_pages: 0,
                ocr_pending: 0,
                blank_pages: 0,
                mean_confidence: None,
                text: None,
                pdf: None,
                findings: Vec::new(),
            })
        };
        document.apply(&reading(1, 1), &[], Timestamp::UNIX_EPOCH);
        assert!(document.is_digitised());
        let new = document.add_version("b.pdf", object("b"), "application/pdf", Vec::new(), None).unwrap();
        document.apply(&new.event, &new.objects, Timestamp::UNIX_EPOCH);
        assert!(!document.is_digitised());
        assert_eq!(document.current().original, object("b"));
        document.apply(&reading(2, 2), &[], Timestamp::UNIX_EPOCH);
        document.apply(&reading(1, 1), &[], Timestamp::UNIX_EPOCH);
        assert!(document.is_digitised());
        assert_eq!(document.next_generation(), 3);
    }
}

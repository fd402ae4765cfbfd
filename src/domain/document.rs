//! Documents (Dokumente): arriving, being digitised, getting further versions.

use super::case_file::CaseFile;
use super::codes::{Classification, Direction, Origin, Rejection};
use super::decision::{NewEvent, Refusal};
use super::event::{
    DocumentDigitised, DocumentFiled, DocumentReceived, DuplicateArrived, Event, VersionAdded,
};
use super::finding::{Finding, FindingCode};
use super::object::ObjectRef;
use super::text::Line;
use super::{BatchId, CaseFileId, DocumentId, UnitId};
use jiff::{Timestamp, civil::Date};

/// Dokument: the smallest unit that is filed, with all its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Which one.
    pub id: DocumentId,
    /// What it arrived with.
    pub received: DocumentReceived,
    /// Where it lies now; none means the inbox.
    pub case_file: Option<CaseFileId>,
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
        let case_file = data.case_file;
        Some(Self { id, received: data, case_file, accepted_at: at, versions: vec![first], reading: None })
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
            Event::DocumentFiled(data) => self.case_file = Some(data.case_file),
            Event::DocumentDigitised(data) if self.next_generation() <= data.generation => {
                self.reading =
                    Some(Reading { data: data.clone(), renditions: objects.to_vec(), recorded_at: at });
            }
            _ => {}
        }
    }

    /// The version that arrived.
    pub fn first(&self) -> &Version {
        self.versions.first().expect("a document begins with a version")
    }

    /// The version that counts.
    pub fn current(&self) -> &Version {
        self.versions.last().expect("a document begins with a version")
    }

    /// What is odd about the document where it lies, about its current version and about reading it. That it could
    /// not be filed is a matter of its place, whatever its version, and is settled once it is filed.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        let is_unfiled = |finding: &&Finding| finding.code == FindingCode::Unfiled;
        let in_inbox = self.case_file.is_none();
        let place = self.received.findings.iter().filter(move |finding| in_inbox && is_unfiled(finding));
        let version = self.current().findings.iter().filter(move |finding| !is_unfiled(finding));
        let read = self.reading.iter().flat_map(|reading| &reading.data.findings);
        place.chain(version).chain(read)
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

    /// Whether the document may lie in another case file: `from` is the case file it lies in, `to` where it is to lie.
    /// A file that came closed gives and takes like an open one: its paper is being scanned.
    ///
    /// # Errors
    /// [`Refusal::Kept`] when a closed file would have to give it away, else as [`CaseFile::takes_documents`].
    pub fn file(&self, from: Option<&CaseFile>, to: &CaseFile) -> Result<NewEvent, Refusal> {
        if let Some(from) = from.filter(|from| from.closed_here_on.is_some()) {
            return Err(Refusal::Kept(from.id));
        }
        to.takes_documents()?;
        let sha256 = self.first().original.sha256;
        let data = DocumentFiled { case_file: to.id, from: self.case_file, sha256 };
        Ok(NewEvent::new(self.id, Event::DocumentFiled(data)))
    }

    /// The event of a further version. `place` is the case file that the document lies in.
    ///
    /// # Errors
    /// 0 bytes are not a version, and a closed case file stays as it is.
    pub fn add_version(
        &self,
        place: Option<&CaseFile>,
        source_name: &str,
        original: ObjectRef,
        media_type: &str,
        findings: Vec<Finding>,
        idempotency_key: Option<String>,
    ) -> Result<NewEvent, Refusal> {
        place.map_or(Ok(()), CaseFile::takes_documents)?;
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

    fn case_file(number: u128, change: impl FnOnce(&mut CaseFile)) -> CaseFile {
        use crate::domain::codes::{Medium, Protection};
        let data = crate::domain::event::CaseFileOpened {
            reference: format!("60.10-2026/{number}"),
            aliases: Vec::new(),
            title: "Carport".into(),
            plan_unit: crate::domain::PlanUnitId::from_uuid(Uuid::from_u128(1)),
            unit: UnitId::from_uuid(Uuid::from_u128(2)),
            case_type: "Bauakte".into(),
            protection: Protection::Normal,
            retention_class: "10".into(),
            medium: Medium::Electronic,
            paper_location: None,
            begins_on: None,
            ends_on: None,
            closed_on: None,
            parties: Vec::new(),
            fields: std::collections::BTreeMap::new(),
            import_key: None,
        };
        let mut file = CaseFile::opened(CaseFileId::from_uuid(Uuid::from_u128(100 + number)), data);
        change(&mut file);
        file
    }

    #[test]
    fn a_document_is_filed_and_filed_elsewhere_and_its_bytes_go_with_it() {
        use crate::domain::guard::UniqueKey;
        let (first, second) = (case_file(1, |_| {}), case_file(2, |_| {}));
        let mut document = document();
        document.received.findings =
            vec![Finding { code: FindingCode::Unfiled, page: None, detail: Some("Akte „x“".into()) }];
        document.versions[0].findings = document.received.findings.clone();
        assert_eq!(document.findings().count(), 1);
        let key = |file: Option<&CaseFile>| UniqueKey::content(file.map(|file| file.id), &object("a").sha256);
        let new = document.file(None, &first).unwrap();
        let effects = new.event.effects(&new.objects);
        assert_eq!((effects.releases, effects.claims), (vec![key(None)], vec![key(Some(&first))]));
        document.apply(&new.event, &[], Timestamp::UNIX_EPOCH);
        assert_eq!((document.case_file, document.findings().count()), (Some(first.id), 0));

        // A further version changes nothing in which bytes are taken where.
        let version = document.add_version(Some(&first), "b", object("b"), "x/y", Vec::new(), None).unwrap();
        document.apply(&version.event, &version.objects, Timestamp::UNIX_EPOCH);
        let new = document.file(Some(&first), &second).unwrap();
        let effects = new.event.effects(&new.objects);
        assert_eq!((effects.releases, effects.claims), (vec![key(Some(&first))], vec![key(Some(&second))]));
        document.apply(&new.event, &[], Timestamp::UNIX_EPOCH);
        assert_eq!(document.case_file, Some(second.id));
    }

    #[test]
    fn closed_files_keep_what_they_have_and_take_nothing() {
        use crate::domain::codes::Medium;
        let document = document();
        let day = Some("2026-01-02".parse().unwrap());
        let open = case_file(1, |_| {});
        let closed = case_file(2, |file| file.closed_here_on = day);
        let came_closed = case_file(3, |file| file.data.closed_on = day);
        let paper = case_file(4, |file| file.data.medium = Medium::Paper);
        assert_eq!(document.file(Some(&closed), &open), Err(Refusal::Kept(closed.id)));
        assert_eq!(document.file(None, &closed), Err(Refusal::Closed(closed.id)));
        assert_eq!(document.file(Some(&open), &paper), Err(Refusal::PaperOnly(paper.id)));
        assert!(document.file(Some(&came_closed), &open).is_ok());
        assert!(document.file(Some(&open), &came_closed).is_ok());
        let add = |place| document.add_version(place, "b", object("b"), "x/y", Vec::new(), None);
        assert_eq!(add(Some(&closed)), Err(Refusal::Closed(closed.id)));
        assert!(add(Some(&came_closed)).is_ok());
    }

    #[test]
    fn that_it_could_not_be_filed_outlives_a_version_but_not_the_filing() {
        let mut document = document();
        let unfiled = Finding { code: FindingCode::Unfiled, page: None, detail: None };
        document.received.findings = vec![unfiled.clone()];
        document.versions[0].findings = vec![unfiled.clone()];
        let signed = Finding { code: FindingCode::Signed, page: None, detail: None };
        let new = document.add_version(None, "b", object("b"), "x/y", vec![signed.clone()], None).unwrap();
        document.apply(&new.event, &new.objects, Timestamp::UNIX_EPOCH);
        assert_eq!(document.findings().collect::<Vec<_>>(), [&unfiled, &signed]);
        let filed = document.file(None, &case_file(1, |_| {})).unwrap();
        document.apply(&filed.event, &[], Timestamp::UNIX_EPOCH);
        assert_eq!(document.findings().collect::<Vec<_>>(), [&signed]);
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
        let new =
            document.add_version(None, "b.pdf", object("b"), "application/pdf", Vec::new(), None).unwrap();
        document.apply(&new.event, &new.objects, Timestamp::UNIX_EPOCH);
        assert!(!document.is_digitised());
        assert_eq!(document.current().original, object("b"));
        document.apply(&reading(2, 2), &[], Timestamp::UNIX_EPOCH);
        document.apply(&reading(1, 1), &[], Timestamp::UNIX_EPOCH);
        assert!(document.is_digitised());
        assert_eq!(document.next_generation(), 3);
    }
}

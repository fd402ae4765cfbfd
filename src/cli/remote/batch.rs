//! A batch behind a server: as in a run at the directory itself it is opened with its first new line, resumed after
//! an interruption, and not opened at all when nothing is new.

use crate::api::rows::{Batch, BatchOpening, DocumentFacts, UnsentFile};
use crate::archive::Kind;
use crate::client::{Client, ClientError, Sent, Upload};
use crate::domain::Digest;
use crate::domain::codes::Rejection;
use crate::ingest::{BatchFacts, Entry};
use crate::wording;
use std::collections::HashSet;
use std::fs;
use std::sync::{Mutex, PoisonError};

/// Most batches of one name.
const MOST: u32 = 10_000;

pub(super) struct RemoteBatch<'a> {
    client: &'a Client,
    facts: &'a BatchFacts,
    /// Batches of this name that were closed: what stands in them is not recorded again.
    closed: Vec<String>,
    /// Whether one of them has the same count of paper: it was for the whole box, not for what came later.
    is_counted: bool,
    /// Whether someone waits until the files are found.
    is_urgent: bool,
    /// The open one.
    open: Mutex<Option<String>>,
}

impl<'a> RemoteBatch<'a> {
    /// Looks for batches of this name.
    pub(super) fn find(
        client: &'a Client,
        facts: &'a BatchFacts,
        is_urgent: bool,
    ) -> Result<Self, ClientError> {
        let (mut closed, mut is_counted, mut open) = (Vec::new(), false, None);
        let count = (facts.sheets_expected, facts.pages_expected);
        for number in 1..MOST {
            match client.batch_named(&numbered(&facts.name, number))? {
                None => break,
                Some(batch) if batch.balance == "open" => open = Some(batch.id),
                Some(batch) => {
                    is_counted |= (batch.sheets_expected, batch.pages_expected) == count;
                    closed.push(batch.id);
                }
            }
        }
        Ok(Self { client, facts, closed, is_counted, is_urgent, open: Mutex::new(open) })
    }

    fn id(&self) -> Result<String, ClientError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = &*open {
            return Ok(id.clone());
        }
        let mut number = u32::try_from(self.closed.len()).unwrap_or(MOST).saturating_add(1);
        loop {
            match self.client.open_batch(&self.opening(number)) {
                Ok(batch) => return Ok(open.insert(batch.id).clone()),
                // Another run of the same name was faster: it has its own batch.
                Err(error) if error.kind() == Kind::Conflict && number < MOST => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn opening(&self, number: u32) -> BatchOpening {
        let facts = self.facts;
        let is_counted = number > 1 && self.is_counted;
        BatchOpening {
            name: numbered(&facts.name, number),
            source: Some(facts.source.clone()),
            box_label: facts.box_label.clone(),
            person: facts.person.clone(),
            station: facts.station.clone(),
            scanner: facts.scanner.clone(),
            profile: facts.profile.clone(),
            scanned_at: facts.scanned_at.map(|at| at.to_string()),
            procedure_version: facts.procedure_version.clone(),
            sheets_expected: facts.sheets_expected.filter(|_| !is_counted),
            pages_expected: facts.pages_expected.filter(|_| !is_counted),
            anomalies: facts.anomalies.clone(),
        }
    }

    /// Sends a file and says what became of it; a file that cannot be sent gets its line, too.
    pub(super) fn send(&self, entry: &Entry) -> Result<Sent, ClientError> {
        // A closed batch takes a file only if that adds nothing.
        for closed in &self.closed {
            if self.client.batch_line(closed, &entry.found.shown)?.is_none() {
                continue;
            }
            match self.send_to(closed, entry) {
                Err(error) if error.kind() == Kind::Conflict => {}
                done => return done,
            }
        }
        self.send_to(&self.id()?, entry)
    }

    fn send_to(&self, batch: &str, entry: &Entry) -> Result<Sent, ClientError> {
        if let Some((rejection, detail)) = &entry.found.rejection {
            return self.reject(batch, entry, *rejection, Some(detail.clone()));
        }
        // A folder, pipe or device has no length that could be announced.
        match fs::metadata(&entry.found.path) {
            Ok(found) if !found.is_file() => return self.reject(batch, entry, Rejection::NotAFile, None),
            _ => {}
        }
        let upload = Upload { facts: facts(batch, entry), key: None, is_urgent: self.is_urgent };
        match self.client.ingest_file(&entry.found.path, &upload) {
            Err(ClientError::Io(error)) => {
                self.reject(batch, entry, Rejection::Unreadable, Some(wording::os(&error)))
            }
            Err(ClientError::Changed) => self.reject(batch, entry, Rejection::Changed, None),
            done => done,
        }
    }

    fn reject(
        &self,
        batch: &str,
        entry: &Entry,
        rejection: Rejection,
        detail: Option<String>,
    ) -> Result<Sent, ClientError> {
        let reason = rejection.word().to_owned();
        let path = entry.found.shown.clone();
        let shown = super::super::ingest::sentence(rejection, detail.as_deref());
        self.client.reject_file(batch, UnsentFile { path, reason: reason.clone(), detail, bytes: None })?;
        Ok(Sent::Rejected { reason, detail: shown })
    }

    /// Closes the batch, if one was opened: every file of this run must have its line, and so must those that an
    /// interrupted run recorded and that are gone from the source since. In a batch that follows closed ones of its
    /// name only what was new belongs to it. `walked` holds the digests of the paths.
    pub(super) fn close(&self, walked: &HashSet<Digest>) -> Result<Option<Batch>, ClientError> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(id) = open else { return Ok(None) };
        let (mut gone, mut known, mut cursor) = (0, 0, None);
        loop {
            let page = self.client.batch_lines(&id, cursor.as_deref())?;
            for line in &page.items {
                let is_walked = walked.contains(&Digest::of(line.path.as_bytes()));
                *(if is_walked { &mut known } else { &mut gone }) += 1;
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let seen = gone + if self.closed.is_empty() { walked.len() as u64 } else { known };
        self.client.close_batch(&id, seen).map(Some)
    }
}

fn numbered(name: &str, number: u32) -> String {
    if number == 1 { name.to_owned() } else { format!("{name} ({number})") }
}

/// What is known of a file, in the words of the interface.
fn facts(batch: &str, entry: &Entry) -> DocumentFacts {
    let arrival = &entry.arrival;
    let unfiled = entry.findings.first().map(|finding| finding.detail.clone().unwrap_or_default());
    DocumentFacts {
        name: Some(arrival.source_name.clone()),
        title: arrival.title.as_ref().map(ToString::to_string),
        case_file: entry.target.map(|id| id.to_string()),
        unfiled: unfiled.filter(|why| !why.is_empty()),
        unit: None,
        document_type: arrival.document_type.as_ref().map(ToString::to_string),
        document_date: arrival.document_date.map(|day| day.to_string()),
        received_on: arrival.received_on.map(|day| day.to_string()),
        direction: arrival.direction.map(|word| word.to_string()),
        origin: Some(arrival.origin.to_string()),
        classification: arrival.classification.map(|word| word.to_string()),
        batch: Some(batch.to_owned()),
        path: Some(entry.found.shown.clone()),
        sha256: entry.declared.sha256.map(|digest| digest.to_string()),
        bytes: entry.declared.size,
    }
}

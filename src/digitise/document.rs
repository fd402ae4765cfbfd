//! One document: fetch its bytes, have them read, keep what came of it, record that.

use super::queue::Claim;
use super::{Digitising, make_dir};
use crate::catalogue::{CatalogueError, DocumentRow};
use crate::domain::decision::{Decision, NewEvent};
use crate::domain::digest::Hasher;
use crate::domain::event::{Actor, Context, DocumentDigitised, Event};
use crate::domain::finding::{Finding, FindingCode};
use crate::domain::guard::Guard;
use crate::domain::object::{Encoding, ObjectRef};
use crate::domain::{Digest, DocumentId};
use crate::extract::job::{self, Job, Ocr, Outcome};
use crate::extract::launch::{self, End};
use crate::journal::{AppendError, Command, Projection as _, ProjectionError};
use crate::store::StoreError;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// How often a document that changed meanwhile is looked at again before it rests.
const ATTEMPTS: usize = 8;
/// Pages that may be left out because the worker died on them.
const LOST_PAGES: usize = 3;

/// What became of a claimed document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is read, or there is nothing to be read any more.
    Done,
    /// It must be tried later.
    Later,
}

/// Why a document could not be read or recorded now. None of this says anything about the document.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("Arbeitsverzeichnis: {}", crate::wording::os(.0))]
    Scratch(#[from] io::Error),
    #[error("angehalten")]
    Stopped,
}

/// A folder for one job, removed when this goes.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "a job's folder stays until the next start");
        }
    }
}

/// What reading gave, with the objects that are stored already.
struct Reading {
    outcome: Outcome,
    text: Option<ObjectRef>,
    pdf: Option<ObjectRef>,
}

impl Digitising {
    /// Reads a claimed document and records what came of it.
    pub(super) fn read(&self, claim: Claim, ocr: Option<Ocr>, stop: &AtomicBool) -> Verdict {
        match self.try_read(claim, ocr, stop) {
            Ok(()) => Verdict::Done,
            Err(Trouble::Stopped) => Verdict::Later,
            Err(error) => {
                if !stop.load(Ordering::Acquire) {
                    tracing::warn!(document = %claim.document, %error, "reading a document is tried again later");
                }
                Verdict::Later
            }
        }
    }

    fn try_read(&self, claim: Claim, ocr: Option<Ocr>, stop: &AtomicBool) -> Result<(), Trouble> {
        let id = claim.document;
        let Some(row) = self.catalogue.document(id)? else { return Ok(()) };
        let waits = |row: &DocumentRow| row.lane().is_some_and(|lane| lane < 2 || ocr.is_some());
        if !claim.on_demand && !waits(&row) {
            return Ok(());
        }
        let scratch = self.scratch()?;
        let reading = match self.fetch(id, &row, &scratch.0)? {
            Ok(()) => {
                // Workers are what is limited: fetching before and recording after overlap with other workers.
                let slot = self.slots.take(stop).ok_or(Trouble::Stopped)?;
                let could_recognise = ocr.is_some();
                let outcome = self.extract(&row, &scratch.0, ocr, stop)?;
                drop(slot);
                if could_recognise && outcome.ocr_pending > 0 {
                    self.miss_recognition();
                }
                self.keep(id, outcome, &scratch.0)?
            }
            Err(damage) => {
                tracing::error!(document = %id, "an original is damaged; run verify");
                let outcome =
                    Outcome { engine: SOFTWARE.to_owned(), findings: vec![damage], ..Outcome::default() };
                Reading { outcome, text: None, pdf: None }
            }
        };
        drop(scratch);
        self.record(id, &row, &reading)
    }

    fn scratch(&self) -> Result<Scratch, Trouble> {
        let number = self.next_job.fetch_add(1, Ordering::Relaxed);
        let scratch = Scratch(self.scratch.join(number.to_string()));
        make_dir(&scratch.0)?;
        Ok(scratch)
    }

    /// Copies the current version into the job's folder. The inner error is a damaged original.
    fn fetch(
        &self,
        id: DocumentId,
        row: &DocumentRow,
        folder: &Path,
    ) -> Result<Result<(), Finding>, Trouble> {
        let damaged = |detail: &str| {
            let detail = Some(detail.to_owned());
            Ok(Err(Finding { code: FindingCode::Damaged, page: None, detail }))
        };
        let Some(version) = row.versions.last() else { return damaged("Das Dokument hat keine Fassung.") };
        let key = self.layout.object(id.into(), &version.original.sha256);
        let mut body = match self.store.open(&key) {
            Ok(body) => body,
            Err(StoreError::Missing(_)) => return damaged("Das Original fehlt im Speicher."),
            Err(error) => return Err(error.into()),
        };
        let mut input = File::create(folder.join(job::INPUT))?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    input.write_all(&buffer[..count])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return damaged("Das Original ist im Speicher kürzer als bei der Annahme.");
                }
                Err(error) => return Err(StoreError::staging(error).into()),
            }
        }
        if hasher.finish() != version.original.sha256 {
            return damaged("Das Original ist im Speicher verändert: Die Prüfsumme stimmt nicht.");
        }
        Ok(Ok(()))
    }

    /// Runs the worker. When it dies on a page, the page is left out and the rest is read again.
    fn extract(
        &self,
        row: &DocumentRow,
        folder: &Path,
        ocr: Option<Ocr>,
        stop: &AtomicBool,
    ) -> Result<Outcome, Trouble> {
        let version = row.versions.last();
        let mut job = Job {
            media_type: version.map_or_else(String::new, |version| version.media_type.clone()),
            title: row.received.title.clone(),
            created: version.map_or(row.origin.since, |version| version.accepted_at),
            limits: self.limits(),
            ocr,
            skip: Vec::new(),
            isolate: self.settings.digitise_isolate,
        };
        let mut lost: Vec<Finding> = Vec::new();
        loop {
            let ended = launch::run(&self.worker, folder, &job, stop)?;
            let (code, detail) = match ended.end {
                End::Stopped => return Err(Trouble::Stopped),
                End::Answered(outcome) => {
                    self.note_isolation(outcome.isolated);
                    let findings = lost.into_iter().chain(outcome.findings).collect();
                    return Ok(Outcome { findings, ..*outcome });
                }
                End::Failed { code, detail } => (code, detail),
            };
            // A page that used up all the time would do so again, and so might the next: once is enough.
            let most = if code == FindingCode::TimeLimit { 1 } else { LOST_PAGES };
            let again = ended.page.filter(|page| !job.skip.contains(page) && lost.len() < most);
            lost.push(Finding { code, page: ended.page, detail: Some(detail) });
            let Some(page) = again else {
                let engine = SOFTWARE.to_owned();
                return Ok(Outcome { engine, pages: ended.pages, findings: lost, ..Outcome::default() });
            };
            job.skip.push(page);
        }
    }

    /// Makes the renditions objects of the document. A crash after this leaves unreferenced objects, which a
    /// repetition takes up.
    fn keep(&self, id: DocumentId, outcome: Outcome, folder: &Path) -> Result<Reading, Trouble> {
        let text = outcome.has_text.then(|| self.store_rendition(id, &folder.join(job::TEXT), "text"));
        let pdf = outcome.has_pdf.then(|| self.store_rendition(id, &folder.join(job::PDF), "pdf"));
        for note in &outcome.notes {
            tracing::info!(document = %id, note, "note from reading a document");
        }
        Ok(Reading { text: text.transpose()?, pdf: pdf.transpose()?, outcome })
    }

    fn store_rendition(&self, id: DocumentId, path: &Path, name: &str) -> Result<ObjectRef, Trouble> {
        let mut staging = self.store.stage()?;
        io::copy(&mut File::open(path)?, &mut staging).map_err(StoreError::staging)?;
        let staged = staging.finish()?;
        let (sha256, size) = (staged.digest(), staged.size_bytes());
        self.store.publish(&staged, &self.layout.object(id.into(), &sha256))?;
        Ok(ObjectRef { name: name.to_owned(), sha256, size, enc: Encoding::None })
    }

    /// Records the reading, unless the document went, got a new version or was read by someone else meanwhile.
    fn record(&self, id: DocumentId, read: &DocumentRow, reading: &Reading) -> Result<(), Trouble> {
        for _ in 0..ATTEMPTS {
            // The guard first: what changes between the two reads makes it stale.
            let Some(life) = self.catalogue.life(id.into())? else { return Ok(()) };
            let Some(row) = self.catalogue.document(id)? else { return Ok(()) };
            let generation =
                |row: &DocumentRow| row.reading.as_ref().map_or(0, |reading| reading.data.generation);
            let same = row.versions.len() == read.versions.len() && generation(&row) == generation(read);
            if !same {
                // The renditions stay unreferenced and are swept; what waits now is in the catalogue.
                tracing::debug!(document = %id, "a reading came too late");
                return Ok(());
            }
            let decision = Decision {
                guards: vec![Guard::Version(id.into(), life.version)],
                events: vec![event(id, &row, reading)],
            };
            match self.journal.append(Command::record(Context::by(Actor::System), decision)) {
                Ok(_) => return Ok(()),
                Err(AppendError::Stale(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppendError::Busy.into())
    }
}

/// Name and version of the program, where no worker came to say it.
const SOFTWARE: &str = crate::archive::SOFTWARE;

fn event(id: DocumentId, row: &DocumentRow, reading: &Reading) -> NewEvent {
    let state = row.state(id);
    let (mut text, mut pdf) = (reading.text.clone(), reading.pdf.clone());
    // A reading that failed does not take away what an earlier one of the same version gave.
    if text.is_none()
        && let Some(before) = state.reading.as_ref().filter(|_| state.is_digitised())
    {
        let find = |digest: Option<Digest>| {
            before.renditions.iter().find(|object| Some(object.sha256) == digest).cloned()
        };
        (text, pdf) = (find(before.data.text), pdf.or_else(|| find(before.data.pdf)));
    }
    let outcome = &reading.outcome;
    let data = DocumentDigitised {
        generation: state.next_generation(),
        of_version: state.current().number,
        engine: outcome.engine.clone(),
        pages: outcome.pages,
        ocr_pages: outcome.ocr_pages,
        ocr_pending: outcome.ocr_pending,
        blank_pages: outcome.blank_pages,
        mean_confidence: outcome.mean_confidence,
        text: text.as_ref().map(|object| object.sha256),
        pdf: pdf.as_ref().map(|object| object.sha256),
        findings: outcome.findings.clone(),
    };
    NewEvent::with(id, Event::DocumentDigitised(data), text.into_iter().chain(pdf).collect())
}

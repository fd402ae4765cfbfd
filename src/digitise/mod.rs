//! Erschließen: documents are read in the background, after they were accepted, and never endanger that.
//!
//! The catalogue says what waits. Each document is read by a worker process ([`crate::extract::launch`]); what it
//! gives becomes objects of the document and one [`DocumentDigitised`] event. A document whose worker dies gets that
//! event with a finding, so nothing is tried for ever; it is read again on demand ([`Digitising::again`]) or when it
//! gets a new version. Trouble with the store is waited out.
//!
//! [`DocumentDigitised`]: crate::domain::event::DocumentDigitised

mod document;
mod queue;
mod slots;

use crate::archive::{Archive, Error, Settings};
use crate::catalogue::Catalogue;
use crate::domain::DocumentId;
use crate::extract::find_tesseract;
use crate::extract::job::{Limits, Ocr};
use crate::journal::{Journal, Layout};
use crate::store::ObjectStore;
use crate::wake::Wake;
use document::Verdict;
use queue::{Claim, Queue};
use slots::Slots;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Threads beyond the workers: they fetch the next original or wait for the disk while workers work.
const WAITERS: usize = 6;
/// How often a Tesseract that is there but does not work is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// Longest sleep without a look at what waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads what waits to be read, for one tenant.
#[derive(Debug)]
pub struct Digitising {
    catalogue: Arc<Catalogue>,
    store: Arc<dyn ObjectStore>,
    layout: Layout,
    journal: Arc<Journal>,
    settings: Settings,
    worker: PathBuf,
    /// A folder of its own for each job.
    scratch: PathBuf,
    next_job: AtomicU64,
    queue: Mutex<Queue>,
    slots: Slots,
    recognition: Mutex<Recognition>,
    /// Whether it was said that workers are not shut in.
    told_open: AtomicBool,
}

/// What is known about character recognition on this machine.
#[derive(Debug, Default)]
struct Recognition {
    found: Option<Ocr>,
    /// When it was last asked for.
    asked: Option<Instant>,
    /// Whether its absence has been said.
    told: bool,
}

impl Digitising {
    /// Threads that should call [`work`](Self::work).
    pub(crate) fn threads(settings: &Settings) -> usize {
        settings.digitise_threads.max(1) + WAITERS
    }

    /// Prepares the folder for jobs; what an interrupted run left there is removed.
    pub(crate) fn new(archive: &Archive, scratch: PathBuf) -> Result<Self, Error> {
        let settings = archive.settings().clone();
        empty(&scratch).map_err(Error::from_os)?;
        let worker = match &settings.worker {
            Some(worker) => worker.clone(),
            None => this_program().map_err(Error::from_os)?,
        };
        let digitising = Self {
            catalogue: archive.catalogue().clone(),
            store: archive.store().clone(),
            layout: archive.layout().clone(),
            journal: archive.journal().clone(),
            worker,
            scratch,
            next_job: AtomicU64::new(0),
            queue: Mutex::default(),
            slots: Slots::new(settings.digitise_threads.max(1)),
            recognition: Mutex::default(),
            told_open: AtomicBool::new(false),
            settings,
        };
        digitising.recognition();
        Ok(digitising)
    }

    /// Reads documents until it is told to stop. Several threads may do this.
    pub(crate) fn work(&self, wake: &Wake, stop: &AtomicBool) {
        let mut seen = 0;
        while !stop.load(Ordering::Acquire) {
            let recognition = self.recognition();
            match self.claim(recognition.is_some()) {
                Ok(Some(claim)) => {
                    let verdict = self.read(claim, recognition, stop);
                    self.release(claim.document, verdict);
                    // Another thread may have found nothing but what was ours.
                }
                Ok(None) => {
                    let patience = self.queue().rest().map_or(PATIENCE, |rest| rest.min(PATIENCE));
                    seen = wake.wait(seen, patience.max(Duration::from_millis(20)));
                }
                Err(error) => {
                    tracing::error!(%error, "what waits to be read is not known");
                    seen = wake.wait(seen, PATIENCE);
                }
            }
        }
    }

    /// Whether scans can be recognised here.
    pub fn ocr_available(&self) -> bool {
        self.recognition.lock().unwrap_or_else(PoisonError::into_inner).found.is_some()
    }

    /// Has a document read once more, also if it has been read already. Forgotten at shutdown.
    pub(crate) fn again(&self, document: DocumentId) {
        self.queue().again(document);
    }

    /// Has a document read before everything else, if it has not been read yet. Forgotten at shutdown.
    pub(crate) fn first(&self, document: DocumentId) {
        self.queue().first(document);
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, with_ocr: bool) -> Result<Option<Claim>, crate::catalogue::CatalogueError> {
        let lanes = if with_ocr { 0..=2 } else { 0..=1 };
        self.queue().claim(lanes, |lane, after| self.catalogue.unread(lane, after, 64))
    }

    fn release(&self, document: DocumentId, verdict: Verdict) {
        self.queue().release(document, verdict == Verdict::Later);
    }

    /// Tesseract, if it is there. It may be installed while we run.
    fn recognition(&self) -> Option<Ocr> {
        let mut recognition = self.recognition.lock().unwrap_or_else(PoisonError::into_inner);
        let due = recognition.asked.is_none_or(|asked| asked.elapsed() >= TRY_AGAIN);
        let appeared = || self.settings.tesseract.as_deref().is_some_and(Path::is_file);
        if recognition.found.is_none() && (due || (recognition.told && appeared())) {
            match find_tesseract(self.settings.tesseract.as_deref(), &self.settings.ocr_languages) {
                Ok(ocr) => {
                    tracing::info!(version = %ocr.version, languages = %ocr.languages, "scans are recognised");
                    if ocr.languages != self.settings.ocr_languages {
                        tracing::warn!(wanted = %self.settings.ocr_languages, "not all languages are installed");
                    }
                    recognition.found = Some(ocr);
                }
                Err(error) if !recognition.told => {
                    tracing::warn!(%error, "scans are not recognised; their pages wait");
                    recognition.told = true;
                }
                Err(_) => {}
            }
            recognition.asked = Some(Instant::now());
        }
        recognition.found.clone()
    }

    /// Tesseract is gone, as a worker found out. It is looked for again after a while.
    fn miss_recognition(&self) {
        let mut recognition = self.recognition.lock().unwrap_or_else(PoisonError::into_inner);
        if recognition.found.take().is_some() {
            tracing::warn!("Tesseract is gone; scans wait");
            recognition.asked = Some(Instant::now());
            recognition.told = false;
        }
    }

    /// Says once that the kernel does not keep workers to their folders.
    fn note_isolation(&self, isolated: bool) {
        let is_missing = self.settings.digitise_isolate && !isolated;
        if is_missing && !self.told_open.swap(true, Ordering::AcqRel) {
            tracing::warn!(
                "this kernel has no Landlock: workers have their limits, but could read other files"
            );
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            cpu_seconds: self.settings.digitise_cpu.as_secs().max(1),
            wall_seconds: self.settings.digitise_wall.as_secs().max(1),
            memory_bytes: self.settings.digitise_memory_bytes,
            ..Limits::default()
        }
    }
}

/// The program that is running, even if its file has been replaced since.
fn this_program() -> io::Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if link.exists() { Ok(link.to_owned()) } else { std::env::current_exe() }
}

fn empty(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    make_dir(folder)
}

/// A folder that nobody else may read.
fn make_dir(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

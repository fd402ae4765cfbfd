//! The façade: every use case, permissions checked here. Everything below is synchronous.

mod check;
mod document;
mod erase;
mod error;
mod filing;
mod frame;
mod import;
mod installation;
mod permit;
mod read;
mod rebuild;
mod receipt;
mod settings;
mod sweep;
mod take;

pub use error::{Error, Kind};
pub use filing::{Filer, NewByPath, Shelf};
pub use frame::{NewCaseFile, NewPlanUnit, NewUnit};
pub use import::{Frame, Tally};
pub(crate) use installation::tenants_in;
pub use installation::{Installation, NewTenant, Place};
pub use permit::{Permission, Permit, token_tenant};
pub use read::{Content, DocumentState, EventView, Health, SearchHit, SearchPage};
pub use rebuild::RebuildReport;
pub use receipt::ReceiptView;
pub use settings::Settings;

pub use crate::ingest::manifest::{ManifestRun, Source};

use crate::catalogue::Catalogue;
use crate::clock::{Clock, Entropy};
use crate::digitise::Digitising;
use crate::domain::TenantSlug;
use crate::ingest::Intake;
use crate::journal::{self, Journal, JournalError, Layout, Parts, Projection as _, Reader};
use crate::project::Indexer;
use crate::search::SearchIndex;
use crate::store::ObjectStore;
use crate::wake::Wake;
use installation::make_dir;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Name and version of the program, as events record it.
pub const SOFTWARE: &str = concat!("eakte ", env!("CARGO_PKG_VERSION"));

/// What a tenant's archive is opened with.
pub(crate) struct OpenParts {
    pub(crate) slug: TenantSlug,
    /// Its projections.
    pub(crate) directory: PathBuf,
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Whether other processes may write to the same store.
    pub(crate) shared_store: bool,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// One tenant's records, open.
pub struct Archive {
    slug: TenantSlug,
    /// Its projections, and what is on the way.
    directory: PathBuf,
    settings: Settings,
    store: Arc<dyn ObjectStore>,
    layout: Layout,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    catalogue: Arc<Catalogue>,
    journal: Arc<Journal>,
    indexer: Arc<Indexer>,
    digitising: Option<Arc<Digitising>>,
    /// Rung after every commit.
    committed: Arc<Wake>,
    /// Rung after every commit of the search index.
    indexed: Arc<Wake>,
    stop: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Without anything that its parts hold: records have no place in a log.
impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("slug", &self.slug).finish_non_exhaustive()
    }
}

impl Archive {
    /// Opens a tenant's archive: the catalogue catches up with the journal before this returns, the search index
    /// follows in the background.
    pub(crate) fn open(parts: OpenParts) -> Result<Arc<Self>, Error> {
        make_dir(&parts.directory)?;
        rebuild::clean(&parts.directory)?;
        let layout = Layout::new(&parts.slug);
        let cache = parts.settings.catalogue_cache_bytes;
        let (catalogue, _) = Catalogue::open_or_reset(&parts.directory.join("catalogue"), cache)?;
        let catalogue = Arc::new(catalogue);
        let from_nothing = catalogue.applied()?.seq == 0;
        let committed = Arc::new(Wake::default());
        let journal = Self::open_journal(&parts, &layout, &catalogue, &committed)?;
        // A journal with a gap must not be written on: it seems to end there.
        let reader = Reader::new(parts.store.clone(), layout.clone());
        reader.check_end(catalogue.applied()?.seq, from_nothing)?;
        let indexer = Arc::new(Self::open_index(&parts, &layout, &catalogue)?);
        let stop = Arc::new(AtomicBool::new(false));
        let mut archive = Self {
            slug: parts.slug,
            directory: parts.directory.clone(),
            settings: parts.settings,
            store: parts.store,
            layout,
            clock: parts.clock,
            entropy: parts.entropy,
            catalogue,
            journal: Arc::new(journal),
            indexer,
            digitising: None,
            committed,
            indexed: Arc::new(Wake::default()),
            stop,
            threads: Mutex::default(),
        };
        if archive.settings.background {
            archive.start(&parts.directory)?;
        }
        Ok(Arc::new(archive))
    }

    fn open_journal(
        parts: &OpenParts,
        layout: &Layout,
        catalogue: &Arc<Catalogue>,
        committed: &Arc<Wake>,
    ) -> Result<Journal, Error> {
        let poll_every = parts.shared_store.then_some(Duration::from_secs(2));
        let settings = journal::Settings { poll_every, ..journal::Settings::default() };
        let parts = Parts {
            store: parts.store.clone(),
            layout: layout.clone(),
            projection: catalogue.clone(),
            clock: parts.clock.clone(),
            entropy: parts.entropy.clone(),
            software: SOFTWARE.to_owned(),
            patience: Box::new(|attempt| {
                std::thread::sleep(Duration::from_millis(50 << attempt.min(7)));
                true
            }),
        };
        let committed = committed.clone();
        Ok(Journal::open(parts, settings, move |_| committed.ring())?)
    }

    fn open_index(parts: &OpenParts, layout: &Layout, catalogue: &Arc<Catalogue>) -> Result<Indexer, Error> {
        let directory = parts.directory.join("search");
        let existed = directory.exists();
        let open = || SearchIndex::open_or_reset(&directory, crate::search::Settings::default());
        let indexer =
            |index| Indexer::new(catalogue.clone(), Arc::new(index), parts.store.clone(), layout.clone());
        let (index, reset) = open()?;
        match reset {
            Some(reason) if existed => tracing::warn!(%reason, "the search index is built again"),
            Some(_) | None => {}
        }
        let opened = indexer(index);
        if opened.can_follow()? {
            return Ok(opened);
        }
        // It may only be that the catalogue forgot what was touched. An index that has seen more commits than there
        // are tells of a loss.
        let applied = catalogue.applied()?.seq;
        if opened.index.position() > applied {
            return Err(JournalError::Rollback { seq: applied + 1 }.into());
        }
        tracing::warn!("the search index cannot follow and is built again");
        drop(opened);
        std::fs::remove_dir_all(&directory).map_err(Error::from_os)?;
        Ok(indexer(open()?.0))
    }

    /// Starts what follows by itself: indexing and digitising.
    fn start(&mut self, directory: &std::path::Path) -> Result<(), Error> {
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(Error::from_os)
        };
        let (indexer, committed, done, stop) =
            (self.indexer.clone(), self.committed.clone(), self.indexed.clone(), self.stop.clone());
        let index = spawn("index", Box::new(move || follow(&indexer, &committed, &done, &stop)))?;
        let digitising = Arc::new(Digitising::new(self, directory.join("scratch"))?);
        let mut threads = vec![index];
        for _ in 0..Digitising::threads(&self.settings) {
            let (digitising, committed, stop) =
                (digitising.clone(), self.committed.clone(), self.stop.clone());
            threads.push(spawn("digitise", Box::new(move || digitising.work(&committed, &stop)))?);
        }
        self.digitising = Some(digitising);
        *self.threads.lock().unwrap_or_else(PoisonError::into_inner) = threads;
        Ok(())
    }

    /// The tenant's short name.
    pub fn slug(&self) -> &TenantSlug {
        &self.slug
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its catalogue, for checks.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// Its journal.
    pub(crate) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Reads the journal.
    pub fn reader(&self) -> Reader {
        Reader::new(self.store.clone(), self.layout.clone())
    }

    /// What its clock shows.
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// Brings the search index up to date with the catalogue; for short commands, where nothing does so in the
    /// background.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn follow(&self) -> Result<(), Error> {
        while self.indexer.step()? {}
        Ok(())
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Rung after every commit.
    pub fn committed(&self) -> &Arc<Wake> {
        &self.committed
    }

    /// Rung after every commit of the search index.
    pub fn indexed(&self) -> &Arc<Wake> {
        &self.indexed
    }

    pub(crate) fn intake(&self) -> Intake {
        Intake {
            store: self.store.clone(),
            layout: self.layout.clone(),
            journal: self.journal.clone(),
            catalogue: self.catalogue.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            max_file_bytes: self.settings.max_file_bytes,
        }
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.committed.ring();
        for thread in std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner)) {
            let _ = thread.join();
        }
        if let Err(error) = self.catalogue.flush() {
            tracing::warn!(%error, "the catalogue was not written out");
        }
    }
}

/// The indexing thread: follows commits, at most twice a second, so that a commit of the index has many documents.
fn follow(indexer: &Indexer, committed: &Wake, done: &Wake, stop: &AtomicBool) {
    const PAUSE: Duration = Duration::from_millis(400);
    const IDLE: Duration = Duration::from_secs(20);
    let mut seen = 0;
    while !stop.load(Ordering::Acquire) {
        match indexer.step() {
            Ok(true) => done.ring(),
            Ok(false) => {
                if let Err(error) = indexer.index.rest_if_idle(IDLE) {
                    tracing::warn!(%error, "the search index could not rest");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the search index could not follow");
                std::thread::sleep(PAUSE);
            }
        }
        std::thread::sleep(PAUSE);
        seen = committed.wait(seen, Duration::from_secs(5));
    }
    if let Err(error) = indexer.index.rest() {
        tracing::warn!(%error, "the search index could not rest");
    }
}

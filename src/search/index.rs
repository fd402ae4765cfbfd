//! The index on disk: created, opened, written, cleaned.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tantivy::directory::error::{OpenDirectoryError, OpenReadError};
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, NoMergePolicy, UserOperation};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyError, Term};
use uuid::Uuid;

use super::entry::{DocumentEntry, Indexed, PageEntry, Queued, Room, entries};
use super::schema::{Fields, ORDINAL, tokenizers};

/// Blocks of stored text (16 kB each) kept unpacked per segment.
const STORE_CACHE_BLOCKS: usize = 8;
/// Share of removed entries at which a segment is rewritten without them.
const REWRITE_AT_DELETED: f32 = 0.3;
/// Times `purge` looks again for segments with removed entries.
const PURGE_ROUNDS: usize = 3;

/// How much memory and how many threads the writer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Memory for postings per thread before they go to disk, in bytes; at least 15,000,000.
    pub memory_per_thread_bytes: usize,
    /// Indexing threads, 1 to 8.
    pub threads: usize,
    /// Text that may wait to be indexed, in bytes.
    pub queue_bytes: usize,
    /// Compare every file's checksum on opening: about a second per GB.
    pub checksums_on_open: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory_per_thread_bytes: 20_000_000,
            threads: 1,
            queue_bytes: 8 << 20,
            checksums_on_open: true,
        }
    }
}

impl Settings {
    /// For a rebuild: more memory and both cores.
    #[must_use]
    pub fn bulk() -> Self {
        Self {
            memory_per_thread_bytes: 64_000_000,
            threads: 2,
            queue_bytes: 32 << 20,
            checksums_on_open: true,
        }
    }
}

/// Why an index could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no index; create one and replay the journal.
    #[error("there is no search index in {0}")]
    Missing(PathBuf),
    /// Another version of fields or analysis made it; throw it away and replay the journal.
    #[error("the search index was made by another version")]
    Outdated,
    /// Its files are incomplete or changed; throw it away and replay the journal.
    #[error("the search index is damaged: {0}")]
    Damaged(String),
    /// The place cannot be read or written, or holds something else; the index itself may be sound.
    #[error("failed to open the search index in {dir}")]
    Unavailable {
        /// The index's directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    /// True when the remedy is to throw the index away and replay the journal.
    pub fn calls_for_replay(&self) -> bool {
        !matches!(self, Self::Unavailable { .. })
    }
}

/// Why writing or searching failed.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Writing failed: everything since the last commit is discarded. Replay from [`SearchIndex::position`].
    #[error("failed to write to the search index")]
    Write(#[source] TantivyError),
    /// Reading failed. Open the index again to learn whether it is damaged.
    #[error("failed to read the search index")]
    Read(#[source] TantivyError),
    /// A record could not be encoded or decoded.
    #[error("a record of the search index is malformed")]
    Record(#[from] serde_json::Error),
}

/// What [`SearchIndex::purge`] achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// True when no file holds a removed document any more. False when a running search still reads old files, or
    /// entries were removed meanwhile: commit and purge again.
    pub complete: bool,
}

struct Writer {
    inner: IndexWriter<Queued>,
    used: Instant,
}

/// The search index of one tenant: written by one thread at a time, searched by many.
pub struct SearchIndex {
    pub(super) fields: Fields,
    pub(super) reader: IndexReader,
    index: Index,
    dir: PathBuf,
    settings: Settings,
    room: Arc<Room>,
    position: AtomicU64,
    /// Made by the first change and dropped when idle: its thread and buffers cost about 20 MB.
    writer: Mutex<Option<Writer>>,
}

impl std::fmt::Debug for SearchIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchIndex")
            .field("dir", &self.dir)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl SearchIndex {
    /// Makes an empty index in `dir`, which is created if needed and must be empty.
    ///
    /// # Errors
    ///
    /// [`OpenError::Unavailable`] when the directory cannot be written or is not empty.
    pub fn create(dir: impl Into<PathBuf>, settings: Settings) -> Result<Self, OpenError> {
        let dir = dir.into();
        fs::create_dir_all(&dir)
            .and_then(|()| require_empty(&dir))
            .map_err(|source| unavailable(&dir, source))?;
        let fields = Fields::new();
        let made =
            Index::create_in_dir(&dir, fields.schema.clone()).map_err(|error| classify(&dir, &error))?;
        Self::assemble(dir, settings, fields, made)
    }

    /// Opens the index in `dir`.
    ///
    /// # Errors
    ///
    /// [`OpenError::calls_for_replay`] tells whether to throw the index away; otherwise the place is unavailable.
    pub fn open(dir: impl Into<PathBuf>, settings: Settings) -> Result<Self, OpenError> {
        let dir = dir.into();
        // A damaged file may trip an assertion in the library; that is damage, too.
        catch_unwind(AssertUnwindSafe(|| Self::open_checked(dir, settings)))
            .unwrap_or_else(|_| Err(OpenError::Damaged("a file could not be read".to_owned())))
    }

    fn open_checked(dir: PathBuf, settings: Settings) -> Result<Self, OpenError> {
        match fs::metadata(dir.join("meta.json")) {
            Ok(_) => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unavailable(&dir, error)),
            Err(_) if require_empty(&dir).is_ok() || !dir.exists() => return Err(OpenError::Missing(dir)),
            Err(_) => return Err(OpenError::Damaged("meta.json is missing".to_owned())),
        }
        let index = Index::open_in_dir(&dir).map_err(|error| classify(&dir, &error))?;
        let fields = Fields::new();
        if index.schema() != fields.schema {
            return Err(OpenError::Outdated);
        }
        if settings.checksums_on_open {
            let damaged = index.validate_checksum().map_err(|error| classify(&dir, &error))?;
            if let Some(file) = damaged.iter().next() {
                return Err(OpenError::Damaged(format!("{} has changed", file.display())));
            }
        }
        Self::assemble(dir, settings, fields, index)
    }

    /// Opens the index, or makes an empty one in place of a missing, outdated or damaged one. The second value
    /// says why; the caller then replays from position 0.
    ///
    /// # Errors
    ///
    /// [`OpenError::Unavailable`] when the place cannot be read or written.
    pub fn open_or_reset(
        dir: impl Into<PathBuf>,
        settings: Settings,
    ) -> Result<(Self, Option<OpenError>), OpenError> {
        let dir = dir.into();
        match Self::open(&dir, settings) {
            Ok(index) => Ok((index, None)),
            Err(reason) if reason.calls_for_replay() => {
                if dir.exists() {
                    fs::remove_dir_all(&dir).map_err(|source| unavailable(&dir, source))?;
                }
                Ok((Self::create(dir, settings)?, Some(reason)))
            }
            Err(error) => Err(error),
        }
    }

    fn assemble(
        dir: PathBuf,
        settings: Settings,
        fields: Fields,
        mut index: Index,
    ) -> Result<Self, OpenError> {
        index.set_tokenizers(tokenizers());
        let build = || {
            let reader = index
                .reader_builder()
                .reload_policy(ReloadPolicy::Manual)
                .doc_store_cache_num_blocks(STORE_CACHE_BLOCKS)
                .try_into()?;
            Ok((reader, index.load_metas()?.payload))
        };
        let (reader, payload) = build().map_err(|error| classify(&dir, &error))?;
        let position = match payload.as_deref().map(str::parse) {
            None => 0,
            Some(Ok(position)) => position,
            Some(Err(_)) => return Err(OpenError::Damaged("the position is unreadable".to_owned())),
        };
        Ok(Self {
            fields,
            reader,
            index,
            dir,
            settings,
            room: Room::new(settings.queue_bytes),
            position: AtomicU64::new(position),
            writer: Mutex::new(None),
        })
    }

    /// The journal position up to which everything is committed and searchable; 0 when nothing is.
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Puts a document into the index, in place of an earlier version of it. Searchable after [`Self::commit`].
    ///
    /// # Errors
    ///
    /// [`IndexError::Write`]: everything since the last commit is discarded.
    pub fn replace_document(
        &self,
        entry: &DocumentEntry,
        pages: impl IntoIterator<Item = PageEntry>,
    ) -> Result<Indexed, IndexError> {
        self.room.wait();
        let (queued, indexed) = entries(&self.fields, entry, pages, &self.room)?;
        let delete = UserOperation::Delete(self.document_term(entry.document_id));
        // One batch: the whole document goes to one segment, side by side, which the schema relies on.
        let operations: Vec<_> =
            std::iter::once(delete).chain(queued.into_iter().map(UserOperation::Add)).collect();
        self.write(|writer| writer.run(operations))?;
        Ok(indexed)
    }

    /// Takes a document out of the index. It stays searchable until [`Self::commit`], its bytes until [`Self::purge`].
    ///
    /// # Errors
    ///
    /// [`IndexError::Write`]: everything since the last commit is discarded.
    pub fn remove_document(&self, document_id: Uuid) -> Result<(), IndexError> {
        self.write(|writer| Ok(writer.delete_term(self.document_term(document_id)))).map(drop)
    }

    /// Makes all changes durable and searchable, together with the journal position they reach up to.
    ///
    /// # Errors
    ///
    /// [`IndexError::Write`]: everything since the last commit is discarded. [`IndexError::Read`]: durable, but
    /// not yet searchable; the next commit repeats that step.
    pub fn commit(&self, position: u64) -> Result<(), IndexError> {
        self.write(|writer| {
            let mut prepared = writer.prepare_commit()?;
            prepared.set_payload(&position.to_string());
            prepared.commit()
        })?;
        self.reader.reload().map_err(IndexError::Read)?;
        self.position.store(position, Ordering::Release);
        Ok(())
    }

    /// Forgets everything since the last commit.
    pub fn discard(&self) {
        *self.lock() = None;
    }

    /// Waits for merges to end and frees the writer's memory. Changes not committed are discarded.
    ///
    /// # Errors
    ///
    /// [`IndexError::Write`] when a merge failed, [`IndexError::Read`] when its result could not be opened.
    pub fn rest(&self) -> Result<(), IndexError> {
        let mut slot = self.lock();
        self.rest_locked(&mut slot)
    }

    fn rest_locked(&self, slot: &mut Option<Writer>) -> Result<(), IndexError> {
        let Some(writer) = slot.take() else { return Ok(()) };
        writer.inner.wait_merging_threads().map_err(IndexError::Write)?;
        self.reader.reload().map_err(IndexError::Read)
    }

    /// Frees the writer's memory when nothing was written for `idle`; true when it did. The caller asks now and
    /// then, after a commit.
    ///
    /// # Errors
    ///
    /// As [`Self::rest`].
    pub fn rest_if_idle(&self, idle: Duration) -> Result<bool, IndexError> {
        let mut slot = self.lock();
        if slot.as_ref().is_none_or(|writer| writer.used.elapsed() < idle) {
            return Ok(false);
        }
        self.rest_locked(&mut slot)?;
        Ok(true)
    }

    /// Rewrites every segment that holds removed documents, so that no byte of them is left in the index's files.
    /// Call it after a commit: changes not committed are discarded.
    ///
    /// # Errors
    ///
    /// [`IndexError::Write`] or [`IndexError::Read`]; the index stays usable and the call can be repeated.
    pub fn purge(&self) -> Result<Purged, IndexError> {
        let mut slot = self.lock();
        self.rest_locked(&mut slot)?;
        let mut writer: IndexWriter<Queued> = self.new_writer().map_err(IndexError::Write)?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        for _ in 0..PURGE_ROUNDS {
            let segments = self.index.searchable_segment_metas().map_err(IndexError::Read)?;
            let stained: Vec<_> = segments.iter().filter(|segment| segment.has_deletes()).collect();
            if stained.is_empty() {
                break;
            }
            for segment in stained {
                writer.merge(&[segment.id()]).wait().map_err(IndexError::Write)?;
            }
        }
        // Old files are deleted only when no reader knows them any more.
        self.reader.reload().map_err(IndexError::Read)?;
        let collected = writer.garbage_collect_files().wait().map_err(IndexError::Write)?;
        writer.wait_merging_threads().map_err(IndexError::Write)?;
        let segments = self.index.searchable_segment_metas().map_err(IndexError::Read)?;
        let complete = collected.failed_to_delete_files.is_empty()
            && segments.iter().all(|segment| !segment.has_deletes())
            && self.unreferenced_files().is_empty();
        Ok(Purged { complete })
    }

    /// Joins all segments into one, as after a rebuild. Changes not committed are discarded.
    ///
    /// # Errors
    ///
    /// As [`Self::purge`].
    pub fn merge_all(&self) -> Result<(), IndexError> {
        let mut slot = self.lock();
        self.rest_locked(&mut slot)?;
        let segments = self.index.searchable_segment_ids().map_err(IndexError::Read)?;
        let mut writer: IndexWriter<Queued> = self.new_writer().map_err(IndexError::Write)?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        if segments.len() > 1 {
            writer.merge(&segments).wait().map_err(IndexError::Write)?;
        }
        self.reader.reload().map_err(IndexError::Read)?;
        writer.garbage_collect_files().wait().map_err(IndexError::Write)?;
        writer.wait_merging_threads().map_err(IndexError::Write)
    }

    /// Deletes files that no segment and no running search needs any more.
    ///
    /// # Errors
    ///
    /// [`IndexError::Write`] when a file cannot be deleted.
    pub fn collect_garbage(&self) -> Result<(), IndexError> {
        self.reader.reload().map_err(IndexError::Read)?;
        self.write(|writer| writer.garbage_collect_files().wait()).map(drop)
    }

    /// Bytes of the index's files on disk.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub fn size_bytes(&self) -> io::Result<u64> {
        fs::read_dir(&self.dir)?.try_fold(0, |sum, file| match file?.metadata() {
            Ok(metadata) => Ok(sum + metadata.len()),
            // A merge may delete a file between listing and looking.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(sum),
            Err(error) => Err(error),
        })
    }

    /// Files whose bytes no longer match their checksum; empty when the index is sound.
    ///
    /// # Errors
    ///
    /// [`IndexError::Read`] when a file cannot be read at all.
    pub fn damaged_files(&self) -> Result<Vec<PathBuf>, IndexError> {
        Ok(self.index.validate_checksum().map_err(IndexError::Read)?.into_iter().collect())
    }

    /// How many documents are searchable.
    ///
    /// # Errors
    ///
    /// [`IndexError::Read`] when a segment cannot be read.
    pub fn documents(&self) -> Result<u64, IndexError> {
        let mut count = 0;
        for segment in self.reader.searcher().segment_readers() {
            let ordinals = segment.fast_fields().u64(ORDINAL).map_err(IndexError::Read)?;
            let firsts = segment.doc_ids_alive().filter(|id| ordinals.first(*id) == Some(0));
            count += firsts.count() as u64;
        }
        Ok(count)
    }

    /// Segment files on disk that do not belong to the committed state.
    fn unreferenced_files(&self) -> Vec<PathBuf> {
        let Ok(metas) = self.index.load_metas() else { return Vec::new() };
        let wanted: Vec<String> = metas.segments.iter().map(|segment| segment.id().uuid_string()).collect();
        let files = fs::read_dir(&self.dir).into_iter().flatten().flatten().map(|file| file.path());
        files
            .filter(|path| {
                let name =
                    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let stem = name.split('.').next().unwrap_or_default();
                stem.len() == 32 && !wanted.iter().any(|id| id == stem)
            })
            .collect()
    }

    fn document_term(&self, document_id: Uuid) -> Term {
        Term::from_field_bytes(self.fields.document, document_id.as_bytes())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one change; after a failure the writer is gone and with it everything not committed.
    fn write<T>(
        &self,
        change: impl FnOnce(&mut IndexWriter<Queued>) -> tantivy::Result<T>,
    ) -> Result<T, IndexError> {
        let mut slot = self.lock();
        let result = match slot.take() {
            Some(writer) => Ok(writer.inner),
            None => self.new_writer(),
        }
        .and_then(|mut inner| {
            let value = change(&mut inner)?;
            *slot = Some(Writer { inner, used: Instant::now() });
            Ok(value)
        });
        result.map_err(IndexError::Write)
    }

    fn new_writer(&self) -> tantivy::Result<IndexWriter<Queued>> {
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(self.settings.memory_per_thread_bytes)
            .num_worker_threads(self.settings.threads)
            .num_merge_threads(1)
            .build();
        let writer = self.index.writer_with_options(options)?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(REWRITE_AT_DELETED);
        writer.set_merge_policy(Box::new(policy));
        Ok(writer)
    }
}

fn require_empty(dir: &Path) -> io::Result<()> {
    match fs::read_dir(dir)?.next() {
        None => Ok(()),
        Some(_) => Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "the directory is not empty")),
    }
}

fn unavailable(dir: &Path, source: io::Error) -> OpenError {
    OpenError::Unavailable { dir: dir.to_path_buf(), source }
}

/// Sorts the library's errors: the place is at fault, or the files are.
fn classify(dir: &Path, error: &TantivyError) -> OpenError {
    let io_error = match error {
        TantivyError::IoError(source)
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error: source, .. }) => Some(source),
        TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error, .. }) => Some(io_error),
        _ => None,
    };
    match io_error.map(|source| source.kind()) {
        None | Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::NotFound) => {
            OpenError::Damaged(error.to_string())
        }
        Some(kind) => unavailable(dir, io::Error::new(kind, error.to_string())),
    }
}

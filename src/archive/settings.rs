//! What the façade can be told.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of an installation; the defaults suit a small town hall.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Largest file, in bytes.
    pub max_file_bytes: u64,
    /// Memory for each tenant's catalogue, in bytes.
    pub catalogue_cache_bytes: u64,
    /// Files under way at once in a run: most of them wait for the disk together.
    pub ingest_threads: usize,
    /// Documents read at once.
    pub digitise_threads: usize,
    /// Limit for reading one document: processor time.
    pub digitise_cpu: Duration,
    /// Limit for reading one document: wall clock.
    pub digitise_wall: Duration,
    /// Limit for reading one document: memory, in bytes.
    pub digitise_memory_bytes: u64,
    /// Whether the kernel is to keep workers to their folders.
    pub digitise_isolate: bool,
    /// Where Tesseract is; none means that it is looked for.
    pub tesseract: Option<PathBuf>,
    /// Languages for character recognition.
    pub ocr_languages: String,
    /// The program that runs the hidden `worker` command; none means this program.
    pub worker: Option<PathBuf>,
    /// Whether documents are read and indexed by this process. Off for short commands.
    pub background: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            max_file_bytes: 4 * 1024 * 1024 * 1024,
            catalogue_cache_bytes: 16 * 1024 * 1024,
            ingest_threads: 64,
            digitise_threads: cores,
            digitise_cpu: Duration::from_mins(10),
            digitise_wall: Duration::from_mins(20),
            digitise_memory_bytes: 2 * 1024 * 1024 * 1024,
            digitise_isolate: true,
            tesseract: None,
            ocr_languages: "deu+eng".to_owned(),
            worker: None,
            background: true,
        }
    }
}

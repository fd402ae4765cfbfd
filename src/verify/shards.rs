//! Small facts about very many things, sorted into 256 heaps: what does not fit into memory waits in a file that
//! vanishes with us. Each heap is then looked at by itself.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bytes kept in memory before they go to the file.
const HELD_BYTES: usize = 8 * 1024 * 1024;

/// Records of a fixed length in 256 heaps.
#[derive(Debug)]
pub(crate) struct Shards<const LENGTH: usize> {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    held: usize,
    heaps: Vec<Vec<u8>>,
    /// Where earlier parts of each heap lie in the file.
    parts: Vec<Vec<(u64, usize)>>,
    file: Option<std::fs::File>,
    end: u64,
}

impl<const LENGTH: usize> Shards<LENGTH> {
    /// Empty heaps; the file, if one is needed, is made in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        let state =
            State { held: 0, heaps: vec![Vec::new(); 256], parts: vec![Vec::new(); 256], file: None, end: 0 };
        Self { folder: folder.to_owned(), state: Mutex::new(state) }
    }

    /// Puts a record on a heap.
    pub(crate) fn push(&self, heap: u8, record: &[u8; LENGTH]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.heaps[usize::from(heap)].extend_from_slice(record);
        state.held += LENGTH;
        if state.held >= HELD_BYTES { state.write_out(&self.folder) } else { Ok(()) }
    }

    /// All records of a heap, in the order they came.
    pub(crate) fn heap(&self, heap: u8) -> io::Result<Vec<[u8; LENGTH]>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        for (start, length) in &state.parts[usize::from(heap)] {
            let from = bytes.len();
            bytes.resize(from + length, 0);
            if let Some(file) = &state.file {
                file.read_exact_at(&mut bytes[from..], *start)?;
            }
        }
        bytes.extend_from_slice(&state.heaps[usize::from(heap)]);
        Ok(bytes.as_chunks::<LENGTH>().0.to_vec())
    }
}

impl State {
    fn write_out(&mut self, folder: &Path) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(nameless(folder)?);
        }
        let Some(file) = &self.file else { return Ok(()) };
        for (heap, parts) in self.heaps.iter_mut().zip(&mut self.parts) {
            if !heap.is_empty() {
                file.write_all_at(heap, self.end)?;
                parts.push((self.end, heap.len()));
                self.end += heap.len() as u64;
                *heap = Vec::new();
            }
        }
        self.held = 0;
        Ok(())
    }
}

/// A file without a name: nothing is left of it, however this process ends.
fn nameless(folder: &Path) -> io::Result<std::fs::File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("check-{}-{number}.tmp", std::process::id()));
    let mut options = OpenOptions::new();
    let file = options.create_new(true).read(true).write(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_to_the_file_comes_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let shards = Shards::<4096>::new(folder.path());
        let record = |number: u32| {
            let mut record = [0; 4096];
            record[..4].copy_from_slice(&number.to_be_bytes());
            record
        };
        for number in 0..5_000_u32 {
            shards.push((number % 3) as u8, &record(number)).unwrap();
        }
        for heap in 0..4 {
            let numbers: Vec<_> = shards.heap(heap).unwrap().iter().map(|r| r[..4].to_vec()).collect();
            let wanted = (0..5_000_u32).filter(|number| number % 3 == u32::from(heap));
            assert_eq!(numbers, wanted.map(|number| number.to_be_bytes().to_vec()).collect::<Vec<_>>());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
    }
}

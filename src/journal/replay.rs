//! Brings a projection up to date: start-up, normal work and rebuild all come this way.

use super::ahead;
use super::projection::{Applied, CommitRecord, Projection, ProjectionError};
use super::reader::{Commits, JournalError, Reader};
use std::ops::ControlFlow;

/// Commits read one by one before it is worth reading ahead.
const PATIENCE: usize = 32;
/// Commits read ahead. One may hold a thousand events, so this bounds the memory.
const WINDOW: u64 = 32;
/// Commits, and leaves, that the projection takes in at once.
const STRIDE: (usize, usize) = (256, 1_000);

/// Why a projection is not up to date.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The journal cannot be read on.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The projection is broken.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
}

/// Takes in all commits after `from`; `each` hears of every place that is reached for good.
///
/// # Errors
/// [`ReplayError`]; what `each` has heard of is taken in all the same.
pub fn replay(
    reader: &Reader,
    projection: &dyn Projection,
    from: Applied,
    each: &mut dyn FnMut(&Applied),
) -> Result<(), ReplayError> {
    replay_until(reader, projection, from, u64::MAX, each)
}

/// Takes in the commits after `from`, up to `last`.
///
/// # Errors
/// As [`replay`].
pub fn replay_until(
    reader: &Reader,
    projection: &dyn Projection,
    from: Applied,
    last: u64,
    each: &mut dyn FnMut(&Applied),
) -> Result<(), ReplayError> {
    let mut replay = Replay { commits: reader.after(from), projection, each, stride: Vec::new(), leaves: 0 };
    for _ in 0..PATIENCE {
        if replay.commits.applied().seq >= last {
            return replay.apply();
        }
        match replay.commits.advance() {
            Ok(Some(record)) => replay.take(record)?,
            Ok(None) => return replay.apply(),
            Err(error) => return replay.end(error),
        }
    }
    let first = replay.commits.applied().seq + 1;
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    let mut outcome = Ok(());
    let find = |seq| if seq > last { Ok(None) } else { reader.find(seq) };
    ahead::in_order(threads, WINDOW, first, &find, &mut |_, found| {
        outcome = match found {
            Ok(Some(found)) => match replay.commits.accept(found) {
                Ok(record) => replay.take(record),
                Err(error) => replay.end(error),
            },
            Ok(None) => {
                outcome = replay.apply();
                return ControlFlow::Break(());
            }
            Err(error) => replay.end(error),
        };
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    outcome
}

struct Replay<'r> {
    commits: Commits,
    projection: &'r dyn Projection,
    each: &'r mut dyn FnMut(&Applied),
    stride: Vec<CommitRecord>,
    leaves: usize,
}

impl Replay<'_> {
    fn take(&mut self, record: CommitRecord) -> Result<(), ReplayError> {
        self.leaves += record.leaves.len();
        self.stride.push(record);
        if self.stride.len() >= STRIDE.0 || self.leaves >= STRIDE.1 { self.apply() } else { Ok(()) }
    }

    fn apply(&mut self) -> Result<(), ReplayError> {
        if !self.stride.is_empty() {
            self.projection.apply(&self.stride)?;
            self.stride.clear();
            self.leaves = 0;
            (self.each)(self.commits.applied());
        }
        Ok(())
    }

    /// What came before the fault is taken in all the same.
    fn end(&mut self, error: JournalError) -> Result<(), ReplayError> {
        self.apply()?;
        Err(error.into())
    }
}

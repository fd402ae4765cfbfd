//! The lock on a directory: one process at a time works there.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A lock file, held. The operating system lets go of it when the process ends.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock, making its file if needed; `None` when another one has it.
    pub(crate) fn take(path: &Path, mode: u32) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(mode).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(source),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child that is being started has a copy of it for a moment, and with it
        // the lock. What cannot be unlocked is unlocked when the process ends.
        let _ = self.0.unlock();
    }
}

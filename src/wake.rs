//! A bell: whoever waits hears that something happened since they last looked.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts rings.
#[derive(Debug, Default)]
pub struct Wake {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Wake {
    /// Tells everyone who waits.
    pub fn ring(&self) {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.rung.notify_all();
    }

    /// Waits until there have been more than `seen` rings, or until patience ends. Returns the rings so far.
    pub fn wait(&self, seen: u64, patience: Duration) -> u64 {
        let deadline = Instant::now() + patience;
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if *rings > seen || left.is_zero() {
                return *rings;
            }
            rings = self.rung.wait_timeout(rings, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

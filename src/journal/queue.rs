//! The bounded line of commands in front of the writer: whoever finds it full waits.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A bounded queue with one reader.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

/// Why a thing could not be queued; gives it back.
#[derive(Debug)]
pub(super) enum Refused<T> {
    /// No room until the deadline.
    Full(T),
    /// Nothing is taken any more.
    Closed(T),
}

impl<T> Queue<T> {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        let state = State { waiting: VecDeque::new(), closed: false };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), limit })
    }

    pub(super) fn push(&self, item: T, deadline: Instant) -> Result<(), Refused<T>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.closed {
                return Err(Refused::Closed(item));
            }
            if state.waiting.len() < self.limit {
                state.waiting.push_back(item);
                self.changed.notify_all();
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Refused::Full(item));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything that waits, at most `most`; waits for the first up to `patience`. `None` once closed and empty.
    pub(super) fn take(&self, most: usize, patience: Duration) -> Option<Vec<T>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + patience;
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(Vec::new());
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let count = state.waiting.len().min(most);
        let taken = state.waiting.drain(..count).collect();
        self.changed.notify_all();
        Some(taken)
    }

    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_all();
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).waiting.len()
    }
}

//! Reading ahead: several threads read numbered things, one takes them in order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

struct State<T> {
    /// The number that is read next.
    next: u64,
    /// The number that is taken next.
    wanted: u64,
    ready: BTreeMap<u64, T>,
    stopped: bool,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(
        &'s self,
        state: MutexGuard<'s, State<T>>,
        until: impl Fn(&State<T>) -> bool,
    ) -> MutexGuard<'s, State<T>> {
        self.changed.wait_while(state, |state| !until(state)).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the reading when a thread leaves, also by a panic: nobody waits for what will not come.
struct Stop<'s, T>(&'s Shared<T>);

impl<T> Drop for Stop<'_, T> {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.changed.notify_all();
    }
}

/// Reads `first` and everything after it with several threads, at most `window` ahead of what is taken, until
/// `take` breaks.
pub(crate) fn in_order<T: Send>(
    threads: usize,
    window: u64,
    first: u64,
    read: &(dyn Fn(u64) -> T + Sync),
    take: &mut dyn FnMut(u64, T) -> ControlFlow<()>,
) {
    let state = State { next: first, wanted: first, ready: BTreeMap::new(), stopped: false };
    let shared = Shared { state: Mutex::new(state), changed: Condvar::new() };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let _stop = Stop(&shared);
                loop {
                    let state = shared.lock();
                    let mut state =
                        shared.wait(state, |state| state.stopped || state.next < state.wanted + window);
                    if state.stopped {
                        return;
                    }
                    let number = state.next;
                    state.next += 1;
                    drop(state);
                    let value = read(number);
                    let mut state = shared.lock();
                    state.ready.insert(number, value);
                    if state.wanted == number {
                        shared.changed.notify_all();
                    }
                }
            });
        }
        let _stop = Stop(&shared);
        for number in first.. {
            let state = shared.lock();
            let mut state = shared.wait(state, |state| state.stopped || state.ready.contains_key(&number));
            let Some(value) = state.ready.remove(&number) else { return };
            state.wanted = number + 1;
            // Readers are woken when there is room for a good piece, not for every single one.
            if state.next + window / 2 <= state.wanted + window {
                shared.changed.notify_all();
            }
            drop(state);
            if take(number, value).is_break() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_taken_in_order_and_never_read_far_ahead() {
        for (threads, window) in [(1, 1), (3, 4), (8, 64)] {
            let mut taken = Vec::new();
            let place = std::sync::atomic::AtomicU64::new(5);
            let relaxed = std::sync::atomic::Ordering::Relaxed;
            let read = |number| {
                assert!(number <= place.load(relaxed) + window, "{number} is too far ahead");
                number * 2
            };
            in_order(threads, window, 5, &read, &mut |number, value| {
                place.store(number + 1, relaxed);
                taken.push((number, value));
                if number == 300 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert_eq!(taken, (5..=300).map(|number| (number, number * 2)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_panic_while_reading_ends_it() {
        let caught = std::panic::catch_unwind(|| {
            in_order(2, 4, 0, &|number| assert!(number != 9, "as intended"), &mut |_, ()| {
                ControlFlow::Continue(())
            });
        });
        assert!(caught.is_err());
    }
}

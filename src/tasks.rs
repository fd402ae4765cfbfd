//! The bridge between async and sync: blocking work in bounded pools. This is the only place that starts it.

use crate::archive::{Error, Kind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bounded share of the blocking threads.
#[derive(Clone, Debug)]
pub struct Blocking {
    slots: Arc<Semaphore>,
}

impl Blocking {
    /// A share of so many threads.
    pub fn new(slots: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(slots.max(1))) }
    }

    /// Runs blocking work once there is room; keeps the tracing span.
    ///
    /// # Errors
    /// The work's own, and [`Kind::Internal`] when it panicked.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: FnOnce() -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let slot = self.slots.clone().acquire_owned().await.expect("never closed");
        run_in(slot, work).await
    }

    /// Waits for room, but not long.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when there is none.
    pub async fn room(&self, patience: Duration) -> Result<Room, Error> {
        match tokio::time::timeout(patience, self.slots.clone().acquire_owned()).await {
            Ok(slot) => Ok(Room(slot.expect("never closed"))),
            Err(_) => Err(Error::new(
                Kind::Unavailable,
                "Es laufen schon zu viele Vorgänge dieser Art; bitte gleich noch einmal versuchen.",
            )),
        }
    }

    /// Slots that are free now.
    pub fn free(&self) -> usize {
        self.slots.available_permits()
    }
}

/// Room for one piece of work.
#[derive(Debug)]
pub struct Room(OwnedSemaphorePermit);

impl Room {
    /// Uses it.
    ///
    /// # Errors
    /// As [`Blocking::run`].
    pub async fn run<T, F>(self, work: F) -> Result<T, Error>
    where
        F: FnOnce() -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        run_in(self.0, work).await
    }
}

async fn run_in<T, F>(slot: OwnedSemaphorePermit, work: F) -> Result<T, Error>
where
    F: FnOnce() -> Result<T, Error> + Send + 'static,
    T: Send + 'static,
{
    let span = tracing::Span::current();
    #[expect(clippy::disallowed_methods, reason = "this is the wrapper the others use")]
    let task = tokio::task::spawn_blocking(move || {
        // A dropped request does not stop this closure, so it keeps the slot itself.
        let _slot = slot;
        span.in_scope(work)
    });
    task.await.unwrap_or_else(|panic| {
        Err(Error {
            kind: Kind::Internal,
            public: "Im Programm ist ein Fehler aufgetreten.".to_owned(),
            source: Some(Box::new(panic)),
        })
    })
}

/// One share for every kind of work, so that none starves the others.
#[derive(Clone, Debug)]
pub struct Pools {
    /// Lookups and chunks of downloads: short.
    pub reads: Blocking,
    /// Commands without a body: wait for a commit.
    pub writes: Blocking,
    /// Incoming files: as long as the sender takes.
    pub uploads: Blocking,
    /// Incoming files that come in parts: as long as their senders take, pauses included.
    pub partial_uploads: Blocking,
    /// Checks of whole archives: minutes to hours.
    pub jobs: Blocking,
}

impl Pools {
    /// Threads of all pools together, for the runtime.
    pub const fn threads(uploads: usize) -> usize {
        Self::READS + Self::WRITES + Self::PARTIAL + Self::JOBS + uploads
    }

    const READS: usize = 16;
    const WRITES: usize = 16;
    const PARTIAL: usize = 16;
    const JOBS: usize = 1;

    /// Pools with room for so many uploads at once.
    pub fn new(uploads: usize) -> Self {
        Self {
            reads: Blocking::new(Self::READS),
            writes: Blocking::new(Self::WRITES),
            uploads: Blocking::new(uploads),
            partial_uploads: Blocking::new(Self::PARTIAL),
            jobs: Blocking::new(Self::JOBS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn a_panic_becomes_an_error_and_gives_its_slot_back() {
        let pool = Blocking::new(1);
        block_on(async {
            let error = pool.run::<(), _>(|| panic!("broken")).await.unwrap_err();
            assert_eq!(error.kind, Kind::Internal);
            assert_eq!(pool.run(|| Ok(7)).await.unwrap(), 7);
        });
    }

    #[test]
    fn a_full_pool_refuses_who_does_not_want_to_wait() {
        let pool = Blocking::new(1);
        block_on(async {
            let room = pool.room(Duration::ZERO).await.unwrap();
            assert_eq!(pool.room(Duration::ZERO).await.unwrap_err().kind, Kind::Unavailable);
            room.run(|| Ok(())).await.unwrap();
            pool.room(Duration::from_mins(1)).await.unwrap();
        });
    }
}

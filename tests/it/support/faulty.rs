//! A store that fails one call, in a chosen way.

use eakte::store::{Body, Bytes, Created, Key, Listed, ObjectStore, Prefix, Staged, Staging, StoreError};
use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, PoisonError};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Refused: not applied, and the answer says so.
    Refused,
    /// The disk is full: not applied, and the answer says so.
    Full,
    /// The request was lost on its way: not applied, and nobody can tell.
    RequestLost,
    /// The answer was lost on its way: applied, and nobody can tell.
    AnswerLost,
}

impl Failure {
    pub const ALL: [Self; 4] = [Self::Refused, Self::Full, Self::RequestLost, Self::AnswerLost];
}

#[derive(Debug, Default)]
struct Plan {
    calls: Vec<&'static str>,
    fail: Option<(usize, Failure)>,
    failed: Option<&'static str>,
    /// Answered to every call from the failing one on, not only to that.
    lasting: bool,
}

/// Counts all calls and fails one of them.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    plan: Mutex<Plan>,
}

impl Faulty {
    pub fn over(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self { inner, plan: Mutex::default() })
    }

    /// Fails the call with this number, counted from 0 from now on.
    pub fn fail(&self, call: usize, failure: Failure) {
        *self.plan() = Plan { fail: Some((call, failure)), ..Plan::default() };
    }

    /// Fails that call and all after it.
    pub fn fail_from(&self, call: usize, failure: Failure) {
        *self.plan() = Plan { fail: Some((call, failure)), lasting: true, ..Plan::default() };
    }

    /// Fails nothing any more.
    pub fn heal(&self) {
        *self.plan() = Plan::default();
    }

    /// Names of the calls since [`Self::fail`] or [`Self::heal`].
    pub fn calls(&self) -> Vec<&'static str> {
        self.plan().calls.clone()
    }

    /// The call that failed, if it has come to that.
    pub fn failed(&self) -> Option<&'static str> {
        self.plan().failed
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call; says how it fails.
    fn call(&self, name: &'static str) -> Option<Failure> {
        let mut plan = self.plan();
        let number = plan.calls.len();
        plan.calls.push(name);
        let (at, failure) = plan.fail?;
        let is_hit = number == at || (plan.lasting && number > at);
        if is_hit {
            plan.failed.get_or_insert(name);
        }
        is_hit.then_some(failure)
    }

    fn reading<T>(
        &self,
        name: &'static str,
        act: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.call(name) {
            None => act(),
            Some(_) => Err(unavailable(name)),
        }
    }

    fn writing<T>(
        &self,
        name: &'static str,
        act: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let source = || Box::new(io::Error::other("injected"));
        let object = || "injected".to_owned();
        match self.call(name) {
            None => act(),
            Some(Failure::Refused) => Err(unavailable(name)),
            Some(Failure::Full) => Err(StoreError::Io {
                action: name,
                object: object(),
                source: io::Error::from_raw_os_error(28),
            }),
            Some(Failure::RequestLost) => {
                Err(StoreError::Doubt { action: name, object: object(), source: source() })
            }
            Some(Failure::AnswerLost) => {
                let _ = act();
                Err(StoreError::Doubt { action: name, object: object(), source: source() })
            }
        }
    }
}

fn unavailable(action: &'static str) -> StoreError {
    let source = Box::new(io::Error::other("injected"));
    StoreError::Unavailable { action, object: "injected".to_owned(), source }
}

impl ObjectStore for Faulty {
    fn stage(&self) -> Result<Staging, StoreError> {
        self.reading("stage", || self.inner.stage())
    }

    fn publish(&self, staged: &Staged, key: &Key) -> Result<(), StoreError> {
        self.writing("publish", || self.inner.publish(staged, key))
    }

    fn put_all(&self, objects: &[(Key, Bytes)]) -> Result<(), StoreError> {
        self.writing("put_all", || self.inner.put_all(objects))
    }

    fn barrier(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.writing("barrier", || self.inner.barrier(keys))
    }

    fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StoreError> {
        self.writing("create", || self.inner.create(key, bytes))
    }

    fn replace(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.writing("replace", || self.inner.replace(key, bytes))
    }

    fn read(&self, key: &Key) -> Result<Bytes, StoreError> {
        self.reading("read", || self.inner.read(key))
    }

    fn open(&self, key: &Key) -> Result<Body, StoreError> {
        self.reading("open", || self.inner.open(key))
    }

    fn open_range(&self, key: &Key, range: Range<u64>) -> Result<Body, StoreError> {
        self.reading("open_range", || self.inner.open_range(key, range))
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, StoreError> {
        self.reading("size", || self.inner.size(key))
    }

    fn list(
        &self,
        prefix: &Prefix,
        visit: &mut dyn FnMut(Listed) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.reading("list", || self.inner.list(prefix, visit))
    }

    fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        self.writing("delete", || self.inner.delete(keys))
    }
}

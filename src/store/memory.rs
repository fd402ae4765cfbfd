//! A store in memory: for tests and benches.

use super::{
    Body, Created, Key, Listed, ObjectStore, Prefix, Staged, Staging, StoreError, cut_range, read_whole,
    staging::Content,
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
    ops::{ControlFlow, Range},
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

/// Objects in memory, with the same promises as the others while the process lives.
///
/// It knows which names a crash could lose: [`Memory::crash`] drops those that no
/// [`barrier`](ObjectStore::barrier) has covered, so that a missing barrier shows.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    objects: BTreeMap<Key, Object>,
    now: SystemTime,
}

#[derive(Clone, Debug)]
struct Object {
    bytes: Bytes,
    modified: SystemTime,
    is_durable: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self { state: Mutex::new(State { objects: BTreeMap::new(), now: SystemTime::UNIX_EPOCH }) }
    }
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time that later writes are listed with; it stands still in between. 1970 at first.
    pub fn set_time(&self, now: SystemTime) {
        self.state().now = now;
    }

    /// Loses what a power cut may lose: every object whose name no barrier has covered, unless `survives` says
    /// that this one reached the disk by chance.
    pub fn crash(&self, mut survives: impl FnMut(&Key) -> bool) {
        self.state().objects.retain(|key, object| object.is_durable || survives(key));
        self.state().objects.values_mut().for_each(|object| object.is_durable = true);
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.state().objects.len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes an object's bytes as a failing disk or a tampering hand would; false when there is none.
    pub fn damage(&self, key: &Key, bytes: Bytes) -> bool {
        self.state().objects.get_mut(key).map(|object| object.bytes = bytes).is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &Key) -> Result<Bytes, StoreError> {
        let state = self.state();
        state
            .objects
            .get(key)
            .map(|object| object.bytes.clone())
            .ok_or_else(|| StoreError::Missing(key.clone()))
    }
}

impl State {
    fn put(&mut self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        match self.objects.get(key) {
            Some(object) if object.bytes == bytes => Ok(()),
            Some(_) => Err(StoreError::Occupied(key.clone())),
            None => {
                self.insert(key, bytes, false);
                Ok(())
            }
        }
    }

    fn insert(&mut self, key: &Key, bytes: Bytes, is_durable: bool) {
        self.objects.insert(key.clone(), Object { bytes, modified: self.now, is_durable });
    }
}

impl ObjectStore for Memory {
    fn stage(&self) -> Result<Staging, StoreError> {
        Ok(Staging::in_memory())
    }

    fn publish(&self, staged: &Staged, key: &Key) -> Result<(), StoreError> {
        let bytes = match staged.content() {
            Content::Memory(bytes) => bytes.clone(),
            Content::File { .. } => {
                let mut bytes = Vec::new();
                staged.open()?.read_to_end(&mut bytes).map_err(StoreError::staging)?;
                bytes.into()
            }
        };
        self.state().put(key, bytes)
    }

    fn put_all(&self, objects: &[(Key, Bytes)]) -> Result<(), StoreError> {
        let mut state = self.state();
        objects.iter().map(|(key, bytes)| state.put(key, bytes.clone())).fold(Ok(()), Result::and)
    }

    fn barrier(&self, keys: &[Key]) -> Result<(), StoreError> {
        let mut state = self.state();
        for key in keys {
            if let Some(object) = state.objects.get_mut(key) {
                object.is_durable = true;
            }
        }
        Ok(())
    }

    fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StoreError> {
        let mut state = self.state();
        if let Some(object) = state.objects.get_mut(key) {
            object.is_durable = true;
            return Ok(Created::Exists);
        }
        state.insert(key, bytes, true);
        Ok(Created::Created)
    }

    fn replace(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.state().insert(key, bytes, true);
        Ok(())
    }

    fn read(&self, key: &Key) -> Result<Bytes, StoreError> {
        read_whole(key, self.open(key)?)
    }

    fn open(&self, key: &Key) -> Result<Body, StoreError> {
        let bytes = self.get(key)?;
        Ok(Body::new(bytes.len() as u64, Cursor::new(bytes)))
    }

    fn open_range(&self, key: &Key, range: Range<u64>) -> Result<Body, StoreError> {
        let bytes = self.get(key)?;
        let range = cut_range(key, &range, bytes.len() as u64)?;
        let mut cursor = Cursor::new(bytes);
        cursor.set_position(range.start);
        Ok(Body::new(range.end - range.start, cursor))
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, StoreError> {
        Ok(self.state().objects.get(key).map(|object| object.bytes.len() as u64))
    }

    fn list(
        &self,
        prefix: &Prefix,
        visit: &mut dyn FnMut(Listed) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        // Copied, so that the visitor may use the store.
        let listed: Vec<_> = self
            .state()
            .objects
            .iter()
            .filter(|(key, _)| prefix.covers(key))
            .map(|(key, object)| Listed {
                key: key.clone(),
                size_bytes: object.bytes.len() as u64,
                modified: object.modified,
            })
            .collect();
        let _ = listed.into_iter().try_for_each(visit);
        Ok(())
    }

    fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        let mut state = self.state();
        for key in keys {
            state.objects.remove(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_takes_the_names_that_no_barrier_covered() {
        let store = Memory::new();
        let keys = ["a/1", "a/2", "a/3", "j/1"].map(|text| Key::new(text).unwrap());
        store.put_all(&keys[..3].iter().map(|key| (key.clone(), Bytes::new())).collect::<Vec<_>>()).unwrap();
        store.barrier(&keys[..1]).unwrap();
        store.create(&keys[3], Bytes::new()).unwrap();
        store.crash(|key| *key == keys[1]);
        let left = keys.iter().map(|key| store.size(key).unwrap().is_some()).collect::<Vec<_>>();
        assert_eq!(left, [true, true, false, true]);
    }
}

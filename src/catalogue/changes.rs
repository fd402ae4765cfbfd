//! Changes on their way into the catalogue: read your own writes, then all at once.

use super::CatalogueError;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// A buffer over the map: what is written here is seen here, and nowhere else until the batch is applied.
pub(super) struct Changes<'t> {
    tree: &'t sled::Tree,
    pending: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'t> Changes<'t> {
    pub(super) fn over(tree: &'t sled::Tree) -> Self {
        Self { tree, pending: BTreeMap::new() }
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, CatalogueError> {
        match self.pending.get(key) {
            Some(value) => Ok(value.clone()),
            None => Ok(self.tree.get(key)?.map(|value| value.to_vec())),
        }
    }

    pub(super) fn row<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, CatalogueError> {
        self.get(key)?.map(|bytes| serde_json::from_slice(&bytes).map_err(CatalogueError::Row)).transpose()
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.pending.insert(key, Some(value));
    }

    pub(super) fn put_row<T: Serialize>(&mut self, key: Vec<u8>, row: &T) -> Result<(), CatalogueError> {
        self.put(key, serde_json::to_vec(row).map_err(CatalogueError::Row)?);
        Ok(())
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.pending.insert(key, None);
    }

    /// Keys that begin with the prefix, also pending ones.
    pub(super) fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, CatalogueError> {
        let mut keys = std::collections::BTreeSet::new();
        for key in self.tree.scan_prefix(prefix).keys() {
            keys.insert(key?.to_vec());
        }
        for (key, value) in
            self.pending.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix))
        {
            if value.is_some() {
                keys.insert(key.clone())
            } else {
                keys.remove(key)
            };
        }
        Ok(keys.into_iter().collect())
    }

    /// Replaces the keys that stood for an old row by those of the new one.
    pub(super) fn index(&mut self, old: &[(Vec<u8>, Vec<u8>)], new: Vec<(Vec<u8>, Vec<u8>)>) {
        for (key, _) in old {
            if !new.iter().any(|(kept, _)| kept == key) {
                self.remove(key.clone());
            }
        }
        for entry in new {
            if !old.contains(&entry) {
                self.put(entry.0, entry.1);
            }
        }
    }

    pub(super) fn into_batch(self) -> sled::Batch {
        let mut batch = sled::Batch::default();
        for (key, value) in self.pending {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        batch
    }
}

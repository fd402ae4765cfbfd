//! Everything that lies in a tenant's folder, by name: what has a name of ours, and what has none.

use super::faults::Faults;
use super::report::{FaultKind, Sample};
use super::shards::Shards;
use crate::domain::{Digest, EntityId, EntityKind, object};
use crate::journal::Layout;
use crate::store::{Listed, ObjectStore, StoreError};
use jiff::Timestamp;
use std::collections::{BinaryHeap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// A payload that lies there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListedPayload {
    pub(crate) sha256: Digest,
    pub(crate) size: u64,
    /// When it was written, in milliseconds since 1970.
    pub(crate) modified: i64,
}

/// An original or a rendition that lies there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListedObject {
    pub(crate) owner: Uuid,
    pub(crate) sha256: Digest,
    pub(crate) size: u64,
    pub(crate) modified: i64,
}

/// What a tenant's folder holds.
#[derive(Debug)]
pub(crate) struct Listing {
    payloads: Shards<48>,
    objects: Shards<64>,
    /// Number of payloads, originals and renditions.
    pub(crate) count: u64,
    /// Commits behind the head that the walk starts with.
    pub(crate) later: Vec<u64>,
}

impl Listing {
    /// Lists the folder. Names that are none of ours are faults.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) fn read(
        store: &dyn ObjectStore,
        layout: &Layout,
        scratch: &Path,
        head: u64,
        faults: &Faults,
    ) -> Result<Self, StoreError> {
        let mut listing = Self {
            payloads: Shards::new(scratch),
            objects: Shards::new(scratch),
            count: 0,
            later: Vec::new(),
        };
        let mut outcome = Ok(());
        store.list(&layout.root(), &mut |listed| {
            outcome = listing.take(layout, head, &listed, faults);
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        outcome?;
        listing.later.sort_unstable();
        Ok(listing)
    }

    fn take(
        &mut self,
        layout: &Layout,
        head: u64,
        listed: &Listed,
        faults: &Faults,
    ) -> Result<(), StoreError> {
        let local = layout.local(&listed.key).unwrap_or_default();
        let modified = milliseconds(listed.modified);
        if let Some(seq) = Layout::seq_of(local) {
            // A few late ones tell of a gap as well as all of them.
            if seq > head && self.later.len() < 100_000 {
                self.later.push(seq);
            }
        } else if let Some(sha256) = payload(local) {
            let mut record = [0; 48];
            record[..32].copy_from_slice(sha256.as_bytes());
            record[32..40].copy_from_slice(&listed.size_bytes.to_be_bytes());
            record[40..].copy_from_slice(&modified.to_be_bytes());
            self.payloads.push(sha256.as_bytes()[0], &record).map_err(StoreError::staging)?;
            self.count += 1;
        } else if let Some((owner, sha256)) = original(local) {
            let mut record = [0; 64];
            record[..16].copy_from_slice(owner.as_bytes());
            record[16..48].copy_from_slice(sha256.as_bytes());
            record[48..56].copy_from_slice(&listed.size_bytes.to_be_bytes());
            record[56..].copy_from_slice(&modified.to_be_bytes());
            self.objects.push(owner.as_bytes()[15], &record).map_err(StoreError::staging)?;
            self.count += 1;
        } else {
            let detail = "Einen solchen Namen vergibt eakte nicht; das Objekt gehört nicht hierher.";
            faults.add(FaultKind::ForeignName, &listed.key, detail);
        }
        Ok(())
    }

    /// The payloads whose digest begins with this byte.
    pub(crate) fn payloads(&self, heap: u8) -> Result<Vec<ListedPayload>, StoreError> {
        let records = self.payloads.heap(heap).map_err(StoreError::staging)?;
        let read = |record: &[u8; 48]| ListedPayload {
            sha256: digest(&record[..32]),
            size: number(&record[32..40]),
            modified: number(&record[40..]).cast_signed(),
        };
        Ok(records.iter().map(read).collect())
    }

    /// The originals and renditions whose owner's id ends with this byte.
    pub(crate) fn objects(&self, heap: u8) -> Result<Vec<ListedObject>, StoreError> {
        let records = self.objects.heap(heap).map_err(StoreError::staging)?;
        let read = |record: &[u8; 64]| ListedObject {
            owner: Uuid::from_slice(&record[..16]).unwrap_or_default(),
            sha256: digest(&record[16..48]),
            size: number(&record[48..56]),
            modified: number(&record[56..]).cast_signed(),
        };
        Ok(records.iter().map(read).collect())
    }

    /// Chooses a sample of payloads (without an owner) and objects.
    pub(crate) fn choose(&self, sample: Sample) -> Result<HashSet<(Option<Uuid>, Digest)>, StoreError> {
        let count = usize::try_from(sample.count).unwrap_or(usize::MAX);
        let mut chosen = BinaryHeap::new();
        let mut offer = |owner: Option<Uuid>, sha256: Digest| {
            let mut text = sample.seed.to_be_bytes().to_vec();
            text.extend_from_slice(owner.unwrap_or_default().as_bytes());
            text.extend_from_slice(sha256.as_bytes());
            chosen.push((Digest::of(&text), owner, sha256));
            if chosen.len() > count {
                chosen.pop();
            }
        };
        for heap in 0..=u8::MAX {
            self.payloads(heap)?.iter().for_each(|listed| offer(None, listed.sha256));
            self.objects(heap)?.iter().for_each(|listed| offer(Some(listed.owner), listed.sha256));
        }
        Ok(chosen.into_iter().map(|(_, owner, sha256)| (owner, sha256)).collect())
    }
}

pub(super) fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(bytes.try_into().unwrap_or_default())
}

pub(super) fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().unwrap_or_default())
}

/// The payload that has this name below the tenant's folder.
pub(crate) fn payload(local: &str) -> Option<Digest> {
    let sha256: Digest = local.strip_prefix("e/")?.split_once('/')?.1.parse().ok()?;
    (object::payload_name(&sha256) == local).then_some(sha256)
}

/// The owner and digest that this name below the tenant's folder tells.
pub(crate) fn original(local: &str) -> Option<(Uuid, Digest)> {
    let name = local.strip_prefix("o/")?.split_once('/')?.1;
    let (owner, sha256) = (name.get(..36)?.parse().ok()?, name.get(37..)?.parse().ok()?);
    let owner_id = EntityId::new(EntityKind::Document, owner);
    (object::object_name(owner_id, &sha256) == local).then_some((owner, sha256))
}

/// Milliseconds since 1970.
fn milliseconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// How old something is, for people.
pub(crate) fn age(now: Timestamp, modified: i64) -> String {
    let seconds = (now.as_millisecond() - modified).max(0) / 1_000;
    match seconds {
        0..3_600 => format!("{} Minuten", seconds / 60),
        3_600..172_800 => format!("{} Stunden", seconds / 3_600),
        _ => format!("{} Tage", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        let owner = EntityId::new(EntityKind::Document, Uuid::from_u128(0xabcd));
        let sha256 = Digest::of(b"x");
        let name = object::object_name(owner, &sha256);
        assert_eq!(original(&name), Some((owner.id, sha256)));
        assert_eq!(original(&name.to_uppercase().replace("O/", "o/")), None);
        assert_eq!(original(&name.replace("o/cd", "o/ce")), None);
        assert_eq!(original(&name[..40]), None);
        let name = object::payload_name(&sha256);
        assert_eq!(payload(&name), Some(sha256));
        assert_eq!(payload(&name.replacen("e/2d", "e/2e", 1)), None);
    }
}

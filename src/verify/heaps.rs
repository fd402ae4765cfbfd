//! Records of the heaps, and what is done for each heap.

use super::chain::Leaf;
use super::listing::{digest, number};
use super::shards::Shards;
use crate::domain::digest::Hasher;
use crate::domain::{Digest, EntityId, EntityKind};
use crate::store::{Body, StoreError};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Bytes of an object that are read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// An object that an event names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    pub(crate) owner: EntityId,
    pub(crate) sha256: Digest,
    pub(crate) size: u64,
    pub(crate) position: u64,
}

/// Heaps for what the passes tell each other.
pub(crate) fn heaps(scratch: &Path) -> (Shards<48>, Shards<65>, Shards<30>) {
    (Shards::new(scratch), Shards::new(scratch), Shards::new(scratch))
}

/// A leaf as a record of a heap.
pub(crate) fn leaf_record(leaf: &Leaf) -> [u8; 48] {
    let mut record = [0; 48];
    record[..32].copy_from_slice(leaf.sha256.as_bytes());
    record[32..40].copy_from_slice(&leaf.position.to_be_bytes());
    record[40..].copy_from_slice(&leaf.seq.to_be_bytes());
    record
}

/// Reads [`leaf_record`] back.
pub(crate) fn leaf_of(record: &[u8; 48]) -> Leaf {
    Leaf { sha256: digest(&record[..32]), position: number(&record[32..40]), seq: number(&record[40..]) }
}

/// Something done for a heap, with a buffer.
type HeapAction<'a> = dyn Fn(u8, &mut [u8]) -> Result<(), StoreError> + Sync + 'a;

/// Does something for each of the 256 heaps, several at once, each thread with its own buffer.
///
/// # Errors
/// The first error; the others stop soon.
pub(crate) fn each_heap(threads: usize, action: &HeapAction<'_>) -> Result<(), StoreError> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut buffer = vec![0; BUFFER_BYTES];
                while let Ok(heap) = u8::try_from(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = action(heap, &mut buffer) {
                        next.store(256, Ordering::Relaxed);
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Digest and length of what a body gives.
///
/// # Errors
/// When it cannot be read to its end.
pub(crate) fn hash(body: &mut Body, buffer: &mut [u8]) -> io::Result<(Digest, u64)> {
    let (mut hasher, mut size) = (Hasher::new(), 0);
    loop {
        match body.read(buffer) {
            Ok(0) => return Ok((hasher.finish(), size)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn kind_byte(kind: EntityKind) -> u8 {
    let place = EntityKind::ALL.iter().position(|each| *each == kind);
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
}

pub(crate) fn named_record(named: &Named) -> [u8; 65] {
    let mut record = [0; 65];
    record[..16].copy_from_slice(named.owner.id.as_bytes());
    record[16..48].copy_from_slice(named.sha256.as_bytes());
    record[48..56].copy_from_slice(&named.size.to_be_bytes());
    record[56..64].copy_from_slice(&named.position.to_be_bytes());
    record[64] = kind_byte(named.owner.kind);
    record
}

pub(crate) fn named_of(record: &[u8; 65]) -> Named {
    let kind = EntityKind::ALL.get(usize::from(record[64])).copied().unwrap_or(EntityKind::Document);
    Named {
        owner: EntityId::new(kind, Uuid::from_slice(&record[..16]).unwrap_or_default()),
        sha256: digest(&record[16..48]),
        size: number(&record[48..56]),
        position: number(&record[56..64]),
    }
}

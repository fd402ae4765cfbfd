//! Copies a tenant from one store to another: objects and payloads first, then the commits that name them, so that
//! whatever the copy's journal says is there. What is there already is not copied again; what the journal says is
//! destroyed goes.

use super::manifest::Saved;
use crate::domain::event::Event;
use crate::domain::{Digest, EntityId, EntityKind};
use crate::journal::{Layout, Reader, payload};
use crate::store::{Bytes, Key, ObjectStore, StoreError};
use crate::verify::chain::{self, Chain, Erases, Leaf, Listener, Marks};
use crate::verify::faults::Faults;
use crate::verify::heaps::{Named, each_heap, leaf_of, leaf_record, named_of, named_record};
use crate::verify::listing::Listing;
use crate::verify::shards::Shards;
use crate::verify::{Fault, FaultKind, Progress};
use std::collections::{HashMap, HashSet};
use std::io::{self, Read as _, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Heaps copied at a time: their syncs overlap.
const THREADS: usize = 8;
/// Small objects written together.
const GROUP: usize = 64;

/// From where to where.
pub(super) struct Way<'a> {
    pub(super) from: &'a Arc<dyn ObjectStore>,
    pub(super) to: &'a Arc<dyn ObjectStore>,
    pub(super) layout: &'a Layout,
    /// A folder for what does not fit into memory.
    pub(super) scratch: &'a Path,
    /// The newest commit to be copied.
    pub(super) head: u64,
    /// What the copy holds already.
    pub(super) known: Option<Saved>,
}

/// What a copy came to.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) commits: u64,
    pub(super) size: u64,
    pub(super) root: Digest,
    /// Objects written, without commits.
    pub(super) written: u64,
    pub(super) written_bytes: u64,
    /// Destroyed objects that went.
    pub(super) removed: u64,
    /// What was missing or damaged at the source.
    pub(super) faults: Vec<Fault>,
    /// Whether the copy lacks nothing.
    pub(super) complete: bool,
}

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source is not the one that the copy was made of, or has lost commits.
    #[error(
        "Die Sicherung kennt eine andere oder längere Geschichte als die Quelle. Die Sicherung bleibt, wie sie ist; \
         bitte „eakte verify“ ausführen und prüfen, ob die Quelle Daten verloren hat."
    )]
    OtherHistory,
}

struct Copy<'a> {
    way: &'a Way<'a>,
    chain: Chain,
    there: Listing,
    leaves: Shards<48>,
    named: Shards<65>,
    destroyed: Mutex<HashSet<Uuid>>,
    /// What is to go once the commits are there.
    gone: Mutex<Vec<Key>>,
    /// Faults that a later erasure may explain, with the leaf they hang on and whether the copy lacks the thing.
    faults: Mutex<Vec<(u64, Fault, bool)>>,
    written: AtomicU64,
    bytes: AtomicU64,
    done: AtomicU64,
    total: AtomicU64,
    progress: &'a (dyn Fn(Progress) + Sync),
}

struct Notes {
    leaves: Shards<48>,
    faults: Vec<Fault>,
}

impl Listener for Notes {
    fn leaf(&mut self, leaf: Leaf) -> Result<(), StoreError> {
        self.leaves.push(leaf.sha256.as_bytes()[0], &leaf_record(&leaf)).map_err(StoreError::staging)
    }

    fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }
}

/// Copies one tenant.
pub(super) fn copy(way: &Way<'_>, progress: &(dyn Fn(Progress) + Sync)) -> Result<Copied, CopyError> {
    let marks = Marks { sizes: way.known.iter().map(|known| known.size).collect() };
    let mut notes = Notes { leaves: Shards::new(way.scratch), faults: Vec::new() };
    let chain = chain::walk(&**way.from, way.layout, way.head, THREADS, &marks, &mut notes)?;
    if let Some(known) = way.known
        && (known.commits > way.head || known.complete && chain.roots.get(&known.size) != Some(&known.root))
    {
        return Err(CopyError::OtherHistory);
    }
    // Foreign names at the destination are not ours to judge.
    let there = Listing::read(&**way.to, way.layout, way.scratch, way.head, &Faults::default())?;
    let leaves = chain.leaves;
    let copy = Copy {
        way,
        chain,
        there,
        leaves: notes.leaves,
        named: Shards::new(way.scratch),
        destroyed: Mutex::default(),
        gone: Mutex::default(),
        faults: Mutex::new(notes.faults.into_iter().map(|fault| (u64::MAX, fault, true)).collect()),
        written: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        done: AtomicU64::new(0),
        total: AtomicU64::new(leaves),
        progress,
    };
    each_heap(THREADS, &|heap, _| copy.payloads(heap))?;
    each_heap(THREADS, &|heap, buffer| copy.objects(heap, buffer))?;
    // Everything that the commits name is there. A crash here leaves a copy whose journal is shorter.
    copy.commits()?;
    // The copy's journal says so now: what is destroyed may go.
    let gone = std::mem::take(&mut *lock(&copy.gone));
    gone.chunks(1_000).try_for_each(|keys| way.to.delete(keys))?;
    let faults = copy.settle();
    Ok(Copied {
        commits: way.head,
        size: copy.chain.leaves,
        root: copy.chain.root,
        written: copy.written.into_inner(),
        written_bytes: copy.bytes.into_inner(),
        removed: gone.len() as u64,
        complete: !faults.iter().any(|(_, lacks)| *lacks),
        faults: faults.into_iter().map(|(fault, _)| fault).collect(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Copy<'_> {
    fn fault(&self, position: u64, kind: FaultKind, key: &Key, detail: &str, lacks: bool) {
        let detail = if lacks {
            detail.to_owned()
        } else {
            format!("{detail} Die Sicherung hat das Objekt von früher.")
        };
        lock(&self.faults).push((position, Fault { kind, object: key.to_string(), detail }, lacks));
    }

    fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let total = Some(self.total.load(Ordering::Relaxed));
        (self.progress)(Progress { done, total, bytes: self.bytes.load(Ordering::Relaxed) });
    }

    fn payloads(&self, heap: u8) -> Result<(), StoreError> {
        let there: HashMap<Digest, u64> =
            self.there.payloads(heap)?.iter().map(|listed| (listed.sha256, listed.size)).collect();
        let mut group = Vec::new();
        for record in self.leaves.heap(heap).map_err(StoreError::staging)? {
            let leaf = leaf_of(&record);
            let (key, present) = (self.way.layout.payload(&leaf.sha256), there.get(&leaf.sha256));
            if self.chain.erases.permitted_by(leaf.position).is_some() {
                if present.is_some() {
                    lock(&self.gone).push(key);
                }
            } else if let Some(bytes) = self.payload(&leaf, &key, present.is_some())? {
                self.events(&leaf, &bytes).map_err(StoreError::staging)?;
                if present != Some(&(bytes.len() as u64)) {
                    if present.is_some() {
                        self.way.to.delete(std::slice::from_ref(&key))?;
                    }
                    self.count(bytes.len() as u64);
                    group.push((key, bytes));
                }
            }
            self.step();
            if group.len() >= GROUP {
                self.put(&mut group)?;
            }
        }
        self.put(&mut group)
    }

    fn count(&self, bytes: u64) {
        self.written.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn put(&self, group: &mut Vec<(Key, Bytes)>) -> Result<(), StoreError> {
        if group.is_empty() {
            return Ok(());
        }
        self.way.to.put_all(group)?;
        self.way.to.barrier(&group.drain(..).map(|(key, _)| key).collect::<Vec<_>>())
    }

    /// A payload's bytes: from the source, or, where they are lost there, from the copy.
    fn payload(&self, leaf: &Leaf, key: &Key, present: bool) -> Result<Option<Bytes>, StoreError> {
        let read = |store: &dyn ObjectStore| match store.read(key) {
            Ok(bytes) if Digest::of(&bytes) == leaf.sha256 => Ok(Ok(bytes)),
            Ok(_) | Err(StoreError::TooLarge { .. }) => {
                Ok(Err((FaultKind::PayloadDamaged, "Die Ereignisdaten haben eine andere Prüfsumme.")))
            }
            Err(StoreError::Missing(_)) => Ok(Err((FaultKind::PayloadMissing, "Die Ereignisdaten fehlen."))),
            Err(StoreError::Io { .. }) => {
                Ok(Err((FaultKind::ObjectUnreadable, "Die Ereignisdaten sind nicht lesbar.")))
            }
            Err(error) => Err(error),
        };
        match read(&**self.way.from)? {
            Ok(bytes) => Ok(Some(bytes)),
            Err((kind, detail)) => {
                let saved = if present { read(&**self.way.to)?.ok() } else { None };
                self.fault(leaf.position, kind, key, detail, saved.is_none());
                Ok(saved)
            }
        }
    }

    fn events(&self, leaf: &Leaf, bytes: &[u8]) -> io::Result<()> {
        let Ok(events) = payload::read(bytes) else {
            let key = self.way.layout.payload(&leaf.sha256);
            let detail = "Die Ereignisdaten sind nicht lesbar; was sie nennen, ist nicht gesichert.";
            self.fault(leaf.position, FaultKind::PayloadUnreadable, &key, detail, true);
            return Ok(());
        };
        for recorded in events {
            if let Event::ErasurePermitted(data) = &recorded.event {
                lock(&self.destroyed).extend(data.entities.iter().map(|entity| entity.id));
            }
            let owner = recorded.entity;
            for object in &recorded.objects {
                self.total.fetch_add(1, Ordering::Relaxed);
                let (sha256, size) = (object.sha256, object.size);
                let named = Named { owner, sha256, size, position: leaf.position };
                self.named.push(owner.id.as_bytes()[15], &named_record(&named))?;
            }
        }
        Ok(())
    }

    fn objects(&self, heap: u8, buffer: &mut [u8]) -> Result<(), StoreError> {
        let mut there: HashMap<(Uuid, Digest), u64> = HashMap::new();
        for listed in self.there.objects(heap)? {
            there.insert((listed.owner, listed.sha256), listed.size);
        }
        let (mut written, mut seen) = (Vec::new(), HashSet::new());
        for record in self.named.heap(heap).map_err(StoreError::staging)? {
            let named = named_of(&record);
            self.step();
            if !seen.insert((named.owner.id, named.sha256)) {
                continue;
            }
            let present = there.remove(&(named.owner.id, named.sha256));
            if present == Some(named.size) {
                continue;
            }
            let key = self.way.layout.object(named.owner, &named.sha256);
            if present.is_some() {
                self.way.to.delete(std::slice::from_ref(&key))?;
            }
            if self.object(&named, &key, buffer)? {
                written.push(key);
            }
            if written.len() >= GROUP {
                self.way.to.barrier(&std::mem::take(&mut written))?;
            }
        }
        self.way.to.barrier(&written)?;
        let destroyed = lock(&self.destroyed);
        for (owner, sha256) in there.into_keys().filter(|(owner, _)| destroyed.contains(owner)) {
            let owner = EntityId::new(EntityKind::Document, owner);
            lock(&self.gone).push(self.way.layout.object(owner, &sha256));
        }
        Ok(())
    }

    /// Copies an object, hashing it on the way; false when the source has not got it as it should be.
    fn object(&self, named: &Named, key: &Key, buffer: &mut [u8]) -> Result<bool, StoreError> {
        let refuse = |kind, detail: &str| {
            self.fault(named.position, kind, key, detail, true);
            Ok(false)
        };
        let mut body = match self.way.from.open(key) {
            Ok(body) => body,
            Err(StoreError::Missing(_)) => return refuse(FaultKind::ObjectMissing, "Das Objekt fehlt."),
            Err(StoreError::Io { .. }) => {
                return refuse(FaultKind::ObjectUnreadable, "Das Objekt ist nicht lesbar.");
            }
            Err(error) => return Err(error),
        };
        let mut staging = self.way.to.stage()?;
        loop {
            match body.read(buffer) {
                Ok(0) => break,
                Ok(count) => staging.write_all(&buffer[..count]).map_err(StoreError::staging)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return refuse(FaultKind::ObjectUnreadable, "Das Objekt ist nicht lesbar."),
            }
        }
        if staging.size_bytes() != named.size {
            return refuse(FaultKind::ObjectDamaged, "Das Objekt hat eine andere Länge.");
        }
        let staged = staging.finish()?;
        if staged.digest() != named.sha256 {
            return refuse(FaultKind::ObjectDamaged, "Das Objekt hat eine andere Prüfsumme.");
        }
        self.way.to.publish(&staged, key)?;
        self.count(named.size);
        Ok(true)
    }

    /// Copies the commits that are not there, in order.
    fn commits(&self) -> Result<(), CopyError> {
        let Way { from, to, layout, head, known, .. } = self.way;
        let known = known.map_or(0, |known| known.commits);
        if *head == 0 {
            return Ok(());
        }
        let read = |seq: u64| {
            if seq > *head {
                return Ok(None);
            }
            let key = layout.commit(seq);
            // Those of an earlier backup are known to be the same: their root is.
            if seq <= known && to.size(&key)?.is_some() {
                return Ok(None);
            }
            match from.read(&key) {
                Ok(bytes) => Ok(Some((key, bytes))),
                Err(StoreError::Missing(_) | StoreError::TooLarge { .. } | StoreError::Io { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let (mut group, mut outcome) = (Vec::new(), Ok(()));
        crate::journal::ahead::in_order(THREADS, 256, 1, &read, &mut |seq, found| {
            outcome = found.and_then(|found| {
                group.extend(found);
                if group.len() >= GROUP || seq == *head { self.put(&mut group) } else { Ok(()) }
            });
            if outcome.is_err() || seq == *head { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        outcome.map_err(|error| match error {
            StoreError::Occupied(_) => CopyError::OtherHistory,
            other => other.into(),
        })
    }

    /// Takes back what an erasure that was permitted meanwhile explains.
    fn settle(&self) -> Vec<(Fault, bool)> {
        let faults = std::mem::take(&mut *lock(&self.faults));
        let mut ranges = Vec::new();
        if !faults.is_empty() {
            let reader = Reader::new(self.way.from.clone(), self.way.layout.clone());
            let mut seq = self.way.head + 1;
            while let Ok(Some((commit, _))) = reader.commit(seq) {
                ranges.extend(commit.erases.into_iter().map(|range| (range, seq)));
                seq += 1;
            }
        }
        let later = Erases::new(ranges);
        let open = faults.into_iter().filter(|(position, ..)| later.permitted_by(*position).is_none());
        let mut open: Vec<_> = open.map(|(_, fault, lacks)| (fault, lacks)).collect();
        open.sort();
        open
    }
}

//! Compares what lies in the store with what the journal names: first all payloads, then all objects, each a heap
//! at a time, so that memory stays the same however many there are.

use super::Depth;
use super::chain::{Chain, Leaf};
use super::faults::Faults;
use super::heaps::{Named, each_heap, hash, kind_byte, leaf_of, named_of, named_record};
use super::listing::{Listing, number};
use super::projections::View;
use super::report::{Fault, FaultKind, Progress};
use super::shards::Shards;
use crate::domain::event::{Event, LeafRange, Recorded};
use crate::domain::{Digest, EntityId, EntityKind};
use crate::journal::Layout;
use crate::journal::payload::{self, PayloadError};
use crate::store::{ObjectStore, StoreError};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Which objects are read again.
#[derive(Debug)]
pub(crate) enum Scope {
    /// All.
    All,
    /// Those of leaves from this position on.
    From(u64),
    /// These: payloads have no owner here.
    Chosen(HashSet<(Option<Uuid>, Digest)>),
}

/// What the events say about erasing.
#[derive(Debug, Default)]
pub(crate) struct Erasing {
    /// Destroyed entities by id, with the commit that allowed it.
    pub(crate) destroyed: HashMap<Uuid, u64>,
    /// Commits whose erasure is complete.
    pub(crate) completed: HashSet<u64>,
    /// What each commit's event allows to vanish.
    pub(super) permitted: BTreeMap<u64, Vec<LeafRange>>,
}

/// What the passes found out beside faults.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Names that nothing mentions, with their time.
    pub(crate) strays: BTreeMap<String, i64>,
    /// Documents that live, if the whole journal could be read.
    pub(crate) documents: Option<u64>,
    /// Whether the whole journal could be read.
    pub(crate) legible: bool,
}

/// One check under way.
pub(crate) struct Check<'a> {
    pub(crate) store: &'a Arc<dyn ObjectStore>,
    pub(crate) layout: &'a Layout,
    pub(crate) chain: Chain,
    pub(crate) head: u64,
    pub(crate) listing: Listing,
    pub(crate) scope: Scope,
    pub(crate) depth: Depth,
    pub(crate) threads: usize,
    pub(crate) view: Option<View>,
    pub(crate) now: Timestamp,
    /// Objects written since are not looked at; milliseconds since 1970 by the store's clock.
    pub(crate) started: i64,
    pub(crate) progress: &'a (dyn Fn(Progress) + Sync),
    pub(crate) total: u64,
    pub(crate) leaves: Shards<48>,
    pub(crate) named: Shards<65>,
    pub(crate) entities: Shards<30>,
    pub(crate) faults: Faults,
    pub(crate) notices: Faults,
    pub(crate) erasing: Mutex<Erasing>,
    /// Faults that a commit made meanwhile may explain: the leaf they hang on.
    pub(crate) open: Mutex<Vec<(u64, Fault)>>,
    /// Names that nothing mentions so far, with their time.
    pub(crate) strays: Mutex<BTreeMap<String, i64>>,
    pub(crate) done: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Documents that live.
    pub(crate) documents: AtomicU64,
}

/// What an event does to its entity's life: whether it begins it, and of what kind the entity must be.
fn role(event: &Event) -> (bool, Option<EntityKind>) {
    match event {
        Event::TenantCreated(_) => (true, Some(EntityKind::Tenant)),
        Event::AccountCreated(_) => (true, Some(EntityKind::Account)),
        Event::UnitCreated(_) => (true, Some(EntityKind::Unit)),
        Event::PlanUnitCreated(_) => (true, Some(EntityKind::PlanUnit)),
        Event::CaseFileOpened(_) => (true, Some(EntityKind::CaseFile)),
        Event::BatchOpened(_) => (true, Some(EntityKind::Batch)),
        Event::DocumentReceived(_) => (true, Some(EntityKind::Document)),
        Event::CaseFileClosed(_) => (false, Some(EntityKind::CaseFile)),
        Event::FilesRejected(_) | Event::BatchClosed(_) => (false, Some(EntityKind::Batch)),
        Event::DuplicateArrived(_)
        | Event::VersionAdded(_)
        | Event::DocumentFiled(_)
        | Event::DocumentDigitised(_) => (false, Some(EntityKind::Document)),
        Event::ErasurePermitted(_) | Event::ErasureCompleted(_) | Event::ObjectsSwept(_) => {
            (false, Some(EntityKind::Tenant))
        }
        Event::NumberDrawn(_) => (false, None),
    }
}

/// What the heap of an owner's id knows about one entity.
#[derive(Debug, Default)]
struct Entity {
    kind: Option<EntityKind>,
    events: u64,
    first: u64,
    begins_well: bool,
    begins_again: bool,
    objects: Vec<Digest>,
}

impl Check<'_> {
    pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, position: u64, kind: FaultKind, object: &impl ToString, detail: impl Into<String>) {
        let fault = Fault { kind, object: object.to_string(), detail: detail.into() };
        Self::lock(&self.open).push((position, fault));
    }

    fn count(&self, bytes: u64) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.progress)(Progress { done, total: Some(self.total), bytes });
    }

    /// Whether everything is looked at, so that what nothing names is known to be a stray.
    pub(super) fn is_full(&self) -> bool {
        matches!(self.scope, Scope::All)
    }

    /// Both passes, and what follows from them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) fn run(&self) -> Result<Outcome, StoreError> {
        each_heap(self.threads, &|heap, _| self.payloads(heap))?;
        let legible = self.is_legible();
        each_heap(self.threads, &|heap, buffer| self.objects(heap, legible, buffer))?;
        self.erasures();
        let documents = legible.then(|| self.documents.load(Ordering::Relaxed));
        Ok(Outcome { strays: self.settle(), documents, legible })
    }

    fn payloads(&self, heap: u8) -> Result<(), StoreError> {
        let mut listed = HashMap::new();
        for found in self.listing.payloads(heap)? {
            listed.insert(found.sha256, found);
        }
        let mut seen = HashMap::new();
        for record in self.leaves.heap(heap).map_err(StoreError::staging)? {
            let leaf = leaf_of(&record);
            if let Some(first) = seen.insert(leaf.sha256, leaf.position) {
                let detail =
                    format!("Die Positionen {first} und {} nennen dieselben Ereignisdaten.", leaf.position);
                self.faults.add(FaultKind::PayloadRepeated, self.layout.payload(&leaf.sha256), detail);
                continue;
            }
            let found = listed.remove(&leaf.sha256);
            let wanted = match &self.scope {
                Scope::All => true,
                Scope::From(position) => leaf.position >= *position,
                Scope::Chosen(chosen) => chosen.contains(&(None, leaf.sha256)),
            };
            if let Some(permit) = self.chain.erases.permitted_by(leaf.position) {
                if found.is_some() {
                    self.erased_is_there(permit, &self.layout.payload(&leaf.sha256));
                }
                if let Some(view) = self.view.as_ref().filter(|_| self.is_full()) {
                    view.check_erased(leaf.position, permit, &self.faults);
                }
            } else if wanted {
                self.payload(&leaf)?;
            } else if found.is_none() {
                self.payload_missing(&leaf);
            }
        }
        if self.is_full() {
            for found in listed.into_values().filter(|found| found.modified < self.started) {
                let key = self.layout.payload(&found.sha256);
                self.stray(self.layout.local(&key).unwrap_or_default(), found.modified);
            }
        }
        Ok(())
    }

    fn erased_is_there(&self, permit: u64, key: &impl ToString) {
        // Sorted out when all events are read: only then is it known whether the erasure is complete.
        let detail = format!("{permit}");
        let fault = Fault { kind: FaultKind::ErasedPresent, object: key.to_string(), detail };
        Self::lock(&self.open).push((u64::MAX, fault));
    }

    fn payload_missing(&self, leaf: &Leaf) {
        let detail = format!(
            "Die Ereignisdaten zu Position {} (Journaleintrag {}) fehlen, ohne dass das Journal ihre Löschung erlaubt.",
            leaf.position, leaf.seq
        );
        self.open(leaf.position, FaultKind::PayloadMissing, &self.layout.payload(&leaf.sha256), detail);
    }

    fn payload(&self, leaf: &Leaf) -> Result<(), StoreError> {
        let key = self.layout.payload(&leaf.sha256);
        let bytes = match self.store.read(&key) {
            Ok(bytes) => bytes,
            Err(StoreError::Missing(_)) => {
                self.payload_missing(leaf);
                return Ok(());
            }
            Err(error @ StoreError::TooLarge { .. }) => {
                self.faults.add(FaultKind::PayloadDamaged, &key, format!("{error}."));
                return Ok(());
            }
            Err(error @ StoreError::Io { .. }) => {
                self.faults.add(FaultKind::ObjectUnreadable, &key, format!("{error}."));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.count(bytes.len() as u64);
        if Digest::of(&bytes) != leaf.sha256 {
            let detail = format!(
                "Die Ereignisdaten zu Position {} haben nicht die Prüfsumme, die das Journal nennt.",
                leaf.position
            );
            self.faults.add(FaultKind::PayloadDamaged, &key, detail);
            return Ok(());
        }
        match payload::read(&bytes) {
            Ok(events) => self.events(leaf, &events).map_err(StoreError::staging),
            Err(error) => {
                // The parser's own words may quote content; ours do not.
                let detail = match &error {
                    PayloadError::Line { line, .. } => {
                        format!("Zeile {line} der Ereignisdaten ist nicht lesbar.")
                    }
                    other => format!("{other}."),
                };
                self.faults.add(FaultKind::PayloadUnreadable, &key, detail);
                Ok(())
            }
        }
    }

    fn events(&self, leaf: &Leaf, events: &[Recorded]) -> io::Result<()> {
        let Some(first) = events.first() else { return Ok(()) };
        let owner = first.entity;
        let mut flags = u8::from(role(&first.event).0);
        for (at, recorded) in events.iter().enumerate() {
            let (begins, kind) = role(&recorded.event);
            if kind.is_some_and(|kind| kind != owner.kind) {
                let detail = format!("Ein Ereignis passt nicht zu {owner}.");
                self.faults.add(FaultKind::EventOrder, self.layout.payload(&leaf.sha256), detail);
            }
            if begins && at > 0 {
                flags |= 2;
            }
            match &recorded.event {
                Event::ErasurePermitted(data) => {
                    let mut erasing = Self::lock(&self.erasing);
                    erasing.destroyed.extend(data.entities.iter().map(|entity| (entity.id, leaf.seq)));
                    erasing.permitted.entry(leaf.seq).or_default().extend(data.leaves.iter().cloned());
                }
                Event::ErasureCompleted(data) => {
                    Self::lock(&self.erasing).completed.insert(data.permitted_by);
                }
                _ => {}
            }
            for object in &recorded.objects {
                let named =
                    Named { owner, sha256: object.sha256, size: object.size, position: leaf.position };
                self.named.push(owner.id.as_bytes()[15], &named_record(&named))?;
            }
        }
        let mut record = [0; 30];
        record[..16].copy_from_slice(owner.id.as_bytes());
        record[16] = kind_byte(owner.kind);
        record[17..25].copy_from_slice(&leaf.position.to_be_bytes());
        record[25..29].copy_from_slice(&u32::try_from(events.len()).unwrap_or(u32::MAX).to_be_bytes());
        record[29] = flags;
        self.entities.push(owner.id.as_bytes()[15], &record)?;
        if let Some(view) = self.view.as_ref().filter(|_| self.is_full())
            && let Some(fault) = view.check_leaf(leaf, owner)
        {
            Self::lock(&self.open).push((leaf.position, fault));
        }
        Ok(())
    }

    fn objects(&self, heap: u8, legible: bool, buffer: &mut [u8]) -> Result<(), StoreError> {
        let mut listed = HashMap::new();
        for found in self.listing.objects(heap)? {
            listed.insert((found.owner, found.sha256), found);
        }
        let mut entities = self.entities(heap)?;
        let mut seen = HashSet::new();
        for record in self.named.heap(heap).map_err(StoreError::staging)? {
            let named = named_of(&record);
            if let Some(entity) = entities.get_mut(&named.owner.id) {
                entity.objects.push(named.sha256);
            }
            listed.remove(&(named.owner.id, named.sha256));
            // A sample reads what it chose, below; what a chosen payload names must at least be there.
            let is_chosen = !matches!(self.scope, Scope::Chosen(_));
            if self.depth == Depth::Bytes && seen.insert((named.owner.id, named.sha256)) {
                self.object(&named, is_chosen, buffer)?;
            }
        }
        match &self.scope {
            Scope::All => {
                if legible {
                    self.orders(&entities);
                }
                for found in listed.into_values() {
                    self.unnamed(found.owner, &found.sha256, found.modified);
                }
            }
            Scope::From(_) => {}
            Scope::Chosen(chosen) => {
                for found in self.listing.objects(heap)? {
                    if chosen.contains(&(Some(found.owner), found.sha256)) {
                        let owner = EntityId::new(EntityKind::Document, found.owner);
                        let named =
                            Named { owner, sha256: found.sha256, size: found.size, position: u64::MAX };
                        self.object(&named, true, buffer)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn object(&self, named: &Named, read: bool, buffer: &mut [u8]) -> Result<(), StoreError> {
        let key = self.layout.object(named.owner, &named.sha256);
        let missing = || {
            let detail = format!(
                "Das Objekt fehlt, ohne dass das Journal seine Löschung erlaubt (Position {}).",
                named.position
            );
            self.open(named.position, FaultKind::ObjectMissing, &key, detail);
        };
        let mut body = match self.store.open(&key) {
            Ok(body) => body,
            Err(StoreError::Missing(_)) => {
                missing();
                return Ok(());
            }
            Err(error @ StoreError::Io { .. }) => {
                self.faults.add(FaultKind::ObjectUnreadable, &key, format!("{error}."));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let size = body.size_bytes();
        if size != named.size {
            let detail = format!("Das Objekt hat {size} Byte statt {}.", named.size);
            self.faults.add(FaultKind::ObjectDamaged, &key, detail);
            return Ok(());
        }
        if !read {
            return Ok(());
        }
        match hash(&mut body, buffer) {
            Ok((found, size)) => {
                self.count(size);
                if found != named.sha256 {
                    let detail = format!("Das Objekt hat die Prüfsumme {found}.");
                    self.faults.add(FaultKind::ObjectDamaged, &key, detail);
                }
            }
            Err(error) => {
                let error = StoreError::Io { action: "lesen", object: key.to_string(), source: error };
                self.faults.add(FaultKind::ObjectUnreadable, &key, format!("{error}."));
            }
        }
        Ok(())
    }

    /// An object that no event names.
    fn unnamed(&self, owner: Uuid, sha256: &Digest, modified: i64) {
        let key = self.layout.object(EntityId::new(EntityKind::Document, owner), sha256);
        let permit = Self::lock(&self.erasing).destroyed.get(&owner).copied();
        match permit {
            Some(permit) => self.erased_is_there(permit, &key),
            None if modified < self.started => {
                self.stray(self.layout.local(&key).unwrap_or_default(), modified);
            }
            None => {}
        }
    }

    fn stray(&self, local: &str, modified: i64) {
        let mut strays = Self::lock(&self.strays);
        if strays.len() < 1_000_000 {
            strays.insert(local.to_owned(), modified);
        }
    }

    fn entities(&self, heap: u8) -> Result<HashMap<Uuid, Entity>, StoreError> {
        let mut entities = HashMap::<Uuid, Entity>::new();
        for record in self.entities.heap(heap).map_err(StoreError::staging)? {
            let position = number(&record[17..25]);
            let begins = record[29] & 1 != 0;
            let entity = entities.entry(Uuid::from_slice(&record[..16]).unwrap_or_default()).or_default();
            entity.begins_again |= record[29] & 2 != 0;
            if entity.events == 0 {
                entity.kind = EntityKind::ALL.get(usize::from(record[16])).copied();
                (entity.first, entity.begins_well) = (position, begins);
            } else if position < entity.first {
                // Two beginnings: the one that comes later in the journal is the fault.
                entity.begins_again |= entity.begins_well;
                (entity.first, entity.begins_well) = (position, begins);
            } else {
                entity.begins_again |= begins;
            }
            entity.events += number(&[&[0; 4], &record[25..29]].concat());
        }
        Ok(entities)
    }

    /// Whether the whole journal could be read. If not, a payload may hold what seems to be missing elsewhere: its
    /// own fault says enough.
    fn is_legible(&self) -> bool {
        let damaged = self.faults.has(&[
            FaultKind::PayloadDamaged,
            FaultKind::PayloadUnreadable,
            FaultKind::PayloadRepeated,
            FaultKind::ObjectUnreadable,
        ]);
        let missing = Self::lock(&self.open).iter().any(|(_, fault)| fault.kind == FaultKind::PayloadMissing);
        self.chain.whole && !damaged && !missing
    }

    fn orders(&self, entities: &HashMap<Uuid, Entity>) {
        let documents = entities.values().filter(|facts| facts.kind == Some(EntityKind::Document)).count();
        self.documents.fetch_add(documents as u64, Ordering::Relaxed);
        for (id, facts) in entities {
            let Some(kind) = facts.kind else { continue };
            let entity = EntityId::new(kind, *id);
            if facts.begins_again {
                let detail = "Die Geschichte des Gegenstands beginnt zweimal.";
                self.open(facts.first, FaultKind::EventOrder, &entity, detail);
            } else if !facts.begins_well {
                let detail = format!(
                    "Die Geschichte des Gegenstands beginnt mitten darin (Position {}).",
                    facts.first
                );
                self.open(facts.first, FaultKind::EventOrder, &entity, detail);
            }
            if let Some(view) = &self.view
                && let Some(fault) =
                    view.check_entity(entity, facts.events, facts.first, &facts.objects, self.head)
            {
                Self::lock(&self.open).push((facts.first, fault));
            }
        }
    }
}

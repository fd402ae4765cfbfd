//! A projection as simple as can be, written without a look at the catalogue.

use eakte::domain::event::{Event, LeafRange};
use eakte::domain::guard::{CounterKey, Guard, UniqueKey};
use eakte::domain::{CaseFileId, Digest, EntityId};
use eakte::journal::{Applied, CommitRecord, Life, Projection, ProjectionError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A permitted erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    pub entities: Vec<EntityId>,
    pub leaves: Vec<LeafRange>,
    pub is_complete: bool,
}

/// What follows from the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub applied: Applied,
    pub lives: BTreeMap<EntityId, Life>,
    pub owners: BTreeMap<UniqueKey, EntityId>,
    pub counters: BTreeMap<CounterKey, u64>,
    /// Positions of an entity's leaves.
    pub leaves: BTreeMap<EntityId, BTreeSet<u64>>,
    /// Payloads by position.
    pub payloads: Vec<Digest>,
    /// Where a document lies, and the digest of its first version.
    pub places: BTreeMap<EntityId, (Option<CaseFileId>, Digest)>,
    /// By the commit that permitted it.
    pub erasures: BTreeMap<u64, Erasure>,
}

impl Facts {
    pub fn apply(&mut self, record: &CommitRecord) {
        for leaf in &record.leaves {
            self.payloads.push(leaf.payload);
            for recorded in leaf.events.iter().flatten() {
                self.leaves.entry(recorded.entity).or_default().insert(leaf.position);
                self.event(record.seq, recorded.entity, &recorded.event, &recorded.objects);
            }
        }
        self.applied = record.advance(&self.applied);
    }

    /// One event.
    pub fn event(&mut self, seq: u64, entity: EntityId, event: &Event, objects: &[eakte::domain::ObjectRef]) {
        let effects = event.effects(objects);
        for key in effects.releases {
            if self.owners.get(&key) == Some(&entity) {
                self.owners.remove(&key);
            }
        }
        for key in effects.claims {
            self.owners.insert(key, entity);
        }
        if let Some((scope, value)) = effects.counter {
            let last = self.counters.entry(CounterKey { owner: entity, scope }).or_default();
            *last = value.max(*last);
        }
        let life = self.lives.entry(entity).or_default();
        life.version += 1;
        life.epoch += u64::from(effects.moves_life_cycle);
        match event {
            Event::DocumentReceived(data) => {
                self.places.insert(entity, (data.case_file, objects[0].sha256));
            }
            Event::DocumentFiled(data) => {
                self.places.insert(entity, (Some(data.case_file), data.sha256));
            }
            Event::ErasurePermitted(data) => {
                for entity in &data.entities {
                    self.lives.remove(entity);
                    self.leaves.remove(entity);
                    self.places.remove(entity);
                    self.owners.retain(|_, owner| owner != entity);
                }
                let erasure = Erasure {
                    entities: data.entities.clone(),
                    leaves: data.leaves.clone(),
                    is_complete: false,
                };
                self.erasures.insert(seq, erasure);
            }
            Event::ErasureCompleted(data) => {
                if let Some(erasure) = self.erasures.get_mut(&data.permitted_by) {
                    erasure.is_complete = true;
                }
            }
            _ => {}
        }
    }

    /// Whether a guard holds now.
    pub fn holds(&self, guard: &Guard) -> bool {
        match guard {
            Guard::Version(entity, version) => {
                self.lives.get(entity).map_or(0, |life| life.version) == *version
            }
            Guard::Epoch(entity, epoch) => self.lives.get(entity).is_some_and(|life| life.epoch == *epoch),
            Guard::Vacant(key) => !self.owners.contains_key(key),
        }
    }
}

/// The projection of one writer.
#[derive(Debug)]
pub struct Model {
    facts: Mutex<Facts>,
    forgets_counters: bool,
}

impl Model {
    pub fn new(facts: Facts, forgets_counters: bool) -> Self {
        Self { facts: Mutex::new(facts), forgets_counters }
    }

    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Projection for Model {
    fn applied(&self) -> Result<Applied, ProjectionError> {
        Ok(self.facts().applied.clone())
    }

    fn life(&self, entity: EntityId) -> Result<Option<Life>, ProjectionError> {
        Ok(self.facts().lives.get(&entity).copied())
    }

    fn owner(&self, key: &UniqueKey) -> Result<Option<EntityId>, ProjectionError> {
        Ok(self.facts().owners.get(key).copied())
    }

    fn counter(&self, counter: &CounterKey) -> Result<u64, ProjectionError> {
        if self.forgets_counters {
            return Ok(0);
        }
        Ok(self.facts().counters.get(counter).copied().unwrap_or(0))
    }

    fn apply(&self, commits: &[CommitRecord]) -> Result<(), ProjectionError> {
        let mut facts = self.facts();
        for record in commits {
            facts.apply(record);
        }
        Ok(())
    }
}

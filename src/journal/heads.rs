//! The journal's head as guards see it: the projection plus what earlier members of the same group will do.

use super::projection::{Life, Projection, ProjectionError};
use super::{AppendError, MAX_EVENTS};
use crate::domain::EntityId;
use crate::domain::decision::{NewEvent, Numbers};
use crate::domain::event::Event;
use crate::domain::guard::{CounterKey, Guard, UniqueKey};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Changes on top of a projection.
#[derive(Clone, Debug, Default)]
struct Changes {
    /// None: erased.
    lives: BTreeMap<EntityId, Option<Life>>,
    owners: BTreeMap<UniqueKey, Option<EntityId>>,
    counters: BTreeMap<CounterKey, u64>,
}

/// The head while a group of commands is decided.
pub(super) struct Heads<'p> {
    projection: &'p dyn Projection,
    members: Changes,
}

impl<'p> Heads<'p> {
    pub(super) fn new(projection: &'p dyn Projection) -> Self {
        Self { projection, members: Changes::default() }
    }

    /// Checks a command's guards, decides it, and checks what it claims. A refused command leaves no trace.
    pub(super) fn decide(
        &mut self,
        guards: &[Guard],
        decide: &mut dyn FnMut(&mut dyn Numbers) -> Vec<NewEvent>,
    ) -> Result<Vec<NewEvent>, AppendError> {
        let mut view = View { heads: self, own: Changes::default(), failure: None };
        for guard in guards {
            view.check(guard)?;
        }
        // Whoever decides is not of this module: its fault must not end the writer of all the others. What it drew and
        // claimed is dropped with the view.
        let events =
            catch_unwind(AssertUnwindSafe(|| decide(&mut view))).map_err(|_| AppendError::Panicked)?;
        if let Some(error) = view.failure.take() {
            return Err(error.into());
        }
        if !(1..=MAX_EVENTS).contains(&events.len()) {
            return Err(AppendError::TooMany(events.len()));
        }
        for new in &events {
            view.take(new)?;
        }
        let own = view.own;
        self.members.lives.extend(own.lives);
        self.members.owners.extend(own.owners);
        self.members.counters.extend(own.counters);
        Ok(events)
    }
}

/// One command's view: the head plus its own events so far.
struct View<'h, 'p> {
    heads: &'h Heads<'p>,
    own: Changes,
    failure: Option<ProjectionError>,
}

impl View<'_, '_> {
    fn life(&self, entity: EntityId) -> Result<Option<Life>, ProjectionError> {
        match self.own.lives.get(&entity).or_else(|| self.heads.members.lives.get(&entity)) {
            Some(life) => Ok(*life),
            None => self.heads.projection.life(entity),
        }
    }

    fn owner(&self, key: &UniqueKey) -> Result<Option<EntityId>, ProjectionError> {
        match self.own.owners.get(key).or_else(|| self.heads.members.owners.get(key)) {
            Some(owner) => Ok(*owner),
            None => self.heads.projection.owner(key),
        }
    }

    fn counter(&self, counter: &CounterKey) -> Result<u64, ProjectionError> {
        match self.own.counters.get(counter).or_else(|| self.heads.members.counters.get(counter)) {
            Some(value) => Ok(*value),
            None => self.heads.projection.counter(counter),
        }
    }

    fn check(&self, guard: &Guard) -> Result<(), AppendError> {
        let holds = match guard {
            Guard::Version(entity, version) => self.life(*entity)?.map_or(0, |life| life.version) == *version,
            Guard::Epoch(entity, epoch) => self.life(*entity)?.is_some_and(|life| life.epoch == *epoch),
            Guard::Vacant(key) => match self.owner(key)? {
                Some(owner) => return Err(AppendError::Taken { key: key.clone(), owner }),
                None => true,
            },
        };
        if holds { Ok(()) } else { Err(AppendError::Stale(guard.clone())) }
    }

    fn take(&mut self, new: &NewEvent) -> Result<(), AppendError> {
        let effects = new.event.effects(&new.objects);
        for key in effects.releases {
            self.own.owners.insert(key, None);
        }
        for key in effects.claims {
            if let Some(owner) = self.owner(&key)? {
                return Err(AppendError::Taken { key, owner });
            }
            self.own.owners.insert(key, Some(new.entity));
        }
        if let Some((scope, value)) = effects.counter {
            let counter = CounterKey { owner: new.entity, scope };
            // `draw` has moved the counter already; a number taken over from an import moves it here.
            let last = self.counter(&counter)?;
            self.own.counters.insert(counter, last.max(value));
        }
        let mut life = self.life(new.entity)?.unwrap_or_default();
        life.version += 1;
        life.epoch += u64::from(effects.moves_life_cycle);
        self.own.lives.insert(new.entity, Some(life));
        if let Event::ErasurePermitted(data) = &new.event {
            // Whoever comes later in this group must find them gone. Their keys stay taken until the next group.
            self.own.lives.extend(data.entities.iter().map(|entity| (*entity, None)));
        }
        Ok(())
    }
}

impl Numbers for View<'_, '_> {
    fn draw(&mut self, counter: &CounterKey) -> u64 {
        let next = self.last(counter) + 1;
        if let Err(error) = self.counter(counter) {
            self.failure = Some(error);
        }
        self.own.counters.insert(counter.clone(), next);
        next
    }

    fn last(&self, counter: &CounterKey) -> u64 {
        self.counter(counter).unwrap_or(0)
    }
}

//! The journal's head as guards see it: the projection plus what earlier members of the same group will do.

use super::projection::{CommitRecord, Life, Projection, ProjectionError};
use super::{AppendError, MAX_EVENTS};
use crate::domain::EntityId;
use crate::domain::decision::{NewEvent, Numbers};
use crate::domain::event::{Event, Recorded};
use crate::domain::guard::{CounterKey, Guard, UniqueKey};
use crate::domain::object::ObjectRef;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Changes on top of a projection.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// None: erased.
    pub(super) lives: BTreeMap<EntityId, Option<Life>>,
    pub(super) owners: BTreeMap<UniqueKey, Option<EntityId>>,
    pub(super) counters: BTreeMap<CounterKey, u64>,
}

impl Changes {
    /// What commits that stand do to what guards see, on top of this projection.
    pub(super) fn of(commits: &[CommitRecord], projection: &dyn Projection) -> Result<Self, ProjectionError> {
        let heads = Heads::new(projection);
        let mut view = View { heads: &heads, own: Self::default(), failure: None };
        for recorded in commits.iter().flat_map(CommitRecord::events) {
            view.release(recorded)?;
            view.add(recorded.entity, &recorded.event, &recorded.objects, |_, _| {
                Ok::<_, ProjectionError>(())
            })?;
        }
        Ok(view.own)
    }
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

    /// Frees what an event of a commit that stands gives back.
    fn release(&mut self, recorded: &Recorded) -> Result<(), ProjectionError> {
        for key in recorded.event.effects(&recorded.objects).releases {
            if self.owner(&key)? == Some(recorded.entity) {
                self.own.owners.insert(key, None);
            }
        }
        Ok(())
    }

    /// Takes an event in, unless what it claims is another's. What it gives back stays taken until the next group:
    /// within a commit events stand by entity, so that it could not be told afterwards whether a key was given back
    /// before or after somebody else claimed it.
    fn take(&mut self, new: &NewEvent) -> Result<(), AppendError> {
        self.add(new.entity, &new.event, &new.objects, |view, key| match view.owner(key)? {
            Some(owner) => Err(AppendError::Taken { key: key.clone(), owner }),
            None => Ok(()),
        })
    }

    fn add<E: From<ProjectionError>>(
        &mut self,
        entity: EntityId,
        event: &Event,
        objects: &[ObjectRef],
        may_claim: impl Fn(&Self, &UniqueKey) -> Result<(), E>,
    ) -> Result<(), E> {
        let effects = event.effects(objects);
        for key in effects.claims {
            may_claim(self, &key)?;
            self.own.owners.insert(key, Some(entity));
        }
        if let Some((scope, value)) = effects.counter {
            let counter = CounterKey { owner: entity, scope };
            // `draw` has moved the counter already; a number taken over from an import moves it here.
            let last = self.counter(&counter)?;
            self.own.counters.insert(counter, last.max(value));
        }
        let mut life = self.life(entity)?.unwrap_or_default();
        life.version += 1;
        life.epoch += u64::from(effects.moves_life_cycle);
        self.own.lives.insert(entity, Some(life));
        if let Event::ErasurePermitted(data) = event {
            // Whoever comes next must find them gone. Their keys stay taken until the projection has let go.
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

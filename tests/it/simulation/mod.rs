//! The commit protocol as a deterministic simulation: several writers on one store, a crash, a lost answer or a late
//! request at any call, restarts with an old or an empty projection; and what must be true after every history.
//!
//! `EAKTE_SEED=7` replays one history, `EAKTE_ROUNDS=10000` plays more of them.

mod check;
mod history;
mod model;
mod play;
mod world;

use crate::support::chance::{Chance, from_env};
use eakte::catalogue::Catalogue;
use eakte::domain::guard::{CounterKey, UniqueKey};
use eakte::domain::{Digest, EntityId};
use eakte::journal::{Applied, CommitRecord, Life, Projection, ProjectionError, Reader};
use history::{Violation, violation};
use model::{Facts, Model};
use play::Player;
use std::path::Path;
use std::sync::{Arc, Mutex};
use world::{Flaw, Handle, Kind, Ticking, Weather, World};

/// A rare history that told something once: the event that gives a key back is erased before the one that took it.
const TOLD: u64 = 3_688;

/// Histories by default: as many as a minute on a slow machine allows.
const ROUNDS: u64 = 300;

/// The catalogue and the model side by side: what one answers the other answers.
#[derive(Debug)]
struct Both {
    model: Arc<Model>,
    catalogue: Catalogue,
}

impl Both {
    fn same<T: PartialEq + std::fmt::Debug>(what: &str, a: T, b: &T) -> T {
        if a != *b {
            violation(format!("catalogue and model differ in {what}: {a:?} and {b:?}"));
        }
        a
    }
}

impl Projection for Both {
    fn applied(&self) -> Result<Applied, ProjectionError> {
        Ok(Self::same("place", self.catalogue.applied()?, &self.model.applied()?))
    }

    fn life(&self, entity: EntityId) -> Result<Option<Life>, ProjectionError> {
        Ok(Self::same("life", self.catalogue.life(entity)?, &self.model.life(entity)?))
    }

    fn owner(&self, key: &UniqueKey) -> Result<Option<EntityId>, ProjectionError> {
        Ok(Self::same("owner", self.catalogue.owner(key)?, &self.model.owner(key)?))
    }

    fn counter(&self, counter: &CounterKey) -> Result<u64, ProjectionError> {
        Ok(Self::same("counter", self.catalogue.counter(counter)?, &self.model.counter(counter)?))
    }

    fn apply(&self, commits: &[CommitRecord]) -> Result<(), ProjectionError> {
        self.catalogue.apply(commits)?;
        self.model.apply(commits)
    }
}

/// Plays one history; says which promise was broken, with the trace.
fn play(seed: u64, flaw: Flaw, kind: Option<Kind>, catalogues: Option<&Path>) -> Result<(), String> {
    let mut chance = Chance::new(seed);
    let drawn = if chance.permille(600) { Kind::Bucket } else { Kind::Disk };
    let kind = kind.unwrap_or(drawn);
    let writers = if kind == Kind::Bucket { 1 + chance.below(3) } else { 1 };
    let weather = Weather::of(&mut chance);
    let world = World::new(kind, flaw, weather, chance.fork(), writers);
    let clock = Arc::new(Ticking::default());
    let directory = |number: usize| catalogues.map(|root| root.join(format!("{seed}-{number}")));
    let make = |number: usize, model: &Arc<Model>, is_new: bool| -> Arc<dyn Projection> {
        let Some(directory) = directory(number) else { return model.clone() };
        if is_new {
            // From nothing, or from an older copy: a catalogue then is built again up to that place.
            Catalogue::delete(&directory).unwrap();
            *model.facts() = Facts::default();
        }
        Arc::new(Both { model: model.clone(), catalogue: Catalogue::open(&directory, 1 << 20).unwrap() })
    };
    let outcome = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for number in 0..writers {
            let (world, clock) = (world.clone(), clock.clone());
            let groups = 2 + chance.below(36 / (writers + 1));
            let player = Player { world, number, chance: chance.fork(), make: &make, groups, clock };
            threads.push(scope.spawn(move || player.run()));
        }
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    let checked = outcome.into_iter().collect::<Result<Vec<Facts>, _>>().and_then(|known| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let fresh = check::check(&world);
            for (number, facts) in known.into_iter().enumerate() {
                equal(&world, number, facts, &fresh, directory(number).as_deref());
            }
        }))
    });
    checked.map_err(|reason| {
        let what = match reason.downcast::<Violation>() {
            Ok(violation) => violation.0,
            Err(other) => match other.downcast::<String>() {
                Ok(text) => format!("panicked: {text}"),
                Err(_) => "panicked".to_owned(),
            },
        };
        let trace = world.state().trace.join("\n  ");
        format!("seed {seed}, {kind:?}, {writers} writers: {what}\n  {trace}")
    })
}

/// What a writer knew, once it has caught up, is what a fresh replay gives.
fn equal(world: &Arc<World>, number: usize, mut facts: Facts, fresh: &Facts, catalogue: Option<&Path>) {
    let reader = Reader::new(Handle::new(world, None), play::layout());
    let mut walk = reader.after(facts.applied.clone());
    let mut records = Vec::new();
    while let Some(record) = walk.advance().unwrap() {
        facts.apply(&record);
        records.push(record);
    }
    if facts != *fresh {
        violation(format!("writer {number} knows something else than the journal:\n{facts:?}\n{fresh:?}"));
    }
    let Some(directory) = catalogue else { return };
    let grown = Catalogue::open(directory, 1 << 20).unwrap();
    let again = directory.with_extension("fresh");
    let new = Catalogue::open(&again, 1 << 20).unwrap();
    let mut walk = reader.after(grown.applied().unwrap());
    while let Some(record) = walk.advance().unwrap() {
        grown.apply(&[record]).unwrap();
    }
    let mut walk = reader.after(Applied::default());
    while let Some(record) = walk.advance().unwrap() {
        new.apply(&[record]).unwrap();
    }
    let dump = |catalogue: &Catalogue| {
        let mut entries = Vec::new();
        catalogue.dump(&mut |key, value| entries.push((key.to_vec(), value.to_vec()))).unwrap();
        entries
    };
    if dump(&grown) != dump(&new) {
        violation(format!("the catalogue of writer {number} is not that of a fresh replay"));
    }
}

/// Plays many histories on both cores; the first broken promise ends it.
fn play_many(seeds: std::ops::Range<u64>, flaw: Flaw, kind: Option<Kind>) -> Option<String> {
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    let found = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= seeds.end || found.lock().unwrap().is_some() {
                        break;
                    }
                    if let Err(text) = play(seed, flaw, kind, None) {
                        *found.lock().unwrap() = Some(text);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

fn seeds() -> std::ops::Range<u64> {
    match from_env("EAKTE_SEED") {
        Some(seed) => seed..seed + from_env("EAKTE_ROUNDS").unwrap_or(1),
        None => 0..from_env("EAKTE_ROUNDS").unwrap_or(ROUNDS),
    }
}

#[test]
fn no_history_breaks_a_promise_of_the_journal() {
    let seeds = seeds();
    println!("simulation: seeds {seeds:?}");
    if let Some(text) =
        play_many(seeds, Flaw::None, None).or_else(|| play(TOLD, Flaw::None, None, None).err())
    {
        panic!("{text}");
    }
}

#[test]
fn the_catalogue_follows_every_history_as_a_fresh_one_does() {
    let all = seeds();
    let seeds = all.start..(all.start + (all.end - all.start).div_ceil(10));
    println!("simulation with the catalogue: seeds {seeds:?}");
    let folder = tempfile::tempdir().unwrap();
    for seed in seeds {
        if let Err(text) = play(seed, Flaw::None, None, Some(folder.path())) {
            panic!("{text}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let trace = |seed| {
        let mut chance = Chance::new(seed);
        let world = World::new(Kind::Bucket, Flaw::None, Weather::of(&mut chance), chance.fork(), 3);
        let clock = Arc::new(Ticking::default());
        let make = |_: usize, model: &Arc<Model>, _: bool| -> Arc<dyn Projection> { model.clone() };
        std::thread::scope(|scope| {
            for number in 0..3 {
                let (world, clock) = (world.clone(), clock.clone());
                let player = Player { world, number, chance: chance.fork(), make: &make, groups: 6, clock };
                scope.spawn(move || player.run());
            }
        });
        let trace = world.state().trace.join("\n");
        Digest::of(trace.as_bytes())
    };
    for seed in 1_000..1_010 {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
}

/// The checks find a store or a writer that does not keep its promises; else they would prove nothing.
#[test]
fn every_broken_promise_is_found() {
    for (flaw, kind) in [
        (Flaw::NoBarrier, Kind::Disk),
        (Flaw::EarlyAnswer, Kind::Disk),
        (Flaw::Overwrites, Kind::Bucket),
        (Flaw::SameNonce, Kind::Bucket),
        (Flaw::ForgetsCounters, Kind::Bucket),
        (Flaw::ErasesEarly, Kind::Bucket),
        (Flaw::DoubtMeansNo, Kind::Bucket),
    ] {
        let found = play_many(0..400, flaw, Some(kind));
        let found = found.unwrap_or_else(|| panic!("400 histories do not show {flaw:?}"));
        println!("{flaw:?}: {}", found.lines().next().unwrap_or_default());
    }
}

//! A projection that follows in a thread of its own: the writer goes on with the next commit while the last one is
//! taken in. Guards see the head all the same, for what is not taken in yet is kept aside until it is.

use super::heads::Changes;
use super::projection::{Applied, CommitRecord, Life, Projection, ProjectionError};
use crate::domain::EntityId;
use crate::domain::guard::{CounterKey, UniqueKey};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most pieces of work that wait: the writer is never far ahead.
const AHEAD: usize = 2;

/// What the thread is given, in order.
enum Work<T> {
    Commits(Vec<CommitRecord>),
    News(T),
}

/// The writer's end.
pub(super) struct Behind<T> {
    shared: Arc<Shared>,
    work: SyncSender<Work<T>>,
}

/// The thread's end.
pub(super) struct Follower<T> {
    shared: Arc<Shared>,
    work: Receiver<Work<T>>,
}

struct Shared {
    projection: Arc<dyn Projection>,
    /// Commits that are not taken in yet, oldest first.
    waiting: Mutex<VecDeque<Changes>>,
    broken: AtomicBool,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Changes>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self) -> Result<(), ProjectionError> {
        if self.broken.load(Ordering::Acquire) {
            return Err(ProjectionError("ein Journaleintrag wurde nicht übernommen".into()));
        }
        Ok(())
    }

    /// What the newest waiting commit says that says anything, else what the projection says. What is no longer
    /// waiting has been taken in before.
    fn look<V>(
        &self,
        aside: impl Fn(&Changes) -> Option<V>,
        projection: impl FnOnce(&dyn Projection) -> Result<V, ProjectionError>,
    ) -> Result<V, ProjectionError> {
        self.check()?;
        let found = self.waiting().iter().rev().find_map(aside);
        found.map_or_else(|| projection(&*self.projection), Ok)
    }
}

/// Has a projection follow behind. The second part is to be [run](Follower::run) in a thread; it ends when the first
/// is gone and everything is taken in.
pub(super) fn behind<T: Send>(projection: Arc<dyn Projection>) -> (Behind<T>, Follower<T>) {
    let shared = Arc::new(Shared { projection, waiting: Mutex::default(), broken: AtomicBool::new(false) });
    let (sender, receiver) = sync_channel(AHEAD);
    (Behind { shared: shared.clone(), work: sender }, Follower { shared, work: receiver })
}

impl<T: Send> Behind<T> {
    /// Passes news on, to be heard once everything given before is taken in. Dropped when the thread has ended.
    pub(super) fn tell(&self, news: T) {
        let _ = self.work.send(Work::News(news));
    }

    /// Whether something could not be taken in; nothing is from then on.
    pub(super) fn is_broken(&self) -> bool {
        self.shared.check().is_err()
    }
}

impl<T: Send> Projection for Behind<T> {
    fn applied(&self) -> Result<Applied, ProjectionError> {
        self.shared.projection.applied()
    }

    fn life(&self, entity: EntityId) -> Result<Option<Life>, ProjectionError> {
        self.shared.look(|aside| aside.lives.get(&entity).copied(), |projection| projection.life(entity))
    }

    fn owner(&self, key: &UniqueKey) -> Result<Option<EntityId>, ProjectionError> {
        self.shared.look(|aside| aside.owners.get(key).copied(), |projection| projection.owner(key))
    }

    fn counter(&self, counter: &CounterKey) -> Result<u64, ProjectionError> {
        self.shared
            .look(|aside| aside.counters.get(counter).copied(), |projection| projection.counter(counter))
    }

    fn apply(&self, commits: &[CommitRecord]) -> Result<(), ProjectionError> {
        let changes = Changes::of(commits, self)?;
        self.shared.waiting().push_back(changes);
        let gone = |_| ProjectionError("der Katalog wird nicht mehr geführt".into());
        self.work.send(Work::Commits(commits.to_vec())).map_err(gone)
    }
}

impl<T> Follower<T> {
    /// Takes in what comes and passes the news on. `broke` is called once, when something could not be taken in;
    /// news are passed on all the same.
    pub(super) fn run(self, mut hear: impl FnMut(T), mut broke: impl FnMut(&ProjectionError)) {
        for work in self.work {
            match work {
                Work::News(news) => hear(news),
                Work::Commits(commits) => {
                    if self.shared.check().is_err() {
                        continue;
                    }
                    match self.shared.projection.apply(&commits) {
                        // Only now: whoever does not find it aside finds it taken in.
                        Ok(()) => drop(self.shared.waiting().pop_front()),
                        Err(error) => {
                            self.shared.broken.store(true, Ordering::Release);
                            broke(&error);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{
        Actor, BatchClosed, BatchOpened, Context, DocumentFiled, ErasurePermitted, Event, NumberDrawn,
        Recorded,
    };
    use crate::domain::{CaseFileId, Digest, EntityKind};
    use crate::journal::LeafRecord;
    use jiff::Timestamp;
    use std::collections::BTreeMap;
    use std::sync::mpsc::channel;
    use uuid::Uuid;

    #[derive(Clone, Default)]
    struct Facts {
        applied: Applied,
        lives: BTreeMap<EntityId, Life>,
        owners: BTreeMap<UniqueKey, EntityId>,
        counters: BTreeMap<CounterKey, u64>,
    }

    /// Takes a commit in when it is allowed to; fails from one on.
    struct Slow {
        facts: Mutex<Facts>,
        allowed: Mutex<Receiver<()>>,
        fails_at: u64,
    }

    impl Slow {
        fn new(fails_at: u64) -> (Arc<Self>, std::sync::mpsc::Sender<()>) {
            let (allow, allowed) = channel();
            (Arc::new(Self { facts: Mutex::default(), allowed: Mutex::new(allowed), fails_at }), allow)
        }

        fn take(facts: &mut Facts, commit: &CommitRecord) {
            for recorded in commit.events() {
                let effects = recorded.event.effects(&recorded.objects);
                for key in effects.releases {
                    if facts.owners.get(&key) == Some(&recorded.entity) {
                        facts.owners.remove(&key);
                    }
                }
                for key in effects.claims {
                    facts.owners.insert(key, recorded.entity);
                }
                if let Some((scope, value)) = effects.counter {
                    facts.counters.insert(CounterKey { owner: recorded.entity, scope }, value);
                }
                let life = facts.lives.entry(recorded.entity).or_default();
                life.version += 1;
                life.epoch += u64::from(effects.moves_life_cycle);
                if let Event::ErasurePermitted(data) = &recorded.event {
                    facts.lives.retain(|entity, _| !data.entities.contains(entity));
                }
            }
            facts.applied = commit.advance(&facts.applied);
        }
    }

    impl Projection for Slow {
        fn applied(&self) -> Result<Applied, ProjectionError> {
            Ok(self.facts.lock().unwrap().applied.clone())
        }
        fn life(&self, entity: EntityId) -> Result<Option<Life>, ProjectionError> {
            Ok(self.facts.lock().unwrap().lives.get(&entity).copied())
        }
        fn owner(&self, key: &UniqueKey) -> Result<Option<EntityId>, ProjectionError> {
            Ok(self.facts.lock().unwrap().owners.get(key).copied())
        }
        fn counter(&self, counter: &CounterKey) -> Result<u64, ProjectionError> {
            Ok(self.facts.lock().unwrap().counters.get(counter).copied().unwrap_or(0))
        }
        fn apply(&self, commits: &[CommitRecord]) -> Result<(), ProjectionError> {
            let _ = self.allowed.lock().unwrap().recv();
            for commit in commits {
                if commit.seq >= self.fails_at {
                    return Err(ProjectionError("on purpose".into()));
                }
                Self::take(&mut self.facts.lock().unwrap(), commit);
            }
            Ok(())
        }
    }

    fn entity(kind: EntityKind, number: u64) -> EntityId {
        EntityId::new(kind, Uuid::from_u128(u128::from(number)))
    }

    fn commit(seq: u64, entity: EntityId, event: Event) -> CommitRecord {
        let recorded = Recorded {
            entity,
            recorded_at: Timestamp::UNIX_EPOCH,
            context: Context::by(Actor::System),
            software: "test".to_owned(),
            event,
            objects: Vec::new(),
        };
        let payload = Digest::of(&seq.to_be_bytes());
        let leaf = LeafRecord { position: seq - 1, payload, events: Some(vec![recorded]) };
        CommitRecord { seq, digest: payload, first_leaf: seq - 1, erases: Vec::new(), leaves: vec![leaf] }
    }

    fn counter() -> CounterKey {
        CounterKey { owner: entity(EntityKind::PlanUnit, 1), scope: "2026".to_owned() }
    }

    const LETTER: Digest = Digest::from_bytes([7; 32]);

    fn case_file(number: u64) -> CaseFileId {
        CaseFileId::from_uuid(Uuid::from_u128(u128::from(number)))
    }

    /// Runs the follower beside `play`.
    fn with_follower(slow: &Arc<Slow>, play: impl FnOnce(Behind<u64>)) -> (Vec<u64>, usize) {
        let (ahead, follower) = behind(slow.clone());
        let (mut heard, mut broke) = (Vec::new(), 0);
        std::thread::scope(|scope| {
            scope.spawn(|| follower.run(|news| heard.push(news), |_| broke += 1));
            play(ahead);
        });
        (heard, broke)
    }

    #[test]
    fn guards_see_the_head_however_far_the_projection_is_behind() {
        const COMMITS: u64 = 400;
        let mut seed = 20_261_124_u64;
        println!("seed {seed}");
        let mut chance = move |end: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % end
        };
        let (slow, allow) = Slow::new(u64::MAX);
        let mut eager = Facts::default();
        let mut lagged = 0;
        let (heard, broke) = with_follower(&slow, |ahead| {
            let (mut allowed, mut places) = (0, BTreeMap::new());
            for seq in 1..=COMMITS {
                let batch = entity(EntityKind::Batch, chance(8));
                let document = entity(EntityKind::Document, chance(3));
                let (from, to) = (places.get(&document).copied(), case_file(chance(4)));
                let is_free = !eager.owners.contains_key(&UniqueKey::content(Some(to), &LETTER));
                let (owner, event) = match chance(5) {
                    // The same letter, several times over, goes where it does not lie already.
                    4 if is_free => {
                        places.insert(document, to);
                        let filed = DocumentFiled { case_file: to, from, sha256: LETTER };
                        (document, Event::DocumentFiled(filed))
                    }
                    0 => {
                        let value = ahead.counter(&counter()).unwrap() + 1;
                        let drawn = NumberDrawn { scope: "2026".to_owned(), value };
                        (counter().owner, Event::NumberDrawn(drawn))
                    }
                    1 => (batch, Event::BatchOpened(BatchOpened::named(&format!("{seq}"), "test"))),
                    2 => {
                        let closed = BatchClosed { seen: 0, received: 0, duplicate: 0, rejected: 0 };
                        (batch, Event::BatchClosed(closed))
                    }
                    _ => {
                        let erased = ErasurePermitted { entities: vec![batch], leaves: Vec::new() };
                        (entity(EntityKind::Tenant, 0), Event::ErasurePermitted(erased))
                    }
                };
                let commit = commit(seq, owner, event);
                // Never more under way than fit: `apply` would wait for ever.
                while seq > allowed + AHEAD as u64 {
                    allow.send(()).unwrap();
                    allowed += 1;
                }
                ahead.apply(std::slice::from_ref(&commit)).unwrap();
                Slow::take(&mut eager, &commit);
                lagged += u64::from(ahead.applied().unwrap().seq < seq);
                for number in 0..8 {
                    let batch = entity(EntityKind::Batch, number);
                    assert_eq!(ahead.life(batch).unwrap(), eager.lives.get(&batch).copied(), "{seq}");
                }
                for (key, owner) in &eager.owners {
                    assert_eq!(ahead.owner(key).unwrap(), Some(*owner), "{seq}");
                }
                for number in 0..4 {
                    let key = UniqueKey::content(Some(case_file(number)), &LETTER);
                    assert_eq!(ahead.owner(&key).unwrap(), eager.owners.get(&key).copied(), "{seq}");
                }
                let expected = eager.counters.get(&counter()).copied().unwrap_or(0);
                assert_eq!(ahead.counter(&counter()).unwrap(), expected, "{seq}");
            }
            (allowed..COMMITS).for_each(|_| allow.send(()).unwrap());
            ahead.tell(COMMITS);
        });
        assert_eq!((heard, broke), (vec![COMMITS], 0));
        assert_eq!(slow.applied().unwrap(), eager.applied);
        assert!(lagged > COMMITS / 2, "the projection was behind only {lagged} times");
    }

    #[test]
    fn news_are_heard_after_what_they_are_about_and_also_when_that_failed() {
        let drawn = |value| Event::NumberDrawn(NumberDrawn { scope: "2026".to_owned(), value });
        let (slow, allow) = Slow::new(2);
        let (heard, broke) = with_follower(&slow, |ahead| {
            ahead.apply(&[commit(1, counter().owner, drawn(1))]).unwrap();
            ahead.tell(1);
            allow.send(()).unwrap();
            ahead.apply(&[commit(2, counter().owner, drawn(2))]).unwrap();
            allow.send(()).unwrap();
            ahead.tell(2);
            while !ahead.is_broken() {
                std::thread::yield_now();
            }
            assert!(ahead.counter(&counter()).is_err(), "nothing is decided on what may be missing");
            assert!(ahead.apply(&[commit(3, counter().owner, drawn(3))]).is_err());
            ahead.tell(3);
        });
        assert_eq!((heard, broke), (vec![1, 2, 3], 1));
        assert_eq!(slow.counter(&counter()).unwrap(), 1);
    }
}

//! The simulated store, and the baton that lets exactly one writer run at a time: every call to the store is a
//! place where another one may go on, an answer may be lost, or the caller may die.

use super::history::Wish;
use crate::support::chance::Chance;
use eakte::clock::Clock;
use eakte::store::{Body, Bytes, Created, Key, Listed, ObjectStore, Prefix, Staged, Staging, StoreError};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::SystemTime;

/// What the store is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bucket that several writers share: what is acknowledged is durable, requests may be lost or come late.
    Bucket,
    /// A disk with one writer: names need a barrier, syncs may fail, the power may be cut.
    Disk,
}

/// A fault of the store (or of its users) that the checks must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// Barriers do nothing.
    NoBarrier,
    /// A create overwrites what stands there.
    Overwrites,
    /// A create answers before its name is durable.
    EarlyAnswer,
    /// All writers use the same nonce.
    SameNonce,
    /// A projection forgets its counters.
    ForgetsCounters,
    /// Erasing comes before the commit that allows it.
    ErasesEarly,
    /// A doubtful answer is taken for a refusal.
    DoubtMeansNo,
}

/// How often what happens, in permille of the calls.
#[derive(Clone, Debug)]
pub struct Weather {
    pub crash: usize,
    pub refuse: usize,
    pub doubt: usize,
    pub stale: usize,
    pub sync: usize,
}

impl Weather {
    pub fn calm() -> Self {
        Self { crash: 0, refuse: 0, doubt: 0, stale: 0, sync: 0 }
    }

    pub fn of(chance: &mut Chance) -> Self {
        let mut some = |worst: usize| if chance.permille(400) { 0 } else { chance.below(worst) };
        Self { crash: some(40), refuse: some(60), doubt: some(150), stale: some(100), sync: some(30) }
    }
}

/// What a writer's thread ends with when it dies.
pub struct Crash;

#[derive(Clone, Debug)]
struct Object {
    bytes: Bytes,
    is_durable: bool,
    /// The step it came in.
    step: u64,
}

/// A request on its way that nobody waits for any more.
#[derive(Clone, Debug)]
enum Late {
    Put(Key, Bytes),
    Create(Key, Bytes),
    Delete(Key),
}

pub struct State {
    pub chance: Chance,
    pub weather: Weather,
    /// What was wished for and what became of it.
    pub history: Vec<Wish>,
    /// Everything that happened, for whoever looks into a failure.
    pub trace: Vec<String>,
    /// Commits that a projection has taken in: nobody may lose them any more.
    pub seen: BTreeMap<u64, eakte::domain::Digest>,
    /// Counted at every call to the store.
    pub step: u64,
    objects: BTreeMap<Key, Object>,
    late: Vec<Late>,
    alive: Vec<bool>,
    turn: Option<usize>,
}

/// One history's world.
pub struct World {
    pub kind: Kind,
    pub flaw: Flaw,
    state: Mutex<State>,
    bells: Vec<Condvar>,
}

impl World {
    pub fn new(kind: Kind, flaw: Flaw, weather: Weather, chance: Chance, writers: usize) -> Arc<Self> {
        let state = State {
            chance,
            weather,
            history: Vec::new(),
            trace: Vec::new(),
            seen: BTreeMap::new(),
            step: 0,
            objects: BTreeMap::new(),
            late: Vec::new(),
            alive: vec![true; writers],
            turn: (writers > 0).then_some(0),
        };
        let bells = (0..writers).map(|_| Condvar::new()).collect();
        Arc::new(Self { kind, flaw, state: Mutex::new(state), bells })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this writer's first turn.
    pub fn begin(&self, writer: usize) {
        drop(self.wait(writer, self.state()));
    }

    /// This writer has ended for good; another one goes on.
    pub fn end(&self, writer: usize) {
        let mut state = self.state();
        state.alive[writer] = false;
        self.pass(&mut state);
    }

    fn pass(&self, state: &mut State) {
        let alive: Vec<usize> = (0..state.alive.len()).filter(|at| state.alive[*at]).collect();
        state.turn = state.chance.pick(&alive).copied();
        if let Some(next) = state.turn {
            self.bells[next].notify_one();
        }
    }

    fn wait<'s>(&'s self, writer: usize, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        while state.turn != Some(writer) {
            state = self.bells[writer].wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// Every call to the store begins here: perhaps someone else goes first, and late requests may land.
    fn enter(&self, writer: Option<usize>) -> MutexGuard<'_, State> {
        let mut state = self.state();
        let Some(writer) = writer else { return state };
        state.step += 1;
        self.pass(&mut state);
        let mut state = self.wait(writer, state);
        while !state.late.is_empty() && state.chance.permille(120) {
            state.land();
        }
        let crash = state.weather.crash / 2;
        if state.chance.permille(crash) {
            self.die(writer, state, "before");
        }
        state
    }

    /// After a call that may have changed something: perhaps the caller does not live to hear of it.
    fn leave(&self, writer: Option<usize>, mut state: MutexGuard<'_, State>) {
        let crash = state.weather.crash / 2;
        if let Some(writer) = writer
            && state.chance.permille(crash)
        {
            self.die(writer, state, "after");
        }
    }

    fn die(&self, writer: usize, mut state: MutexGuard<'_, State>, when: &str) -> ! {
        let step = state.step;
        state.trace.push(format!("{step} w{writer} dies {when} the call"));
        if self.kind == Kind::Disk && state.chance.permille(500) {
            state.trace.push(format!("{step} power cut"));
            state.power_cut();
        }
        drop(state);
        std::panic::resume_unwind(Box::new(Crash))
    }

    /// What is still under way lands or is lost.
    pub fn settle(&self) {
        let mut state = self.state();
        while !state.late.is_empty() {
            state.land();
        }
        if self.kind == Kind::Disk {
            state.power_cut();
        }
        state.weather = Weather::calm();
    }

    /// Whether the store holds an object.
    pub fn holds(&self, key: &Key) -> Option<Bytes> {
        self.state().objects.get(key).map(|object| object.bytes.clone())
    }
}

impl State {
    fn land(&mut self) {
        let at = self.chance.below(self.late.len());
        let late = self.late.swap_remove(at);
        if self.chance.permille(300) {
            return; // Lost after all.
        }
        self.trace.push(format!("{} late {}", self.step, describe(&late)));
        self.perform(late);
    }

    fn perform(&mut self, request: Late) {
        match request {
            // What stands is never overwritten: names carry a digest, and a create is put-if-absent.
            Late::Put(key, bytes) | Late::Create(key, bytes) => self.insert(&key, bytes, true),
            Late::Delete(key) => drop(self.objects.remove(&key)),
        }
    }

    fn insert(&mut self, key: &Key, bytes: Bytes, is_durable: bool) {
        let step = self.step;
        let object = self.objects.entry(key.clone()).or_insert(Object { bytes, is_durable, step });
        object.is_durable |= is_durable;
    }

    fn power_cut(&mut self) {
        let mut chance = self.chance.fork();
        self.objects.retain(|_, object| object.is_durable || chance.permille(400));
        self.objects.values_mut().for_each(|object| object.is_durable = true);
    }
}

fn describe(late: &Late) -> String {
    match late {
        Late::Put(key, _) => format!("put {key}"),
        Late::Create(key, _) => format!("create {key}"),
        Late::Delete(key) => format!("delete {key}"),
    }
}

/// The store as one incarnation of a writer sees it; without a writer, as the checks see it: no faults.
#[derive(Clone)]
pub struct Handle {
    world: Arc<World>,
    writer: Option<usize>,
    owner: ThreadId,
    /// The first failed sync ends all writing until the store is opened again.
    failed: Arc<Mutex<bool>>,
}

impl Handle {
    pub fn new(world: &Arc<World>, writer: Option<usize>) -> Arc<Self> {
        let owner = std::thread::current().id();
        Arc::new(Self { world: world.clone(), writer, owner, failed: Arc::default() })
    }

    /// Whose turn a call takes. Threads that read ahead for a writer run while it waits for them, and take none.
    fn writer(&self) -> Option<usize> {
        self.writer.filter(|_| std::thread::current().id() == self.owner)
    }

    fn note(&self, state: &mut State, text: &str) {
        if let Some(writer) = self.writer() {
            let step = state.step;
            state.trace.push(format!("{step} w{writer} {text}"));
        }
    }

    fn check_synced(&self) -> Result<(), StoreError> {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed { Err(StoreError::SyncFailed { cause: "simulated".into() }) } else { Ok(()) }
    }

    fn is_disk(&self) -> bool {
        self.world.kind == Kind::Disk
    }

    /// A refusal that says that nothing was applied.
    fn refusal(&self, state: &mut State, what: &'static str) -> Option<StoreError> {
        let weather = state.weather.refuse;
        if self.writer().is_none() || !state.chance.permille(weather) {
            return None;
        }
        self.note(state, &format!("{what} refused"));
        let source = io::Error::other("simulated");
        Some(if state.chance.permille(500) {
            StoreError::Io {
                action: what,
                object: "simulated".into(),
                source: io::Error::from_raw_os_error(28),
            }
        } else {
            StoreError::Unavailable { action: what, object: "simulated".into(), source: Box::new(source) }
        })
    }

    /// Whether the answer to this request of a bucket is lost; the request then is applied, lost or late.
    fn is_doubtful(&self, state: &mut State) -> bool {
        let weather = state.weather.doubt;
        self.writer().is_some() && !self.is_disk() && state.chance.permille(weather)
    }

    fn doubt(&self, state: &mut State, what: &'static str, requests: Vec<Late>) -> StoreError {
        for request in requests {
            let fate = state.chance.below(3);
            self.note(
                state,
                &format!("{what} {} doubtful: {}", describe(&request), ["applied", "lost", "late"][fate]),
            );
            match fate {
                0 => state.perform(request),
                1 => {}
                _ => state.late.push(request),
            }
        }
        StoreError::Doubt {
            action: what,
            object: "simulated".into(),
            source: Box::new(io::Error::other("lost")),
        }
    }

    /// Writes some or all of these objects.
    fn put(&self, what: &'static str, objects: &[(Key, Bytes)]) -> Result<(), StoreError> {
        let mut state = self.world.enter(self.writer());
        self.check_synced()?;
        if let Some(error) = self.refusal(&mut state, what) {
            return Err(error);
        }
        if self.is_doubtful(&mut state) {
            let requests = objects.iter().map(|(key, bytes)| Late::Put(key.clone(), bytes.clone())).collect();
            let error = self.doubt(&mut state, what, requests);
            self.world.leave(self.writer(), state);
            return Err(error);
        }
        let is_durable = !self.is_disk();
        let crash = state.weather.crash / 4;
        for (key, bytes) in objects {
            if let Some(writer) = self.writer()
                && state.chance.permille(crash)
            {
                self.world.die(writer, state, "amid");
            }
            self.note(&mut state, &format!("{what} {key}"));
            state.insert(key, bytes.clone(), is_durable);
        }
        self.world.leave(self.writer(), state);
        Ok(())
    }

    fn sync_fails(&self, state: &mut State) -> bool {
        let weather = state.weather.sync;
        let fails = self.is_disk() && self.writer().is_some() && state.chance.permille(weather);
        if fails {
            self.note(state, "a sync fails");
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
        fails
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle({:?})", self.writer())
    }
}

impl ObjectStore for Handle {
    fn stage(&self) -> Result<Staging, StoreError> {
        Ok(Staging::in_memory())
    }

    fn publish(&self, staged: &Staged, key: &Key) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        staged.open()?.read_to_end(&mut bytes).map_err(StoreError::staging)?;
        self.put("publish", &[(key.clone(), bytes.into())])
    }

    fn put_all(&self, objects: &[(Key, Bytes)]) -> Result<(), StoreError> {
        self.put("put", objects)
    }

    fn barrier(&self, keys: &[Key]) -> Result<(), StoreError> {
        let mut state = self.world.enter(self.writer());
        self.check_synced()?;
        if let Some(error) = self.refusal(&mut state, "barrier") {
            return Err(error);
        }
        let fails = self.sync_fails(&mut state);
        for key in keys {
            // A failed sync may have reached a part.
            if self.world.flaw != Flaw::NoBarrier
                && (!fails || state.chance.permille(500))
                && let Some(object) = state.objects.get_mut(key)
            {
                object.is_durable = true;
            }
        }
        self.world.leave(self.writer(), state);
        if fails { self.check_synced() } else { Ok(()) }
    }

    fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StoreError> {
        let mut state = self.world.enter(self.writer());
        self.check_synced()?;
        if let Some(error) = self.refusal(&mut state, "create") {
            return Err(error);
        }
        if self.is_doubtful(&mut state) {
            let error = self.doubt(&mut state, "create", vec![Late::Create(key.clone(), bytes)]);
            self.world.leave(self.writer(), state);
            return Err(error);
        }
        if self.world.flaw == Flaw::Overwrites {
            state.objects.remove(key);
        }
        let is_new = !state.objects.contains_key(key);
        self.note(&mut state, &format!("create {key}: {}", if is_new { "done" } else { "taken" }));
        state.insert(key, bytes, false);
        // Visible, not yet durable: on a disk this is a step of its own, and the folder may fail to open.
        if self.is_disk() {
            drop(state);
            state = self.world.enter(self.writer());
            if self.sync_fails(&mut state) {
                self.world.leave(self.writer(), state);
                return Err(StoreError::SyncFailed { cause: "simulated".into() });
            }
        }
        if self.world.flaw != Flaw::EarlyAnswer
            && let Some(object) = state.objects.get_mut(key)
        {
            object.is_durable = true;
        }
        self.world.leave(self.writer(), state);
        Ok(if is_new { Created::Created } else { Created::Exists })
    }

    fn replace(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.put("replace", &[(key.clone(), bytes)])
    }

    fn read(&self, key: &Key) -> Result<Bytes, StoreError> {
        let mut state = self.world.enter(self.writer());
        if let Some(error) = self.refusal(&mut state, "read") {
            return Err(error);
        }
        let (step, weather) = (state.step, state.weather.stale);
        let missing = || StoreError::Missing(key.clone());
        let object = state.objects.get(key).cloned().ok_or_else(missing)?;
        // What came in just now may not be seen yet. A commit that erases is seen at once: its erasing follows.
        let is_young = object.step + 12 > step && key.as_str().contains("/j/");
        let erases = object.bytes.windows(8).any(|part| part == b"\nerases ");
        if self.writer().is_some() && !self.is_disk() && is_young && !erases && state.chance.permille(weather)
        {
            self.note(&mut state, &format!("does not see {key} yet"));
            return Err(missing());
        }
        Ok(object.bytes)
    }

    fn open(&self, key: &Key) -> Result<Body, StoreError> {
        let bytes = self.read(key)?;
        Ok(Body::new(bytes.len() as u64, io::Cursor::new(bytes)))
    }

    fn open_range(&self, _: &Key, _: Range<u64>) -> Result<Body, StoreError> {
        unreachable!("nothing in the journal reads ranges")
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, StoreError> {
        let state = self.world.enter(self.writer());
        Ok(state.objects.get(key).map(|object| object.bytes.len() as u64))
    }

    fn list(
        &self,
        prefix: &Prefix,
        visit: &mut dyn FnMut(Listed) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut state = self.world.enter(self.writer());
        if let Some(error) = self.refusal(&mut state, "list") {
            return Err(error);
        }
        let listed = state.objects.iter().filter(|(key, _)| prefix.covers(key)).map(|(key, object)| Listed {
            key: key.clone(),
            size_bytes: object.bytes.len() as u64,
            modified: SystemTime::UNIX_EPOCH,
        });
        let listed: Vec<Listed> = listed.collect();
        drop(state);
        let _ = listed.into_iter().try_for_each(visit);
        Ok(())
    }

    fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        let mut state = self.world.enter(self.writer());
        self.check_synced()?;
        if let Some(error) = self.refusal(&mut state, "delete") {
            return Err(error);
        }
        if self.is_doubtful(&mut state) {
            let requests = keys.iter().cloned().map(Late::Delete).collect();
            return Err(self.doubt(&mut state, "delete", requests));
        }
        for key in keys {
            self.note(&mut state, &format!("delete {key}"));
            state.objects.remove(key);
        }
        let fails = self.sync_fails(&mut state);
        self.world.leave(self.writer(), state);
        if fails { self.check_synced() } else { Ok(()) }
    }
}

/// A clock that shows one second more at every look.
#[derive(Debug, Default)]
pub struct Ticking(std::sync::atomic::AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        let second = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Timestamp::from_second(1_772_000_000 + second).unwrap()
    }
}

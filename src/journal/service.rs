//! The writer's thread: commands that wait together are committed together. A second thread takes commits into the
//! projection and answers; the writer is at work on the next group meanwhile.

use super::behind::{Behind, Follower, behind};
use super::queue::{Queue, Refused};
use super::writer::{Halt, Parts, Writer};
use super::{AppendError, Applied, Command, Receipt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How the journal treats its callers.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Most commands that wait.
    pub queue: usize,
    /// Longest wait for room in the queue, and then for an answer.
    pub answer_within: Duration,
    /// How often other writers' commits are looked for; none when there can be no other writer.
    pub poll_every: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { queue: 1_024, answer_within: Duration::from_mins(1), poll_every: None }
    }
}

/// How the journal is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// How far it has come.
    pub applied: Applied,
    /// Why nothing is written any more, if so.
    pub halted: Option<Halt>,
    /// Commands that wait.
    pub waiting: usize,
}

type Answer = Result<Receipt, AppendError>;
type Waiting = (Command, SyncSender<Answer>);

/// A tenant's journal, open for writing.
#[derive(Debug)]
pub struct Journal {
    queue: Arc<Queue<Waiting>>,
    state: Arc<Mutex<(Applied, Option<Halt>)>>,
    stop: Arc<AtomicBool>,
    settings: Settings,
    /// The writer's first, then the one that follows it.
    threads: Vec<JoinHandle<()>>,
}

impl Journal {
    /// Catches up and starts the writer. `on_commit` is called after every commit, its own or another's, with
    /// the place reached.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn open(
        mut parts: Parts,
        settings: Settings,
        on_commit: impl Fn(&Applied) + Send + 'static,
    ) -> Result<Self, AppendError> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut patience = parts.patience;
        let stopping = stop.clone();
        parts.patience = Box::new(move |attempt| !stopping.load(Ordering::Acquire) && patience(attempt));
        let projection = parts.projection.clone();
        let mut writer = Writer::open(parts)?;
        let state = Arc::new(Mutex::new((writer.applied().clone(), None)));
        let queue = Queue::new(settings.queue);
        let (behind, follower) = behind(projection);
        let behind = Arc::new(behind);
        writer.follow_with(behind.clone());
        let ending = || Ending { queue: queue.clone(), state: state.clone() };
        let announcer = Announcer { ending: ending(), told: writer.applied().seq, on_commit };
        let work = Loop { writer, behind, queue: queue.clone(), settings, _ending: ending() };
        let failed = |source| AppendError::Store(Arc::new(crate::store::StoreError::staging(source)));
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(failed)
        };
        let mut journal = Self { queue, state, stop, settings, threads: Vec::new() };
        journal.threads.push(spawn("journal", Box::new(move || work.run()))?);
        journal.threads.push(spawn("catalogue", Box::new(move || announcer.run(follower)))?);
        Ok(journal)
    }

    /// Records a command; waits until it is durable.
    ///
    /// # Errors
    /// [`AppendError`]; only after [`AppendError::Doubt`] it may have been recorded nevertheless.
    pub fn append(&self, command: Command) -> Result<Receipt, AppendError> {
        self.submit(command)?.wait()
    }

    /// Queues a command; the answer is waited for later.
    ///
    /// # Errors
    /// [`AppendError::Busy`] when the queue stays full, [`AppendError::Closed`] at shutdown.
    pub fn submit(&self, command: Command) -> Result<Pending, AppendError> {
        let (sender, receiver) = sync_channel(1);
        let deadline = Instant::now() + self.settings.answer_within;
        match self.queue.push((command, sender), deadline) {
            Ok(()) => Ok(Pending { receiver, deadline }),
            Err(Refused::Full(_)) => Err(AppendError::Busy),
            Err(Refused::Closed(_)) => {
                Err(self.status().halted.map_or(AppendError::Closed, AppendError::ReadOnly))
            }
        }
    }

    /// How the journal is doing.
    pub fn status(&self) -> Status {
        let (applied, halted) = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Status { applied, halted, waiting: self.queue.len() }
    }
}

impl Drop for Journal {
    /// Commits what waits, then stops.
    fn drop(&mut self) {
        self.queue.close();
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A command on its way.
#[derive(Debug)]
pub struct Pending {
    receiver: Receiver<Answer>,
    deadline: Instant,
}

impl Pending {
    /// Waits for the answer.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn wait(self) -> Answer {
        match self.receiver.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Ok(answer) => answer,
            // Nobody knows whether the writer got as far as the commit.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(AppendError::Doubt),
        }
    }
}

/// Nobody waits for threads that have ended. Those whose commands they had taken hear that the outcome is unknown.
struct Ending {
    queue: Arc<Queue<Waiting>>,
    state: Arc<Mutex<(Applied, Option<Halt>)>>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                "the writer has ended through a fault of the program; nothing is written any more"
            );
            self.state.lock().unwrap_or_else(PoisonError::into_inner).1.get_or_insert(Halt::Panicked);
        }
        self.queue.close();
        while let Some(group) = self.queue.take(usize::MAX, Duration::ZERO) {
            for (_, sender) in group {
                let _ = sender.send(Err(AppendError::ReadOnly(Halt::Panicked)));
            }
        }
    }
}

/// Where the writer stands after a group, and the answers to it.
struct News {
    applied: Applied,
    halted: Option<Halt>,
    answers: Vec<(SyncSender<Answer>, Answer)>,
}

/// The writer at work.
struct Loop {
    writer: Writer,
    behind: Arc<Behind<News>>,
    queue: Arc<Queue<Waiting>>,
    settings: Settings,
    _ending: Ending,
}

impl Loop {
    fn run(mut self) {
        const GROUP: usize = 256;
        let patience = self.settings.poll_every.unwrap_or(Duration::from_hours(1));
        while let Some(group) = self.queue.take(GROUP, patience) {
            if self.behind.is_broken() {
                self.writer.halt(Halt::Projection);
            }
            let (mut commands, senders): (Vec<Command>, Vec<_>) = group.into_iter().unzip();
            let answers = if commands.is_empty() {
                if self.settings.poll_every.is_some()
                    && let Err(error) = self.writer.catch_up()
                {
                    tracing::warn!(%error, "the journal could not be read on");
                }
                Vec::new()
            } else {
                self.writer.commit(&mut commands)
            };
            self.behind.tell(News {
                applied: self.writer.applied().clone(),
                halted: self.writer.halted(),
                answers: senders.into_iter().zip(answers).collect(),
            });
        }
    }
}

/// Answers when the projection has come as far as the answer.
struct Announcer<F> {
    ending: Ending,
    told: u64,
    on_commit: F,
}

impl<F: Fn(&Applied)> Announcer<F> {
    fn run(mut self, follower: Follower<News>) {
        let state = self.ending.state.clone();
        follower.run(
            |news| self.hear(news),
            |error| {
                tracing::error!(%error, "the catalogue could not follow");
                halt(&mut state.lock().unwrap_or_else(PoisonError::into_inner).1, Halt::Projection);
            },
        );
    }

    fn hear(&mut self, news: News) {
        {
            // Told first: whoever has a receipt sees the journal stand where it says.
            let mut state = self.ending.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 = news.applied.clone();
            news.halted.into_iter().for_each(|reason| halt(&mut state.1, reason));
        }
        for (sender, answer) in news.answers {
            // Whoever no longer waits has an "outcome unknown" and will ask again.
            let _ = sender.send(answer);
        }
        if news.applied.seq != self.told {
            self.told = news.applied.seq;
            (self.on_commit)(&news.applied);
        }
    }
}

/// Lets others see that nothing is written any more; the first reason stays.
fn halt(halted: &mut Option<Halt>, reason: Halt) {
    if halted.is_none() {
        tracing::error!(?reason, "nothing is written any more");
        *halted = Some(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SystemClock, SystemEntropy};
    use crate::domain::decision::{Decision, NewEvent};
    use crate::domain::event::{Actor, Context, Event, NumberDrawn};
    use crate::domain::guard::{CounterKey, UniqueKey};
    use crate::domain::{EntityId, EntityKind};
    use crate::journal::projection::{Life, Projection, ProjectionError};
    use crate::journal::{CommitRecord, Layout};
    use crate::store::Memory;
    use std::sync::atomic::AtomicU64;
    use uuid::Uuid;

    /// A projection that knows one counter, and panics when it takes in the commit with this number.
    #[derive(Default)]
    struct Fragile {
        applied: Mutex<Applied>,
        last: AtomicU64,
        panics_at: AtomicU64,
    }

    impl Projection for Fragile {
        fn applied(&self) -> Result<Applied, ProjectionError> {
            Ok(self.applied.lock().unwrap_or_else(PoisonError::into_inner).clone())
        }

        fn life(&self, _: EntityId) -> Result<Option<Life>, ProjectionError> {
            Ok(None)
        }

        fn owner(&self, _: &UniqueKey) -> Result<Option<EntityId>, ProjectionError> {
            Ok(None)
        }

        fn counter(&self, _: &CounterKey) -> Result<u64, ProjectionError> {
            Ok(self.last.load(Ordering::SeqCst))
        }

        fn apply(&self, commits: &[CommitRecord]) -> Result<(), ProjectionError> {
            for commit in commits {
                assert_ne!(commit.seq, self.panics_at.load(Ordering::SeqCst), "on purpose");
                for recorded in commit.events() {
                    if let Event::NumberDrawn(data) = &recorded.event {
                        self.last.store(data.value, Ordering::SeqCst);
                    }
                }
                let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
                *applied = commit.advance(&applied);
            }
            Ok(())
        }
    }

    const OWNER: EntityId = EntityId::new(EntityKind::PlanUnit, Uuid::from_u128(1));

    fn journal(projection: Arc<Fragile>) -> Journal {
        let parts = Parts {
            store: Arc::new(Memory::new()),
            layout: Layout::new(&"t".parse().unwrap()),
            projection,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            software: "test".to_owned(),
            patience: Box::new(|_| false),
        };
        Journal::open(parts, Settings::default(), |_| {}).unwrap()
    }

    /// Draws a number; panics after that if told to.
    fn draw(panics: bool) -> Command {
        let decide = move |numbers: &mut dyn crate::domain::decision::Numbers| {
            let value = numbers.draw(&CounterKey { owner: OWNER, scope: "2026".to_owned() });
            assert!(!panics, "on purpose");
            vec![NewEvent::new(OWNER, Event::NumberDrawn(NumberDrawn { scope: "2026".to_owned(), value }))]
        };
        let context = Context::by(Actor::System);
        Command {
            decide: Box::new(decide),
            ..Command::record(context, Decision { guards: Vec::new(), events: Vec::new() })
        }
    }

    #[test]
    fn a_command_that_panics_is_refused_alone_and_leaves_no_gap() {
        let projection = Arc::new(Fragile::default());
        let journal = journal(projection.clone());
        journal.append(draw(false)).unwrap();
        let waiting: Vec<_> =
            [false, true, false].map(|panics| journal.submit(draw(panics)).unwrap()).into_iter().collect();
        let answers: Vec<_> = waiting.into_iter().map(Pending::wait).collect();
        assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
        assert!(matches!(answers[1], Err(AppendError::Panicked)), "{answers:?}");
        assert_eq!(projection.last.load(Ordering::SeqCst), 3, "the number of the second was never drawn");
        assert!(journal.status().halted.is_none());
    }

    #[test]
    fn a_writer_that_panics_lets_nobody_wait() {
        let projection = Arc::new(Fragile::default());
        let journal = journal(projection.clone());
        journal.append(draw(false)).unwrap();
        projection.panics_at.store(2, Ordering::SeqCst);
        let begun = Instant::now();
        assert!(matches!(journal.append(draw(false)), Err(AppendError::Doubt)), "its commit may stand");
        // The thread may still be on its way to the end.
        let after = loop {
            match journal.append(draw(false)) {
                Err(AppendError::Doubt) => {}
                other => break other,
            }
        };
        assert!(matches!(after, Err(AppendError::ReadOnly(Halt::Panicked))), "{after:?}");
        assert_eq!(journal.status().halted, Some(Halt::Panicked));
        assert!(begun.elapsed() < Settings::default().answer_within);
    }
}

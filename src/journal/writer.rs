//! Turns groups of commands into commits. Everything that makes an acknowledgement safe is in this file.

use super::commit::Commit;
use super::heads::Heads;
use super::layout::Layout;
use super::payload;
use super::projection::{Applied, CommitRecord, LeafRecord, Projection};
use super::reader::{JournalError, Reader};
use super::replay::{ReplayError, replay};
use super::{AppendError, Command, Receipt};
use crate::clock::{Clock, Entropy};
use crate::domain::event::{LeafRange, Recorded};
use crate::domain::{Digest, EntityId};
use crate::store::{Bytes, Created, Key, ObjectStore, Prepared, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most events in one commit.
pub const MAX_EVENTS: usize = 1_000;

/// What the writer works with.
pub struct Parts {
    /// Where the tenant's objects lie.
    pub store: Arc<dyn ObjectStore>,
    /// The tenant's folder.
    pub layout: Layout,
    /// What follows the journal.
    pub projection: Arc<dyn Projection>,
    /// The time of commits.
    pub clock: Arc<dyn Clock>,
    /// Nonces and salts.
    pub entropy: Arc<dyn Entropy>,
    /// Name and version of the program, as events record it.
    pub software: String,
    /// Called before a doubtful commit is looked at again, with the number of the attempt; `false` gives up
    /// (the caller's answer then is "outcome unknown").
    pub patience: Box<dyn FnMut(u32) -> bool + Send>,
}

/// The one writer of a tenant in this process. Other processes may have theirs: the store orders their commits.
pub struct Writer {
    parts: Parts,
    reader: Reader,
    applied: Applied,
    /// Why nothing is written any more.
    halted: Option<Halt>,
}

/// Why a writer has stopped for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// A sync failed: what the disk holds is unknown.
    Unsynced,
    /// The projection broke after a commit; the journal is fine.
    Projection,
    /// The journal cannot be read on.
    Journal,
    /// A commit's outcome is still unknown.
    Doubt,
    /// The writer's thread came to an end through a fault of the program.
    Panicked,
}

/// A command of the group that is part of the draft.
struct Member {
    /// Its place in the group.
    index: usize,
    events: Vec<Recorded>,
    erases: Vec<LeafRange>,
}

/// The events of one entity.
type Owned = (EntityId, Vec<Recorded>);

/// A commit on its way.
struct Draft {
    commit: Commit,
    /// The commit as it is stored.
    bytes: Bytes,
    record: CommitRecord,
    objects: Vec<Key>,
    payloads: Vec<(Key, Bytes)>,
    /// The members whose events are in it.
    members: Vec<usize>,
}

/// What became of one attempt.
enum Outcome {
    Done,
    /// Another writer has the place.
    Lost,
    /// The store refused, and said that nothing was written.
    Refused(StoreError),
}

impl Writer {
    /// Takes up where the projection stands and catches up with the journal.
    ///
    /// # Errors
    /// [`JournalError`] when the journal is shorter than the projection knows, or cannot be read; the store's when
    /// the last commit cannot be made durable.
    pub fn open(parts: Parts) -> Result<Self, AppendError> {
        let reader = Reader::new(parts.store.clone(), parts.layout.clone());
        let applied = parts.projection.applied()?;
        reader.check_not_rolled_back(&applied)?;
        let mut writer = Self { parts, reader, applied, halted: None };
        writer.catch_up()?;
        writer.hold_fast()?;
        Ok(writer)
    }

    /// Makes the last commit durable under its name. Whoever wrote it may have died between showing it and
    /// syncing its folder; from here on others are told of it, and erasures that it permits begin.
    fn hold_fast(&self) -> Result<(), AppendError> {
        if self.applied.seq == 0 {
            return Ok(());
        }
        let head = self.parts.layout.commit(self.applied.seq);
        self.parts.store.barrier(&[head]).map_err(|error| AppendError::Store(Arc::new(error)))
    }

    /// The place reached.
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Why nothing is written any more, if so.
    pub fn halted(&self) -> Option<Halt> {
        self.halted
    }

    /// Goes on with another projection, which stands where this one does or is on its way there.
    pub(super) fn follow_with(&mut self, projection: Arc<dyn Projection>) {
        self.parts.projection = projection;
    }

    /// Writes nothing from now on.
    pub(super) fn halt(&mut self, reason: Halt) {
        self.halted.get_or_insert(reason);
    }

    /// Takes in what other writers have committed. Returns the number of commits.
    ///
    /// # Errors
    /// When the journal or the projection is broken; nothing is written from then on.
    pub fn catch_up(&mut self) -> Result<u64, AppendError> {
        if let Some(halt @ Halt::Unsynced) = self.halted {
            // What stands there may be our own commit whose sync failed: a power cut can still take it.
            return Err(AppendError::ReadOnly(halt));
        }
        let before = self.applied.seq;
        let (reader, from) = (&self.reader, self.applied.clone());
        let caught_up =
            replay(reader, &*self.parts.projection, from, &mut |applied| self.applied = applied.clone());
        match caught_up {
            Ok(()) => Ok(self.applied.seq - before),
            Err(ReplayError::Journal(JournalError::Store(error))) => Err(AppendError::Store(Arc::new(error))),
            Err(ReplayError::Journal(error)) => {
                self.halted = Some(Halt::Journal);
                Err(error.into())
            }
            Err(ReplayError::Projection(error)) => {
                self.halted = Some(Halt::Projection);
                Err(error.into())
            }
        }
    }

    /// Commits a group of commands together, in order. Gives an answer for each.
    pub fn commit(&mut self, commands: &mut [Command]) -> Vec<Result<Receipt, AppendError>> {
        let mut answers: Vec<Option<Result<Receipt, AppendError>>> = commands.iter().map(|_| None).collect();
        loop {
            if let Some(halt) = self.halted {
                break self.answer_all(&mut answers, || AppendError::ReadOnly(halt));
            }
            let draft = match self.draft(commands, &mut answers) {
                Ok(Some(draft)) => draft,
                Ok(None) if answers.iter().all(Option::is_some) => break,
                Ok(None) => continue,
                Err(error) => break self.answer_all(&mut answers, || error.clone()),
            };
            // A crash up to the end of the next step leaves objects that nothing names. `verify` lists them.
            let prepared = match self.make_durable(&draft) {
                Ok(prepared) => prepared,
                Err(error) => {
                    let error = Arc::new(error);
                    break self.answer_all(&mut answers, || AppendError::Store(error.clone()));
                }
            };
            // From the next call on the commit may stand, whatever the answer says.
            match self.take_place(&draft, &prepared) {
                Ok(Outcome::Done) => self.settle(&draft, &mut answers),
                Ok(Outcome::Lost) => {
                    if let Err(error) = self.catch_up() {
                        break self.answer_all(&mut answers, || error.clone());
                    }
                }
                Ok(Outcome::Refused(error)) => {
                    let error = Arc::new(error);
                    break self.answer_all(&mut answers, || AppendError::Store(error.clone()));
                }
                Err(halt) => {
                    self.halted = Some(halt);
                    break self.answer_all(&mut answers, || AppendError::Doubt);
                }
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or(Err(AppendError::Closed))).collect()
    }

    #[expect(clippy::unused_self, reason = "reads as one of the writer's steps")]
    fn answer_all(
        &self,
        answers: &mut [Option<Result<Receipt, AppendError>>],
        mut error: impl FnMut() -> AppendError,
    ) {
        for answer in answers.iter_mut().filter(|answer| answer.is_none()) {
            *answer = Some(Err(error()));
        }
    }

    /// Decides the unanswered commands against the head and puts their events into a draft; `None` when nothing is
    /// to be written. Refused commands get their answer here, so that every call answers or drafts at least one.
    fn draft(
        &self,
        commands: &mut [Command],
        answers: &mut [Option<Result<Receipt, AppendError>>],
    ) -> Result<Option<Draft>, AppendError> {
        let now = self.parts.clock.now();
        let mut heads = Heads::new(&*self.parts.projection);
        let (mut members, mut total) = (Vec::<Member>::new(), 0);
        for (index, command) in commands.iter_mut().enumerate() {
            if answers[index].is_some() {
                continue;
            }
            match heads.decide(&command.guards, &mut *command.decide) {
                Ok(events) if total + events.len() > MAX_EVENTS => break,
                Ok(events) => {
                    total += events.len();
                    let recorded = events.into_iter().map(|new| Recorded {
                        entity: new.entity,
                        recorded_at: now,
                        context: command.context.clone(),
                        software: self.parts.software.clone(),
                        event: new.event,
                        objects: new.objects,
                    });
                    members.push(Member {
                        index,
                        events: recorded.collect(),
                        erases: command.erases.clone(),
                    });
                }
                Err(error @ AppendError::Projection(_)) => return Err(error),
                Err(error) => answers[index] = Some(Err(error)),
            }
        }
        Ok(self.assemble(members, answers))
    }

    /// One payload an entity, one leaf a payload. What does not fit into a payload together goes into several
    /// commits; what does not fit alone gets its refusal here.
    fn assemble(
        &self,
        mut members: Vec<Member>,
        answers: &mut [Option<Result<Receipt, AppendError>>],
    ) -> Option<Draft> {
        loop {
            let (owners, bytes) = self.payloads(&members)?;
            let Some(place) = bytes.iter().position(|bytes| bytes.len() > payload::MAX_BYTES) else {
                return Some(self.seal(&members, owners, bytes));
            };
            let entity = owners[place].0;
            let writes = |member: &Member| member.events.iter().any(|recorded| recorded.entity == entity);
            let authors: Vec<usize> = (0..members.len()).filter(|at| writes(&members[*at])).collect();
            let last = *authors.last()?;
            if authors.len() == 1 {
                answers[members[last].index] = Some(Err(AppendError::PayloadTooLarge));
            }
            // Those after it were decided in the belief that it comes before them: they are decided anew.
            members.truncate(last);
        }
    }

    /// The events by owner, in order of first appearance, and the payloads' bytes; `None` without any.
    fn payloads(&self, members: &[Member]) -> Option<(Vec<Owned>, Vec<Vec<u8>>)> {
        let mut owners: Vec<Owned> = Vec::new();
        let mut places = BTreeMap::<EntityId, usize>::new();
        for recorded in members.iter().flat_map(|member| &member.events) {
            let place = *places.entry(recorded.entity).or_insert_with(|| {
                owners.push((recorded.entity, Vec::new()));
                owners.len() - 1
            });
            owners[place].1.push(recorded.clone());
        }
        let salt = || {
            let mut salt = [0; 32];
            self.parts.entropy.fill(&mut salt);
            salt
        };
        let bytes = owners.iter().map(|(_, events)| payload::write(events, salt)).collect();
        (!owners.is_empty()).then_some((owners, bytes))
    }

    fn seal(&self, members: &[Member], owners: Vec<Owned>, bytes: Vec<Vec<u8>>) -> Draft {
        let erases: Vec<LeafRange> = members.iter().flat_map(|member| member.erases.clone()).collect();
        let mut nonce = [0; 16];
        self.parts.entropy.fill(&mut nonce);
        let first_leaf = self.applied.frontier.size();
        let digests: Vec<Digest> = bytes.iter().map(|bytes| Digest::of(bytes)).collect();
        let commit = Commit {
            seq: self.applied.seq + 1,
            first_leaf,
            nonce,
            previous: self.applied.digest,
            erases: erases.clone(),
            leaves: digests.clone(),
        };
        let layout = &self.parts.layout;
        let objects = owners.iter().flat_map(|(_, events)| events);
        let objects = objects.flat_map(|recorded| {
            recorded.objects.iter().map(|object| layout.object(recorded.entity, &object.sha256))
        });
        let objects = objects.collect();
        let payloads =
            digests.iter().zip(bytes).map(|(digest, bytes)| (layout.payload(digest), bytes.into()));
        let payloads = payloads.collect();
        let leaves = (first_leaf..)
            .zip(digests)
            .zip(owners)
            .map(|((position, payload), (_, events))| LeafRecord { position, payload, events: Some(events) })
            .collect();
        let text = Bytes::from(commit.to_text());
        let digest = Digest::of(&text);
        let record = CommitRecord { seq: commit.seq, digest, first_leaf, erases, leaves };
        let members = members.iter().map(|member| member.index).collect();
        Draft { commit, bytes: text, record, objects, payloads, members }
    }

    /// First barrier: everything the commit names is durable under its name. The commit's own bytes come along.
    fn make_durable(&mut self, draft: &Draft) -> Result<Prepared, StoreError> {
        let durable = self.parts.store.put_all(&draft.payloads).and_then(|()| {
            let names: Vec<Key> =
                draft.objects.iter().chain(draft.payloads.iter().map(|(key, _)| key)).cloned().collect();
            self.parts.store.prepare(&names, draft.bytes.clone())
        });
        durable.inspect_err(|error| {
            if matches!(error, StoreError::SyncFailed { .. }) {
                self.halted = Some(Halt::Unsynced);
            }
        })
    }

    /// Second barrier: creates the commit object, and goes on until it is known whose commit stands there.
    fn take_place(&mut self, draft: &Draft, prepared: &Prepared) -> Result<Outcome, Halt> {
        let key = self.parts.layout.commit(draft.commit.seq);
        let mut may_stand = false;
        for attempt in 0.. {
            if attempt > 0 && !(self.parts.patience)(attempt) {
                return Err(Halt::Doubt);
            }
            match self.parts.store.create_prepared(&key, prepared) {
                Ok(Created::Created) => return Ok(Outcome::Done),
                Err(StoreError::SyncFailed { .. }) => return Err(Halt::Unsynced),
                // A full disk, no connection: callers hear of it at once, and the writer stays usable.
                Err(error) if !may_stand && !error.may_have_applied() => return Ok(Outcome::Refused(error)),
                Err(_) => may_stand = true,
                Ok(Created::Exists) => {}
            }
            // Ours after all, or another's: the nonce tells. Nothing there yet means that our own late write may
            // still land; the same bytes are tried again, so that it can only ever be this commit.
            match self.reader.commit(draft.commit.seq) {
                Ok(Some((found, _))) if found.nonce == draft.commit.nonce => return Ok(Outcome::Done),
                Ok(Some(_)) => return Ok(Outcome::Lost),
                Ok(None) | Err(JournalError::Store(_)) => {}
                Err(_) => return Err(Halt::Journal),
            }
        }
        Err(Halt::Doubt)
    }

    /// The commit stands: the projection follows, and the callers hear of it. The projection comes first, so
    /// that whoever has a receipt can read what it is for; if it breaks, the receipt is true all the same.
    fn settle(&mut self, draft: &Draft, answers: &mut [Option<Result<Receipt, AppendError>>]) {
        let applied = draft.record.advance(&self.applied);
        if self.parts.projection.apply(std::slice::from_ref(&draft.record)).is_err() {
            self.halted = Some(Halt::Projection);
        }
        self.applied = applied;
        let leaves = draft.record.leaves.iter();
        let positions: Vec<_> = leaves
            .filter_map(|leaf| {
                let first = leaf.events.as_ref()?.first()?;
                Some((first.entity, leaf.position, leaf.payload, first.recorded_at))
            })
            .collect();
        let recorded_at = positions.first().map_or(jiff::Timestamp::UNIX_EPOCH, |place| place.3);
        let places: Arc<[(EntityId, u64)]> = positions.iter().map(|place| (place.0, place.1)).collect();
        for index in &draft.members {
            let places = places.clone();
            answers[*index] = Some(Ok(Receipt { seq: draft.record.seq, recorded_at, places }));
        }
    }
}

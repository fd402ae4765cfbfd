//! One writer's part: random commands in groups, crashes, restarts with an old or an empty projection.

use super::history::{Verdict, Wish, violation};
use super::model::{Facts, Model};
use super::world::{Crash, Flaw, Handle, Kind, Ticking, World};
use crate::support::chance::{Chance, SeededEntropy};
use eakte::clock::Entropy;
use eakte::domain::codes::{Medium, Origin, Protection, Rejection};
use eakte::domain::decision::NewEvent;
use eakte::domain::event::{
    Actor, BatchClosed, BatchOpened, CaseFileClosed, CaseFileOpened, Context, DocumentDigitised,
    DocumentFiled, DocumentReceived, ErasureCompleted, ErasurePermitted, Event, FilesRejected, LeafRange,
    NumberDrawn, RejectedFile, VersionAdded,
};
use eakte::domain::guard::{CounterKey, Guard, UniqueKey};
use eakte::domain::object::Encoding;
use eakte::domain::{
    BatchId, CaseFileId, Digest, DocumentId, EntityId, EntityKind, ObjectRef, PlanUnitId, UnitId,
};
use eakte::journal::{AppendError, Command, Decide, Halt, Layout, Parts, Projection, Writer};
use eakte::store::{ObjectStore as _, Prefix, StoreError};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use uuid::Uuid;

pub fn layout() -> Layout {
    Layout::new(&"t".parse().unwrap())
}

/// The tenant and a plan unit: never erased.
pub fn tenant() -> EntityId {
    EntityId::new(EntityKind::Tenant, Uuid::from_u128(1))
}

pub fn plan_unit() -> EntityId {
    EntityId::new(EntityKind::PlanUnit, Uuid::from_u128(2))
}

/// Nonces that are all the same.
#[derive(Debug)]
struct NoNonce(SeededEntropy);

impl Entropy for NoNonce {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() == 16 { bytes.fill(7) } else { self.0.fill(bytes) }
    }
}

/// Makes the projection that a writer works with; the model stays the one that the player looks into.
pub type MakeProjection<'a> = &'a (dyn Fn(usize, &Arc<Model>, bool) -> Arc<dyn Projection> + Sync);

/// What one writer does.
pub struct Player<'a> {
    pub world: Arc<World>,
    pub number: usize,
    pub chance: Chance,
    pub make: MakeProjection<'a>,
    /// Groups still to be tried.
    pub groups: usize,
    pub clock: Arc<Ticking>,
}

/// A command with what the checks need to know about it.
struct Planned {
    command: Command,
    wish: Wish,
}

impl Player<'_> {
    /// Plays to the end; returns what the writer knows then.
    pub fn run(mut self) -> Facts {
        self.world.begin(self.number);
        let mut known = Facts::default();
        let mut earlier = vec![Facts::default()];
        let mut is_new = true;
        while self.groups > 0 {
            let model = Arc::new(Model::new(known, self.world.flaw == Flaw::ForgetsCounters));
            let projection = (self.make)(self.number, &model, is_new);
            let lived = catch_unwind(AssertUnwindSafe(|| self.live(&model, projection)));
            if let Err(reason) = lived
                && !reason.is::<Crash>()
            {
                self.world.end(self.number);
                std::panic::resume_unwind(reason);
            }
            known = model.facts().clone();
            // Started again: with what it knew, with an older copy of it, or from nothing.
            match self.chance.below(4) {
                0 => {
                    known = Facts::default();
                    is_new = true;
                }
                1 if !is_new => {
                    known = self.chance.pick(&earlier).unwrap().clone();
                    is_new = true;
                }
                _ => {
                    earlier.push(known.clone());
                    is_new = false;
                }
            }
        }
        self.world.end(self.number);
        known
    }

    /// One life of the writer's process: until it crashes, halts, or has had enough.
    fn live(&mut self, model: &Arc<Model>, projection: Arc<dyn Projection>) {
        let handle = Handle::new(&self.world, Some(self.number));
        let mut chance = self.chance.fork();
        let patience = u32::try_from(chance.below(12)).unwrap();
        let seed = chance.next();
        let entropy: Arc<dyn Entropy> = match self.world.flaw {
            Flaw::SameNonce => Arc::new(NoNonce(SeededEntropy::new(seed))),
            _ => Arc::new(SeededEntropy::new(seed)),
        };
        let parts = Parts {
            store: handle.clone(),
            layout: layout(),
            projection,
            clock: self.clock.clone(),
            entropy,
            software: "simulation".into(),
            patience: Box::new(move |attempt| attempt < patience),
        };
        let mut writer = match Writer::open(parts) {
            Ok(writer) => writer,
            Err(error) => {
                self.groups -= 1;
                return self.judge(&error);
            }
        };
        self.note_seen(model);
        let lifetime = 1 + self.chance.below(8);
        for _ in 0..lifetime.min(self.groups) {
            self.groups -= 1;
            let planned = self.plan(model, &handle);
            let (mut commands, wishes): (Vec<_>, Vec<_>) =
                planned.into_iter().map(|planned| (planned.command, planned.wish)).unzip();
            let first = self.begin(wishes);
            let answers = writer.commit(&mut commands);
            self.end(first, &answers, model, &handle);
            self.note_seen(model);
            if let Some(halt) = writer.halted() {
                if !matches!(halt, Halt::Unsynced | Halt::Doubt) {
                    violation(format!("writer {} halted: {halt:?}", self.number));
                }
                return;
            }
            if self.chance.permille(300) {
                self.finish_erasing(model, &handle, &mut writer);
            }
            if self.chance.permille(300) {
                match writer.catch_up() {
                    Ok(_) => self.note_seen(model),
                    Err(error) => self.judge(&error),
                }
            }
        }
    }

    /// A failed start is no violation by itself, unless the journal is said to be broken.
    fn judge(&self, error: &AppendError) {
        use eakte::journal::JournalError as E;
        if let AppendError::Journal(error) = error {
            // A bucket that shows commits late can look shortened for a moment; the start is repeated.
            let is_alarm = match &**error {
                E::Store(_) => false,
                E::Rollback { .. } => self.world.kind == Kind::Disk,
                _ => true,
            };
            if is_alarm {
                violation(format!("the journal is called broken: {error}"));
            }
        }
    }

    fn note_seen(&self, model: &Model) {
        let facts = model.facts();
        if facts.applied.seq > 0 {
            self.world.state().seen.insert(facts.applied.seq, facts.applied.digest);
        }
    }

    fn begin(&self, wishes: Vec<Wish>) -> usize {
        let mut state = self.world.state();
        let first = state.history.len();
        let begun = state.step;
        for (place, wish) in wishes.into_iter().enumerate() {
            let line = format!("{begun} w{} wishes {} {:?}", self.number, wish.tag, wish.entities);
            state.trace.push(line);
            state.history.push(Wish { group: first, place, begun, ..wish });
        }
        first
    }

    fn end(
        &self,
        first: usize,
        answers: &[Result<eakte::journal::Receipt, AppendError>],
        model: &Model,
        handle: &Handle,
    ) {
        let mut orphans = Vec::new();
        {
            let mut state = self.world.state();
            let ended = state.step;
            for (at, answer) in answers.iter().enumerate() {
                let line = match answer {
                    Ok(receipt) => format!("recorded in {}", receipt.seq),
                    Err(error) => format!("{error:?}"),
                };
                let wish = &mut state.history[first + at];
                wish.ended = ended;
                wish.verdict = match answer {
                    Ok(receipt) => Verdict::Done(receipt.clone()),
                    Err(AppendError::Doubt) if self.world.flaw != Flaw::DoubtMeansNo => Verdict::Unknown,
                    Err(error) => Verdict::Refused(error.clone()),
                };
                if let Err(AppendError::Taken { .. } | AppendError::Stale(_)) = answer {
                    orphans.extend(
                        wish.objects.iter().map(|(owner, object)| layout().object(*owner, &object.sha256)),
                    );
                }
                let line = format!("{ended} w{} hears {}: {line}", self.number, wish.tag);
                state.trace.push(line);
            }
        }
        // As ingest does: what was surely not recorded may go at once.
        let _ = handle.delete(&orphans);
        let _ = model;
    }

    /// Deletes what permitted erasures have left, and says so.
    fn finish_erasing(&mut self, model: &Arc<Model>, handle: &Arc<Handle>, writer: &mut Writer) {
        let open: Vec<u64> = model
            .facts()
            .erasures
            .iter()
            .filter(|(_, erasure)| !erasure.is_complete)
            .map(|(seq, _)| *seq)
            .collect();
        let Some(seq) = self.chance.pick(&open).copied() else { return };
        let erasure = model.facts().erasures[&seq].clone();
        if erase(handle, &model.facts().payloads.clone(), &erasure.entities, &erasure.leaves).is_err() {
            return;
        }
        let event = Event::ErasureCompleted(ErasureCompleted { permitted_by: seq });
        let version = model.facts().lives.get(&tenant()).map_or(0, |life| life.version);
        let guards = vec![Guard::Version(tenant(), version)];
        let planned = self.planned("erased", guards, vec![NewEvent::new(tenant(), event)], Vec::new());
        let first = self.begin(vec![planned.wish]);
        let answers = writer.commit(&mut [planned.command]);
        self.end(first, &answers, model, handle);
    }

    fn planned(
        &mut self,
        what: &str,
        guards: Vec<Guard>,
        events: Vec<NewEvent>,
        erases: Vec<LeafRange>,
    ) -> Planned {
        let entities = events.iter().map(|new| new.entity).collect();
        self.planned_with(what, guards, entities, erases, Box::new(move |_| events.clone()))
    }

    fn planned_with(
        &mut self,
        what: &str,
        guards: Vec<Guard>,
        entities: Vec<EntityId>,
        erases: Vec<LeafRange>,
        decide: Decide,
    ) -> Planned {
        let tag = format!("{what}-{:x}", self.chance.next());
        let context = Context { reason: Some(tag.clone()), ..Context::by(Actor::System) };
        let wish = Wish {
            tag,
            guards: guards.clone(),
            entities,
            objects: Vec::new(),
            group: 0,
            place: 0,
            begun: 0,
            ended: u64::MAX,
            verdict: Verdict::Unknown,
            is_impossible: false,
        };
        Planned { command: Command { context, guards, decide, erases }, wish }
    }

    fn uuid(&mut self) -> Uuid {
        Uuid::from_bytes(self.chance.bytes())
    }

    /// A group of commands, from what the writer knows now.
    fn plan(&mut self, model: &Model, handle: &Handle) -> Vec<Planned> {
        let facts = model.facts().clone();
        if self.chance.permille(12)
            && let Some((batch, life)) = self.some(&facts, EntityKind::Batch)
        {
            // Two long lists that do not fit into one payload, with numbers drawn along with them and after them.
            let guard = Guard::Epoch(batch, life.epoch);
            let mut group: Vec<Planned> = (0..2)
                .map(|_| self.draw(vec![guard.clone()], vec![NewEvent::new(batch, rejected(530_000))]))
                .collect();
            group.push(self.open_case_file());
            return group;
        }
        let count = 1 + self.chance.below(6);
        (0..count).map(|_| self.command(&facts, handle)).collect()
    }

    fn some(&mut self, facts: &Facts, kind: EntityKind) -> Option<(EntityId, eakte::journal::Life)> {
        let all: Vec<_> = facts
            .lives
            .iter()
            .filter(|(entity, _)| entity.kind == kind)
            .map(|(id, life)| (*id, *life))
            .collect();
        self.chance.pick(&all).copied()
    }

    fn command(&mut self, facts: &Facts, handle: &Handle) -> Planned {
        match self.chance.below(23) {
            0..=3 => self.open_case_file(),
            4..=8 => self.receive(facts, handle),
            9..=10 => match self.some(facts, EntityKind::Document) {
                Some((id, life)) => self.add_version(id, life.version, handle),
                None => self.receive(facts, handle),
            },
            11..=12 => match self.some(facts, EntityKind::Document) {
                Some((id, life)) => self.digitise(id, life.epoch, handle),
                None => self.open_case_file(),
            },
            13..=15 => match self.some(facts, EntityKind::Document) {
                Some((id, life)) => self.permit_erasure(facts, id, life.version, handle),
                None => self.open_batch(),
            },
            16 => match self.some(facts, EntityKind::CaseFile) {
                Some((id, life)) => {
                    let event = Event::CaseFileClosed(CaseFileClosed {});
                    self.planned(
                        "close",
                        vec![Guard::Version(id, life.version)],
                        vec![NewEvent::new(id, event)],
                        Vec::new(),
                    )
                }
                None => self.open_case_file(),
            },
            17 => match self.some(facts, EntityKind::Batch) {
                Some((id, life)) => self.batch(id, life.epoch),
                None => self.open_batch(),
            },
            18 => {
                if self.chance.permille(500) {
                    self.impossible()
                } else {
                    self.draw(Vec::new(), Vec::new())
                }
            }
            19..=21 => match self.some(facts, EntityKind::Document) {
                Some((id, life)) => self.file(facts, id, life.version),
                None => self.receive(facts, handle),
            },
            _ => self.open_batch(),
        }
    }

    /// Files a document elsewhere, often where others come with the same bytes.
    fn file(&mut self, facts: &Facts, id: EntityId, version: u64) -> Planned {
        let (from, sha256) = facts.places[&id];
        let Some((target, life)) = self.some(facts, EntityKind::CaseFile) else {
            return self.open_case_file();
        };
        let case_file = CaseFileId::from_uuid(target.id);
        if from == Some(case_file) {
            return self.open_case_file();
        }
        let event = Event::DocumentFiled(DocumentFiled { case_file, from, sha256 });
        let mut guards = vec![Guard::Version(id, version), Guard::Epoch(target, life.epoch)];
        if let Some(from) = from {
            let life = facts.lives[&EntityId::from(from)];
            guards.push(Guard::Epoch(from.into(), life.epoch));
        }
        self.planned("file", guards, vec![NewEvent::new(id, event)], Vec::new())
    }

    fn open_case_file(&mut self) -> Planned {
        let id = EntityId::from(CaseFileId::from_uuid(self.uuid()));
        let year = 2024 + self.chance.below(2);
        let counter = CounterKey { owner: plan_unit(), scope: year.to_string() };
        let decide: Decide = Box::new(move |numbers| {
            let value = numbers.draw(&counter);
            let drawn = Event::NumberDrawn(NumberDrawn { scope: counter.scope.clone(), value });
            let opened = opened(format!("60.10-{year}/{value}"));
            vec![NewEvent::new(plan_unit(), drawn), NewEvent::new(id, Event::CaseFileOpened(opened))]
        });
        self.planned_with("open", Vec::new(), vec![plan_unit(), id], Vec::new(), decide)
    }

    fn publish(handle: &Handle, owner: EntityId, text: &str) -> Result<ObjectRef, StoreError> {
        let mut staging = handle.stage()?;
        staging.write_all(text.as_bytes()).map_err(StoreError::staging)?;
        let staged = staging.finish()?;
        let (sha256, size) = (staged.digest(), staged.size_bytes());
        handle.publish(&staged, &layout().object(owner, &sha256))?;
        Ok(ObjectRef { name: "x".into(), sha256, size, enc: Encoding::None })
    }

    /// A command whose object could not be published is not given to the writer; something else takes its place.
    fn with_object(
        &mut self,
        handle: &Handle,
        what: &str,
        guards: Vec<Guard>,
        owner: EntityId,
        text: &str,
        event: Event,
    ) -> Planned {
        match Self::publish(handle, owner, text) {
            Ok(object) => {
                let new = NewEvent::with(owner, event, vec![object.clone()]);
                let mut planned = self.planned(what, guards, vec![new], Vec::new());
                planned.wish.objects.push((owner, object));
                planned
            }
            Err(_) => self.open_batch(),
        }
    }

    fn receive(&mut self, facts: &Facts, handle: &Handle) -> Planned {
        let id = EntityId::from(DocumentId::from_uuid(self.uuid()));
        let target = if self.chance.permille(600) { self.some(facts, EntityKind::CaseFile) } else { None };
        let case_file = target.map(|(id, _)| CaseFileId::from_uuid(id.id));
        let text = format!("letter {}", self.chance.below(12));
        let mut guards: Vec<Guard> = target.iter().map(|(id, life)| Guard::Epoch(*id, life.epoch)).collect();
        if self.chance.permille(300) {
            guards.push(Guard::Vacant(UniqueKey::content(case_file, &Digest::of(text.as_bytes()))));
        }
        let idempotency_key = self.chance.permille(300).then(|| format!("key {}", self.chance.below(20)));
        let event = Event::DocumentReceived(DocumentReceived {
            case_file,
            unit: None,
            title: "Brief".into(),
            source_name: "brief.txt".into(),
            source_path: None,
            document_type: None,
            document_date: None,
            received_on: None,
            direction: None,
            origin: Origin::Upload,
            classification: None,
            batch: None,
            media_type: "text/plain".into(),
            findings: Vec::new(),
            idempotency_key,
        });
        self.with_object(handle, "receive", guards, id, &text, event)
    }

    fn add_version(&mut self, id: EntityId, version: u64, handle: &Handle) -> Planned {
        let event = Event::VersionAdded(VersionAdded {
            number: 2,
            source_name: "brief.txt".into(),
            media_type: "text/plain".into(),
            findings: Vec::new(),
            idempotency_key: None,
        });
        let text = format!("version {:x}", self.chance.next());
        self.with_object(handle, "version", vec![Guard::Version(id, version)], id, &text, event)
    }

    fn digitise(&mut self, id: EntityId, epoch: u64, handle: &Handle) -> Planned {
        let event = Event::DocumentDigitised(DocumentDigitised {
            generation: 1,
            of_version: 1,
            engine: "simulation".into(),
            pages: 1,
            ocr_pages: 0,
            ocr_pending: 0,
            blank_pages: 0,
            mean_confidence: None,
            text: None,
            pdf: None,
            findings: Vec::new(),
        });
        let text = format!("text {:x}", self.chance.next());
        self.with_object(handle, "digitise", vec![Guard::Epoch(id, epoch)], id, &text, event)
    }

    fn permit_erasure(&mut self, facts: &Facts, id: EntityId, version: u64, handle: &Handle) -> Planned {
        let leaves: Vec<LeafRange> =
            facts.leaves[&id].iter().map(|at| LeafRange { first: *at, last: *at }).collect();
        if self.world.flaw == Flaw::ErasesEarly {
            let _ = erase(handle, &facts.payloads, &[id], &leaves);
        }
        let data = ErasurePermitted { entities: vec![id], leaves: leaves.clone() };
        let event = NewEvent::new(tenant(), Event::ErasurePermitted(data));
        self.planned("erase", vec![Guard::Version(id, version)], vec![event], leaves)
    }

    fn open_batch(&mut self) -> Planned {
        let id = BatchId::from_uuid(self.uuid());
        let name = format!("Karton {}", self.chance.below(9));
        let data = BatchOpened::named(&name, "scan");
        self.planned("batch", Vec::new(), vec![NewEvent::new(id, Event::BatchOpened(data))], Vec::new())
    }

    /// Closes a batch, or writes a long list into it: two such lists do not fit into a payload together.
    fn batch(&mut self, id: EntityId, epoch: u64) -> Planned {
        let guards = vec![Guard::Epoch(id, epoch)];
        let event = if self.chance.permille(600) {
            Event::BatchClosed(BatchClosed { seen: 0, received: 0, duplicate: 0, rejected: 0 })
        } else {
            rejected(if self.chance.permille(200) { 1_100_000 } else { 1_000 })
        };
        self.planned("lines", guards, vec![NewEvent::new(id, event)], Vec::new())
    }

    /// Draws a number for these events, which do not hold it: only the counter itself keeps it from being reused.
    fn draw(&mut self, guards: Vec<Guard>, more: Vec<NewEvent>) -> Planned {
        let counter = CounterKey { owner: plan_unit(), scope: "2025".into() };
        let entities = std::iter::once(plan_unit()).chain(more.iter().map(|new| new.entity)).collect();
        let decide: Decide = Box::new(move |numbers| {
            let value = numbers.draw(&counter);
            let drawn = Event::NumberDrawn(NumberDrawn { scope: counter.scope.clone(), value });
            [vec![NewEvent::new(plan_unit(), drawn)], more.clone()].concat()
        });
        self.planned_with("draw", guards, entities, Vec::new(), decide)
    }

    /// Draws a number and then gives no event, or far too many.
    fn impossible(&mut self) -> Planned {
        let counter = CounterKey { owner: plan_unit(), scope: "2024".into() };
        let count = if self.chance.permille(500) { 0 } else { 1_001 };
        let decide: Decide = Box::new(move |numbers| {
            let value = numbers.draw(&counter);
            let drawn = Event::NumberDrawn(NumberDrawn { scope: counter.scope.clone(), value });
            vec![NewEvent::new(plan_unit(), drawn); count]
        });
        let mut planned = self.planned_with("impossible", Vec::new(), Vec::new(), Vec::new(), decide);
        planned.wish.is_impossible = true;
        planned
    }
}

fn rejected(bytes: usize) -> Event {
    let detail = Some("x".repeat(bytes));
    let file = RejectedFile { path: "a".into(), size: None, rejection: Rejection::Unreadable, detail };
    Event::FilesRejected(FilesRejected { files: vec![file] })
}

fn opened(reference: String) -> CaseFileOpened {
    CaseFileOpened {
        reference,
        aliases: Vec::new(),
        title: "Carport".into(),
        plan_unit: PlanUnitId::from_uuid(plan_unit().id),
        unit: UnitId::from_uuid(Uuid::from_u128(3)),
        case_type: "Bauakte".into(),
        protection: Protection::Normal,
        retention_class: "10".into(),
        medium: Medium::Electronic,
        paper_location: None,
        begins_on: None,
        ends_on: None,
        closed_on: None,
        parties: Vec::new(),
        fields: std::collections::BTreeMap::new(),
        import_key: None,
    }
}

/// Deletes all objects of these entities and these payloads. Can be repeated.
fn erase(
    handle: &Handle,
    payloads: &[Digest],
    entities: &[EntityId],
    leaves: &[LeafRange],
) -> Result<(), StoreError> {
    let mut keys = Vec::new();
    for entity in entities {
        let folder: Prefix = layout().object_folder(*entity);
        let start = format!("{folder}/{}-", entity.id.hyphenated());
        handle.list(&folder, &mut |listed| {
            if listed.key.as_str().starts_with(&start) {
                keys.push(listed.key);
            }
            ControlFlow::Continue(())
        })?;
    }
    let positions = leaves.iter().flat_map(|range| range.first..=range.last);
    keys.extend(positions.map(|at| layout().payload(&payloads[usize::try_from(at).unwrap()])));
    handle.delete(&keys)
}

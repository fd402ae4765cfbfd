//! What must be true after every history, read from the store by a path of its own.

use super::history::{Verdict, Wish, violation};
use super::model::Facts;
use super::play::layout;
use super::world::{Handle, World};
use eakte::domain::event::{Event, LeafRange, Recorded};
use eakte::domain::guard::{Guard, UniqueKey};
use eakte::domain::{Digest, EntityId, object};
use eakte::journal::{Applied, Commit, CommitRecord, Reader};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => { if !$holds { violation(format!($($text)+)) } };
}

/// All commits of the store, in order; ends the history if they cannot be read.
fn commits(world: &Arc<World>) -> Vec<CommitRecord> {
    let reader = Reader::new(Handle::new(world, None), layout());
    let mut walk = reader.after(Applied::default());
    let mut records = Vec::new();
    loop {
        match walk.advance() {
            Ok(Some(record)) => records.push(record),
            Ok(None) => return records,
            Err(error) => violation(format!("the journal cannot be read: {error}")),
        }
    }
}

/// Checks everything; gives back what follows from the journal.
pub fn check(world: &Arc<World>) -> Facts {
    world.settle();
    let records = commits(world);
    let history = world.state().history.clone();
    chain(world, &records);
    let seen = world.state().seen.clone();
    for (seq, digest) in seen {
        let found = records.get(usize::try_from(seq).unwrap() - 1).map(|record| record.digest);
        ensure!(found == Some(digest), "commit {seq} was seen by a projection and is gone or another one");
    }
    let erased: BTreeSet<EntityId> = records.iter().flat_map(erased_by).collect();
    let facts = replay(&records, &history, &erased);
    verdicts(&records, &history, &erased);
    objects(world, &records, &facts);
    facts
}

fn erased_by(record: &CommitRecord) -> Vec<EntityId> {
    let events = record.events().filter_map(|recorded| match &recorded.event {
        Event::ErasurePermitted(data) => Some(data.entities.clone()),
        _ => None,
    });
    events.flatten().collect()
}

/// The chain and the root, computed from the bytes.
fn chain(world: &Arc<World>, records: &[CommitRecord]) {
    let (mut previous, mut leaves) = (Commit::NO_PREVIOUS, Vec::new());
    for (seq, record) in (1..).zip(records) {
        let bytes = world.holds(&layout().commit(seq)).unwrap();
        let commit = Commit::parse(&bytes).unwrap();
        ensure!(commit.seq == seq, "commit {seq} calls itself {}", commit.seq);
        ensure!(commit.previous == previous, "commit {seq} does not follow its predecessor");
        ensure!(commit.first_leaf == leaves.len() as u64, "commit {seq} begins at a wrong position");
        ensure!(commit.erases == record.erases, "commit {seq} erases something else");
        leaves.extend(commit.leaves.iter().map(object::leaf_line));
        previous = Digest::of(&bytes);
    }
    let gap = (1..).skip(records.len()).take(3).find(|seq| world.holds(&layout().commit(*seq)).is_some());
    ensure!(gap.is_none(), "commit {gap:?} stands behind a gap");
    let mut applied = Applied::default();
    for record in records {
        applied = record.advance(&applied);
    }
    let lines: Vec<&[u8]> = leaves.iter().map(String::as_bytes).collect();
    ensure!(applied.frontier.root() == root(&lines), "the root is not that of RFC 6962");
}

/// The definition of RFC 6962.
fn root(leaves: &[&[u8]]) -> Digest {
    match leaves {
        [] => Digest::of(b""),
        [leaf] => Digest::of(&[&[0], *leaf].concat()),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            let node = [&[1], root(left).as_bytes().as_slice(), root(right).as_bytes().as_slice()].concat();
            Digest::of(&node)
        }
    }
}

fn tag(recorded: &Recorded) -> &str {
    recorded.context.reason.as_deref().unwrap_or_default()
}

/// Replays command after command, as the writers decided them, and checks every guard, key and counter.
fn replay(records: &[CommitRecord], history: &[Wish], erased: &BTreeSet<EntityId>) -> Facts {
    let by_tag: BTreeMap<&str, &Wish> = history.iter().map(|wish| (wish.tag.as_str(), wish)).collect();
    let mut strict = Facts::default();
    let mut gone = BTreeSet::new();
    for record in records {
        let mut members = BTreeMap::<usize, (&Wish, Vec<&Recorded>)>::new();
        for recorded in record.events() {
            let Some(wish) = by_tag.get(tag(recorded)) else {
                violation(format!("nobody wished for {}", tag(recorded)))
            };
            members.entry(wish.place).or_insert((wish, Vec::new())).1.push(recorded);
        }
        let groups: BTreeSet<usize> = members.values().map(|(wish, _)| wish.group).collect();
        ensure!(groups.len() <= 1, "commit {} mixes groups", record.seq);
        for (wish, events) in members.values() {
            for guard in wish.guards.iter().filter(|guard| !is_about(guard, erased)) {
                // Of what is being erased, the event that gave the key back may be gone already.
                let is_freed = matches!(guard, Guard::Vacant(key)
                    if strict.owners.get(key).is_some_and(|owner| erased.contains(owner)));
                ensure!(
                    is_freed || strict.holds(guard),
                    "{} was recorded although {guard:?} did not hold",
                    wish.tag
                );
            }
            for recorded in events {
                ensure!(!gone.contains(&recorded.entity), "{} writes to an erased entity", wish.tag);
                command_event(&mut strict, record.seq, wish, recorded, erased);
                if let Event::ErasurePermitted(data) = &recorded.event {
                    gone.extend(data.entities.iter().copied());
                }
            }
        }
    }
    let mut facts = Facts::default();
    for record in records {
        facts.apply(record);
    }
    for (document, (case_file, sha256)) in &facts.places {
        // Whatever happened in between: where it lies its bytes are taken by it, and by nobody else.
        let key = UniqueKey::content(*case_file, sha256);
        let owner = facts.owners.get(&key);
        ensure!(
            owner == Some(document),
            "{key} belongs to {owner:?} and not to {document}, which lies there"
        );
    }
    let content = facts.owners.keys().filter(|key| key.as_str().starts_with("content/")).count();
    ensure!(content == facts.places.len(), "{content} places are taken by {} documents", facts.places.len());
    for entity in erased {
        ensure!(!facts.lives.contains_key(entity), "{entity} was destroyed and is back");
        ensure!(!facts.owners.values().any(|owner| owner == entity), "{entity} still has a key");
    }
    facts
}

fn command_event(
    strict: &mut Facts,
    seq: u64,
    wish: &Wish,
    recorded: &Recorded,
    erased: &BTreeSet<EntityId>,
) {
    let effects = recorded.event.effects(&recorded.objects);
    for key in &effects.claims {
        let owner = strict.owners.get(key);
        ensure!(
            // Of what is being erased, the event that gave the key back may be gone already.
            owner.is_none_or(|owner| *owner == recorded.entity || erased.contains(owner)),
            "{key} is doubled: {owner:?} and {}",
            wish.tag
        );
    }
    if let Some((scope, value)) = &effects.counter {
        let key = eakte::domain::guard::CounterKey { owner: recorded.entity, scope: scope.clone() };
        let last = strict.counters.get(&key).copied().unwrap_or(0);
        ensure!(*value == last + 1, "{} drew {value} after {last}", wish.tag);
    }
    strict.event(seq, recorded.entity, &recorded.event, &recorded.objects);
}

fn is_about(guard: &Guard, erased: &BTreeSet<EntityId>) -> bool {
    matches!(guard, Guard::Version(entity, _) | Guard::Epoch(entity, _) if erased.contains(entity))
}

/// Every wish is recorded once and whole, or not at all, and its answer said so.
fn verdicts(records: &[CommitRecord], history: &[Wish], erased: &BTreeSet<EntityId>) {
    let mut places = BTreeMap::<&str, Vec<(u64, EntityId, u64)>>::new();
    for record in records {
        for leaf in &record.leaves {
            for recorded in leaf.events.iter().flatten() {
                places.entry(tag(recorded)).or_default().push((record.seq, recorded.entity, leaf.position));
            }
        }
    }
    let ranges: Vec<LeafRange> = records.iter().flat_map(|record| record.erases.clone()).collect();
    let is_erased = |at: u64| ranges.iter().any(|range| (range.first..=range.last).contains(&at));
    let nowhere = Vec::new();
    for wish in history {
        let found = places.get(wish.tag.as_str()).unwrap_or(&nowhere);
        let seqs: BTreeSet<u64> = found.iter().map(|place| place.0).collect();
        ensure!(seqs.len() <= 1, "{} was recorded more than once: {seqs:?}", wish.tag);
        let visible = wish.entities.iter().filter(|entity| !erased.contains(*entity)).count();
        ensure!(found.is_empty() || found.len() >= visible, "{} was recorded in part", wish.tag);
        ensure!(!wish.is_impossible || found.is_empty(), "{} was recorded", wish.tag);
        match &wish.verdict {
            Verdict::Refused(error) => {
                ensure!(found.is_empty(), "{} was refused ({error}) and is recorded", wish.tag);
            }
            Verdict::Unknown => {}
            Verdict::Done(receipt) => {
                ensure!(!wish.is_impossible, "{} was acknowledged", wish.tag);
                for entity in &wish.entities {
                    let position = receipt.position(*entity);
                    let Some(position) = position else {
                        violation(format!("{} has no receipt for {entity}", wish.tag))
                    };
                    let stands = found.contains(&(receipt.seq, *entity, position));
                    ensure!(
                        stands || (erased.contains(entity) && is_erased(position)),
                        "{} was acknowledged in {} and is lost",
                        wish.tag,
                        receipt.seq
                    );
                }
            }
        }
    }
    // Whoever begins after an answer comes later in the journal.
    let mut done: Vec<(u64, u64, u64, &str)> = history
        .iter()
        .filter_map(|wish| match &wish.verdict {
            Verdict::Done(receipt) => Some((wish.begun, wish.ended, receipt.seq, wish.tag.as_str())),
            _ => None,
        })
        .collect();
    done.sort_unstable();
    for (at, (begun, _, seq, later)) in done.iter().enumerate() {
        let early = done[..at].iter().find(|(_, ended, first, _)| ended < begun && first >= seq);
        ensure!(early.is_none(), "{later} came later than {early:?} and stands before it");
    }
}

/// What lives has its bytes; what was destroyed has none.
fn objects(world: &Arc<World>, records: &[CommitRecord], facts: &Facts) {
    for recorded in records.iter().flat_map(CommitRecord::events) {
        if !facts.lives.contains_key(&recorded.entity) {
            continue;
        }
        for object in &recorded.objects {
            let bytes = world.holds(&layout().object(recorded.entity, &object.sha256));
            let digest = bytes.as_deref().map(Digest::of);
            ensure!(
                digest == Some(object.sha256),
                "{}: an object of {} is lost",
                tag(recorded),
                recorded.entity
            );
        }
    }
    let history = world.state().history.clone();
    for erasure in facts.erasures.values().filter(|erasure| erasure.is_complete) {
        for position in erasure.leaves.iter().flat_map(|range| range.first..=range.last) {
            let payload = &facts.payloads[usize::try_from(position).unwrap()];
            ensure!(world.holds(&layout().payload(payload)).is_none(), "an erased payload is back");
        }
        // Only what was recorded: a request that was refused may still leave its bytes, which are swept later.
        let recorded = history.iter().filter(|wish| matches!(wish.verdict, Verdict::Done(_)));
        for (owner, object) in recorded.flat_map(|wish| &wish.objects) {
            if erasure.entities.contains(owner) {
                let key = layout().object(*owner, &object.sha256);
                ensure!(world.holds(&key).is_none(), "an erased object is back");
            }
        }
    }
}

//! The chain of commits, read by a second hand: it goes on behind damage and gaps, and computes the root in its own
//! way, so that a mistake in the journal's own code shows.

use super::report::{Fault, FaultKind};
use crate::domain::digest::Hasher;
use crate::domain::event::LeafRange;
use crate::domain::{Digest, object};
use crate::journal::{Commit, Layout, ahead};
use crate::store::{Bytes, ObjectStore, StoreError};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Commits read ahead of the one that is looked at.
const WINDOW: u64 = 256;

/// The newest commit: everything checked is what was there up to it, so that others may go on writing.
///
/// # Errors
/// When the store does not answer.
pub(crate) fn head(store: &dyn ObjectStore, layout: &Layout) -> Result<u64, StoreError> {
    let exists = |seq| store.size(&layout.commit(seq)).map(|size| size.is_some());
    let (mut there, mut step) = (0, 1);
    while exists(there + step)? {
        there += step;
        step *= 2;
    }
    let mut missing = there + step;
    while missing - there > 1 {
        let middle = there + (missing - there) / 2;
        if exists(middle)? { there = middle } else { missing = middle }
    }
    Ok(there)
}

/// Leaves that may vanish, with the commit that allows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Erases {
    /// First, last, commit; in order, not overlapping.
    ranges: Vec<(u64, u64, u64)>,
}

impl Erases {
    /// Sorts the ranges; where they overlap the earlier one holds.
    pub(crate) fn new(mut ranges: Vec<(LeafRange, u64)>) -> Self {
        ranges.sort_unstable_by_key(|(range, seq)| (range.first, *seq));
        let mut sorted = Self::default();
        for (range, seq) in ranges {
            let from = sorted.ranges.last().map_or(0, |(_, last, _)| last + 1).max(range.first);
            if from <= range.last {
                sorted.ranges.push((from, range.last, seq));
            }
        }
        sorted
    }

    /// The commit that allows this leaf to vanish.
    pub(crate) fn permitted_by(&self, position: u64) -> Option<u64> {
        let after = self.ranges.partition_point(|(first, ..)| *first <= position);
        let (_, last, seq) = self.ranges.get(after.checked_sub(1)?)?;
        (position <= *last).then_some(*seq)
    }
}

/// A leaf with its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    pub(crate) position: u64,
    pub(crate) seq: u64,
    pub(crate) sha256: Digest,
}

/// What the chain says.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Commits that were read.
    pub(crate) commits: u64,
    /// Number of leaves.
    pub(crate) leaves: u64,
    /// Root over them.
    pub(crate) root: Digest,
    /// Roots at the sizes that were asked for, as far as the log reaches.
    pub(crate) roots: BTreeMap<u64, Digest>,
    pub(crate) erases: Erases,
    /// Erasing commits with what they allow.
    pub(crate) erasing: BTreeMap<u64, Vec<LeafRange>>,
    /// Bytes of the commits that were read.
    pub(crate) bytes: u64,
    /// Whether all commits were there and fitted together.
    pub(crate) whole: bool,
}

/// What to note on the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    /// Sizes whose roots are wanted.
    pub(crate) sizes: Vec<u64>,
}

/// Who hears of what stands in the chain.
pub(crate) trait Listener {
    /// A leaf, in order.
    fn leaf(&mut self, leaf: Leaf) -> Result<(), StoreError>;
    /// A fault.
    fn fault(&mut self, fault: Fault);
}

/// Walks the chain from the first commit to `head`.
///
/// # Errors
/// When the store does not answer; what is wrong with a commit is a fault.
pub(crate) fn walk(
    store: &dyn ObjectStore,
    layout: &Layout,
    head: u64,
    threads: usize,
    marks: &Marks,
    listener: &mut dyn Listener,
) -> Result<Chain, StoreError> {
    let mut walk = Walk::new(layout, marks, listener);
    let mut outcome = Ok(());
    if head > 0 {
        let read = |seq| if seq <= head { Some(store.read(&layout.commit(seq))) } else { None };
        ahead::in_order(threads, WINDOW, 1, &read, &mut |seq, read| {
            let Some(read) = read else { return ControlFlow::Break(()) };
            outcome = walk.take(seq, read);
            if outcome.is_err() || seq == head { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
    outcome?;
    Ok(walk.end())
}

struct Walk<'a> {
    layout: &'a Layout,
    marks: &'a Marks,
    listener: &'a mut dyn Listener,
    /// Digest that the next commit must name; unknown behind damage.
    previous: Option<Digest>,
    tree: Tree,
    /// Whether positions are known: not behind damage, until a commit tells.
    positions_known: bool,
    ranges: Vec<(LeafRange, u64)>,
    chain: Chain,
}

impl<'a> Walk<'a> {
    fn new(layout: &'a Layout, marks: &'a Marks, listener: &'a mut dyn Listener) -> Self {
        let chain = Chain {
            commits: 0,
            leaves: 0,
            root: Digest::of(b""),
            roots: BTreeMap::new(),
            erases: Erases::default(),
            erasing: BTreeMap::new(),
            bytes: 0,
            whole: true,
        };
        let mut walk = Self {
            layout,
            marks,
            listener,
            previous: Some(Commit::NO_PREVIOUS),
            tree: Tree::default(),
            positions_known: true,
            ranges: Vec::new(),
            chain,
        };
        walk.mark_root();
        walk
    }

    fn fault(&mut self, kind: FaultKind, seq: u64, detail: String) {
        self.chain.whole = false;
        self.listener.fault(Fault { kind, object: self.layout.commit(seq).to_string(), detail });
    }

    /// Goes on behind a commit of which nothing is known.
    fn lose(&mut self, kind: FaultKind, seq: u64, detail: String) {
        self.fault(kind, seq, detail);
        self.previous = None;
        self.positions_known = false;
    }

    fn take(&mut self, seq: u64, read: Result<Bytes, StoreError>) -> Result<(), StoreError> {
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(StoreError::Missing(_)) => {
                let detail = format!("Journaleintrag {seq} fehlt, obwohl es spätere gibt.");
                self.lose(FaultKind::CommitMissing, seq, detail);
                return Ok(());
            }
            Err(error @ (StoreError::TooLarge { .. } | StoreError::Io { .. })) => {
                self.lose(FaultKind::CommitDamaged, seq, format!("Journaleintrag {seq}: {error}."));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.chain.bytes += bytes.len() as u64;
        self.chain.commits += 1;
        let commit = match Commit::parse(&bytes) {
            Ok(commit) => commit,
            Err(error) => {
                let detail = format!("Journaleintrag {seq} ist nicht lesbar: {error}.");
                self.lose(FaultKind::CommitDamaged, seq, detail);
                return Ok(());
            }
        };
        if commit.seq != seq {
            let detail = format!("An der Stelle von Journaleintrag {seq} steht der Eintrag {}.", commit.seq);
            self.lose(FaultKind::CommitChain, seq, detail);
            return Ok(());
        }
        if self.previous.is_some_and(|wanted| wanted != commit.previous) {
            let before = seq - 1;
            let detail = format!(
                "Journaleintrag {seq} nennt eine andere Prüfsumme für Eintrag {before}: Einer der beiden wurde verändert."
            );
            self.fault(FaultKind::CommitChain, seq, detail);
        }
        let size = self.tree.size;
        if self.positions_known && commit.first_leaf != size {
            let detail =
                format!("Journaleintrag {seq} beginnt bei Position {} statt bei {size}.", commit.first_leaf);
            self.fault(FaultKind::CommitChain, seq, detail);
        }
        self.positions_known = true;
        self.previous = Some(Digest::of(&bytes));
        self.leaves(seq, commit)
    }

    fn leaves(&mut self, seq: u64, commit: Commit) -> Result<(), StoreError> {
        if !commit.erases.is_empty() {
            for range in &commit.erases {
                if range.last >= commit.first_leaf {
                    let detail = format!(
                        "Journaleintrag {seq} erlaubt die Löschung von Position {}, die es bis dahin nicht gibt.",
                        range.last
                    );
                    self.fault(FaultKind::ErasureMismatch, seq, detail);
                } else {
                    self.ranges.push((range.clone(), seq));
                }
            }
            self.chain.erasing.insert(seq, commit.erases);
        }
        // Behind a gap the tree cannot be right any more; its size still tells where leaves stand.
        self.tree.size = commit.first_leaf;
        for (position, sha256) in (commit.first_leaf..).zip(commit.leaves) {
            self.listener.leaf(Leaf { position, seq, sha256 })?;
            self.tree.push(&sha256);
            self.mark_root();
        }
        Ok(())
    }

    fn mark_root(&mut self) {
        if self.marks.sizes.contains(&self.tree.size) {
            self.chain.roots.insert(self.tree.size, self.tree.root());
        }
    }

    fn end(mut self) -> Chain {
        self.chain.leaves = self.tree.size;
        self.chain.root = self.tree.root();
        self.chain.erases = Erases::new(self.ranges);
        self.chain
    }
}

/// The tree of RFC 6962, kept as subtrees with their heights: two of the same height become one of the next.
#[derive(Debug, Default)]
struct Tree {
    size: u64,
    subtrees: Vec<(u32, Digest)>,
}

impl Tree {
    fn push(&mut self, payload: &Digest) {
        let mut hasher = Hasher::new();
        hasher.update(&[0]);
        hasher.update(object::leaf_line(payload).as_bytes());
        self.subtrees.push((0, hasher.finish()));
        while let [.., (left_height, left), (height, right)] = self.subtrees[..]
            && left_height == height
        {
            self.subtrees.truncate(self.subtrees.len() - 2);
            self.subtrees.push((height + 1, join(&left, &right)));
        }
        self.size += 1;
    }

    fn root(&self) -> Digest {
        let mut from_the_right = self.subtrees.iter().rev().map(|(_, digest)| *digest);
        let Some(mut root) = from_the_right.next() else { return Digest::of(b"") };
        for left in from_the_right {
            root = join(&left, &root);
        }
        root
    }
}

fn join(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[1]);
    hasher.update(left.as_bytes());
    hasher.update(right.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::merkle::Frontier;
    use crate::store::Memory;

    #[test]
    fn the_second_way_gives_the_same_root() {
        let (mut tree, mut frontier) = (Tree::default(), Frontier::new());
        for number in 0..200_u8 {
            assert_eq!(tree.root(), frontier.root(), "{number} leaves");
            let payload = Digest::of(&[number]);
            tree.push(&payload);
            frontier.push(object::leaf_line(&payload).as_bytes());
        }
    }

    #[test]
    fn the_head_is_found_without_a_list() {
        let layout = Layout::new(&"t".parse().unwrap());
        for count in [0, 1, 2, 3, 7, 8, 9, 100] {
            let store = Memory::new();
            for seq in 1..=count {
                store.create(&layout.commit(seq), Bytes::new()).unwrap();
            }
            assert_eq!(head(&store, &layout).unwrap(), count);
        }
    }

    #[test]
    fn a_leaf_vanishes_only_within_a_range() {
        let range = |first, last| LeafRange { first, last };
        let erases = Erases::new(vec![(range(10, 20), 7), (range(3, 3), 5), (range(15, 25), 9)]);
        let expected =
            [(2, None), (3, Some(5)), (4, None), (10, Some(7)), (20, Some(7)), (21, Some(9)), (26, None)];
        for (position, permitted_by) in expected {
            assert_eq!(erases.permitted_by(position), permitted_by, "{position}");
        }
    }
}

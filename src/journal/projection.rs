//! What the journal needs of the thing that follows it: the catalogue, or a model of it in tests.

use crate::domain::event::{LeafRange, Recorded};
use crate::domain::guard::{CounterKey, UniqueKey};
use crate::domain::merkle::Frontier;
use crate::domain::{Digest, EntityId};

/// How far a projection has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The last commit it has taken in; 0 before the first.
    pub seq: u64,
    /// SHA-256 of that commit object.
    pub digest: Digest,
    /// The tree of all leaves up to it.
    pub frontier: Frontier,
}

impl Default for Applied {
    fn default() -> Self {
        Self { seq: 0, digest: super::Commit::NO_PREVIOUS, frontier: Frontier::new() }
    }
}

/// Where an entity's life stands, for guards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// Number of its events.
    pub version: u64,
    /// How often its life cycle has moved on.
    pub epoch: u64,
}

/// One commit with everything in it, as projections take it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRecord {
    /// Its number.
    pub seq: u64,
    /// SHA-256 of the commit object.
    pub digest: Digest,
    /// Position of the first leaf.
    pub first_leaf: u64,
    /// Leaves that may vanish from now on.
    pub erases: Vec<LeafRange>,
    /// The leaves with their events.
    pub leaves: Vec<LeafRecord>,
}

/// One leaf of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRecord {
    /// Its position.
    pub position: u64,
    /// SHA-256 of the payload.
    pub payload: Digest,
    /// The events of one entity; `None` if a later commit erased them.
    pub events: Option<Vec<Recorded>>,
}

impl CommitRecord {
    /// The state of a projection after taking this commit in.
    pub fn advance(&self, applied: &Applied) -> Applied {
        let mut frontier = applied.frontier.clone();
        for leaf in &self.leaves {
            frontier.push(crate::domain::object::leaf_line(&leaf.payload).as_bytes());
        }
        Applied { seq: self.seq, digest: self.digest, frontier }
    }

    /// All events that still exist, in order.
    pub fn events(&self) -> impl Iterator<Item = &Recorded> {
        self.leaves.iter().filter_map(|leaf| leaf.events.as_ref()).flatten()
    }
}

/// A projection failed; it must be thrown away and built again from the journal.
#[derive(Debug, thiserror::Error)]
#[error("Der Katalog ist beschädigt oder nicht lesbar ({0})")]
pub struct ProjectionError(pub Box<dyn std::error::Error + Send + Sync>);

/// Follows the journal and answers what guards ask. Always at a commit's end, never between.
#[expect(clippy::missing_errors_doc, reason = "every method fails only when the projection is broken")]
pub trait Projection: Send + Sync {
    /// How far it has come.
    fn applied(&self) -> Result<Applied, ProjectionError>;
    /// Where an entity's life stands; `None` if there is no such entity.
    fn life(&self, entity: EntityId) -> Result<Option<Life>, ProjectionError>;
    /// Who has this key.
    fn owner(&self, key: &UniqueKey) -> Result<Option<EntityId>, ProjectionError>;
    /// The number drawn last; 0 before the first.
    fn counter(&self, counter: &CounterKey) -> Result<u64, ProjectionError>;
    /// Takes in the next commits, each whole or not at all.
    fn apply(&self, commits: &[CommitRecord]) -> Result<(), ProjectionError>;
}

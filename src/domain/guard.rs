//! Guards: what must still hold at the moment of a commit.

use super::{CaseFileId, Digest, EntityId};
use std::fmt;

/// Something only one entity of a tenant can have: a file reference, bytes in a case file, an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UniqueKey(String);

impl UniqueKey {
    /// These bytes in this case file (or in the inbox): the definition of a duplicate.
    pub fn content(target: Option<CaseFileId>, sha256: &Digest) -> Self {
        match target {
            Some(case_file) => Self(format!("content/{case_file}/{sha256}")),
            None => Self(format!("content/inbox/{sha256}")),
        }
    }

    /// Aktenzeichen: one case file per reference. Spelling as stored.
    pub fn reference(reference: &str) -> Self {
        Self(format!("reference/{reference}"))
    }

    /// A caller's promise that a repeated request is the same request. Kept as a digest: callers choose the text.
    pub fn idempotency(key: &str) -> Self {
        Self(format!("idempotency/{}", Digest::of(key.as_bytes())))
    }

    /// The key under which a manifest names a case file.
    pub fn import(key: &str) -> Self {
        Self(format!("import/{}", Digest::of(key.as_bytes())))
    }

    /// The short code of a unit.
    pub fn unit(code: &str) -> Self {
        Self(format!("unit/{code}"))
    }

    /// The code of a plan unit.
    pub fn plan_unit(code: &str) -> Self {
        Self(format!("plan-unit/{code}"))
    }

    /// The name of a batch.
    pub fn batch(name: &str) -> Self {
        Self(format!("batch/{name}"))
    }

    /// The label of a service account.
    pub fn account(label: &str) -> Self {
        Self(format!("account/{label}"))
    }

    /// Reads what `Display` wrote.
    pub fn from_stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UniqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A gapless counter: it belongs to an entity that is never erased, and counts within a scope, such as a year.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterKey {
    /// Whose counter.
    pub owner: EntityId,
    /// Counts start anew in every scope.
    pub scope: String,
}

/// One thing that must hold when the commit is made, else the command is refused as stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The entity has had exactly this many events.
    Version(EntityId, u64),
    /// The entity exists, and its life cycle has not moved since it was looked at.
    Epoch(EntityId, u64),
    /// Nobody has this key yet.
    Vacant(UniqueKey),
}

/// What a commit does to the things that guards look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Keys the entity has from now on.
    pub claims: Vec<UniqueKey>,
    /// Keys it no longer has.
    pub releases: Vec<UniqueKey>,
    /// A counter of the entity stands at this value in this scope.
    pub counter: Option<(String, u64)>,
    /// The entity's life cycle moved on.
    pub moves_life_cycle: bool,
}

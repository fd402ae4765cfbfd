//! What a check is asked and what it answers.

use crate::domain::Digest;
use jiff::Timestamp;
use std::{fmt, str::FromStr};

/// Stichprobe: this many objects, chosen by this seed. The same seed on the same store chooses the same objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How many objects are read again.
    pub count: u64,
    /// What chooses them.
    pub seed: u64,
}

/// What an auditor noted earlier: when the log had this many leaves, this was its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Number of leaves.
    pub size: u64,
    /// Root over them.
    pub root: Digest,
}

/// A text that is no expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Erwartet wird GRÖSSE:WURZEL, also eine Anzahl, ein Doppelpunkt und 64 Zeichen aus 0-9 und a-f.")]
pub struct InvalidExpect;

impl FromStr for Expect {
    type Err = InvalidExpect;

    fn from_str(text: &str) -> Result<Self, InvalidExpect> {
        let (size, root) = text.split_once(':').ok_or(InvalidExpect)?;
        let digits = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
        let size = if digits { size.parse().map_err(|_| InvalidExpect)? } else { return Err(InvalidExpect) };
        Ok(Self { size, root: root.parse().map_err(|_| InvalidExpect)? })
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.size, self.root)
    }
}

/// How much is checked; the default is everything. The chain of all commits always is.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Read only a sample again.
    pub sample: Option<Sample>,
    /// Read only again what was recorded since then.
    pub since: Option<Timestamp>,
    /// Insist on an earlier root.
    pub expect: Option<Expect>,
    /// Build the catalogue anew beside the old one, too, and compare every row. Only with everything.
    pub replay: bool,
    /// How many threads read.
    pub threads: usize,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Self { sample: None, since: None, expect: None, replay: false, threads }
    }
}

/// How far a long task has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Things done.
    pub done: u64,
    /// Things there are, once that is known.
    pub total: Option<u64>,
    /// Bytes read so far.
    pub bytes: u64,
}

/// What a check found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Originals, renditions and payloads that were read again.
    pub objects: u64,
    /// Bytes that were read again, with those of the commits.
    pub bytes: u64,
    /// Commits in the chain.
    pub commits: u64,
    /// Leaves of the log.
    pub leaves: u64,
    /// Root over all leaves, computed here.
    pub root: Digest,
    /// What is wrong. Empty means: sound.
    pub findings: Vec<Fault>,
    /// What is worth knowing and not wrong.
    pub notices: Vec<Fault>,
}

/// One thing that is wrong, or worth knowing, with the name of the object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// The object's name in the store, or the projection.
    pub object: String,
    /// In plain German.
    pub detail: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $word:literal,)*) => {
        /// Kinds of faults; scripts rely on their words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FaultKind { $($(#[$doc])* $name,)* }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word for scripts.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

kinds! {
    /// A commit is missing although later ones exist.
    CommitMissing "commit-missing",
    /// A commit object is not readable.
    CommitDamaged "commit-damaged",
    /// A commit does not follow from the one before it.
    CommitChain "commit-chain",
    /// The log is shorter than it was.
    HistoryShortened "history-shortened",
    /// The log at an earlier size had another root.
    HistoryRewritten "history-rewritten",
    /// A payload is missing and nothing allows that.
    PayloadMissing "payload-missing",
    /// A payload has other bytes than the journal names.
    PayloadDamaged "payload-damaged",
    /// A payload cannot be read as events.
    PayloadUnreadable "payload-unreadable",
    /// Two leaves name the same payload.
    PayloadRepeated "payload-repeated",
    /// The events of an entity are not in an order that can have happened.
    EventOrder "event-order",
    /// What a commit allows to vanish is not what its event names.
    ErasureMismatch "erasure-mismatch",
    /// Something destroyed is there again.
    ErasedPresent "erased-present",
    /// An original or a rendition is missing.
    ObjectMissing "object-missing",
    /// An original or a rendition has other bytes than its digest says.
    ObjectDamaged "object-damaged",
    /// An object that the store would not give.
    ObjectUnreadable "object-unreadable",
    /// A name that no object of this tenant can have.
    ForeignName "foreign-name",
    /// An object that nothing names (yet).
    Unreferenced "unreferenced",
    /// An erasure is permitted and not complete.
    ErasurePending "erasure-pending",
    /// The catalogue is not there; it is built again by itself.
    CatalogueMissing "catalogue-missing",
    /// The catalogue is not readable.
    CatalogueDamaged "catalogue-damaged",
    /// The catalogue has not taken in the newest commits.
    CatalogueBehind "catalogue-behind",
    /// The catalogue says something else than the journal.
    CatalogueDiffers "catalogue-differs",
    /// The search index is not there; it is built again by itself.
    SearchMissing "search-missing",
    /// The search index is not readable.
    SearchDamaged "search-damaged",
    /// The search index has not taken in the newest commits.
    SearchBehind "search-behind",
    /// The search index knows other documents than the catalogue.
    SearchDiffers "search-differs",
    /// A projection has seen commits that the journal no longer has.
    Rollback "rollback",
    /// There is more of this than is listed.
    More "more",
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expectation_reads_back_and_anything_else_is_refused() {
        let expect = Expect { size: 12, root: Digest::of(b"x") };
        assert_eq!(expect.to_string().parse(), Ok(expect));
        for bad in ["", "12", ":", "+1:", &format!("x:{}", expect.root), &format!("+1:{}", expect.root)] {
            assert_eq!(bad.parse::<Expect>(), Err(InvalidExpect), "{bad}");
        }
    }

    #[test]
    fn every_kind_has_its_own_word() {
        let words: std::collections::BTreeSet<_> = FaultKind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(words.len(), FaultKind::ALL.len());
    }
}

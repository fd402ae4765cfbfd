//! What was wished for, and what became of it.

use eakte::domain::guard::Guard;
use eakte::domain::{EntityId, ObjectRef};
use eakte::journal::{AppendError, Receipt};

/// What a writer said about a wish.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Recorded.
    Done(Receipt),
    /// Surely not recorded.
    Refused(AppendError),
    /// Unknown. Also what a crash leaves behind.
    Unknown,
}

/// One command.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Stands in every event's envelope as the reason.
    pub tag: String,
    pub guards: Vec<Guard>,
    /// The entities it writes to, once for every event.
    pub entities: Vec<EntityId>,
    /// Objects that were published for it.
    pub objects: Vec<(EntityId, ObjectRef)>,
    /// The group it was committed with, and its place there.
    pub group: usize,
    pub place: usize,
    pub begun: u64,
    pub ended: u64,
    pub verdict: Verdict,
    /// Whether it breaks a rule whatever the moment, so that it must be refused.
    pub is_impossible: bool,
}

/// A broken promise: what a history ends with when a check fails.
pub struct Violation(pub String);

/// Ends the history without the noise of a panic: some tests expect this.
pub fn violation(what: String) -> ! {
    std::panic::resume_unwind(Box::new(Violation(what)))
}

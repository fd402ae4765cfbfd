//! The journal: what has happened, in order, on the object store. See `schema/README.md` for the formats.
//!
//! A [`Writer`] turns commands into commits; [`Journal`] runs one in a thread behind a bounded queue, so that
//! commands that wait together share a commit. A [`Reader`] walks commits in order.

pub(crate) mod ahead;
mod behind;
mod commit;
mod heads;
mod layout;
pub mod payload;
mod projection;
mod queue;
mod reader;
mod replay;
mod service;
mod writer;

pub use commit::{Commit, CommitError};
pub use layout::Layout;
pub use projection::{Applied, CommitRecord, LeafRecord, Life, Projection, ProjectionError};
pub use reader::{Commits, JournalError, Reader};
pub use replay::{ReplayError, replay, replay_until};
pub use service::{Journal, Settings, Status};
pub use writer::{Halt, MAX_EVENTS, Parts, Writer};

use crate::domain::EntityId;
use crate::domain::decision::{Decision, NewEvent, Numbers};
use crate::domain::event::{Context, LeafRange};
use crate::domain::guard::{Guard, UniqueKey};
use crate::store::StoreError;
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Decides what happens once the guards hold. Called again when another writer was first; numbers drawn before
/// are then drawn anew.
pub type Decide = Box<dyn FnMut(&mut dyn Numbers) -> Vec<NewEvent> + Send>;

/// A wish to record something.
pub struct Command {
    /// By whom and why.
    pub context: Context,
    /// What must still hold.
    pub guards: Vec<Guard>,
    /// What happens then.
    pub decide: Decide,
    /// Leaves that may vanish once this is committed; belongs to an [`ErasurePermitted`] event.
    ///
    /// [`ErasurePermitted`]: crate::domain::event::ErasurePermitted
    pub erases: Vec<LeafRange>,
}

impl Command {
    /// A command whose events are known already.
    pub fn record(context: Context, decision: Decision) -> Self {
        let events = decision.events;
        Self {
            context,
            guards: decision.guards,
            decide: Box::new(move |_| events.clone()),
            erases: Vec::new(),
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("guards", &self.guards).finish_non_exhaustive()
    }
}

/// Quittung: proof that a command's events are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The commit.
    pub seq: u64,
    /// When it was made.
    pub recorded_at: Timestamp,
    places: Arc<[(EntityId, u64)]>,
}

impl Receipt {
    /// The position of the entity's leaf in this commit.
    pub fn position(&self, entity: impl Into<EntityId>) -> Option<u64> {
        let entity = entity.into();
        self.places.iter().find(|(owner, _)| *owner == entity).map(|(_, position)| *position)
    }
}

/// Why a command was not recorded, or why that is unknown.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// A guard does not hold: something changed since the caller looked. Nothing was recorded.
    #[error("Inzwischen wurde etwas geändert; bitte erneut versuchen.")]
    Stale(Guard),
    /// A key belongs to someone else. Nothing was recorded.
    #[error("{key} ist schon vergeben.")]
    Taken {
        /// What was to be claimed.
        key: UniqueKey,
        /// Who has it.
        owner: EntityId,
    },
    /// A command gave no event, or more than fit into a commit. Nothing was recorded.
    #[error("{0} Ereignisse passen nicht in einen Journaleintrag (1 bis 1000).")]
    TooMany(usize),
    /// The data of one event is larger than 1 MiB. Nothing was recorded.
    #[error("Die Angaben sind zu umfangreich (höchstens 1 MiB).")]
    PayloadTooLarge,
    /// Deciding what to record failed for a fault of the program. Nothing was recorded.
    #[error(
        "Ein Fehler im Programm hat die Eingabe verhindert; es wurde nichts aufgezeichnet. Bitte melden."
    )]
    Panicked,
    /// The store refused before the commit point. Nothing was recorded.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// Nothing is written any more. Nothing was recorded.
    #[error("Es wird nichts mehr geschrieben ({}).", .0.sentence())]
    ReadOnly(Halt),
    /// The queue is full. Nothing was recorded.
    #[error("Zu viele Aufträge warten; bitte später erneut versuchen.")]
    Busy,
    /// The journal is being closed. Nothing was recorded.
    #[error("Das Archiv wird geschlossen.")]
    Closed,
    /// It is unknown whether the events were recorded; they may yet be. Repeating with the same key is safe.
    #[error("Der Ausgang ist unbekannt; die Eingabe kann gefahrlos wiederholt werden.")]
    Doubt,
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(Arc<JournalError>),
    /// The projection is broken.
    #[error(transparent)]
    Projection(Arc<ProjectionError>),
}

impl From<JournalError> for AppendError {
    fn from(error: JournalError) -> Self {
        Self::Journal(Arc::new(error))
    }
}

impl From<ProjectionError> for AppendError {
    fn from(error: ProjectionError) -> Self {
        Self::Projection(Arc::new(error))
    }
}

impl Halt {
    /// The reason in German.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Unsynced => {
                "Daten konnten nicht gesichert werden; bitte Datenträger prüfen und neu starten"
            }
            Self::Projection => "der Katalog ist beschädigt; ein Neustart baut ihn neu auf",
            Self::Journal => "das Journal ist nicht lesbar; bitte „eakte verify“ ausführen",
            Self::Panicked => "ein Fehler im Programm; bitte neu starten und den Fehler melden",
            Self::Doubt => "der Ausgang des letzten Eintrags ist unbekannt; bitte neu starten",
        }
    }
}

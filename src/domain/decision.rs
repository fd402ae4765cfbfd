//! What a `decide` gives: events that are not yet recorded, and what must still hold when they are.

use super::codes::Rejection;
use super::event::Event;
use super::guard::{CounterKey, Guard};
use super::object::ObjectRef;
use super::reference::InvalidReference;
use super::{CaseFileId, EntityId};

/// An event on its way into the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Whose event.
    pub entity: EntityId,
    /// What happened.
    pub event: Event,
    /// Objects that belong to the entity from now on; they are already stored.
    pub objects: Vec<ObjectRef>,
}

impl NewEvent {
    /// An event without objects.
    pub fn new(entity: impl Into<EntityId>, event: Event) -> Self {
        Self { entity: entity.into(), event, objects: Vec::new() }
    }

    /// An event that brings objects.
    pub fn with(entity: impl Into<EntityId>, event: Event, objects: Vec<ObjectRef>) -> Self {
        Self { entity: entity.into(), event, objects }
    }
}

/// Gapless counters as they stand at the place in the journal where the events will be.
pub trait Numbers {
    /// Draws the next number; the first is 1. Recording it is the caller's duty.
    fn draw(&mut self, counter: &CounterKey) -> u64;
    /// The number drawn last, 0 before the first.
    fn last(&self, counter: &CounterKey) -> u64;
}

/// What follows from a wish: guards to be checked, and events to be recorded if they hold.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Decision {
    /// What must still hold.
    pub guards: Vec<Guard>,
    /// What happens then.
    pub events: Vec<NewEvent>,
}

/// A wish that the rules refuse, whatever the moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not to be stored; the reason is a line of the batch.
    #[error("{}", .0.sentence())]
    Rejected(Rejection),
    /// The case file takes no documents any more.
    #[error("Die Akte {0} ist geschlossen (z.d.A.) und nimmt keine Dokumente mehr auf.")]
    Closed(CaseFileId),
    /// The case file is closed: what lies in it stays in it.
    #[error("Die Akte {0} ist geschlossen (z.d.A.); was darin liegt, bleibt darin.")]
    Kept(CaseFileId),
    /// The case file takes only paper.
    #[error("Die Akte {0} wird nur auf Papier geführt und nimmt keine Dateien auf.")]
    PaperOnly(CaseFileId),
    /// A day that lies before another which it must follow.
    #[error("{later} liegt vor {earlier}.")]
    Order {
        /// The day that should come first.
        earlier: &'static str,
        /// The day that should come later.
        later: &'static str,
    },
    /// A paper file without a place cannot be found again.
    #[error("Für eine Papierakte muss der Standort angegeben sein.")]
    PlaceMissing,
    /// No class: neither the case file nor its place in the file plan names one.
    #[error("Für die Akte ist keine Aufbewahrungsklasse bekannt (weder an der Akte noch im Aktenplan).")]
    NoRetentionClass,
    /// The reference cannot be one.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// The batch is closed.
    #[error("Die Charge ist abgeschlossen.")]
    BatchClosed,
}
